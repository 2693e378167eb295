"""Leaving the screen: asked for by a key, twice by Ctrl+C, by a signal, or because its window is closed."""

from __future__ import annotations

import contextlib
import signal

from textual.app import App

from workbench.tui.bridge import RunControl
from workbench.tui.rooms.dialogs import Question


class Leaving(App[int]):
    """The part of the app that ends it in order; a run that goes on is stopped first."""

    _leaving = False

    @property
    def running_run(self) -> RunControl | None:
        """The run that goes on, if any."""
        raise NotImplementedError

    def left(self) -> bool:
        """Called when a run has ended: leaves, when only that was waited for."""
        if self._leaving:
            self.exit(0)
        return self._leaving

    def action_quit_screen(self) -> None:
        if self.running_run is not None:
            self.action_ask_quit()
        else:
            self.exit(0)

    async def action_quit(self) -> None:
        """Textual's own Ctrl+Q: the same as q."""
        self.action_quit_screen()

    def action_ask_quit(self) -> None:
        if isinstance(self.screen, Question):
            self.screen.action_again()
            return
        if self.running_run is not None:
            answers = [("stop", "Stop, commit, leave"), ("now", "Leave at once"), ("no", "Stay")]
            text = "A run goes on. Its units in flight are committed first; the same input resumes it later."
            self.push_screen(Question("Leave the workbench?", text, answers, again="now"), self._quit)
        else:
            self.push_screen(
                Question("Leave the workbench?", "", [("now", "Leave"), ("no", "Stay")], again="now"), self._quit
            )

    def _quit(self, answer: str | None) -> None:
        control = self.running_run
        if answer == "stop" and control is not None:
            self._leaving = True
            control.stop()
            self.notify("Committing the units in flight, then leaving. Ctrl+C: at once.", timeout=30, markup=False)
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
