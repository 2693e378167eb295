"""What a process can be doing, and what it counts. Order is the layout of a board row: append only."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from enum import IntEnum
from typing import Protocol


class Activity(IntEnum):
    """What a process is doing right now; every nanosecond of a process belongs to one."""

    STARTING = 0
    WAIT_INPUT = 1
    WAIT_OUTPUT = 2
    READ = 3
    SLICE = 4
    TOKENISE = 5
    PACK = 6
    LOAD_MODEL = 7
    COPY = 8
    FORWARD = 9
    COPY_BACK = 10
    ASSEMBLE = 11
    WRITE = 12
    COMMIT = 13
    INDEX = 14
    PAUSED = 15
    ENDED = 16


WAITING = frozenset({Activity.WAIT_INPUT, Activity.WAIT_OUTPUT})
IDLE = frozenset({Activity.STARTING, Activity.PAUSED, Activity.ENDED})
BUSY = frozenset(Activity) - WAITING - IDLE


class Counter(IntEnum):
    """Monotonic counters of a process (units in the comment)."""

    ROWS = 0  # chunks done
    TOKENS = 1  # real tokens done
    PADDED_TOKENS = 2  # tokens computed, padding included
    BYTES_READ = 3  # bytes
    BYTES_WRITTEN = 4  # bytes
    BATCHES = 5
    UNITS = 6
    REJECTS = 7  # rows
    CURRENT_UNIT = 8  # unit number now worked on, −1 for none (not monotonic)
    BUDGET = 9  # tokens a batch may hold now (not monotonic)
    BUDGET_CUTS = 10
    FLOPS = 11  # model floating point operations done, in units of 10^6
    DEVICE_NS = 12  # ns the device computed (CUDA events; CPU: time in forward)
    DEVICE_BYTES = 13  # device memory now held by the encoder (not monotonic)
    LAUNCHES = 14  # forwards started
    # Moments of the fit "seconds of a forward = a + b · padded tokens": exact sums, so that windows subtract.
    # A batch that the device took in parts is several forwards (FIT_COUNT, FIT_PADDED below).
    FIT_SQUARES = 15  # Σ padded²
    FIT_US = 16  # Σ µs of device time
    FIT_CROSS = 17  # Σ padded · µs
    PREPARED_TOKENS = 18  # tokens tokenised (a worker counts them before it hands batches on)
    COPY_NS = 19  # ns the device's copy engine took for inputs (overlaps with computing)
    COPY_BACK_NS = 20  # ns the device's copy engine took for results
    FIT_COUNT = 21  # forwards
    FIT_PADDED = 22  # Σ padded
    LONE_US = 23  # µs that a remote request took while no other was under way (the first one)
    FIT_US_SQUARES = 24  # Σ µs² of device time


class Meter(Protocol):
    """Books time to an activity: `with meter.doing(Activity.READ): …`; nested use returns to the outer one."""

    def doing(self, activity: Activity) -> AbstractContextManager[object]: ...

    def add(self, counter: Counter, amount: int) -> None: ...


class NullMeter:
    """A meter that books nothing, for use outside a run."""

    def doing(self, activity: Activity) -> AbstractContextManager[object]:
        return nullcontext()

    def add(self, counter: Counter, amount: int) -> None:
        return None
