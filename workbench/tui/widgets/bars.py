"""Top line and bottom line of every room, both made from tables: rooms and actions."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len

from workbench.tui.actions import ROOMS, Action, actions_of, plain
from workbench.tui.widgets.lines import Line, LineWidget, extend


class TopBar(LineWidget):
    """The rooms, and what goes on; a click goes to a room."""

    DEFAULT_CSS = "TopBar { dock: top; height: 1; background: $panel; }"

    def build(self, width: int, height: int) -> Sequence[Line]:
        here = getattr(self.screen, "ROOM", "")
        line = Line(" Embedding Workbench  " if width >= 100 else " ", "title")
        for number, (name, title) in enumerate(ROOMS, start=1):
            role = "strong" if name == here else "muted"
            mark = self.glyphs.play if name == here else " "
            line.add(mark, "key").add(f"{number} ", "key", f"app.room('{name}')")
            line.add(title, role, f"app.room('{name}')").add(" " if width < 100 else "  ")
        words, state_role = getattr(self.app, "state_words", lambda: ("", "muted"))()
        return [line.right(width - 1, words, state_role)]


class KeyBar(LineWidget):
    """Keys of this room, made from the table of actions; what has no room is behind `?`."""

    DEFAULT_CSS = "KeyBar { dock: bottom; height: 1; background: $panel; }"

    def build(self, width: int, height: int) -> Sequence[Line]:
        room = getattr(self.screen, "KEYS", getattr(self.screen, "ROOM", ""))
        check = getattr(self.screen, "is_open", lambda action: True)
        here = [action for action in actions_of(room) if action.label and check(action)]
        always = [action for action in actions_of("") if action.label and action.keys]
        return [key_line(here, always, width, self.glyphs.name == "ascii")]


def key_line(here: Sequence[Action], always: Sequence[Action], width: int, ascii_only: bool) -> Line:
    """As many actions of the room as have room; those for everywhere stand at the end and always stay."""
    tail = Line()
    for action in always:
        _key(tail, action, "app", ascii_only)
    line, room = Line(" "), width - tail.used
    for number, action in enumerate(here):
        one = _key(Line(), action, "screen", ascii_only)
        more = f"+{len(here) - number} " if number < len(here) else ""
        if line.used + one.used + (len(more) if number < len(here) - 1 else 0) > room:
            line.add(more, "muted", "app.help")
            break
        extend(line, one.parts)
    return extend(line.to(room), tail.parts)


def _key(line: Line, action: Action, owner: str, ascii_only: bool) -> Line:
    shown = action.shown_keys.split(" ")[0]
    shown = plain(shown) if ascii_only else shown
    call = f"{owner}.{action.name}"
    assert cell_len(shown) > 0
    return line.add(shown, "key", call).add(f" {action.label}", "muted", call).add("  ")
