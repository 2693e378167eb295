"""Runs side by side: settings that differ, throughput with its spread over windows, verdicts, vector quality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from statistics import median, pstdev
from typing import Any

from workbench.core.activity import Counter
from workbench.diagnose.limits import LABELS, Verdict
from workbench.diagnose.steady import steady, total
from workbench.diagnose.verdict import diagnose
from workbench.diagnose.words import percent, rate, summary_lines
from workbench.report.page import bars, page, section, table
from workbench.telemetry.recorder import Recording
from workbench.telemetry.runs import collection_of, result_of
from workbench.telemetry.snapshot import Snapshot

#: Seconds of a window over which the spread of the rate is taken.
_WINDOW = 2.0
#: Settings that differ between any two runs and mean nothing.
_IGNORED = frozenset({"name", "about"})


@dataclass(frozen=True, slots=True)
class Compared:
    """One run of a comparison.

    `collection`: where it is now, or was when it was built. `spread`: standard deviation ÷ mean of the rate over
    windows of 2 s.
    """

    run: str
    collection: str
    outcome: str
    tokens_per_second: float
    spread: float | None
    verdict: Verdict
    settings: Mapping[str, str | int | float | bool]
    result: Mapping[str, Any]
    notes: tuple[str, ...]


def compared(folder: Path) -> Compared:
    """Load a recorded run for a comparison. Raises UsageError when the folder holds no recording."""
    recording = Recording.load(folder)
    verdict = diagnose(recording.facts, recording.snapshots, recording.notes)
    result = result_of(folder) or {}
    rates = window_rates(steady(recording.snapshots))
    middle = sum(rates) / len(rates) if rates else 0.0
    return Compared(
        run=recording.facts.run or folder.name,
        collection=str(collection_of(folder) or recording.facts.collection),
        outcome=str(result.get("outcome", "no result")),
        tokens_per_second=verdict.tokens_per_second or float(result.get("tokens_per_second", 0.0)),
        spread=pstdev(rates) / middle if len(rates) > 1 and middle else None,
        verdict=verdict,
        settings=recording.facts.settings,
        result=result,
        notes=recording.notes,
    )


def window_rates(snapshots: Sequence[Snapshot]) -> list[float]:
    """Tokens/s of consecutive windows of at least `_WINDOW` seconds."""
    rates: list[float] = []
    if not snapshots:
        return rates
    before = snapshots[0]
    for snapshot in snapshots[1:]:
        seconds = (snapshot.time_ns - before.time_ns) / 1e9
        if seconds >= _WINDOW:
            tokens = total(snapshot, "encoder", Counter.TOKENS) - total(before, "encoder", Counter.TOKENS)
            rates.append(tokens / seconds)
            before = snapshot
    return rates


def differing(runs: Sequence[Compared]) -> list[tuple[str, list[str]]]:
    """Settings that are not the same in all runs: (key, value in each run)."""
    keys = sorted({key for run in runs for key in run.settings} - _IGNORED)
    rows = [(key, [str(run.settings.get(key, "")) for run in runs]) for key in keys]
    return [(key, values) for key, values in rows if len(set(values)) > 1]


def facts_table(runs: Sequence[Compared]) -> list[tuple[str, list[str]]]:
    """What is shown of each run: (name, value in each run)."""
    fastest = max((run.tokens_per_second for run in runs), default=0.0)

    def each(name: str, value: Any) -> tuple[str, list[str]]:
        return name, [value(run) for run in runs]

    return [
        each("outcome", lambda r: r.outcome),
        each("throughput", lambda r: rate(r.tokens_per_second)),
        each("against the fastest", lambda r: percent(r.tokens_per_second / fastest) if fastest else "n/a"),
        each("spread over windows", lambda r: "n/a" if r.spread is None else f"± {percent(r.spread)}"),
        each("limit", lambda r: LABELS[r.verdict.limit]),
        each("confidence", lambda r: percent(r.verdict.confidence)),
        each("chunks", lambda r: f"{r.result['chunks']:,}" if "chunks" in r.result else "n/a"),
        each("padding", lambda r: _share(r.verdict.utilisation.padding)),
        each("MFU", lambda r: _share(r.verdict.utilisation.mfu)),
        each("recall@10 of the index", lambda r: _recall(r.result)),
        each("number format", lambda r: str(r.result.get("encoder", {}).get("dtype", "n/a"))),
    ]


def as_json(runs: Sequence[Compared], parity: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The object of `compare --json`."""
    return {
        "runs": [
            {
                "run": run.run, "collection": run.collection, "outcome": run.outcome,
                "tokens_per_second": run.tokens_per_second, "spread": run.spread, "verdict": run.verdict.as_json(),
            }
            for run in runs
        ],
        "differing": dict(differing(runs)),
        "parity": list(parity),
    }


def comparison(runs: Sequence[Compared], parity: Sequence[Mapping[str, Any]]) -> str:
    """The HTML page."""
    names = [run.run for run in runs]
    middle = median(run.tokens_per_second for run in runs)
    verdicts = "".join(
        f"<h3>{escape(run.run)}</h3><p>{'<br>'.join(escape(line.strip()) for line in summary_lines(run.verdict))}</p>"
        for run in runs
    )
    quality = "".join(f"<p>{escape(parity_line(item))}</p>" for item in parity)
    return page("Runs side by side", [
        "<h1>Runs side by side</h1>",
        f'<p class="soft">{len(runs)} runs, median {rate(middle)}</p>',
        bars([(run.run, run.tokens_per_second, rate(run.tokens_per_second)) for run in runs]),
        section("Figures", table(("", *names), [(name, *values) for name, values in facts_table(runs)])),
        section("Settings that differ", table(("key", *names), [(key, *values) for key, values in differing(runs)])),
        section("Quality parity", quality),
        section("Verdicts", verdicts),
    ])


def parity_line(item: Mapping[str, Any]) -> str:
    """Vectors of a run against those of the first, in words."""
    if item.get("cosine_mean") is None:
        return f"{item['run']} against {item['against']}: {item['note']}"
    return (
        f"{item['run']} against {item['against']}: cosine mean {item['cosine_mean']:.5f}, "
        f"lowest {item['cosine_min']:.5f} over {item['rows']:,} rows with the same id"
    )


def _share(value: float | None) -> str:
    return "n/a" if value is None else percent(value)


def _recall(result: Mapping[str, Any]) -> str:
    recall = (result.get("index") or {}).get("recall_at_10")
    return "n/a" if recall is None else f"{recall:.3f}"
