"""What is asked and what is answered: frozen values that cross processes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

MODES = ("hybrid", "dense", "lexical")
FUSIONS = ("coverage", "reciprocal")


@dataclass(frozen=True, slots=True)
class Query:
    """One question to a collection.

    Attributes:
        text: what to find. May be empty only when `vector` or `like` is given.
        k: hits wanted; fewer come back when the collection (or what the filter leaves of it) holds fewer.
        mode: `hybrid`, `dense`, `lexical`, or "" for hybrid where there is a text index, else dense.
        where: filter, applied before the search; see `workbench.search.where`. "" = all chunks.
        vector: float32 values of the query vector in machine order, for callers that embed themselves.
        like: a chunk id: find what is like this chunk (which itself is left out).
        min_score: leave out hits that score less; with `rerank`, by the cross-encoder.
        rerank: let the cross-encoder order the first so many hits anew; 0 = do not.
        neighbours: so many chunks before and after each hit, from the same document.
        fold: one hit for chunks of equal content; its `duplicates` names the others.
        ids_only: leave everything out of the hits but chunk_id and doc_id (for deep rankings).
        fusion: how hybrid makes one ranking of two: `coverage` or `reciprocal`; see `workbench.search.fusion`.
    """

    text: str = ""
    k: int = 10
    mode: str = ""
    where: str = ""
    vector: bytes = b""
    like: str = ""
    min_score: float | None = None
    rerank: int = 0
    neighbours: int = 0
    fold: bool = True
    ids_only: bool = False
    fusion: str = "coverage"


@dataclass(frozen=True, slots=True)
class Hit:
    """One chunk that answers a query.

    Attributes:
        rank: 1, 2, 3 …
        score: higher is better, comparable within one answer: cosine or inner product (dense), BM25 (lexical),
            the fused score (hybrid), the cross-encoder's (reranked).
        chunk_id, doc_id, title, text: as embedded. place: where the text is from, for people.
        metadata: the user's own columns.
        collection: folder of the collection. shard, row: where in it.
        snippet: the part of the text that carries the match. marks: (begin, end) of matched words in it.
        dense, lexical: the scores of both searches, None where it was not made.
        duplicates: ids of chunks of equal content that were folded into this hit.
        before, after: texts of its neighbours, in reading order.
    """

    rank: int
    score: float
    chunk_id: str
    doc_id: str
    title: str
    text: str
    place: str
    metadata: Mapping[str, object]
    collection: str
    shard: str
    row: int
    snippet: str = ""
    marks: tuple[tuple[int, int], ...] = ()
    dense: float | None = None
    lexical: float | None = None
    duplicates: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """The hits of one query, best first, and what a person should know about them.

    Attributes:
        mode: how it was searched in the end.
        notes: such as "the query was cut".
        seconds: time inside the search process, s.
    """

    hits: tuple[Hit, ...]
    mode: str
    notes: tuple[str, ...] = ()
    seconds: float = 0.0

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)

    def __len__(self) -> int:
        return len(self.hits)

    def __getitem__(self, place: int) -> Hit:
        return self.hits[place]


def none_scores(least: float, best: float) -> str:
    """The note of an answer whose every hit `min_score` leaves out."""
    return f"every hit scores less than {least:g}; the best has {best:.3f}"


@dataclass(frozen=True, slots=True)
class SearchInfo:
    """What is being searched.

    Attributes:
        collections: their folders. generation: number of the newest manifest of each.
        chunks: rows that can be found. index: kind of the vector index. text: there is a text index.
        model: name of the model. device, dtype: where and how queries are embedded.
    """

    collections: tuple[str, ...]
    generations: tuple[int, ...]
    chunks: int
    index: str
    text: bool
    model: str = ""
    device: str = ""
    dtype: str = ""
    notes: tuple[str, ...] = field(default=())
