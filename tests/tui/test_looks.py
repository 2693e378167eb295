"""Pictures of the screen: where they are saved, and what is said where they cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def nowhere(tmp_path: Path) -> Path:
    """A place that no user, on no system, can write into: it lies below a file."""
    file = tmp_path / "file"
    file.write_text("x", encoding="utf-8")
    return file / "folder"


async def test_a_picture_goes_to_the_users_own_folder_where_the_working_folder_cannot_be_written(
    make_app, nowhere, monkeypatch, tmp_path
):
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        monkeypatch.setattr(Path, "cwd", lambda: nowhere)
        await pilot.press("f12")
        await pilot.pause()
        (picture,) = (tmp_path / "home" / "screens").glob("*.svg")
        assert "<svg" in picture.read_text(encoding="utf-8")
        assert [note.message for note in app._notifications] == [f"Saved {picture}"]


async def test_a_picture_that_can_be_saved_nowhere_is_told_and_the_screen_goes_on(make_app, nowhere, monkeypatch):
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        monkeypatch.setattr(Path, "cwd", lambda: nowhere)
        monkeypatch.setenv("WORKBENCH_HOME", str(nowhere))
        await pilot.press("f12")
        await pilot.pause()
        assert [note.message.split(": ")[0] for note in app._notifications] == ["The picture cannot be saved"]
        assert app.is_running
