"""CPU and memory through psutil: of the machine, of the run's processes, of programs outside the run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from time import perf_counter

import psutil

from workbench.telemetry.snapshot import ForeignReading

#: Programs outside the run are looked for at most this often (s): listing all processes is the dear part.
_FOREIGN_EVERY = 5.0
#: Our own processes beside the run are looked for at most this often (s); a look takes about 2 ms.
_KIN_EVERY = 1.0
#: Cores that others must use for anybody to be looked for.
_WORTH_A_LOOK = 0.3
#: Windows books the time in which nobody computes to a process of this number (elsewhere it is the kernel's or nobody).
_IDLE_PID = 0
#: Nice values apart from which a program is taken to give way.
_CLEARLY_LOWER = 5


@dataclass(frozen=True, slots=True)
class ProcessUse:
    """One process: CPU seconds since its start, percent of one core since the last reading, bytes."""

    cpu_seconds: float | None
    cpu_percent: float | None
    rss_bytes: int | None


@dataclass(frozen=True, slots=True)
class SystemUse:
    """The machine: percent per logical core, cores in use of those this process may use, memory (bytes)."""

    cpu_percent: tuple[float, ...]
    cpu_system: float | None
    memory_used: int | None
    memory_total: int | None


@dataclass(frozen=True, slots=True)
class ForeignUse:
    """The busiest programs outside the run that do not give way to it, and the share of all foreign CPU that does."""

    readings: tuple[ForeignReading, ...]
    yielding: float | None


NOTHING = ProcessUse(None, None, None)
QUIET = ForeignUse((), None)


class SystemReader:
    """Remembers the reading before, because rates need two."""

    def __init__(self) -> None:
        self._processes: dict[int, psutil.Process] = {}
        self._before: dict[int, tuple[float, float]] = {}  # pid → (clock, CPU seconds)
        self._foreign_at = float("-inf")
        self._foreign = QUIET
        self._foreign_before: dict[int, tuple[float, float]] = {}
        self._kin_at = float("-inf")
        self.kin: frozenset[int] = frozenset()  # pids: what this process started beside the run
        self._allowed = _affinity()
        psutil.cpu_percent(percpu=True)  # the first call only sets psutil's starting point

    def machine(self) -> SystemUse:
        """CPU since the last call; memory now."""
        percent = tuple(psutil.cpu_percent(percpu=True))
        memory = psutil.virtual_memory()
        cores = in_use(percent, self._allowed)
        return SystemUse(percent, cores, int(memory.total - memory.available), int(memory.total))

    def process(self, pid: int) -> ProcessUse:
        """One process of the run; everything None once it is gone."""
        try:
            process = self._processes.get(pid)
            if process is None:
                process = self._processes[pid] = psutil.Process(pid)
            times = process.cpu_times()
            memory = process.memory_info()
        except (psutil.Error, OSError):
            self._processes.pop(pid, None)
            self._before.pop(pid, None)
            return NOTHING
        now, used = perf_counter(), times.user + times.system
        at, before = self._before.get(pid, (now, used))
        self._before[pid] = (now, used)
        percent = 100.0 * (used - before) / (now - at) if now > at else None
        return ProcessUse(used, percent, int(memory.rss))

    def beside(self, run: AbstractSet[int], cores: float) -> float:
        """Cores used by what this process started (at any depth) that is not of the `run`: searches, jobs.

        Looked for, at most every second, while others use `cores` > 0.3 that are not known to be these; what was
        found is read every time. A process counts from its second reading.
        """
        used = self._use_of_kin(run)
        now = perf_counter()
        if cores - used > _WORTH_A_LOOK and now - self._kin_at >= _KIN_EVERY:
            self._kin_at = now
            try:
                found = {child.pid for child in psutil.Process().children(recursive=True)}
            except psutil.Error:  # it ended while it was looked at: the next look tells
                return used
            new = found - run - self.kin
            self.kin = frozenset(found - run)
            for pid in new:
                self.process(pid)
        return used

    def _use_of_kin(self, run: AbstractSet[int]) -> float:
        readings = {pid: self.process(pid) for pid in self.kin - run}
        self.kin = frozenset(pid for pid, reading in readings.items() if reading is not NOTHING)
        return sum(reading.cpu_percent or 0.0 for reading in readings.values()) / 100.0

    def foreign(self, ours: Iterable[int], cores: float) -> ForeignUse:
        """Programs outside the run, looked for while they take `cores` > 0.3 together; at most every 5 s.

        The first look only sets the starting point, so names come with the second.
        """
        now = perf_counter()
        if cores <= _WORTH_A_LOOK:
            self._foreign, self._foreign_before = QUIET, {}
            return QUIET
        if now - self._foreign_at < (_FOREIGN_EVERY if self._foreign.yielding is not None else 1.0):
            return self._foreign
        self._foreign_at = now
        found, seen = [], {}
        skip, ours_nice = {*ours, _IDLE_PID}, _nice(None)
        for process in psutil.process_iter(["name", "cpu_times", "nice"]):
            times = process.info["cpu_times"]  # None: the system does not let us ask
            if process.pid in skip or times is None:
                continue
            used = times.user + times.system
            seen[process.pid] = (now, used)
            at, before = self._foreign_before.get(process.pid, (now, used))
            if now > at and used > before:
                reading = ForeignReading(process.info["name"] or "?", process.pid, (used - before) / (now - at))
                found.append((reading, _gives_way(process.info["nice"], ours_nice)))
        if self._foreign_before:
            self._foreign = _foreign_use(found)
        self._foreign_before = seen
        return self._foreign


def _foreign_use(found: Sequence[tuple[ForeignReading, bool]]) -> ForeignUse:
    whole = sum(reading.cores for reading, _ in found)
    yields = sum(reading.cores for reading, gives_way in found if gives_way)
    in_the_way = [reading for reading, gives_way in found if not gives_way and reading.cores > 0.1]
    return ForeignUse(
        tuple(sorted(in_the_way, key=lambda reading: -reading.cores)[:3]), yields / whole if whole else 0.0
    )


def _nice(pid: int | None) -> int | None:
    try:
        return int(psutil.Process(pid).nice())
    except (psutil.Error, OSError, ValueError):
        return None


def _gives_way(nice: int | None, ours: int | None) -> bool:
    """A program of clearly lower priority runs only when the run leaves it a core (Unix: higher nice value)."""
    if nice is None or ours is None:
        return False
    if psutil.WINDOWS:
        low = (psutil.IDLE_PRIORITY_CLASS, psutil.BELOW_NORMAL_PRIORITY_CLASS)
        return nice in low and ours not in low
    return nice >= ours + _CLEARLY_LOWER


def in_use(percent: Sequence[float], allowed: Sequence[int]) -> float | None:
    """Cores in use (1.7 = one and seven tenths) of those whose numbers are `allowed`; all where none is named.

    `percent`: 0–100 per logical core, by number. Programs on other cores take nothing from this process. Where cores
    are switched off numbers and places differ: then all are added.
    """
    if not percent:
        return None
    named = allowed and max(allowed) < len(percent)
    return sum(percent[number] for number in allowed) / 100.0 if named else sum(percent) / 100.0


def _affinity() -> tuple[int, ...]:
    """Numbers of the logical cores this process may use; empty where the system does not tell (macOS)."""
    try:
        return tuple(psutil.Process().cpu_affinity())
    except (AttributeError, psutil.Error):
        return ()


def cores() -> tuple[int, int]:
    """Physical and logical cores this process may use."""
    logical = psutil.cpu_count(logical=True) or 1
    logical = min(logical, len(_affinity()) or logical)
    physical = psutil.cpu_count(logical=False) or logical
    return min(physical, logical), logical
