"""Exact search over the stored vectors: over blocks for many queries, or from memory for quick answers. FAISS."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from workbench.collection.faiss_untyped import faiss
from workbench.collection.reader import Collection, comparable
from workbench.collection.shards import Floats

Scores = NDArray[np.float32]
Ordinals = NDArray[np.int64]
Mask = NDArray[np.bool_]

_BLOCK_ROWS = 16_384


class Best:
    """The best k of each query so far.

    Attributes:
        scores: float32 [queries, k], best first; −inf where there is none yet.
        ordinals: int64 [queries, k]; −1 where there is none yet.
    """

    def __init__(self, queries: int, k: int) -> None:
        self.k = k
        self.scores: Scores = np.full((queries, k), -np.inf, np.float32)
        self.ordinals: Ordinals = np.full((queries, k), -1, np.int64)

    def add(self, scores: Scores, ordinals: Ordinals) -> None:
        """Candidates [queries, n]; ordinal −1 is no candidate. No candidate may come twice."""
        scores = np.where(ordinals < 0, np.float32(-np.inf), scores)
        together = np.concatenate([self.scores, scores], axis=1)
        names = np.concatenate([self.ordinals, ordinals], axis=1)
        # Stable: of equal scores the one that came first stays first, so results do not depend on block sizes.
        order = np.argsort(-together, axis=1, kind="stable")[:, : self.k]
        self.scores = np.take_along_axis(together, order, axis=1)
        self.ordinals = np.take_along_axis(names, order, axis=1)


def scan(
    collection: Collection, queries: Scores, k: int, allowed: Mask | None = None, shards: Iterator[int] | None = None
) -> Best:
    """Exact top k by inner product, one block of a shard in memory at a time.

    Args:
        queries: float32 [q, dim]. allowed: [ordinals] rows that may be found; None = all.
        shards: positions of the shards to look at; None = all.
    """
    best = Best(len(queries), k)
    for shard in range(len(collection.shards)) if shards is None else shards:
        stored = collection.vectors(shard)
        for begin in range(0, len(stored), _BLOCK_ROWS):
            first = int(collection.starts[shard]) + begin
            block = stored[begin : begin + _BLOCK_ROWS]
            rows = np.arange(len(block)) if allowed is None else np.flatnonzero(allowed[first : first + len(block)])
            if len(rows):
                _scan_block(best, queries, block if allowed is None else block[rows], first + rows, collection)
    return best


def one_by_one(collection: Collection) -> Iterator[int]:
    """Positions of the shards, for `scan` and the like; what was mapped for one is let go before the next."""
    for shard in range(len(collection.shards)):
        yield shard
        collection.close()


def gather_one_by_one(collection: Collection, ordinals: Ordinals) -> Scores:
    """Vectors of rows from all over the collection, float32 [rows, dim]; the ordinals ascend.

    A touched row brings the pages around it into memory, so that a shard's map is dropped before the next one is read.
    """
    found = np.empty((len(ordinals), collection.dim), np.float32)
    edges = np.searchsorted(ordinals, collection.starts)
    for shard in one_by_one(collection):
        begin, end = int(edges[shard]), int(edges[shard + 1])
        if end > begin:
            found[begin:end] = collection.gather(ordinals[begin:end])
    return found


def scan_rows(collection: Collection, queries: Scores, k: int, ordinals: Ordinals) -> Best:
    """Exact top k among the rows named; cheap when they are few."""
    best = Best(len(queries), k)
    for begin in range(0, len(ordinals), _BLOCK_ROWS):
        part = ordinals[begin : begin + _BLOCK_ROWS]
        _knn_into(best, queries, collection.gather(part), part)
    return best


def _scan_block(best: Best, queries: Scores, block: Floats, ordinals: Ordinals, collection: Collection) -> None:
    _knn_into(best, queries, comparable(block.astype(np.float32, copy=False), collection.manifest.metric), ordinals)


def _knn_into(best: Best, queries: Scores, vectors: Scores, ordinals: Ordinals) -> None:
    k = min(best.k, len(vectors))
    if k:
        scores, rows = faiss.knn(queries, np.ascontiguousarray(vectors), k, metric=faiss.METRIC_INNER_PRODUCT)
        best.add(scores, np.where(rows < 0, -1, ordinals[rows]))


class ExactIndex:
    """All vectors in memory as FAISS codes. Float16 vectors stay float16, so nothing is lost or doubled."""

    def __init__(self, collection: Collection) -> None:
        dim = collection.dim
        half = collection.dtype == "float16" and collection.manifest.metric != "cosine"
        self.index = (
            faiss.IndexScalarQuantizer(dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
            if half else faiss.IndexFlatIP(dim)
        )
        for _, stored in collection.iter_vectors():
            if half and len(stored):
                self.index.add_sa_codes(np.ascontiguousarray(stored).view(np.uint8).reshape(len(stored), -1))
            elif len(stored):
                self.index.add(comparable(stored.astype(np.float32), collection.manifest.metric))

    def search(self, queries: Scores, k: int, allowed: Mask | None = None) -> tuple[Scores, Ordinals]:
        """Exact top k [q, k]; ordinal −1 where fewer than k are allowed."""
        k = min(k, max(1, self.index.ntotal))
        if allowed is None:
            scores, ordinals = self.index.search(queries, k)
        else:
            bits = np.packbits(allowed, bitorder="little")
            selector = faiss.IDSelectorBitmap(bits)
            scores, ordinals = self.index.search(queries, k, params=faiss.SearchParameters(sel=selector))
        return scores, ordinals
