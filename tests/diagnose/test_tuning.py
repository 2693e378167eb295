"""The tuner on worlds where every setting's throughput is known: near the best, in few trials."""

from dataclasses import replace
from itertools import product

import pytest

from tests.diagnose.scripted import A, Cost, World, facts, play
from workbench.core.errors import RunFailed, UsageError
from workbench.core.profile import MOST_WORKERS, Profile
from workbench.core.profile_io import apply_overrides
from workbench.diagnose.limits import Change, Limit, Verdict
from workbench.diagnose.trial import Outcome
from workbench.diagnose.tuning import Space, Tuner, with_settings
from workbench.diagnose.verdict import diagnose

CORES = 8
BUDGETS = (1024, 2048, 4096, 8192, 16384, 32768, 65536)
SLOTS = (1, 2, 4, 8, 16, 32)


def world_of(profile, base):
    """What the settings make of a world: workers, batches and ring depth act as they do in a run."""
    slots = profile.pipeline.slots
    budget = profile.encoder.token_budget or 8192
    forward = base.encoder[A.FORWARD]
    half = {"bf16": 0.5}.get(profile.encoder.dtype, 1.0)
    return replace(
        base, workers=profile.pipeline.workers or 1, batch=int(0.95 * budget), budget=budget, cores=CORES,
        smooth=min(1.0, 0.5 + 0.07 * slots),
        encoder={**base.encoder, A.FORWARD: replace(forward, blocked=forward.blocked * half)},
    )


def trial(base):
    def run(profile, seconds):
        world = world_of(profile, base)
        made = facts(world)
        settings = {**made.settings, "pipeline.slots": profile.pipeline.slots}
        verdict = diagnose(replace(made, settings=settings), play(world, 12.0))
        return Outcome(verdict.tokens_per_second, verdict)

    return run


WORLDS = {
    "few workers": World(encoder={A.FORWARD: Cost(0.0, 2e-7)}),
    "launches": World(encoder={A.FORWARD: Cost(0.0, 2e-7)}, launch=0.004),
    "healthy": World(encoder={A.FORWARD: Cost(0.0, 3e-6)}),
    "slow tokeniser": World(
        worker={A.READ: Cost(1e-7), A.TOKENISE: Cost(6e-6)}, encoder={A.FORWARD: Cost(0.0, 4e-7)}, launch=0.001,
    ),
}


@pytest.mark.parametrize("name", WORLDS)
@pytest.mark.parametrize("start", [
    [], ["pipeline.slots=1"], ["encoder.token_budget=1024", "pipeline.workers=1", "pipeline.slots=1"],
])
def test_comes_near_the_grids_best_in_a_tenth_of_its_trials(name, start):
    base = WORLDS[name]
    grid = [
        world_of(apply_overrides(Profile(), [
            f"pipeline.workers={workers}", f"encoder.token_budget={budget}", f"pipeline.slots={slots}",
        ]), base).throughput()
        for workers, budget, slots in product(range(1, CORES + 1), BUDGETS, SLOTS)
    ]
    tuner = Tuner(
        apply_overrides(Profile(), start), Space(CORES), trial(base), lambda _: None, trials=len(grid) // 10,
    )
    best = tuner.tune()
    assert best.rate >= 0.95 * max(grid)
    assert len(tuner.history) <= len(grid) // 10


def test_a_number_format_that_changes_vectors_too_much_is_not_taken():
    base = WORLDS["healthy"]
    refused = Tuner(Profile(), Space(CORES, dtypes=("bf16",)), trial(base), lambda _: 0.98, trials=12)
    taken = Tuner(Profile(), Space(CORES, dtypes=("bf16",)), trial(base), lambda _: 0.9995, trials=12)
    assert "encoder.dtype" not in refused.tune().settings
    best = taken.tune()
    assert best.settings["encoder.dtype"] == "bf16" and best.cosine == 0.9995
    assert best.rate > 1.5 * refused.best.rate
    assert all("bf16" not in str(one.settings) for one in refused.history)


def test_a_number_format_that_this_machine_lacks_is_passed_over():
    told = []

    def check(profile):
        if profile.encoder.dtype == "int8":
            raise UsageError("this processor has no 8-bit products", where="encoder.dtype = int8")
        return 0.9999

    space = Space(CORES, dtypes=("int8", "bf16"))
    tuner = Tuner(Profile(), space, trial(WORLDS["healthy"]), check, tell=told.append)
    assert tuner.tune().settings["encoder.dtype"] == "bf16"
    assert any("no 8-bit products" in line for line in told)
    assert not any(one.settings.get("encoder.dtype") == "int8" for one in tuner.history)


def test_a_model_without_room_for_fp32_is_tuned_in_all_else():
    told = []

    def check(profile):
        raise RunFailed("there are no vectors in fp32 to compare with: out of memory")

    tuner = Tuner(Profile(), Space(CORES, dtypes=("bf16",)), trial(WORLDS["launches"]), check, tell=told.append)
    launches = tuner.tune()
    assert launches.rate > tuner.history[0].rate and launches.settings
    healthy = Tuner(Profile(), Space(CORES, dtypes=("bf16",)), trial(WORLDS["healthy"]), check, tell=told.append)
    assert healthy.tune().rate > 0 and any("no vectors in fp32" in line for line in told)
    assert "encoder.dtype" not in healthy.best.settings


def test_no_more_workers_are_tried_than_a_run_may_have():
    tried = []

    def hungry(profile, seconds):
        tried.append(profile.pipeline.workers)
        return Outcome(float(profile.pipeline.workers), Verdict(Limit.TOKENISE))

    start = apply_overrides(Profile(), [f"pipeline.workers={MOST_WORKERS - 1}"])
    best = Tuner(start, Space(cores=128), hungry, lambda _: None).tune()
    assert best.settings == {"pipeline.workers": MOST_WORKERS} and max(tried) == MOST_WORKERS


def test_requests_to_a_far_server_are_tuned():
    def server(profile, seconds):
        now = profile.encoder.requests
        change = None if now >= 32 else Change("more", "encoder.requests", 2 * now, now)
        return Outcome(100.0 * now, Verdict(Limit.REMOTE, change=change))

    best = Tuner(apply_overrides(Profile(), ["encoder.engine=remote"]), Space(CORES), server, lambda _: None).tune()
    assert best.settings == {"encoder.requests": 32} and best.rate == 3200.0


def test_the_best_so_far_survives_ctrl_c():
    base, run = WORLDS["few workers"], None
    count = 0

    def interrupted(profile, seconds):
        nonlocal count
        count += 1
        if count == 3:
            raise KeyboardInterrupt
        return run(profile, seconds)

    run = trial(base)
    tuner = Tuner(Profile(), Space(CORES), interrupted, lambda _: None)
    with pytest.raises(KeyboardInterrupt):
        tuner.tune()
    assert tuner.best is not None and tuner.best.rate > 0 and len(tuner.history) == 2


def test_trials_that_fail_are_not_the_end():
    base = WORLDS["few workers"]
    good = trial(base)

    def flaky(profile, seconds):
        if profile.pipeline.workers == 8:
            return Outcome(0.0, Verdict(Limit.UNKNOWN), "no memory")
        return good(profile, seconds)

    best = Tuner(Profile(), Space(CORES), flaky, lambda _: None).tune()
    assert best.rate > 0 and best.outcome.failure == ""


def test_no_setting_is_tried_twice_for_the_same_time():
    tuner = Tuner(Profile(), Space(CORES), trial(WORLDS["launches"]), lambda _: None, trials=40)
    tuner.tune()
    seen = [(str(with_settings(Profile(), one.settings)), one.seconds) for one in tuner.history]
    assert len(seen) == len(set(seen))
