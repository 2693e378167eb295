"""Machines whose cores run two threads each: a second thread is no second core."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.diagnose.scripted import A, Cost, World, facts, play
from workbench.diagnose.cores import SIBLING, Cores, cores_of
from workbench.diagnose.limits import Limit, Verdict
from workbench.diagnose.verdict import diagnose, summary_lines

#: A laptop's four cores, eight threads.
LAPTOP = World(cores=8, physical=4)
FAST = {A.FORWARD: Cost(0.0, 1e-8)}
ON_CPU = replace(LAPTOP, engine="torch", threads=4, workers=3, encoder={A.FORWARD: Cost(4e-5)})


def verdict(world: World) -> Verdict:
    return diagnose(facts(world), play(world))


@pytest.mark.parametrize("world", [
    ON_CPU,
    replace(ON_CPU, workers=1),
    replace(ON_CPU, encoder={A.FORWARD: Cost(4e-6)}),  # workers take cores too
    replace(LAPTOP, workers=3),
])
def test_a_default_run_on_a_laptop_is_healthy(world):
    found = verdict(world)
    assert found.limit is Limit.COMPUTE, "\n".join(summary_lines(found))
    assert found.healthy and found.change is None, "\n".join(summary_lines(found))


def test_threads_are_suggested_up_to_the_whole_cores():
    one = replace(ON_CPU, threads=1, workers=1)
    found = verdict(one)
    assert found.change is not None and (found.change.key, found.change.value) == ("encoder.threads", 4)
    assert found.predicted_tokens_per_second == pytest.approx(replace(one, threads=4).throughput(), rel=0.1)
    assert "of 8 cores (two threads on each of 4)" in "\n".join(found.evidence)


@pytest.mark.parametrize("workers", [1, 2, 3, 4, 5])
def test_what_more_workers_bring_holds_when_they_are_there(workers):
    few = replace(LAPTOP, workers=workers, encoder=FAST)
    found = verdict(few)
    assert found.limit is Limit.WORKERS and found.change is not None
    assert found.change.value == 8  # with fewer, some cores would run one thread only
    after = replace(few, workers=int(found.change.value)).throughput()
    assert found.predicted_tokens_per_second == pytest.approx(after, rel=0.1)


@pytest.mark.parametrize("workers", [3, 8])
def test_all_cores_together_allow_what_they_are_worth(workers):
    world = replace(LAPTOP, workers=workers, encoder=FAST)
    cpu = dict(verdict(world).bounds)["cpu"]
    assert cpu == pytest.approx(4 * (1.0 + SIBLING) / world.cpu_per_token(), rel=0.05)


def test_workers_on_all_threads_are_as_fast_as_it_gets():
    found = verdict(replace(LAPTOP, workers=8, encoder=FAST))
    assert found.limit is Limit.TOKENISE and found.change is None, "\n".join(summary_lines(found))


@pytest.mark.parametrize("physical", [0, 8, 16])
def test_where_no_core_is_shared_or_nothing_is_known_all_count(physical):
    world = replace(ON_CPU, physical=0)
    told = replace(facts(world), cores_physical=physical)
    found = diagnose(told, play(world))
    assert found == verdict(world)
    assert found.change is not None and found.change.value == 8


@given(st.integers(1, 64), st.integers(0, 64), st.floats(0.0, 80.0))
def test_shares_of_a_core(logical, physical, busy):
    hardware = cores_of(logical, physical)
    whole = hardware.physical + SIBLING * (hardware.logical - hardware.physical)
    assert 0.0 < hardware.speed(busy) <= 1.0
    assert whole * (1 - 1e-9) <= hardware.capacity(busy) <= hardware.logical * (1 + 1e-9)
    if hardware.physical == hardware.logical:
        assert hardware.speed(busy) == 1.0 and hardware.capacity(busy) == pytest.approx(logical)


def test_clocks_of_a_full_machine_count_every_thread():
    """Where all threads are busy their clocks are slow already: nothing is taken off twice."""
    hardware = Cores(8, 4)
    assert (hardware.capacity(2.0), hardware.capacity(8.0)) == (pytest.approx(5.0), pytest.approx(8.0))
    assert 8.0 * hardware.speed(8.0) == pytest.approx(5.0)
