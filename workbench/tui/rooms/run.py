"""The Run room: what a run does, what limits it, what to do about it."""

from __future__ import annotations

import time
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input

from workbench.core.run import RunRequest
from workbench.tui import text as t
from workbench.tui.actions import Action, bindings_of
from workbench.tui.bridge import RunControl
from workbench.tui.feed import Feed, Tick
from workbench.tui.picture import Picture
from workbench.tui.rooms.base import Room
from workbench.tui.rooms.dialogs import Question, Reading
from workbench.tui.rooms.words import change_text, end_lines, head_line, stop_text, why_text
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
        assert isinstance(room, RunRoom)
        return [head_line(room.picture, room.mark(), width)]


class RunRoom(Room):
    """Over a live run; `ReplayRoom` derives it for a recording."""

    ROOM = "run"
    KEYS = "run"
    BINDINGS = bindings_of("run")
    CSS_PATH: ClassVar[Any] = "run.tcss"

    class Fresh(Message):
        """The feed has something new."""

    def __init__(self) -> None:
        super().__init__()
        self.picture = Picture()
        self.control: RunControl | None = None
        self.feed: Feed | None = None
        self._told_end = False
        self._cpu: tuple[float, float, float] | None = None

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
        if self.control is not None and self.feed is None:
            self._start_feed()
        self.paint()

    def on_unmount(self) -> None:
        if self.feed is not None:
            self.feed.stop()

    # ── the run ──────────────────────────────────────────────────────────────────────────────────
    def attach(self, control: RunControl) -> None:
        """Show another run from now on."""
        if self.feed is not None:
            self.feed.stop()
        fresh = Picture(span=self.picture.span, view=self.picture.view)
        for name in ("facts", "frame", "verdict", "series", "readings", "log", "at", "text", "_live", "_verdicts"):
            setattr(self.picture, name, getattr(fresh, name))
        self.picture._first, self.picture._top = None, 100.0
        self.control, self._told_end, self._cpu = control, False, None
        if self.built:
            self._start_feed()
            self.paint()

    def _start_feed(self) -> None:
        assert self.control is not None
        self.feed = Feed(self.control, self.bench.settings.refresh, self._deliver)
        self.feed.start()

    def _deliver(self) -> None:
        self.post_message(self.Fresh())

    def on_run_room_fresh(self) -> None:
        tick = self.feed.take() if self.feed is not None else None
        if tick is None:
            return
        self.take(tick)
        self.paint()
        if tick.done and not self._told_end:
            self._told_end = True
            self.ended()

    def take(self, tick: Tick) -> None:
        """Put what is new into the picture."""
        self.picture.tell(tick.events)
        self.picture.feed(tick.facts, tick.points, tick.verdict)
        now, cpu = time.perf_counter(), time.thread_time() + tick.cpu
        if self._cpu is None:
            self._cpu = (now, cpu, cpu)
        since, before, _ = self._cpu
        if now - since >= 5.0:
            self.picture.cost.share = (cpu - before) / (now - since)
            self._cpu = (now, cpu, cpu)

    def ended(self) -> None:
        """Say what the run came to."""
        assert self.control is not None
        problem, result = self.control.error(), self.control.result()
        if problem is not None:
            self.app.notify(problem, title="The run ended with an error", severity="error", timeout=30, markup=False)
        elif result is not None:
            self.app.notify("\n".join(end_lines(result)), title=f"Run {result.outcome}", timeout=15, markup=False)
        self.bench.run_ended()

    @property
    def running(self) -> bool:
        return self.control is not None and not self.control.done()

    # ── drawing ──────────────────────────────────────────────────────────────────────────────────
    def paint(self) -> None:
        """Repaint what changed; panels that are not to be seen are left out."""
        if not self.is_current and self.app.screen is not self:
            return
        for panel in self.query(LineWidget):
            if panel.display and panel.region:
                panel.paint() if isinstance(panel, ProcessPanel) else panel.show()

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        self.call_after_refresh(self.paint)

    def mark(self) -> tuple[str, str]:
        """The word at the right end of the head line, and its role."""
        picture = self.picture
        if picture.held:
            live = picture.live
            behind = (live.wall - picture.end) if live else 0.0
            return f"{self.bench.glyphs.pause} held, {t.duration(behind)} behind  [space]", "warn"
        return "", "muted"

    def is_open(self, action: Action) -> bool:
        if action.name in ("pause_run", "stop_run"):
            return self.running
        if action.name == "apply_change":
            return self.picture.verdict.change is not None and self.control is not None
        if action.name == "next_view":
            return not (self.has_class("-wide") and self.has_class("-tall"))
        return True

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
        if self.picture.held:
            self.action_pause_picture()
            return True
        return False

    # ── actions: the picture ─────────────────────────────────────────────────────────────────────
    def action_pause_picture(self) -> None:
        self.picture.follow() if self.picture.held else self.picture.hold()
        self.paint()

    def _move(self, columns: int) -> None:
        if not self.picture.held:
            self.picture.hold()
        self.picture.go(self.picture.end + columns * max(1.0, self.picture.span / 60))
        self.paint()

    def action_earlier(self) -> None:
        self._move(-1)

    def action_later(self) -> None:
        self._move(1)

    def action_much_earlier(self) -> None:
        self._move(-10)

    def action_much_later(self) -> None:
        self._move(10)

    def action_earliest(self) -> None:
        self.picture.go(0.0)
        self.paint()

    def action_latest(self) -> None:
        self.picture.follow()
        self.paint()

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

    # ── actions: the run ─────────────────────────────────────────────────────────────────────────
    def action_pause_run(self) -> None:
        if self.control is None or not self.running:
            self.app.notify("No run goes on here.", markup=False)
            return
        paused = self.picture.live is not None and self.picture.live.paused
        (self.control.resume if paused else self.control.pause)()
        self.app.notify("The run goes on." if paused else "The run pauses: what is in flight is finished, no more "
                        "work is given out. p resumes.", markup=False)

    def action_stop_run(self) -> None:
        if not self.running:
            self.app.notify("No run goes on here.", markup=False)
            return
        answers = [("stop", "Stop and commit"), ("now", "Stop at once"), ("no", "Go on")]
        self.app.push_screen(Question("Stop the run?", stop_text(self.picture), answers), self._stop)

    def _stop(self, answer: str | None) -> None:
        if self.control is not None and answer in ("stop", "now"):
            self.control.stop(now=answer == "now")
            self.app.notify("Stopping: units in flight are being committed." if answer == "stop" else "Stopping now.",
                            markup=False)

    def action_apply_change(self) -> None:
        change = self.picture.verdict.change
        request: RunRequest | None = self.control.request() if self.control else None
        if change is None or request is None:
            self.app.notify("There is no change to apply now.", markup=False)
            return
        answers = [("apply", "Apply and restart"), ("no", "Leave it")]
        question = Question("Apply the suggested change?", change_text(self.picture.verdict, self.running), answers)
        self.app.push_screen(question, lambda answer: self._apply(answer, request, change))

    def _apply(self, answer: str | None, request: RunRequest, change: tuple[str, str]) -> None:
        if answer == "apply" and self.control is not None:
            self.bench.restart_with(self.control, request, change)


_PANELS = ("rate", "verdict", "pipeline", "view-rate", "view-gpu", "view-cpu", "view-processes", "view-log")
