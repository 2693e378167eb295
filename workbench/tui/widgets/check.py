"""A box to tick whose state can be read without colour."""

from __future__ import annotations

from textual.widgets import Checkbox


class Check(Checkbox):
    """`[x] words` or `[ ] words` on one line."""

    BUTTON_LEFT, BUTTON_INNER, BUTTON_RIGHT = "[", " ", "]"
    DEFAULT_CSS = """
    Check, Check:focus, Check.-textual-compact:focus { border: none !important; height: 1; padding: 0; }
    Check { background: $background; }
    Check > .toggle--button, Check.-on > .toggle--button { color: $foreground; background: $background; }
    Check.-on > .toggle--button, Check.-on > .toggle--label { color: $warning; text-style: bold; }
    Check:focus > .toggle--label { background: $primary; color: $background; text-style: bold; }
    """

    def __init__(self, label: str, *, id: str) -> None:
        super().__init__(label, id=id, compact=True)

    def watch_value(self) -> None:
        self.BUTTON_INNER = "x" if self.value else " "
        super().watch_value()
