"""Hits of a search: the list with scores and snippets, and one hit in full."""

from __future__ import annotations

from textual import events

from workbench.tui import text as t
from workbench.tui.bridge import HitView
from workbench.tui.widgets.lines import Line, LineWidget, bar, extend
from workbench.tui.widgets.table import LineTable


class HitTable(LineTable):
    """Hits: rank, score with a bar, title, and the line that holds the matched words."""

    def build(self, width: int, height: int) -> list[Line]:
        if not self._rows:
            self._tell_hidden(0)
            return [Line(f" {line}", "muted") for line in t.wrap(self.empty, width - 2)]
        each, best = 2, max(max((hit.score for hit in self._rows), default=0.0), 1e-9)
        visible = max(1, height // each)
        self._top = max(0, min(self._top, self.cursor, len(self._rows) - visible))
        self._top = max(self._top, self.cursor - visible + 1)
        lines: list[Line] = []
        for number in range(self._top, min(len(self._rows), self._top + visible)):
            hit: HitView = self._rows[number]
            here = number == self.cursor
            line = Line(self.glyphs.play if here else " ", "key").add(f"{hit.rank:>3} ", "muted")
            extend(line, bar(max(0.0, hit.score) / best, 8, self.glyphs)).add(f" {hit.score:6.3f}  ", "muted")
            line.add(t.printable(hit.title) or hit.chunk_id, "title" if here else "strong")
            lines += [line, snippet(hit, width, 6)]
        self._tell_hidden(self._top + len(lines) // each)
        return lines

    def on_click(self, event: events.Click) -> None:
        at = event.get_content_offset(self)
        if at is not None:
            self.action_cursor(self._top + at.y // 2 - self.cursor)


def snippet(hit: HitView, width: int, indent: int) -> Line:
    """One line of the hit's text around the first matched word, matches marked."""
    room = max(8, width - indent - 1)
    late = bool(hit.marks) and hit.marks[0][1] > room
    start = max(0, hit.marks[0][0] - room // 3) if late else 0
    start = hit.text.rfind(" ", 0, start) + 1 if start else 0
    line = marked(Line(" " * indent), hit.text, hit.marks, start, start + room)
    return line.add("…", "muted") if start + room < len(hit.text) else line


def marked(line: Line, text: str, marks: tuple[tuple[int, int], ...], start: int, end: int) -> Line:
    """Add `text[start:end]` with the marked ranges in the role `match`."""
    at = start
    for left, right in marks:
        if right <= start or left >= end:
            continue
        line.add(t.printable(text[at:left]), "muted")
        line.add(t.printable(text[max(left, at):min(right, end)]), "match")
        at = min(right, end)
    return line.add(t.printable(text[at:end]), "muted")


class HitText(LineWidget, can_focus=True):
    """The whole text of a hit between its neighbours; scrolls."""

    DEFAULT_CSS = "HitText { height: 1fr; }"
    hit: HitView | None = None
    _top = 0

    def put(self, hit: HitView | None) -> None:
        self.hit, self._top = hit, 0
        self.show()

    def complete(self, hit: HitView) -> None:
        """The same hit with its neighbours: the one before it goes above the edge, so that the hit stays in place."""
        self.hit = hit
        if self._top == 0 and hit.before and self.size:
            self._top = len(t.wrap(hit.before, self.size.width))
        self.show()

    def build(self, width: int, height: int) -> list[Line]:
        hit = self.hit
        if hit is None:
            return [Line("The text of the hit stands here.", "muted")]
        lines = [Line(piece, "faint") for piece in t.wrap(hit.before, width)] if hit.before else []
        lines += [Line(piece, "title") for piece in t.wrap(hit.title or hit.chunk_id, width)]
        lines += [Line(t.middle(hit.place, width), "muted")] if hit.place else []
        for key, value in hit.metadata.items():
            lines.append(Line(f"{key}: ", "muted").add(t.printable(str(value))))
        lines.append(Line())
        lines += text_lines(hit, width)
        lines += [Line(), *(Line(piece, "faint") for piece in t.wrap(hit.after, width))] if hit.after else []
        self._top = max(0, min(self._top, len(lines) - height))
        below = len(lines) - self._top - height
        ends = [f"{t.many(self._top, 'line')} above"] if self._top else []
        self.border_subtitle = ", ".join([*ends, f"{below} below"] if below > 0 else ends)
        return lines[self._top : self._top + height]

    def scroll_lines(self, lines: int) -> None:
        self._top = max(0, self._top + lines)
        self.show()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.scroll_lines(-3)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.scroll_lines(3)

    def key_up(self) -> None:
        self.scroll_lines(-1)

    def key_down(self) -> None:
        self.scroll_lines(1)

    def key_pageup(self) -> None:
        self.scroll_lines(-10)

    def key_pagedown(self) -> None:
        self.scroll_lines(10)


def text_lines(hit: HitView, width: int) -> list[Line]:
    """The hit's text, wrapped, with its matches marked."""
    words = {hit.text[left:right].lower() for left, right in hit.marks}
    lines = []
    for piece in t.wrap(hit.text, width):
        low = piece.lower()
        found = sorted((at, at + len(w)) for w in words for at in _places(low, w))
        lines.append(_roles(piece, found))
    return lines


def _places(text: str, word: str) -> list[int]:
    places, at = [], text.find(word)
    while word and at >= 0:
        before = text[at - 1 : at]
        if not (before.isalnum() and word[:1].isascii() and word[:1].isalnum()):
            places.append(at)
        at = text.find(word, at + len(word))
    return places


def _roles(piece: str, found: list[tuple[int, int]]) -> Line:
    line, at = Line(), 0
    for left, right in found:
        if left >= at:
            line.add(piece[at:left]).add(piece[left:right], "match")
            at = right
    return line.add(piece[at:])
