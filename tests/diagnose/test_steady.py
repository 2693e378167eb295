"""Which part of a run is looked at: few batches are cut at their ends, many are left as they are."""

from __future__ import annotations

import pytest

from tests.diagnose.scripted import A, Cost, World, facts, play
from workbench.core.activity import Counter
from workbench.diagnose.limits import Limit
from workbench.diagnose.steady import steady, total
from workbench.diagnose.verdict import diagnose

#: 8,000 tokens a batch at 4,000 tokens/s: a batch takes two seconds.
SLOW = World(engine="torch", threads=2, cores=2, workers=1, encoder={A.FORWARD: Cost(5e-4)})


@pytest.mark.parametrize("seconds", [8.0, 9.5, 10.0, 17.0])
def test_slow_batches_are_counted_whole(seconds):
    part = steady(play(SLOW, seconds, ended=False))
    batches = total(part[-1], "encoder", Counter.BATCHES) - total(part[0], "encoder", Counter.BATCHES)
    took = (part[-1].time_ns - part[0].time_ns) / 1e9
    assert batches >= 2
    assert took / batches == pytest.approx(8000 / 1.02 / SLOW.throughput(), abs=0.25)


def test_a_slow_encoder_has_its_verdict_within_eight_seconds():
    found = diagnose(facts(SLOW), play(SLOW, 8.0, ended=False))
    assert found.limit is Limit.COMPUTE and found.healthy


def test_many_batches_are_left_alone():
    shots = play(World(), 20.0, ended=False)
    assert steady(shots)[-1] is shots[-1]
