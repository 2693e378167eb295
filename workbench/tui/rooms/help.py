"""Help: every key, made from the table of actions, and what the words mean."""

from __future__ import annotations

from workbench.tui import text as t
from workbench.tui.actions import Action, actions_of, plain
from workbench.tui.rooms.dialogs import Reading

WORDS = """\
Words
  chunk      what is embedded: a piece of text with a title
  unit       a fixed group of chunks that is read, embedded and committed as a whole
  ring       a fixed number of slots between two stages; full: the next stage is slow, empty: it waits
  busy       share of its time in which a stage works; in: waits for input; out: waits for room behind it
  kernels    share of time in which the card ran at least one kernel, as NVML tells
  MFU        the model's operations per second ÷ the device's own measured matrix rate
  pad        share of the computed tokens that is padding
  n/a        the reading cannot be had on this machine"""
_TITLES = {
    "": "Everywhere", "start": "Start", "run": "Run", "replay": "Replay", "search": "Search", "runs": "Runs",
    "collection": "Collection", "doctor": "Doctor",
}


def help_text(room: str, ascii_only: bool = False, width: int = 10_000) -> str:
    """Keys of this room first, then those for everywhere, then the other rooms, then words."""
    order = [room, "", *(name for name in _TITLES if name not in (room, ""))]
    parts = [f"{_TITLES[name]}\n" + "\n".join(map(_line, actions_of(name))) for name in order if name in _TITLES]
    more = (
        "In a list: arrows or j k, Page Up and Down, Enter; a click on a heading sorts. Tab goes to the next part, "
        "a double click gives a panel the whole screen. In the Start room and in a query, Enter starts."
    )
    text = "\n\n".join([*parts, more, WORDS])
    text = "\n".join(piece for line in text.splitlines() for piece in t.hang(line, width))
    return plain(text).replace("÷", "/") if ascii_only else text


def _line(action: Action) -> str:
    keys = action.shown_keys or "palette"
    return f"  {keys:<16} {action.help}"


class Help(Reading):
    """The text as a dialog."""

    def __init__(self, room: str, ascii_only: bool = False) -> None:
        super().__init__("Help: all keys", lambda width: help_text(room, ascii_only, width))
