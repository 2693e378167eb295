"""How long one search in the index takes: one query, one thread, ten hits."""

from __future__ import annotations

from time import perf_counter

import numpy as np

from workbench.collection.index_search import Searcher
from workbench.collection.manifest import Manifest
from workbench.collection.reader import Collection
from workbench.collection.store import Store

_QUERIES = 100


def median_ms(store: Store, manifest: Manifest) -> float | None:
    """Median milliseconds of a search, rescoring included; None for a collection without chunks.

    Queries are stored vectors from all over the collection, moved by a third of their length, so that none finds
    merely itself.
    """
    with Collection(store, manifest) as collection:
        alive = np.flatnonzero(collection.alive())
        if not len(alive):
            return None
        rows = alive[np.unique(np.linspace(0, len(alive) - 1, min(_QUERIES, len(alive))).astype(np.int64))]
        vectors = collection.gather(rows)
        noise = np.random.default_rng(0).standard_normal(vectors.shape).astype(np.float32)
        queries = vectors + 0.3 * np.linalg.norm(vectors, axis=1, keepdims=True) / vectors.shape[1] ** 0.5 * noise
        searcher = Searcher(collection, threads=1)
        searcher.search(queries[:1], 10)  # loads what is loaded once
        times = []
        for query in queries:
            began = perf_counter()
            searcher.search(query[None], 10)
            times.append(perf_counter() - began)
    return round(1000 * float(np.median(times)), 3)
