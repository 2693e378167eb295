"""A run on paper: costs per token in, snapshots out. Throughput follows from the costs by the bounds alone.

It knows nothing of the diagnosis: a `Cost` says what a stage would need alone, `play` works out how fast the
pipeline then goes, how long everybody waits and what the counters show.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from workbench.core.activity import Activity, Counter
from workbench.telemetry.snapshot import (
    GpuReading,
    ProcessReading,
    Progress,
    RingReading,
    RunFacts,
    Snapshot,
)

A = Activity

#: What a second thread adds to its core.
SIBLING = 0.25


@dataclass(frozen=True)
class Cost:
    """Seconds per token of one process: on a core, and blocked on something else."""

    cpu: float = 0.0
    blocked: float = 0.0

    @property
    def wall(self) -> float:
        return self.cpu + self.blocked


@dataclass(frozen=True)
class World:
    """A machine, a pipeline, and what a token costs where."""

    worker: dict[Activity, Cost] = field(
        default_factory=lambda: {A.READ: Cost(1e-7), A.SLICE: Cost(1e-7), A.TOKENISE: Cost(1e-6), A.PACK: Cost(1e-7)}
    )
    encoder: dict[Activity, Cost] = field(
        default_factory=lambda: {A.COPY: Cost(1e-8), A.FORWARD: Cost(0.0, 1e-6), A.COPY_BACK: Cost(1e-8)}
    )
    writer: dict[Activity, Cost] = field(default_factory=lambda: {A.ASSEMBLE: Cost(2e-8), A.COMMIT: Cost(2e-8, 2e-8)})
    workers: int = 2
    cores: int = 8
    physical: int = 0  # cores that run two threads each; 0: every one of `cores` is whole
    foreign: float = 0.0
    padded: float = 1.02
    batch: int = 8000  # padded tokens
    row: float = 100.0  # tokens
    launch: float = 0.0  # seconds per batch, part of FORWARD
    smooth: float = 1.0  # what small rings leave of the throughput
    threads: int = 0
    whole: bool = False  # the encoder counts batches when they are done, not parts of them
    budget: int = 16384
    cuts: int = 0
    held: int = 0  # bytes of the card's memory
    engine: str = "simulated"
    device: str = ""  # as the encoder names it; empty: follows from the engine
    gpu: GpuReading | None = None
    beside: tuple[GpuReading, ...] = ()  # other cards of the machine
    settings: dict[str, str | int | float | bool] = field(default_factory=dict)

    def forward(self) -> Cost:
        cost = self.encoder[A.FORWARD]
        return replace(cost, blocked=cost.blocked * self.padded + self.launch * self.padded / self.batch)

    def encoder_costs(self) -> dict[Activity, Cost]:
        return {**self.encoder, A.FORWARD: self.forward()}

    def named_device(self) -> str:
        return self.device or {"torch": "cpu"}.get(self.engine, self.engine)

    def cpu_per_token(self) -> float:
        stages = (self.worker, self.encoder_costs(), self.writer)
        return sum(cost.cpu for stage in stages for cost in stage.values())

    def alone(self) -> dict[str, float]:
        """What each stage allows with all cores to itself."""
        width = max(1, self.threads)
        encoder = sum(c.cpu / width + c.blocked for c in self.encoder_costs().values())
        return {
            "worker": self.workers / sum(c.wall for c in self.worker.values()),
            "encoder": 1.0 / encoder,
            "writer": 1.0 / sum(c.wall for c in self.writer.values()),
            "cpu": (self.cores - self.foreign) / self.cpu_per_token(),
        }

    def throughput(self) -> float:
        return min(self.settled().alone().values()) * self.smooth

    def settled(self) -> World:
        """The same world as its clocks show it once threads that share a core slow one another down."""
        world = self
        for _ in range(100 if self.physical else 0):
            busy = world.foreign + min(world.alone().values()) * world.smooth * world.cpu_per_token()
            stretch = busy / (self.physical + SIBLING * (busy - self.physical)) if busy > self.physical else 1.0
            world = replace(
                self, worker=_stretched(self.worker, stretch), encoder=_stretched(self.encoder, stretch),
                writer=_stretched(self.writer, stretch),
            )
        return world


def _stretched(costs: dict[Activity, Cost], factor: float) -> dict[Activity, Cost]:
    return {activity: Cost(factor * cost.cpu, cost.blocked) for activity, cost in costs.items()}


def facts(world: World) -> RunFacts:
    settings: dict[str, str | int | float | bool] = {
        "encoder.engine": world.engine, "encoder.token_budget": world.budget, "pipeline.workers": world.workers,
        "pipeline.slots": 8, "pipeline.vector_slots": 4, "pipeline.batching": "tokens",
        "source.unit_rows": 4000, "encoder.threads": world.threads, "encoder.dim": 384, "index.kind": "auto",
    }
    settings.update(world.settings)
    return RunFacts(
        run="r", title="t", collection="c", started=0.0, workbench="0", platform="test",
        cores_physical=world.physical or world.cores, cores_logical=world.cores, settings=settings,
        encoder={"engine": world.engine, "device": world.named_device()},
    )


def play(world: World, seconds: float = 20.0, interval: float = 0.25, *, ended: bool = True) -> list[Snapshot]:
    """Snapshots of a run of so many seconds; the first second is the start-up."""
    count, world = int(seconds / interval) + 1, world.settled()
    return [_snapshot(world, i * interval, last=ended and i == count - 1) for i in range(count)]


def _snapshot(world: World, at: float, *, last: bool) -> Snapshot:
    work = max(0.0, at - 1.0)
    bounds = world.alone()
    rate = min(bounds.values()) * world.smooth
    tokens = rate * work
    contended = bounds["cpu"] <= min(bounds.values()) * 1.0001
    slow = _slowness(world, rate / world.smooth) if contended else 1.0
    processes = [
        _worker(world, i, tokens / world.workers, work, slow, at) for i in range(world.workers)
    ] + [_encoder(world, tokens, work, slow, at), _writer(world, tokens, work, slow, at)]
    own = rate * world.cpu_per_token() if work else 0.0
    fill = 0 if bounds["encoder"] > rate * 1.02 else 8
    return Snapshot(
        time_ns=int(at * 1e9), wall=at, processes=tuple(processes), batches=RingReading(8, fill, 8 - fill),
        vectors=RingReading(4, 0, 4), cpu_percent=(), cpu_system=min(world.cores, own + world.foreign),
        memory_used=None, memory_total=None, gpus=(() if world.gpu is None else (world.gpu,)) + world.beside,
        progress=Progress(
            "ended" if last else "running" if work else "starting", 100, 0, 0, None, int(tokens / world.row),
            int(tokens), 0, 0, 0,
        ),
    )


def _slowness(world: World, rate: float) -> float:
    """With all cores taken, a single-threaded stage stretches until the binding one is never idle."""
    alone = sum(c.wall for c in world.worker.values())
    return max(1.0, world.workers / (rate * alone))


def _times(
    costs: dict[Activity, Cost], tokens: float, work: float, slow: float, wait: Activity
) -> tuple[list[int], list[int]]:
    wall, cpu = [0] * len(Activity), [0] * len(Activity)
    for activity, cost in costs.items():
        wall[activity] = int((cost.cpu * slow + cost.blocked) * tokens * 1e9)
        cpu[activity] = int(cost.cpu * tokens * 1e9)
    wall[wait] = max(0, int(work * 1e9) - sum(wall))
    return wall, cpu


def _reading(
    stage: str, index: int, wall: list[int], cpu: list[int], counts: dict[Counter, float]
) -> ProcessReading:
    counters = [int(counts.get(counter, 0)) for counter in Counter]
    return ProcessReading(
        stage, index, 100 + index, True, A.WAIT_INPUT, tuple(wall), tuple(counters), sum(cpu) / 1e9, 50.0, 10**8, 0,
        tuple(cpu),
    )


def _worker(world: World, index: int, tokens: float, work: float, slow: float, at: float) -> ProcessReading:
    wall, cpu = _times(world.worker, tokens, work, slow, A.WAIT_OUTPUT)
    return _reading("worker", index, wall, cpu, {
        Counter.TOKENS: tokens, Counter.PREPARED_TOKENS: tokens, Counter.UNITS: tokens // 400_000,
        Counter.BATCHES: tokens * world.padded / world.batch, Counter.ROWS: tokens / world.row,
    })


def _encoder(world: World, tokens: float, work: float, slow: float, at: float) -> ProcessReading:
    width = max(1, world.threads)
    costs = {a: Cost(c.cpu / width, c.blocked) for a, c in world.encoder_costs().items()}
    wall, cpu = _times(costs, tokens, work, slow if world.threads else 1.0, A.WAIT_INPUT)
    cpu = [value * width for value in cpu]
    n = tokens * world.padded / world.batch
    if world.whole:
        n = float(int(n))
        tokens = n * world.batch / world.padded
    padded = tokens * world.padded
    forward = world.forward()
    per_token = (forward.cpu / width + forward.blocked - world.launch * world.padded / world.batch) / world.padded
    # Half of the batches are half as large, half half as large again: mean `batch`, variance batch² / 4.
    squares = n * 1.25 * world.batch**2
    us = n * world.launch * 1e6 + padded * per_token * 1e6
    cross = padded * world.launch * 1e6 + squares * per_token * 1e6
    us_squares = (n * world.launch**2 + 2 * world.launch * per_token * padded + per_token**2 * squares) * 1e12
    return _reading("encoder", 0, wall, cpu, {
        Counter.TOKENS: tokens, Counter.PADDED_TOKENS: padded, Counter.BATCHES: n, Counter.ROWS: tokens / world.row,
        Counter.FIT_COUNT: n, Counter.FIT_PADDED: padded, Counter.FIT_SQUARES: squares, Counter.FIT_US: us,
        Counter.FIT_CROSS: cross, Counter.FIT_US_SQUARES: us_squares,
        Counter.BUDGET: world.budget, Counter.BUDGET_CUTS: world.cuts,
        Counter.DEVICE_BYTES: world.held, **_engines(world, wall),
    })


def _engines(world: World, wall: list[int]) -> dict[Counter, float]:
    """A card tells by its own clock how long its engines worked."""
    if not world.named_device().startswith("cuda"):
        return {}
    return {
        Counter.COPY_NS: wall[A.COPY], Counter.DEVICE_NS: wall[A.FORWARD], Counter.COPY_BACK_NS: wall[A.COPY_BACK],
    }


def _writer(world: World, tokens: float, work: float, slow: float, at: float) -> ProcessReading:
    wall, cpu = _times(world.writer, tokens, work, slow, A.WAIT_INPUT)
    return _reading("writer", 0, wall, cpu, {Counter.TOKENS: tokens, Counter.ROWS: tokens / world.row})
