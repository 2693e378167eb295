"""Time lines of a run, ready to be drawn: seconds since its first snapshot, at most `POINTS` points."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from workbench.core.activity import Counter
from workbench.diagnose.steady import total
from workbench.telemetry.snapshot import RunFacts, Snapshot

POINTS = 300

Point = tuple[float, float | None]


@dataclass(frozen=True, slots=True)
class Series:
    """One line: its name and (seconds, value) points; a value that could not be read is None."""

    name: str
    points: tuple[Point, ...]

    @property
    def known(self) -> bool:
        return any(value is not None for _, value in self.points)


@dataclass(frozen=True, slots=True)
class TimeLine:
    """A picture with one unit and one or more lines; `top` fixes the scale (None: from the data)."""

    title: str
    unit: str
    series: tuple[Series, ...]
    top: float | None = None


def time_lines(facts: RunFacts, snapshots: Sequence[Snapshot]) -> list[TimeLine]:
    """Throughput, rings, CPU, memory, and for each card utilisation, memory and power; only what is known."""
    if len(snapshots) < 2:
        return []
    lines = [
        TimeLine("Throughput", "tokens/s", (_rates(snapshots),)),
        TimeLine("Ring fill", "% of slots", (
            _plain("batches", snapshots, lambda s: 100.0 * s.batches.filled / max(1, s.batches.slots)),
            _plain("vectors", snapshots, lambda s: 100.0 * s.vectors.filled / max(1, s.vectors.slots)),
        ), 100.0),
        TimeLine("CPU", "cores", (
            _plain("the run", snapshots, _own_cores), _plain("whole machine", snapshots, lambda s: s.cpu_system),
        ), float(facts.cores_logical)),
        TimeLine("Memory of the run's processes", "MB", tuple(
            _plain(stage, snapshots, lambda s, stage=stage: _memory(s, stage))  # type: ignore[misc]
            for stage in ("worker", "encoder", "writer", "parent")
        )),
    ]
    for card in snapshots[-1].gpus:
        lines += _card_lines(facts, snapshots, card.index, card.name)
    known = (
        TimeLine(line.title, line.unit, tuple(s for s in line.series if s.known), line.top) for line in lines
    )
    return [line for line in known if line.series]


def _card_lines(facts: RunFacts, snapshots: Sequence[Snapshot], index: int, name: str) -> list[TimeLine]:
    def read(field: str, scale: float = 1.0) -> Callable[[Snapshot], float | None]:
        def value(snapshot: Snapshot) -> float | None:
            found = next((getattr(c, field) for c in snapshot.gpus if c.index == index), None)
            return None if found is None else float(found) * scale

        return value

    mfu = _mfu(facts, snapshots) if index == 0 else ()
    return [
        TimeLine(f"{name}: used", "%", (_plain("kernels running", snapshots, read("utilisation")), *mfu), 100.0),
        TimeLine(f"{name}: memory", "GB", (_plain("used", snapshots, read("memory_used", 1e-9)),)),
        TimeLine(f"{name}: power", "W", (
            _plain("drawn", snapshots, read("power")), _plain("limit", snapshots, read("power_limit")),
        )),
        TimeLine(f"{name}: clock", "MHz", (
            _plain("SM clock", snapshots, read("sm_clock")), _plain("maximum", snapshots, read("sm_clock_max")),
        )),
    ]


def _mfu(facts: RunFacts, snapshots: Sequence[Snapshot]) -> tuple[Series, ...]:
    if not facts.matrix_flops:
        return ()
    rate = facts.matrix_flops * facts.devices
    points = _differences(snapshots, lambda s: total(s, "encoder", Counter.FLOPS) * 1e8 / rate)
    return (Series("MFU", points),)


def _rates(snapshots: Sequence[Snapshot]) -> Series:
    return Series("tokens embedded", _differences(snapshots, lambda s: float(total(s, "encoder", Counter.TOKENS))))


def _differences(snapshots: Sequence[Snapshot], value: Callable[[Snapshot], float]) -> tuple[Point, ...]:
    """Rate per second of a counter, over buckets of at least a second."""
    seconds = (snapshots[-1].time_ns - snapshots[0].time_ns) / 1e9
    step = max(1.0, seconds / POINTS) * 1e9
    points: list[Point] = []
    before = snapshots[0]
    for snapshot in snapshots[1:]:
        apart = snapshot.time_ns - before.time_ns
        if apart >= step:
            rate = (value(snapshot) - value(before)) / (apart / 1e9)
            points.append(((snapshot.time_ns - snapshots[0].time_ns) / 1e9, max(0.0, rate)))
            before = snapshot
    return tuple(points)


def _plain(name: str, snapshots: Sequence[Snapshot], value: Callable[[Snapshot], float | None]) -> Series:
    """A reading, averaged over buckets when there are more than `POINTS`."""
    size = max(1, -(-len(snapshots) // POINTS))
    points: list[Point] = []
    for i in range(0, len(snapshots), size):
        bucket = snapshots[i : i + size]
        known = [v for v in (value(s) for s in bucket) if v is not None]
        at = (bucket[-1].time_ns - snapshots[0].time_ns) / 1e9
        points.append((at, sum(known) / len(known) if known else None))
    return Series(name, tuple(points))


def _own_cores(snapshot: Snapshot) -> float | None:
    known = [p.cpu_percent for p in snapshot.processes if p.cpu_percent is not None]
    return sum(known) / 100.0 if known else None


def _memory(snapshot: Snapshot, stage: str) -> float | None:
    known = [p.rss_bytes for p in snapshot.processes if p.stage == stage and p.rss_bytes is not None]
    return sum(known) / 1e6 if known else None
