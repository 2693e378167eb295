"""The editor of a profile: nothing that was typed or saved is lost unasked."""

from __future__ import annotations

import pytest
from textual.widgets import Input

from workbench.core.profile import Profile
from workbench.core.profile_io import apply_overrides, explain, load_profile, own_profile_path, save_profile
from workbench.tui.rooms.dialogs import Question
from workbench.tui.rooms.profile import ProfileEditor, as_typed
from workbench.tui.widgets.table import LineTable

SIZE = (120, 40)


async def at_editor(app, pilot, changes: dict[str, str]) -> ProfileEditor:
    """The editor of `balanced` with some values changed through its fields."""
    await pilot.press("ctrl+t")
    await pilot.pause()
    editor = app.screen
    assert isinstance(editor, ProfileEditor)
    for key, value in changes.items():
        editor.query_one("#find", Input).value = key
        await pilot.pause()
        assert editor.query_one("#keys", LineTable).current.info.key == key
        editor.query_one("#keys").focus()
        await type_in(app, pilot, "enter", value)
    return editor


async def type_in(app, pilot, key: str, value: str) -> None:
    """Press a key that asks for a value, and give it."""
    await pilot.press(key)
    await pilot.pause()
    app.screen.query_one(Input).value = value
    await pilot.press("enter")
    await pilot.pause()


async def save_as(app, pilot, name: str) -> None:
    await type_in(app, pilot, "ctrl+s", name)


async def test_a_profile_that_is_there_is_replaced_only_when_told_so(make_app):
    save_profile(apply_overrides(Profile(name="mine"), ["pipeline.workers=9"]), own_profile_path("mine"))
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        editor = await at_editor(app, pilot, {"pipeline.workers": "3"})
        await save_as(app, pilot, "mine")
        assert isinstance(app.screen, Question) and "What it says now is lost." in app.screen._body
        await pilot.press("enter")  # the first answer keeps it
        await pilot.pause()
        assert app.screen is editor and load_profile("mine").pipeline.workers == 9
        await save_as(app, pilot, "mine")
        await pilot.press("right", "enter")
        await pilot.pause()
        assert load_profile("mine").pipeline.workers == 3
        assert app.screen.query_one("#profiles", LineTable).current.name == "mine"


async def test_the_name_of_a_bundled_profile_is_taken_only_when_told_so(make_app):
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        editor = await at_editor(app, pilot, {"pipeline.workers": "3"})
        await save_as(app, pilot, "fast")
        assert isinstance(app.screen, Question) and "comes with the program" in app.screen._body
        await pilot.press("escape")
        await pilot.pause()
        assert app.screen is editor and not own_profile_path("fast").exists()


@pytest.mark.parametrize(("keys", "stays", "used"), [
    (["right", "right", "enter"], True, {}), (["escape"], True, {}), (["right", "enter"], False, {}),
    (["enter"], False, {"pipeline.workers": "3"}),
])
async def test_leaving_with_changes_asks_what_becomes_of_them(make_app, keys, stays, used):
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        room = app.screen
        editor = await at_editor(app, pilot, {"pipeline.workers": "3"})
        await pilot.press("escape")
        await pilot.pause()
        assert isinstance(app.screen, Question) and "pipeline.workers = 3" in app.screen._body
        await pilot.press(*keys)
        await pilot.pause()
        assert app.screen is (editor if stays else room)
        assert room.overrides == used
        assert editor.changes == {"pipeline.workers": "3"}


async def test_leaving_without_changes_asks_nothing(make_app):
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        room = app.screen
        workers = str(load_profile("balanced").pipeline.workers)
        await at_editor(app, pilot, {"pipeline.workers": "3"})
        await type_in(app, pilot, "enter", workers)
        await pilot.press("escape")
        await pilot.pause()
        assert app.screen is room


async def test_a_line_break_in_a_value_survives_editing(make_app):
    """Prefixes of instruction-tuned models have one, though the key's default has none."""
    prefix = "Instruct: find it\nQuery: "
    save_profile(apply_overrides(Profile(name="asks"), [f"encoder.query_prefix={prefix}"]), own_profile_path("asks"))
    app = make_app(profile="asks")
    async with app.run_test(size=SIZE) as pilot:
        editor = await at_editor(app, pilot, {"encoder.query_prefix": r"Instruct: find them\nQuery: "})
        assert editor.changes == {"encoder.query_prefix": "Instruct: find them\nQuery: "}
        assert editor.profile.encoder.query_prefix == "Instruct: find them\nQuery: "


def test_a_sign_of_a_break_is_left_alone_where_there_never_was_one():
    info = next(info for info in explain() if info.key == "encoder.query_prefix")
    assert as_typed(info, r"C:\new ", "query: ") == r"C:\new "
