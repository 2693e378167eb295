"""The Run room: what a run does, what limits it, what to do about it."""

from __future__ import annotations

import time

from textual.message import Message

from workbench.core.run import RunRequest
from workbench.tui import text as t
from workbench.tui.actions import Action, bindings_of
from workbench.tui.bridge import RunControl, RunEnd
from workbench.tui.feed import Feed, Tick
from workbench.tui.rooms.dialogs import Question
from workbench.tui.rooms.picture import PictureRoom
from workbench.tui.rooms.words import change_text, end_lines, stop_text


class RunRoom(PictureRoom):
    """Over a live run."""

    ROOM = "run"
    KEYS = "run"
    BINDINGS = bindings_of("run")

    class Fresh(Message):
        """The feed has something new."""

    def __init__(self) -> None:
        super().__init__()
        self.control: RunControl | None = None
        self.feed: Feed | None = None
        self._told_end = False
        self._cpu: tuple[float, float, float] | None = None

    def on_mount(self) -> None:
        if self.control is not None and self.feed is None:
            self._start_feed()

    def on_unmount(self) -> None:
        if self.feed is not None:
            self.feed.stop()

    # ── the run ──────────────────────────────────────────────────────────────────────────────────
    def attach(self, control: RunControl) -> None:
        """Show another run from now on."""
        if self.feed is not None:
            self.feed.stop()
        self.picture.reset()
        request = control.request()
        self.picture.measured = request is None or request.profile.pipeline.telemetry != "none"
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
            self.picture.problem = problem
            self.picture.sum_up(None)
            self.paint()
            self.app.notify(problem, title="The run ended with an error", severity="error", timeout=12, markup=False)
        elif result is not None:
            rows = result.chunks / max(result.seconds, 1e-9)
            self.picture.sum_up(RunEnd(result.outcome, result.seconds, result.tokens_per_second, rows))
            self.paint()
            if not self.bench.restarting:  # the next run is on the screen at once
                said, head = "\n".join(end_lines(result)), f"Run {result.outcome}"
                self.app.notify(said, title=head, timeout=10, markup=False)
        self.bench.run_ended()

    @property
    def running(self) -> bool:
        return self.control is not None and not self.control.done()

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
        return super().is_open(action)

    def go_back(self) -> bool:
        if super().go_back():
            return True
        if self.picture.held:
            self.action_pause_picture()
            return True
        return False

    # ── actions: time ────────────────────────────────────────────────────────────────────────────
    def action_pause_picture(self) -> None:
        self.picture.follow() if self.picture.held else self.picture.hold()
        self.paint()

    def move(self, columns: float) -> None:
        if not self.picture.held:
            self.picture.hold()
        self.picture.go(self.picture.end + columns * self.step)
        self.paint()

    def action_earliest(self) -> None:
        self.picture.go(0.0)
        self.paint()

    def action_latest(self) -> None:
        self.picture.follow()
        self.paint()

    # ── actions: the run ─────────────────────────────────────────────────────────────────────────
    def action_pause_run(self) -> None:
        if self.control is None or not self.running:
            self.app.notify("No run is in progress.", markup=False)
            return
        paused = self.control.paused()
        (self.control.resume if paused else self.control.pause)()
        self.bars()
        self.app.notify("The run goes on." if paused else "The run pauses: what is in flight is finished, no more "
                        "work is given out. p resumes.", markup=False)

    def action_stop_run(self) -> None:
        if not self.running:
            self.app.notify("No run is in progress.", markup=False)
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
