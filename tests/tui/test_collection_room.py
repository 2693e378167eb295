from dataclasses import replace
from pathlib import Path

import pytest
from textual.widgets import Input

from tests.tui.conftest import until
from workbench.collection.index_kinds import FLAT_LIMIT, NAMES, PQ_LIMIT
from workbench.tui.bridge import Outcome, Step
from workbench.tui.rooms.collection import KINDS, Facts
from workbench.tui.widgets.table import LineTable

SIZE = (120, 40)


async def at_collection(app, pilot) -> Facts:
    app.action_room("collection")
    await until(pilot, lambda: app.screen.ROOM == "collection" and app.screen.query_one(Facts).pairs)
    return app.screen.query_one(Facts)


async def test_what_it_holds(make_app):
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        facts = await at_collection(app, pilot)
        assert "RaBitQ, recall@10 0.9970" in facts.plain()
        await pilot.press("n")
        await until(pilot, lambda: "poems" in facts.plain())


async def test_verify_shows_progress_and_its_end(make_app):
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        facts = await at_collection(app, pilot)
        await pilot.press("v")
        app.workbench.tell("verify", Step(0.5, "shards/00000007.vectors.arrow"))
        await until(pilot, lambda: "50 %  shards/00000007" in facts.plain())
        assert "████████████░" in facts.plain()
        await pilot.press("v")  # one job at a time
        app.workbench.tell("verify", Outcome(problem="shards/7: a bit flipped. Rebuild the index"))
        await until(pilot, lambda: "a bit flipped" in facts.plain())
        assert app.screen.job is None


async def test_rebuild_asks_for_the_kind_and_can_be_cancelled(make_app):
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        facts = await at_collection(app, pilot)
        await pilot.press("b")
        await pilot.pause()
        for key in ("ctrl+u", *"HNSW32", "enter"):
            await pilot.press(key)
        await pilot.pause()
        assert app.workbench.kinds == ["HNSW32"]
        await pilot.press("x")
        assert app.workbench.jobs["rebuild"].cancelled
        app.workbench.tell("rebuild", Outcome(("kind: HNSW32", "recall@10: 0.981")))
        await until(pilot, lambda: "recall@10: 0.981" in facts.plain())


async def rebuild_after_check(app, pilot, facts):
    """The check that goes on ends well, then the index is built anew."""
    app.workbench.tell("verify", Outcome(("whole: 3 files",)))
    await until(pilot, lambda: "whole: 3 files" in facts.plain())
    await pilot.press("b")
    await pilot.pause()
    await pilot.press("enter")
    await pilot.pause()


async def test_nothing_is_asked_while_another_job_goes_on(make_app):
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        facts = await at_collection(app, pilot)
        room = app.screen
        await pilot.press("v", "b")
        await pilot.pause()
        assert app.screen is room  # no question whose answer could not be used
        assert [note.message for note in app._notifications] == [
            "The check of books goes on: wait for its end, or cancel it with x."
        ]
        await rebuild_after_check(app, pilot, facts)
        assert app.workbench.kinds == ["auto"]


def test_the_kinds_offered_are_those_there_are():
    offered = {word.strip(",:") for word in KINDS.split()}
    assert {"Matryoshka-N" if name == "Matryoshka" else name for name in NAMES} <= offered
    assert "50,000" in KINDS and FLAT_LIMIT == 50_000
    assert "a billion values" in KINDS and PQ_LIMIT == 1 << 30


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
async def test_the_question_for_the_kind_has_room(make_app, size):
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await at_collection(app, pilot)
        await pilot.press("b")
        await pilot.pause()
        field, frame = app.screen.query_one(Input), app.screen.query_one("Vertical")
        assert frame.region.height <= size[1]
        assert field.region.bottom < frame.region.bottom


async def test_search_goes_to_this_collection(make_app):
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await at_collection(app, pilot)
        app.screen.query_one("#list", LineTable).focus()
        await pilot.press("down", "slash")
        await until(pilot, lambda: app.workbench.searches and app.workbench.searches[0].opened)
        assert app.workbench.searches[0].opened == Path("/data/poems.collection")


async def test_a_job_shows_at_once_and_takes_the_place_of_what_was_said_before(make_app):
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        facts = await at_collection(app, pilot)
        await pilot.press("v")
        await rebuild_after_check(app, pilot, facts)
        assert "starting" in facts.plain()
        assert "whole" not in facts.plain()


async def test_a_collection_is_exported_to_the_file_that_is_named(make_app, tmp_path):
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        facts = await at_collection(app, pilot)
        await pilot.press("e")
        await pilot.pause()
        field = app.screen.query_one(Input)
        assert field.value.endswith("books.parquet")
        field.value = str(tmp_path / "büch er.npy")
        await pilot.press("enter")
        await pilot.pause()
        assert app.workbench.exports == [(Path("/data/books.collection"), tmp_path / "büch er.npy")]
        app.workbench.tell("export", Outcome(("366,669 rows, 1 GB: x.npy",)))
        await until(pilot, lambda: "366,669 rows, 1 GB" in facts.plain())


async def test_a_list_says_how_many_are_out_of_sight(make_app):
    app = make_app()
    cards = app.workbench.collections()
    app.workbench.collections = lambda: [replace(cards[0], path=Path(f"/data/{n}"), title=str(n)) for n in range(40)]
    async with app.run_test(size=(80, 24)) as pilot:
        await at_collection(app, pilot)
        table = app.screen.query_one("#list", LineTable)
        await until(pilot, lambda: len(table.rows) == 40 and table.size.height < 10)
        await pilot.pause()
        seen = len(table.plain().splitlines()) - 1
        assert 0 < seen < 40
        assert table.border_subtitle == f"{40 - seen} below"
        table.action_cursor(39)
        assert table.border_subtitle == f"{40 - seen} above"
        table.put(cards[:1])
        assert not table.border_subtitle
