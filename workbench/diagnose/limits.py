"""What can limit a run, and the values a verdict is made of."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Limit(str, Enum):
    """The binding resource. The value is what `--json` says; `LABELS` is what people read."""

    READ = "read"
    TOKENISE = "tokenise"
    WORKERS = "workers"
    OVERSUBSCRIBED = "oversubscribed"
    FOREIGN = "foreign"
    RING = "ring"
    COPY = "copy"
    LAUNCH = "launch"
    PADDING = "padding"
    COMPUTE = "compute"
    MEMORY = "memory"
    POWER = "power"
    COPY_BACK = "copy back"
    WRITE = "write"
    INDEX = "index"
    REMOTE = "remote"
    WARMING_UP = "warming up"
    UNKNOWN = "not enough evidence"

    def __str__(self) -> str:
        return str(self.value)


LABELS = {
    Limit.READ: "reading the input",
    Limit.TOKENISE: "slicing and tokenising",
    Limit.WORKERS: "too few workers",
    Limit.OVERSUBSCRIBED: "CPU cores oversubscribed",
    Limit.FOREIGN: "other programs on this machine",
    Limit.RING: "ring too small for bursts",
    Limit.COPY: "copies to the device",
    Limit.LAUNCH: "fixed cost per batch (batches too small)",
    Limit.PADDING: "padding",
    Limit.COMPUTE: "device compute",
    Limit.MEMORY: "device memory",
    Limit.POWER: "power or heat of the card",
    Limit.COPY_BACK: "copies back from the device",
    Limit.WRITE: "writing the collection",
    Limit.INDEX: "building the index",
    Limit.REMOTE: "the remote end",
    Limit.WARMING_UP: "warming up",
    Limit.UNKNOWN: "not enough evidence",
}

#: Limits that name no bottleneck yet.
UNDECIDED = frozenset({Limit.WARMING_UP, Limit.UNKNOWN})


@dataclass(frozen=True, slots=True)
class Change:
    """One change. `key` and `value` fit `--set key=value`; both are empty when no profile key does it."""

    text: str
    key: str = ""
    value: str | int | float = ""
    now: str | int | float = ""


@dataclass(frozen=True, slots=True)
class Utilisation:
    """How well the device is used. Shares 0–1, watts; None where nothing tells.

    Attributes:
        kernels: share of the time in which some kernel ran (NVML). Not "busy well": see mfu.
        mfu: model operations per second ÷ the device's own measured matrix rate in the run's number format.
        padding: share of the computed tokens that is padding.
        power, power_limit: mean watts.
        cpu: cores the run used; foreign: cores that other programs used; cores: logical cores there are.
    """

    kernels: float | None = None
    mfu: float | None = None
    padding: float | None = None
    power: float | None = None
    power_limit: float | None = None
    cpu: float | None = None
    foreign: float | None = None
    cores: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What limits a run, on which evidence, which change would help, by how much.

    Attributes:
        stage: `worker`, `encoder`, `writer`, `machine` or "" and, after a colon, the activity that weighs most.
        tokens_per_second: measured over the steady part; predicted_tokens_per_second: after the change.
        next_limit: what binds after the change, "" when nothing is changed.
        confidence: 0–1: agreement of the windows times steadiness of the rate.
        healthy: the device sets the pace and no change of ours promises more.
        bounds: tokens/s that each resource allows.
    """

    limit: Limit
    stage: str = ""
    headline: str = ""
    evidence: tuple[str, ...] = ()
    change: Change | None = None
    tokens_per_second: float = 0.0
    predicted_tokens_per_second: float | None = None
    next_limit: str = ""
    confidence: float = 0.0
    utilisation: Utilisation = Utilisation()
    healthy: bool = False
    bounds: tuple[tuple[str, float], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def decided(self) -> bool:
        return self.limit not in UNDECIDED

    def as_json(self) -> dict[str, object]:
        """The fields that `--json` prints."""
        change = self.change
        return {
            "limit": str(self.limit),
            "label": LABELS[self.limit],
            "stage": self.stage,
            "healthy": self.healthy,
            "headline": self.headline,
            "evidence": list(self.evidence),
            "change": None if change is None else {
                "key": change.key or None, "value": change.value if change.key else None, "text": change.text,
            },
            "tokens_per_second": round(self.tokens_per_second, 1),
            "predicted_tokens_per_second": (
                None if self.predicted_tokens_per_second is None else round(self.predicted_tokens_per_second, 1)
            ),
            "next_limit": self.next_limit or None,
            "confidence": round(self.confidence, 2),
            "utilisation": {name: getattr(self.utilisation, name) for name in Utilisation.__slots__},
            "bounds": {name: round(bound, 1) for name, bound in self.bounds},
            "notes": list(self.notes),
        }
