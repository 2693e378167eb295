"""The Search room: results appear while the query is typed."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.css.query import NoMatches
from textual.widgets import Input

from workbench.tui import text as t
from workbench.tui.actions import Action, bindings_of
from workbench.tui.bridge import HitView, SearchAnswer, SearchControl, SearchQuery
from workbench.tui.rooms.base import Room
from workbench.tui.widgets.hits import HitTable, HitText
from workbench.tui.widgets.lines import Line, LineWidget
from workbench.tui.widgets.table import LineTable

#: Seconds after the last key before a query is sent.
DEBOUNCE = 0.08


class StateLine(LineWidget):
    """Which collection is searched, how fast, and what is wrong."""

    DEFAULT_CSS = "StateLine { height: 1; padding: 0 1; }"
    words: tuple[tuple[str, str], ...] = ()
    problem = ""

    def build(self, width: int, height: int) -> list[Line]:
        line = Line()
        for text, role in self.words:
            line.add(text, role)
        if line.used > width:  # what the parts took goes first
            line = Line()
            for text, role in self.words:
                line.add("" if text.startswith(" (") else text, role)
        return [line] if line.used <= width or not self.problem else problem_lines(self.problem, width)

    def put(self, words: tuple[tuple[str, str], ...], problem: str) -> None:
        """Show words; a problem that is too long for the line is broken, not cut."""
        self.words, self.problem = words, problem
        self.styles.height = min(4, len(problem_lines(problem, self.size.width))) if problem and self.size else 1
        self.show()


def problem_lines(problem: str, width: int) -> list[Line]:
    return [Line(piece, "bad") for piece in t.wrap(problem, width)]


class SearchRoom(Room):
    """Type and see."""

    ROOM = "search"
    AUTO_FOCUS = "#query"
    BINDINGS = bindings_of("search")
    CSS_PATH: ClassVar[Any] = "search.tcss"

    def __init__(self) -> None:
        super().__init__()
        self.control: SearchControl | None = None
        self.collection: Path | None = None
        self.answer: SearchAnswer | None = None
        self.mode = ""
        self._timer: Any = None
        self._like = self._like_title = ""
        self._looked = False
        self._number = 0

    def parts(self) -> ComposeResult:
        yield Input(placeholder="what to find", id="query", select_on_focus=False)
        yield Input(placeholder="filter, such as  year < 760 and author = 'Li Bai'", id="where", select_on_focus=False)
        yield StateLine(id="state")
        with Horizontal(id="found"):
            yield HitTable((), id="hits", empty="Type a question: the nearest chunks appear here.")
            with Vertical(id="side"):
                yield HitText(id="text")

    def on_mount(self) -> None:
        self.query_one("#hits").border_title = "hits"
        self.query_one("#text").border_title = "text"
        if self.collection is not None:
            self.open(self.collection)

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        if self.built and self.collection is None:  # at every visit: a run may have made the first one meanwhile
            self.say()
            self.bench.in_thread(self._find_newest)

    def _find_newest(self) -> None:
        cards = self.bench.workbench.collections()
        self.bench.hand_over(self._found, cards[0].path if cards else None)

    def _found(self, newest: Path | None) -> None:
        self._looked = True
        if self.collection is None and self.built:
            self.open(newest)

    def open(self, collection: Path | None) -> None:
        """Search this collection from now on; the process starts in the background."""
        changed, self.collection = collection != self.collection, collection
        if not self.built:
            return
        if changed:  # the hits of the other one must not stand below this name, nor be asked for by their ids
            self._like = ""
            self.show_answer(SearchAnswer(""))
        if collection is not None:
            if self.control is None:
                self.control = self.bench.workbench.search()
            self.control.open(collection)
            self.set_interval(0.5, self.say, name="state") if not self._has_interval() else None
        self.say()
        self.ask()

    def _has_interval(self) -> bool:
        had, self._interval = getattr(self, "_interval", False), True
        return had

    def say(self) -> None:
        """Renew the line of state."""
        self.query_one(StateLine).put(self.state_words(), self.problem())

    def problem(self) -> str:
        """What is wrong with the query, or with the collection that was to be opened; empty when nothing is."""
        said = self.answer.problem if self.answer is not None else ""
        return said or (self.control.problem() if self.control is not None else "")

    def state_words(self) -> tuple[tuple[str, str], ...]:
        if self.collection is None:
            return (("no collection yet: 1 goes to Start" if self._looked else "reading the list …", "muted"),)
        state = self.control.state() if self.control else ""
        words = [(self.collection.name.removesuffix(".collection"), "strong"), ("  ", "muted")]
        words.append((f"like “{self._like_title}”  " if self._like else f"{self.mode or 'automatic'}  ", "muted"))
        answer, problem = self.answer, self.problem()
        if problem:
            return (*words, (problem, "bad"))
        if answer is not None and answer.total_ms is not None:
            words.append((f"{t.many(len(answer.hits), 'hit')} in {answer.total_ms:.0f} ms", "good"))
            parts = [(n, ms) for n, ms in (("query", answer.encode_ms), ("index", answer.index_ms)) if ms is not None]
            words += [(f" ({', '.join(f'{name} {ms:.1f}' for name, ms in parts)})", "muted")] if parts else []
            words += [("  " + answer.note, "warn")] if answer.note else []
        else:
            words.append((state, "muted"))
        return tuple(words)

    # ── asking ───────────────────────────────────────────────────────────────────────────────────
    @on(Input.Changed)
    def changed(self, event: Input.Changed) -> None:
        self._like = ""
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(DEBOUNCE, self.ask)

    @on(Input.Submitted)
    def submitted(self) -> None:
        self.query_one("#hits").focus()

    def ask(self) -> None:
        """Send what stands in the fields; an older query still under way is given up."""
        text = self.query_one("#query", Input).value.strip()
        self._number += 1
        number = self._number
        if self.control is None or (not text and not self._like):
            self.show_answer(SearchAnswer(""))
            return
        where = self.query_one("#where", Input).value.strip()
        query = SearchQuery(text, where, self.mode, like=self._like)
        self.control.ask(query, lambda answer: self.bench.hand_over(self._answered, number, answer))

    def _answered(self, number: int, answer: SearchAnswer) -> None:
        """Show an answer, unless something else was asked since, or the field was emptied."""
        if number == self._number:
            self.show_answer(answer)

    def show_answer(self, answer: SearchAnswer) -> None:
        """Show hits; a problem leaves the hits of before."""
        self.answer = answer
        table = self.query_one(HitTable)
        if not answer.problem:
            asked = bool(answer.query)
            table.empty = "Nothing matches." if asked else "Type a question: the nearest chunks appear here."
            table.cursor = 0
            table.put(answer.hits)
            self.show_hit(table.current)
        self.say()
        self.bars()

    @on(LineTable.Moved, "#hits")
    def moved(self, event: LineTable.Moved) -> None:
        self.show_hit(event.row)

    def show_hit(self, hit: HitView | None) -> None:
        """Show a hit in full; its neighbours follow."""
        self.query_one(HitText).put(hit)
        if hit is not None and self.control is not None:
            self.control.neighbours(hit, lambda whole: self.bench.hand_over(self._neighbours, whole))

    def _neighbours(self, whole: HitView) -> None:
        shown = self.query_one(HitText)
        if shown.hit is not None and shown.hit.chunk_id == whole.chunk_id:
            shown.complete(whole)

    # ── actions ──────────────────────────────────────────────────────────────────────────────────
    def is_open(self, action: Action) -> bool:
        needs_hit = action.name in ("open_file", "copy_hit", "more_like_this")
        return not needs_hit or self.hit() is not None

    def hit(self) -> HitView | None:
        """The hit under the cursor."""
        try:
            found: HitView | None = self.query_one(HitTable).current
        except NoMatches:  # asked before the room is filled
            return None
        return found

    def action_focus_query(self) -> None:
        self.query_one("#query").focus()

    def action_focus_where(self) -> None:
        self.query_one("#where").focus()

    def action_next_mode(self) -> None:
        modes = ("", *(self.control.modes if self.control else ()))
        self.mode = modes[(modes.index(self.mode) + 1) % len(modes)] if self.mode in modes else ""
        self.say()
        self.ask()

    def action_next_hit(self) -> None:
        self.query_one(HitTable).action_cursor(1)

    def action_previous_hit(self) -> None:
        self.query_one(HitTable).action_cursor(-1)

    def action_copy_hit(self) -> None:
        hit = self.hit()
        if hit is not None:
            self.bench.copy(hit.text, "the text of the hit")

    def action_more_like_this(self) -> None:
        hit = self.hit()
        if hit is not None:
            self._like, self._like_title = hit.chunk_id, t.fit(hit.title or hit.chunk_id, 24).rstrip()
            self.ask()

    def action_open_file(self) -> None:
        hit = self.hit()
        if hit is not None:
            self.bench.open_outside(Path(hit.file) if hit.file else None)

    def on_unmount(self) -> None:
        if self.control is not None:
            self.control.close()
