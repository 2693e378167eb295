"""The picture of a run that all panels draw from: the newest frame, or the one of an earlier moment."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace

from workbench.core.run import Failure, LogLine
from workbench.telemetry.snapshot import RunFacts, Snapshot
from workbench.tui.bridge import WARMING_UP, Event, RunEnd, VerdictView
from workbench.tui.frames import Frame, build
from workbench.tui.history import Readings, Series
from workbench.tui.widgets.graph import nice_top

SPANS = (30, 60, 120, 300, 600, 1800, 3600, 4 * 3600, 12 * 3600, 48 * 3600)
_LOG = 1000


@dataclass(slots=True)
class Cost:
    """CPU of the screen itself, in shares of one core; None until it is known."""

    share: float | None = None


@dataclass(slots=True)
class Picture:
    """Attributes:
    at: the moment shown (seconds since 1970); None: the newest.
    span: seconds that graphs show. steers: the run can be changed from here (it is no recording).
    active: there is a run, or a recording, to show. measured: it is measured, so that frames come.
    problem: what ended the run, with the remedy. finished: the run is over.
    text: filter over processes and log.
    """

    facts: RunFacts | None = None
    frame: Frame | None = None
    verdict: VerdictView = WARMING_UP
    series: Series = field(default_factory=Series)
    readings: Readings = field(default_factory=Readings)
    log: deque[LogLine] = field(default_factory=lambda: deque(maxlen=_LOG))
    cost: Cost = field(default_factory=Cost)
    at: float | None = None
    span: int = 120
    text: str = ""
    view: str = "rate"
    steers: bool = True
    active: bool = False
    measured: bool = True
    problem: str = ""
    finished: bool = False
    _live: Frame | None = None
    _live_verdict: VerdictView = WARMING_UP
    _verdicts: list[tuple[float, VerdictView]] = field(default_factory=list)
    _first: Snapshot | None = None
    _top: float = 100.0

    def reset(self) -> None:
        """Forget the run, for another one; how it is looked at (span, view) stays."""
        fresh = Picture(span=self.span, view=self.view, steers=self.steers, cost=self.cost, active=True)
        for field_ in fields(self):
            setattr(self, field_.name, getattr(fresh, field_.name))
        self.cost.share = None

    # ── new readings ─────────────────────────────────────────────────────────────────────────────
    def feed(self, facts: RunFacts | None, points: Sequence[tuple[Snapshot, Frame]], verdict: VerdictView) -> None:
        """Take in readings with their frames, oldest first; the picture follows unless it is held."""
        self.facts = facts
        for snapshot, frame in points:
            self._first = self._first or snapshot
            self.series.add(snapshot.wall, values(frame))
            self.readings.add(snapshot)
            self._live = frame
            self._top = max(self._top, nice_top(frame.tokens_per_second or 0.0))
        if self._live is not None and (not self._verdicts or verdict != self._verdicts[-1][1]):
            self._verdicts = [*self._verdicts[-199:], (self._live.wall, verdict)]
        self._live_verdict = verdict
        if self.at is None:
            self.frame, self.verdict = self._live, verdict

    def sum_up(self, end: RunEnd | None) -> None:
        """The run is over: from now on the newest frame tells what it came to; None: it failed."""
        self.finished = True
        if self._live is None:
            return
        frame = over(self._live, end or RunEnd("failed", self._live.elapsed))
        self.frame, self._live = frame if self.frame is self._live else self.frame, frame

    def tell(self, events: Sequence[Event]) -> None:
        """Take in events; a failure becomes lines with its hint."""
        for event in events:
            if isinstance(event, Failure):
                where = f" (unit {event.unit:06d})" if event.unit is not None else ""
                wall = self._live.wall if self._live else time.time()
                self.log.append(LogLine(wall, "error", f"{event.stage}{where}: {event.message}"))
                if event.hint:
                    self.log.append(LogLine(wall, "error", event.hint))
            else:
                self.log.append(event)

    # ── time ─────────────────────────────────────────────────────────────────────────────────────
    @property
    def held(self) -> bool:
        return self.at is not None

    @property
    def live(self) -> Frame | None:
        """The newest frame, held or not."""
        return self._live

    @property
    def end(self) -> float:
        """The moment at the right end of the graphs."""
        return self.at if self.at is not None else self._live.wall if self._live else 0.0

    @property
    def top(self) -> float:
        """Scale of the rate graph (tokens/s)."""
        return self._top

    def hold(self) -> None:
        if self._live is not None:
            self.at = self._live.wall

    def follow(self) -> None:
        self.at, self.frame, self.verdict = None, self._live, self._live_verdict

    def go(self, wall: float) -> None:
        """Hold the picture of a moment; beyond the newest it follows the run again."""
        first, last = self.readings.first, self.readings.last
        if first is None or last is None:
            return
        if wall >= last:
            self.hold()
            self.frame, self.verdict = self._live, self._live_verdict
            return
        self.at = max(first, wall)
        window = tuple(self.readings.at(self.at, back=14))
        self.frame = build(self.facts, window, self._first)
        earlier = [verdict for since, verdict in self._verdicts if since <= self.at]
        self.verdict = earlier[-1] if earlier else WARMING_UP

    def zoom(self, longer: bool) -> None:
        """The next longer or shorter span."""
        fitting = [s for s in SPANS if s > self.span] if longer else [s for s in reversed(SPANS) if s < self.span]
        self.span = fitting[0] if fitting else self.span


def over(frame: Frame, end: RunEnd) -> Frame:
    """The last frame of a run with what the run came to: nothing is left, nobody waits any more."""
    return replace(
        frame, phase="ended", paused=False, seconds_left=None, outcome=end.outcome, took=end.seconds,
        tokens_per_second=end.tokens_per_second, rows_per_second=end.rows_per_second,
    )


def values(frame: Frame) -> dict[str, float | None]:
    """What of a frame the graphs remember; shares as percent."""
    found: dict[str, float | None] = {"rate": frame.tokens_per_second, "mfu": _percent(frame.mfu)}
    if frame.cpu_percent:
        found["cpu"] = sum(frame.cpu_percent) / len(frame.cpu_percent)
    if frame.memory_total and frame.memory_used is not None:
        found["memory"] = 100.0 * frame.memory_used / frame.memory_total
    for stage in frame.stages:
        found[stage.stage] = _percent(stage.busy)
    for number, core in enumerate(frame.cpu_percent[:64]):
        found[f"core{number}"] = core
    for gpu in frame.gpus:
        reading = gpu.reading
        found[f"gpu{reading.index}"] = reading.utilisation
        if reading.power is not None and reading.power_limit:
            found[f"power{reading.index}"] = 100.0 * reading.power / reading.power_limit
        if reading.memory_used is not None and reading.memory_total:
            found[f"vram{reading.index}"] = 100.0 * reading.memory_used / reading.memory_total
    return found


def _percent(share: float | None) -> float | None:
    return None if share is None else 100.0 * share
