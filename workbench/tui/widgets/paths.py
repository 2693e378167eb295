"""Paths: completed while they are typed, and chosen from a tree of files."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from pathlib import Path

from textual.suggester import Suggester
from textual.widgets import DirectoryTree


class PathSuggester(Suggester):
    """Completes a typed path from the folder it points into."""

    def __init__(self) -> None:
        super().__init__(use_cache=False, case_sensitive=True)

    async def get_suggestion(self, value: str) -> str | None:
        loop = asyncio.get_running_loop()
        found: asyncio.Future[str | None] = loop.create_future()

        def look() -> None:
            name = complete_path(value)
            with contextlib.suppress(RuntimeError):  # the screen has been closed meanwhile
                loop.call_soon_threadsafe(_give, found, name)

        # A thread of its own: a folder on a dead network drive must not keep the program from ending.
        threading.Thread(target=look, daemon=True).start()
        return await found


def _give(future: asyncio.Future[str | None], name: str | None) -> None:
    if not future.done():  # another letter was typed meanwhile
        future.set_result(name)


def complete_path(value: str) -> str | None:
    """The first entry of the folder that goes on as typed, hidden ones only when a dot was typed."""
    if not value.strip():
        return None
    folder_text, typed = _split(value)
    try:
        folder = Path(folder_text or ".").expanduser()
        names = sorted(
            (entry.name + ("/" if entry.is_dir() else "") for entry in folder.iterdir()
             if entry.name.startswith(typed) and (typed.startswith(".") or not entry.name.startswith("."))),
        )
    except OSError:
        return None
    return folder_text + names[0] if names and names[0].rstrip("/") != typed else None


def _split(value: str) -> tuple[str, str]:
    cut = max(value.rfind("/"), value.rfind("\\")) + 1
    return value[:cut], value[cut:]


class FileTree(DirectoryTree):
    """The tree of files with calm signs that every font has."""

    ICON_NODE, ICON_NODE_EXPANDED, ICON_FILE = "+ ", "- ", "  "
