"""Dense search in a collection: candidates from the FAISS index, exact scores from the stored vectors."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.collection import index_kinds
from workbench.collection.exact import Best, ExactIndex, Mask, Ordinals, Scores, scan, scan_rows
from workbench.collection.faiss_untyped import faiss
from workbench.collection.manifest import CollectionDamaged, Derived
from workbench.collection.reader import Collection, comparable
from workbench.core.errors import UsageError

#: So few allowed rows are compared one by one: exact, and quicker than any index.
_FEW = 1024
#: Inverted lists and graphs lose recall under narrow filters; up to so many allowed rows they are left out.
_NARROW = 40_000
#: Bytes of vectors that exact search keeps in memory; larger collections are read from disk for each query.
_MEMORY = 1 << 30


class Searcher:
    """Top k by inner product (cosine for normalised vectors). May be used from several threads.

    Attributes:
        notes: what a person should know (index damaged, so exact search …).
        kind: `Flat`, `RaBitQ` …, as built; `exact` when there is no usable index.
    """

    def __init__(self, collection: Collection, threads: int = 1) -> None:
        """`threads`: CPU threads of one search."""
        self.collection, self._threads = collection, threads
        self.notes: list[str] = []
        self._exact: ExactIndex | None = None
        self._lock = threading.Lock()
        self._alive: Mask | None = collection.alive() if collection.has_deletions else None
        self._index: Any = None
        self._part = self._open_index(collection.manifest.derivative("ann"))
        self.kind = str(self._part.facts["kind"]) if self._part is not None else "exact"

    def search(
        self, vectors: Scores, k: int, allowed: Mask | None = None, *, sure: int = 0
    ) -> tuple[Scores, Ordinals]:
        """The k best rows for every query.

        Args:
            vectors: float32 [q, dim]. allowed: [ordinals] rows that may be found; None = all.
            sure: lossy kinds rescore as many candidates as calibrated for the first so many hits (0 = all k), where
                the last of the k need not be exact.

        Returns:
            (scores float32 [q, k], ordinals int64 [q, k]), best first; k is cut to the number of rows that may be
            found, and is always reached: a filter acts before the search.

        Raises:
            UsageError: vectors of another length.
        """
        faiss.omp_set_num_threads(self._threads)  # a setting of the calling thread
        queries = np.ascontiguousarray(vectors, dtype=np.float32)
        if queries.ndim != 2 or queries.shape[1] != self.collection.dim:
            raise UsageError(f"query vectors are {queries.shape}, the collection's have length {self.collection.dim}")
        queries = comparable(queries, self.collection.manifest.metric)
        mask = self._mask(allowed)
        count = self.collection.count if mask is None else int(mask.sum())
        k = min(k, count)
        if not k or not len(queries):
            return np.empty((len(queries), k), np.float32), np.empty((len(queries), k), np.int64)
        best = self._search(queries, k, mask, count, sure or k)
        return best.scores, best.ordinals

    # ── the ways to answer ───────────────────────────────────────────────────────────────────────
    def _search(self, queries: Scores, k: int, mask: Mask | None, count: int, sure: int) -> Best:
        few = _FEW if self._index is None or self._is_list_of_all() else _NARROW
        if mask is not None and count <= max(few, k):
            return scan_rows(self.collection, queries, k, np.flatnonzero(mask).astype(np.int64))
        if self._index is None:
            return self._search_exactly(queries, k, mask)
        best = self._search_index(queries, k, mask, sure)
        short = np.flatnonzero((best.ordinals < 0).any(axis=1))
        if len(short):
            whole = self._search_exactly(queries[short], k, mask)
            best.scores[short], best.ordinals[short] = whole.scores, whole.ordinals
        return best

    def _search_exactly(self, queries: Scores, k: int, mask: Mask | None) -> Best:
        collection = self.collection
        if collection.ordinals * collection.dim * np.dtype(collection.dtype).itemsize > _MEMORY:
            return scan(collection, queries, k, mask)
        with self._lock:
            if self._exact is None:
                self._exact = ExactIndex(collection)
        best = Best(len(queries), k)
        best.add(*self._exact.search(queries, k, mask))
        return best

    def _search_index(self, queries: Scores, k: int, mask: Mask | None, sure: int) -> Best:
        assert self._part is not None
        rescore = max(1, int(self._part.facts.get("rescore") or 1))
        # Calibrated at k = 10: for smaller k the same number of candidates is needed.
        candidates = min(max(k, max(sure, 10) * rescore), self._index.ntotal)
        found = self._candidates(queries, candidates, mask)
        best = Best(len(queries), k)
        if len(self._tail):
            best = scan(self.collection, queries, k, mask, iter(self._tail))
        for row, positions in enumerate(found):
            ordinals = self._ordinal_of(positions[positions >= 0])
            ordinals = ordinals[ordinals >= 0]
            if mask is not None:
                ordinals = ordinals[mask[ordinals]]
            self._rescore(best, row, queries[row], ordinals)
        return best

    def _rescore(self, best: Best, row: int, query: Scores, ordinals: Ordinals) -> None:
        """Put exact scores of the candidates of one query into its row of `best`."""
        exact = self.collection.gather(ordinals) @ query
        scores = np.concatenate([best.scores[row], exact])
        names = np.concatenate([best.ordinals[row], ordinals])
        order = np.argsort(-scores, kind="stable")[: best.k]
        best.scores[row], best.ordinals[row] = scores[order], names[order]

    def _candidates(self, queries: Scores, n: int, mask: Mask | None) -> Ordinals:
        """Positions in the index [q, n]; −1 where there are fewer."""
        if mask is None and self._covered is None:
            return index_kinds.candidates(self._index, queries, n)
        wanted = self._positions_allowed(mask)
        if self._selects:
            share = max(wanted.mean(), 1e-3)
            effort = int(self._part.facts.get("effort") or 0) if self._part else 0
            # A filter thins out every list: visit more of them, to see as many allowed rows as without it.
            params, _kept = index_kinds.selecting(self._index, wanted, min(int(effort / share), 1 << 20))
            return index_kinds.candidates(self._index, queries, n, params)
        n = min(int(n / max(wanted.mean(), 0.05)), self._index.ntotal)
        return index_kinds.candidates(self._index, queries, n)

    # ── positions in the index and ordinals of the collection ────────────────────────────────────
    def _open_index(self, part: Derived | None) -> Derived | None:
        self._tail: list[int] = []
        self._covered: Ordinals | None = None
        self._selects = False
        if part is None or part.facts.get("kind") in ("none", "Flat"):
            return part
        entry = part.files[0]
        try:
            self._index = index_kinds.load(self.collection.path / entry.name, entry)
            self._map_positions(part)
        except CollectionDamaged as error:
            self._index = None
            self.notes.append(f"{error}; searching exactly meanwhile")
            return None
        index_kinds.set_effort(self._index, int(part.facts.get("effort") or 0))
        self._selects = index_kinds.can_select(self._index)
        return part

    def _map_positions(self, part: Derived) -> None:
        """Where the rows of the index are now. Shards it does not know are the tail, searched exactly."""
        here = {shard.number: position for position, shard in enumerate(self.collection.shards)}
        rows = {shard.number: shard.rows for shard in self.collection.manifest.shards}
        numbers = [shard.number for shard in self.collection.shards]
        covered = set(part.shards)
        self._tail = [here[number] for number in numbers if number not in covered]
        if tuple(numbers[: len(part.shards)]) == part.shards:
            expected = int(self.collection.starts[len(part.shards)])
        else:
            sizes = _sizes_at_build(part, rows)
            parts = [
                np.arange(size) + self.collection.starts[here[number]] if number in here else np.full(size, -1)
                for number, size in zip(part.shards, sizes, strict=True)
            ]
            self._covered = np.concatenate(parts).astype(np.int64)
            expected = len(self._covered)
        if expected != self._index.ntotal:
            raise CollectionDamaged(
                f"the FAISS index holds {self._index.ntotal} vectors, its shards {expected}",
                where=part.files[0].name, remedy="`index` builds it again from the shards",
            )

    def _ordinal_of(self, positions: Ordinals) -> Ordinals:
        return positions if self._covered is None else self._covered[positions]

    def _positions_allowed(self, mask: Mask | None) -> Mask:
        if self._covered is None:
            assert mask is not None
            return mask[: self._index.ntotal]
        there = self._covered >= 0
        return there if mask is None else there & mask[np.maximum(self._covered, 0)]

    def _mask(self, allowed: Mask | None) -> Mask | None:
        if allowed is None or self._alive is None:
            return self._alive if allowed is None else allowed
        both: NDArray[np.bool_] = allowed & self._alive
        return both

    def _is_list_of_all(self) -> bool:
        """Every search looks at all codes, so a filter costs no recall."""
        ivf = index_kinds.inverted(self._index)
        return bool(ivf is None or ivf.nlist == 1) and index_kinds.graph(self._index) is None


def _sizes_at_build(part: Derived, rows: dict[int, int]) -> list[int]:
    """Rows of every covered shard. Those of shards that are gone are kept in the facts as `rows_of`."""
    told = [int(size) for size in str(part.facts.get("rows_of", "")).split()]
    return told if len(told) == len(part.shards) else [rows.get(number, 0) for number in part.shards]
