"""Indexes that are built when everything is embedded: which of them is the limit, and what goes with it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.diagnose.scripted import A, World, facts, play
from workbench.diagnose.limits import Limit
from workbench.diagnose.verdict import diagnose
from workbench.telemetry.snapshot import Snapshot


def built(words: float, vectors: float, embedding: float = 10.0) -> list[Snapshot]:
    """Seconds of embedding, then so many for the index of the words and for that of the vectors."""
    shots = play(World(), 1.0 + embedding, ended=False)
    last = shots[-1]
    for step in range(1, int((words + vectors) * 4) + 1):
        spent = step / 4
        processes = []
        for process in last.processes:
            times = list(process.activity_ns)
            if process.stage == "writer":
                times[A.WRITE] += int(min(spent, words) * 1e9)
                times[A.INDEX] += int(max(0.0, spent - words) * 1e9)
            processes.append(replace(process, activity_ns=tuple(times)))
        progress = replace(last.progress, phase="indexing", rows_done=25_000)
        shots.append(replace(
            last, time_ns=last.time_ns + int(spent * 1e9), processes=tuple(processes), progress=progress,
        ))
    return shots


@pytest.mark.parametrize(("words", "vectors", "change", "left"), [
    (2.0, 20.0, ("index.kind", "auto"), 10 + 2 + 1.1), (20.0, 2.0, ("index.text", "no"), 10 + 2),
])
def test_the_slower_index_is_what_changes_and_the_other_stays(words, vectors, change, left):
    shots = built(words, vectors)
    made = facts(World(settings={"index.kind": "HNSW32"}))
    found = diagnose(made, shots)
    assert found.limit is Limit.INDEX and found.change is not None
    assert (found.change.key, found.change.value) == change
    tokens = shots[-1].progress.tokens_done
    assert found.predicted_tokens_per_second == pytest.approx(tokens / left, rel=0.05)


def test_a_short_index_is_no_limit():
    assert diagnose(facts(World()), built(1.0, 1.0)).limit is Limit.COMPUTE


def test_what_a_window_shows_does_not_count_what_was_done_before_it():
    window = built(1.0, 39.0, embedding=600.0)[-480:]  # 120 s, of which 40 for the indexes
    found = diagnose(facts(World()), window)
    assert found.limit is Limit.INDEX
    assert found.tokens_per_second == pytest.approx(World().throughput() * 80 / 120, rel=0.02)


def test_an_index_that_is_short_beside_a_long_run_is_no_limit():
    assert diagnose(facts(World()), built(1.0, 39.0, embedding=600.0)).limit is Limit.COMPUTE
