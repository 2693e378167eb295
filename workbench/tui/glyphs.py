"""The signs the screen draws with: rich ones, and plain ASCII for consoles whose font lacks them."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass

#: Names a user may choose; `auto` looks at the terminal.
CHOICES = ("auto", "braille", "blocks", "ascii")


@dataclass(frozen=True, slots=True)
class Glyphs:
    """One set of signs; every one is a single cell wide. `levels`: empty to full, for history graphs."""

    name: str
    full: str
    empty: str
    half: str
    levels: str
    arrow: str
    waits: str
    limits: str
    good: str
    bad: str
    live: str
    pause: str
    play: str
    stop: str
    dot: str
    times: str
    ellipsis: str
    rule: str
    up: str
    down: str
    to: str
    braille: bool = False


_RICH = Glyphs(
    "blocks", full="█", empty="░", half="▓", levels=" ▁▂▃▄▅▆▇█", arrow="▶", waits="◀", limits="▲", good="✔", bad="✖",
    live="●", pause="‖", play="▶", stop="■", dot="·", times="×", ellipsis="…", rule="─", up="▲", down="▼", to="→",
)
BLOCKS = _RICH
BRAILLE = Glyphs(**{**{f: getattr(_RICH, f) for f in _RICH.__dataclass_fields__}, "name": "braille", "braille": True})
ASCII = Glyphs(
    "ascii", full="#", empty=".", half="=", levels=" .:-=+*#@", arrow=">", waits="<", limits="^", good="+", bad="x",
    live="*", pause="=", play=">", stop="#", dot="-", times="x", ellipsis="~", rule="-", up="^", down="v", to=">",
)
_SETS = {"braille": BRAILLE, "blocks": BLOCKS, "ascii": ASCII}


def choose(
    wanted: str = "auto", *, environment: Mapping[str, str] | None = None, encoding: str | None = None,
    platform: str = sys.platform,
) -> Glyphs:
    """The set to draw with.

    `auto`: ASCII where the terminal's encoding is not Unicode or its font is a text console's; blocks on the
    old Windows console, whose usual fonts have no braille; braille elsewhere.
    """
    if wanted in _SETS:
        return _SETS[wanted]
    known = os.environ if environment is None else environment
    name = (encoding or getattr(sys.__stdout__, "encoding", None) or "ascii").lower().replace("-", "")
    if not name.startswith(("utf", "cp65001")) or known.get("TERM") in ("linux", "dumb", "vt100", "vt220"):
        return ASCII
    modern = any(key in known for key in ("WT_SESSION", "TERM_PROGRAM", "ConEmuANSI", "ALACRITTY_LOG"))
    return BLOCKS if platform == "win32" and not modern else BRAILLE
