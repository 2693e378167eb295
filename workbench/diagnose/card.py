"""The card that an encoder computes on: what its driver told over a window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from workbench.telemetry.snapshot import GpuReading, RunFacts, Snapshot


@dataclass(frozen=True, slots=True)
class CardUse:
    """A card over a window: means; None where the driver did not tell."""

    name: str
    utilisation: float | None
    power: float | None
    power_limit: float | None
    clock: float | None
    clock_max: float | None
    memory_share: float | None
    memory_total: float | None  # bytes
    temperature: float | None
    throttle: tuple[tuple[str, float], ...]  # reason → share of the readings
    pcie: float | None  # bytes/s to the card


def card_use(facts: RunFacts, snapshots: Sequence[Snapshot]) -> CardUse | None:
    """The encoder's card over some snapshots; None without one, or where the driver tells of none."""
    readings: dict[int, list[GpuReading]] = {}
    for reading in (reading for snapshot in snapshots for reading in snapshot.gpus):
        readings.setdefault(reading.index, []).append(reading)
    number = _number(facts, [found[-1] for found in readings.values()])
    return None if number is None else _mean_use(readings[number])


def _number(facts: RunFacts, cards: Sequence[GpuReading]) -> int | None:
    """Which of the driver's cards the encoder computes on.

    CUDA counts cards by speed, and only those it is shown, the driver by slot: so a card is known by its UUID, where
    that is not told (old recordings) by its name. A simulated device has none; a scripted card may stand for it, a
    real one idles beside it.
    """
    if str(facts.encoder.get("engine", facts.settings.get("encoder.engine", ""))) == "simulated":
        return min((card.index for card in cards if card.scripted), default=None)
    device, _, number = str(facts.encoder.get("device", "")).partition(":")
    if device != "cuda":
        return None
    marked = [card.index for card in cards if card.uuid and card.uuid == facts.encoder.get("device_uuid")]
    if marked:
        return marked[0]
    named = [card.index for card in cards if card.name == facts.encoder.get("device_name")]
    wanted = int(number or 0)
    if wanted in (named or [card.index for card in cards]):
        return wanted
    return named[0] if named else None


def _mean_use(readings: Sequence[GpuReading]) -> CardUse:
    def mean(name: str) -> float | None:
        known = [value for value in (getattr(reading, name) for reading in readings) if value is not None]
        return sum(known) / len(known) if known else None

    used, whole = mean("memory_used"), mean("memory_total")
    reasons = [reason for reading in readings for reason in reading.throttle or ()]
    return CardUse(
        name=readings[-1].name,
        utilisation=mean("utilisation"),
        power=mean("power"),
        power_limit=mean("power_limit"),
        clock=mean("sm_clock"),
        clock_max=mean("sm_clock_max"),
        memory_share=used / whole if used is not None and whole else None,
        memory_total=whole,
        temperature=mean("temperature"),
        throttle=tuple((name, reasons.count(name) / len(readings)) for name in dict.fromkeys(reasons)),
        pcie=mean("pcie_rx"),
    )
