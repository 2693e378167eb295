"""Trying index kinds on a sample of the collection: recall@10, latency, build time and size of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np

from workbench.collection import index_build
from workbench.collection.exact import Scores, gather_one_by_one, one_by_one, scan
from workbench.collection.index_search import Searcher
from workbench.collection.manifest import Manifest
from workbench.collection.reader import Collection
from workbench.collection.store import Store
from workbench.core.apart import Progress
from workbench.core.errors import UsageError

_QUERIES = 200


@dataclass(frozen=True, slots=True)
class Trial:
    """One kind on the sample.

    Attributes:
        kind: as `index --kind` takes it. rows: of the sample.
        recall_at_10: of the whole search, rescoring included, against exact search.
        recall_alone: of the index's own order, before stored vectors are looked at: what its shortening costs.
        p50_ms, p99_ms: one query, one thread, ten hits. build_seconds: calibration included.
        bytes_per_vector: of the index (Flat: of the vectors it keeps in memory).
        trouble: why it could not be built; the figures are then 0.
    """

    kind: str
    rows: int
    recall_at_10: float
    recall_alone: float
    p50_ms: float
    p99_ms: float
    build_seconds: float
    bytes_per_vector: float
    trouble: str = ""


def tune(
    store: Store, manifest: Manifest, kinds: Sequence[str], sample: int, progress: Progress
) -> list[Trial]:
    """Build every kind on shards of about `sample` rows and measure it; nothing is published, nothing is left.

    Queries are stored vectors, moved a little so that none finds merely itself.
    """
    part = _sampled(manifest, sample)
    with Collection(store, part) as collection:
        alive = np.flatnonzero(collection.alive())
        rows = alive[np.unique(np.linspace(0, len(alive) - 1, min(_QUERIES, len(alive))).astype(np.int64))]
        queries = _moved(gather_one_by_one(collection, rows))
        k = min(10, len(alive))
        exact = scan(collection, queries, k, collection.alive(), one_by_one(collection)).scores
    trials = []
    for done, kind in enumerate(kinds):
        progress(f"trying {kind}", done, len(kinds))
        trials.append(_trial(store, part, kind, queries, exact))
    return trials


def _sampled(manifest: Manifest, sample: int) -> Manifest:
    """The manifest with shards from all over the collection, together about so many rows."""
    total = manifest.rows
    if not total:
        raise UsageError("the collection holds no chunks yet", remedy="Build it with `run`")
    keep = max(1, round(len(manifest.shards) * min(1.0, sample / total)))
    places = np.unique(np.linspace(0, len(manifest.shards) - 1, keep).astype(int))
    return replace(manifest, shards=tuple(manifest.shards[place] for place in places), derived=())


def _moved(vectors: Scores) -> Scores:
    noise = np.random.default_rng(0).standard_normal(vectors.shape).astype(np.float32)
    scale = 0.3 * np.linalg.norm(vectors, axis=1, keepdims=True) / np.sqrt(vectors.shape[1])
    moved = vectors + scale * noise
    scaled: Scores = moved / np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), np.float32(1e-12))
    return scaled


def _trial(
    store: Store, manifest: Manifest, kind: str, queries: Scores,
    exact: Scores,
) -> Trial:
    began = perf_counter()
    rows = manifest.rows
    try:
        part = index_build.build(store, manifest, kind, index_build.Options(rebuild=True))
    except UsageError as error:
        return Trial(kind, rows, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, error.message)
    seconds = perf_counter() - began
    try:
        with Collection(store, manifest.with_derived(part)) as collection:
            searcher = Searcher(collection, threads=1)
            searcher.search(queries[:1], 10)  # loads what is loaded once
            times, recalls = [], []
            for query, truth in zip(queries, exact, strict=True):
                began = perf_counter()
                scores, _ = searcher.search(query[None], 10)
                times.append(perf_counter() - began)
                recalls.append(float((scores[0] >= truth[-1] - 1e-5).mean()))
            p50, p99 = np.percentile(times, [50, 99]) * 1000
    finally:
        for entry in part.files:
            store.disk.remove(store.path(entry))
    size = float(part.facts.get("bytes_per_vector") or 0.0)
    name = str(part.facts["kind"])
    alone = float(part.facts.get("recall_alone") or 1.0)
    return Trial(name, rows, float(np.mean(recalls)), alone, float(p50), float(p99), seconds, size)
