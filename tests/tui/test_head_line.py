from dataclasses import replace

import pytest

from tests.tui.conftest import look, show_run, until
from tests.tui.script import FakeRun
from workbench.core.activity import Activity
from workbench.tui.rooms.picture import HeadLine
from workbench.tui.widgets.bars import KeyBar
from workbench.tui.widgets.panels import PipelinePanel, RatePanel, VerdictPanel

SMALL = (80, 24)


def ended(snapshot):
    """The same reading with every process ended."""
    over = tuple(replace(p, alive=False, state=Activity.ENDED) for p in snapshot.processes)
    return replace(snapshot, processes=over)


def text(app, kind) -> str:
    return app.screen.query_one(kind).plain()


async def test_without_a_run_nothing_is_said_to_be_starting(make_app):
    app = make_app()
    async with app.run_test(size=SMALL) as pilot:
        app.action_room("run")
        await pilot.pause()
        assert "started" not in text(app, RatePanel)
        assert "no run yet: 1 goes to Start" in text(app, VerdictPanel)
        assert "hold" not in text(app, KeyBar)
        app.run_room.attach(FakeRun())
        await pilot.pause()
        assert "the processes are being started" in text(app, RatePanel)
        assert "starting" in text(app, HeadLine)


@pytest.mark.parametrize("size", [(160, 50), SMALL])
async def test_the_screens_own_cost_is_shown_at_every_size(make_app, size):
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await show_run(app, pilot)
        app.run_room.picture.cost.share = 0.021
        app.run_room.paint()
        assert "screen 2.1 %" in text(app, HeadLine)
        assert "books" in text(app, HeadLine)


async def test_after_the_end_the_rate_is_that_of_the_whole_run(make_app):
    app = make_app()
    async with app.run_test(size=(160, 50)) as pilot:
        run = await show_run(app, pilot)
        run.end()
        run.over = replace(run.over, tokens_per_second=321_000.0, chunks=90_000, seconds=45.0)
        await look(app, pilot)
        assert "321 k tokens/s  2.00 k chunks/s" in text(app, RatePanel)
        assert "took 45 s" in text(app, RatePanel)


async def test_a_run_that_never_began_says_why_and_not_that_it_starts(make_app):
    app = make_app()
    async with app.run_test(size=SMALL) as pilot:
        app.action_room("run")
        run = FakeRun()
        run.failure = "/data/pep: there is no such file or folder. Name another one"
        app.run_room.attach(run)
        await until(pilot, lambda: "there is no such file" in text(app, VerdictPanel))
        assert "starting" not in text(app, RatePanel) + text(app, HeadLine)
        app.run_room.attach(FakeRun())
        await pilot.pause()
        assert "there is no such file" not in text(app, VerdictPanel)


async def test_the_word_of_a_stage_is_not_cut_on_a_small_terminal(make_app):
    app = make_app()
    async with app.run_test(size=SMALL) as pilot:
        run = await show_run(app, pilot, run=FakeRun(dead=1))
        assert "1 gone" in text(app, PipelinePanel)
        run.shots[-1] = ended(run.shots[-1])
        run.advance(0.25)
        run.shots[-1] = ended(run.shots[-1])
        await look(app, pilot)
        shown = text(app, PipelinePanel).splitlines()
        assert ["ended" in line for line in shown] == [True] * 3
        assert "…" not in text(app, PipelinePanel)


async def test_a_run_with_nothing_to_do_is_over_and_does_not_start(make_app):
    app = make_app()
    async with app.run_test(size=SMALL) as pilot:
        app.action_room("run")
        run = FakeRun()
        run.end()
        app.run_room.attach(run)
        await until(pilot, lambda: "the run is over" in text(app, HeadLine))
        assert "over before anything was measured" in text(app, RatePanel)
        assert "warming up" not in text(app, VerdictPanel).lower()
