"""Would this machine feed a faster device? From measured worker rates to the workers a device rate needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, inf
from typing import TYPE_CHECKING

from workbench.core.errors import UsageError
from workbench.core.profile import MOST_WORKERS

if TYPE_CHECKING:
    from workbench.diagnose.ceilings import Ceiling


@dataclass(frozen=True, slots=True)
class Feed:
    """What this machine feeds.

    Attributes:
        rates: (workers, tokens/s) as measured, workers rising.
        worker_cpu, other_cpu: CPU seconds per token of a worker; of the writer.
        cores: logical cores.
        feeder_cpu: CPU seconds per token of the processes that feed the devices; 0 where the encoder computes on
            these cores itself: what a device would want of them is not known then.
        feeders: such processes. Each feeds, and waits for its device, on one core.
    """

    rates: tuple[tuple[int, float], ...]
    worker_cpu: float
    other_cpu: float
    cores: int
    feeder_cpu: float = 0.0
    feeders: int = 0

    def fed_by(self, workers: int) -> float:
        """Tokens/s that so many workers prepare while all other processes run too; between measurements linear."""
        return min(_between(self.rates, workers), self.shared)

    @property
    def shared(self) -> float:
        """Tokens/s that the cores allow all processes together.

        A feeder takes `feeder_cpu` of every token until its core is full: waiting for a card may cost a whole core
        at any speed, and what it costs at twice the speed is not twice that.
        """
        rest = self.worker_cpu + self.other_cpu
        if rest <= 0:
            return inf
        return max(self.cores / (rest + self.feeder_cpu), (self.cores - self.feeders) / rest)

    @property
    def most(self) -> float:
        """Tokens/s at the best number of workers measured."""
        return max(self.fed_by(workers) for workers, _ in self.rates)

    def workers_for(self, tokens_per_second: float) -> int | None:
        """The fewest workers that feed a device of that rate; None when this machine cannot."""
        for workers in range(1, self.rates[-1][0] + 1):
            if self.fed_by(workers) >= tokens_per_second:
                return workers
        return None


@dataclass(frozen=True, slots=True)
class Planned:
    """One device rate: the workers it needs (None: more than this machine has) and what it then reaches."""

    label: str
    device: float
    workers: int | None
    reached: float


def feed_of(stages: Sequence[Ceiling], rates: Sequence[Ceiling], cores: int) -> Feed:
    """What this machine feeds, from its stages alone and from workers alone, their number rising."""
    named = {stage.name: stage for stage in stages}
    encoder = named["encoder"]
    feeds = encoder.threads == 0
    return Feed(
        tuple((rate.processes, rate.tokens_per_second) for rate in rates), rates[0].cpu_per_token,
        named["writer"].cpu_per_token, cores,
        encoder.cpu_per_token if feeds else 0.0, encoder.processes if feeds else 0,
    )


def planned(feed: Feed, devices: Sequence[tuple[str, float]]) -> list[Planned]:
    """For each (label, tokens/s): workers needed and throughput reached."""
    return [
        Planned(label, rate, feed.workers_for(rate), min(rate, feed.most)) for label, rate in devices
    ]


def worker_counts(cores: int) -> list[int]:
    """Numbers of workers worth measuring: 1, 2, 4 … and all cores, or as many as a run may have."""
    most = min(max(1, cores), MOST_WORKERS)
    counts = [1]
    while counts[-1] * 2 < most:
        counts.append(counts[-1] * 2)
    return sorted({*counts, most})


def parse_speed(word: str, base: float | None) -> tuple[str, float]:
    """A device speed: `4x` (times `base` tokens/s), `500000`, `500k`, `1.5M` tokens/s.

    Raises UsageError for anything else, or for `4x` without a base.
    """
    text = word.strip()
    scale = {"k": 1e3, "K": 1e3, "m": 1e6, "M": 1e6}.get(text[-1:], 1.0)
    number = text[:-1] if scale != 1.0 or text[-1:] in "xX×" else text
    try:
        value = float(number)
    except ValueError:
        value = -1.0
    if not 0 < value < inf:
        raise UsageError(
            f"{word!r} is no device speed", where="--device-speed", remedy="Write 4x, 500000, 500k or 1.5M (tokens/s)"
        )
    if text[-1:] in "xX×":
        if base is None:
            raise UsageError("4x needs a device to compare with", where="--device-speed", remedy="Give tokens/s")
        return f"{value:g} ×", value * base
    return word, value * scale


def curve(feed: Feed, width: int = 40) -> str:
    """Throughput over the number of workers, as text bars."""
    counts = range(1, feed.rates[-1][0] + 1)
    if len(counts) > 16:
        step = ceil(len(counts) / 16)
        counts = range(1, feed.rates[-1][0] + 1, step)
    most = feed.most
    lines = [
        f"{workers:>3} worker{'s' if workers > 1 else ' '}  {feed.fed_by(workers):>12,.0f} tokens/s  "
        + "█" * max(1, round(width * feed.fed_by(workers) / most))
        for workers in counts
    ]
    return "\n".join(lines)


def _between(rates: Sequence[tuple[int, float]], workers: int) -> float:
    if workers <= rates[0][0]:
        return rates[0][1] * workers / rates[0][0]
    for (low, slow), (high, fast) in pairwise(rates):
        if workers <= high:
            return slow + (fast - slow) * (workers - low) / (high - low)
    return rates[-1][1]
