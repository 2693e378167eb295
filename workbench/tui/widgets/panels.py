"""Panels of the Run room: rate, verdict and pipeline. Each builds its lines from the picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from textual import events

from workbench.tui import text as t
from workbench.tui.bridge import VerdictView
from workbench.tui.frames import Frame, StageView
from workbench.tui.glyphs import Glyphs
from workbench.tui.picture import Picture
from workbench.tui.widgets.lines import Line, LineWidget, bar, cell, extend, stacked

#: Names of the stages on the screen and in verdicts.
NAMES = {"worker": "workers", "encoder": "encoder", "writer": "writer"}
#: A stage waits when it does so for more than this share of its time (TensorFlow's profiler: 5 %, "highly" 20 %).
WAITS = 0.10
#: What a run says of itself that was told to keep no readings.
UNMEASURED = "nothing is measured: pipeline.telemetry is none"
#: Outcome of a run → its sign and its role.
_ENDS = {"done": ("good", "good"), "stopped": ("stop", "warn"), "failed": ("bad", "bad")}


class Panel(LineWidget, can_focus=True):
    """A panel with a border, a title, and a picture to draw."""

    DEFAULT_CSS = """
    Panel { border: round $border; border-title-color: $text-muted; padding: 0 1; height: auto; }
    Panel:focus { border: round $primary; border-title-color: $primary; }
    """
    ALLOW_MAXIMIZE = True

    def __init__(self, picture: Picture, title: str, **options: Any) -> None:
        super().__init__(**options)
        self.picture = picture
        self.border_title = title

    def on_click(self, event: events.Click) -> None:
        if event.chain == 2:
            self.screen.set_focus(self)
            self.run_worker(self.screen.run_action("expand"))


class RatePanel(Panel):
    """How fast, how far, how long still."""

    def build(self, width: int, height: int) -> Sequence[Line]:
        frame = self.picture.frame
        if frame is None:
            return [Line(self._without_frame(), "muted")]
        return rate_lines(frame, width, self.glyphs)

    def _without_frame(self) -> str:
        if not self.picture.active or self.picture.problem:
            return t.NOTHING
        if self.picture.finished and self.picture.measured:
            return "the run was over before anything was measured; the log says why"
        return "the processes are being started" if self.picture.measured else UNMEASURED


def rate_lines(frame: Frame, width: int, glyphs: Glyphs) -> list[Line]:
    """One line from 126 cells on, two below."""
    speed = Line()
    cell(speed, t.si(frame.tokens_per_second, "tokens/s"), 15, "strong", right=True).add("  ")
    cell(speed, t.si(frame.rows_per_second, "chunks/s"), 15, right=True).add("  ")
    tail = Line()
    _time_cell(tail, frame)
    cell(tail, t.count(frame.rejects), 5, "warn" if frame.rejects else "text", right=True).add(" rejects  ", "muted")
    tail.add("pad ", "muted")
    cell(tail, t.degrees(None if frame.padding is None else 100 * frame.padding, "%", 1), 6, right=True)
    total = t.count(frame.rows_total) if frame.rows_total is not None else "?"
    done = f"{t.count(frame.rows_done)} of {total}".rjust(2 * len(total) + 4) if frame.rows_total else (
        f"{t.count(frame.rows_done):>9} chunks"
    )
    far = Line()
    if frame.outcome:
        sign, role = _ENDS.get(frame.outcome, ("bad", "bad"))
        far.add(f"  {getattr(glyphs, sign)} {frame.outcome}", role)
    far.add(" " + t.percent(frame.share) + "  ", "strong").add(done + "  ")
    wide = width >= 126
    room = width - far.used - (speed.used + tail.used + 2 if wide else 0)
    shown = extend(Line(), bar(frame.share, max(8, room), glyphs))
    extend(shown, far.parts)
    if wide:
        return [extend(extend(extend(Line(), speed.parts), shown.parts), tail.parts)]
    return [extend(extend(Line(), speed.parts), tail.parts), shown]


def _time_cell(line: Line, frame: Frame) -> None:
    """The remaining time; of a run that is over the time it took; nothing is known of what comes after the input."""
    if frame.took is not None:
        cell(line.add("took ", "muted"), t.duration(frame.took), 12)
    elif frame.phase in ("stopping", "indexing"):
        cell(line, f"{frame.phase} …", 17, "muted")
    else:
        cell(line, t.duration(frame.seconds_left), 10, right=True).add(" left  ", "muted")


class VerdictPanel(Panel):
    """What limits the run, on which evidence, and what to do."""

    def build(self, width: int, height: int) -> Sequence[Line]:
        if self.picture.problem:
            pieces = t.wrap(f"{self.glyphs.bad} The run ended: {self.picture.problem}", width)
            kept = pieces if len(pieces) <= height else [*pieces[: height - 1], t.fit(pieces[height - 1] + " …", width)]
            return [Line(piece, "bad") for piece in kept]
        if not self.picture.active:
            return [Line("no run yet: 1 goes to Start, 4 to the runs of before", "muted")]
        if not self.picture.measured:
            return [Line("not known: what limits a run is found from what is measured", "muted")]
        if self.picture.finished and self.picture.frame is None:
            return [Line("nothing limited this run", "muted")]
        return verdict_lines(self.picture.verdict, width, self.glyphs, max(2, height), self.picture.steers)


def verdict_lines(verdict: VerdictView, width: int, glyphs: Glyphs, room: int, steers: bool) -> list[Line]:
    """The sentence, its evidence (on a line of its own where there is room), and the change.

    Evidence that has no room is counted, not dropped in silence. `steers`: the change can be applied here.
    """
    if not verdict.known:
        return [Line(f"{glyphs.dot} ", "muted").add(piece, "muted") for piece in t.wrap(verdict.headline, width - 2)]
    sign, role = (glyphs.good, "good") if verdict.healthy else (glyphs.limits, "warn")
    first = Line(f"{sign} ", role).add(verdict.headline, role)
    change = _change_line(verdict, width, steers)
    if room >= 3:
        return [first, _facts(Line("  "), verdict.evidence, width), change]
    return [_facts(first.add("   "), verdict.evidence, width), change]


def _facts(line: Line, facts: Sequence[str], width: int) -> Line:
    """As many facts as have room; the rest as `+2 [w]`."""
    for number, fact in enumerate(facts):
        rest = len(facts) - number - 1
        need = len(fact) + (2 if number else 0) + (len(f"  +{rest} [w]") if rest else 0)
        if line.used + need > width:
            return _cut_facts(line, fact, number, rest, width)
        line.add("; " if number else "", "muted").add(fact)
    return line


def _cut_facts(line: Line, fact: str, number: int, rest: int, width: int) -> Line:
    """The first fact is shown in part rather than not at all; what is left out is counted."""
    room = width - line.used - len(f"  +{rest + 1} [w]")
    if number == 0 and room > 24:
        line.add(t.fit(fact, room))
        return line.add(f"  +{rest} [w]" if rest else "  [w]", "key", "screen.why")
    return line.add(f"  +{rest + 1} [w]", "key", "screen.why")


def _change_line(verdict: VerdictView, width: int, steers: bool) -> Line:
    line = Line("  ")
    buttons = Line()
    if verdict.change is not None and steers:
        buttons.add("[a] apply", "key", "screen.apply_change").add("  ")
    buttons.add("[w] why", "key", "screen.why").add("  ").add("[c] copy", "key", "screen.copy_verdict_here")
    if verdict.change is not None:
        key, value = verdict.change
        line.add("Do: ", "strong").add(f"{key} {verdict.before} → {value}".replace("  ", " "), "good")
    elif verdict.advice:
        line.add("Do: ", "strong").add(verdict.advice, "good")
    if verdict.predicted is not None:
        line.add("   predicted ", "muted").add(t.si(verdict.predicted, "tokens/s"), "strong")
        if verdict.now:
            line.add(f" ({100 * (verdict.predicted / verdict.now - 1):+.0f} %)", "good")
        if verdict.then and line.used + len(verdict.then) + 14 + buttons.used < width:
            line.add(f", then {verdict.then} binds", "muted")
    if line.used + buttons.used + 2 <= width:
        extend(line.to(width - buttons.used), buttons.parts)
    return line


class PipelinePanel(Panel):
    """The pipeline as it is, with what each stage does and how full the rings are."""

    def build(self, width: int, height: int) -> Sequence[Line]:
        frame = self.picture.frame
        if frame is None:
            return [Line("source", "muted")]
        binding = self.picture.verdict.stage if self.picture.verdict.known else ""
        return (wide_pipeline if width >= 96 else narrow_pipeline)(frame, binding, width, self.glyphs)


def waiting_stage(frame: Frame) -> str:
    """The stage that waits most for its input, when that is worth telling; the writer's waiting is usual.

    Nobody waits for more when the input is through.
    """
    if frame.phase != "running":
        return ""
    stage = frame.stage("encoder")
    return "encoder" if stage and stage.wait_in is not None and stage.wait_in > WAITS else ""


def wide_pipeline(frame: Frame, binding: str, width: int, glyphs: Glyphs) -> list[Line]:
    """Four lines: the chain, then busy, in and out below each stage."""
    # A ring of ten slots or more needs two cells more for its figures.
    ring = 17 if max(frame.batches.slots, frame.vectors.slots) > 9 and width >= 106 else 15
    each = max(18, min(36, (width - 11 - 2 * ring - 8) // 3))
    starts = (11, 11 + each + ring, 11 + 2 * (each + ring))
    arrow = f" {glyphs.rule}{glyphs.arrow} "
    chain = Line("source", "muted").to(7).add(arrow.strip(" ") + " ", "faint").to(starts[0])
    for number, stage in enumerate(frame.stages):
        role = "warn" if stage.stage == binding else "title"
        chain.to(starts[number]).add(_stage_name(stage, glyphs), role)
        if number < 2:
            reading = frame.batches if number == 0 else frame.vectors
            chain.to(starts[number] + each).add(arrow.lstrip(), "faint")
            extend(chain, bar(reading.filled / max(1, reading.slots), 4, glyphs, "bar-busy"))
            chain.add(f" {reading.filled}/{reading.slots}".ljust(ring - 10)).add(arrow.strip(), "faint")
    units = f"{t.count(frame.units_done)} of {t.count(frame.units_total)} units"
    if chain.used + 4 + len(units) > width:
        units = f"{t.count(frame.units_done)} units"
    chain.add(arrow, "faint").add(units, "muted")
    lines = [chain]
    for name in ("busy", "in", "out"):
        line = Line()
        for number, stage in enumerate(frame.stages):
            line.to(starts[number])
            _share_row(line, stage, name, each, binding, frame, glyphs)
        lines.append(line)
    return lines


def _share_row(
    line: Line, stage: StageView, name: str, each: int, binding: str, frame: Frame, glyphs: Glyphs
) -> None:
    share = {"busy": stage.busy, "in": stage.wait_in, "out": stage.wait_out}[name]
    waits = name == "in" and stage.stage == waiting_stage(frame)
    binds = name == "busy" and stage.stage == binding
    role = "warn" if binds else "bar-busy" if name == "busy" else "bar-in" if waits else "bar-quiet"
    line.add(f"{name:<5}", "muted")
    extend(line, bar(share, max(6, each - 20), glyphs, role))
    line.add(t.percent(share, 6), "strong" if waits or binds else "text")
    if waits:
        line.add(f" {glyphs.waits} waits", "warn")
    elif binds:
        line.add(f" {glyphs.limits} limits", "warn")
    elif name == "busy" and stage.rows_per_second is not None and each >= 30:
        line.add(f" {t.si(stage.rows_per_second)}/s", "muted")


def narrow_pipeline(frame: Frame, binding: str, width: int, glyphs: Glyphs) -> list[Line]:
    """Three lines, one bar each: busy, in, out in one, then the figures and the ring behind the stage."""
    lines = []
    rings = {"worker": frame.batches, "encoder": frame.vectors}
    for stage in frame.stages:
        role = "warn" if stage.stage == binding else "title"
        sign = glyphs.limits if stage.stage == binding else (
            glyphs.waits if stage.stage == waiting_stage(frame) else " "
        )
        line = Line(f"{sign} ", "warn").add(t.fit(_short_name(stage, glyphs), 12), role)
        tail = Line()
        for share, word in ((stage.busy, "busy"), (stage.wait_in, "in"), (stage.wait_out, "out")):
            tail.add(t.percent(share)).add(f" {word} ", "muted")
        ring = rings.get(stage.stage)
        units = f" {t.si(frame.units_done)} units"
        tail.add(f" ring {ring.filled:>2}/{ring.slots:<2}" if ring else units.ljust(11)[:11])
        waits = "bar-in" if stage.stage == waiting_stage(frame) else "bar-quiet"
        shares = ((stage.busy, glyphs.full, role if role == "warn" else "bar-busy"),
                  (stage.wait_in, glyphs.half, waits), (stage.wait_out, glyphs.half, "bar-quiet"))
        room = max(6, width - line.used - tail.used - 1)
        gone = f"{stage.count - stage.alive} gone" if stage.alive < stage.count else ""
        if stage.state or gone:  # a word says more than a bar
            line.add(t.fit(f" {stage.state or gone}", room), "muted" if stage.state else "bad")
        else:
            extend(line, stacked(shares, room, glyphs.empty))
        line.add(" ")
        lines.append(extend(line, tail.parts))
    return lines


def _short_name(stage: StageView, glyphs: Glyphs) -> str:
    many = f" {glyphs.times}{stage.count}" if stage.count > 1 or stage.stage == "worker" else ""
    return f"{NAMES[stage.stage]}{many}"


def _stage_name(stage: StageView, glyphs: Glyphs) -> str:
    name = _short_name(stage, glyphs)
    if stage.state:
        return f"{name} {stage.state}"
    return name + (f" ({stage.count - stage.alive} gone)" if stage.alive < stage.count else "")
