"""`workbench index --tune`: index kinds compared on the user's own vectors, as a table and a plot."""

from __future__ import annotations

import argparse
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

_DEFAULT = ("Flat", "SQ8", "HNSW", "IVF", "PQ", "RaBitQ", "IVF-RaBitQ")
_BAR = 24  # characters


def tune(args: argparse.Namespace) -> int:
    """Try, show, propose, and with --apply build."""
    if not 0 < args.target <= 1 or args.rows < 1000:
        raise UsageError("--target is a share of 1, and --rows at least 1000", remedy="Example: --target 0.99")
    path = paths.chosen_collection(args.collection)
    kinds = _kinds(args.kinds)
    with Steps() as steps:
        trials = tune_index(path, kinds, args.rows, steps)
    chosen = _fastest(trials, args.target)
    if args.plot is not None:
        _draw(trials, args.plot)
    facts = None
    if args.apply and chosen is not None:
        with Steps() as steps:
            facts = rebuild_index(path, chosen.kind, progress=steps)
    if args.json:
        content = {"collection": str(path), "target": args.target, "chosen": chosen.kind if chosen else None}
        print_json({**content, "trials": [asdict(trial) for trial in trials], "index": facts})
        return 0 if chosen is not None else 1
    _print(trials, chosen, args.target)
    if facts is not None:
        print(f"built: index {facts['kind']}, recall@10 {float(facts.get('recall_at_10') or 1.0):.4f}: {path}")
    return 0 if chosen is not None else 1


def _kinds(text: str) -> tuple[str, ...]:
    """Kinds of --kinds; factory strings have commas of their own, so `;` separates too, and alone when it is there."""
    found = tuple(part.strip() for part in text.split(";" if ";" in text else ",") if part.strip())
    return found or _DEFAULT


def _fastest(trials: Sequence[Trial], target: float) -> Trial | None:
    good = [trial for trial in trials if not trial.trouble and trial.recall_at_10 >= target]
    return min(good, key=lambda trial: trial.p50_ms, default=None)


def _print(trials: Sequence[Trial], chosen: Trial | None, target: float) -> None:
    slowest = max((trial.p50_ms for trial in trials), default=0.0) or 1.0
    rows = []
    for trial in trials:
        if trial.trouble:
            rows.append((" ", trial.kind, trial.trouble[:60], "", "", "", "", ""))
            continue
        bar = "█" * max(1, round(trial.p50_ms / slowest * _BAR))
        rows.append((
            "→" if trial is chosen else " ", trial.kind, f"{trial.recall_at_10:.4f}", f"{trial.p50_ms:.2f} ms",
            f"{trial.p99_ms:.2f} ms", f"{trial.build_seconds:.1f} s", f"{trial.bytes_per_vector:,.0f} B", bar,
        ))
    header = ("", "kind", "recall@10", "p50", "p99", "built in", "a vector", "p50")
    print(f"{trials[0].rows:,} chunks of the collection, one query at a time, one thread\n")
    print(table(rows, header))
    goal = f"recall@10 ≥ {target:g}, fastest"
    print(f"\n{goal}: {chosen.kind}" if chosen is not None else f"\n{goal}: none; Flat is always exact")


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
