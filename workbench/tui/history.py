"""What the screen remembers of a run: series for the graphs, packed readings to go back to. Bounded for ever.

Both keep the newest part in full and the whole run coarsely: the coarse part is thinned to half when it is
full, so that a night's run takes no more memory than an hour's and still reaches back to its beginning.
"""

from __future__ import annotations

import zlib
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence

from workbench.telemetry.codec import dump_snapshot, load_snapshot
from workbench.telemetry.snapshot import Snapshot

#: Points kept in full (an hour at 1 Hz) and of the whole run.
POINTS = 3600
#: Packed readings (about 1 kB each) kept in full (five minutes at 1 Hz) and of the whole run.
READINGS = 300
_NAN = float("nan")
#: A stretch without a point takes the point before it when that is not older than so many seconds.
_SPARSE = 3.0


class _Table:
    """Columns of single precision over one time axis; NaN is a gap."""

    def __init__(self) -> None:
        self.times = array("d")
        self.columns: dict[str, array[float]] = {}

    def add(self, time: float, values: Mapping[str, float | None]) -> None:
        for name in values.keys() - self.columns.keys():
            self.columns[name] = array("f", [_NAN] * len(self.times))
        self.times.append(time)
        for name, column in self.columns.items():
            value = values.get(name)
            column.append(_NAN if value is None else value)

    def drop_oldest(self, count: int) -> None:
        del self.times[:count]
        for column in self.columns.values():
            del column[:count]

    def halve(self) -> None:
        """Merge every two neighbours; the first point keeps its time."""
        even = len(self.times) - len(self.times) % 2
        self.times = self.times[0:even:2] + self.times[even:]
        for name, column in self.columns.items():
            merged = array("f", map(_merged, column[0:even:2], column[1:even:2]))
            self.columns[name] = merged + column[even:]


class Series:
    """Several values over one time axis: `add(time, {"rate": 1.0})`; what is missing is a gap."""

    def __init__(self, points: int = POINTS) -> None:
        self._limit = points
        self._fine, self._coarse = _Table(), _Table()
        self._held: list[Mapping[str, float | None]] = []
        self._held_since = 0.0
        self._stride = 1

    @property
    def points(self) -> int:
        """Points kept now, of both parts."""
        return len(self._fine.times) + len(self._coarse.times)

    @property
    def first(self) -> float | None:
        """Time of the earliest point kept."""
        times = self._coarse.times or self._fine.times
        return times[0] if times else None

    @property
    def last(self) -> float | None:
        return self._fine.times[-1] if self._fine.times else None

    def add(self, time: float, values: Mapping[str, float | None]) -> None:
        """A point; one that is not later than the last is left out."""
        fine = self._fine
        if fine.times and time <= fine.times[-1]:
            return
        fine.add(time, values)
        if len(fine.times) > self._limit:
            fine.drop_oldest(max(1, self._limit // 8))
        self._held_since = self._held_since if self._held else time
        self._held.append(values)
        if len(self._held) >= self._stride:
            self._coarse.add(self._held_since, _means(self._held))
            self._held = []
        if len(self._coarse.times) > self._limit:
            self._coarse.halve()
            self._stride *= 2

    def columns(self, name: str, end: float, span: float, count: int) -> list[float | None]:
        """Means of `count` equal stretches of time that end at `end`; None where there is no reading.

        A stretch shorter than the distance of two points takes the point before it, so that a graph has
        no gaps where points are merely sparse.
        """
        if count <= 0 or not self._fine.times:
            return [None] * max(0, count)
        table = self._fine if end - span >= self._fine.times[0] or self._stride == 1 else self._coarse
        column = table.columns.get(name)
        if column is None:
            return [None] * count
        step = span / count
        # Stretches lie on a fixed grid, so that a picture moves by whole columns and does not flicker.
        last = int(end / step) + 1
        sparse = _SPARSE if table is self._fine else 3.0 * self._stride + _SPARSE
        edges = [(last - count + i) * step for i in range(count + 1)]
        return [_mean(table.times, column, edges[i], min(edges[i + 1], end + 1e-6), sparse) for i in range(count)]


def _mean(times: array[float], column: array[float], start: float, stop: float, sparse: float) -> float | None:
    low, high = bisect_left(times, start), bisect_left(times, stop)
    if low >= high:
        if low == 0 or stop <= start or start - times[low - 1] > sparse:
            return None
        low, high = low - 1, low
    known = [value for value in column[low:high] if value == value]
    return sum(known) / len(known) if known else None


def _means(points: Sequence[Mapping[str, float | None]]) -> Mapping[str, float | None]:
    if len(points) == 1:
        return points[0]
    found: dict[str, float | None] = {}
    for name in {name for point in points for name in point}:
        known = [value for point in points if (value := point.get(name)) is not None]
        found[name] = sum(known) / len(known) if known else None
    return found


def _merged(a: float, b: float) -> float:
    return b if a != a else a if b != b else (a + b) / 2.0


class Readings:
    """Packed snapshots in time order, to show the picture of an earlier moment."""

    def __init__(self, limit: int = READINGS) -> None:
        self._limit = limit
        self._fine: list[tuple[float, bytes]] = []
        self._coarse: list[tuple[float, bytes]] = []
        self._apart = 0.0

    def __len__(self) -> int:
        return len(self._fine) + len(self._coarse)

    @property
    def first(self) -> float | None:
        """Seconds since 1970 of the earliest reading."""
        kept = self._coarse or self._fine
        return kept[0][0] if kept else None

    @property
    def last(self) -> float | None:
        return self._fine[-1][0] if self._fine else None

    def add(self, snapshot: Snapshot) -> None:
        """Keep a snapshot; the oldest of those kept in full goes to the coarse part, when it is due there."""
        self._fine.append((snapshot.wall, zlib.compress(dump_snapshot(snapshot).encode(), 1)))
        if len(self._fine) <= self._limit:
            return
        oldest = self._fine.pop(0)
        if self._coarse and oldest[0] - self._coarse[-1][0] < self._apart:
            return
        self._coarse.append(oldest)
        if len(self._coarse) > self._limit:
            self._coarse = self._coarse[::2]
            self._apart = 0.9 * (self._coarse[-1][0] - self._coarse[0][0]) / max(1, len(self._coarse) - 1)

    def at(self, wall: float, back: int = 3) -> tuple[Snapshot, ...]:
        """The reading at or before a moment and up to `back` before it, oldest first; empty without any."""
        kept = self._coarse + self._fine
        if not kept:
            return ()
        end = max(1, bisect_right(kept, wall + 1e-6, key=lambda entry: entry[0]))
        return tuple(_unpack(packed for _, packed in kept[max(0, end - 1 - back) : end]))


def _unpack(packed: Iterable[bytes]) -> Iterable[Snapshot]:
    return (load_snapshot(zlib.decompress(item).decode()) for item in packed)
