"""From snapshots to what a picture of the run shows. Pure functions; no widget, no clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from workbench.core.activity import BUSY, IDLE, Activity, Counter
from workbench.telemetry.snapshot import ForeignReading, GpuReading, ProcessReading, RingReading, RunFacts, Snapshot

#: What is not part of the pipeline's steady work: it says nothing about who waits for whom.
_APART = IDLE | {Activity.LOAD_MODEL}
STAGES = ("worker", "encoder", "writer")
#: Seconds that shares and rates look back.
LOOK_BACK = 3.0


@dataclass(frozen=True, slots=True)
class ProcessView:
    """One row of the process table. Shares 0–1 over the look-back."""

    stage: str
    index: int
    pid: int
    alive: bool
    state: str
    busy: float | None
    wait_in: float | None
    wait_out: float | None
    cpu_percent: float | None
    rss_bytes: int | None
    rows_per_second: float | None
    unit: int | None
    restarts: int

    @property
    def name(self) -> str:
        return "screen" if self.stage == "parent" else f"{self.stage} {self.index + 1}"


@dataclass(frozen=True, slots=True)
class StageView:
    """All processes of a stage together. `state`: the word when all of them are apart from the work."""

    stage: str
    count: int
    alive: int
    busy: float | None
    wait_in: float | None
    wait_out: float | None
    rows_per_second: float | None
    state: str = ""


@dataclass(frozen=True, slots=True)
class GpuView:
    """A card: NVML's reading, and the share of the device's own measured matrix rate (MFU, 0–1)."""

    reading: GpuReading
    mfu: float | None


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture of the run. None = not known. outcome, took (s): of a run that is over."""

    wall: float
    elapsed: float
    phase: str
    paused: bool
    tokens_per_second: float | None
    rows_per_second: float | None
    share: float | None
    rows_done: int
    rows_total: int | None
    units_done: int
    units_total: int | None
    seconds_left: float | None
    rejects: int
    failures: int
    padding: float | None
    stages: tuple[StageView, ...]
    batches: RingReading
    vectors: RingReading
    gpus: tuple[GpuView, ...]
    mfu: float | None
    cpu_percent: tuple[float, ...]
    cpu_system: float | None
    memory_used: int | None
    memory_total: int | None
    processes: tuple[ProcessView, ...]
    foreign: tuple[ForeignReading, ...]
    outcome: str = ""
    took: float | None = None

    def stage(self, name: str) -> StageView | None:
        return next((stage for stage in self.stages if stage.stage == name), None)


def look_back(window: Sequence[Snapshot], seconds: float = LOOK_BACK) -> tuple[Snapshot | None, Snapshot]:
    """The newest snapshot and the one about `seconds` before it (None when there is only one)."""
    newest = window[-1]
    older = [snapshot for snapshot in window[:-1] if newest.time_ns - snapshot.time_ns <= seconds * 1.05e9]
    return (older[0] if older else window[-2] if len(window) > 1 else None), newest


def build(facts: RunFacts | None, window: Sequence[Snapshot], first: Snapshot | None = None) -> Frame:
    """The picture at the newest of at least one snapshot, oldest first.

    `first`: first snapshot of the run, for the remaining time; the oldest of the window without it.
    """
    before, now = look_back(window)
    first = first or window[0]
    progress, seconds = now.progress, _seconds(before, now)
    processes = tuple(_process(_same(before, process), process, seconds) for process in now.processes)
    tokens = _rate(before, now, "encoder", Counter.TOKENS)
    rows = _rate(before, now, "encoder", Counter.ROWS)
    mfu = _mfu(facts, before, now)
    share = _share(now)
    return Frame(
        wall=now.wall,
        elapsed=max(0.0, now.wall - (facts.started if facts else first.wall)),
        phase=progress.phase,
        paused=now.paused,
        tokens_per_second=tokens,
        rows_per_second=rows,
        share=share,
        rows_done=progress.rows_done,
        rows_total=progress.rows_total,
        units_done=progress.units_done,
        units_total=progress.units_total,
        seconds_left=_left(first, now),
        rejects=progress.rejects,
        failures=progress.failures,
        padding=_padding(now),
        stages=tuple(_stage(name, [p for p in processes if p.stage == name]) for name in STAGES),
        batches=now.batches,
        vectors=now.vectors,
        gpus=tuple(GpuView(gpu, mfu if len(now.gpus) == 1 else None) for gpu in now.gpus),
        mfu=mfu,
        cpu_percent=now.cpu_percent,
        cpu_system=now.cpu_system,
        memory_used=now.memory_used,
        memory_total=now.memory_total,
        processes=processes,
        foreign=now.foreign,
    )


def _seconds(before: Snapshot | None, now: Snapshot) -> float:
    return 0.0 if before is None else (now.time_ns - before.time_ns) / 1e9


def _same(before: Snapshot | None, process: ProcessReading) -> ProcessReading | None:
    if before is None:
        return None
    return next((p for p in before.processes if (p.stage, p.index) == (process.stage, process.index)), None)


def _process(before: ProcessReading | None, now: ProcessReading, seconds: float) -> ProcessView:
    busy, wait_in, wait_out = _shares(before, now)
    unit = _count(now, Counter.CURRENT_UNIT) if now.counters else None
    rows = None
    if before is not None and now.counters and seconds > 0:
        rows = max(0, _count(now, Counter.ROWS) - _count(before, Counter.ROWS)) / seconds
    return ProcessView(
        stage=now.stage, index=now.index, pid=now.pid, alive=now.alive,
        state=state_word(now), busy=busy, wait_in=wait_in, wait_out=wait_out,
        cpu_percent=now.cpu_percent, rss_bytes=now.rss_bytes, rows_per_second=rows,
        unit=unit if unit is not None and unit >= 0 and now.stage == "worker" else None, restarts=now.restarts,
    )


def state_word(process: ProcessReading) -> str:
    """What a process does, in a word."""
    if not process.alive and not process.pid and process.state is Activity.STARTING:
        return "not yet"  # the writer starts at the first vectors
    if not process.alive:
        return "ended" if process.state is Activity.ENDED else "gone"
    if process.stage == "parent":
        return "watching"
    return {
        Activity.WAIT_INPUT: "waits in", Activity.WAIT_OUTPUT: "waits out", Activity.LOAD_MODEL: "loading",
    }.get(process.state, process.state.name.lower().replace("_", " "))


def _shares(before: ProcessReading | None, now: ProcessReading) -> tuple[float | None, float | None, float | None]:
    """Busy, waiting for input, waiting for output; as shares of the time that was neither start nor pause."""
    if before is None or not now.activity_ns or not before.activity_ns:
        return None, None, None
    spent = [max(0, a - b) for a, b in zip(now.activity_ns, before.activity_ns, strict=False)]
    whole = sum(ns for activity, ns in enumerate(spent) if activity not in _APART)
    if whole <= 0:
        return None, None, None
    busy = sum(ns for activity, ns in enumerate(spent) if activity in BUSY and activity not in _APART)
    return busy / whole, spent[Activity.WAIT_INPUT] / whole, spent[Activity.WAIT_OUTPUT] / whole


#: States that are told in place of numbers when all processes of a stage are in them.
_APART_WORDS = {"not yet", "starting", "loading", "paused", "ended", "gone"}


def _stage(name: str, processes: Sequence[ProcessView]) -> StageView:
    known = [p for p in processes if p.busy is not None]
    states = {p.state for p in processes}
    apart = states.pop() if len(states) == 1 and states <= _APART_WORDS else ""
    rates = [p.rows_per_second for p in processes if p.rows_per_second is not None]
    return StageView(
        name, len(processes), sum(p.alive for p in processes),
        _mean([p.busy for p in known]), _mean([p.wait_in for p in known]), _mean([p.wait_out for p in known]),
        sum(rates) if rates else None, apart,
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _count(process: ProcessReading, counter: Counter) -> int:
    return process.counters[counter] if len(process.counters) > counter else 0


def _total(snapshot: Snapshot, stage: str, counter: Counter) -> int:
    return sum(_count(process, counter) for process in snapshot.processes if process.stage == stage)


def _rate(before: Snapshot | None, now: Snapshot, stage: str, counter: Counter) -> float | None:
    seconds = _seconds(before, now)
    if before is None or seconds <= 0:
        return None
    return max(0, _total(now, stage, counter) - _total(before, stage, counter)) / seconds


def _mfu(facts: RunFacts | None, before: Snapshot | None, now: Snapshot) -> float | None:
    """Model FLOP utilisation: operations the model needed per second ÷ the devices' measured matrix rate."""
    operations = _rate(before, now, "encoder", Counter.FLOPS)
    if facts is None or not facts.matrix_flops or operations is None:
        return None
    return operations * 1e6 / (facts.matrix_flops * facts.devices)


def _padding(now: Snapshot) -> float | None:
    padded = _total(now, "encoder", Counter.PADDED_TOKENS)
    return 1.0 - _total(now, "encoder", Counter.TOKENS) / padded if padded else None


def _share(now: Snapshot) -> float | None:
    progress = now.progress
    if progress.rows_total:
        return min(1.0, progress.rows_done / progress.rows_total)
    if progress.units_total:
        return min(1.0, progress.units_done / progress.units_total)
    return None


def _left(first: Snapshot, now: Snapshot) -> float | None:
    """Remaining time from the progress since the first snapshot; None before there was any, 0 at the end."""
    done, was = _share(now), _share(first)
    seconds = (now.time_ns - first.time_ns) / 1e9
    if done is None or was is None or seconds < 2.0 or done <= was or now.progress.phase == "starting":
        return 0.0 if done == 1.0 else None
    return (1.0 - done) * seconds / (done - was)
