"""The sampler: a thread in the parent that reads board, psutil and NVML at a steady rate.

Sampling is reading only: no process of the run is asked, stopped or told anything.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from workbench.core.activity import Activity
from workbench.telemetry.board import Board
from workbench.telemetry.nvml import NvmlLike, open_nvml
from workbench.telemetry.recorder import Recorder
from workbench.telemetry.snapshot import ProcessReading, Progress, RingReading, Snapshot
from workbench.telemetry.system import SystemReader

#: Seconds between two snapshots (4 Hz).
INTERVAL = 0.25
#: Snapshots kept in memory (about 10 kB each): two minutes at 4 Hz, more than any window of the diagnosis.
KEPT = 480


@dataclass(frozen=True, slots=True)
class ProcessSlot:
    """A process of the run and where it counts. `row` is None for the parent, which has no row."""

    stage: str
    index: int
    row: int | None
    pid: int
    alive: bool
    restarts: int = 0


class RunState(Protocol):
    """What the sampler reads a run through; the supervisor is one. All calls come from the sampler's thread."""

    def processes(self) -> tuple[ProcessSlot, ...]: ...

    def board(self) -> Board: ...

    def batches_ring(self) -> RingReading: ...

    def vectors_ring(self) -> RingReading: ...

    def progress(self) -> Progress: ...

    def paused(self) -> bool: ...


Listener = Callable[[Snapshot], None]


class Sampler:
    """Takes a snapshot every `interval` seconds, drift-free, until stopped.

    Args:
        source: the run.
        interval: seconds between snapshots.
        gpus: cards; None opens NVML (or the script named by WORKBENCH_FAKE_NVML).
        listener: called with every snapshot, in the sampler's thread; it must return at once. An
            exception of the listener is kept in `failure` and ends the calls, never the sampling.
        recorder: gets every snapshot before the listener does; closed by `stop`.
    """

    def __init__(
        self, source: RunState, interval: float = INTERVAL, *,
        gpus: NvmlLike | None = None, listener: Listener | None = None,
        recorder: Recorder | None = None, kept: int = KEPT,
    ) -> None:
        self._source, self._interval = source, interval
        self._gpus = open_nvml() if gpus is None else gpus
        self._listener = listener
        self._recorder = recorder
        self._system = SystemReader()
        self._ring: deque[Snapshot] = deque(maxlen=kept)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.failure: BaseException | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._loop, name="sampler", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Take a last snapshot and end the thread. Safe to call twice."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=5.0)
            self._thread = None
        self._gpus.close()
        if self._recorder is not None:
            self._recorder.close()

    def latest(self) -> Snapshot | None:
        """The newest snapshot; None before the first."""
        return self._ring[-1] if self._ring else None

    def window(self, n: int) -> tuple[Snapshot, ...]:
        """The last `n` snapshots, oldest first."""
        return tuple(self._ring)[-n:] if n > 0 else ()  # copying a deque to a tuple does not let go of the GIL

    def sample(self) -> Snapshot:
        """One snapshot now, kept and handed to the listener."""
        snapshot = take(self._source, self._system, self._gpus)
        self._ring.append(snapshot)
        if self._recorder is not None:
            self._recorder.append(snapshot)
        if self._listener is not None:
            try:
                self._listener(snapshot)
            except Exception as error:
                self.failure, self._listener = error, None
        return snapshot

    def _loop(self) -> None:
        due = time.perf_counter()
        while not self._stop.wait(max(0.0, due - time.perf_counter())):
            self._safe_sample()
            due += self._interval
            late = time.perf_counter() - due
            if late > self._interval:  # after a standby or a stalled machine: go on from now, no burst
                due += self._interval * int(late / self._interval)
        self._safe_sample()

    def _safe_sample(self) -> None:
        """A snapshot that fails (a process that just ended, a run being torn down) is one missing."""
        try:
            self.sample()
        except (AttributeError, ValueError, OSError) as error:
            self.failure = error


def take(source: RunState, system: SystemReader, gpus: NvmlLike) -> Snapshot:
    """One snapshot of a run."""
    now = time.perf_counter_ns()
    board, slots = source.board(), source.processes()
    processes = tuple(_process(slot, board, system, now) for slot in slots)
    machine = system.machine()
    ours = sum((p.cpu_percent or 0.0) for p in processes) / 100.0
    run = {p.pid for p in processes}
    others = max(0.0, (machine.cpu_system or 0.0) - ours)
    beside = min(others, system.beside(run, others))
    others -= beside
    foreign = system.foreign(run | system.kin, others)
    return Snapshot(
        time_ns=now,
        wall=time.time(),
        processes=processes,
        batches=source.batches_ring(),
        vectors=source.vectors_ring(),
        cpu_percent=machine.cpu_percent,
        cpu_system=machine.cpu_system,
        memory_used=machine.memory_used,
        memory_total=machine.memory_total,
        gpus=gpus.read(),
        progress=source.progress(),
        paused=source.paused(),
        foreign=foreign.readings,
        cpu_yielding=None if foreign.yielding is None else foreign.yielding * others,
        cpu_beside=beside,
    )


def _process(slot: ProcessSlot, board: Board, system: SystemReader, now: int) -> ProcessReading:
    use = system.process(slot.pid)
    row = None if slot.row is None else board.read(slot.row, now)
    return ProcessReading(
        stage=slot.stage,
        index=slot.index,
        pid=slot.pid,
        alive=slot.alive,
        state=Activity.STARTING if row is None else row.state,
        activity_ns=() if row is None else row.activity_ns,
        counters=() if row is None else row.counters,
        cpu_seconds=use.cpu_seconds,
        cpu_percent=use.cpu_percent,
        rss_bytes=use.rss_bytes,
        restarts=slot.restarts,
        activity_cpu_ns=() if row is None else row.activity_cpu_ns,
    )
