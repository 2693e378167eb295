"""Panels of the Run room that draw history: tokens/s, GPU, CPU by core."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.tui import text as t
from workbench.tui.frames import Frame, GpuView
from workbench.tui.glyphs import Glyphs
from workbench.tui.picture import Picture
from workbench.tui.widgets.graph import columns_of, rows
from workbench.tui.widgets.lines import Line
from workbench.tui.widgets.panels import Panel


def strip(picture: Picture, name: str, width: int, height: int, top: float, glyphs: Glyphs) -> list[str]:
    """A graph of one series at the picture's moment."""
    values = picture.series.columns(name, picture.end, picture.span, columns_of(width, glyphs))
    return rows(values, height, top, glyphs)


def span_text(span: int) -> str:
    """`2 min`, `1 h`."""
    if span < 120:
        return f"{span} s"
    return f"{span // 60} min" if span < 7200 else f"{span // 3600} h"


class RateGraph(Panel):
    """Tokens/s over time, on a scale that starts at 0 and never shrinks."""

    def build(self, width: int, height: int) -> Sequence[Line]:
        picture = self.picture
        label, top = 6, picture.top
        self.border_subtitle = f"last {span_text(picture.span)}"
        drawn = strip(picture, "rate", max(1, width - label), max(1, height), top, self.glyphs)
        lines = []
        for number, row in enumerate(drawn):
            mark = t.si(top).replace(" ", "") if number == 0 else "0" if number == len(drawn) - 1 else ""
            lines.append(Line(t.fit(mark, label - 1, right=True) + " ", "muted").add(row, "graph"))
        return lines


class GpuPanel(Panel):
    """Kernels (NVML) and MFU, always together: a card that is never idle may still do little."""

    def build(self, width: int, height: int) -> Sequence[Line]:
        frame, picture = self.picture.frame, self.picture
        if frame is None:
            return [Line(t.NOTHING, "muted")]
        if not frame.gpus:
            return self._without_card(frame, width, height)
        self.border_title = f"GPU {frame.gpus[0].reading.name}" if len(frame.gpus) == 1 else f"{len(frame.gpus)} GPUs"
        each = max(4, height // len(frame.gpus))
        lines: list[Line] = []
        for gpu in frame.gpus:
            lines += gpu_lines(picture, gpu, width, each, self.glyphs)
        return lines[: max(height, 4)]

    def _without_card(self, frame: Frame, width: int, height: int) -> list[Line]:
        self.border_title = "GPU"
        tall = max(1, (height - 1) // 2)
        lines = meter(self.picture, "kernels", "", None, width, tall, self.glyphs, "graph")
        lines += meter(self.picture, "MFU", "mfu", _percent(frame.mfu), width, tall, self.glyphs, "graph-2")
        return [*lines, Line("no card seen: the CPU computes", "muted")]


def gpu_lines(picture: Picture, gpu: GpuView, width: int, height: int, glyphs: Glyphs) -> list[Line]:
    """Kernels and MFU with their history, then power, memory, clock and temperature."""
    reading = gpu.reading
    tall = max(1, (height - 2) // 2)
    lines = meter(picture, "kernels", f"gpu{reading.index}", reading.utilisation, width, tall, glyphs, "graph")
    lines += meter(picture, "MFU", "mfu", _percent(gpu.mfu), width, tall, glyphs, "graph-2")
    power = Line("power ", "muted").add(_of(reading.power, reading.power_limit, "W"))
    power.to(20).add("mem ", "muted").add(t.pair(reading.memory_used, reading.memory_total))
    clock = Line("clock ", "muted").add(_of(reading.sm_clock, reading.sm_clock_max, "MHz"))
    clock.to(20).add("temp ", "muted").add(t.degrees(reading.temperature, "°C"))
    if reading.throttle:
        clock.add("  " + glyphs.limits + " " + ", ".join(reading.throttle), "warn")
    return [*lines, power, clock]


def meter(
    picture: Picture, name: str, series: str, value: float | None, width: int, tall: int, glyphs: Glyphs, role: str
) -> list[Line]:
    """A reading in percent with its history on 0–100, `tall` lines high."""
    head = 14
    drawn = strip(picture, series, max(1, width - head), tall, 100.0, glyphs)
    lines = [Line(" " * head).add(row, role) for row in drawn]
    shown = t.NOTHING if value is None else f"{value:.0f} %"
    lines[0] = Line(t.fit(name, 8), "muted").add(shown.rjust(5) + " ", "strong").add(drawn[0], role)
    return lines


class CpuPanel(Panel):
    """CPU by core and memory."""

    def build(self, width: int, height: int) -> Sequence[Line]:
        frame = self.picture.frame
        if frame is None:
            return [Line(t.NOTHING, "muted")]
        lines = core_lines(self.picture, frame, width, max(1, height - 2), self.glyphs)
        memory = None if not frame.memory_total or frame.memory_used is None else (
            100.0 * frame.memory_used / frame.memory_total
        )
        lines += meter(self.picture, "memory", "memory", memory, width, 1, self.glyphs, "graph-2")
        tail = Line(t.pair(frame.memory_used, frame.memory_total), "muted")
        tail.add("   all cores ", "muted").add(t.degrees(frame.cpu_system, f"of {len(frame.cpu_percent)}", 1))
        if frame.foreign:
            other = frame.foreign[0]
            said = f"{self.glyphs.limits} {t.fit(other.name, 12).rstrip()} takes {other.cores:.1f} cores"
            tail = tail if tail.used + 3 + len(said) <= width else Line(t.pair(frame.memory_used, frame.memory_total))
            tail.add("   ").add(said, "warn")
        return [*lines, tail]


def core_lines(picture: Picture, frame: Frame, width: int, room: int, glyphs: Glyphs) -> list[Line]:
    """Every core with its history; in two or more columns, or as one line of levels when there are many."""
    cores = frame.cpu_percent
    if not cores:
        return [Line("cores " + t.NOTHING, "muted")]
    across = -(-len(cores) // room)
    each = (width - 2 * (across - 1)) // across
    if each < 14:
        return many_cores(cores, width, room, glyphs)
    deep = -(-len(cores) // across)
    tall = max(1, room // deep)
    lines = [Line() for _ in range(deep * tall)]
    for number, percent in enumerate(cores):
        column, row = divmod(number, deep)
        drawn = strip(picture, f"core{number}", max(1, each - 10), tall, 100.0, glyphs)
        for at, text in enumerate(drawn):
            line = lines[row * tall + at].to(column * (each + 2))
            head = f"{number:>3} {percent:>3.0f} % " if at == 0 else " " * 10
            line.add(head, "muted" if at else "text").add(text, "graph")
    return lines


def many_cores(cores: Sequence[float], width: int, room: int, glyphs: Glyphs) -> list[Line]:
    """One sign per core, for machines with more cores than the panel has room for."""
    steps = len(glyphs.levels) - 1
    signs = [glyphs.levels[max(0, min(steps, round(core / 100.0 * steps)))] for core in cores]
    each = max(1, width - 5)
    lines = [
        Line(f"{start:>4} ", "muted").add("".join(signs[start : start + each]), "graph")
        for start in range(0, len(signs), each)
    ]
    return lines[:room]


def _of(value: float | None, limit: float | None, unit: str) -> str:
    if limit is None:
        return t.degrees(value, unit)
    return f"{t.NOTHING if value is None else f'{value:.0f}'}/{limit:.0f} {unit}"


def _percent(share: float | None) -> float | None:
    return None if share is None else 100.0 * share
