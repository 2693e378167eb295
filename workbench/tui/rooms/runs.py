"""The Runs room: history, replay, comparison, reports."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult

from workbench.tui import text as t
from workbench.tui.actions import bindings_of
from workbench.tui.bridge import Outcome, RunCard, Step
from workbench.tui.comparing import lines
from workbench.tui.rooms.base import Room
from workbench.tui.rooms.dialogs import Reading
from workbench.tui.widgets.table import Column, LineTable


def _outcome_role(card: RunCard) -> str:
    return {"done": "good", "running": "good", "stopped": "warn"}.get(card.outcome, "bad")


class RunsRoom(Room):
    """Every recorded run of the known collections, the newest first."""

    ROOM = "runs"
    AUTO_FOCUS = "#list"
    BINDINGS = bindings_of("runs")
    CSS_PATH: ClassVar[Any] = "lists.tcss"

    def __init__(self) -> None:
        super().__init__()
        self.marked: list[Path] = []

    def parts(self) -> ComposeResult:
        columns = (
            Column("mark", "", 1, lambda c: self.bench.glyphs.live if c.folder in self.marked else " ",
                   role=lambda c: "key"),
            Column("started", "started", 16, lambda c: t.date(c.started), key=lambda c: c.started),
            Column("title", "input", 0, lambda c: c.title, key=lambda c: c.title),
            Column("outcome", "result", 9, lambda c: c.outcome, role=_outcome_role, key=lambda c: c.outcome),
            Column("rate", "tokens/s", 9, lambda c: t.si(c.tokens_per_second), right=True,
                   key=lambda c: c.tokens_per_second),
            Column("rows", "chunks", 10, lambda c: t.count(c.rows), right=True, key=lambda c: c.rows),
            Column("seconds", "took", 12, lambda c: t.duration(c.seconds), right=True, key=lambda c: c.seconds,
                   least=90),
            Column("profile", "profile", 10, lambda c: c.profile, key=lambda c: c.profile, least=100),
            Column("model", "model", 18, lambda c: c.model, key=lambda c: c.model, least=120),
        )
        yield LineTable(columns, id="list", sort="-started", empty="No run was recorded yet: 1 goes to Start.",
                        reading="reading the recorded runs …")

    def on_mount(self) -> None:
        table = self.query_one("#list", LineTable)
        table.border_title = "runs"
        self.action_reload()

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        if self.built:
            self.action_reload()

    def card(self) -> RunCard | None:
        """The run under the cursor."""
        found: RunCard | None = self.query_one("#list", LineTable).current
        return found

    # ── actions ──────────────────────────────────────────────────────────────────────────────────
    def action_reload(self) -> None:
        self.bench.in_thread(self._read)

    def _read(self) -> None:
        self.bench.hand_over(self._put, self.bench.runs())

    def _put(self, cards: list[RunCard]) -> None:
        if self.built:  # the screen may have been closed meanwhile
            self.query_one("#list", LineTable).put(cards)

    @on(LineTable.Chosen, "#list")
    def action_replay(self) -> None:
        card = self.card()
        if card is not None:
            self.bench.open_recording(card.folder)

    def action_mark(self) -> None:
        card = self.card()
        if card is None:
            return
        if card.folder in self.marked:
            self.marked.remove(card.folder)
        else:
            self.marked = [*self.marked[-1:], card.folder]
        self.query_one("#list", LineTable).show()

    def action_compare(self) -> None:
        if len(self.marked) != 2:
            self.app.notify("Mark two runs with m first.", markup=False)
            return
        self._ask("Comparing …", lambda told: self.bench.workbench.compare(self.marked, told), self._compared)

    def _compared(self, outcome: Outcome) -> None:
        self.app.push_screen(Reading("Two runs side by side", lambda width: "\n".join(lines(outcome.value, width))))

    def action_report(self) -> None:
        card = self.card()
        if card is not None:
            self._ask("Writing the report …", lambda told: self.bench.workbench.report(card.folder, told), self._opened)

    def _opened(self, outcome: Outcome) -> None:
        if isinstance(outcome.value, Path):
            self.bench.open_outside(outcome.value)

    def action_export_trace(self) -> None:
        card = self.card()
        if card is not None:
            self._ask("Writing the trace …", lambda told: self.bench.workbench.trace(card.folder, told), self._traced)

    def _traced(self, outcome: Outcome) -> None:
        self.app.notify("\n".join(outcome.lines), title="Trace", timeout=15, markup=False)

    def _ask(self, saying: str, job: Any, then: Any) -> None:
        """Start a job, say so, and hand its outcome on."""
        self.app.notify(saying, timeout=3, markup=False)

        def told(event: Step | Outcome) -> None:
            if isinstance(event, Outcome):
                if event.problem:
                    self.bench.hand_over(self.bench.complain, event.problem)
                else:
                    self.bench.hand_over(then, event)

        job(told)
