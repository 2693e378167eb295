"""Numbers and text for people: fixed widths, units, right width of Chinese and emoji text. Pure functions."""

from __future__ import annotations

import re
import time

from rich.cells import cell_len, set_cell_size

NOTHING = "n/a"
#: What a terminal draws as one: a character with its marks, skin tones and joined emoji.
_CLUSTER = re.compile(r".(?:\u200d.|[\ufe0e\ufe0f\u0300-\u036f\u20e3\U0001F3FB-\U0001F3FF])*", re.DOTALL)
_PREFIXES = ("", "k", "M", "G", "T", "P")


def si(value: float | None, unit: str = "") -> str:
    """Three digits and a prefix: `412 k`, `1.23 M`, `n/a`; powers of 1000."""
    if value is None:
        return NOTHING if unit == "B" else f"{NOTHING} {unit}".rstrip()
    size, prefix = float(value), 0
    while abs(size) >= 999.5 and prefix < len(_PREFIXES) - 1:
        size, prefix = size / 1000.0, prefix + 1
    if prefix == 0:
        number = f"{size:.0f}" if size >= 10 or size == int(size) else f"{size:.1f}"
    else:
        number = f"{size:.2f}" if size < 9.995 else f"{size:.1f}" if size < 99.95 else f"{size:.0f}"
    tail = f"{_PREFIXES[prefix]}{unit}" if unit == "B" else f"{_PREFIXES[prefix]} {unit}".strip()
    return f"{number} {tail}".rstrip()


def count(value: int | None) -> str:
    """`260,312`, `n/a`."""
    return NOTHING if value is None else f"{value:,}"


def many(value: int, thing: str) -> str:
    """`1 chunk`, `5,183 chunks`."""
    return f"{value:,} {thing}" + ("" if value == 1 else "s")


def percent(share: float | None, width: int = 5) -> str:
    """A share (0–1) as ` 97 %`, right-aligned in `width` cells."""
    return (NOTHING if share is None else f"{100.0 * share:.0f} %").rjust(width)


def degrees(value: float | None, unit: str, digits: int = 0) -> str:
    """A reading with its unit, `n/a` without one."""
    return NOTHING if value is None else f"{value:.{digits}f} {unit}"


def size(nbytes: float | None) -> str:
    """`81 MB`, `4.21 GB`, `n/a` (powers of 1000)."""
    return si(nbytes, "B")


def pair(used: float | None, total: float | None) -> str:
    """`3.1/12 GB` in the unit of the total."""
    if total is None:
        return size(used)
    scale, name = (1e9, "GB") if total >= 1e9 else (1e6, "MB")
    left = NOTHING if used is None else f"{used / scale:.1f}"
    return f"{left}/{total / scale:.0f} {name}"


def duration(seconds: float | None) -> str:
    """`12 s`, `3 min`, `2 h 07 min`, `n/a`: as exact as it is known."""
    if seconds is None:
        return NOTHING
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s" if whole < 600 else f"{whole // 60} min"
    if whole < 48 * 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def clock(seconds: float | None) -> str:
    """Elapsed time as `00:12:41`."""
    if seconds is None:
        return "--:--:--"
    whole = max(0, int(seconds))
    return f"{whole // 3600:02d}:{whole % 3600 // 60:02d}:{whole % 60:02d}"


def time_of_day(wall: float) -> str:
    """Local time of a moment (seconds since 1970) as `14:02:11`."""
    return time.strftime("%H:%M:%S", time.localtime(wall))


def date(wall: float) -> str:
    """Local time as `2026-11-21 14:02`."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(wall))


def fit(text: str, width: int, *, right: bool = False, mark: str = "…") -> str:
    """Text in exactly `width` terminal cells: padded, or cut with `mark` where it was longer.

    Control characters are shown as `printable` shows them.
    """
    width, text = max(0, width), printable(text)
    length = cell_len(text)
    if length <= width:
        gap = " " * (width - length)
        return gap + text if right else text + gap
    return set_cell_size(text, max(0, width - cell_len(mark))) + mark[:width]


def middle(text: str, width: int, mark: str = "…") -> str:
    """Text cut in its middle, for paths: start and end say most. At most `width` cells, not padded."""
    if cell_len(text) <= width:
        return text
    left = max(0, (width - cell_len(mark)) // 3)
    tail_cells = max(0, width - cell_len(mark) - left)
    tail = text[-tail_cells:] if tail_cells else ""
    while cell_len(tail) > tail_cells:
        tail = tail[1:]
    return set_cell_size(text, left) + mark + tail


def wrap(text: str, width: int) -> list[str]:
    """Lines of at most `width` cells, broken at spaces, or anywhere in text that has none (Chinese)."""
    lines: list[str] = []
    for paragraph in text.splitlines() or [""]:
        lines.extend(_wrap_paragraph(paragraph, max(2, width)))
    return lines


def hang(line: str, width: int) -> list[str]:
    """A line of `  key   what it means` as lines of at most `width` cells: the meaning stays in its column."""
    found = re.match(r" +\S.*? {2,}(?=\S)", line)
    left = len(found.group()) if found else 0
    pieces = wrap(line[left:], width - left)
    return [line[:left] + pieces[0], *(" " * left + piece for piece in pieces[1:])]


def _wrap_paragraph(paragraph: str, width: int) -> list[str]:
    lines, line, used = [], "", 0
    for word in _pieces(printable(paragraph), width):
        cells = cell_len(word)
        if used + cells > width and line:
            lines.append(line.rstrip())
            line, used = "", 0
            if word.isspace():
                continue
        line, used = line + word, used + cells
    return [*lines, line.rstrip()]


def _pieces(text: str, width: int) -> list[str]:
    """Words and the spaces between them; what is wide or too long for a line comes cluster by cluster."""
    pieces: list[str] = []
    word = ""
    for cluster in _CLUSTER.findall(text):
        if cluster == " " or cell_len(cluster) > 1 or cell_len(word) + 1 > width:
            pieces += [word] if word else []
            word = ""
        if cluster == " " or cell_len(cluster) > 1:
            pieces.append(cluster)
        else:
            word += cluster
    return [*pieces, word] if word else pieces


def printable(text: str) -> str:
    """Control characters (they would move the cursor) as a visible replacement, tabs as spaces."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else "    " if c == "\t" else " " if c.isspace() else "\ufffd" for c in text)


def in_one_line(value: str) -> str:
    """A value as one line: a line break as the two signs that usually stand for it."""
    return value.replace("\n", "\\n")
