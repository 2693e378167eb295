"""Small real runs for tests: a JSONL corpus, the simulated engine, a collection to compare."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pyarrow.parquet as pq

from tests.tiny_models import tiny_bert
from workbench.collection.input_state import ROLE
from workbench.collection.reader import Collection
from workbench.collection.store import Store
from workbench.core.profile_io import apply_overrides, load_profile
from workbench.core.run import RunRequest, RunResult
from workbench.engine.run import Run

WORDS = [
    "the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog", "while", "rain", "falls", "on", "green",
    "hills", "and", "cold", "rivers", "run",
]


def corpus(path: Path, rows: int, seed: int = 0) -> Path:
    """A JSONL file of short made-up texts of mixed length with an id and an own column."""
    rng = random.Random(seed)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for number in range(rows):
            text = " ".join(rng.choices(WORDS, k=rng.randint(3, 60)))
            row = {"id": f"row-{number}", "title": f"title {number}", "text": text, "year": 1900 + number % 100}
            file.write(json.dumps(row) + "\n")
    return path


def request(folder: Path, source: Path, *assignments: str, into: str = "a.collection", **more: object) -> RunRequest:
    """A request with the simulated engine, a tiny model's tokenizer and one worker: each is a process to start."""
    model = folder / "tiny-model"
    if not model.exists():
        tiny_bert(model)
    settings = ["encoder.engine=simulated", f"encoder.model={model}", "encoder.dim=16", "pipeline.workers=1",
                "source.unit_rows=24"]  # many units, of few rows
    profile = apply_overrides(load_profile("balanced"), [*settings, *assignments])
    return RunRequest(profile, (source,), into=folder / into, **more)  # type: ignore[arg-type]


def finish(run: Run) -> RunResult:
    """What a run that has been started comes to."""
    result = run.wait(120)
    assert result is not None, "the run did not end"
    return result


def go(wanted: RunRequest) -> RunResult:
    """A whole run."""
    run = Run(wanted)
    run.start()
    return finish(run)


def content(path: Path) -> tuple[list[str], np.ndarray]:
    """Ids and vectors of a collection in the order of its units; each pair belongs together."""
    collection = Collection.open(path)
    ids: list[str] = []
    parts: list[np.ndarray] = []
    for number, shard in sorted(enumerate(collection.shards), key=lambda item: item[1].unit):
        ids += pq.read_table(path / shard.chunks.name, columns=["chunk_id"]).column("chunk_id").to_pylist()
        parts.append(np.array(collection.vectors(number)))
    return ids, np.concatenate(parts)


def assert_same(one: Path, other: Path) -> None:
    """Two collections hold the same ids in the same order with equal vectors."""
    ids, vectors = content(one)
    other_ids, other_vectors = content(other)
    assert ids == other_ids
    assert len(set(ids)) == len(ids)
    np.testing.assert_array_equal(vectors, other_vectors)


def forget_state(path: Path) -> None:
    """Leave a complete collection as a run does that is killed just before it remembers its input."""
    store = Store(path)
    store.publish(replace(store.load().without_derived(ROLE), number=store.load().number + 1))


def assert_nothing_left(before: set[int]) -> None:
    """No child of this process is alive that was not there before (the resource tracker stays)."""
    alive = [
        child for child in psutil.Process().children(recursive=True)
        if child.pid not in before and "resource_tracker" not in " ".join(child.cmdline())
        and child.status() != psutil.STATUS_ZOMBIE
    ]
    assert alive == []


def children_now() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)}
