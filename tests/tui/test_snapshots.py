"""Pictures of the rooms at several sizes, in light, without colour, in ASCII."""

from __future__ import annotations

import pytest
from textual.widgets import Input

from tests.tui.conftest import show_run, until
from tests.tui.script import WALL
from workbench.core.run import LogLine
from workbench.tui.rooms.collection import Facts
from workbench.tui.rooms.search import HitTable, HitText

pytestmark = pytest.mark.usefixtures("_utc")
LOOKS = {
    "run-160x50": ((160, 50), {}), "run-80x24": ((80, 24), {}),
    "run-light": ((100, 30), {"theme": "workbench-light"}),
    "run-colour-blind": ((120, 40), {"theme": "workbench-colour-blind", "view": "gpu"}),
    "run-ascii": ((100, 40), {"glyphs": "ascii"}), "run-ascii-80x24": ((80, 24), {"glyphs": "ascii", "view": "gpu"}),
}


@pytest.mark.parametrize("look", LOOKS)
def test_run_room(make_app, snap_compare, look):
    size, settings = LOOKS[look]
    app = make_app(**settings)

    async def before(pilot):
        run = await show_run(app, pilot, 60)
        run.told.append(LogLine(WALL + 3, "info", "unit 000214 committed (8,192 rows)"))
        run.told.append(LogLine(WALL + 4, "warning", "worker 2 ended unexpectedly (exit code -9); starting it again"))
        app.run_room.feed.look()
        app.run_room.picture.cost.share = 0.021
        await pilot.pause()
        app.run_room.paint()
        await pilot.pause()

    assert snap_compare(app, terminal_size=size, run_before=before)


def test_run_room_without_colour(make_app, snap_compare, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    app = make_app()

    async def before(pilot):
        await show_run(app, pilot, 30)
        app.run_room.picture.cost.share = 0.021
        app.run_room.paint()
        await pilot.pause()

    assert snap_compare(app, terminal_size=(80, 24), run_before=before)


@pytest.mark.parametrize("size", [(160, 50), (80, 24)], ids=["160x50", "80x24"])
def test_search_room(make_app, snap_compare, size):
    app = make_app()

    async def before(pilot):
        app.action_room("search")
        await until(pilot, lambda: app.screen.ROOM == "search" and app.screen.control)
        field = app.screen.query_one("#query", Input)
        field.cursor_blink = False
        field.value = "gzip"
        await until(pilot, lambda: app.screen.query_one(HitTable).rows)
        await until(pilot, lambda: app.screen.query_one(HitText).hit.before)
        app.screen.say()
        await pilot.pause()

    assert snap_compare(app, terminal_size=size, run_before=before)


@pytest.mark.parametrize("size", [(160, 50), (80, 24)], ids=["160x50", "80x24"])
def test_collection_room(make_app, snap_compare, size):
    app = make_app()

    async def before(pilot):
        app.action_room("collection")
        await until(pilot, lambda: app.screen.ROOM == "collection" and app.screen.query_one(Facts).pairs)
        await pilot.pause()

    assert snap_compare(app, terminal_size=size, run_before=before)


@pytest.mark.parametrize("size", [(120, 40), (80, 24)], ids=["120x40", "80x24"])
def test_runs_room_and_help(make_app, snap_compare, size):
    app = make_app()

    async def before(pilot):
        app.action_room("runs")
        await until(pilot, lambda: app.screen.ROOM == "runs" and app.screen.query_one("#list").rows)
        await pilot.pause()
        if size[0] == 80:
            await pilot.press("question_mark")
            await pilot.pause()

    assert snap_compare(app, terminal_size=size, run_before=before)
