"""The simulated engine: keeps a device's time instead of computing; vectors reproducible from the token ids.

It answers "would these CPUs feed a card of that speed?" on any machine, and drives the tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from threading import Event
from time import perf_counter_ns

import numpy as np
from numpy.typing import NDArray

from workbench.core.activity import Activity, Counter, Meter
from workbench.core.errors import DeviceMemoryError
from workbench.encoders.base import EncoderInfo, EncoderSpec, Pending, TokenBatch, Vectors

_BUDGET = 16384
_NS = 1_000_000_000
_MIX = np.uint64(0x9E3779B97F4A7C15)
#: A caller that was woken late hands its next batch on late: so much of it is made up, for so long after waking,
#: so that the mean speed is exact although a sleep may be 15 ms too long (Windows).
_WOKEN_NS = 5_000_000


class SimulatedEncoder:
    """Acts as a device that takes `launch_seconds + padded tokens / tokens_per_second` for a batch.

    Like a card it copies inputs, computes, and copies results at the same time, each in order of arrival; a
    batch computes when its input is there. Copies take their bytes / `copy_bytes_per_second`.

    Options of the spec: `tokens_per_second` (0: no time), `launch_seconds`, `copy_bytes_per_second` (0: no time),
    `memory_tokens` (a batch with more padded tokens is out of memory; 0: never).
    """

    def __init__(self, spec: EncoderSpec) -> None:
        self._spec = spec
        options: Mapping[str, float] = spec.options
        self._rate = options.get("tokens_per_second", 0.0)
        self._launch = options.get("launch_seconds", 0.0)
        self._copy_rate = options.get("copy_bytes_per_second", 0.0)
        self._memory = int(options.get("memory_tokens", 0))
        self._device = _Device()
        self.depth = 3

    def load(self) -> EncoderInfo:
        """Nothing to load."""
        speed = f"{self._rate:,.0f} tokens/s" if self._rate else "no time"
        return EncoderInfo(
            engine="simulated",
            device="simulated",
            device_name=f"simulated device ({speed}, {self._launch:g} s per batch)",
            dtype="fp32",
            model=self._spec.model.name,
            dim=self._spec.model.dim,
            token_budget=self._spec.token_budget or _BUDGET,
            notes=(*self._spec.model.notes, "vectors are made up from the token ids: nothing can be found by meaning"),
        )

    def submit(self, batch: TokenBatch, meter: Meter) -> Pending:
        """Take a batch. Raises DeviceMemoryError when it has more padded tokens than `memory_tokens`."""
        padded = int(batch.lengths.max()) * len(batch.lengths) if len(batch.lengths) else 0
        if self._memory and padded > self._memory:
            raise DeviceMemoryError(f"{padded} tokens do not fit into {self._memory}", where="simulated device")
        with meter.doing(Activity.COPY):
            vectors = token_vectors(batch, self._spec.model.dim, self._spec.model.normalise)
        there = round(batch.ids.nbytes / self._copy_rate * _NS) if self._copy_rate else 0
        back = round(vectors.nbytes / self._copy_rate * _NS) if self._copy_rate else 0
        took = round((self._launch + (padded / self._rate if self._rate else 0.0)) * _NS)
        meter.add(Counter.LAUNCHES, 1)
        meter.add(Counter.COPY_NS, there)
        meter.add(Counter.DEVICE_NS, took)
        meter.add(Counter.COPY_BACK_NS, back)
        return _Waiting(vectors, self._device, self._device.take(there, took, back), meter)

    def close(self) -> None:
        """Nothing to give back."""


@dataclass(frozen=True, slots=True)
class _Moments:
    """`perf_counter_ns` at which a batch's input is there, it is computed, its result is back."""

    copied: int
    computed: int
    done: int


class _Device:
    """Three engines that each work off what they are given without gaps: copy in, compute, copy back."""

    def __init__(self) -> None:
        self._up = self._compute = self._down = 0  # when each has nothing left to do
        self._woken = self._late = 0

    def take(self, there: int, compute: int, back: int) -> _Moments:
        """Append a batch (ns for each engine); returns when it will be through them."""
        now = perf_counter_ns()
        begin = now - self._late if now - self._woken < _WOKEN_NS else now
        self._up = max(self._up, begin) + there
        self._compute = max(self._compute, self._up) + compute
        self._down = max(self._down, self._compute) + back
        return _Moments(self._up, self._compute, self._down)

    def woken(self, due: int) -> None:
        """The caller waited for `due` and is awake again."""
        self._woken = perf_counter_ns()
        self._late = max(0, self._woken - due)


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A batch that is done at a moment of the device's clock."""

    result: Vectors
    device: _Device
    moments: _Moments
    meter: Meter

    def vectors(self) -> Vectors:
        """float32 [rows, dim], once the device's time for it has passed."""
        steps = (
            (Activity.COPY, self.moments.copied), (Activity.FORWARD, self.moments.computed),
            (Activity.COPY_BACK, self.moments.done),
        )
        for activity, moment in steps:
            if moment > perf_counter_ns():
                with self.meter.doing(activity):
                    _sleep_until(moment)
                self.device.woken(moment)
        return self.result


def _sleep_until(moment: int) -> None:
    """Wait until perf_counter_ns() ≥ moment. An event wait is finer than time.sleep on Windows."""
    while (left := moment - perf_counter_ns()) > 0:
        Event().wait(left / _NS)


def token_vectors(batch: TokenBatch, dim: int, normalise: bool = True) -> Vectors:
    """Vectors that depend on a row's token ids alone: float32 [rows, dim].

    The ids of a row are hashed with their positions into 64 bits; the vector's numbers are that hash, mixed
    with the number of the component (splitmix64, Steele et al. 2014), as uniform values in [−1, 1).
    """
    seeds = _row_seeds(batch)
    components = np.arange(1, dim + 1, dtype=np.uint64) * _MIX
    bits = _mix(seeds[:, None] + components[None, :])
    vectors = (bits >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-23) - np.float32(1.0)
    if normalise:
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def _row_seeds(batch: TokenBatch) -> NDArray[np.uint64]:
    """One hash for each row: the sum over its tokens of mix(id, position)."""
    lengths = batch.lengths.astype(np.int64)
    if not len(lengths):
        return np.zeros(0, np.uint64)
    starts = np.cumsum(lengths) - lengths
    position = np.arange(len(batch.ids), dtype=np.int64) - np.repeat(starts, lengths)
    keyed = batch.ids.astype(np.uint64) + (position.astype(np.uint64) << np.uint64(32))
    return np.add.reduceat(_mix(keyed * _MIX), starts)


def _mix(value: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of splitmix64."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))
