"""One open collection with everything that finds rows in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from workbench.collection import index_search
from workbench.collection.manifest import CollectionDamaged
from workbench.collection.reader import Collection
from workbench.collection.text_index import TextIndex, open_text_index
from workbench.search import fusion
from workbench.search.filters import Filters, Mask

Ordinals = NDArray[np.int64]
Vector = NDArray[np.float32]

#: Candidates that each search gives to the fusion, at least; twice the hits wanted, if that is more. Of the ten best
#: of three judged sets 0.9997 or more are those of pools of 400.
_POOL = 50
#: Under a filter, where words find a row only among many that it leaves out, so many of them will do.
_FILTERED = 25
#: Vectors the mean of a collection is estimated from.
_MEAN_SAMPLE = 2048
#: Words that stand for a chunk when others like it are looked for.
_TELLING_WORDS = 24
NO_TEXT_INDEX = "there is no text index yet: searched by vectors alone; `index --text` builds one"


@dataclass(frozen=True, slots=True)
class Row:
    """A row that was found; `dense`, `lexical`: its scores in both searches, None where not made."""

    ordinal: int
    score: float
    dense: float | None = None
    lexical: float | None = None


class Part:
    """Searches one collection at one moment.

    Attributes:
        notes: what a person should know of it. of_text: the same about searching by words, "" = nothing.
    """

    def __init__(self, folder: Path, threads: int, without: Mapping[int, str] | None = None) -> None:
        """`without`: shards to leave out, and why."""
        self.collection = Collection.open(folder, without)
        self.vectors = index_search.Searcher(self.collection, threads)
        self.filters = Filters(self.collection)
        self.notes = [*self.collection.notes, *self.vectors.notes]
        self.text: TextIndex | None = None
        self.of_text = NO_TEXT_INDEX
        try:
            self.text = open_text_index(self.collection)
        except CollectionDamaged as error:
            self.of_text = f"{error}; searched by vectors alone meanwhile"
        if self.text is not None:
            self.of_text = _behind(self.text.missing)

    @cached_property
    def alive(self) -> Mask | None:
        return self.collection.alive() if self.collection.has_deletions else None

    @cached_property
    def _mean(self) -> Vector:
        """Mean vector float32 [dim], estimated from rows spread over the collection."""
        count = self.collection.ordinals
        sample = np.unique(np.linspace(0, count - 1, min(count, _MEAN_SAMPLE)).astype(np.int64))
        mean: Vector = self.collection.gather(sample).mean(axis=0)
        return mean

    def allowed(self, where: str, without: int | None = None) -> Mask | None:
        """[ordinals] rows that may be found: not deleted, let through by the filter; None = all."""
        mask = self.alive
        if where:
            found = self.filters.mask(where)
            mask = found if mask is None else found & mask
        if without is not None:
            mask = np.ones(self.collection.ordinals, np.bool_) if mask is None else mask.copy()
            mask[without] = False
        return mask

    def ordinal_of(self, chunk_id: str) -> int | None:
        """Where a chunk is; None when it is not here (any more)."""
        column = self.filters.column("chunk_id")
        found = pc.index(column, chunk_id).as_py()
        while found >= 0 and self.alive is not None and not self.alive[found]:
            found = pc.index(column, chunk_id, start=found + 1).as_py()  # a chunk that was changed is there twice
        return int(found) if found >= 0 else None

    @cached_property
    def columns(self) -> list[str]:
        """Columns of a chunk, the content hash included."""
        return [str(name) for name in self.collection.schema().names]

    def next_to(self, ordinal: int, step: int) -> int | None:
        """The row before (−1) or after (1) a row in its source; None where that ends, is deleted, or is elsewhere:
        an update writes changed rows alone.

        Units are committed in the order they are done, so the next unit's shard may be anywhere.
        """
        collection = self.collection
        shard = int(np.searchsorted(collection.starts, ordinal, side="right")) - 1
        edge = ordinal - int(collection.starts[shard]) + (step > 0)
        if not collection.follows(shard, edge):
            return None
        other = ordinal + step
        if not collection.starts[shard] <= other < collection.starts[shard + 1]:
            here = collection.shards[shard]
            place = self._places.get((here.source, here.unit + step))
            rows = 0 if place is None else collection.shards[place].rows
            if place is None or not rows or not collection.follows(place, 0 if step > 0 else rows):
                return None
            other = int(collection.starts[place] if step > 0 else collection.starts[place + 1] - 1)
        return other if self.alive is None or self.alive[other] else None

    @cached_property
    def _places(self) -> dict[tuple[int, int], int]:
        return {(shard.source, shard.unit): place for place, shard in enumerate(self.collection.shards)}

    def stored_vector(self, ordinal: int) -> Vector:
        vector: Vector = self.collection.gather(np.array([ordinal]))[0]
        return vector

    def telling_words(self, text: str) -> str:
        """The words that tell most about a text, as a query."""
        if self.text is None:
            return text
        words = self.text.words(text)
        weights = self.text.weights(words)
        worth = {word: words.count(word) * weight for word, weight in weights.items()}
        return " ".join(sorted(worth, key=lambda word: -worth[word])[:_TELLING_WORDS])

    # ── the three ways to search ─────────────────────────────────────────────────────────────────
    def dense(self, vector: Vector, k: int, allowed: Mask | None, sure: int = 0) -> list[Row]:
        """The k nearest rows, best first. `sure`: see `index_search.Searcher.search`."""
        scores, ordinals = self.vectors.search(vector[None], k, allowed, sure=sure)
        pairs = zip(ordinals[0].tolist(), scores[0].tolist(), strict=True)
        return [Row(ordinal, score, dense=score) for ordinal, score in pairs if ordinal >= 0]

    def lexical(self, text: str, k: int, allowed: Mask | None) -> list[Row]:
        """The k best rows by BM25, best first."""
        assert self.text is not None
        found = self.text.search(text, k, allowed)
        pairs = zip(found.ordinals.tolist(), found.scores.tolist(), strict=True)
        return [Row(ordinal, score, lexical=score) for ordinal, score in pairs]

    def candidates(self, text: str, vector: Vector, k: int, allowed: Mask | None) -> list[Row]:
        """What either search finds for the k best of both: nearest first, then by words. Nothing is fused."""
        near, worded, _ = self._both(text, vector, k, allowed)
        found = dict.fromkeys((*near, *worded))
        return [Row(ordinal, 0.0, near.get(ordinal), worded.get(ordinal)) for ordinal in found]

    def hybrid(self, text: str, vector: Vector, k: int, allowed: Mask | None) -> list[Row]:
        """The k best rows of both searches together by `fusion.coverage`, best first."""
        assert self.text is not None
        near, worded, complete = self._both(text, vector, k, allowed)
        ordinals = np.array(list(dict.fromkeys((*near, *worded))), np.int64)
        if not len(ordinals):
            return []
        length = max(float(np.linalg.norm(vector)), 1e-12)
        query = vector / length
        cosines = self._cosines(query, ordinals, near, 1.0 if self.collection.manifest.metric == "cosine" else length)
        bm25 = self._bm25(text, ordinals, worded, complete=complete)
        fused = fusion.coverage(cosines, float(self._mean @ query), bm25, self.text.information(text))
        return _best(ordinals, fused, cosines, np.where(self.text.holds(ordinals), bm25, -np.inf), k)

    def _both(
        self, text: str, vector: Vector, k: int, allowed: Mask | None
    ) -> tuple[dict[int, float], dict[int, float], bool]:
        """Scores of what each search finds, by ordinal, and whether no other row has any of the words."""
        assert self.text is not None
        pool = max(_POOL, 2 * k)
        near = {row.ordinal: row.score for row in self.dense(vector, pool, allowed, k)}
        words = pool if allowed is None else max(_FILTERED, k)
        best = self.text.search(text, words, allowed, enough=k)
        return near, dict(zip(best.ordinals.tolist(), best.scores.tolist(), strict=True)), best.complete

    def _cosines(self, query: Vector, ordinals: Ordinals, known: dict[int, float], scale: float) -> fusion.Scores:
        """Inner products of rows with a query of length 1; known ones are `scale` times that."""
        found = np.array([known.get(ordinal, np.nan) for ordinal in ordinals.tolist()]) / scale
        missing = np.flatnonzero(np.isnan(found))
        found[missing] = self.collection.gather(ordinals[missing]) @ query
        return found

    def _bm25(self, text: str, ordinals: Ordinals, known: dict[int, float], *, complete: bool) -> fusion.Scores:
        """BM25 scores of rows; where the known ones are `complete` the others have none of the words."""
        assert self.text is not None
        found = np.array([known.get(ordinal, 0.0 if complete else np.nan) for ordinal in ordinals.tolist()])
        missing = np.flatnonzero(np.isnan(found))
        found[missing] = self.text.scores(text, ordinals[missing])
        return found


def _behind(missing: int) -> str:
    """The note about chunks the text index does not hold yet."""
    if not missing:
        return ""
    which, them = ("the newest chunk is", "it") if missing == 1 else (f"the newest {missing:,} chunks are", "them")
    return f"{which} searched by vectors only; the end of the run or `index --text` adds {them} to the words"


def _best(
    ordinals: Ordinals, fused: fusion.Scores, dense: fusion.Scores, lexical: fusion.Scores, k: int
) -> list[Row]:
    order = np.lexsort((ordinals, -fused))[:k]
    return [
        Row(int(ordinals[i]), float(fused[i]), *(None if np.isneginf(s[i]) else float(s[i]) for s in (dense, lexical)))
        for i in order
    ]
