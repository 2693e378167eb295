"""Dialogs: a question, a field, a text to read. Esc closes each of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.events import Resize
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Label, Static

_CSS = """
Dialog { align: center middle; }
Dialog > Vertical {
    width: 76; max-width: 94%; height: auto; max-height: 90%; padding: 1 2;
    background: $surface; border: round $primary;
}
Dialog .head { text-style: bold; color: $primary; margin-bottom: 1; width: 100%; }
Dialog .body { width: 100%; margin-bottom: 1; }
Dialog VerticalScroll { height: auto; max-height: 100%; }
Dialog Horizontal { height: auto; align-horizontal: right; margin-top: 1; }
Dialog Button { margin-left: 2; min-width: 10; height: 1; padding: 0 1; }
Dialog Button { background: $panel; color: $foreground; }
Dialog Button:focus { background: $primary; color: $background; text-style: bold; }
Dialog Input { border: tall $border; }
"""


class Dialog(ModalScreen[str]):
    """Base of dialogs; the answer is the id of a button or what was typed; left with Esc: `""`, of a field None."""

    DEFAULT_CSS = _CSS
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", show=False)]

    def action_leave(self) -> None:
        self.dismiss("")


class Question(Dialog):
    """A question with answers as buttons: (id, label), the first one has the focus."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "app.focus_previous", show=False), Binding("right,l", "app.focus_next", show=False),
        Binding("ctrl+c", "again", show=False, priority=True),
    ]

    def __init__(self, head: str, body: str, answers: Sequence[tuple[str, str]], *, again: str = "") -> None:
        """`again`: the answer that a second Ctrl+C gives."""
        super().__init__()
        self._head, self._body, self._answers, self._again = head, body, list(answers), again

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Label(self._head, classes="head", markup=False)
            if self._body:
                yield Static(self._body, classes="body", markup=False)
            with Horizontal():
                for name, label in self._answers:
                    yield Button(label, id=name, compact=True)  # a border would leave no room for the label

    def on_mount(self) -> None:
        self.query(Button).first().focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id or "")

    def action_again(self) -> None:
        self.dismiss(self._again)


class Field(Dialog):
    """Asks for one line of text."""

    def __init__(self, head: str, body: str = "", value: str = "", placeholder: str = "") -> None:
        super().__init__()
        self._head, self._body, self._value, self._placeholder = head, body, value, placeholder

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Label(self._head, classes="head", markup=False)
            if self._body:
                yield Static(self._body, classes="body", markup=False)
            yield Input(self._value, placeholder=self._placeholder)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self.dismiss(event.value)

    def action_leave(self) -> None:
        self.dismiss(None)  # an empty text would be an answer


class Reading(Dialog):
    """A text to read and scroll."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q,enter,question_mark,w", "leave", show=False),
        Binding("down,j", "move(1)", show=False), Binding("up,k", "move(-1)", show=False),
        Binding("pagedown,space", "move(10)", show=False), Binding("pageup", "move(-10)", show=False),
    ]
    DEFAULT_CSS = """
    Reading > Vertical { width: 100; }
    Reading .foot { color: $text-muted; }
    """

    def __init__(self, head: str, body: str | Callable[[int], str]) -> None:
        """`body`: the text, or what lays it out for a width in cells."""
        super().__init__()
        self._head = head
        self._lay_out = body if callable(body) else lambda width: body
        self._body = ""

    def compose(self) -> ComposeResult:
        # Frame and padding, and a column for the bar at the side of a long text, are not the text's.
        self._body = self._lay_out(min(100, int(0.94 * self.app.size.width)) - 8)
        with Vertical():
            yield Label(self._head, classes="head", markup=False)
            with VerticalScroll(can_focus=False):
                yield Static(self._body, classes="body", markup=False)
            yield Label("Esc closes   arrows and Page Down scroll", classes="foot", markup=False)

    def on_resize(self, event: Resize) -> None:
        # The text scrolls within what frame, head and foot leave; left to itself it would push the foot out.
        self.query_one(VerticalScroll).styles.max_height = max(2, int(0.9 * event.size.height) - 7)

    def action_move(self, lines: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)
