"""The report of one run as a self-contained HTML page: verdict first."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from workbench.core.activity import BUSY, Activity
from workbench.core.profile import Profile
from workbench.core.profile_io import flat
from workbench.diagnose.evidence import Evidence, StageUse, gather
from workbench.diagnose.limits import Verdict
from workbench.diagnose.steady import steady
from workbench.diagnose.verdict import diagnose
from workbench.diagnose.words import percent, rate, summary_lines
from workbench.report.ceilings import ceilings_of, ceilings_part
from workbench.report.charts import line_chart
from workbench.report.methods import METHODS
from workbench.report.page import bars, page, section, shares, table
from workbench.report.series import TimeLine, time_lines
from workbench.telemetry.recorder import Recording
from workbench.telemetry.runs import failure_of, result_of

REPORT = "report.html"
_BOUND_NAMES = {
    "worker": "workers", "encoder": "encoder", "writer": "writer", "cpu": "CPU cores together", "parent": "supervisor",
}


def write_report(folder: Path, to: Path | None = None) -> Path:
    """Write the report of a recorded run; returns where it is (default: `report.html` in the run's folder).

    Raises UsageError when the folder holds no recording.
    """
    path = folder / REPORT if to is None else to
    path.write_text(report(folder), encoding="utf-8", newline="\n")
    return path


def report(folder: Path) -> str:
    """The page. A run that failed, or wrote no result, says so first."""
    recording = Recording.load(folder)
    result = result_of(folder)
    verdict = diagnose(recording.facts, recording.snapshots, recording.notes)
    part = steady(recording.snapshots)
    evidence = gather(recording.facts, part) if len(part) >= 2 else None
    facts = recording.facts
    return page(f"Run {facts.run}: {facts.title}", [
        _head(recording, result),
        _outcome(recording, result),
        _verdict(verdict),
        section("Pipeline", _pipeline(evidence, verdict)),
        section("Time lines", _charts(time_lines(facts, recording.snapshots))),
        section("Stages", _stages(evidence)),
        section("What each resource allows", _bounds(verdict)),
        section("Ceilings: each stage alone", ceilings_part(ceilings_of(folder))),
        section("Settings", _settings(facts.settings)),
        section("Environment", _environment(recording)),
        section("How these figures are made", *[
            # Open: what is closed is not printed.
            f"<details open><summary>{escape(name)}</summary><p>{escape(text)}</p></details>" for name, text in METHODS
        ]),
    ])


def _head(recording: Recording, result: Mapping[str, Any] | None) -> str:
    facts = recording.facts
    began = time.strftime("%Y-%m-%d %H:%M", time.localtime(facts.started)) if facts.started else "unknown time"
    model = str(facts.encoder.get("model", "")) or str(facts.settings.get("encoder.model", ""))
    line = " · ".join(part for part in (began, model, facts.collection) if part)
    figures = ""
    if result is not None and "chunks" in result:  # a run that failed has none
        figures = (
            f"<p>{result.get('chunks', 0):,} chunks, {result.get('tokens', 0):,} tokens in "
            f"{result.get('seconds', 0.0):,.1f} s; {result.get('rejects', 0):,} rows rejected.</p>"
        )
    return f"<h1>{escape(facts.title)}</h1><p class=soft>Run {escape(facts.run)} · {escape(line)}</p>{figures}"


def _outcome(recording: Recording, result: Mapping[str, Any] | None) -> str:
    """Said first when a run did not end well."""
    if result is None:
        last = recording.snapshots[-1].progress.phase if recording.snapshots else "nothing recorded"
        text = f"This run did not finish: it wrote no result (last seen: {last}). What was committed stays."
    elif (reason := failure_of(result)) is not None:
        text = f"This run failed: {reason}"
    elif result.get("outcome") == "stopped":
        text = "This run was stopped by the user; the same command resumes it."
    else:
        return ""
    return f'<div class="verdict failed"><strong>{escape(text)}</strong></div>'


def _verdict(verdict: Verdict) -> str:
    lines = summary_lines(verdict)
    evidence = "".join(f"<li>{escape(line)}</li>" for line in verdict.evidence)
    rest = [line for line in lines[1:] if line.strip() not in verdict.evidence]
    others = "".join(
        f'<p class="{"do" if line.startswith("Do:") else "soft"}">{escape(line)}</p>' for line in rest
    )
    kind = "good" if verdict.healthy else ""
    return (
        f'<div class="verdict {kind}"><strong>{escape(verdict.headline)}</strong>'
        f"<ul>{evidence}</ul>{others}</div>"
    )


def _pipeline(evidence: Evidence | None, verdict: Verdict) -> str:
    if evidence is None:
        return ""
    binds = verdict.stage.partition(":")[0]
    arrow = '<span class="arrow">→</span>'
    boxes = [
        _box("workers", "worker", evidence.worker, binds), _ring("batch ring", evidence.batches_fill),
        _box("encoder", "encoder", evidence.encoder, binds), _ring("vector ring", evidence.vectors_fill),
        _box("writer", "writer", evidence.writer, binds),
    ]
    legend = "".join(
        f'<span class="swatch {kind}"></span>{text}'
        for kind, text in (("busy", "busy"), ("in", "waiting for input"), ("out", "waiting for output"))
    )
    return f'<div class="pipe">{arrow.join(boxes)}</div><p class="soft">{legend}</p>'


def _box(title: str, stage: str, use: StageUse, binds: str) -> str:
    busy, waits_in, waits_out = use.busy_share(), use.share(Activity.WAIT_INPUT), use.share(Activity.WAIT_OUTPUT)
    name = f"{title} × {use.servers}" if use.servers > 1 else title
    kind = "stage binds" if stage == binds else "stage"
    bar = shares((("busy", busy), ("in", waits_in), ("out", waits_out)))
    mark = " ◀ limits" if stage == binds else ""
    return (
        f'<div class="{kind}"><h3>{escape(name)}{mark}</h3>{bar}<span class="soft">busy {percent(busy)} · in '
        f"{percent(waits_in)} · out {percent(waits_out)}</span></div>"
    )


def _ring(title: str, fill: float) -> str:
    bar = shares((("busy", fill),))
    return f'<div class="stage ring"><h3>{title}</h3>{bar}<span class="soft">{percent(fill)} full</span></div>'


def _charts(lines: Sequence[TimeLine]) -> str:
    return f'<div class="charts">{"".join(map(_figure, lines))}</div>' if lines else ""


def _figure(line: TimeLine) -> str:
    legend = "".join(
        f'<span><span class="swatch" style="background:var(--c{i + 1})"></span>{escape(series.name)}</span> '
        for i, series in enumerate(line.series)
    )
    caption = f"<figcaption>{escape(line.title)} ({escape(line.unit)}){legend}</figcaption>"
    return f"<figure>{caption}{line_chart(line)}</figure>"


def _stages(evidence: Evidence | None) -> str:
    if evidence is None:
        return ""
    rows = []
    for name, use in (("worker", evidence.worker), ("encoder", evidence.encoder), ("writer", evidence.writer)):
        whole = sum(use.wall) or 1.0
        for activity in sorted([*BUSY, Activity.WAIT_INPUT, Activity.WAIT_OUTPUT]):
            seconds = use.wall[activity]
            if seconds >= 0.001 * whole:
                cpu = f"{use.cpu[activity]:.2f}" if any(use.cpu) else "n/a"
                label = activity.name.lower().replace("_", " ")
                rows.append((name, label, f"{seconds:.2f}", cpu, percent(seconds / whole)))
    return table(("stage", "activity", "wall seconds", "CPU seconds", "share of its time"), rows, numbers=3)


def _bounds(verdict: Verdict) -> str:
    if not verdict.bounds:
        return ""
    items = [(_BOUND_NAMES[name], bound, rate(bound)) for name, bound in verdict.bounds]
    items.insert(0, ("measured", verdict.tokens_per_second, rate(verdict.tokens_per_second)))
    top = min(max(value for _, value, _ in items), 4.0 * min(value for _, value, _ in items[1:]))
    note = '<p class="soft">The shortest bar below the first is the limit. Long bars are cut.</p>'
    return bars(items, width_of=top) + note


def _settings(settings: Mapping[str, object]) -> str:
    defaults: Mapping[str, object] = flat(Profile())
    rows = [(key, str(value), str(defaults.get(key, ""))) for key, value in settings.items()]
    marks = [value != default for _, value, default in rows]
    order = sorted(range(len(rows)), key=lambda i: (not marks[i], rows[i][0]))
    return table(("key", "value", "default"), [rows[i] for i in order], marks=[marks[i] for i in order])


def _environment(recording: Recording) -> str:
    facts = recording.facts
    rows = [
        ("machine", facts.platform), ("cores", f"{facts.cores_physical} physical, {facts.cores_logical} logical"),
        ("workbench", facts.workbench), *((f"encoder {k}", str(v)) for k, v in facts.encoder.items()),
        ("matrix rate", f"{facts.matrix_flops / 1e9:,.0f} GFLOP/s" if facts.matrix_flops else "n/a"),
        ("snapshots", f"{len(recording.snapshots):,}"),
    ]
    notes = "".join(f"<p>Note: {escape(note)}</p>" for note in (*facts.notes, *recording.notes))
    return table(("what", "value"), rows) + notes
