"""Documents as headings and the text under them: plain text, Markdown, reStructuredText and source code.

HTML has its own file, `html`. A parser takes the whole text of a file (or of a part of a large one) and says which
lines are headings; the text between two headings is a section, whose title is the path of headings above it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from workbench.text.chunking import stretches_of

SEPARATOR = " › "
_LONGEST_TITLE = 160  # characters


@dataclass(frozen=True, slots=True)
class Section:
    """Text under a heading.

    Attributes:
        headings: path of headings, the outermost first. line: line of the file where `text` starts, from 1.
        lines: (character, line) marks where lines of the text are not lines of the file (HTML), ascending.
    """

    headings: tuple[str, ...]
    text: str
    line: int
    code: bool = False
    lines: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed document; `title` is its own name for itself, or ""."""

    title: str
    sections: tuple[Section, ...]


@dataclass(slots=True)
class _Heading:
    """Lines [first, after) hold a heading."""

    first: int
    after: int
    level: int
    text: str


def title_path(name: str, headings: Sequence[str]) -> str:
    """`name › heading › heading`, not longer than 160 characters: middle headings give way first."""
    parts = [name, *(part for part in headings if part != name)]
    while len(SEPARATOR.join(parts)) > _LONGEST_TITLE and len(parts) > 2:
        del parts[1]
    path = SEPARATOR.join(parts)
    return path if len(path) <= _LONGEST_TITLE else path[: _LONGEST_TITLE - 1] + "…"


def moved(section: Section, lines: int) -> Section:
    """The section, so many lines further down in its file."""
    if not lines:
        return section
    marks = tuple((character, line + lines) for character, line in section.lines)
    return replace(section, line=section.line + lines, lines=marks)


def share(sections: Sequence[Section], number: int, count: int) -> list[Section]:
    """Sections, and parts of long ones, whose starts lie in share `number` of `count` of all their characters."""
    if count == 1:
        return list(sections)
    total = sum(len(section.text) for section in sections)
    low, high = total * number // count, total * (number + 1) // count
    chosen: list[Section] = []
    at = 0
    for section in sections:
        if at < high and at + len(section.text) > low:
            inside = [edge for edge in stretches_of(section.text) if low <= at + edge[0] < high]
            if inside:
                chosen.append(_between(section, inside[0][0], inside[-1][1]))
        at += len(section.text)
    return chosen


def _between(section: Section, start: int, stop: int) -> Section:
    marks = tuple((max(0, character - start), line) for character, line in section.lines)
    line = section.line + (0 if marks else section.text.count("\n", 0, start))
    return replace(section, text=section.text[start:stop], line=line, lines=marks)


def parse_plain(text: str) -> Document:
    """Text without headings."""
    return Document(_header_title(text), (Section((), text, 1),))


def parse_markdown(text: str) -> Document:
    """ATX (`# …`) and underlined headings outside fenced code; front matter gives the title."""
    lines = text.split("\n")
    title, body = _front_matter(lines)
    headings: list[_Heading] = []
    fence = ""
    for number in range(body, len(lines)):
        line = lines[number]
        mark = _FENCE.match(line)
        if mark and (not fence or mark[1].startswith(fence)):
            fence = "" if fence else mark[1]
        elif not fence and (atx := _ATX.match(line)):
            headings.append(_Heading(number, number + 1, len(atx[1]), atx[2]))
        elif not fence and number > body and _SETEXT.match(line) and _may_be_title(lines, number - 1, body):
            level = 1 if line.lstrip().startswith("=") else 2
            headings.append(_Heading(number - 1, number + 1, level, lines[number - 1].strip()))
    return _document(text, lines, headings, body, title)


def parse_rst(text: str) -> Document:
    """Underlined and overlined titles; the order in which the adornments appear gives the levels."""
    lines = text.split("\n")
    headings: list[_Heading] = []
    levels: dict[tuple[str, bool], int] = {}
    number = 1
    while number < len(lines):
        under, above = lines[number].rstrip(), lines[number - 1].rstrip()
        if _ADORNMENT.fullmatch(under) and above and len(under) >= len(above.strip()) and not _is_adornment(above):
            over = number > 1 and lines[number - 2].rstrip() == under
            if over or not above[0].isspace():
                level = levels.setdefault((under[0], over), len(levels) + 1)
                headings.append(_Heading(number - 1 - over, number + 1, level, above.strip()))
                number += 1
        number += 1
    return _document(text, lines, headings, 0, _header_title(text))


def parse_code(text: str) -> Document:
    """Source code: one section for each definition at the margin, with the comments and decorators right above it."""
    lines = text.split("\n")
    starts = _starts(lines)
    edges: list[tuple[int, str]] = []
    for number, line in enumerate(lines):
        found = _DEFINITION.match(line)
        if found:
            floor = edges[-1][0] + 1 if edges else 0
            first = number
            while first > floor and lines[first - 1].startswith(_ABOVE):
                first -= 1
            edges.append((first, found[1]))
    sections = []
    for (first, name), (after, _) in zip([(0, ""), *edges], [*edges, (len(lines), "")], strict=True):
        body = text[starts[first] : starts[after] - 1 if after == len(lines) else starts[after]]
        if body.strip():
            sections.append(Section((name,) if name else (), body, first + 1, code=True))
    return Document("", tuple(sections))


_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_ATX = re.compile(r" {0,3}(#{1,6})[ \t]+(.*?)[ \t]*#*[ \t]*$")
_SETEXT = re.compile(r" {0,3}(?:=+|-{2,})[ \t]*$")
_ADORNMENT = re.compile(r"([!-/:-@\[-`{-~])\1{2,}")
_FRONT_TITLE = re.compile(r"title:[ \t]*[\"']?(.*?)[\"']?[ \t]*$")
_HEADER = re.compile(r":?[A-Za-z][\w-]*: \S")
_HEADER_TITLE = re.compile(r"^:?Title: *(.+)$", re.M | re.I)
_ABOVE = ("@", "#", "//", "/*", " *", "*/", "--", ";;")
_DEFINITION = re.compile(
    r"(?:(?:export|default|public|private|protected|internal|static|final|abstract|pub(?:\([^)]*\))?|async|unsafe"
    r"|extern|inline|open|data|sealed|override|virtual|constexpr|partial)\s+)*"
    r"(?:def|class|function\*?|func|fn|struct|enum|interface|trait|impl|type|module|namespace|record|object"
    r"|protocol|extension|sub|proc|macro_rules!)\s+(?:\([^)]*\)\s*)?([A-Za-z_$][\w$.:]*)"
)


def _header_title(text: str) -> str:
    """Title in a block of `Name: value` lines at the top (PEPs, RFC 822)."""
    if not _HEADER.match(text):
        return ""
    found = _HEADER_TITLE.search(text.partition("\n\n")[0][:2000])
    return found[1].strip() if found else ""


def _starts(lines: Sequence[str]) -> list[int]:
    """First character of each line, and the one after the last line end."""
    return [0, *accumulate(len(line) + 1 for line in lines)]


def _is_adornment(line: str) -> bool:
    return _ADORNMENT.fullmatch(line.strip()) is not None


def _may_be_title(lines: Sequence[str], number: int, body: int) -> bool:
    """A line over `===` or `---` is a title when it is one line of text and no list, quote or table."""
    line = lines[number]
    alone = number == body or not lines[number - 1].strip()
    return alone and bool(line.strip()) and not re.match(r" {0,3}(?:[-*+>|#]|\d+[.)]\s)| {4}|\t", line)


def _front_matter(lines: Sequence[str]) -> tuple[str, int]:
    """Title in a YAML block at the top, and the first line after it."""
    if not lines or lines[0].rstrip() != "---":
        return "", 0
    title = ""
    for number in range(1, min(len(lines), 200)):
        if lines[number].rstrip() in ("---", "..."):
            return title, number + 1
        found = _FRONT_TITLE.match(lines[number])
        title = found[1] if found else title
    return "", 0


def _document(
    text: str, lines: list[str], headings: Sequence[_Heading], body: int, title: str
) -> Document:
    """Sections between headings. A first heading that is the only one of its level names the document."""
    starts = _starts(lines)
    top = min((heading.level for heading in headings), default=0)
    if not title and headings and headings[0].level == top and sum(h.level == top for h in headings) == 1:
        title = headings[0].text
    sections: list[Section] = []
    path: list[tuple[int, str]] = []
    begins: Iterable[tuple[_Heading | None, int]] = [(None, body), *((heading, heading.after) for heading in headings)]
    ends = [*(heading.first for heading in headings), len(lines)]
    for (heading, first), after in zip(begins, ends, strict=True):
        if heading is not None:
            path = [*((level, name) for level, name in path if level < heading.level), (heading.level, heading.text)]
        part = text[starts[min(first, len(lines))] : max(0, starts[after] - 1)]
        if part.strip():
            names = tuple(name for _, name in path if name and name != title)
            sections.append(Section(names, part, first + 1))
    if not sections and text.strip():  # nothing but headings: they are the text
        sections.append(Section((), text, 1))
    return Document(title, tuple(sections))
