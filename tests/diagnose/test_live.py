"""The verdict of a run that goes on: early, steady, and of large models too."""

from dataclasses import replace

import pytest

from tests.diagnose.scripted import A, Cost, World, facts, play
from workbench.diagnose.limits import Limit
from workbench.diagnose.verdict import LOOK_BACK, LiveVerdict, course
from workbench.telemetry.fake_nvml import card
from workbench.telemetry.sampler import KEPT
from workbench.telemetry.snapshot import ProcessReading, Snapshot


def test_live_verdict_is_right_within_five_seconds_and_changes_only_when_it_holds():
    world = World(workers=1)
    snapshots = play(world, 20.0, ended=False)
    live = LiveVerdict(facts(world))
    shown = [
        (snapshots[end - 1].time_ns / 1e9, live.update(snapshots[:end]).limit)
        for end in range(1, len(snapshots) + 1, 4)
    ]
    first = next(at for at, limit in shown if limit is Limit.WORKERS)
    assert first <= 1.0 + 5.0
    assert all(limit is Limit.WORKERS for at, limit in shown if at >= first)


def test_live_verdict_ignores_one_odd_look():
    good, odd = World(workers=1), World(smooth=0.5)
    live = LiveVerdict(facts(good), hold=3)
    live.update(play(good, ended=False))
    assert live.update(play(odd, ended=False)).limit is Limit.WORKERS
    live.update(play(odd, ended=False))
    assert live.update(play(odd, ended=False)).limit is Limit.RING


def test_a_live_verdict_learns_what_the_encoder_became():
    world = World(workers=1, gpu=card(utilisation=40.0))
    known = facts(world)
    before = replace(known, encoder={"engine": "torch"}, settings={**known.settings, "encoder.engine": "torch"})
    after = replace(before, encoder={"engine": "torch", "device": "cuda:0"})
    live, shots = LiveVerdict(before), play(world, ended=False)
    assert live.update(shots).utilisation.kernels is None
    assert live.update(shots, after).utilisation.kernels == pytest.approx(0.4)


#: A large model on a processor: 20 s for a batch.
SLOW = World(
    engine="torch", threads=4, cores=4, workers=1, padded=1.0, whole=True, encoder={A.FORWARD: Cost(4 * 20.0 / 8000)},
)


def test_batches_of_twenty_seconds_get_a_live_verdict_too():
    shots = play(SLOW, 200.0, ended=False)
    live = LiveVerdict(facts(SLOW))
    shown = [
        (shots[end - 1].wall, live.update(shots[max(0, end - LOOK_BACK):end]))
        for end in range(1, len(shots) + 1, 8)
    ]
    first = next(at for at, found in shown if found.decided)
    assert first <= 1.0 + 3 * 20.0 + 2.0  # from the end of the first batch to that of the third
    later = [found for at, found in shown if at >= first]
    assert all(found.limit is Limit.COMPUTE and found.healthy for found in later)
    rates = [found.tokens_per_second for found in later]
    assert rates == pytest.approx([SLOW.throughput()] * len(rates), rel=0.02)
    assert list(course(facts(SLOW), shots)) == shown


def joined(then: list[Snapshot], now: list[Snapshot]) -> list[Snapshot]:
    """One run: first as in `then`, from its end on as in `now`."""
    last = then[-1]

    def onward(process: ProcessReading) -> ProcessReading:
        before = next(p for p in last.processes if (p.stage, p.index) == (process.stage, process.index))
        sums = {
            name: tuple(a + b for a, b in zip(getattr(before, name), getattr(process, name), strict=True))
            for name in ("activity_ns", "activity_cpu_ns", "counters")
        }
        return replace(process, **sums)

    return then + [
        replace(shot, time_ns=last.time_ns + shot.time_ns, wall=last.wall + shot.wall,
                processes=tuple(onward(p) for p in shot.processes), progress=last.progress)
        for shot in now[1:]
    ]


def test_a_look_goes_no_further_back_than_it_must():
    """What was true before the last seconds does not count once they decide by themselves."""
    slow, fast = World(encoder={A.FORWARD: Cost(0.0, 4e-6)}), World()
    shots = joined(play(slow, 60.0, ended=False), play(fast, 30.0, ended=False))
    found = LiveVerdict(facts(fast)).update(shots)
    assert found.limit is Limit.COMPUTE
    assert found.tokens_per_second == pytest.approx(fast.throughput(), rel=0.02)


def test_the_sampler_keeps_what_a_live_verdict_looks_at():
    assert LOOK_BACK <= KEPT


def test_the_course_of_a_recording_is_what_was_shown_live():
    world = World(workers=1)
    shots = play(world, 30.0)
    live = LiveVerdict(facts(world))
    # Every two seconds; the last snapshot is after the end.
    shown = [(shots[end - 1].wall, live.update(shots[:end])) for end in range(1, len(shots), 8)]
    found = list(course(facts(world), shots))
    assert found == shown and len(found) == 15
    assert found[0][1].limit is Limit.WARMING_UP and found[-1][1].limit is Limit.WORKERS
    assert list(course(facts(world), ())) == []


def test_a_long_recording_is_looked_at_less_often():
    world = World(workers=1)
    shots = play(world, 9000.0, 1.5)
    assert 1100 <= len(list(course(facts(world), shots))) <= 1200
