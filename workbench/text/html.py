"""HTML as headings and text, with the standard library's parser."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from workbench.text.documents import Document, Section

_BLOCKS = frozenset(
    [
        "address", "article", "aside", "blockquote", "body", "caption", "dd", "details", "div", "dl", "dt",
        "fieldset", "figcaption", "figure", "footer", "form", "header", "hr", "li", "main", "nav", "ol",
        "option", "p", "pre", "section", "summary", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "ul",
    ]
)
_HIDDEN = frozenset({"script", "style", "template", "noscript", "svg", "math", "iframe", "object"})
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_SPACES = re.compile(r"[ \t\r\n\f]+")


def parse_html(text: str) -> Document:
    """Text of an HTML page; scripts and styles left out, `pre` kept as it is, the page's title as title."""
    parser = _Parser()
    parser.feed(text)
    parser.close()
    return parser.document()


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._sections: list[Section] = []
        self._path: list[tuple[int, str]] = []
        self._parts: list[str] = []
        self._size = 0
        self._lines: list[tuple[int, int]] = []
        self._title: list[str] = []
        self._heading: list[str] | None = None
        self._level = 0
        self._in_title = False
        self._hidden = self._pre = 0

    def document(self) -> Document:
        """What was fed so far."""
        self._close_heading()
        self._flush()
        return Document(_squeezed("".join(self._title)), tuple(self._sections))

    def parse_html_declaration(self, i: int) -> int:
        """What begins with "<!" at `i`; the index after it, or −1. Other than CDATA, "<![" begins a comment that ends
        with the next ">", as the standard has it: `HTMLParser` itself raises on those it does not know."""
        if self.rawdata.startswith("<![", i) and self.rawdata[i + 3 : i + 9].lower() != "cdata[":
            return self.parse_bogus_comment(i)
        return super().parse_html_declaration(i)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _HIDDEN:
            self._hidden += 1
        elif tag == "title" and not self._hidden:
            self._in_title = True
        elif tag in _HEADINGS:
            self._close_heading()
            self._flush()
            self._heading, self._level = [], _HEADINGS[tag]
        elif tag == "br":
            self._put("\n")
        elif tag in _BLOCKS:
            self._pre += tag == "pre"
            self._break("- " if tag == "li" else "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _HIDDEN:
            self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag in _HIDDEN:
            self._hidden = max(0, self._hidden - 1)
        elif tag == "title":
            self._in_title = False
        elif tag in _HEADINGS:
            self._close_heading()
        elif tag in _BLOCKS:
            self._pre = max(0, self._pre - (tag == "pre"))
            self._break("")

    def handle_data(self, data: str) -> None:
        if self._hidden:
            return
        if self._in_title:
            self._title.append(data)
        elif self._heading is not None:
            self._heading.append(data)
        else:
            self._put(data if self._pre else _SPACES.sub(" ", data))

    def _put(self, text: str) -> None:
        if not self._pre and (not self._parts or self._parts[-1].endswith((" ", "\n"))):
            text = text.lstrip(" ")
        if text:
            if text.strip():
                self._lines.append((self._size, self.getpos()[0]))
            self._parts.append(text)
            self._size += len(text)

    def _break(self, mark: str) -> None:
        """End a block: a blank line, so that chunks may end here."""
        if self._heading is not None:
            self._heading.append(" ")
            return
        before = self._parts[-1] if self._parts else "\n\n"
        ends = 2 if before.endswith("\n\n") else int(before.endswith("\n"))
        wanted = 1 if mark or before.startswith("- ") else 2
        self._put("\n" * max(0, wanted - ends))
        if mark:
            self._put(mark)

    def _close_heading(self) -> None:
        if self._heading is not None:
            name = _squeezed("".join(self._heading))
            self._heading = None
            kept = [(level, text) for level, text in self._path if level < self._level]
            self._path = [*kept, (self._level, name)]

    def _flush(self) -> None:
        text = "".join(self._parts)
        if text.strip():
            names = tuple(name for _, name in self._path if name)
            self._sections.append(Section(names, text, self._lines[0][1], False, tuple(self._lines)))
        self._parts, self._size, self._lines = [], 0, []


def _squeezed(text: str) -> str:
    return _SPACES.sub(" ", text).strip()
