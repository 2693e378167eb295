"""Leaving while something goes on."""

from __future__ import annotations

from textual.widgets import Button

from tests.tui.conftest import show_run, until
from tests.tui.script import FakeRun
from workbench.tui.bridge import Outcome
from workbench.tui.rooms.collection import Facts
from workbench.tui.rooms.dialogs import Question

SIZE = (120, 40)


async def start_check(app, pilot) -> None:
    app.action_room("collection")
    await until(pilot, lambda: app.screen.ROOM == "collection" and app.screen.query_one(Facts).pairs)
    await pilot.press("v")


async def test_a_job_that_is_not_finished_is_not_given_up_without_a_question(make_app):
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await start_check(app, pilot)
        await pilot.press("1", "q")
        await pilot.pause()
        assert isinstance(app.screen, Question)
        assert app.screen._body == "The check of books is not finished: leaving gives it up."
        await pilot.press("enter")  # the first answer loses nothing
        await pilot.pause()
        assert app.is_running and not app._exit
        app.workbench.tell("verify", Outcome(("whole: 3 files",)))
        await until(pilot, lambda: not app.running_job)
        await pilot.press("q")
        await until(pilot, lambda: app._exit)


async def test_a_job_can_be_given_up(make_app):
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await start_check(app, pilot)
        await pilot.press("q")
        await pilot.pause()
        await pilot.press("right", "enter")
        await until(pilot, lambda: app._exit)
    assert app.return_value == 0


async def test_the_question_names_a_run_and_a_job(make_app):
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await show_run(app, pilot)
        await start_check(app, pilot)
        await pilot.press("q")
        await pilot.pause()
        assert "A run is in progress." in app.screen._body and "The check of books" in app.screen._body
        assert [button.id for button in app.screen.query(Button)] == ["stop", "now", "no"]


async def test_ctrl_c_leaves_at_once_while_the_last_units_are_committed(make_app):
    app = make_app()
    run = FakeRun()
    run.lingers = True
    async with app.run_test(size=SIZE) as pilot:
        await show_run(app, pilot, run=run)
        await pilot.press("q")
        await pilot.pause()
        await pilot.press("enter")
        await pilot.pause()
        assert run.calls == ["stop"] and not app._exit
        await pilot.press("q")  # says again what is waited for
        await pilot.pause()
        assert not isinstance(app.screen, Question) and run.calls == ["stop"] and not app._exit
        assert {note.message for note in app._notifications} == {
            "Committing the units in flight, then leaving. Ctrl+C: at once."
        }
        await pilot.press("ctrl+c")
        await until(pilot, lambda: app._exit)
    assert run.calls == ["stop", "stop now"]
