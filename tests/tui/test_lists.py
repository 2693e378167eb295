"""Lists say that they are being read until they have been, and give a title what room there is."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from tests.tui.conftest import show_run, until
from workbench.tui.rooms.collection import Facts
from workbench.tui.widgets.table import LineTable
from workbench.tui.widgets.tables import ProcessPanel

_EMPTY = {"start": ("#recent", "nothing yet"), "runs": ("#list", "No run was recorded"),
          "collection": ("#list", "No collection yet")}


@pytest.mark.parametrize("room", _EMPTY)
async def test_a_list_is_not_called_empty_before_it_was_read(make_app, room):
    app = make_app()
    read = threading.Event()
    app.workbench.collections = app.workbench.runs = lambda: [read.wait(60)][1:]
    name, empty = _EMPTY[room]
    async with app.run_test(size=(160, 50)) as pilot:
        app.action_room(room)
        await until(pilot, lambda: room == app.screen.ROOM and app.screen.query_one(name, LineTable).plain())
        await pilot.pause()
        table = app.screen.query_one(name, LineTable)
        assert "reading" in table.plain() and empty not in table.plain()
        if room == "collection":
            assert app.screen.query_one(Facts).plain() == "reading …"
        read.set()
        await until(pilot, lambda: empty in table.plain())
        assert "reading" not in table.plain()
        if room == "collection":
            assert app.screen.query_one(Facts).plain() == "No collection chosen."


async def test_the_title_of_what_is_recent_is_read_in_full_on_a_wide_terminal(make_app):
    app = make_app()
    title = "Python 3.11 standard library"
    card = replace(app.workbench.runs()[0], title=title)
    app.workbench.runs = lambda: [card]
    async with app.run_test(size=(160, 50)) as pilot:
        recent = app.screen.query_one("#recent", LineTable)
        await until(pilot, lambda: recent.rows)
        await pilot.pause()
        assert title in recent.plain() and "run done" in recent.plain()


@pytest.mark.parametrize("size", [(160, 50), (132, 40)])
async def test_a_table_uses_its_width_to_the_last_cell(make_app, size):
    app = make_app()
    async with app.run_test(size=size) as pilot:
        recent = app.screen.query_one("#recent", LineTable)
        await until(pilot, lambda: recent.rows)
        await pilot.pause()
        assert recent._lines[0].used == recent.size.width


async def test_restarts_are_called_so_where_the_processes_have_room(make_app):
    app = make_app()
    async with app.run_test(size=(160, 50)) as pilot:
        await show_run(app, pilot)
        heading = app.screen.query_one(ProcessPanel).plain().splitlines()[0]
        assert heading.split()[-2:] == ["unit", "restarts"]
