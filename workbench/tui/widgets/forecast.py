"""What a run will be and cost, before it is started: the profile in words, and the estimate."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from workbench.tui import text as t
from workbench.tui.bridge import Estimate
from workbench.tui.widgets.lines import Line, LineWidget


class AboutProfile(LineWidget):
    """What the chosen profile means, in full, and what was changed for this run."""

    DEFAULT_CSS = "AboutProfile { height: 2; padding: 0 1; }"
    about = ""
    changes: Mapping[str, str] = MappingProxyType({})

    def build(self, width: int, height: int) -> list[Line]:
        changed = ", ".join(f"{key} = {t.in_one_line(value)}" for key, value in self.changes.items())
        lines = [Line(piece, "muted") for piece in t.wrap(self.about, width)]
        lines += [Line(piece, "warn") for piece in t.wrap(f"for this run: {changed}", width)] if changed else []
        return lines if len(lines) <= height else [*lines[: height - 1], Line(t.fit(lines[-1].plain(), width), "warn")]


class EstimateLines(LineWidget):
    """What the run will cost, and what is wrong with what was typed."""

    DEFAULT_CSS = "EstimateLines { height: 6; padding: 0 1; }"
    estimate: Estimate | None = None
    problem = ""

    def build(self, width: int, height: int) -> list[Line]:
        lines = self.lines(width)
        self.styles.height = max(3, len(lines))  # what does not fit on a line goes on below; nothing is cut
        return lines

    def lines(self, width: int) -> list[Line]:
        if self.problem:
            return [Line(line, "bad") for line in t.wrap(self.problem, width)]
        if self.estimate is None:
            return [Line("estimating …", "muted")]
        return estimate_lines(self.estimate, width)


def estimate_lines(estimate: Estimate, width: int) -> list[Line]:
    """Rows, tokens, disk, time; each with its unit, n/a where it is not known."""
    if estimate.problem:
        return [Line(line, "bad") for line in t.wrap(estimate.problem, width)]
    lines = [Line("input ", "muted").add(t.fit(estimate.title, max(8, width - 6)).rstrip(), "strong")]
    lines.append(
        Line("about ", "muted").add(t.count(estimate.rows), "strong").add(" chunks, ", "muted")
        .add(t.si(estimate.tokens, "tokens"), "strong").add(", ", "muted")
        .add(t.size(estimate.disk_bytes), "strong").add(" on disk", "muted")
    )
    if estimate.free_bytes is not None:
        _more(lines, f" ({t.size(estimate.free_bytes)} free)", width)
    lines.append(Line("time ", "muted").add(t.duration(estimate.seconds), "strong"))
    _more(lines, f"   {estimate.rate_from}", width)
    lines += [Line(piece, "warn") for note in estimate.notes for piece in t.wrap(note, width)]
    return lines


def _more(lines: list[Line], text: str, width: int) -> None:
    """Add to the last line, or below it when there is no room."""
    if lines[-1].used + len(text) <= width:
        lines[-1].add(text, "muted")
    else:
        lines += [Line(f"  {piece}", "muted") for piece in t.wrap(text.strip(), width - 2)]
