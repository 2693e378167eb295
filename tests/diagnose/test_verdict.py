"""The verdict against worlds whose bottleneck is known by construction, and whose change is really made."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.diagnose.scripted import A, Cost, World, facts, play
from workbench.diagnose.limits import LABELS, Limit, Verdict
from workbench.diagnose.verdict import diagnose, summary_lines
from workbench.telemetry.fake_nvml import card

FAST = {A.FORWARD: Cost(0.0, 1e-7)}


def verdict(world: World) -> Verdict:
    return diagnose(facts(world), play(world))


CASES = {
    "read, limited": (Limit.READ, World(
        workers=1, worker={A.READ: Cost(1e-7, 4e-6), A.TOKENISE: Cost(1e-6)},
        settings={"source.read_bytes_per_second": 1000},
    )),
    "read, slow disk": (Limit.READ, World(worker={A.READ: Cost(1e-7, 9e-6), A.TOKENISE: Cost(1e-6)})),
    "too few workers": (Limit.WORKERS, World(workers=1)),
    "too few of four": (Limit.WORKERS, World(workers=4, encoder=FAST)),
    "tokenise, no core left": (Limit.TOKENISE, World(workers=2, cores=2, encoder=FAST)),
    "oversubscribed": (Limit.OVERSUBSCRIBED, World(workers=8, cores=2, encoder=FAST)),
    "encoder threads": (Limit.OVERSUBSCRIBED, World(
        workers=1, cores=2, threads=16, engine="torch", encoder={A.FORWARD: Cost(4e-5)},
    )),
    "foreign load": (Limit.FOREIGN, World(cores=2, foreign=1.0, encoder=FAST)),
    "ring": (Limit.RING, World(smooth=0.6)),
    "copy": (Limit.COPY, World(encoder={A.COPY: Cost(0.0, 2e-6), A.FORWARD: Cost(0.0, 5e-7)})),
    "copy back": (Limit.COPY_BACK, World(encoder={A.COPY_BACK: Cost(0.0, 2e-6), A.FORWARD: Cost(0.0, 5e-7)})),
    "launch": (Limit.LAUNCH, World(launch=0.005, batch=2000, budget=2048)),
    "padding": (Limit.PADDING, World(padded=1.6, settings={"pipeline.batching": "rows"})),
    "memory": (Limit.MEMORY, World(launch=0.005, batch=1900, budget=2048, cuts=3)),
    "power": (Limit.POWER, World(gpu=card(
        utilisation=99.0, power=199.0, power_limit=200.0, sm_clock=1200, sm_clock_max=1900, throttle=("power cap",),
    ))),
    "heat": (Limit.POWER, World(gpu=card(utilisation=99.0, sm_clock=900, sm_clock_max=1900, throttle=("thermal",)))),
    "write": (Limit.WRITE, World(
        writer={A.COMMIT: Cost(1e-7, 3e-6)}, settings={"pipeline.write_bytes_per_second": 1000},
    )),
    "index": (Limit.INDEX, World(writer={A.COMMIT: Cost(1e-7), A.INDEX: Cost(4e-6)})),
    "remote": (Limit.REMOTE, World(engine="remote")),
    "compute": (Limit.COMPUTE, World()),
}


@pytest.mark.parametrize("name", CASES)
def test_names_what_binds(name):
    limit, world = CASES[name]
    found = verdict(world)
    assert found.limit is limit, "\n".join(summary_lines(found))
    assert found.confidence > 0.8
    assert found.tokens_per_second == pytest.approx(world.throughput(), rel=0.02)


@pytest.mark.parametrize("world", [
    World(), World(workers=6), World(cores=64, workers=16), World(foreign=3.0), World(launch=1e-4),
    World(engine="torch", threads=2, cores=2, workers=1, encoder={A.FORWARD: Cost(4e-5)}),
    World(gpu=card(utilisation=99.0, power=150.0, power_limit=200.0, sm_clock=1880, sm_clock_max=1900, throttle=())),
    World(gpu=card(utilisation=99.0)),  # a driver that tells nothing else
    World(engine="torch", device="cuda:0"),
    World(engine="torch", device="cuda:0", encoder={A.FORWARD: Cost(1e-6)}),  # the host waits for the card busily
    World(engine="torch", device="cuda:0", encoder={A.COPY: Cost(2e-8), A.FORWARD: Cost(1e-6), A.ASSEMBLE: Cost(2e-8)}),
    World(engine="torch", device="mps", encoder={A.FORWARD: Cost(1e-6)}),
])
def test_a_healthy_run_is_called_healthy(world):
    found = verdict(world)
    assert found.healthy and found.change is None, "\n".join(summary_lines(found))


@pytest.mark.parametrize("forward", [Cost(0.0, 1e-6), Cost(1e-6)])
def test_a_card_that_waits_for_its_host_is_not_blamed(forward):
    found = verdict(World(engine="torch", device="cuda:0", encoder={A.FORWARD: forward, A.ASSEMBLE: Cost(2e-6)}))
    assert found.limit is Limit.LAUNCH and found.stage == "encoder:host"
    assert found.change is not None and found.change.key == "encoder.token_budget"


def test_an_encoder_of_unknown_device_is_told_by_its_cpu_time():
    world = World(engine="torch", threads=1, cores=4, workers=1, encoder={A.FORWARD: Cost(4e-5)})
    unknown = replace(facts(world), encoder={"engine": "torch"})
    change = diagnose(unknown, play(world)).change
    assert change is not None and change.key == "encoder.threads" and change == verdict(world).change


CHANGED = {
    "workers": (World(workers=1), lambda w, v: replace(w, workers=v)),
    "workers to the cores": (World(workers=1, cores=3, encoder=FAST), lambda w, v: replace(w, workers=v)),
    "read": (CASES["read, limited"][1], lambda w, v: replace(w, worker={**w.worker, A.READ: Cost(1e-7)})),
    "ring": (World(smooth=0.6), lambda w, v: replace(w, smooth=1.0)),
    "launch": (CASES["launch"][1], lambda w, v: replace(w, batch=min(400_000, w.batch * v // w.budget), budget=v)),
    "padding": (CASES["padding"][1], lambda w, v: replace(w, padded=1.02)),
    "write": (CASES["write"][1], lambda w, v: replace(w, writer={A.COMMIT: Cost(1e-7)})),
    "threads": (
        World(engine="torch", threads=1, cores=4, workers=1, encoder={A.FORWARD: Cost(4e-5)}),
        lambda w, v: replace(w, threads=v),
    ),
    "foreign": (World(cores=2, foreign=1.0, encoder=FAST), lambda w, v: replace(w, foreign=0.0)),
}


@pytest.mark.parametrize("name", CHANGED)
def test_prediction_holds_when_the_change_is_made(name):
    world, change = CHANGED[name]
    found = verdict(world)
    after = change(world, found.change.value).throughput()
    assert found.predicted_tokens_per_second == pytest.approx(after, rel=0.10)
    assert found.predicted_tokens_per_second > found.tokens_per_second


def test_a_change_that_gains_next_to_nothing_is_not_suggested():
    """Less padding would free the encoder, but worker and writer are hardly faster."""
    found = verdict(World(
        padded=1.6, writer={A.COMMIT: Cost(1e-8, 1.59e-6)}, worker={A.TOKENISE: Cost(3.21e-6)},
    ))
    assert found.limit is Limit.PADDING
    assert found.change is None and found.predicted_tokens_per_second is None and found.next_limit == ""
    assert not found.healthy
    lines = summary_lines(found)
    assert any("nothing worthwhile to change was found" in line and LABELS[Limit.TOKENISE] in line for line in lines)
    assert not any(line.startswith("Do:") for line in lines)


COSTS = st.floats(1e-8, 5e-6)


@settings(max_examples=100, deadline=None)
@given(
    tokenise=COSTS, read=st.floats(0, 3e-6), forward=COSTS, commit=COSTS, workers=st.integers(1, 12),
    cores=st.integers(2, 32),
)
def test_bounds_are_the_worlds_bounds(tokenise, read, forward, commit, workers, cores):
    world = World(
        worker={A.READ: Cost(1e-8, read), A.TOKENISE: Cost(tokenise)}, encoder={A.FORWARD: Cost(0.0, forward)},
        writer={A.COMMIT: Cost(commit)}, workers=workers, cores=cores,
    )
    found = verdict(world)
    assert found.tokens_per_second == pytest.approx(world.throughput(), rel=0.02)
    lowest = found.bounds[0][1]
    assert lowest == pytest.approx(world.throughput(), rel=0.10)
    if found.predicted_tokens_per_second is not None:
        assert found.predicted_tokens_per_second >= found.tokens_per_second * 0.999


def test_a_young_run_is_warming_up_and_a_short_one_lacks_evidence():
    world = World()
    young = diagnose(facts(world), play(world, 1.5, ended=False))
    short = diagnose(facts(world), play(world, 2.0))
    assert (young.limit, short.limit) == (Limit.WARMING_UP, Limit.UNKNOWN)
    assert not young.decided and young.change is None
    assert diagnose(facts(world), []).limit is Limit.UNKNOWN


def _without_cpu(process):
    return replace(process, cpu_seconds=None, activity_cpu_ns=())


def test_missing_readings_do_not_stop_the_verdict():
    world = World(workers=1)
    snapshots = [
        replace(s, cpu_system=None, processes=tuple(_without_cpu(p) for p in s.processes)) for s in play(world)
    ]
    found = diagnose(facts(world), snapshots)
    assert found.limit is Limit.WORKERS
    assert found.utilisation.kernels is None and found.utilisation.foreign is None
    assert "n/a" in "\n".join(summary_lines(found))


def test_a_search_beside_the_run_is_no_other_program():
    world = World(cores=2, foreign=1.0, encoder=FAST)
    shots = [replace(s, cpu_beside=1.0) for s in play(world)]
    found = diagnose(facts(world), shots)
    assert diagnose(facts(world), play(world)).limit is Limit.FOREIGN
    assert found.limit is not Limit.FOREIGN and found.utilisation.foreign == pytest.approx(0.0, abs=0.01)
    said = "; ".join(found.evidence)
    assert "searches and jobs beside it 1.00" in said and "other programs" not in said


def test_json_has_the_promised_fields():
    made = verdict(World(workers=1)).as_json()
    assert made["limit"] == "workers" and made["change"]["key"] == "pipeline.workers"
    assert {
        "limit", "stage", "evidence", "change", "tokens_per_second", "predicted_tokens_per_second", "next_limit",
        "confidence",
    } <= set(made)
