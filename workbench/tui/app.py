"""The screen of the workbench: `workbench` without arguments opens it.

Imports no torch, transformers, faiss or pyarrow; what needs them runs in threads and processes (`live`).
"""

from __future__ import annotations

import contextlib
import importlib
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual.app import SystemCommand
from textual.screen import Screen

from workbench.core.errors import WorkbenchError
from workbench.core.profile_io import apply_overrides
from workbench.core.run import RunRequest
from workbench.tui.actions import ROOMS, actions_of, bindings_of
from workbench.tui.bridge import RunCard, RunControl, Workbench
from workbench.tui.leaving import Leaving
from workbench.tui.looks import Looks
from workbench.tui.rooms.base import Room
from workbench.tui.rooms.dialogs import Dialog
from workbench.tui.settings import Settings

if TYPE_CHECKING:
    from workbench.tui.rooms.collection import CollectionRoom
    from workbench.tui.rooms.run import RunRoom
    from workbench.tui.rooms.search import SearchRoom

#: Rooms and where they live; loaded when they are first visited, so that the first paint waits for one only.
KINDS = {
    "start": ("workbench.tui.rooms.start", "StartRoom"), "run": ("workbench.tui.rooms.run", "RunRoom"),
    "search": ("workbench.tui.rooms.search", "SearchRoom"), "runs": ("workbench.tui.rooms.runs", "RunsRoom"),
    "collection": ("workbench.tui.rooms.collection", "CollectionRoom"),
    "doctor": ("workbench.tui.rooms.doctor", "DoctorRoom"),
}
_RATES = (1.0, 0.5, 0.25)


class WorkbenchApp(Leaving, Looks):
    """Six rooms over one `Workbench`."""

    TITLE = "Embedding Workbench"
    CSS_PATH: ClassVar[Any] = "workbench.tcss"
    BINDINGS = bindings_of("")
    MODES: ClassVar[Any] = {name: name for name, _ in ROOMS}
    DEFAULT_MODE = "start"
    ENABLE_COMMAND_PALETTE = True
    # Nothing moves by itself here; a fade would only cost CPU during a run.
    animation_level = "none"

    def __init__(self, workbench: Workbench, settings: Settings | None = None, *, keep: Path | None = None) -> None:
        """`keep`: file of the settings; None: the user's own; they are written on every change."""
        super().__init__(settings, keep)
        self.workbench = workbench
        self._rooms: dict[str, Room] = {}
        self._restart: RunRequest | None = None

    # ── rooms ────────────────────────────────────────────────────────────────────────────────────
    def get_screen(self, screen: Any) -> Any:  # type: ignore[override]
        """Rooms are made when they are first visited."""
        return self.visit(screen) if isinstance(screen, str) and screen in KINDS else super().get_screen(screen)

    def visit(self, name: str) -> Room:
        """The room of a name, which stays as it was left."""
        if name not in self._rooms:
            module, kind = KINDS[name]
            self._rooms[name] = getattr(importlib.import_module(module), kind)()
        return self._rooms[name]

    @property
    def run_room(self) -> RunRoom:
        return cast("RunRoom", self.visit("run"))

    @property
    def running_run(self) -> RunControl | None:
        """The run that goes on, if any."""
        room = cast("RunRoom | None", self._rooms.get("run"))
        return room.control if room is not None and room.running else None

    @property
    def running_job(self) -> str:
        """The check, build or export of a collection that goes on, in words; empty without one."""
        room = cast("CollectionRoom | None", self._rooms.get("collection"))
        return room.doing if room is not None and room.job is not None else ""

    def action_room(self, name: str) -> None:
        if isinstance(self.screen, Dialog):
            return
        while getattr(self.screen, "KEYS", "") == "replay":
            self.pop_screen()
        self.switch_mode(name)

    def runs(self) -> list[RunCard]:
        """Recorded runs, the newest first; the one that goes on is called so. Reads disk: call in a thread."""
        control = self.running_run
        facts = control.facts() if control is not None else None
        going = facts.run if facts is not None else ""
        return [
            replace(card, outcome="running") if card.folder.name == going else card for card in self.workbench.runs()
        ]

    def state_words(self) -> tuple[str, str]:
        """What goes on, for the top line of every room."""
        room = cast("RunRoom | None", self._rooms.get("run"))
        if room is None or room.control is None:
            return "", "muted"
        frame = room.picture.live
        share = "" if frame is None or frame.share is None else f" {100 * frame.share:3.0f} %"
        if room.running:
            begun = "starting" if room.picture.measured else "running"
            phase = "paused" if room.control.paused() else frame.phase if frame else begun
            sign = self.glyphs.pause if phase == "paused" else self.glyphs.live
            return f"{sign} {phase}{share}", "warn" if phase in ("paused", "stopping") else "good"
        if room.control.error() is not None:
            return f"{self.glyphs.bad} failed", "bad"
        return f"{self.glyphs.good} ended", "muted"

    # ── runs ─────────────────────────────────────────────────────────────────────────────────────
    def start(self, request: RunRequest) -> None:
        """Start a run and go to the Run room; one run at a time."""
        if self.run_room.running:
            self.notify("A run is already in progress: stop it first (2, then s).", severity="warning", markup=False)
            return
        self.run_room.attach(self.workbench.start_run(request))
        self.action_room("run")

    def restart_with(self, control: RunControl, request: RunRequest, change: tuple[str, str]) -> None:
        """Stop, then go on from what is committed with one setting changed."""
        try:
            profile = apply_overrides(request.profile, [f"{change[0]}={change[1]}"])
        except WorkbenchError as error:
            self.complain(str(error))
            return
        self._restart = replace(request, profile=profile, fresh=False)
        if control.done():
            self.run_ended()
            return
        control.stop()
        self.notify(f"Stopping, then restarting with {change[0]} = {change[1]}.", markup=False)

    @property
    def restarting(self) -> bool:
        """A run is being stopped only to go on with another setting."""
        return self._restart is not None

    def run_ended(self) -> None:
        """Called by the Run room when its run has come to its end."""
        request, self._restart = self._restart, None
        if not self.left() and request is not None:
            self.start(request)

    def open_recording(self, run: Path) -> None:
        """Read the recording of a run in a thread, then replay it."""
        self.notify("Reading the recording …", timeout=2, markup=False)

        def load() -> None:
            try:
                recording = self.workbench.replay(run)
            except WorkbenchError as error:
                self.hand_over(self.complain, str(error))
            else:
                self.hand_over(self.show_replay, recording)

        self.in_thread(load)

    def show_replay(self, recording: Any) -> None:
        """Replay a recording over the present room."""
        if not recording.snapshots:
            self.complain("; ".join(recording.notes) or "The recording is empty.")
            return
        from workbench.tui.rooms.replay import ReplayRoom

        self.push_screen(ReplayRoom(recording))

    def show_collection(self, path: Path) -> None:
        cast("CollectionRoom", self.visit("collection")).show_path(path)
        self.action_room("collection")

    def search_in(self, path: Path) -> None:
        cast("SearchRoom", self.visit("search")).open(path)
        self.action_room("search")

    # ── threads ──────────────────────────────────────────────────────────────────────────────────
    def in_thread(self, function: Callable[[], None]) -> None:
        """Do something that reads disk in a thread that never keeps the program from ending."""
        threading.Thread(target=function, name="reader", daemon=True).start()

    def hand_over(self, callback: Callable[..., object], *arguments: Any) -> None:
        """Have something done in the screen's thread, from any thread; never waits for it."""
        with contextlib.suppress(RuntimeError):  # the screen has just been closed
            self.call_later(callback, *arguments)

    # ── small services for the rooms ─────────────────────────────────────────────────────────────
    def complain(self, text: str) -> None:
        """Show a problem for as long as it takes to read it."""
        self.notify(text, title="Problem", severity="error", timeout=max(8, len(text) / 12), markup=False)

    def copy(self, text: str, what: str) -> None:
        """Put a text on the clipboard of the terminal (OSC 52)."""
        self.copy_to_clipboard(text)
        self.notify(f"Copied {what}.", timeout=3, markup=False)

    def open_outside(self, path: Path | None) -> None:
        """Open a file with the program the system has for it."""
        if path is None or not path.exists():
            self.notify("There is no file to open." if path is None else f"{path} is no longer there.", markup=False)
            return
        self.notify(f"Opening {path}", timeout=4, markup=False)
        self.open_url(path.absolute().as_uri())

    # ── actions for everywhere ───────────────────────────────────────────────────────────────────
    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """The command palette: this room's actions, then those for everywhere, then themes."""
        room = getattr(screen, "KEYS", getattr(screen, "ROOM", ""))
        for owner, name in ((screen, room), (self, "")):
            for action in actions_of(name):
                call = f"{'app' if owner is self else 'screen'}.{action.name}"
                keys = f"   ({action.shown_keys})" if action.keys else ""
                title = action.label.capitalize() or action.help.split(":")[0].split(";")[0].rstrip(".")
                yield SystemCommand(title, action.help + keys, lambda call=call: self._do(call))
        for theme in self.available_themes:
            yield SystemCommand(f"Theme {theme}", "Colours of the screen.", lambda name=theme: self.take_theme(name))

    def _do(self, call: str) -> None:
        self.run_worker(self.run_action(call), exclusive=False)

    def action_help(self) -> None:
        from workbench.tui.rooms.help import Help

        room = getattr(self.screen, "KEYS", getattr(self.screen, "ROOM", ""))
        self.push_screen(Help(room, self.glyphs.name == "ascii"))

    async def action_back(self) -> None:
        screen = self.screen
        if isinstance(screen, Room) and not screen.go_back() and screen.ROOM != "start":
            self.action_room("start")

    def action_refresh_rate(self) -> None:
        now = self.settings.refresh
        chosen = next((rate for rate in _RATES if rate < now), _RATES[0])
        self.change_settings(refresh=chosen)
        if self.run_room.feed is not None:
            self.run_room.feed.interval = chosen
        self.notify(f"A run is repainted {1 / chosen:g} times a second.", timeout=3, markup=False)

    def action_copy_verdict(self) -> None:
        from workbench.tui.rooms.words import why_text

        picture = getattr(self.screen, "picture", None) or self.run_room.picture
        self.copy(why_text(picture), "the verdict")


def run_app(words: Iterable[str] = ()) -> int:
    """Open the screen; returns the exit code. `words` are kept for options to come."""
    from workbench.tui.live import LiveWorkbench

    bench = LiveWorkbench()
    app = WorkbenchApp(bench)
    try:
        app.run()
        return int(app.return_code or app.return_value or 0)
    finally:
        control = app.running_run
        if control is not None:
            control.stop(now=True)
        bench.close()
