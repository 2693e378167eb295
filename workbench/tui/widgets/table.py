"""A table of lines: a cursor, sorting by a click on a heading, mouse wheel; nothing is rebuilt to move."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message

from workbench.tui.text import fit
from workbench.tui.widgets.lines import Line, LineWidget


@dataclass(frozen=True, slots=True)
class Column:
    """A column. `width`: cells; 0 takes what is left. `key`: sorts by it; None keeps the given order."""

    name: str
    title: str
    width: int
    text: Callable[[Any], str]
    right: bool = False
    role: Callable[[Any], str] | None = None
    key: Callable[[Any], Any] | None = None
    #: Left out when the table is narrower than this.
    least: int = 0


class LineTable(LineWidget, can_focus=True):
    """Rows of any values, drawn by columns."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "cursor(-1)", show=False), Binding("down,j", "cursor(1)", show=False),
        Binding("pageup", "cursor(-10)", show=False), Binding("pagedown", "cursor(10)", show=False),
    ]
    DEFAULT_CSS = "LineTable { height: 1fr; }"

    @dataclass
    class Chosen(Message):
        """Enter or a double click on a row."""

        table: LineTable
        row: Any

        @property
        def control(self) -> LineTable:
            return self.table

    @dataclass
    class Moved(Message):
        """The cursor went to another row."""

        table: LineTable
        row: Any

        @property
        def control(self) -> LineTable:
            return self.table

    @dataclass
    class Sorted(Message):
        """Another order was chosen: a column's name, `-` before it when turned round."""

        table: LineTable
        sort: str

        @property
        def control(self) -> LineTable:
            return self.table

    #: The row under the cursor is a choice, shown without the focus too.
    picks = True

    def __init__(
        self, columns: Sequence[Column], *, empty: str = "", reading: str = "", sort: str = "", **options: Any
    ) -> None:
        """`empty`: said when there is no row; `reading`: said until the first rows, or none, were put."""
        super().__init__(**options)
        self.columns, self.sort = list(columns), sort
        self.empty, self._reading = empty, reading
        self._given: list[Any] = []
        self._rows: list[Any] = []
        self.cursor = 0
        self.said = ""  # at the lower edge, before how many rows are out of sight
        self._top = 0

    # ── rows ─────────────────────────────────────────────────────────────────────────────────────
    @property
    def rows(self) -> Sequence[Any]:
        """Rows in the order shown."""
        return self._rows

    @property
    def current(self) -> Any:
        """The row under the cursor, or None."""
        return self._rows[self.cursor] if 0 <= self.cursor < len(self._rows) else None

    def put(self, rows: Sequence[Any]) -> None:
        """Show other rows; the cursor stays at its place."""
        self._reading = ""
        self._given = list(rows)
        self._order()
        self.show()

    def sort_by(self, sort: str) -> None:
        """Sort by a column's name (`-name`: descending) and tell."""
        self.sort = sort
        self._order()
        self.show()
        self.post_message(self.Sorted(self, sort))

    def _order(self) -> None:
        name = self.sort.lstrip("-")
        key = next((column.key for column in self.columns if column.name == name), None)
        self._rows = list(self._given)
        if key is not None:
            self._rows.sort(key=lambda row: _comparable(key(row)), reverse=self.sort.startswith("-"))
        self.cursor = max(0, min(self.cursor, len(self._rows) - 1))

    # ── drawing ──────────────────────────────────────────────────────────────────────────────────
    def build(self, width: int, height: int) -> Sequence[Line]:
        columns = self._fitting(width)
        body = max(0, height - 1)
        if not self._rows:
            self._tell_hidden(0)
            return [self._heading(columns), Line(f" {self._reading or self.empty}", "muted")]
        self._top = max(0, min(self._top, self.cursor, len(self._rows) - body))
        self._top = max(self._top, self.cursor - body + 1) if body else self._top
        shown = range(self._top, min(len(self._rows), self._top + body))
        self._tell_hidden(shown.stop)
        return [self._heading(columns), *(self._line(self._rows[i], columns, i == self.cursor) for i in shown)]

    def _tell_hidden(self, stop: int) -> None:
        """How many rows are out of sight, at the lower edge. `stop`: number of the first row below."""
        hidden = ((self._top if self._rows else 0, "above"), (len(self._rows) - stop, "below"))
        self.border_subtitle = "  ".join([self.said] * bool(self.said) + [f"{n} {word}" for n, word in hidden if n > 0])

    def _fitting(self, width: int) -> list[tuple[Column, int]]:
        columns = [column for column in self.columns if column.least <= width]
        while len(columns) > 2 and self._needs(columns) > width:
            # the last ones say least; a column without a width of its own stays
            columns.remove(next(column for column in reversed(columns) if column.width))
        loose = [column for column in columns if not column.width]
        left = max(8, (width - self._needs(columns)) // max(1, len(loose)) + 8)
        return [(column, column.width or left) for column in columns]

    def _needs(self, columns: Sequence[Column]) -> int:
        """Cells that columns need, those without a width of their own at least 8; and the mark of what is left out."""
        hidden = len(self.columns) - len(columns)
        cells = 1 + sum(column.width or 8 for column in columns) + 2 * (len(columns) - 1)
        return cells + (len(_left_out(hidden)) if hidden else 0)

    def _heading(self, columns: Sequence[tuple[Column, int]]) -> Line:
        line = Line(" ")
        for column, width in columns:
            title = column.title
            if column.name == self.sort.lstrip("-") and column.key:
                title = f"{title}{self.glyphs.down if self.sort.startswith('-') else self.glyphs.up}"
            line.add(fit(title, width, right=column.right, mark=self.glyphs.ellipsis), "muted")
            line.add("  " if (column, width) != columns[-1] else "")
        hidden = len(self.columns) - len(columns)
        return line.add(_left_out(hidden), "key") if hidden else line

    def _line(self, row: Any, columns: Sequence[tuple[Column, int]], cursor: bool) -> Line:
        mark = cursor and (self.has_focus or self.picks)
        line = Line(self.glyphs.play if mark else " ", "key" if self.has_focus else "muted")
        for column, width in columns:
            role = column.role(row) if column.role else "text"
            text = fit(column.text(row), width, right=column.right, mark=self.glyphs.ellipsis)
            line.add(text, "strong" if mark and role == "text" else role)
            line.add("  " if (column, width) != columns[-1] else "")
        return line

    # ── keys and mouse ───────────────────────────────────────────────────────────────────────────
    def action_cursor(self, step: int) -> None:
        before, self.cursor = self.cursor, max(0, min(self.cursor + step, len(self._rows) - 1))
        if before != self.cursor:
            self.show()
            self.post_message(self.Moved(self, self.current))

    def key_enter(self, event: events.Key) -> None:
        if self.current is not None:
            event.stop()
            self.post_message(self.Chosen(self, self.current))

    def on_focus(self) -> None:
        self.show()

    def on_blur(self) -> None:
        self.show()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.action_cursor(2)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.action_cursor(-2)

    def on_click(self, event: events.Click) -> None:
        at = event.get_content_offset(self)
        if at is None:
            return
        if at.y == 0:
            self._click_heading(at.x)
            return
        row = self._top + at.y - 1
        if row < len(self._rows):
            self.action_cursor(row - self.cursor)
            if event.chain >= 2:
                self.post_message(self.Chosen(self, self.current))

    def _click_heading(self, x: int) -> None:
        left = 1
        for column, width in self._fitting(self.size.width):
            if left <= x < left + width + 2 and column.key:
                same = self.sort == column.name
                self.sort_by(f"-{column.name}" if same else column.name)
                return
            left += width + 2


def _left_out(hidden: int) -> str:
    """The mark of columns that have no room."""
    return f" +{hidden}"


def _comparable(value: Any) -> tuple[int, Any]:
    """None sorts before every value."""
    return (0, 0) if value is None else (1, value)
