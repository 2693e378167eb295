"""One immutable reading of a run at one moment, and what stays the same during the run.

A reading that cannot be had is None (shown as "n/a"), never 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from workbench.core.activity import Activity


@dataclass(frozen=True, slots=True)
class ProcessReading:
    """One process of the run.

    Attributes:
        stage: `worker`, `encoder`, `writer` or `parent`.
        index: 0, 1 … inside its stage.
        activity_ns: ns spent per Activity since the run began (restarts included), by Activity value.
        counters: by Counter value.
        cpu_seconds: CPU time used (user + system) since its start.
        cpu_percent: of one core, since the snapshot before.
        rss_bytes: resident memory.
        restarts: how often the process was started again.
        activity_cpu_ns: CPU ns (all threads) per Activity; empty when it was not recorded.
    """

    stage: str
    index: int
    pid: int
    alive: bool
    state: Activity
    activity_ns: tuple[int, ...]
    counters: tuple[int, ...]
    cpu_seconds: float | None
    cpu_percent: float | None
    rss_bytes: int | None
    restarts: int = 0
    activity_cpu_ns: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class GpuReading:
    """One card, as NVML tells it. Percent 0–100, bytes, watts, MHz, °C, bytes/s.

    `scripted`: a script stands for the driver; there is no such card.
    `uuid`: without NVML's prefix, as CUDA tells it; "" = not told.
    """

    index: int
    name: str
    utilisation: float | None
    memory_used: int | None
    memory_total: int | None
    power: float | None
    power_limit: float | None
    sm_clock: int | None
    sm_clock_max: int | None
    temperature: int | None
    throttle: tuple[str, ...] | None  # clock-event reasons now active: "power cap", "thermal" …
    pcie_rx: int | None
    pcie_tx: int | None
    scripted: bool = False
    uuid: str = ""


@dataclass(frozen=True, slots=True)
class ForeignReading:
    """A program outside the run that takes CPU: name, pid, cores in use (1.0 = one core)."""

    name: str
    pid: int
    cores: float


@dataclass(frozen=True, slots=True)
class RingReading:
    """A ring of slots: filled = holding data not yet taken; the rest is free or being written."""

    slots: int
    filled: int
    free: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the run is. `phase`: planning, starting, running, stopping, indexing, ended."""

    phase: str
    units_total: int | None
    units_done: int
    units_resumed: int
    rows_total: int | None
    rows_done: int
    tokens_done: int
    rejects: int
    bytes_total: int
    bytes_done: int
    failures: int = 0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything the screen shows and the diagnosis uses, at one moment.

    Attributes:
        time_ns: `perf_counter_ns` of the reading.
        wall: seconds since 1970 (UTC).
        cpu_percent: per logical core, 0–100.
        cpu_system: CPU of all processes of the machine, in cores (e.g. 1.7).
        cpu_yielding: part of cpu_system that gives way to the run (programs of lower priority), in cores.
        foreign: the busiest programs outside the run; looked for only while there is much such load.
        cpu_beside: part of cpu_system that the workbench itself uses beside the run (searches, jobs), in cores.
    """

    time_ns: int
    wall: float
    processes: tuple[ProcessReading, ...]
    batches: RingReading
    vectors: RingReading
    cpu_percent: tuple[float, ...]
    cpu_system: float | None
    memory_used: int | None
    memory_total: int | None
    gpus: tuple[GpuReading, ...]
    progress: Progress
    paused: bool = False
    foreign: tuple[ForeignReading, ...] = ()
    cpu_yielding: float | None = None
    cpu_beside: float | None = None


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What does not change during a run; written first into a recording.

    Attributes:
        settings: the profile as run, flat ("pipeline.workers" → 4), with automatic values resolved.
        flops_per_token: (a, b): a token of a row of n tokens costs a + b·n floating point operations.
        matrix_flops: measured matrix-product rate of the device (operations/s) in the run's dtype.
    """

    run: str
    title: str
    collection: str
    started: float
    workbench: str
    platform: str
    cores_physical: int
    cores_logical: int
    settings: Mapping[str, str | int | float | bool]
    encoder: Mapping[str, str | int | float] = field(default_factory=dict)
    flops_per_token: tuple[float, float] = (0.0, 0.0)
    matrix_flops: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def devices(self) -> int:
        """Devices that compute, at least 1. Encoders that share one (`auto,auto`) count once."""
        names = [name.strip() for name in str(self.settings.get("encoder.device", "")).split(",") if name.strip()]
        became = str(self.encoder.get("device", ""))
        first = "cuda:0" if became.startswith("cuda") else became  # what `auto` chooses
        return max(1, len({{"auto": first, "cuda": "cuda:0"}.get(name, name) for name in names}))
