"""Lines of text with roles, and the widget that shows them and repaints only those that changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.events import Resize
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from workbench.tui.glyphs import BRAILLE, Glyphs
from workbench.tui.text import fit
from workbench.tui.themes import Palette, palette

#: Signs in our own words that a console with ASCII only lacks, each one cell wide.
IN_ASCII = str.maketrans("→←↑↓…×°·–—µ", "><^v~x\x27---u")
#: A part of a line: text, role, action that a click on it does ("" for none).
Part = tuple[str, str, str]


class Line:
    """Parts of one line, put together from left to right."""

    __slots__ = ("parts", "used")

    def __init__(self, text: str = "", role: str = "text") -> None:
        self.parts: list[Part] = []
        self.used = 0
        if text:
            self.add(text, role)

    def add(self, text: str, role: str = "text", click: str = "") -> Line:
        if text:
            self.parts.append((text, role, click))
            self.used += cell_len(text)
        return self

    def to(self, column: int) -> Line:
        """Fill with spaces up to a column; nothing when it is passed already."""
        return self.add(" " * (column - self.used)) if column > self.used else self

    def right(self, width: int, text: str, role: str = "text") -> Line:
        """Put a text at the right end of a line of `width` cells, when there is room."""
        need = cell_len(text)
        return self.to(width - need).add(text, role) if self.used + need < width else self

    def plain(self) -> str:
        return "".join(text for text, _, _ in self.parts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Line) and self.parts == other.parts

    __hash__ = None  # type: ignore[assignment]


def clip(line: Line, width: int, mark: str = "…") -> list[Part]:
    """The parts of a line that fit into `width` cells; a cut is marked."""
    if line.used <= width:
        return line.parts
    parts: list[Part] = []
    room = width - cell_len(mark)
    for text, role, click in line.parts:
        length = cell_len(text)
        if length > room:
            parts += [(set_cell_size(text, max(0, room)), role, click), (mark, "muted", "")]
            break
        parts.append((text, role, click))
        room -= length
    return parts


class LineWidget(Widget, can_focus=False):
    """Shows what `build` gives, line by line.

    `show()` builds again and repaints the lines that differ; a line that stays as it was costs nothing.
    """

    DEFAULT_CSS = "LineWidget { height: auto; }"
    _strip_cache: ClassVar[dict[Any, Strip]] = {}

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._lines: list[Line] = []
        self._strips: list[Strip | None] = []
        self._built: tuple[int, int] | None = None

    # ── for those who derive ─────────────────────────────────────────────────────────────────────
    def build(self, width: int, height: int) -> Sequence[Line]:
        """The lines for a content area of this size; called in the screen's thread, must be quick."""
        raise NotImplementedError

    @property
    def glyphs(self) -> Glyphs:
        return getattr(self.app, "glyphs", BRAILLE)

    # ── painting ─────────────────────────────────────────────────────────────────────────────────
    def show(self) -> None:
        """Build again and repaint what changed."""
        if not self.is_mounted or not self.size:
            return
        lines = list(self.build(self.size.width, self.size.height))
        old, whole = self._lines, self._built != self.size
        self._built = self.size
        changed = range(max(len(lines), len(old))) if whole else [
            y for y in range(max(len(lines), len(old)))
            if (lines[y] if y < len(lines) else None) != (old[y] if y < len(old) else None)
        ]
        strips = self._strips + [None] * (len(lines) - len(self._strips))
        for y in changed:
            if y < len(strips):
                strips[y] = None
        self._lines, self._strips = lines, strips[: len(lines)]
        if whole:
            self.refresh()
        elif changed:
            self.refresh(*(Region(0, y, self.size.width, 1) for y in changed))

    def on_resize(self, event: Resize) -> None:
        self._built = None
        self.show()

    def notify_style_update(self) -> None:
        self._strips = [None] * len(self._lines)
        super().notify_style_update()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if y >= len(self._lines):
            return Strip.blank(width, self.rich_style)
        strip = self._strips[y]
        if strip is None:
            strip = self._strips[y] = self._strip(self._lines[y], width)
        return strip

    def _strip(self, line: Line, width: int) -> Strip:
        styles, base = palette_of(self), self.rich_style
        plain = self.glyphs.name == "ascii"
        segments = [
            Segment(
                text.translate(IN_ASCII) if plain else text,
                base + styles[role] + _meta(click) if click else base + styles[role],
            )
            for text, role, click in clip(line, width, self.glyphs.ellipsis)
        ]
        return Strip(segments).adjust_cell_length(width, base)

    def plain(self) -> str:
        """What is shown, as text (for tests and copying)."""
        return "\n".join(line.plain().rstrip() for line in self._lines)


def _meta(action: str) -> Style:
    return Style(meta={"@click": action})


def palette_of(widget: Widget) -> Palette:
    """The styles of the roles in the app's theme, made once per theme."""
    app = widget.app
    name = (app.theme, app.no_color)
    cached: tuple[Any, Palette] | None = getattr(app, "_workbench_palette", None)
    if cached is None or cached[0] != name:
        variables = app.theme_variables
        cached = (name, palette(variables, variables["background"]))
        app._workbench_palette = cached  # type: ignore[attr-defined]
    return cached[1]


def bar(share: float | None, width: int, glyphs: Glyphs, role: str = "bar-busy") -> list[Part]:
    """A bar of `width` cells, filled by a share (0–1); a share that is not known leaves it empty."""
    filled = 0 if share is None else round(min(1.0, max(0.0, share)) * width)
    if share is not None and share > 0.005 and not filled:
        filled = 1
    return [part for part in (
        (glyphs.full * filled, role, ""), (glyphs.empty * (width - filled), "bar-none", ""),
    ) if part[0]]


def stacked(shares: Sequence[tuple[float | None, str, str]], width: int, empty: str) -> list[Part]:
    """A bar of several parts (share, sign, role) whose lengths add up; the rest is drawn with `empty`."""
    parts: list[Part] = []
    used, total = 0, 0.0
    for share, sign, role in shares:
        total += share or 0.0
        upto = min(width, round(total * width))
        if upto > used:
            parts.append((sign * (upto - used), role, ""))
            used = upto
    return [*parts, (empty * (width - used), "bar-none", "")] if used < width else parts


def extend(line: Line, parts: Sequence[Part]) -> Line:
    """Add ready parts to a line."""
    for part in parts:
        line.add(*part)
    return line


def cell(line: Line, text: str, width: int, role: str = "text", *, right: bool = False) -> Line:
    """Add a text in exactly `width` cells."""
    return line.add(fit(text, width, right=right), role)
