"""Cutting long texts where no token is cut: at white space, else (scripts without it) where it must be."""

from __future__ import annotations

import re
from collections.abc import Iterator

_SPACE = re.compile(r"\s")


def cut_before(text: str, begin: int, end: int) -> int:
    """The last place in the second half of text[begin:end] before white space; `end` if there is none."""
    if end >= len(text):
        return len(text)
    half = begin + (end - begin) // 2
    last = end
    for size in (256, 4096, end - half):  # the nearest white space is nearly always close to the end
        low = max(half, end - size)
        found = [match.start() for match in _SPACE.finditer(text, low, end)]
        if found:
            last = found[-1]
            break
    return last


def pieces(text: str, size: int) -> Iterator[tuple[int, int]]:
    """(begin, end) of consecutive pieces of at most `size` characters that make up the whole text."""
    begin = 0
    while begin < len(text):
        end = cut_before(text, begin, begin + size)
        yield begin, end
        begin = end
