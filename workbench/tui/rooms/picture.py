"""A room that draws the picture of a run: its panels, the moment shown, views, filter and the evidence.

`RunRoom` puts a live run into the picture, `ReplayRoom` a recording.
"""

from __future__ import annotations

from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widget import Widget
from textual.widgets import Input

from workbench.tui.actions import Action
from workbench.tui.picture import Picture
from workbench.tui.rooms.base import Room
from workbench.tui.rooms.dialogs import Reading
from workbench.tui.rooms.words import head_line, why_text
from workbench.tui.widgets.lines import Line, LineWidget
from workbench.tui.widgets.meters import CpuPanel, GpuPanel, RateGraph
from workbench.tui.widgets.panels import PipelinePanel, RatePanel, VerdictPanel
from workbench.tui.widgets.table import LineTable
from workbench.tui.widgets.tables import LogPanel, ProcessPanel

#: Panels that take turns on a small terminal.
VIEWS = ("rate", "gpu", "cpu", "processes", "log")


class HeadLine(LineWidget):
    """Which run this is, and for how long; what is held or being played."""

    DEFAULT_CSS = "HeadLine { height: 1; }"

    def build(self, width: int, height: int) -> list[Line]:
        room = self.screen
        assert isinstance(room, PictureRoom)
        return [head_line(room.picture, room.mark(), width)]


class PictureRoom(Room):
    """Panels over one `Picture`."""

    CSS_PATH: ClassVar[Any] = "picture.tcss"

    def __init__(self) -> None:
        super().__init__()
        self.picture = Picture()

    def parts(self) -> ComposeResult:
        picture, settings = self.picture, self.bench.settings
        picture.span, picture.view = settings.span, settings.view if settings.view in VIEWS else "rate"
        yield HeadLine(id="head")
        yield RatePanel(picture, "rate", id="rate")
        yield VerdictPanel(picture, "verdict", id="verdict")
        yield PipelinePanel(picture, "pipeline", id="pipeline")
        with Horizontal(id="graphs"):
            yield RateGraph(picture, "tokens/s", id="view-rate")
            yield GpuPanel(picture, "GPU", id="view-gpu")
            yield CpuPanel(picture, "CPU by core", id="view-cpu")
        with Horizontal(id="lower"):
            yield ProcessPanel(picture, settings.sort, id="view-processes")
            yield LogPanel(picture, id="view-log")
        yield Input(placeholder="filter processes and log", id="filter", classes="hidden")

    def on_mount(self) -> None:
        self._show_view()
        self.paint()

    # ── drawing ──────────────────────────────────────────────────────────────────────────────────
    def paint(self) -> None:
        """Repaint what changed; panels that are not to be seen are left out."""
        if not self.is_current and self.app.screen is not self:
            return
        for panel in self.query(LineWidget):
            if panel.display and panel.region:
                panel.paint() if isinstance(panel, ProcessPanel) else panel.show()

    def on_screen_resume(self) -> None:
        self.call_after_refresh(self.paint)

    def mark(self) -> tuple[str, str]:
        """The word at the right end of the head line, and its role."""
        return "", "muted"

    def is_open(self, action: Action) -> bool:
        if self.picture.frame is None and action.name in _OF_A_FRAME:
            return False
        return action.name != "next_view" or not (self.has_class("-wide") and self.has_class("-tall"))

    def _show_view(self) -> None:
        for name in VIEWS:
            self.set_class(self.picture.view == name, f"-view-{name}")

    def go_back(self) -> bool:
        if self.focused is not None and self.focused.id == "filter":
            self._close_filter(keep=False)
            return True
        if super().go_back():
            self.call_after_refresh(self.paint)
            return True
        return False

    @property
    def step(self) -> float:
        """Seconds that one step in time goes."""
        return max(1.0, self.picture.span / 60)

    # ── actions ──────────────────────────────────────────────────────────────────────────────────
    def move(self, columns: float) -> None:
        """Go forward in time by so many steps of the graphs (negative: back)."""
        raise NotImplementedError

    def action_earlier(self) -> None:
        self.move(-1)

    def action_later(self) -> None:
        self.move(1)

    def action_much_earlier(self) -> None:
        self.move(-10)

    def action_much_later(self) -> None:
        self.move(10)

    def action_longer_span(self) -> None:
        self._zoom(longer=True)

    def action_shorter_span(self) -> None:
        self._zoom(longer=False)

    def _zoom(self, longer: bool) -> None:
        self.picture.zoom(longer)
        self.bench.change_settings(span=self.picture.span)
        self.paint()

    def action_next_view(self) -> None:
        self.show_view(VIEWS[(VIEWS.index(self.picture.view) + 1) % len(VIEWS)])

    def show_view(self, name: str) -> None:
        """Show one of `VIEWS` where not all have room."""
        self.picture.view = name
        self._show_view()
        self.bench.change_settings(view=name)
        self.call_after_refresh(self.paint)

    def action_expand(self) -> None:
        if self.maximized is not None:
            self.minimize()
        else:
            target = self.focused if self.focused is not None and self.focused.id in _PANELS else None
            self.maximize(target or self._main_view(), container=False)
        self.call_after_refresh(self.paint)

    def _main_view(self) -> Widget:
        return self.query_one(f"#view-{self.picture.view}")

    def action_sort_next(self) -> None:
        self.query_one(ProcessPanel).sort_next()

    def action_sort_reverse(self) -> None:
        self.query_one(ProcessPanel).sort_reverse()

    def on_line_table_sorted(self, event: LineTable.Sorted) -> None:
        self.bench.change_settings(sort=event.sort)

    def on_line_table_chosen(self, event: LineTable.Chosen) -> None:
        self.action_expand()

    def action_filter(self) -> None:
        field = self.query_one("#filter", Input)
        field.remove_class("hidden")
        field.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        self.picture.text = event.value
        self.paint()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self._close_filter(keep=True)

    def _close_filter(self, keep: bool) -> None:
        field = self.query_one("#filter", Input)
        if not keep:
            field.value = self.picture.text = ""
        field.add_class("hidden")
        self.set_focus(None)
        self.call_after_refresh(self.paint)

    def action_why(self) -> None:
        self.app.push_screen(Reading("Why: what limits the run", why_text(self.picture)))

    def action_copy_verdict_here(self) -> None:
        self.bench.copy(why_text(self.picture), "the verdict")


#: Actions that need something to be seen.
_OF_A_FRAME = frozenset({"pause_picture", "filter", "why", "copy_verdict_here", "sort_next"})
_PANELS = ("rate", "verdict", "pipeline", "view-rate", "view-gpu", "view-cpu", "view-processes", "view-log")
