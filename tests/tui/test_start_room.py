from pathlib import Path

from textual.widgets import Input

from tests.tui.conftest import until
from workbench.core.profile_io import load_profile
from workbench.tui.rooms.profile import ProfileEditor
from workbench.tui.rooms.start import EstimateLines
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
        app.screen._set("encoder.max_tokens", "128", "0")
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
        recent.focus()
        await pilot.press("down", "enter")
        await pilot.pause()
        assert app.screen.ROOM == "collection"
        assert app.screen.path == Path("/data/poems.collection")
