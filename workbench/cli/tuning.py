"""`workbench index --tune`: index kinds compared on the user's own vectors, as a table and a plot."""

from __future__ import annotations

import argparse
import math
import string
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.cli.common import Steps, print_json, table
from workbench.collection.jobs import rebuild_index
from workbench.core import paths
from workbench.core.errors import UsageError
from workbench.search.upkeep import tune_index

if TYPE_CHECKING:
    from workbench.collection.index_tune import Trial

_DEFAULT = ("Flat", "SQ8", "HNSW", "IVF", "PQ", "RaBitQ", "IVF-RaBitQ", "Matryoshka")
_WIDE, _HIGH = 60, 12  # characters of the plot
_SIGNS = string.ascii_uppercase + string.ascii_lowercase


def tune(args: argparse.Namespace) -> int:
    """Try, show, propose, and with --apply build."""
    if not 0 < args.target <= 1 or args.rows < 1000:
        raise UsageError("--target is a share of 1, and --rows at least 1000", remedy="Example: --target 0.99")
    path = paths.chosen_collection(args.collection)
    kinds = _kinds(args.kinds)
    with Steps() as steps:
        trials = tune_index(path, kinds, args.rows, steps)
    chosen = pick(trials, args.target, args.prefer)
    if args.plot is not None:
        _draw(trials, args.plot)
    facts = None
    if args.apply and chosen is not None:
        with Steps() as steps:
            facts = rebuild_index(path, chosen.kind, progress=steps).now
    if args.json:
        content = {"collection": str(path), "target": args.target, "prefer": args.prefer}
        found = {"chosen": chosen.kind if chosen else None, "trials": [asdict(trial) for trial in trials]}
        print_json({**content, **found, "index": facts})
        return 0 if chosen is not None else 1
    _print(trials, chosen, f"recall@10 ≥ {args.target:g}, {args.prefer}")
    if facts is not None:
        print(f"built: index {facts['kind']}, recall@10 {float(facts.get('recall_at_10') or 1.0):.4f}: {path}")
    return 0 if chosen is not None else 1


def _kinds(text: str) -> tuple[str, ...]:
    """Kinds of --kinds; factory strings have commas of their own, so `;` separates too, and alone when it is there."""
    found = tuple(part.strip() for part in text.split(";" if ";" in text else ",") if part.strip())
    return found or _DEFAULT


def pick(trials: Sequence[Trial], target: float, prefer: str) -> Trial | None:
    """The `fastest` or `smallest` kind that reaches the target; None when none does."""
    good = [trial for trial in trials if not trial.trouble and trial.recall_at_10 >= target]
    if prefer == "smallest":
        return min(good, key=lambda trial: (trial.bytes_per_vector, trial.p50_ms), default=None)
    return min(good, key=lambda trial: trial.p50_ms, default=None)


def _print(trials: Sequence[Trial], chosen: Trial | None, goal: str) -> None:
    rows = []
    for sign, trial in zip(_SIGNS, trials, strict=False):
        mark = f"→ {sign}" if trial is chosen else f"  {sign}"
        if trial.trouble:
            rows.append((mark, trial.kind, "", "", "", "", "", trial.trouble[:70]))
            continue
        rows.append((
            mark, trial.kind, f"{trial.recall_at_10:.4f}", f"{trial.recall_alone:.4f}", f"{trial.p50_ms:.2f} ms",
            f"{trial.p99_ms:.2f} ms", f"{trial.build_seconds:.1f} s", f"{trial.bytes_per_vector:,.0f} B",
        ))
    header = ("", "kind", "recall@10", "alone", "p50", "p99", "built in", "a vector")
    print(f"{trials[0].rows:,} chunks of the collection, one query at a time, one thread\n")
    print(table(rows, header))
    print("\n" + "\n".join(plot(trials)))
    print(f"\n{goal}: {chosen.kind}" if chosen is not None else f"\n{goal}: none; Flat is always exact")


def plot(trials: Sequence[Trial]) -> list[str]:
    """Recall (up) against p50 (right, logarithmic) as lines of text; each kind is its letter of the table."""
    points = [(sign, trial) for sign, trial in zip(_SIGNS, trials, strict=False) if not trial.trouble]
    if not points:
        return []
    times = [math.log(max(trial.p50_ms, 1e-3)) for _, trial in points]
    low, span = min(times), max(max(times) - min(times), 1e-9)
    floor = min(0.98, min(trial.recall_at_10 for _, trial in points))
    cells = [[" "] * (_WIDE + 1) for _ in range(_HIGH + 1)]
    for (sign, trial), moment in zip(points, times, strict=True):
        down = round((1.0 - trial.recall_at_10) / (1.0 - floor) * _HIGH)
        across = round((moment - low) / span * _WIDE)
        while across < _WIDE and cells[down][across] != " ":
            across += 1  # beside the one that is there already
        cells[down][across] = sign
    lines = [f"{'1.0000' if n == 0 else f'{floor:.4f}' if n == _HIGH else '':>6} │{''.join(line).rstrip()}"
             for n, line in enumerate(cells)]
    left, right = f"{math.exp(low):.2f} ms", f"{math.exp(max(times)):.2f} ms"
    axis = f"{left}{'p50, logarithmic'.center(_WIDE + 1 - len(left) - len(right))}{right}"
    return ["recall@10", *lines, "       └" + "─" * (_WIDE + 1), "        " + axis]


def _draw(trials: Sequence[Trial], file: Path) -> None:
    """Recall against latency as SVG."""
    import pygal

    chart = pygal.XY(stroke=False, dots_size=6, x_title="p50 (ms)", y_title="recall@10", show_x_guides=True)
    chart.title = f"Index kinds on {trials[0].rows:,} chunks"
    for trial in trials:
        if not trial.trouble:
            chart.add(trial.kind, [(round(trial.p50_ms, 3), round(trial.recall_at_10, 4))])
    try:
        file.write_bytes(chart.render())
    except OSError as error:
        raise UsageError(f"cannot be written: {error.strerror}", where=str(file)) from error
