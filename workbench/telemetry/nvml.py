"""Graphics cards through NVML. What a card or driver does not tell is None: WDDM hides much.

`pynvml` is imported when the first card is asked for, so that a machine without a driver pays nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, TypeVar

from workbench.telemetry.snapshot import GpuReading

#: Names a file with scripted readings that take the place of NVML (demonstrations, injected cases).
FAKE_VARIABLE = "WORKBENCH_FAKE_NVML"

#: Clock-event reasons worth telling (nvml.h, nvmlClocksEventReasons…), as people call them.
_REASONS = {
    0x0000000000000004: "power cap",
    0x0000000000000008: "hardware slowdown",
    0x0000000000000020: "thermal",  # software thermal slowdown
    0x0000000000000040: "thermal",  # hardware thermal slowdown
    0x0000000000000080: "power brake",
}

T = TypeVar("T")


class NvmlLike(Protocol):
    """Reads all cards of the machine."""

    def read(self) -> tuple[GpuReading, ...]:
        """One reading per card, in NVML's order; never raises."""

    def close(self) -> None:
        """Give the driver's library back."""


class NoCards:
    """A machine without NVML: no card, no reading."""

    def read(self) -> tuple[GpuReading, ...]:
        return ()

    def close(self) -> None:
        return None


class Nvml:
    """NVML through `pynvml`."""

    def __init__(self, library: Any) -> None:
        self._nvml = library
        count = int(library.nvmlDeviceGetCount())
        self._cards = [library.nvmlDeviceGetHandleByIndex(index) for index in range(count)]
        self._names = [self._name(card) for card in self._cards]
        self._uuids = [self._uuid(card) for card in self._cards]

    def read(self) -> tuple[GpuReading, ...]:
        return tuple(self._read_card(index, card) for index, card in enumerate(self._cards))

    def close(self) -> None:
        with suppress(Exception):
            self._nvml.nvmlShutdown()

    def _ask(self, question: Callable[[], T]) -> T | None:
        """An answer, or None for whatever the driver does not support."""
        try:
            return question()
        except Exception:  # NVMLError has a class per code; an unknown answer is None whatever its cause
            return None

    def _read_card(self, index: int, card: Any) -> GpuReading:
        n = self._nvml
        rates = self._ask(lambda: n.nvmlDeviceGetUtilizationRates(card))
        memory = self._ask(lambda: n.nvmlDeviceGetMemoryInfo(card))
        limit = self._ask(lambda: n.nvmlDeviceGetEnforcedPowerLimit(card))
        power = self._ask(lambda: n.nvmlDeviceGetPowerUsage(card))
        reasons = self._ask(lambda: n.nvmlDeviceGetCurrentClocksThrottleReasons(card))
        return GpuReading(
            index=index,
            name=self._names[index] or f"card {index}",
            utilisation=None if rates is None else float(rates.gpu),
            memory_used=None if memory is None else int(memory.used),
            memory_total=None if memory is None else int(memory.total),
            power=None if power is None else power / 1000.0,
            power_limit=None if limit is None else limit / 1000.0,
            sm_clock=self._ask(lambda: int(n.nvmlDeviceGetClockInfo(card, n.NVML_CLOCK_SM))),
            sm_clock_max=self._ask(lambda: int(n.nvmlDeviceGetMaxClockInfo(card, n.NVML_CLOCK_SM))),
            temperature=self._ask(lambda: int(n.nvmlDeviceGetTemperature(card, n.NVML_TEMPERATURE_GPU))),
            throttle=None if reasons is None else throttle_names(int(reasons)),
            pcie_rx=self._pcie(card, n.NVML_PCIE_UTIL_RX_BYTES),
            pcie_tx=self._pcie(card, n.NVML_PCIE_UTIL_TX_BYTES),
            uuid=self._uuids[index],
        )

    def _name(self, card: Any) -> str | None:
        return _text(self._ask(lambda: self._nvml.nvmlDeviceGetName(card)))

    def _uuid(self, card: Any) -> str:
        whole = _text(self._ask(lambda: self._nvml.nvmlDeviceGetUUID(card))) or ""
        return whole.removeprefix("GPU-")

    def _pcie(self, card: Any, counter: int) -> int | None:
        kib = self._ask(lambda: self._nvml.nvmlDeviceGetPcieThroughput(card, counter))
        return None if kib is None else int(kib) * 1024


def throttle_names(mask: int) -> tuple[str, ...]:
    """Names of the clock-event reasons set in an NVML mask, each once, in a fixed order."""
    return tuple(dict.fromkeys(name for bit, name in _REASONS.items() if mask & bit))


def open_nvml() -> NvmlLike:
    """The machine's cards; `NoCards` when there is no driver. WORKBENCH_FAKE_NVML names a script instead.

    Raises UsageError when that script cannot be read.
    """
    script = os.environ.get(FAKE_VARIABLE)
    if script:
        from workbench.telemetry.fake_nvml import FakeNvml

        return FakeNvml.from_file(Path(script))
    try:
        import pynvml

        pynvml.nvmlInit()
        return Nvml(pynvml)
    except Exception:  # ImportError, no driver, no permission: all mean that there is nothing to read
        return NoCards()


def _text(name: object) -> str | None:
    return name.decode(errors="replace") if isinstance(name, bytes) else None if name is None else str(name)
