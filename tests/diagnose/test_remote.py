"""The verdict on runs whose vectors come from a server: far away, busy, or not the limit at all."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.diagnose.scripted import A, Cost, World, facts, play
from workbench.core.activity import Counter
from workbench.diagnose.limits import Limit, Verdict
from workbench.diagnose.verdict import diagnose, summary_lines

REQUESTS = 4


def look(world: World, each: float, alone: float) -> Verdict:
    """The verdict when requests take `each` seconds and as many are under way as may be whenever the encoder waits."""
    shots = []
    for shot in play(world):
        processes = []
        for process in shot.processes:
            if process.stage == "encoder":
                counters = list(process.counters)
                waited = process.activity_ns[A.FORWARD]
                counters[Counter.DEVICE_NS] = waited
                counters[Counter.LAUNCHES] = int(waited / 1e9 * REQUESTS / each)
                counters[Counter.LONE_US] = int(alone * 1e6)
                process = replace(process, counters=tuple(counters))
            processes.append(process)
        shots.append(replace(shot, processes=tuple(processes)))
    return diagnose(facts(replace(world, settings={"encoder.requests": REQUESTS})), shots)


FAR = World(engine="remote", encoder={A.FORWARD: Cost(0.0, 4e-6)})


def test_a_far_server_with_time_left_gets_more_requests():
    found = look(FAR, each=0.4, alone=0.39)
    assert found.limit is Limit.REMOTE and not found.healthy
    assert found.change is not None
    assert (found.change.key, found.change.value) == ("encoder.requests", 2 * REQUESTS)
    after = replace(FAR, encoder={A.FORWARD: Cost(0.0, 2e-6)}).throughput()
    assert found.predicted_tokens_per_second == pytest.approx(after, rel=0.1)
    assert "requests/s answered" in "\n".join(summary_lines(found))


def test_a_busy_end_of_ours_gets_another_process():
    """Threads that pack and unpack requests use the CPU while the encoder waits: no sign of a model computed here."""
    busy = replace(FAR, encoder={A.FORWARD: Cost(4e-6), A.ASSEMBLE: Cost(1e-6)})
    found = look(busy, each=0.4, alone=0.39)
    assert found.limit is Limit.REMOTE and found.stage == "encoder:host"
    assert found.change is not None
    assert (found.change.key, found.change.value) == ("encoder.device", "auto,auto")


def test_a_busy_server_is_not_asked_for_more():
    found = look(FAR, each=0.8, alone=0.4)
    assert found.limit is Limit.REMOTE and found.change is not None
    assert found.change.key == "" and "busy" in found.change.text
    assert found.predicted_tokens_per_second is None


def test_a_server_that_waits_for_this_machine_is_not_blamed():
    slow = World(
        engine="remote", workers=1, encoder={A.FORWARD: Cost(0.0, 1e-7)},
        worker={A.READ: Cost(1e-7, 9e-6), A.TOKENISE: Cost(1e-6)},
    )
    assert look(slow, each=0.4, alone=0.4).limit is Limit.READ
