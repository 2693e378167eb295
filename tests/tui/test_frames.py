from dataclasses import replace

import pytest

from tests.tui.script import FACTS, ROWS, WALL, recording, snapshot
from workbench.core.activity import Activity
from workbench.tui.frames import build, look_back


def window(end: float, **shape):
    return [snapshot(end - 3 + i / 4, **shape) for i in range(13)]


def test_rates_and_shares_are_those_of_the_script():
    frame = build(FACTS, window(30), snapshot(1))
    assert frame.tokens_per_second == pytest.approx(412_000, rel=0.01)
    assert frame.rows_per_second == pytest.approx(3_240, rel=0.01)
    worker, encoder = frame.stage("worker"), frame.stage("encoder")
    assert worker is not None and encoder is not None
    assert worker.busy == pytest.approx(0.97, abs=0.005)
    assert encoder.wait_in == pytest.approx(0.38, abs=0.005)
    assert frame.padding == pytest.approx(0.018, abs=0.001)
    assert frame.mfu == pytest.approx(412_000 * 41 * 1e6 / 8e13, rel=0.01)
    assert frame.gpus[0].mfu == frame.mfu


def test_remaining_time_goes_with_progress():
    frame = build(FACTS, window(30), snapshot(1))
    assert frame.seconds_left == pytest.approx((ROWS - 3_240 * 30) / 3_240, rel=0.02)
    assert build(FACTS, [snapshot(1)], snapshot(1)).seconds_left is None


def test_one_reading_has_no_rate_and_says_so_by_none():
    frame = build(None, [snapshot(10)])
    assert (frame.tokens_per_second, frame.rows_per_second, frame.mfu) == (None, None, None)
    assert all(stage.busy is None for stage in frame.stages)


def test_loading_and_pauses_are_no_part_of_the_shares():
    def with_load(second: float):
        shot = snapshot(second)
        changed = []
        for process in shot.processes:
            times = [0] * len(Activity)
            times[Activity.LOAD_MODEL] = int(second * 1e9)
            changed.append(replace(process, activity_ns=tuple(times), state=Activity.LOAD_MODEL)
                           if process.stage == "encoder" else process)
        return replace(shot, processes=tuple(changed))

    stage = build(FACTS, [with_load(10), with_load(12)]).stage("encoder")
    assert stage is not None
    assert (stage.busy, stage.state) == (None, "loading")


def test_no_card_and_several_cards():
    assert build(FACTS, window(30, gpus=0)).gpus == ()
    two = build(FACTS, window(30, gpus=2)).gpus
    assert [gpu.mfu for gpu in two] == [None, None]  # the rate of both together says nothing of one


def test_a_process_that_is_gone_is_told_from_one_that_ended():
    frame = build(FACTS, window(30, dead=2))
    assert [p.state for p in frame.processes if not p.alive] == ["gone"]
    ended = snapshot(30)
    ended = replace(ended, processes=tuple(replace(p, alive=False, state=Activity.ENDED) for p in ended.processes))
    assert {p.state for p in build(FACTS, [ended]).processes} == {"ended"}
    later = replace(ended, processes=tuple(
        replace(p, alive=False, pid=0, state=Activity.STARTING) if p.stage == "writer" else p
        for p in snapshot(30).processes
    ))
    writer = build(FACTS, [later]).stage("writer")
    assert writer is not None and writer.state == "not yet"  # it starts at the first vectors


def test_look_back_takes_about_three_seconds():
    shots = recording(20).snapshots
    before, now = look_back(shots)
    assert before is not None
    assert now.wall == WALL + 20
    assert now.wall - before.wall == pytest.approx(3.0)
