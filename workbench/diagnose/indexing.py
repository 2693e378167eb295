"""The indexes are built when the last unit is committed: when that takes long, it limits the whole run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from workbench.core.activity import Activity, Counter
from workbench.diagnose.limits import LABELS, Change, Limit, Verdict
from workbench.diagnose.steady import total
from workbench.telemetry.snapshot import RunFacts, Snapshot

#: Share of the run's time (first batch to end) above which the index is what limits it.
_SHARE = 0.3
#: Seconds a row costs the automatic kinds (Flat below 50,000 rows, codes above), recall check included.
_AUTO_SECONDS_PER_ROW = 4e-6
_AUTO_FIXED = 1.0


def index_finding(facts: RunFacts, snapshots: Sequence[Snapshot], verdict: Verdict) -> Verdict | None:
    """The verdict when building the index took much of what the snapshots show; None when it did not.

    What was done before the first snapshot does not count: neither its time is known nor are its tokens.
    """
    began = next((s for s in snapshots if total(s, "encoder", Counter.BATCHES)), None)
    building = [s for s in snapshots if s.progress.phase == "indexing"]
    if began is None or len(building) < 2:
        return None
    index = (building[-1].time_ns - building[0].time_ns) / 1e9
    whole = (building[-1].time_ns - began.time_ns) / 1e9
    if index < _SHARE * whole or index < 2.0:
        return None
    tokens = total(building[-1], "encoder", Counter.TOKENS) - total(snapshots[0], "encoder", Counter.TOKENS)
    change, left = _change(facts, building, whole)
    speed = f"embedding ran at {verdict.tokens_per_second:,.0f} tokens/s"
    line = f"building the index took {index:.1f} s of {whole:.1f} s; {speed}"
    return replace(
        verdict,
        limit=Limit.INDEX,
        stage="writer:index",
        headline="Building the index limits the run",
        evidence=(line, *verdict.evidence),
        change=change,
        healthy=False,
        tokens_per_second=tokens / whole,
        predicted_tokens_per_second=None if change is None else tokens / left,
        next_limit=LABELS[verdict.limit] if change is not None else "",
    )


def _change(facts: RunFacts, building: Sequence[Snapshot], whole: float) -> tuple[Change | None, float]:
    """What to do about it, and the seconds that the run then takes (of `whole`)."""
    vectors, words = _seconds(building, Activity.INDEX), _seconds(building, Activity.WRITE)
    kind = str(facts.settings.get("index.kind", "auto"))
    if words > vectors:
        text = "build no index of the words: search is then by meaning alone"
        return Change(text, "index.text", "no", "yes"), whole - words
    if kind.startswith("auto"):
        return None, whole
    auto = _AUTO_FIXED + _AUTO_SECONDS_PER_ROW * building[-1].progress.rows_done
    return Change(
        "let the index be chosen: exact for small collections, compressed codes with rescoring for large ones",
        "index.kind", "auto", kind,
    ), whole - max(0.0, vectors - auto)


def _seconds(building: Sequence[Snapshot], activity: Activity) -> float:
    """Seconds that the writer spent on an activity."""
    spent = [
        sum(process.activity_ns[activity] for process in shot.processes if process.stage == "writer")
        for shot in (building[0], building[-1])
    ]
    return (spent[1] - spent[0]) / 1e9
