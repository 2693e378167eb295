from pathlib import Path

import pytest
from textual.widgets import Input, Label

from tests.tui.conftest import until
from workbench.core.profile_io import load_profile
from workbench.tui.bridge import CollectionCard, RunCard
from workbench.tui.rooms.dialogs import Question
from workbench.tui.rooms.profile import ProfileEditor
from workbench.tui.rooms.replay import ReplayRoom
from workbench.tui.widgets.check import Check
from workbench.tui.widgets.forecast import AboutProfile, EstimateLines
from workbench.tui.widgets.table import LineTable

SIZE = (160, 50)


def estimate(app) -> str:
    return app.screen.query_one(EstimateLines).plain()


async def test_enter_starts_the_embedded_default(make_app):
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        await pilot.press("enter")
        await pilot.pause()
        request = app.workbench.runs_started[0].request()
        assert (request.inputs, request.docs, request.into) == ((), None, None)
        assert request.profile.name == "balanced"
        assert app.screen.ROOM == "run"


async def test_the_cost_is_estimated_first(make_app):
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: "7,412 chunks" in estimate(app))
        for part in ("912 k tokens", "11.4 MB on disk", "91.0 GB free", "48 s", "the last run with this model"):
            assert part in estimate(app)


async def test_what_is_wrong_with_the_input_is_said_before_the_start(make_app):
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        app.screen.query_one("#input", Input).value = "/nowhere/missing"
        app.screen.action_estimate()
        await until(pilot, lambda: "there is no such file" in estimate(app))


async def test_typed_choices_reach_the_run_and_are_kept(make_app):
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        typed = {"input": "/data/文件", "docs": "/data/docs.parquet", "model": "BAAI/bge-m3", "into": "/x y/c"}
        for name, value in typed.items():
            app.screen.query_one(f"#{name}", Input).value = value
        table = app.screen.query_one("#profiles", LineTable)
        table.focus()
        await pilot.press("up")
        await pilot.press("ctrl+s")
        await pilot.pause()
        request = app.workbench.runs_started[0].request()
        assert request.inputs == (Path("/data/文件"),)
        assert (request.docs, request.into) == (Path("/data/docs.parquet"), Path("/x y/c"))
        assert request.profile.encoder.model == "BAAI/bge-m3"
        assert request.profile.name == "fast"
        assert app.settings.inputs == ("/data/文件",)
        assert (app.settings.profile, app.settings.model) == ("fast", "BAAI/bge-m3")


async def test_the_first_rows_only(make_app):
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        app.screen.query_one("#limit", Input).value = "500"
        await until(pilot, lambda: app.workbench.estimated and app.workbench.estimated[-1].limit == 500)
        await pilot.press("ctrl+s")
        await pilot.pause()
        assert app.workbench.runs_started[0].request().limit == 500
        assert not app.workbench.runs_started[0].request().fresh


async def test_a_wrong_number_of_rows_is_said_before_the_start(make_app):
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        app.screen.query_one("#limit", Input).value = "-3"
        await until(pilot, lambda: "'-3' is no number of rows" in estimate(app))
        await pilot.press("ctrl+s")
        await pilot.pause()
        assert not app.workbench.runs_started


async def test_starting_afresh_asks_where_there_is_something_to_lose(make_app, tmp_path):
    app = make_app()
    collection = tmp_path / "c"
    collection.mkdir()
    async with app.run_test(size=(80, 24)) as pilot:
        room = app.screen
        fresh = room.query_one(Check)
        room.query_one("#into", Input).value = str(collection)
        assert "[ ] start afresh" in fresh.render().plain
        await pilot.press("ctrl+g", "ctrl+s")
        await pilot.pause()
        assert "[x] start afresh" not in fresh.render().plain  # for one start only
        assert app.workbench.runs_started.pop().request().fresh  # nothing there: nothing to ask
        app.run_room.control.end()
        (collection / "CURRENT").write_text("x", encoding="utf-8")
        await pilot.press("1", "ctrl+g")
        assert "[x] start afresh" in fresh.render().plain
        await pilot.press("ctrl+s")
        await pilot.pause()
        assert isinstance(app.screen, Question)
        await pilot.press("enter")  # the first answer keeps it
        await pilot.pause()
        assert app.screen is room and not app.workbench.runs_started


async def test_starting_afresh_throws_away_when_told_so(make_app, tmp_path):
    app = make_app()
    (tmp_path / "CURRENT").write_text("x", encoding="utf-8")
    async with app.run_test(size=SIZE) as pilot:
        app.screen.query_one("#into", Input).value = str(tmp_path)
        await pilot.press("ctrl+g", "ctrl+s")
        await pilot.pause()
        await pilot.press("right", "enter")
        await pilot.pause()
        assert app.workbench.runs_started[0].request().fresh
        assert app.screen.ROOM == "run"


async def test_a_second_run_is_refused_while_one_goes_on(make_app):
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("ctrl+s")
        await pilot.pause()
        await pilot.press("1", "ctrl+s")
        await pilot.pause()
        assert len(app.workbench.runs_started) == 1


async def test_a_profile_is_edited_checked_and_saved_anew(make_app):
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("ctrl+t")
        await pilot.pause()
        editor = app.screen
        assert isinstance(editor, ProfileEditor)
        editor.query_one("#find", Input).value = "pipeline.workers"
        await pilot.pause()
        await pilot.press("enter")
        await pilot.pause()
        app.screen.query_one(Input).value = "many"
        await pilot.press("enter")
        await pilot.pause()
        assert editor.changes == {}  # refused, with what is allowed
        await pilot.press("enter")
        await pilot.pause()
        app.screen.query_one(Input).value = "3"
        await pilot.press("enter")
        await pilot.pause()
        assert editor.changes == {"pipeline.workers": "3"}
        await pilot.press("ctrl+s")
        await pilot.pause()
        app.screen.query_one(Input).value = "mine"
        await pilot.press("enter")
        await pilot.pause()
        assert load_profile("mine").pipeline.workers == 3
        assert app.screen.query_one("#profiles", LineTable).current.name == "mine"


async def test_changes_can_be_used_for_one_run(make_app):
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("ctrl+t")
        await pilot.pause()
        (row,) = (row for row in app.screen.query_one("#keys", LineTable).rows if row.info.key == "encoder.max_tokens")
        app.screen._set(row.info, "128", "0")
        await pilot.press("f5")
        await pilot.pause()
        await pilot.press("ctrl+s")
        await pilot.pause()
        assert app.workbench.runs_started[0].request().profile.encoder.max_tokens == 128


async def test_a_broken_profile_is_listed_with_what_is_wrong(make_app, tmp_path):
    folder = tmp_path / "home" / "profiles"
    folder.mkdir(parents=True)
    (folder / "broken.toml").write_text("[pipeline]\nwork = 3\n", encoding="utf-8")
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        row = next(p for p in app.screen.query_one("#profiles", LineTable).rows if p.name == "broken")
        assert "unknown key" in row.about


async def test_a_file_of_the_tree_becomes_the_input(make_app):
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        app.screen._choose(Path("/data/a.parquet"))
        assert app.screen.query_one("#input", Input).value == "/data/a.parquet"
        await pilot.press("ctrl+n")
        assert app.screen.query_one("#input", Input).value == ""


async def test_a_recent_collection_opens_its_room(make_app):
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        recent = app.screen.query_one("#recent", LineTable)
        await until(pilot, lambda: recent.rows)
        assert [type(card) for card in recent.rows].count(RunCard) == 3
        poems = next(c for c in recent.rows if isinstance(c, CollectionCard) and c.title == "唐诗三百首")
        recent.cursor = list(recent.rows).index(poems)
        recent.focus()
        await pilot.press("enter")
        await pilot.pause()
        assert app.screen.ROOM == "collection"
        assert app.screen.path == Path("/data/poems.collection")


async def test_the_editor_keeps_its_layout_at_80_columns_and_with_values_of_several_lines(make_app):
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("ctrl+t")
        await pilot.pause()
        editor = app.screen
        keys = editor.query_one(Label)
        assert keys.region.width >= len(str(keys.content))  # nothing of it is cut off
        editor.query_one("#find", Input).value = "template"
        await pilot.pause()
        table = editor.query_one("#keys", LineTable)
        assert table.current.info.key == "encoder.template"
        assert r"{title}\n{text}" in table.plain()
        table.focus()
        await pilot.press("enter")
        await pilot.pause()
        assert app.screen.query_one(Input).value == r"{title}\n{text}"
        app.screen.query_one(Input).value = r"{text}\n{title}"
        await pilot.press("enter")
        await pilot.pause()
        assert editor.changes == {"encoder.template": "{text}\n{title}"}


async def test_a_key_that_is_named_so_is_found_first(make_app):
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("ctrl+t")
        await pilot.pause()
        app.screen.query_one("#find", Input).value = "workers"
        await pilot.pause()
        assert app.screen.query_one("#keys", LineTable).current.info.key == "pipeline.workers"


async def test_the_profile_is_said_in_full_with_what_was_changed(make_app):
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        about = app.screen.query_one(AboutProfile)
        assert " ".join(about.plain().split()) == load_profile("balanced").about
        app.screen._edited(({"pipeline.workers": "3"}, ""))
        assert "for this run: pipeline.workers = 3" in about.plain()


async def test_files_and_recent_take_the_place_of_the_form_on_a_narrow_terminal(make_app):
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert not app.screen.query_one("#tree").region
        await pilot.press("ctrl+o")
        await pilot.pause()
        assert app.screen.query_one("#tree").region
        assert app.focused is app.screen.query_one("#tree")
        await pilot.press("escape")
        await pilot.pause()
        assert app.screen.query_one("#input").region
        assert not app.screen.query_one("#tree").region


async def test_a_recent_run_is_replayed(make_app):
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        recent = app.screen.query_one("#recent", LineTable)
        await until(pilot, lambda: recent.rows)
        recent.cursor = next(i for i, card in enumerate(recent.rows) if isinstance(card, RunCard))
        recent.focus()
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ReplayRoom))
        await pilot.press("escape")
        await pilot.pause()
        assert app.screen.ROOM == "start"


@pytest.mark.parametrize("size", [(80, 24), (100, 30), (160, 50)], ids=["80x24", "100x30", "160x50"])
async def test_nothing_of_the_form_is_cut_off(make_app, size):
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: "7,412 chunks" in estimate(app))
        await pilot.pause()
        lines = app.screen.query_one(EstimateLines)
        assert all(line.used <= lines.size.width for line in lines._lines)
        assert lines.size.height >= len(lines._lines)
        assert "the last run with this model" in " ".join(lines.plain().split())
        for label in app.screen.query("#form Label"):
            assert len(str(label.content)) <= app.screen.query_one("#form").content_size.width
        button = app.screen.query_one("#go")
        assert app.screen.query_one("#form").region.contains_region(button.region)


async def test_a_key_whose_field_is_left_keeps_its_value(make_app):
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("ctrl+t")
        await pilot.pause()
        editor = app.screen
        editor.query_one("#find", Input).value = "encoder.model"
        await pilot.pause()
        await pilot.press("enter")
        await pilot.pause()
        assert app.screen is not editor
        await pilot.press("escape")
        await pilot.pause()
        assert app.screen is editor
        assert editor.changes == {}
