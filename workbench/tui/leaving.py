"""Leaving the screen: asked for by a key, twice by Ctrl+C, by a signal, or because its window is closed."""

from __future__ import annotations

import contextlib
import signal

from textual.app import App

from workbench.tui.bridge import RunControl
from workbench.tui.rooms.dialogs import Question


class Leaving(App[int]):
    """The part of the app that ends it in order; a run that goes on is stopped first."""

    _leaving = False  # only the end of the run is waited for

    @property
    def running_run(self) -> RunControl | None:
        """The run that goes on, if any."""
        raise NotImplementedError

    @property
    def running_job(self) -> str:
        """What else goes on that leaving would end, in words; empty when nothing does."""
        raise NotImplementedError

    def left(self) -> bool:
        """Called when a run has ended: leaves, when only that was waited for."""
        if self._leaving:
            self.exit(0)
        return self._leaving

    def action_quit_screen(self) -> None:
        if self._leaving:
            self._say_leaving()
        elif self.running_run is not None or self.running_job:
            self.action_ask_quit()
        else:
            self.exit(0)

    async def action_quit(self) -> None:
        """Textual's own Ctrl+Q: the same as q."""
        self.action_quit_screen()

    def action_ask_quit(self) -> None:
        """Ctrl+C: ask; again, or when units are only being committed before leaving: leave at once."""
        if self._leaving:
            self._quit("now")
        elif isinstance(self.screen, Question):
            self.screen.action_again()
        else:
            text, answers = self._question()
            self.push_screen(Question("Leave the workbench?", text, answers, again="now"), self._quit)

    def _question(self) -> tuple[str, list[tuple[str, str]]]:
        """What leaving would end, and the answers: the first one loses nothing that is wanted."""
        said, job = [], self.running_job
        if job:
            said.append(f"{job} is not finished: leaving gives it up.")
        if self.running_run is not None:
            said.insert(0, "A run is in progress. Its units in flight are committed first; the same input resumes it "
                           "later.")
            return " ".join(said), [("stop", "Stop, commit, leave"), ("now", "Leave at once"), ("no", "Stay")]
        leave = ("now", "Give it up and leave" if job else "Leave")
        return " ".join(said), [("no", "Stay"), leave] if job else [leave, ("no", "Stay")]

    def _say_leaving(self) -> None:
        self.notify("Committing the units in flight, then leaving. Ctrl+C: at once.", timeout=30, markup=False)

    def _quit(self, answer: str | None) -> None:
        control = self.running_run
        if answer == "stop" and control is not None:
            self._leaving = True
            control.stop()
            self._say_leaving()
        elif answer in ("stop", "now"):
            if control is not None:
                control.stop(now=True)
            self.exit(0)

    # ── signals ──────────────────────────────────────────────────────────────────────────────────
    def watch_signals(self) -> None:
        """A polite kill, and the closing of the terminal's window, end the screen in order (POSIX)."""
        import asyncio

        loop = asyncio.get_running_loop()
        for name in ("SIGTERM", "SIGHUP", "SIGINT"):
            with contextlib.suppress(AttributeError, NotImplementedError, RuntimeError, ValueError):
                loop.add_signal_handler(getattr(signal, name), self._killed, name)

    def _killed(self, name: str) -> None:
        control = self.running_run
        if control is not None:
            control.stop(now=True)
        self.exit(1 if name != "SIGINT" else 130)

    def on_ready(self) -> None:
        self.watch_signals()
