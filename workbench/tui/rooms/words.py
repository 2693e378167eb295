"""Sentences of the Run room. Pure functions from the picture to text."""

from __future__ import annotations

from pathlib import Path

from rich.cells import cell_len

from workbench.core.run import RunResult
from workbench.tui import text as t
from workbench.tui.bridge import VerdictView
from workbench.tui.picture import Picture
from workbench.tui.widgets.lines import Line

METHOD = """\
How it is found: every process counts what each nanosecond went to. From the measured busy time and the tokens \
done follows what a token costs each stage (service demand), and from that the highest throughput each stage, and \
the cores they share, allow (utilisation law and asymptotic bounds; Denning & Buzen, 1978). The lowest bound binds.

Kernels is what NVML reports: the share of time in which at least one kernel ran. MFU is the model's floating-point \
operations per second divided by this device's own measured matrix rate. 100 % kernels with a low MFU is a card \
that is never idle and still does little."""


def head_line(picture: Picture, mark: tuple[str, str], width: int) -> Line:
    """Input, collection, profile's model and device at the left, the time at the right."""
    facts, frame = picture.facts, picture.frame
    if facts is None:
        over = "the run is over" if picture.finished else "starting: reading the input and the model"
        said = "the run did not start" if picture.problem else over
        line = Line(f" {said}" if picture.active else " no run yet", "muted")
        return line.right(width - 1, mark[0], mark[1])
    clock = f"{mark[0]}  {t.clock(frame.elapsed if frame else None)}".strip()
    cost = "" if picture.cost.share is None else f"screen {100 * picture.cost.share:.1f} %"
    cost += " of a core" if cost and width >= 132 else ""
    pieces = [
        f"{facts.title} → {Path(facts.collection).name}",
        f"model {facts.encoder.get('model', t.NOTHING)}",
        str(facts.encoder.get("device_name") or facts.encoder.get("device") or facts.encoder.get("engine", "")),
        str(facts.encoder.get("dtype", "")),
    ]
    line, room = Line(" "), width - len(clock) - 3
    if cost and room - len(cost) >= 30:  # what the run is stands before what the screen costs
        room -= len(cost) + 2
    else:
        cost = ""
    for number, piece in enumerate(piece for piece in pieces if piece.strip()):
        if line.used + cell_len(piece) > room:
            left = room - line.used
            line.add(t.middle(piece, left) if left >= 10 else "…", "strong" if number == 0 else "muted")
            break
        line.add(piece, "strong" if number == 0 else "muted").add("   ")
    if cost:
        line.to(width - len(cost) - len(clock) - 3).add(cost, "faint")
    return line.to(width - len(clock) - 1).add(clock, mark[1] if mark[0] else "text")


def why_text(picture: Picture) -> str:
    """The verdict with all its evidence, the change, and the method, for reading and for copying."""
    verdict = picture.verdict
    lines = [verdict.headline[:1].upper() + verdict.headline[1:] + "."]
    if verdict.confidence is not None:
        lines[0] += f" Confidence {100 * verdict.confidence:.0f} %."
    lines += ["", "Evidence:"] + [f"  - {fact}" for fact in verdict.evidence] if verdict.evidence else []
    if verdict.change or verdict.advice:
        key, value = verdict.change or ("", "")
        lines += ["", "Do: " + (f"{key} = {value} (now {verdict.before})" if key else verdict.advice)]
        if key and verdict.advice:
            lines.append(f"    {verdict.advice}")
        if verdict.predicted is not None:
            then = f"; then {verdict.then} binds" if verdict.then else ""
            now, after = t.si(verdict.now, "tokens/s"), t.si(verdict.predicted, "tokens/s")
            lines.append(f"    predicted {after}, now {now}{then}")
    frame = picture.frame
    if frame is not None:
        lines += ["", "At this moment:"] + [
            f"  {stage.stage:<8} busy {t.percent(stage.busy)}   waits for input {t.percent(stage.wait_in)}"
            f"   waits for output {t.percent(stage.wait_out)}"
            for stage in frame.stages
        ]
        for gpu in frame.gpus:
            kernels = t.degrees(gpu.reading.utilisation, "%")
            lines.append(f"  {gpu.reading.name}: kernels {kernels}, MFU {t.percent(gpu.mfu, 0)}")
    return "\n".join([*lines, "", METHOD])


def stop_text(picture: Picture) -> str:
    """What stopping does, and how to go on later."""
    facts = picture.facts
    where = f" in {facts.collection}" if facts else ""
    return (
        "Units in flight are finished and committed, which takes a few seconds; what is committed stays"
        f"{where}. The same input, profile and target resume it: nothing committed is embedded again.\n"
        "Stopping at once leaves out the units in flight; that is safe too."
    )


def change_text(verdict: VerdictView, running: bool) -> str:
    """What applying the change does."""
    assert verdict.change is not None
    key, value = verdict.change
    gain = "" if verdict.predicted is None else f", predicted {t.si(verdict.predicted, 'tokens/s')}"
    how = "The run is stopped, its units in flight are committed, and it goes on" if running else "A new run goes on"
    return f"{key}: {verdict.before} → {value}{gain}.\n{how} from what is committed with the new setting."


def end_lines(result: RunResult) -> list[str]:
    """What a run came to, in two or three lines."""
    lines = [
        f"{t.many(result.chunks, 'chunk')} in {t.duration(result.seconds)}, "
        f"{t.si(result.tokens_per_second, 'tokens/s')}, {t.many(result.rejects, 'reject')}"
    ]
    if result.outcome == "stopped":
        lines.append("Start the same input again to go on where it stopped.")
    recall = result.index.get("recall_at_10")
    if result.index.get("kind", "none") != "none":
        lines.append(f"index {result.index['kind']}" + (f", recall@10 {recall}" if recall is not None else ""))
    return lines
