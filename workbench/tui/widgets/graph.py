"""History as filled areas on a fixed scale, in braille, blocks or ASCII. Pure functions.

Textual's own sparkline scales to its smallest and largest value, so that a steady 100 % looks like nothing;
here the scale is given and does not depend on what is shown.
"""

from __future__ import annotations

from collections.abc import Sequence

from workbench.tui.glyphs import Glyphs

#: Bits of a braille cell, from the lowest row up: (left column, right column); Unicode block 2800.
_DOTS = ((0x40, 0x80), (0x04, 0x20), (0x02, 0x10), (0x01, 0x08))


def columns_of(width: int, glyphs: Glyphs) -> int:
    """Values that `rows` takes for a graph of `width` cells."""
    return 2 * width if glyphs.braille else width


def rows(values: Sequence[float | None], height: int, top: float, glyphs: Glyphs) -> list[str]:
    """`height` rows of text, the highest first. Values lie on 0–`top`; None is a gap.

    A value above 0 shows at least the lowest dot: little is not nothing.
    """
    if glyphs.braille:
        return _braille(values, height, top)
    steps = len(glyphs.levels) - 1
    levels = [_level(value, height * steps, top) for value in values]
    return [
        "".join(glyphs.levels[min(steps, max(0, level - row * steps))] for level in levels)
        for row in reversed(range(height))
    ]


def _level(value: float | None, steps: int, top: float) -> int:
    if value is None or top <= 0 or value <= 0:
        return 0
    return max(1, min(steps, round(value / top * steps)))


def _braille(values: Sequence[float | None], height: int, top: float) -> list[str]:
    levels = [_level(value, height * 4, top) for value in values]
    if len(levels) % 2:
        levels.insert(0, 0)
    out = []
    for row in reversed(range(height)):
        cells = []
        for left, right in zip(levels[0::2], levels[1::2], strict=True):
            bits = 0
            for dot in range(4):
                if left > row * 4 + dot:
                    bits |= _DOTS[dot][0]
                if right > row * 4 + dot:
                    bits |= _DOTS[dot][1]
            cells.append(chr(0x2800 + bits) if bits else " ")
        out.append("".join(cells))
    return out


def nice_top(highest: float) -> float:
    """The scale for a rate: the next of 1, 1.5, 2, 3, 5, 7.5 × 10ⁿ; it only ever grows during a run."""
    if highest <= 0:
        return 1.0
    scale = 1.0
    while scale * 10 <= highest:
        scale *= 10
    while scale > highest:
        scale /= 10
    return next(step * scale for step in (1.0, 1.5, 2.0, 3.0, 5.0, 7.5, 10.0) if step * scale >= highest * 0.999)
