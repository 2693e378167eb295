import pytest
from textual.command import CommandPalette

from tests.tui.conftest import show_run, until
from workbench.tui.actions import ROOMS, actions_of
from workbench.tui.rooms.dialogs import Question
from workbench.tui.rooms.doctor import Findings
from workbench.tui.rooms.help import Help

SIZE = (120, 40)


@pytest.mark.parametrize("keys", ["123456", ["f1", "f2", "f3", "f4", "f5", "f6"]], ids=["digits", "function keys"])
async def test_keys_go_to_all_rooms(make_app, keys):
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        for key, (name, _) in zip(keys, ROOMS, strict=True):
            if name == "runs":
                app.screen.set_focus(None)  # letters typed into the query stay there
            await pilot.press(key)
            await pilot.pause()
            assert name == app.screen.ROOM


async def test_a_click_on_the_top_line_goes_to_a_room(make_app):
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        column = app.screen.query_one("TopBar").plain().index("Doctor")
        await pilot.click("TopBar", offset=(column + 1, 0))
        await pilot.pause()
        assert app.screen.ROOM == "doctor"


async def test_a_click_on_the_key_line_does_the_action(make_app):
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await show_run(app, pilot)
        column = app.screen.query_one("KeyBar").plain().index("hold")
        await pilot.click("KeyBar", offset=(column, 0))
        await pilot.pause()
        assert app.run_room.picture.held


async def test_help_lists_every_key_of_the_room(make_app):
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await show_run(app, pilot)
        await pilot.press("question_mark")
        await pilot.pause()
        assert isinstance(app.screen, Help)
        assert app.screen._body.startswith("Run\n")
        for action in (*actions_of("run"), *actions_of("")):
            assert action.help in app.screen._body
        await pilot.press("escape")
        await pilot.pause()
        assert app.screen.ROOM == "run"


async def test_the_palette_holds_the_actions_and_the_themes(make_app):
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await show_run(app, pilot)
        await pilot.press("ctrl+p")
        await pilot.pause()
        assert isinstance(app.screen, CommandPalette)
        await pilot.press("escape")
        await pilot.pause()
        commands = list(app.get_system_commands(app.screen))
        helps = " ".join(command.help for command in commands)
        for action in (*actions_of("run"), *actions_of("")):
            assert action.help in helps
        next(c for c in commands if c.title == "Theme workbench-light").callback()
        await pilot.pause()
        assert app.theme == "workbench-light"
        assert app.settings.theme == "workbench-light"


async def test_quitting_asks_only_while_a_run_goes_on(make_app):
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        run = await show_run(app, pilot)
        await pilot.press("q")
        await pilot.pause()
        assert isinstance(app.screen, Question)
        await pilot.press("escape")
        await pilot.pause()
        assert app.is_running
        await pilot.press("ctrl+c")
        await pilot.pause()
        await pilot.press("enter")
        await pilot.pause()
        assert run.calls == ["stop"]  # commits what is in flight, then leaves
        app.run_room.feed.look()
        await until(pilot, lambda: app._exit)
    assert app.return_value == 0


async def test_ctrl_c_twice_leaves_at_once(make_app):
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        run = await show_run(app, pilot)
        await pilot.press("ctrl+c")
        await pilot.pause()
        await pilot.press("ctrl+c")
        await until(pilot, lambda: app._exit)
    assert run.calls == ["stop now"]


async def test_q_leaves_when_nothing_goes_on(make_app):
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("q")
        await until(pilot, lambda: app._exit)
    assert app.return_value == 0


async def test_signs_and_rate_of_repainting_are_kept(make_app):
    app = make_app(refresh=1.0)
    async with app.run_test(size=SIZE) as pilot:
        await show_run(app, pilot)
        app.action_refresh_rate()
        app.action_next_glyphs()
        await pilot.pause()
        assert (app.settings.refresh, app.settings.glyphs) == (0.5, "blocks")
        assert app.glyphs.name == "blocks"


async def test_a_screenshot_is_saved(make_app, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("f12")
        await pilot.pause()
    (picture,) = tmp_path.glob("*.svg")
    assert "<svg" in picture.read_text(encoding="utf-8")


async def test_the_doctor_says_state_by_word_and_sign(make_app):
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        app.action_room("doctor")
        await until(pilot, lambda: app.screen.ROOM == "doctor" and app.screen.query_one(Findings).findings)
        shown = app.screen.query_one(Findings).plain()
        assert "✔ ok       Python" in shown
        assert "! warning  card" in shown
        assert "→ install the CUDA wheels" in shown
        await pilot.press("c")
        assert "problem  disk: 0.2 GB free -> free some space" in app.clipboard


async def test_an_unknown_theme_in_the_settings_is_no_end(make_app):
    app = make_app(theme="gone with an update")
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        assert app.theme == "workbench-dark"


async def test_the_end_of_a_long_text_can_be_reached_at_80_by_24(make_app):
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("question_mark")
        await pilot.pause()
        foot = app.screen.query_one(".foot")
        box = app.screen.query_one("Help > Vertical")
        assert foot.region and box.region.contains_region(foot.region)
        for _ in range(20):
            await pilot.press("pagedown")
        scroll = app.screen.query_one("VerticalScroll")
        assert scroll.scroll_offset.y == scroll.max_scroll_y > 0
        assert not scroll.region.overlaps(foot.region)


@pytest.mark.parametrize("size", [(160, 50), (80, 24)], ids=["160x50", "80x24"])
async def test_the_answers_of_a_question_can_be_read(make_app, size):
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await show_run(app, pilot)
        await pilot.press("s")
        await pilot.pause()
        for button in app.screen.query("Question Button"):
            shown = "".join(segment.text for segment in button.render_line(0))
            assert str(button.label) in shown
