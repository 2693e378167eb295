"""The app over the scripted workbench, its settings in a folder of the test."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from textual.css.query import NoMatches

from tests.tui.fakes import FakeWorkbench
from tests.tui.script import FakeRun
from workbench.tui.app import WorkbenchApp
from workbench.tui.settings import Settings


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("NO_COLOR", raising=False)


@pytest.fixture
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Local times of the pictures are the same everywhere."""
    monkeypatch.setenv("TZ", "UTC")
    if hasattr(time, "tzset"):
        time.tzset()
    yield
    monkeypatch.undo()
    if hasattr(time, "tzset"):
        time.tzset()


@pytest.fixture
def make_app(tmp_path: Path) -> Callable[..., WorkbenchApp]:
    """`make_app(theme=…)`: the app with these settings; refresh so slow that only `look` feeds it."""

    def make(**settings: object) -> WorkbenchApp:
        chosen = {"glyphs": "braille", "refresh": 5.0, **settings}
        return WorkbenchApp(FakeWorkbench(), Settings(**chosen), keep=tmp_path / "screen.json")  # type: ignore[arg-type]

    return make


async def show_run(app: WorkbenchApp, pilot, seconds: int = 5, run: FakeRun | None = None) -> FakeRun:
    """Bring a scripted run into the Run room: one reading a second, painted once at the end."""
    run = run or FakeRun()
    run.advance(1)
    app.run_room.attach(run)
    app.action_room("run")
    await pilot.pause()
    assert app.run_room.feed is not None
    for _ in range(seconds):
        run.advance(1)
        app.run_room.feed.look()
    await pilot.pause()
    return run


async def look(app: WorkbenchApp, pilot) -> None:
    """One tick of the feed, taken in and painted."""
    assert app.run_room.feed is not None
    app.run_room.feed.look()
    await pilot.pause()


async def until(pilot, condition: Callable[[], object], tries: int = 200) -> None:
    """Wait until something holds that another thread brings about."""
    for _ in range(tries):
        with contextlib.suppress(NoMatches):  # the room is still being put together
            if condition():
                return
        await pilot.pause(0.02)
    raise AssertionError("it did not come about")
