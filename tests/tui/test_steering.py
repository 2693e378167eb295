"""Pausing, and runs that keep no readings."""

from __future__ import annotations

import pytest

from tests.tui.conftest import show_run
from tests.tui.script import FakeRun
from workbench.core.profile import Profile
from workbench.core.profile_io import apply_overrides
from workbench.core.run import RunRequest
from workbench.tui.liverun import LiveRun
from workbench.tui.widgets.bars import TopBar
from workbench.tui.widgets.panels import RatePanel, VerdictPanel


def unmeasured() -> RunRequest:
    return RunRequest(apply_overrides(Profile(name="test"), ["pipeline.telemetry=none"]))


async def test_pausing_counts_at_once_not_with_the_next_reading(make_app):
    app = make_app()
    async with app.run_test(size=(160, 50)) as pilot:
        run = await show_run(app, pilot)
        await pilot.press("p")
        assert "paused" in app.screen.query_one(TopBar).plain()
        await pilot.press("p")
        assert run.calls == ["pause", "resume"]
        assert "paused" not in app.screen.query_one(TopBar).plain()


@pytest.mark.parametrize("size", [(160, 50), (80, 24)])
async def test_a_run_without_readings_says_so_and_can_be_paused(make_app, size):
    app = make_app()
    async with app.run_test(size=size) as pilot:
        run = FakeRun(unmeasured())
        app.run_room.attach(run)
        app.action_room("run")
        await pilot.pause()
        assert "nothing is measured: pipeline.telemetry is none" in app.screen.query_one(RatePanel).plain()
        assert "warming up" not in app.screen.query_one(VerdictPanel).plain()
        assert "running" in app.screen.query_one(TopBar).plain()
        await pilot.press("p", "p", "p")
        assert run.calls == ["pause", "resume", "pause"]
        app.run_room.attach(FakeRun())
        await pilot.pause()
        assert "the processes are being started" in app.screen.query_one(RatePanel).plain()


def test_a_live_run_knows_that_it_was_told_to_pause():
    run = LiveRun(RunRequest(apply_overrides(Profile(name="test"), ["encoder.model=/nowhere"])))
    assert not run.paused()
    run.pause()
    assert run.paused()
    run.resume()
    assert not run.paused()
    run.pause()
    run.stop(now=True)
    assert not run.paused()  # what stops is not paused
    assert run.wait(120)
