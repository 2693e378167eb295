from pathlib import Path

import pytest

from tests.tui.conftest import show_run, until
from tests.tui.script import FACTS, WALL, recording
from workbench.tui.bridge import Outcome, RunCard
from workbench.tui.comparing import SideBySide
from workbench.tui.rooms.dialogs import Reading
from workbench.tui.rooms.replay import ReplayRoom
from workbench.tui.widgets.panels import RatePanel, VerdictPanel
from workbench.tui.widgets.table import LineTable

SIZE = (160, 50)


async def at_runs(app, pilot) -> LineTable:
    app.action_room("runs")
    await until(pilot, lambda: app.screen.ROOM == "runs" and app.screen.query_one("#list", LineTable).rows)
    return app.screen.query_one("#list", LineTable)


async def test_history_is_listed_newest_first_and_sorts(make_app):
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        table = await at_runs(app, pilot)
        assert [card.outcome for card in table.rows] == ["done", "stopped", "failed"]
        assert "唐诗三百首" in table.plain()
        table.sort_by("rate")
        assert [card.tokens_per_second for card in table.rows] == [None, 251_000.0, 412_000.0]


async def test_replay_plays_scrubs_and_goes_back(make_app):
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await at_runs(app, pilot)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ReplayRoom))
        room = app.screen
        verdict, rate = room.query_one(VerdictPanel), room.query_one(RatePanel)
        await until(pilot, lambda: "warming up" in verdict.plain())
        await pilot.press("space")
        room.seek(WALL + 30)
        await pilot.pause()
        assert room.picture.frame.rows_done == 30 * 3240
        assert "412 k tokens/s" in rate.plain() and "left" in rate.plain()
        assert "The writer limits the run" in verdict.plain()  # what was known then
        assert "[a] apply" not in verdict.plain()
        await pilot.press("left")
        assert room.picture.frame.wall < WALL + 30
        await pilot.press("end")
        assert room.picture.frame.wall == WALL + 60
        assert "Tokenising limits" in verdict.plain()  # of the whole run
        assert "done" in rate.plain() and "took 1 min 53 s" in rate.plain() and "left" not in rate.plain()
        room.seek(WALL + 5)
        assert "warming up" in verdict.plain() and "took" not in rate.plain()
        room.seek(WALL + 60)
        await pilot.press("greater_than_sign", "greater_than_sign")
        assert room.speed == 4.0
        await pilot.press("escape")
        await pilot.pause()
        assert app.screen.ROOM == "runs"
        assert not isinstance(app.screen, ReplayRoom)


async def test_playing_moves_with_the_clock(make_app):
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await at_runs(app, pilot)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ReplayRoom))
        room = app.screen
        room.speed = 64.0
        await until(pilot, lambda: room._at is not None and room._at >= WALL + 60, tries=400)
        assert not room.playing


async def test_a_far_jump_shows_the_moment_at_once_and_fills_the_graphs_bit_by_bit(make_app):
    app = make_app()
    app.workbench.replay = lambda folder: recording(600)
    async with app.run_test(size=SIZE) as pilot:
        await at_runs(app, pilot)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ReplayRoom) and app.screen._whole)
        room = app.screen
        room.action_latest()
        assert room.picture.frame.wall == WALL + 600 and room._shown < 1200
        await until(pilot, lambda: room._shown == 2400, tries=1000)
        assert room.picture.series.last == WALL + 600 and not room.playing


async def test_keys_of_a_live_run_do_nothing_in_a_replay(make_app):
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await at_runs(app, pilot)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ReplayRoom))
        await pilot.press("s", "a")
        await pilot.pause()
        assert isinstance(app.screen, ReplayRoom)


async def test_a_recording_that_cannot_be_read_is_explained(make_app):
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        app.workbench.broken = True
        await at_runs(app, pilot)
        await pilot.press("enter")
        await until(pilot, lambda: any("recording is empty" in n.message for n in app._notifications))


async def test_two_marked_runs_are_compared(make_app):
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await at_runs(app, pilot)
        await pilot.press("c")
        assert "compare" not in app.workbench.told  # two must be marked first
        await pilot.press("m", "down", "m", "down", "m", "c")
        assert len(app.screen.marked) == 2
        found = SideBySide(("books", "books"), (("tokens/s", ("412 k", "251 k")),), (), (), ())
        app.workbench.tell("compare", Outcome(value=found))
        await until(pilot, lambda: isinstance(app.screen, Reading))
        assert "412 k" in app.screen._body


@pytest.mark.parametrize(("key", "job"), [("r", "report"), ("t", "trace")])
async def test_report_and_trace_are_written_elsewhere(make_app, monkeypatch, tmp_path, key, job):
    opened: list[str] = []
    app = make_app()
    monkeypatch.setattr(app, "open_url", lambda url, **_: opened.append(url))
    async with app.run_test(size=SIZE) as pilot:
        await at_runs(app, pilot)
        await pilot.press(key)
        page = tmp_path / "bericht ü.html"
        page.touch()
        app.workbench.tell(job, Outcome((f"written to {page}",), value=page))
        if job == "report":
            await until(pilot, lambda: opened)
            assert opened == [page.as_uri()]
        else:
            await until(pilot, lambda: any(Path(page).name in n.message for n in app._notifications))
        app.workbench.tell(job, Outcome(problem="the run has no recording"))
        await until(pilot, lambda: any("no recording" in n.message for n in app._notifications))


async def test_a_run_that_goes_on_is_not_called_cut_off(make_app):
    app = make_app()
    run_card = RunCard(Path("/data/books.collection/runs") / FACTS.run, "books", "books", WALL, "cut off", None, None,
                       None)
    app.workbench.runs = lambda: [run_card]
    async with app.run_test(size=SIZE) as pilot:
        run = await show_run(app, pilot)
        table = await at_runs(app, pilot)
        assert [card.outcome for card in table.rows] == ["running"]
        run.end()
        app.screen.action_reload()
        await until(pilot, lambda: [card.outcome for card in table.rows] == ["cut off"])
