"""Process table and log of the Run room."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from textual import events

from workbench.core.run import LogLine
from workbench.tui import text as t
from workbench.tui.frames import STAGES, ProcessView
from workbench.tui.picture import Picture
from workbench.tui.widgets.lines import Line
from workbench.tui.widgets.panels import Panel
from workbench.tui.widgets.table import Column, LineTable

_ORDER = {name: number for number, name in enumerate((*STAGES, "parent"))}


_QUIET = frozenset({"waits in", "waits out", "watching", "starting", "loading", "paused", "ended"})


def _share(share: float | None) -> str:
    return t.NOTHING if share is None else f"{100 * share:.0f}"


def _state_role(process: ProcessView) -> str:
    if process.state == "gone":
        return "bad"
    return "muted" if process.state in _QUIET else "good"


PROCESS_COLUMNS = (
    Column("stage", "process", 10, lambda p: p.name, key=lambda p: (_ORDER.get(p.stage, 9), p.index)),
    Column("pid", "pid", 7, lambda p: str(p.pid), right=True, key=lambda p: p.pid),
    Column("cpu", "cpu %", 6, lambda p: t.NOTHING if p.cpu_percent is None else f"{p.cpu_percent:.0f}", right=True,
           key=lambda p: p.cpu_percent),
    Column("memory", "memory", 8, lambda p: t.size(p.rss_bytes), right=True, key=lambda p: p.rss_bytes),
    Column("state", "state", 10, lambda p: p.state, role=_state_role, key=lambda p: p.state),
    Column("in", "in %", 5, lambda p: _share(p.wait_in), right=True, key=lambda p: p.wait_in),
    Column("out", "out %", 5, lambda p: _share(p.wait_out), right=True, key=lambda p: p.wait_out),
    Column("rows", "rows/s", 7, lambda p: t.si(p.rows_per_second), right=True, key=lambda p: p.rows_per_second),
    Column("unit", "unit", 6, lambda p: "" if p.unit is None else f"{p.unit:06d}", key=lambda p: p.unit),
    Column("restarts", "restarts", 8, lambda p: str(p.restarts or ""), right=True, key=lambda p: p.restarts,
           role=lambda p: "warn" if p.restarts else "text"),
)


class ProcessPanel(LineTable):
    """Every process of the run: what it does and what it waits for."""

    DEFAULT_CSS = """
    ProcessPanel { border: round $border; border-title-color: $text-muted; }
    ProcessPanel:focus { border: round $primary; border-title-color: $primary; }
    """
    ALLOW_MAXIMIZE = True
    picks = False

    def __init__(self, picture: Picture, sort: str, **options: Any) -> None:
        super().__init__(PROCESS_COLUMNS, empty="no process yet", sort=sort, **options)
        self.picture = picture
        self.border_title = "processes"

    def paint(self) -> None:
        """Take the processes of the picture, those that the filter leaves."""
        frame, text = self.picture.frame, self.picture.text.lower()
        rows = frame.processes if frame else ()
        shown = [p for p in rows if text in f"{p.name} {p.pid} {p.state}".lower()]
        self.said = f"{len(shown)} of {len(rows)}: {self.picture.text}" if text else ""
        self.put(shown)

    def sort_next(self) -> None:
        """Sort by the next column."""
        names = [column.name for column in self.columns]
        now = names.index(self.sort.lstrip("-")) if self.sort.lstrip("-") in names else -1
        self.sort_by(names[(now + 1) % len(names)])

    def sort_reverse(self) -> None:
        self.sort_by(self.sort.lstrip("-") if self.sort.startswith("-") else f"-{self.sort}")


class LogPanel(Panel):
    """The log, the newest line last; scrolls with the wheel and the arrows, filters by text."""

    def __init__(self, picture: Picture, **options: Any) -> None:
        super().__init__(picture, "log", **options)
        self._up = 0

    def build(self, width: int, height: int) -> Sequence[Line]:
        text = self.picture.text.lower()
        end = self.picture.at
        kept = [
            entry for entry in self.picture.log
            if text in entry.text.lower() and (end is None or entry.wall <= end)
        ]
        lines = [line for entry in kept[-400:] for line in log_lines(entry, width)]
        self._up = max(0, min(self._up, len(lines) - height))
        self.border_subtitle = f"{len(kept)} of {len(self.picture.log)}: {self.picture.text}" if text else (
            f"{t.many(self._up, 'line')} below" if self._up else ""
        )
        stop = len(lines) - self._up
        return lines[max(0, stop - max(1, height)) : stop] or [
            Line("nothing yet" if self.picture.steers else "a recording holds no log", "muted")
        ]

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.scroll_lines(3)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.scroll_lines(-3)

    def key_up(self) -> None:
        self.scroll_lines(1)

    def key_down(self) -> None:
        self.scroll_lines(-1)

    def scroll_lines(self, lines: int) -> None:
        """Go back in the log (negative: forward)."""
        self._up = max(0, self._up + lines)
        self.show()


def log_lines(entry: LogLine, width: int) -> list[Line]:
    """A log line with its time, broken where it is too long."""
    role = {"warning": "warn", "error": "bad"}.get(entry.level, "text")
    sign = {"warning": "! ", "error": "x "}.get(entry.level, "  ")
    lines = []
    for number, piece in enumerate(t.wrap(entry.text, max(8, width - 11))):
        head = f"{t.time_of_day(entry.wall)} {sign}" if number == 0 else " " * 11
        lines.append(Line(head, "muted").add(piece, role))
    return lines
