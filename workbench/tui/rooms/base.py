"""What all rooms share: top line, key line, and the app seen as what it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.css.query import NoMatches
from textual.events import Resize
from textual.screen import Screen
from textual.widget import Widget

from workbench.tui.actions import Action
from workbench.tui.widgets.bars import KeyBar, TopBar

if TYPE_CHECKING:
    from workbench.tui.app import WorkbenchApp

#: Below this width rooms put their parts below one another.
NARROW = 100
#: From this width on the rate of a run fits on one line.
BROAD = 132
#: From this height on all panels of a wide screen have room.
TALL = 36


class Room(Screen[None]):
    """One of the six rooms."""

    ROOM: ClassVar[str] = ""
    # Nothing has the focus until the user goes somewhere, so that letters are keys, unless a room says so.
    AUTO_FOCUS = ""
    _bench: WorkbenchApp | None = None

    def on_resize(self, event: Resize) -> None:
        """Classes that the style sheets choose a layout by."""
        width, height = event.size
        self.set_class(width < NARROW, "-narrow")
        self.set_class(width >= NARROW, "-wide")
        self.set_class(width >= BROAD, "-broad")
        self.set_class(height < TALL, "-short")
        self.set_class(height >= TALL, "-tall")

    @property
    def bench(self) -> WorkbenchApp:
        """The app; kept, because other threads ask for it when the room may be closed already."""
        if self._bench is None:
            self._bench = cast("WorkbenchApp", self.app)
        return self._bench

    @property
    def built(self) -> bool:
        """The parts are there (from `on_mount` on, and no longer once the room is being closed)."""
        return bool(self.children) and self.is_attached

    def compose(self) -> ComposeResult:
        yield TopBar()
        yield from self.parts()
        yield KeyBar()

    def parts(self) -> ComposeResult:
        """What lies between top line and key line."""
        raise NotImplementedError

    def is_open(self, action: Action) -> bool:
        """Whether an action can be done now (for the key line)."""
        return True

    def paint(self) -> None:
        """Repaint what is drawn by lines, after other signs were chosen."""
        from workbench.tui.widgets.lines import LineWidget

        for widget in self.query(LineWidget):
            widget.show()

    def bars(self) -> None:
        """Repaint top line and key line where they changed."""
        for kind in (TopBar, KeyBar):
            try:
                self.query_one(kind).show()
            except NoMatches:
                return

    def on_screen_resume(self) -> None:
        self.bars()

    def in_field(self) -> Widget | None:
        """The field that takes letters now, if any."""
        from textual.widgets import Input

        return self.focused if isinstance(self.focused, Input) else None

    def go_back(self) -> bool:
        """Esc: leave a field or a full-size panel. False when there was nothing to leave."""
        if self.in_field() is not None:
            self.set_focus(None)
            return True
        if self.maximized is not None:
            self.minimize()
            return True
        return False
