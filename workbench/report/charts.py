"""Charts as static SVG with pygal: no script, no network, colours from the page's own variables."""

from __future__ import annotations

import re
from functools import cache
from math import ceil, floor, log10
from typing import Any

from workbench.report.series import TimeLine

_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_SCRIPT = re.compile(r"<script.*?</script>", re.DOTALL)


@cache
def _style() -> Any:
    from pygal.style import Style

    return Style(
        background="transparent", plot_background="transparent", foreground="var(--ink)",
        foreground_strong="var(--ink)", foreground_subtle="var(--soft)", guide_stroke_color="var(--line)",
        major_guide_stroke_color="var(--line)", guide_stroke_dasharray="1,0", major_guide_stroke_dasharray="1,0",
        colors=tuple(f"var(--c{i})" for i in range(1, 7)), font_family="inherit", label_font_size=19,
        major_label_font_size=19, legend_font_size=14, title_font_size=15, value_font_size=13,
        value_label_font_size=13, opacity=".18", opacity_hover=".3", transition="0s",
    )


def number(value: float) -> str:
    """A short figure: `1.2M`, `340k`, `12.5`."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def clock(seconds: float) -> str:
    """`45 s`, `3:05`, `1:02:03`."""
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d}"
    return f"{whole // 3600}:{whole % 3600 // 60:02d}:{whole % 60:02d}"


def line_chart(line: TimeLine, width: int = 640, height: int = 270) -> str:
    """A time line as an SVG element."""
    import pygal

    chart = pygal.XY(
        **_common(width, height), show_dots=False, fill=len(line.series) == 1, x_value_formatter=clock,
        value_formatter=number, show_legend=False, stroke_style={"width": 2}, show_x_guides=False,
        include_x_axis=True, range=(0.0, _levels(_top(line))[-1]), y_labels=_levels(_top(line)),
    )
    for series in line.series:
        chart.add(series.name, [point for point in series.points if point[1] is not None])
    end = max((point[0] for series in line.series for point in series.points), default=1.0)
    chart.x_labels = _ticks(end)
    return _element(chart)


def _common(width: int, height: int) -> dict[str, Any]:
    return {
        "width": width, "height": height, "style": _style(), "js": [], "explicit_size": False,
        "disable_xml_declaration": True, "margin": 8, "spacing": 6, "pretty_print": False,
    }


def _top(line: TimeLine) -> float:
    return line.top or max((v for s in line.series for _, v in s.points if v is not None), default=1.0) or 1.0


def _levels(top: float) -> list[float]:
    """Four or five round values from 0 to at least `top`."""
    size = 10.0 ** floor(log10(top / 4.0))
    step = next(size * digit for digit in (1.0, 2.0, 2.5, 5.0, 10.0) if size * digit * 4.0 >= top * 0.999)
    return [step * i for i in range(ceil(top / step * 0.999) + 1)]


def _ticks(end: float) -> list[float]:
    """Five to eight round moments from 0 to `end` seconds."""
    for step in (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 43200):
        if end / step <= 8:
            return [float(step * i) for i in range(int(end / step) + 1)]
    return [0.0, end]


def _element(chart: Any) -> str:
    """The chart as an `<svg>` element for a page: without script, comments and hover layers that need script."""
    text = chart.render(is_unicode=True)
    return _SCRIPT.sub("", _COMMENT.sub("", text)).strip()
