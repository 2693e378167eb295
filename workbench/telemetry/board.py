"""The board: a block of shared memory in which every process counts its own work.

One row per process, one writer per row, no locks, no messages: sampling is reading. A row is
int64: pid, state (Activity), since (perf_counter_ns at which the state began), nanoseconds per
activity, counters, CPU nanoseconds per activity. `perf_counter_ns` is one clock for all processes of
a machine on Windows (QPC), Linux (CLOCK_MONOTONIC) and macOS (mach_absolute_time), so a reader may
add the running state.

Why CPU time beside wall time: wall time of an activity grows when the process waits for a core or for
a disk. Only with both can "this needs a core" be told from "this waited for one" and from "this waited
for the disk" (utilisation law: demand is work, not residence).
"""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter_ns, process_time_ns
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from workbench.core.activity import Activity, Counter

_PID, _STATE, _SINCE = 0, 1, 2
_ACTIVITIES = 3
_COUNTERS = _ACTIVITIES + 32  # room for activities to come without moving the counters
_CPU = _COUNTERS + 32
ROW_CELLS = _CPU + 32
ROW_BYTES = ROW_CELLS * 8

Cells = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class RowReading:
    """One process at one moment. Times in ns; wall time of the running state is included, CPU time is not."""

    pid: int
    state: Activity
    activity_ns: tuple[int, ...]  # by Activity
    counters: tuple[int, ...]  # by Counter
    activity_cpu_ns: tuple[int, ...] = ()  # by Activity, all threads of the process


class SpanSink(Protocol):
    """Keeps ended spans for the trace (`telemetry.trace.SpanFile`)."""

    def span(self, begin: int, end: int, activity: int, unit: int, batch: int) -> None:
        """Keep one span: `perf_counter_ns` of begin and end, Activity, unit (−1: none), batches so far."""

    def close(self) -> None:
        """Write what is still held."""


class _Doing:
    """Context of `BoardRow.doing`: a plain class, because a generator costs three times as much."""

    __slots__ = ("_activity", "_before", "_row")

    def __init__(self, row: BoardRow, activity: Activity) -> None:
        self._row, self._activity = row, activity

    def __enter__(self) -> None:
        self._before = self._row.enter(self._activity)

    def __exit__(self, *_: object) -> None:
        self._row.enter(self._before)


class BoardRow:
    """The writing side of one row; satisfies `core.activity.Meter`."""

    def __init__(self, cells: Cells, pid: int, spans: SpanSink | None = None) -> None:
        self._cells = memoryview(cells.data)  # twice as fast as NumPy for single cells
        self._spans = spans
        self._state = Activity.STARTING
        self._since = perf_counter_ns()
        self._cpu = process_time_ns()
        self._cells[_PID] = pid
        self._cells[_STATE] = int(self._state)
        self._cells[_SINCE] = self._since

    def enter(self, activity: Activity) -> Activity:
        """Book the time since the last change to the state that ends now; returns that state."""
        now, cpu = perf_counter_ns(), process_time_ns()
        cells, before, since = self._cells, self._state, self._since
        # A reader between these stores may count the ended state twice for one tick, never lose it.
        cells[_ACTIVITIES + before] += now - since
        cells[_SINCE] = now
        cells[_STATE] = int(activity)
        cells[_CPU + before] += cpu - self._cpu
        self._state, self._since, self._cpu = activity, now, cpu
        if self._spans is not None:
            unit, batch = cells[_COUNTERS + Counter.CURRENT_UNIT], cells[_COUNTERS + Counter.BATCHES]
            self._spans.span(since, now, before, unit, batch)
        return before

    def doing(self, activity: Activity) -> _Doing:
        """Book the body's time to `activity`, then return to the outer one."""
        return _Doing(self, activity)

    def add(self, counter: Counter, amount: int) -> None:
        self._cells[_COUNTERS + counter] += amount

    def value(self, counter: Counter) -> int:
        """What a counter holds now."""
        return self._cells[_COUNTERS + counter]

    def put(self, counter: Counter, value: int) -> None:
        """Set a counter that is not monotonic."""
        self._cells[_COUNTERS + counter] = value

    def close(self) -> None:
        """End the last span, write the trace, let go of the buffer. The row must not be used afterwards."""
        self.enter(Activity.ENDED)
        if self._spans is not None:
            self._spans.close()
            self._spans = None
        self._cells.release()


class Board:
    """All rows over one buffer (shared memory in a run, any bytearray in a test)."""

    def __init__(self, buffer: memoryview | bytearray, rows: int) -> None:
        if len(buffer) < rows * ROW_BYTES:
            raise ValueError(f"a board of {rows} rows needs {rows * ROW_BYTES} bytes, not {len(buffer)}")
        flat: Cells = np.frombuffer(buffer, dtype=np.int64, count=rows * ROW_CELLS)
        self._cells = flat.reshape(rows, ROW_CELLS)
        self.rows = rows

    def row(self, number: int, pid: int, spans: SpanSink | None = None) -> BoardRow:
        """Take over a row for writing; counters of an earlier process in it go on counting."""
        return BoardRow(self._cells[number], pid, spans)

    def read(self, number: int, now_ns: int | None = None) -> RowReading | None:
        """One row as it is now; None when no process has taken it yet."""
        cells = self._cells[number].tolist()
        if cells[_PID] == 0:
            return None
        now = perf_counter_ns() if now_ns is None else now_ns
        state = Activity(cells[_STATE])
        times = cells[_ACTIVITIES : _ACTIVITIES + len(Activity)]
        times[state] += max(0, now - cells[_SINCE])
        counters = cells[_COUNTERS : _COUNTERS + len(Counter)]
        cpu = cells[_CPU : _CPU + len(Activity)]
        return RowReading(cells[_PID], state, tuple(times), tuple(counters), tuple(cpu))

    def release(self) -> None:
        """Let go of the buffer, so that the shared memory under it can be closed."""
        del self._cells
