"""What the screen asks of the rest of the program: small protocols, and the values that come back.

Rooms know only these. `live` fills them with the engine, the search process and the collection; tests fill
them with scripted values. Nothing here blocks: whatever takes time runs in a thread or a process of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from workbench.core.run import Failure, LogLine, RunRequest, RunResult
from workbench.telemetry.snapshot import RunFacts, Snapshot

Event = LogLine | Failure


# ── a run ────────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, slots=True)
class VerdictView:
    """The verdict as the screen shows it.

    Attributes:
        known: False while it is warming up or lacks evidence; `headline` then says so.
        headline: the sentence, such as "tokenising limits the run".
        stage: stage that binds (`worker`, `encoder`, `writer`, …), empty when none.
        evidence: facts in numbers, the strongest first.
        change: profile key and value to try, or None; `before`: its value now; `advice`: the same in words.
        now, predicted: tokens/s, None when not known. then: what binds next.
        confidence: 0–1 or None.
    """

    known: bool
    headline: str
    stage: str = ""
    evidence: tuple[str, ...] = ()
    change: tuple[str, str] | None = None
    before: str = ""
    advice: str = ""
    now: float | None = None
    predicted: float | None = None
    then: str = ""
    confidence: float | None = None
    healthy: bool = False


WARMING_UP = VerdictView(False, "warming up: not enough of the run has been seen yet")


@dataclass(frozen=True, slots=True)
class RunEnd:
    """What a run came to: outcome (`done`, `stopped`, `failed`), seconds, rates of the whole run (None: not known)."""

    outcome: str
    seconds: float
    tokens_per_second: float | None = None
    rows_per_second: float | None = None


class RunControl(Protocol):
    """A run that goes on, or a recording that is played. All methods return at once; any thread may call."""

    def facts(self) -> RunFacts | None: ...

    def window(self, n: int) -> tuple[Snapshot, ...]:
        """The last `n` readings, oldest first."""

    def events(self, since: int) -> Sequence[Event]:
        """Events from number `since` on (the first is 0)."""

    def verdict(self) -> VerdictView:
        """What limits the run, as far as it is known."""

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def paused(self) -> bool:
        """Whether it was told to pause, at once; readings say so only when the next one has come."""

    def stop(self, *, now: bool = False) -> None: ...

    def done(self) -> bool: ...

    def result(self) -> RunResult | None:
        """What it came to; None while it goes on, and when it ended with an error."""

    def error(self) -> str | None:
        """What ended it, with the remedy; None when nothing did."""

    def request(self) -> RunRequest | None:
        """What was asked for; None for a recording."""


# ── before a run ─────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run will cost, as far as it can be known before. None = not known."""

    title: str = ""
    rows: int | None = None
    tokens: int | None = None
    disk_bytes: int | None = None
    seconds: float | None = None
    rate_from: str = ""
    free_bytes: int | None = None
    notes: tuple[str, ...] = ()
    problem: str = ""


class Job(Protocol):
    """Something that goes on elsewhere and can be given up."""

    def cancel(self) -> None: ...


# ── search ───────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, slots=True)
class HitView:
    """One hit. `marks`: ranges of `text` (characters) that match the query's words; `before`, `after`: its
    neighbours in the document, filled in by `SearchControl.neighbours`. shard, row: where in the collection."""

    rank: int
    score: float
    chunk_id: str
    title: str
    text: str
    place: str = ""
    file: str = ""
    doc_id: str = ""
    shard: str = ""
    row: int = -1
    marks: tuple[tuple[int, int], ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    before: str = ""
    after: str = ""
    collection: str = ""


@dataclass(frozen=True, slots=True)
class SearchAnswer:
    """Hits of one query, or the problem with it. Times in ms; None where a part did not take place."""

    query: str
    hits: tuple[HitView, ...] = ()
    encode_ms: float | None = None
    index_ms: float | None = None
    total_ms: float | None = None
    note: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """What is asked. `like`: chunk_id of a hit: find what is like it, instead of `text`."""

    text: str
    where: str = ""
    mode: str = ""
    k: int = 20
    like: str = ""


class SearchControl(Protocol):
    """A search process kept warm. A new query takes the place of the one before."""

    modes: tuple[str, ...]

    def open(self, collection: Path) -> None: ...

    def ask(self, query: SearchQuery, answer: Callable[[SearchAnswer], None]) -> None:
        """`answer` is called in another thread, once, unless a newer query came."""

    def neighbours(self, hit: HitView, told: Callable[[HitView], None]) -> None:
        """The hit with the text before and after it; told in another thread, not at all when there is none."""

    def state(self) -> str:
        """What the process does: `closed`, `loading …`, `ready` with what it wants known."""

    def problem(self) -> str:
        """Why the collection could not be opened; empty when nothing is wrong."""

    def close(self) -> None: ...


# ── collections and runs that there are ──────────────────────────────────────────────────────────
@dataclass(frozen=True, slots=True)
class CollectionCard:
    """A collection in a list."""

    path: Path
    title: str
    rows: int | None
    bytes: int | None
    built: float | None


@dataclass(frozen=True, slots=True)
class RunCard:
    """A recorded run in a list."""

    folder: Path
    collection: str
    title: str
    started: float
    outcome: str
    tokens_per_second: float | None
    rows: int | None
    seconds: float | None
    profile: str = ""
    model: str = ""


Told = Callable[[Any], None]


@dataclass(frozen=True, slots=True)
class Step:
    """Progress of a job: share 0–1 or None, and a line."""

    share: float | None
    text: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """End of a job: lines for people, or the problem."""

    lines: tuple[str, ...] = ()
    problem: str = ""
    value: Any = None


class Workbench(Protocol):
    """Everything behind the screen. `told` callbacks come from other threads."""

    def start_run(self, request: RunRequest) -> RunControl: ...

    def replay(self, folder: Path) -> Any:
        """A recording (`telemetry.recorder.Recording`). Raises UsageError. May take a second: call in a thread."""

    def judge(self, facts: RunFacts, snapshots: Sequence[Snapshot]) -> VerdictView:
        """The verdict over a whole recording; call in a thread."""

    def course(self, facts: RunFacts, snapshots: Sequence[Snapshot]) -> Iterable[tuple[float, VerdictView]]:
        """What was shown as the verdict while it was recorded, by time (seconds since 1970); call in a thread."""

    def ending(self, run: Path) -> RunEnd | None:
        """What a recorded run came to; None when it was cut off. Reads disk: call in a thread."""

    def search(self) -> SearchControl: ...

    def estimate(self, request: RunRequest, told: Callable[[Estimate], None]) -> Job: ...

    def collections(self) -> list[CollectionCard]:
        """Known collections, the newest first; reads disk: call in a thread."""

    def runs(self) -> list[RunCard]:
        """Recorded runs, the newest first; reads disk: call in a thread."""

    def describe(self, collection: Path) -> list[tuple[str, str]]:
        """What `info` says, as pairs; reads disk: call in a thread. Raises UsageError."""

    def verify(self, collection: Path, told: Told) -> Job:
        """Check every file; `told` gets Steps, then one Outcome."""

    def rebuild(self, collection: Path, kind: str, told: Told) -> Job:
        """Build the index as another kind; `told` gets Steps, then one Outcome."""

    def export(self, collection: Path, file: Path, told: Told) -> Job:
        """Write a collection to one file; `told` gets Steps, then one Outcome."""

    def doctor(self, told: Told) -> Job:
        """Check the machine; `told` gets one Outcome whose value is a list of (state, what, remedy)."""

    def report(self, run: Path, told: Told) -> Job: ...

    def compare(self, runs: Sequence[Path], told: Told) -> Job:
        """`told` gets one Outcome whose value is a `comparing.SideBySide`."""

    def trace(self, run: Path, told: Told) -> Job: ...

    def close(self) -> None:
        """End every process that was started here."""
