"""Which card is looked at on machines with several, and how well it is used."""

from dataclasses import replace

import pytest

from tests.diagnose.scripted import A, Cost, World, facts, play
from workbench.core.activity import Counter
from workbench.diagnose.card import card_use
from workbench.diagnose.limits import Limit
from workbench.diagnose.verdict import diagnose
from workbench.report.series import time_lines
from workbench.telemetry.fake_nvml import card
from workbench.telemetry.snapshot import GpuReading
from workbench.tui.frames import build


def real(index: int, name: str, utilisation: float) -> GpuReading:
    return replace(card(index, name, utilisation=utilisation), scripted=False)


def seen(device: str, name: str, *cards: GpuReading, uuid: str = "") -> float | None:
    """Utilisation of the card that is taken for the encoder's."""
    world = World(engine="torch", device=device, gpu=cards[0], beside=cards[1:])
    known = facts(world)
    known = replace(known, encoder={**known.encoder, "device_name": name, "device_uuid": uuid})
    use = card_use(known, play(world))
    return None if use is None else use.utilisation


SMALL, LARGE, LARGER = real(0, "small", 1.0), real(1, "large", 50.0), real(2, "large", 99.0)


@pytest.mark.parametrize(("device", "name", "found"), [
    ("cuda:0", "large", 50.0),  # CUDA counts the fastest first
    ("cuda:2", "small", 1.0),
    ("cuda:2", "large", 99.0),
    ("cuda:1", "", 50.0),  # recordings that name no card
    ("cuda", "small", 1.0),
    ("cuda:1", "renamed by the driver", 50.0),
    ("cuda:7", "", None),
    ("cpu", "small", None),
    ("mps", "large", None),
])
def test_a_card_is_known_by_its_name_then_by_its_number(device, name, found):
    assert seen(device, name, SMALL, LARGE, LARGER) == found


def test_one_of_two_equal_cards_is_known_by_its_uuid():
    """CUDA_VISIBLE_DEVICES=1 makes the driver's second card CUDA's first."""
    first, second = (replace(real(n, "large", 10.0 * n), uuid=f"{n}-uuid") for n in (0, 1))
    assert seen("cuda:0", "large", first, second, uuid="1-uuid") == 10.0
    assert seen("cuda:1", "large", first, second, uuid="0-uuid") == 0.0
    assert seen("cuda:1", "large", first, second, uuid="unknown") == 10.0
    assert seen("cuda:1", "large", first, second) == 10.0


def test_a_real_card_that_idles_beside_a_simulated_run_is_not_its_card():
    hot = real(0, "real", 0.0)
    hot = replace(hot, throttle=("thermal",), sm_clock=300, sm_clock_max=1900)
    found = diagnose(facts(World(gpu=hot)), play(World(gpu=hot)))
    assert found.healthy and found.utilisation.kernels is None
    told = World(gpu=hot, beside=(card(1, utilisation=40.0),))
    assert diagnose(facts(told), play(told)).utilisation.kernels == pytest.approx(0.4)


RATE = 2e12


def used(devices: str, encoders: int = 2) -> tuple[float | None, float | None, float | None]:
    """MFU as verdict, screen and report tell it, when each encoder does half of RATE."""
    world = World(engine="torch", device="cuda:0", encoder={A.FORWARD: Cost(0.0, 1e-6)},
                  settings={"encoder.device": devices})
    shots = []
    for shot in play(world, ended=False):
        counting = next(p for p in shot.processes if p.stage == "encoder")
        counters = list(counting.counters)
        counters[Counter.FLOPS] = int(RATE / 2 * shot.wall / 1e6)
        own = [replace(counting, index=i, counters=tuple(counters)) for i in range(encoders)]
        others = [p for p in shot.processes if p.stage != "encoder"]
        shots.append(replace(shot, processes=(*others, *own), gpus=(card(utilisation=90.0),)))
    known = replace(facts(world), matrix_flops=RATE)
    drawn = next(s for line in time_lines(known, shots) for s in line.series if s.name == "MFU")
    top = drawn.points[-1][1]
    return diagnose(known, shots).utilisation.mfu, build(known, shots).mfu, None if top is None else top / 100.0


@pytest.mark.parametrize(("devices", "encoders", "share"), [
    ("cuda:0,cuda:1", 2, 0.5),
    ("auto, cuda:1", 2, 0.5),
    ("cuda,auto", 2, 1.0),  # both on one card
    ("auto", 1, 0.5),
])
def test_operations_are_measured_against_all_cards_that_do_them(devices, encoders, share):
    assert used(devices, encoders) == pytest.approx((share, share, share), rel=0.02)


GB = 10**9


def on_card(held: int = 0, **readings: object) -> World:
    return World(engine="torch", device="cuda:0", held=held, gpu=card(utilisation=99.0, **readings))


@pytest.mark.parametrize(("world", "said"), [
    (on_card(memory_used=79 * GB // 10, memory_total=8 * GB, pcie_rx=3 * GB), "99 % full: 3.0 GB/s come to it"),
    (on_card(9 * GB, memory_used=79 * GB // 10, memory_total=8 * GB), "99 % full: the encoder holds 9.0 of 8.0 GB"),
    (on_card(79 * GB // 10, memory_total=8 * GB), "the card's memory: the encoder holds 7.9 of 8.0 GB"),
])
def test_memory_that_spills_is_called_by_its_name(world, said):
    found = diagnose(facts(world), play(world))
    assert found.limit is Limit.MEMORY and said in found.evidence[0]
    assert not any("cut" in line for line in found.evidence)
    assert found.change is not None
    assert (found.change.key, found.change.value) == ("encoder.token_budget", world.budget // 2)


@pytest.mark.parametrize("world", [
    on_card(79 * GB // 10, memory_used=79 * GB // 10, memory_total=8 * GB, pcie_rx=GB // 10),  # full, and no more
    on_card(4 * GB, memory_used=79 * GB // 10, memory_total=8 * GB),  # another program fills it
    on_card(9 * GB),  # a driver that tells nothing
])
def test_a_full_card_alone_is_no_limit(world):
    found = diagnose(facts(world), play(world))
    assert found.healthy and found.limit is Limit.COMPUTE


def test_a_budget_that_was_cut_says_so():
    world = World(launch=0.005, batch=1900, budget=2048, cuts=3)
    found = diagnose(facts(world), play(world))
    assert found.limit is Limit.MEMORY and found.evidence[0] == "the token budget was cut 3 times, to 2,048 tokens"
