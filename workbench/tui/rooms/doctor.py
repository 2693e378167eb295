"""The Doctor room: what of this machine a run depends on, each line with its remedy."""

from __future__ import annotations

from typing import Any, ClassVar

from textual.app import ComposeResult

from workbench.tui import text as t
from workbench.tui.actions import bindings_of
from workbench.tui.bridge import Job, Outcome, Step
from workbench.tui.rooms.base import Room
from workbench.tui.rooms.collection import Facts
from workbench.tui.widgets.lines import Line


class Findings(Facts):
    """Lines with state as word, sign and colour."""

    findings: tuple[tuple[str, str, str, str], ...] = ()

    def build(self, width: int, height: int) -> list[Line]:
        if not self.findings:
            return [Line(self.empty, "muted")]
        lines: list[Line] = []
        for state, name, text, remedy in self.findings:
            sign, role = {"ok": (self.glyphs.good, "good"), "warning": ("!", "warn")}.get(
                state, (self.glyphs.bad, "bad")
            )
            for number, piece in enumerate(t.wrap(text, max(10, width - 28))):
                line = Line(f"{sign} {state:<8} ", role) if number == 0 else Line(" " * 11)
                lines.append(line.add(t.fit(name if number == 0 else "", 16), "strong").add(piece))
            pieces = t.wrap(remedy, max(10, width - 30)) if remedy else []
            lines += [Line(" " * 27 + "→ ", "key").add(piece) for piece in pieces]
        self._top = max(0, min(self._top, len(lines) - height))
        below = len(lines) - self._top - height
        self.border_subtitle = f"{t.many(below, 'line')} below" if below > 0 else ""
        return lines[self._top : self._top + height]


class DoctorRoom(Room):
    """Asks the doctor in a process of its own: it must load torch to see whether torch works."""

    ROOM = "doctor"
    AUTO_FOCUS = "#facts"
    BINDINGS = bindings_of("doctor")
    CSS_PATH: ClassVar[Any] = "lists.tcss"

    def __init__(self) -> None:
        super().__init__()
        self.job: Job | None = None

    def parts(self) -> ComposeResult:
        yield Findings(id="facts")

    def on_mount(self) -> None:
        findings = self.query_one(Findings)
        findings.border_title = "this machine"
        self.action_reload()

    def action_reload(self) -> None:
        if self.job is not None:
            return
        findings = self.query_one(Findings)
        findings.findings, findings.empty = (), "checking: Python, torch, card, disk, console …"
        findings.show()
        self.job = self.bench.workbench.doctor(lambda event: self.bench.hand_over(self.told, event))

    def told(self, event: Step | Outcome) -> None:
        if isinstance(event, Step):
            return
        self.job = None
        if not self.built:
            return
        findings = self.query_one(Findings)
        findings.findings = tuple(event.value or ())
        findings.empty = event.problem
        findings.show()

    def action_copy_report(self) -> None:
        lines = [f"{state:<8} {name}: {text}" + (f" -> {remedy}" if remedy else "")
                 for state, name, text, remedy in self.query_one(Findings).findings]
        self.bench.copy("\n".join(lines), "the doctor's report")
