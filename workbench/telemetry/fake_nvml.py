"""Scripted cards with NVML's interface: for tests, and for machines without a card.

The script is JSON: a list of steps, each `{"seconds": 2.0, "cards": [{"name": …, "utilisation": 99, …}]}` with
the fields of `GpuReading`; what a step leaves out is None, as with a driver that does not tell. Steps follow one
another from the first reading on, the last one stays.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from time import perf_counter
from typing import Any

from workbench.core.errors import UsageError
from workbench.telemetry.snapshot import GpuReading

_FIELDS = frozenset(field.name for field in fields(GpuReading)) - {"index", "scripted"}


@dataclass(frozen=True, slots=True)
class Step:
    """What the cards say for so many seconds."""

    seconds: float
    cards: tuple[GpuReading, ...]


class FakeNvml:
    """Plays steps; satisfies `NvmlLike`.

    Args:
        steps: in order; the last one stays.
        clock: seconds; a test may pass its own.
    """

    def __init__(self, steps: Sequence[Step], clock: Callable[[], float] = perf_counter) -> None:
        self._steps = tuple(steps)
        self._clock = clock
        self._began: float | None = None

    @classmethod
    def from_file(cls, path: Path) -> FakeNvml:
        """Raises UsageError when the script is missing or says what no card can say."""
        try:
            steps = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(steps, list):
                raise TypeError("it must be a list of steps")
            return cls([_step(step) for step in steps])
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise UsageError(
                f"not a script of card readings: {error}", where=str(path),
                remedy="It is a JSON list of {seconds, cards: [{name, utilisation, power, …}]}",
            ) from error

    def read(self) -> tuple[GpuReading, ...]:
        if self._began is None:
            self._began = self._clock()
        left = self._clock() - self._began
        for step in self._steps:
            if left < step.seconds:
                return step.cards
            left -= step.seconds
        return self._steps[-1].cards if self._steps else ()

    def close(self) -> None:
        return None


def card(index: int = 0, name: str = "Fake card", **known: Any) -> GpuReading:
    """A reading in which everything not named is None."""
    values: dict[str, Any] = dict.fromkeys(_FIELDS)
    values.update({"uuid": ""}, **known, name=name)
    return GpuReading(index=index, scripted=True, **values)


def _step(step: Mapping[str, Any]) -> Step:
    cards = []
    for index, values in enumerate(step["cards"]):
        unknown = set(values) - _FIELDS
        if unknown:
            raise ValueError(f"unknown reading {sorted(unknown)[0]!r}")
        known = dict(values)
        if known.get("throttle") is not None:
            known["throttle"] = tuple(known["throttle"])
        cards.append(card(index, **known))
    return Step(float(step.get("seconds", 0.0)), tuple(cards))
