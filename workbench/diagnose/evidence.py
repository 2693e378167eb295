"""What happened between the first and the last of some snapshots: work, waits, CPU, rings, card.

Everything here is measured; what follows from it is in `bounds` and `causes`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from workbench.core.activity import BUSY, Activity, Counter
from workbench.diagnose.card import CardUse, card_use
from workbench.diagnose.steady import count
from workbench.telemetry.snapshot import ForeignReading, ProcessReading, RunFacts, Snapshot

Seconds = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class StageUse:
    """A stage over a window.

    Attributes:
        servers: processes of the stage.
        wall: seconds per Activity, summed over its processes; cpu: CPU seconds per Activity (all threads).
        cpu_seconds: CPU seconds of its processes as the system counts them, None when it does not tell.
        counts: by Counter, what was added.
        tokens: tokens that the busy time was spent on.
    """

    servers: int
    wall: Seconds
    cpu: Seconds
    cpu_seconds: float | None
    counts: tuple[int, ...]
    tokens: int

    def busy(self) -> float:
        """Seconds of work, summed over the processes."""
        return sum(self.wall[activity] for activity in BUSY)

    def share(self, *activities: Activity) -> float:
        """Share of the stage's time (0–1) spent on some activities."""
        whole = sum(self.wall)
        return sum(self.wall[activity] for activity in activities) / whole if whole else 0.0

    def busy_share(self) -> float:
        whole = sum(self.wall)
        return self.busy() / whole if whole else 0.0


#: Share of a card's memory from which on it is full, and bytes/s over its bus that are no batches any more.
_FULL = 0.97
_PAGING = 1e9
#: Standard errors from zero at which a fixed cost per batch counts as shown.
_SURE = 4.0


@dataclass(frozen=True, slots=True)
class BatchFit:
    """Seconds of a batch = `launch` + `per_token` · padded tokens (least squares); `mean` padded tokens a batch."""

    launch: float
    per_token: float
    mean: float

    @property
    def launch_share(self) -> float:
        whole = self.launch + self.per_token * self.mean
        return self.launch / whole if whole > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Evidence:
    """A window of a run. Rates in tokens/s, CPU in cores; `lone_seconds`: of a remote request alone, 0 = unknown.

    cpu_beside: of the workbench itself, beside the run (searches, jobs of the screen).
    device_bytes: memory of its card that an encoder holds now (the largest of them), 0 = unknown.
    """

    seconds: float
    tokens: int
    worker: StageUse
    encoder: StageUse
    writer: StageUse
    parent_cpu: float | None
    cores: int
    cores_physical: int
    cpu_own: float | None
    cpu_system: float | None
    cpu_yielding: float
    cpu_beside: float
    batches_fill: float
    vectors_fill: float
    budget: int
    budget_cuts: int
    fit: BatchFit | None
    card: CardUse | None
    foreign: tuple[ForeignReading, ...]
    lone_seconds: float = 0.0
    device_bytes: int = 0

    @property
    def tokens_per_second(self) -> float:
        return self.tokens / self.seconds if self.seconds > 0 else 0.0

    @property
    def padding(self) -> float:
        """Share of the computed tokens that are padding (0–1)."""
        padded = self.encoder.counts[Counter.PADDED_TOKENS]
        return 1.0 - self.encoder.counts[Counter.TOKENS] / padded if padded else 0.0

    @property
    def spills(self) -> bool:
        """The card's memory is full and goes on in the machine's.

        The bus shows it; where the driver does not tell (WDDM, which lets it happen), an encoder that holds all of it.
        """
        card = self.card
        if card is None:
            return False
        if card.pcie is not None:
            return (card.memory_share or 0.0) >= _FULL and card.pcie >= _PAGING
        return self.device_bytes >= _FULL * card.memory_total if card.memory_total else False

    @property
    def cpu_foreign(self) -> float:
        """Cores that programs outside the run use and that do not give way to it."""
        if self.cpu_system is None or self.cpu_own is None:
            return 0.0
        return max(0.0, self.cpu_system - self.cpu_own - self.cpu_beside - self.cpu_yielding)


def gather(facts: RunFacts, snapshots: Sequence[Snapshot]) -> Evidence:
    """The evidence of at least two snapshots, in time order."""
    first, last = snapshots[0], snapshots[-1]
    seconds = (last.time_ns - first.time_ns) / 1e9
    encoder = _stage(first, last, "encoder")
    worker = _workers(snapshots, encoder.tokens)
    writer = _stage(first, last, "writer")
    stages = [_cpu(first, last, name) for name in ("worker", "encoder", "writer", "parent")]
    known = [cpu for cpu in stages if cpu is not None]
    return Evidence(
        seconds=seconds,
        tokens=encoder.tokens,
        worker=worker,
        encoder=encoder,
        writer=writer,
        parent_cpu=stages[3],
        cores=max(1, facts.cores_logical),
        cores_physical=facts.cores_physical,
        cpu_own=sum(known) / seconds if known and seconds > 0 else None,
        cpu_system=_mean([s.cpu_system for s in snapshots[1:]]),
        cpu_yielding=_mean([s.cpu_yielding for s in snapshots[1:]]) or 0.0,
        cpu_beside=_mean([s.cpu_beside for s in snapshots[1:]]) or 0.0,
        batches_fill=_mean([s.batches.filled / max(1, s.batches.slots) for s in snapshots]) or 0.0,
        vectors_fill=_mean([s.vectors.filled / max(1, s.vectors.slots) for s in snapshots]) or 0.0,
        budget=max((count(p, Counter.BUDGET) for p in last.processes if p.stage == "encoder"), default=0),
        budget_cuts=sum(count(p, Counter.BUDGET_CUTS) for p in last.processes if p.stage == "encoder"),
        fit=fit_batches(encoder.counts),
        card=card_use(facts, snapshots),
        foreign=next((s.foreign for s in reversed(snapshots) if s.foreign), ()),
        lone_seconds=max((count(p, Counter.LONE_US) for p in last.processes), default=0) / 1e6,
        device_bytes=max((count(p, Counter.DEVICE_BYTES) for p in last.processes), default=0),
    )


def fit_batches(counts: Sequence[int]) -> BatchFit | None:
    """Least squares over all batches of a window, from their moments; None when all had the same size.

    Line through (padded tokens, seconds): slope = cov/var, the moments being exact sums kept by the encoder. A fixed
    cost below four of its standard errors (residual deviation · √((1 + mean²/var) / n)) is noise: few batches of
    nearly one size tell a rate, and nothing of what a batch costs before its first token.
    """
    n, sx = counts[Counter.FIT_COUNT], counts[Counter.FIT_PADDED]
    sxx, st, sxt = (counts[c] for c in (Counter.FIT_SQUARES, Counter.FIT_US, Counter.FIT_CROSS))
    if n < 8 or st <= 0 or sx <= 0:
        return None
    mean, mean_us = sx / n, st / n
    variance = sxx / n - mean * mean
    if variance < (0.02 * mean) ** 2:
        return None
    slope = (sxt / n - mean * mean_us) / variance
    residual = max(0.0, counts[Counter.FIT_US_SQUARES] / n - mean_us * mean_us - slope * slope * variance)
    unsure = math.sqrt(residual / (n - 2) * (1.0 + mean * mean / variance))
    slope = min(max(slope, 0.0), mean_us / mean)
    launch = mean_us - slope * mean
    if launch < _SURE * unsure:
        return BatchFit(0.0, mean_us / mean / 1e6, mean)
    return BatchFit(launch / 1e6, slope / 1e6, mean)


def _stage(first: Snapshot, last: Snapshot, stage: str) -> StageUse:
    pairs = _pairs(first, last, stage)
    uses = [_process(before, after) for before, after in pairs]
    counts = _added([use.counts for use in uses], len(Counter))
    return StageUse(
        servers=max(1, len(pairs)),
        wall=_sums([use.wall for use in uses]),
        cpu=_sums([use.cpu for use in uses]),
        cpu_seconds=_cpu(first, last, stage),
        counts=counts,
        tokens=counts[Counter.TOKENS],
    )


def _workers(snapshots: Sequence[Snapshot], encoded: int) -> StageUse:
    """Workers do whole units: each is measured from one finished unit to another, so that work and tokens match."""
    whole = _stage(snapshots[0], snapshots[-1], "worker")
    busy, cpu, tokens = [], [], 0
    for worker in (p for p in snapshots[-1].processes if p.stage == "worker"):
        history = [p for s in snapshots for p in s.processes if p.stage == "worker" and p.index == worker.index]
        ends = [i for i in range(1, len(history)) if _units(history[i]) > _units(history[i - 1])]
        if len(ends) < 2:
            continue
        use = _process(history[ends[0]], history[ends[-1]])
        busy.append(use.wall)
        cpu.append(use.cpu)
        tokens += use.counts[Counter.PREPARED_TOKENS] or use.counts[Counter.TOKENS]
    if not tokens:
        prepared = whole.counts[Counter.PREPARED_TOKENS]
        return StageUse(
            whole.servers, whole.wall, whole.cpu, whole.cpu_seconds, whole.counts, prepared or encoded
        )
    return StageUse(whole.servers, _sums(busy), _sums(cpu), whole.cpu_seconds, whole.counts, tokens)


def _units(process: ProcessReading) -> int:
    return count(process, Counter.UNITS)


@dataclass(frozen=True, slots=True)
class _ProcessUse:
    wall: Seconds
    cpu: Seconds
    counts: tuple[int, ...]


def _process(before: ProcessReading | None, after: ProcessReading) -> _ProcessUse:
    return _ProcessUse(
        _seconds(before.activity_ns if before else (), after.activity_ns),
        _seconds(before.activity_cpu_ns if before else (), after.activity_cpu_ns),
        _differences(before.counters if before else (), after.counters, len(Counter)),
    )


def _pairs(first: Snapshot, last: Snapshot, stage: str) -> list[tuple[ProcessReading | None, ProcessReading]]:
    old = {p.index: p for p in first.processes if p.stage == stage}
    return [(old.get(p.index), p) for p in last.processes if p.stage == stage]


def _cpu(first: Snapshot, last: Snapshot, stage: str) -> float | None:
    """CPU seconds of a stage; a process that was started again counts from its new start."""
    used = []
    for before, after in _pairs(first, last, stage):
        if after.cpu_seconds is None:
            continue
        same = before is not None and before.pid == after.pid and before.cpu_seconds is not None
        used.append(after.cpu_seconds - (before.cpu_seconds or 0.0) if same and before else after.cpu_seconds)
    return sum(used) if used else None


def _differences(before: Sequence[int], after: Sequence[int], length: int) -> tuple[int, ...]:
    a, b = [*after, *[0] * length], [*before, *[0] * length]
    return tuple(a[i] - b[i] for i in range(length))


def _seconds(before: Sequence[int], after: Sequence[int]) -> Seconds:
    return tuple(max(0, ns) / 1e9 for ns in _differences(before, after, len(Activity)))


def _sums(rows: Sequence[Seconds]) -> Seconds:
    return tuple(sum(row[i] for row in rows) for i in range(len(Activity)))


def _added(rows: Sequence[Sequence[int]], length: int) -> tuple[int, ...]:
    return tuple(sum(row[i] for row in rows) for i in range(length))


def _mean(values: Sequence[float | int | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
