"""The Collection room: what it holds, whether it is whole, and its index as another kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal

from workbench.core.errors import WorkbenchError
from workbench.tui import text as t
from workbench.tui.actions import Action, bindings_of
from workbench.tui.bridge import CollectionCard, Job, Outcome, Step
from workbench.tui.rooms.base import Room
from workbench.tui.rooms.dialogs import Field
from workbench.tui.widgets.lines import Line, LineWidget, bar, extend
from workbench.tui.widgets.table import Column, LineTable

#: The kinds of `collection.index_kinds`, which a screen must not import: it would load FAISS.
KINDS = """\
auto         Flat to 50,000 chunks, PQ to a billion values, then IVF-RaBitQ
Flat         exact; none: exact, without an index
SQ8 PQ       codes of 8 bits; of 2 bits a value, then rescored
RaBitQ       codes of 1 bit, rescored; IVF-RaBitQ: in inverted lists
HNSW IVF     a graph; inverted lists
Matryoshka-N the first N values, rescored (models trained for that)
…            or a FAISS factory string, such as HNSW32"""


class Facts(LineWidget, can_focus=True):
    """Pairs of name and value, then what a job says."""

    DEFAULT_CSS = "Facts { height: 1fr; }"
    pairs: tuple[tuple[str, str], ...] = ()
    step: Step | None = None
    said: tuple[tuple[str, str], ...] = ()
    empty = ""
    _top = 0

    def build(self, width: int, height: int) -> list[Line]:
        lines = self._job_lines(width)  # first: what is asked for now must not lie below the edge
        lines += [Line(self.empty, "muted")] if not self.pairs else []
        name_width = max((len(name) for name, _ in self.pairs), default=0) + 2
        for name, value in self.pairs:
            for number, piece in enumerate(t.wrap(value, max(10, width - name_width))):
                lines.append(Line(t.fit(name if number == 0 else "", name_width), "muted").add(piece))
        self._top = max(0, min(self._top, len(lines) - height))
        below = len(lines) - self._top - height
        self.border_subtitle = f"{t.many(below, 'line')} below" if below > 0 else ""
        return lines[self._top : self._top + height]

    def _job_lines(self, width: int) -> list[Line]:
        """Progress or the end of a job, and an empty line."""
        lines = [Line(piece, role) for text, role in self.said for piece in t.wrap(text, width)]
        if self.step is not None:
            line = extend(Line(), bar(self.step.share, 24, self.glyphs)) if self.step.share is not None else Line()
            percent = "" if self.step.share is None else t.percent(self.step.share) + "  "
            lines.append(line.add(f" {percent}", "strong").add(self.step.text, "muted"))
        return [*lines, Line()] if lines else []

    def scroll_lines(self, lines: int) -> None:
        self._top = max(0, self._top + lines)
        self.show()

    def on_mouse_scroll_up(self) -> None:
        self.scroll_lines(-3)

    def on_mouse_scroll_down(self) -> None:
        self.scroll_lines(3)

    def key_up(self) -> None:
        self.scroll_lines(-1)

    def key_down(self) -> None:
        self.scroll_lines(1)


class CollectionRoom(Room):
    """One collection at a time, with a list to choose from."""

    ROOM = "collection"
    AUTO_FOCUS = "#list"
    BINDINGS = bindings_of("collection")
    CSS_PATH: ClassVar[Any] = "lists.tcss"

    def __init__(self) -> None:
        super().__init__()
        self.path: Path | None = None
        self.job: Job | None = None
        self.doing = ""

    def parts(self) -> ComposeResult:
        columns = (
            Column("title", "collection", 0, lambda c: c.title, key=lambda c: c.title),
            Column("rows", "chunks", 9, lambda c: t.count(c.rows), right=True, key=lambda c: c.rows),
            Column("bytes", "size", 8, lambda c: t.size(c.bytes), right=True, key=lambda c: c.bytes),
        )
        with Horizontal(id="split"):
            yield LineTable(columns, id="list", empty="No collection yet: 1 goes to Start.",
                            reading="reading the list …")
            yield Facts(id="facts")

    def on_mount(self) -> None:
        self.query_one("#list").border_title = "collections"
        facts = self.query_one(Facts)
        facts.border_title, facts.empty = "what it holds", "reading …"
        self.action_reload()

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        if self.built:
            self.action_reload()

    # ── reading ──────────────────────────────────────────────────────────────────────────────────
    def action_reload(self) -> None:
        self.bench.in_thread(self._read)

    def _read(self) -> None:
        self.bench.hand_over(self._listed, self.bench.workbench.collections())

    def _listed(self, cards: list[CollectionCard]) -> None:
        table = self.query_one("#list", LineTable)
        table.put(cards)
        if self.path is None and cards:
            self.path = cards[0].path
        table.cursor = next((i for i, card in enumerate(table.rows) if card.path == self.path), 0)
        table.show()
        if self.path is not None:
            self.show_path(self.path)
        else:
            facts = self.query_one(Facts)
            facts.empty = "No collection chosen."
            facts.show()

    @on(LineTable.Moved, "#list")
    def moved(self, event: LineTable.Moved) -> None:
        self.show_path(event.row.path)

    def show_path(self, path: Path) -> None:
        """Show another collection."""
        if path != self.path and self.built:
            facts = self.query_one(Facts)
            facts.said, facts.step = (), None
        self.path = path
        if self.built:
            self.bench.in_thread(lambda: self._describe(path))

    def _describe(self, path: Path) -> None:
        try:
            pairs = tuple(self.bench.workbench.describe(path))
        except WorkbenchError as error:
            pairs = (("problem", str(error)),)
        self.bench.hand_over(self._described, path, pairs)

    def _described(self, path: Path, pairs: tuple[tuple[str, str], ...]) -> None:
        if path == self.path:
            facts = self.query_one(Facts)
            facts.pairs = pairs
            facts.show()

    # ── jobs ─────────────────────────────────────────────────────────────────────────────────────
    def is_open(self, action: Action) -> bool:
        return action.name != "cancel" or self.job is not None

    def told(self, path: Path, event: Step | Outcome) -> None:
        """Progress or the end of a job; comes in the screen's thread."""
        if isinstance(event, Outcome):
            self.job = None
        if path != self.path or not self.built:
            return
        facts = self.query_one(Facts)
        if isinstance(event, Step):
            facts.step = event
        else:
            facts.step = None
            facts.said = ((event.problem, "bad"),) if event.problem else tuple((line, "good") for line in event.lines)
            self.show_path(path)
        facts.show()
        self.bars()

    def _free(self) -> bool:
        """A collection is chosen and nothing goes on; else says what to do first."""
        if self.path is None:
            self.app.notify("Choose a collection first.", markup=False)
        elif self.job is not None:
            self.app.notify(f"{self.doing} goes on: wait for its end, or cancel it with x.", markup=False)
        return self.path is not None and self.job is None

    def _start(self, doing: str, job: Any) -> None:
        path = self.path
        if path is None or not self._free():
            return
        self.doing = f"{doing} of {path.name.removesuffix('.collection')}"
        facts = self.query_one(Facts)
        facts.said, facts.step = (), Step(None, "starting; x cancels")
        facts.show()
        self.job = job(path, lambda event: self.bench.hand_over(self.told, path, event))
        self.bars()

    def action_verify(self) -> None:
        self._start("The check", self.bench.workbench.verify)

    def action_rebuild(self) -> None:
        if not self._free():
            return
        question = Field("Build the index as which kind?", f"{KINDS}\nNothing is embedded again; the present index "
                         "stays until the new one is whole.", "auto")
        self.app.push_screen(question, self._rebuild)

    def _rebuild(self, kind: str | None) -> None:
        if kind:
            self._start("The build", lambda path, told: self.bench.workbench.rebuild(path, kind.strip(), told))

    def action_export(self) -> None:
        if self.path is None or not self._free():
            return
        name = self.path.name.removesuffix(".collection")
        question = Field("Export to which file?", "…parquet holds ids, texts, vectors and the input's own columns; "
                         "…npy the vectors, with the ids beside them. A file that is there is not replaced.",
                         str(Path.cwd() / f"{name}.parquet"))
        self.app.push_screen(question, self._export)

    def _export(self, file: str | None) -> None:
        if file:
            target = Path(file.strip()).expanduser()
            self._start("The export", lambda path, told: self.bench.workbench.export(path, target, told))

    def action_cancel(self) -> None:
        if self.job is not None:
            self.job.cancel()

    def action_next_collection(self) -> None:
        table = self.query_one("#list", LineTable)
        if table.rows:
            table.action_cursor(1 if table.cursor < len(table.rows) - 1 else -table.cursor)

    def action_search_here(self) -> None:
        if self.path is not None:
            self.bench.search_in(self.path)
