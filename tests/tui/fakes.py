"""A workbench whose parts answer at once; its runs are scripted. No process, no disk."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.tui.script import ROWS, VERDICT, WALL, FakeRun, recording
from workbench.core.errors import UsageError
from workbench.core.run import RunRequest
from workbench.telemetry.recorder import Recording
from workbench.telemetry.snapshot import RunFacts, Snapshot
from workbench.tui.bridge import (
    WARMING_UP,
    CollectionCard,
    Estimate,
    HitView,
    Outcome,
    RunCard,
    RunEnd,
    SearchAnswer,
    SearchQuery,
    Step,
    VerdictView,
)


@dataclass
class FakeJob:
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


def hits(query: str) -> tuple[HitView, ...]:
    """Three hits, one of them Chinese, one with emoji."""
    texts = [
        ("gzip.compress", "Compress data in one shot and return the compressed string as a bytes object.", ((0, 8),)),
        ("静夜思", "床前明月光,疑是地上霜。举头望明月,低头思故乡。", ((2, 4),)),
        ("emoji 👩‍👩‍👧 title", "Squeeze files 🗜️ into an archive; compress directories as well.", ((34, 42),)),
    ]
    return tuple(
        HitView(i + 1, 0.82 - i * 0.11, f"c{i}", title, text, f"docs/{i}.txt:{10 + i}", marks=marks,
                metadata={"author": "Li Bai" if i == 1 else "someone"})
        for i, (title, text, marks) in enumerate(texts)
    )


class FakeSearch:
    """Answers at once, in another thread as the real one does; with a list in `held` when the test says so."""

    modes = ("hybrid", "dense", "lexical")

    def __init__(self) -> None:
        self.opened: Path | None = None
        self.asked: list[SearchQuery] = []
        self.closed = False
        self.broken = ""
        self.held: list[threading.Thread] | None = None

    def open(self, collection: Path) -> None:
        self.opened = collection

    def ask(self, query: SearchQuery, answer: Any) -> None:
        self.asked.append(query)
        problem = "unknown field 'jahr'; fields: author, year" if "jahr" in query.where else ""
        found = () if problem or query.text == "nothing" else hits(query.text)
        reply = SearchAnswer(query.text or "more like this", found, 3.2, 1.1, 7.0, problem=problem)
        thread = threading.Thread(target=answer, args=(reply,), daemon=True)
        if self.held is None:
            thread.start()
        else:
            self.held.append(thread)

    def problem(self) -> str:
        return self.broken

    def neighbours(self, hit: HitView, told: Any) -> None:
        whole = replace(hit, before="the text before", after="the text after")
        threading.Thread(target=told, args=(whole,), daemon=True).start()

    def state(self) -> str:
        return "ready"

    def close(self) -> None:
        self.closed = True


class FakeWorkbench:
    """Everything behind the screen, scripted."""

    def __init__(self) -> None:
        self.runs_started: list[FakeRun] = []
        self.searches: list[FakeSearch] = []
        self.estimated: list[RunRequest] = []
        self.jobs: dict[str, FakeJob] = {}
        self.told: dict[str, Any] = {}
        self.closed = False
        self.kinds: list[str] = []
        self.exports: list[tuple[Path, Path]] = []
        self.broken = False

    def start_run(self, request: RunRequest) -> FakeRun:
        self.runs_started.append(FakeRun(request))
        return self.runs_started[-1]

    def replay(self, folder: Path) -> Recording:
        if self.broken:
            raise UsageError("the recording is empty", where=str(folder))
        return recording()

    def judge(self, facts: RunFacts, snapshots: Sequence[Snapshot]) -> VerdictView:
        return VERDICT

    def course(self, facts: RunFacts, snapshots: Sequence[Snapshot]) -> list[tuple[float, VerdictView]]:
        return [(WALL + 0.25, WARMING_UP), (WALL + 20.25, replace(VERDICT, headline="The writer limits the run"))]

    def ending(self, run: Path) -> RunEnd | None:
        return RunEnd("done", 113.0, 405_000.0, 3_200.0)

    def search(self) -> FakeSearch:
        self.searches.append(FakeSearch())
        return self.searches[-1]

    def estimate(self, request: RunRequest, told: Any) -> FakeJob:
        self.estimated.append(request)
        name = request.inputs[0].name if request.inputs else "Python standard library"
        estimate = Estimate(name, 7_412, 912_000, 11_400_000, 48.0, "at 19 k tokens/s, the last run with this model",
                            91_000_000_000, problem="" if name != "missing" else "missing: there is no such file")
        threading.Thread(target=told, args=(estimate,), daemon=True).start()
        return FakeJob()

    def collections(self) -> list[CollectionCard]:
        return [
            CollectionCard(Path("/data/books.collection"), "books", ROWS, 512_000_000, WALL),
            CollectionCard(Path("/data/poems.collection"), "唐诗三百首", 320, 1_200_000, WALL - 86_400),
        ]

    def runs(self) -> list[RunCard]:
        return [
            RunCard(Path("/data/books.collection/runs/b"), "books", "books", WALL, "done", 412_000.0, ROWS, 113.0,
                    "balanced", "bge-small-en"),
            RunCard(Path("/data/books.collection/runs/a"), "books", "books", WALL - 7200, "stopped", 251_000.0, 91_000,
                    44.0, "fast", "bge-small-en"),
            RunCard(Path("/data/poems.collection/runs/a"), "poems", "唐诗三百首", WALL - 9000, "failed", None, None,
                    None, "fast", "default"),
        ]

    def describe(self, collection: Path) -> list[tuple[str, str]]:
        return [("collection", str(collection)), ("chunks", "366,669"), ("index", "RaBitQ, recall@10 0.9970"),
                ("model", "bge-small-en")]

    def _job(self, name: str, told: Any) -> FakeJob:
        self.told[name] = told
        self.jobs[name] = FakeJob()
        return self.jobs[name]

    def verify(self, collection: Path, told: Any) -> FakeJob:
        return self._job("verify", told)

    def rebuild(self, collection: Path, kind: str, told: Any) -> FakeJob:
        self.kinds.append(kind)
        return self._job("rebuild", told)

    def export(self, collection: Path, file: Path, told: Any) -> FakeJob:
        self.exports.append((collection, file))
        return self._job("export", told)

    def doctor(self, told: Any) -> FakeJob:
        found = [("ok", "Python", "3.11.7", ""),
                 ("warning", "card", "seen by the driver, not by torch", "install the CUDA wheels"),
                 ("problem", "disk", "0.2 GB free", "free some space")]
        threading.Thread(target=told, args=(Outcome(value=found),), daemon=True).start()
        return FakeJob()

    def report(self, run: Path, told: Any) -> FakeJob:
        return self._job("report", told)

    def compare(self, runs: Sequence[Path], told: Any) -> FakeJob:
        return self._job("compare", told)

    def trace(self, run: Path, told: Any) -> FakeJob:
        return self._job("trace", told)

    def close(self) -> None:
        self.closed = True

    def tell(self, name: str, event: Step | Outcome) -> None:
        """Let a job say something, from another thread."""
        thread = threading.Thread(target=self.told[name], args=(event,), daemon=True)
        thread.start()
