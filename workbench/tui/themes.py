"""Themes of our own, and the roles that parts of a line can have; a role is a colour, never the only sign."""

from __future__ import annotations

from collections.abc import Mapping

from rich.style import Style
from textual.color import Color
from textual.theme import Theme

DEFAULT = "workbench-dark"

THEMES = (
    Theme(
        name="workbench-dark", primary="#6cb6ff", secondary="#3d5a80", accent="#e0b35a", warning="#e0b35a",
        error="#f47067", success="#6bc46d", foreground="#cdd9e5", background="#161b22", surface="#1c2128",
        panel="#22272e", dark=True, variables={"border": "#444c56", "footer-key-foreground": "#e0b35a"},
    ),
    Theme(
        name="workbench-light", primary="#0a58a8", secondary="#7aa2cf", accent="#8a5a00", warning="#8a5a00",
        error="#b3261e", success="#1a6e34", foreground="#1f2328", background="#ffffff", surface="#f6f8fa",
        panel="#eaeef2", dark=False, variables={"border": "#b6bec7"},
    ),
    # Okabe and Ito's palette: told apart with every usual kind of colour blindness (jfly.uni-koeln.de/color).
    Theme(
        name="workbench-colour-blind", primary="#56b4e9", secondary="#0072b2", accent="#f0e442", warning="#e69f00",
        error="#d55e00", success="#009e73", foreground="#e6e6e6", background="#14171a", surface="#1b1f23",
        panel="#23282d", dark=True, variables={"border": "#4b535b"},
    ),
)

#: Parts of a line. `bar-*` draw quantities; the others are words.
ROLES = (
    "text", "strong", "muted", "faint", "title", "good", "warn", "bad", "accent", "key", "match", "cursor",
    "bar-busy", "bar-in", "bar-quiet", "bar-none", "graph", "graph-2", "link",
)
Palette = dict[str, Style]


def palette(variables: Mapping[str, str], background: str) -> Palette:
    """A Rich style for every role, from a theme's variables (`App.theme_variables`)."""
    ground = Color.parse(background)

    def pick(name: str) -> Color:
        return Color.parse(variables[name])

    def soft(color: Color, share: float) -> str:
        return color.blend(ground, share).hex6

    text, primary = pick("foreground"), pick("primary")
    good, warn, bad, accent = pick("success"), pick("warning"), pick("error"), pick("accent")
    return {
        "text": Style(color=text.hex6),
        "strong": Style(color=text.hex6, bold=True),
        "muted": Style(color=soft(text, 0.35)),
        "faint": Style(color=soft(text, 0.68)),
        "title": Style(color=primary.hex6, bold=True),
        "good": Style(color=good.hex6),
        "warn": Style(color=warn.hex6, bold=True),
        "bad": Style(color=bad.hex6, bold=True),
        "accent": Style(color=accent.hex6),
        "key": Style(color=accent.hex6, bold=True),
        "match": Style(color=accent.hex6, bold=True, underline=True),
        "cursor": Style(reverse=True),
        "bar-busy": Style(color=primary.hex6),
        "bar-in": Style(color=soft(warn, 0.25)),
        "bar-quiet": Style(color=soft(text, 0.6)),
        "bar-none": Style(color=soft(text, 0.82)),
        "graph": Style(color=primary.hex6),
        "graph-2": Style(color=accent.hex6),
        "link": Style(color=primary.hex6, underline=True),
    }
