"""The model of a run: what a token costs each stage, and the throughput each resource allows.

Operational analysis (Denning & Buzen, "The Operational Analysis of Queueing Network Models", ACM Computing
Surveys 10(3), 1978): from measured busy time B and completed work C the service demand is D = B / C, and a
stage with N servers allows at most X ≤ N / D (utilisation law, asymptotic bounds). All stages share the CPU
cores, so that X ≤ (cores − foreign load) / Σ CPU seconds per token as well (module `cores`: what
hyperthreads count there). tf.data's and Plumber's pipeline analysis (Kuchnik et al., MLSys 2022) use the same
bounds for input pipelines.

Wall time of an activity is work + waiting for a core + waiting for a disk. Work on the CPU is measured by the
CPU clock; what activities that never wait for a disk took longer than their CPU time is waiting for a core,
and only what remains is waiting for the disk.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from workbench.core.activity import BUSY, Activity, Counter
from workbench.diagnose.cores import Cores, cores_of
from workbench.diagnose.evidence import BatchFit, Evidence, StageUse

#: Activities of a worker or writer that need nothing but a core.
_PURE_CPU = (Activity.SLICE, Activity.TOKENISE, Activity.PACK)
#: Exponent of the smooth minimum: two equal bounds give 2^(−1/p) of one, because finite rings cannot
#: smooth everything out. Calibrated by benchmarks/diagnosis.py.
_SHARPNESS = 14.0
#: Cores that sampling takes, at most: a few milliseconds four times a second.
_PARENT_CORES = 0.02
#: Share of the cores in use from which on a process has to wait for one.
_TAKEN = 0.85
#: A host that waits for its device by asking again and again looks as busy as the device, and hardly busier.
_ASKING = 1.1
_PARTS = sorted(BUSY)


@dataclass(frozen=True, slots=True)
class Demand:
    """A stage: `servers` processes, `seconds` of service per token each, of which `parts` by activity.

    `cpu`: CPU seconds per token (all threads); `blocked`: seconds per token not on a core, by activity.
    `parallel`: the parts are engines that work at the same time (copy, compute, copy back, the host that feeds
    them), so that the slowest sets the pace, not their sum.
    """

    servers: int
    parts: dict[Activity, float]
    blocked: dict[Activity, float]
    cpu: float
    parallel: bool = False

    @property
    def seconds(self) -> float:
        return max(self.parts.values(), default=0.0) if self.parallel else sum(self.parts.values())

    @property
    def weightiest(self) -> Activity | None:
        """The activity that most of the demand goes to."""
        return max(self.parts, key=lambda activity: self.parts[activity]) if self.parts else None

    @property
    def bound(self) -> float:
        """Tokens/s that the stage allows; infinite when it did nothing."""
        return self.servers / self.seconds if self.seconds > 0 else float("inf")

    def part(self, *activities: Activity) -> float:
        """Share of the demand (0–1) that some activities make up."""
        return sum(self.parts.get(a, 0.0) for a in activities) / self.seconds if self.seconds > 0 else 0.0

    def without_blocking(self, activity: Activity) -> Demand:
        """The same stage when an activity never had to wait for its disk."""
        parts = {**self.parts, activity: self.parts.get(activity, 0.0) - self.blocked.get(activity, 0.0)}
        return replace(self, parts=parts, blocked={**self.blocked, activity: 0.0})

    def scaled(self, activity: Activity, factor: float) -> Demand:
        """The same stage when an activity takes `factor` of its time, CPU included."""
        old = self.parts.get(activity, 0.0)
        on_cpu = max(0.0, old - self.blocked.get(activity, 0.0))
        parts = {**self.parts, activity: old * factor}
        blocked = {**self.blocked, activity: self.blocked.get(activity, 0.0) * factor}
        return replace(self, parts=parts, blocked=blocked, cpu=max(0.0, self.cpu - on_cpu * (1.0 - factor)))


@dataclass(frozen=True, slots=True)
class Model:
    """Everything the bounds need.

    Attributes:
        slow: wall time ÷ CPU time of activities that only need a core (1 = nobody waits for a core).
        parent_cpu: CPU seconds per token of the parent (supervisor, sampler, screen).
        fixed: cores that the workbench uses whatever the throughput is (sampling, searches beside the run).
        capacity: CPU seconds a second of all cores together, hyperthreads at what they are worth.
        spare: of these, what is left to the pipeline.
    """

    worker: Demand
    encoder: Demand
    writer: Demand
    parent_cpu: float
    hardware: Cores
    capacity: float
    foreign: float
    slow: float
    on_cpu: bool  # the encoder computes on this machine's cores
    threads: float  # threads of the encoder (cores it can use)
    fit: BatchFit | None
    fixed: float = 0.0

    @property
    def cores(self) -> float:
        """Logical cores."""
        return float(self.hardware.logical)

    @property
    def cpu(self) -> float:
        """CPU seconds per token, all processes of the run."""
        return self.worker.cpu + self.encoder.cpu + self.writer.cpu + self.parent_cpu

    @property
    def spare(self) -> float:
        return max(0.05 * self.cores, self.capacity - self.foreign - self.fixed)

    def bounds(self) -> dict[str, float]:
        """Tokens/s that each resource allows."""
        return {
            "worker": self.worker.bound,
            "encoder": self.encoder.bound,
            "writer": self.writer.bound,
            "cpu": self.spare / self.cpu if self.cpu > 0 else float("inf"),
            "parent": 1.0 / self.parent_cpu if self.parent_cpu > 0 else float("inf"),
        }

    def lowest(self) -> tuple[str, float]:
        """The binding resource and its bound."""
        bounds = self.bounds()
        name = min(bounds, key=lambda one: bounds[one])
        return name, bounds[name]

    def expected(self) -> float:
        """Throughput expected of a pipeline with these bounds (tokens/s): their smooth minimum."""
        finite = [bound for bound in self.bounds().values() if bound < float("inf")]
        if not finite:
            return 0.0
        low = min(finite)
        crowding: float = sum(((low / bound) ** _SHARPNESS for bound in finite), 0.0)
        return float(low * crowding ** (-1.0 / _SHARPNESS))


def build(evidence: Evidence, threads: float, device: str) -> Model:
    """The model of a window.

    `threads`: CPU threads of the encoder as set, 0 when not known; `device`: as the encoder names it ("cpu",
    "cuda:0", "remote" …), empty when not known.
    """
    slow = _slowness(evidence)
    encoder = evidence.encoder
    kept_busy = _kept_busy(encoder)
    on_cpu = device.startswith("cpu") if device else kept_busy > 0.5
    asks = kept_busy > 0.5 and device != "remote"  # what sends requests waits asleep, and works while it does
    width = threads or max(1.0, kept_busy) if on_cpu else 1.0
    tokens = max(1, evidence.tokens)
    parent = (evidence.parent_cpu or 0.0) / evidence.seconds if evidence.seconds > 0 else 0.0
    steady = min(parent, _PARENT_CORES)
    hardware = cores_of(evidence.cores, evidence.cores_physical)
    return Model(
        worker=_warm(_single(evidence.worker, slow, max(1, evidence.worker.tokens), tokens), evidence, slow),
        encoder=_encoder(encoder, slow, width, tokens) if on_cpu else _device(encoder, tokens, asks=asks),
        writer=_single(evidence.writer, slow, tokens, tokens),
        parent_cpu=(parent - steady) * evidence.seconds / tokens,
        hardware=hardware,
        capacity=hardware.capacity(evidence.cpu_system or evidence.cpu_own or 0.0),
        foreign=evidence.cpu_foreign,
        fixed=steady + evidence.cpu_beside,
        slow=slow,
        on_cpu=on_cpu,
        threads=width,
        fit=evidence.fit,
    )


def _kept_busy(encoder: StageUse) -> float:
    """Cores that the encoder kept busy while it computed or waited for its device."""
    wall = encoder.wall[Activity.FORWARD]
    return encoder.cpu[Activity.FORWARD] / wall if wall > 0.0 else 0.0


def _warm(worker: Demand, evidence: Evidence, slow: float) -> Demand:
    """What workers that now mostly wait will need when they are busy: processes that sleep compute cold.

    Seen in benchmarks/diagnosis.py: at 5 % of a core a token takes up to 1.9 times, at 11 % 1.4 times, above 30 % no
    more than the CPU time it takes on a busy core. Part of that is batches being small, so less is taken off.
    Where all cores are taken, waiting for one (`slow`) is no sleep: the stage is as fast as it gets.
    """
    taken = (evidence.cpu_system or 0.0) >= _TAKEN * evidence.cores
    whole = sum(evidence.worker.wall)
    busy = (slow if taken else 1.0) * sum(evidence.worker.cpu[activity] for activity in _PARTS)
    if whole <= 0 or busy <= 0:
        return worker
    factor = 1.0 / (1.0 + min(0.45, max(0.0, 0.05 * whole / busy - 0.15)))
    parts = {
        a: worker.blocked.get(a, 0.0) + factor * (s - worker.blocked.get(a, 0.0)) for a, s in worker.parts.items()
    }
    return replace(worker, parts=parts, cpu=factor * worker.cpu)


def _slowness(evidence: Evidence) -> float:
    """How much longer than its CPU time an activity takes that only needs a core."""
    wall = sum(evidence.worker.wall[a] for a in _PURE_CPU)
    cpu = sum(evidence.worker.cpu[a] for a in _PURE_CPU)
    if cpu < 0.2:
        wall += evidence.writer.wall[Activity.ASSEMBLE]
        cpu += evidence.writer.cpu[Activity.ASSEMBLE]
    return max(1.0, wall / cpu) if cpu >= 0.05 else 1.0


def _single(use: StageUse, slow: float, tokens: int, system_tokens: int) -> Demand:
    """A stage whose processes compute in one thread each."""
    parts, blocked = {}, {}
    for activity in _PARTS:
        wall, cpu = use.wall[activity], use.cpu[activity]
        if wall <= 0.0:
            continue
        if not any(use.cpu):  # not recorded: take the wall time as it is
            parts[activity], blocked[activity] = wall / tokens, 0.0
            continue
        waits = 0.0 if activity in _PURE_CPU else max(0.0, wall - cpu * slow)
        parts[activity], blocked[activity] = (min(cpu, wall) + waits) / tokens, waits / tokens
    booked = sum(use.cpu[a] for a in _PARTS) / tokens
    counted = (use.cpu_seconds or 0.0) / system_tokens
    return Demand(use.servers, parts, blocked, booked if booked > 0 else counted)


def _encoder(use: StageUse, slow: float, width: float, tokens: int) -> Demand:
    """An encoder that computes with `width` threads on the machine's cores.

    It may be waited for longer than it computes: threads that each compute a part of a batch end one after another,
    and where a second batch is there, they go on with it at once.
    """
    parts = {}
    for activity in _PARTS:
        wall, cpu = use.wall[activity], use.cpu[activity]
        if wall > 0.0:
            counted = use.counts[Counter.DEVICE_NS] / 1e9 if activity is Activity.FORWARD else 0.0
            took = min(wall, counted) if counted else wall
            parts[activity] = max(min(cpu / width, wall), took / slow) / tokens
    return Demand(use.servers, parts, {}, _cpu_of(use, tokens))


def _device(use: StageUse, tokens: int, *, asks: bool) -> Demand:
    """An encoder that feeds a device: what the device's engines took, else the time it was waited for.

    `asks`: its host waits by asking again and again whether the device is done.
    """
    cpu = _cpu_of(use, tokens)
    engines = {
        Activity.COPY: Counter.COPY_NS, Activity.FORWARD: Counter.DEVICE_NS, Activity.COPY_BACK: Counter.COPY_BACK_NS,
    }
    if use.counts[Counter.DEVICE_NS]:
        parts = {activity: use.counts[counter] / 1e9 / tokens for activity, counter in engines.items()}
        host = _feeding(cpu, max(parts.values()), asks=asks)
        return Demand(use.servers, {**parts, Activity.ASSEMBLE: host}, dict(parts), cpu, parallel=True)
    parts = {a: use.wall[a] / tokens for a in _PARTS if use.wall[a] > 0.0}
    return Demand(use.servers, parts, dict(parts), cpu)


def _feeding(cpu: float, slowest: float, *, asks: bool) -> float:
    """CPU seconds per token that feed a device whose slowest engine takes `slowest`.

    A host that `asks` again and again whether the device is done burns a core exactly as long as the device works:
    that is waiting, and no engine of its own unless the host is clearly busier than the device.
    """
    return min(cpu, slowest) if asks and cpu <= _ASKING * slowest else cpu


def _cpu_of(use: StageUse, tokens: int) -> float:
    booked = sum(use.cpu)
    return max(booked, use.cpu_seconds or 0.0) / tokens


def padded_per_token(evidence: Evidence) -> float:
    """Padded tokens computed per real token."""
    real = evidence.encoder.counts[Counter.TOKENS]
    return evidence.encoder.counts[Counter.PADDED_TOKENS] / real if real else 1.0
