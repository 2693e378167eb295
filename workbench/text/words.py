"""Words of a text for lexical search: scripts without spaces become overlapping pairs of characters."""

from __future__ import annotations

import re
import unicodedata

#: Kana, Han, Hangul. Pairs of characters find them as well as a dictionary does and need none (Nie & Ren 1999,
#: doi:10.1016/S0306-4573(98)00047-1).
_PAIRED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uac00-\ud7af\U00020000-\U0003134f"
_RUN = re.compile(f"[{_PAIRED}]+")


def spread(text: str) -> str:
    """The text with runs of Han, kana and Hangul replaced by their overlapping pairs, spaces between.

    Full-width and other compatibility forms become the usual ones (NFKC); pure ASCII comes back unchanged.
    """
    if text.isascii():
        return text
    return _RUN.sub(_pairs, unicodedata.normalize("NFKC", text))


def _pairs(match: re.Match[str]) -> str:
    run = match[0]
    parts = [run] if len(run) == 1 else [run[place : place + 2] for place in range(len(run) - 1)]
    return f" {' '.join(parts)} "
