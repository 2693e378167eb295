"""The Start room: what to embed, how, into what, what it will cost; Enter starts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Button, Checkbox, DirectoryTree, Input, Label

from workbench.core.errors import UsageError, WorkbenchError
from workbench.core.paths import default_collection
from workbench.core.profile import Profile
from workbench.core.profile_io import apply_overrides, load_profile, profile_names
from workbench.core.run import RunRequest
from workbench.tui import text as t
from workbench.tui.actions import bindings_of
from workbench.tui.bridge import CollectionCard, Estimate, Job, RunCard
from workbench.tui.rooms.base import Room
from workbench.tui.rooms.dialogs import Question
from workbench.tui.rooms.profile import ProfileEditor
from workbench.tui.widgets.check import Check
from workbench.tui.widgets.forecast import AboutProfile, EstimateLines
from workbench.tui.widgets.paths import FileTree, PathSuggester
from workbench.tui.widgets.table import Column, LineTable

RECENT_COLUMNS = (
    Column("what", "what", 0, lambda c: c.title),
    Column("kind", "", 11, lambda c: "collection" if isinstance(c, CollectionCard) else f"run {c.outcome}",
           role=lambda c: "muted"),
    Column("rows", "chunks", 9, lambda c: t.count(c.rows), right=True),
    Column("when", "when", 16, lambda c: t.date(_when(c)) if _when(c) else ""),
)
PROFILE_COLUMNS = (
    Column("name", "profile", 10, lambda p: p.name, role=lambda p: "title"),
    Column("about", "what it means", 0, lambda p: p.about),
)


def _when(card: CollectionCard | RunCard) -> float:
    return (card.built or 0.0) if isinstance(card, CollectionCard) else card.started


class StartRoom(Room):
    """Choose and start."""

    ROOM = "start"
    AUTO_FOCUS = "#go"
    BINDINGS = bindings_of("start")
    CSS_PATH: ClassVar[Any] = "start.tcss"

    def __init__(self) -> None:
        super().__init__()
        self.overrides: dict[str, str] = {}
        self._job: Job | None = None
        self._timer: Any = None
        self._asked = 0

    def parts(self) -> ComposeResult:
        settings = self.bench.settings
        with Horizontal(id="columns"):
            with VerticalScroll(id="form", can_focus=False):
                yield Label("Input: a file or folder; empty: Python's documentation")
                yield Input(
                    settings.inputs[0] if settings.inputs else "", id="input", suggester=PathSuggester(),
                    placeholder="embedded default: the standard library's documentation", select_on_focus=False,
                )
                yield Label("Document table, if the input is a table of chunks", id="docs-label")
                yield Input(id="docs", suggester=PathSuggester(), placeholder="none", select_on_focus=False)
                yield Label("Profile")
                yield LineTable(PROFILE_COLUMNS, id="profiles")
                yield AboutProfile(id="about")
                yield Label("Model; empty: as the profile says")
                yield Input(settings.model, id="model", placeholder="default", select_on_focus=False)
                yield Label("Collection; empty: a folder named after the input")
                yield Input(id="into", suggester=PathSuggester(), placeholder="chosen from the input's name",
                            select_on_focus=False)
                yield Label("First rows only (of a folder: documents); empty: all")
                with Horizontal(id="amount"):
                    yield Input(id="limit", type="integer", placeholder="all", select_on_focus=False)
                    yield Check("start afresh: throw away what the collection holds", id="fresh")
                yield EstimateLines(id="estimate")
                yield Button("Start", id="go", variant="primary")
            with Vertical(id="side"):
                yield LineTable(RECENT_COLUMNS, id="recent", empty="nothing yet: press Enter to start the default",
                                reading="reading the list …")
                yield FileTree(Path.cwd(), id="tree")

    def on_mount(self) -> None:
        self.query_one("#recent").border_title = "recent"
        self.query_one("#tree").border_title = "files"
        self.load_profiles()
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        """After the first paint: what needs the disk or a process."""
        self.read_recent()
        self.action_estimate()

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        if self.built:
            self.read_recent()

    def load_profiles(self, choose: str = "") -> None:
        """Read the profiles; a broken one is listed with what is wrong."""
        rows = []
        for name in profile_names():
            try:
                rows.append(load_profile(name))
            except WorkbenchError as error:
                rows.append(Profile(name=name, about=f"cannot be used: {error}"))
        table = self.query_one("#profiles", LineTable)
        wanted = choose or self.bench.settings.profile
        table.put(rows)
        table.cursor = next((i for i, p in enumerate(rows) if p.name == wanted), 0)
        table.styles.height = min(8, len(rows) + 1)
        table.show()
        self.say_profile()

    def say_profile(self) -> None:
        """Renew the lines about the chosen profile."""
        chosen, lines = self.query_one("#profiles", LineTable).current, self.query_one(AboutProfile)
        lines.about, lines.changes = chosen.about if chosen else "", self.overrides
        lines.show()

    def read_recent(self) -> None:
        """Fill the list of collections and runs, in a thread."""
        self.bench.in_thread(self._read_recent)

    def _read_recent(self) -> None:
        bench = self.bench.workbench
        cards: list[CollectionCard | RunCard] = [*bench.collections()[:20], *self.bench.runs()[:20]]
        cards.sort(key=_when, reverse=True)
        self.bench.hand_over(self._put_recent, cards)

    def _put_recent(self, cards: list[CollectionCard | RunCard]) -> None:
        if self.built:  # the screen may have been closed meanwhile
            self.query_one("#recent", LineTable).put(cards)

    # ── the request ──────────────────────────────────────────────────────────────────────────────
    def profile(self) -> Profile:
        """The chosen profile with what was edited. Raises WorkbenchError."""
        chosen = self.query_one("#profiles", LineTable).current
        profile = load_profile(chosen.name if chosen else "balanced")
        model = self.query_one("#model", Input).value.strip()
        changes = {**self.overrides, **({"encoder.model": model} if model else {})}
        return apply_overrides(profile, [f"{key}={value}" for key, value in changes.items()])

    def request(self) -> RunRequest:
        """What is set out. Raises WorkbenchError with what is wrong."""
        given = self.query_one("#input", Input).value.strip()
        docs, into = (self.query_one(f"#{name}", Input).value.strip() for name in ("docs", "into"))
        return RunRequest(
            self.profile(),
            inputs=(Path(given).expanduser(),) if given else (),
            docs=Path(docs).expanduser() if docs else None,
            into=Path(into).expanduser() if into else None,
            limit=self._limit(),
            fresh=self.query_one("#fresh", Check).value,
        )

    def _limit(self) -> int:
        """How many rows at most; 0 = all. Raises UsageError."""
        typed = self.query_one("#limit", Input).value.strip()
        if typed and not (typed.isascii() and typed.isdigit() and int(typed) > 0):
            raise UsageError(f"{typed!r} is no number of rows", where="first rows", remedy="Empty means all")
        return int(typed or 0)

    # ── the estimate ─────────────────────────────────────────────────────────────────────────────
    @on(Input.Changed)
    @on(Checkbox.Changed)
    def later(self) -> None:
        """Estimate once typing pauses."""
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(0.6, self.action_estimate)

    @on(LineTable.Moved, "#profiles")
    def profile_moved(self) -> None:
        self.say_profile()
        self.later()

    def action_estimate(self) -> None:
        if self._job is not None:
            self._job.cancel()
        lines = self.query_one(EstimateLines)
        lines.problem, lines.estimate = "", None
        self._asked += 1
        number = self._asked
        try:
            request = self.request()
        except WorkbenchError as error:
            lines.problem = str(error)
        else:
            self._job = self.bench.workbench.estimate(
                request, lambda estimate: self.bench.hand_over(self._estimated, number, estimate)
            )
        lines.show()

    def _estimated(self, number: int, estimate: Estimate) -> None:
        if number == self._asked and self.built:
            lines = self.query_one(EstimateLines)
            lines.estimate = estimate
            lines.show()

    # ── actions ──────────────────────────────────────────────────────────────────────────────────
    @on(Button.Pressed, "#go")
    @on(Input.Submitted)
    @on(LineTable.Chosen, "#profiles")
    def action_start_run(self) -> None:
        try:
            request = self.request()
        except WorkbenchError as error:
            self.app.notify(str(error), title="Cannot start", severity="error", markup=False)
            return
        settings = self.bench.settings.with_input(self.query_one("#input", Input).value.strip())
        self.bench.keep(replace(settings, profile=request.profile.name, model=self.query_one("#model", Input).value))
        if self._job is not None:
            self._job.cancel()
        into = request.into or default_collection(request)
        if request.fresh and (into / "CURRENT").exists():
            answers = [("no", "Keep it"), ("yes", "Throw it away")]
            question = Question("Throw the collection away and embed everything again?", str(into), answers)
            self.app.push_screen(question, lambda answer: self._go(request) if answer == "yes" else None)
        else:
            self._go(request)

    def _go(self, request: RunRequest) -> None:
        self.query_one("#fresh", Check).value = False  # for this one start
        self.bench.start(request)

    @on(LineTable.Chosen, "#recent")
    def open_recent(self, event: LineTable.Chosen) -> None:
        if isinstance(event.row, CollectionCard):
            self.bench.show_collection(event.row.path)
        else:
            self.bench.open_recording(event.row.folder)

    @on(DirectoryTree.FileSelected)
    def file_chosen(self, event: DirectoryTree.FileSelected) -> None:
        self._choose(event.path)

    @on(DirectoryTree.DirectorySelected)
    def folder_chosen(self, event: DirectoryTree.DirectorySelected) -> None:
        self._choose(event.path)

    def _choose(self, path: Path) -> None:
        self.query_one("#input", Input).value = str(path)
        self._show_tree(False)

    def action_fresh(self) -> None:
        self.query_one("#fresh", Check).toggle()

    def action_use_default(self) -> None:
        self.query_one("#input", Input).value = ""
        self.query_one("#docs", Input).value = ""

    def action_focus_tree(self) -> None:
        self._show_tree(not self.has_class("-tree"))

    def _show_tree(self, shown: bool) -> None:
        """On a narrow terminal the files take the place of the form."""
        self.set_class(shown, "-tree")
        self.call_after_refresh(self.query_one("#tree" if shown else "#input").focus)

    def go_back(self) -> bool:
        if self.has_class("-tree"):
            self._show_tree(False)
            return True
        return super().go_back()

    def action_edit_profile(self) -> None:
        try:
            profile = self.profile()
        except WorkbenchError as error:
            self.app.notify(str(error), severity="error", markup=False)
            return
        self.app.push_screen(ProfileEditor(profile), self._edited)

    def _edited(self, answer: tuple[dict[str, str], str] | None) -> None:
        if answer is None:
            return
        changes, saved = answer
        if saved:
            self.overrides = {}
            self.load_profiles(choose=saved)
        else:
            self.overrides = {**self.overrides, **changes}
        self.say_profile()
        self.action_estimate()
