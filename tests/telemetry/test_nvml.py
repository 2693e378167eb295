"""NVML through a library that answers like a driver: some cards, some refusals."""

import json

import pytest

from workbench.core.errors import UsageError
from workbench.telemetry.fake_nvml import FakeNvml, Step, card
from workbench.telemetry.nvml import FAKE_VARIABLE, NoCards, Nvml, open_nvml, throttle_names


class Refusal(Exception):
    """What pynvml raises for everything a driver does not tell."""


class Driver:
    """The part of pynvml that is used; WDDM style: no PCIe, no limit, bytes as name."""

    NVML_CLOCK_SM, NVML_TEMPERATURE_GPU, NVML_PCIE_UTIL_TX_BYTES, NVML_PCIE_UTIL_RX_BYTES = 1, 0, 0, 1

    class Rates:
        gpu = 100

    class Memory:
        used, total = 3, 8

    def nvmlDeviceGetCount(self):
        return 1

    def nvmlDeviceGetHandleByIndex(self, index):
        return index

    def nvmlDeviceGetName(self, card):
        return b"GeForce"

    def nvmlDeviceGetUtilizationRates(self, card):
        return self.Rates

    def nvmlDeviceGetMemoryInfo(self, card):
        return self.Memory

    def nvmlDeviceGetPowerUsage(self, card):
        return 123_456

    def nvmlDeviceGetClockInfo(self, card, kind):
        return 1500

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, card):
        return 0x4 | 0x20 | 0x40 | 0x1

    def __getattr__(self, name):
        def refuse(*_):
            raise Refusal(name)

        return refuse


def test_what_the_driver_refuses_is_none_not_zero():
    (reading,) = Nvml(Driver()).read()
    assert (reading.name, reading.utilisation, reading.power, reading.sm_clock) == ("GeForce", 100.0, 123.456, 1500)
    assert (reading.memory_used, reading.memory_total) == (3, 8)
    assert reading.throttle == ("power cap", "thermal")
    nothing = (reading.power_limit, reading.sm_clock_max, reading.temperature, reading.pcie_rx, reading.pcie_tx)
    assert nothing == (None,) * 5


def test_a_card_is_named_by_the_uuid_that_cuda_tells():
    class Marked(Driver):
        def nvmlDeviceGetUUID(self, card):
            return "GPU-ffc79498-8ff3-c2dc-3b0d-fafd804516ae"

    assert Nvml(Driver()).read()[0].uuid == ""
    assert Nvml(Marked()).read()[0].uuid == "ffc79498-8ff3-c2dc-3b0d-fafd804516ae"


def test_idle_and_application_clocks_are_no_slowdown():
    assert throttle_names(0x1 | 0x2 | 0x10 | 0x100) == ()


def test_a_machine_without_driver_has_no_cards(monkeypatch):
    monkeypatch.delenv(FAKE_VARIABLE, raising=False)
    monkeypatch.setitem(__import__("sys").modules, "pynvml", None)
    gpus = open_nvml()
    assert isinstance(gpus, NoCards) and gpus.read() == ()


def test_a_script_plays_its_steps_and_keeps_the_last():
    now = [0.0]
    fake = FakeNvml([Step(2.0, (card(power=10.0),)), Step(1.0, (card(power=20.0),))], clock=lambda: now[0])
    seen = []
    for at in (5.0, 6.9, 7.1, 99.0):
        now[0] = at
        seen.append(fake.read()[0].power)
    assert seen == [10.0, 10.0, 20.0, 20.0]


def test_a_script_file_named_by_the_environment_is_used(tmp_path, monkeypatch):
    script = tmp_path / "karte.json"
    steps = [{"seconds": 1, "cards": [{"name": "T", "utilisation": 50, "throttle": ["power cap"]}]}]
    script.write_text(json.dumps(steps), encoding="utf-8")
    monkeypatch.setenv(FAKE_VARIABLE, str(script))
    (reading,) = open_nvml().read()
    assert (reading.name, reading.utilisation, reading.throttle, reading.power) == ("T", 50, ("power cap",), None)


@pytest.mark.parametrize("text", ["", "{}", '[{"cards": [{"speed": 3}]}]', "[1]"])
def test_a_wrong_script_is_one_clear_line(tmp_path, text):
    script = tmp_path / "x.json"
    script.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=r"x\.json"):
        FakeNvml.from_file(script)
