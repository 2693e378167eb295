"""Which part of a run the diagnosis looks at: after the pipeline has filled, before its input ends."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.core.activity import Counter
from workbench.telemetry.snapshot import ProcessReading, Snapshot

#: Seconds after the first batch that are left out: first allocations, kernels being chosen.
SETTLE = 0.5
#: Up to so many batches, whether one more or less falls into the time looked at changes the rate visibly.
_FEW = 24


def count(process: ProcessReading, counter: Counter) -> int:
    """A counter, 0 where the recording does not have it."""
    return process.counters[counter] if len(process.counters) > counter else 0


def total(snapshot: Snapshot, stage: str, counter: Counter) -> int:
    """A counter summed over the processes of a stage."""
    return sum(count(process, counter) for process in snapshot.processes if process.stage == stage)


def steady(snapshots: Sequence[Snapshot]) -> tuple[Snapshot, ...]:
    """The snapshots between the first batch (plus `SETTLE`) and the moment the first worker ran out of input.

    Pauses are cut out: the longest stretch without one is taken. Where batches are few it begins and ends with the
    end of one, so that tokens and time belong together.
    """
    running = [s for s in snapshots if s.progress.phase == "running" and total(s, "encoder", Counter.BATCHES)]
    stretch = _longest_unpaused(running)
    if len(stretch) < 3:
        return tuple(stretch)
    begin = 0
    if stretch[0] is running[0]:
        begin = 0 if _few(stretch) else _after(stretch, stretch[0].time_ns + int(SETTLE * 1e9))
        begin = _filled(stretch, begin)
    part = tuple(stretch[begin : _before_tail(stretch) + 1])
    # The first batch ended just then only where a moment before it was seen: not in a look at the last seconds.
    starts = begin == 0 and stretch[0] is running[0] and running[0] is not snapshots[0]
    return _whole_batches(part, starts=starts) if _few(part) else part


def _few(part: Sequence[Snapshot]) -> bool:
    return total(part[-1], "encoder", Counter.BATCHES) - total(part[0], "encoder", Counter.BATCHES) <= _FEW


def _whole_batches(part: tuple[Snapshot, ...], *, starts: bool) -> tuple[Snapshot, ...]:
    """From the end of a batch to the end of another; `starts`: the first snapshot is the end of one."""
    done = [total(s, "encoder", Counter.BATCHES) for s in part]
    ends = [0] * starts + [i for i in range(1, len(part)) if done[i] > done[i - 1]]
    return part[ends[0] : ends[-1] + 1] if len(ends) > 1 else part


def _longest_unpaused(snapshots: Sequence[Snapshot]) -> list[Snapshot]:
    best: list[Snapshot] = []
    now: list[Snapshot] = []
    for snapshot in snapshots:
        if snapshot.paused:
            now = []
        else:
            now.append(snapshot)
        if len(now) >= len(best):
            best = now
    return best


def _after(snapshots: Sequence[Snapshot], time_ns: int) -> int:
    late = [i for i, s in enumerate(snapshots) if s.time_ns >= time_ns]
    return min(late[0], len(snapshots) // 5) if late else 0


def _filled(snapshots: Sequence[Snapshot], begin: int) -> int:
    """The first snapshot at which every worker has handed on a batch, if that is in the first third."""
    for i in range(begin, len(snapshots) // 3):
        workers = [p for p in snapshots[i].processes if p.stage == "worker"]
        if all(count(p, Counter.BATCHES) for p in workers):
            return i
    return begin


def _before_tail(snapshots: Sequence[Snapshot]) -> int:
    """Index of the last snapshot at which every worker was still to hand on more (or the last one did)."""
    last: list[int] = []
    for worker in (p for p in snapshots[-1].processes if p.stage == "worker"):
        final = count(worker, Counter.TOKENS)
        moving = [i for i, s in enumerate(snapshots) if _of(s, worker.index) < final]
        last.append(moving[-1] if moving else 0)
    if not last:
        return len(snapshots) - 1
    first, end = min(last), max(last)
    chosen = first if first >= 0.6 * end else end
    return min(chosen + 1, len(snapshots) - 1) if chosen > 1 else len(snapshots) - 1


def _of(snapshot: Snapshot, worker: int) -> int:
    return sum(
        count(p, Counter.TOKENS) for p in snapshot.processes if p.stage == "worker" and p.index == worker
    )
