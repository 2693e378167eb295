"""The process that finds chunks; faiss, tantivy and pyarrow, never torch or textual."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

import numpy as np

from workbench.collection.reader import ShardUnreadable
from workbench.collection.text_index import analyser
from workbench.core.errors import UsageError
from workbench.search import fusion, wire
from workbench.search.filters import Mask
from workbench.search.hits import Found, Hits
from workbench.search.part import Part, Row, Vector
from workbench.search.processes import Handler, SearcherSpec
from workbench.search.snippets import Stems
from workbench.search.values import Answer, Query, SearchInfo, none_scores

#: Rows looked for, for each hit wanted, when chunks of equal content are folded.
_FOLD = 2


@dataclass(frozen=True, slots=True)
class Way:
    """How a query is answered.

    Attributes:
        search: rows of one collection, about so many, of those allowed.
        by_rank: their scores follow from their ranks among the rows of all collections.
    """

    search: Callable[[Part, int, Mask | None], list[Row]]
    by_rank: bool = False


def opened(spec: SearcherSpec) -> tuple[wire.Ready, Handler]:
    """Open the collections; what to say, and the handler of requests."""
    searcher = Searcher([Path(folder) for folder in spec.collections], spec.process.threads, spec.identity)
    gc.freeze()  # what is open stays: the garbage collector need not look through it again and again
    return wire.Ready(0.0, notes=tuple(searcher.notes)), searcher.handle


class Searcher:
    """Answers queries to the newest generation of one or several collections."""

    def __init__(self, folders: list[Path], threads: int = 0, identity: Mapping[str, str] | None = None) -> None:
        """Open them.

        Args:
            threads: CPU threads of one search; 0 = all.
            identity: of the model the queries are embedded with; None = that of the first collection.

        Raises:
            UsageError: no collection there, or one of another model.
        """
        self._threads = threads or os.cpu_count() or 1
        self._identity = identity
        self._stems = Stems(analyser().analyze)
        self._damaged: list[dict[int, str]] = [{} for _ in folders]  # shards that turned out to be unreadable
        self._parts = [self._opened(folder, place) for place, folder in enumerate(folders)]
        self._introduce()

    @property
    def notes(self) -> list[str]:
        return [note for part in self._parts for note in part.notes]

    def handle(self, body: object) -> object:
        self._refresh()
        match body:
            case wire.Search(queries):
                return wire.Found(tuple(self.answer(query) for query in queries))
            case wire.Describe():
                return self.info()
        raise TypeError(f"unknown request {type(body).__name__}")

    def info(self) -> SearchInfo:
        collections = [part.collection for part in self._parts]
        return SearchInfo(
            collections=tuple(str(one.path) for one in collections),
            generations=tuple(one.manifest.number for one in collections),
            chunks=sum(one.count for one in collections),
            index=", ".join(dict.fromkeys(part.vectors.kind for part in self._parts)),
            text=self._has_text,
            model=collections[0].identity.get("model", ""),
            notes=tuple(self.notes),
        )

    @property
    def _has_text(self) -> bool:
        return all(part.text is not None for part in self._parts)

    def _refresh(self) -> None:
        """Go over to the newest generation where a writer has published one."""
        for place, part in enumerate(self._parts):
            if not part.collection.is_newest:
                self._open_again(place)

    def _open_again(self, place: int) -> None:
        old = self._parts[place].collection
        self._parts[place] = self._opened(old.path, place)
        self._introduce()
        old.close()

    def _introduce(self) -> None:
        """Let the parts know of each other's columns."""
        for part in self._parts:
            part.filters.others = [other.filters for other in self._parts if other is not part]

    def _opened(self, folder: Path, place: int) -> Part:
        damaged = self._damaged[place]
        while True:
            try:
                part = Part(folder, self._threads, damaged)
            except ShardUnreadable as error:
                damaged[error.shard] = f"{error.where}: {error.message}"
                continue
            self._check_model(part)
            return part

    def _check_model(self, part: Part) -> None:
        """Whoever asks embeds with the model the collection had: vectors of another mean something else."""
        theirs = part.collection.identity
        if self._identity is None:
            self._identity = dict(theirs)
        if dict(theirs) != dict(self._identity):
            part.collection.close()
            where = str(part.collection.path)
            what = "the collection was replaced by one of another model"
            raise UsageError(what, where=where, remedy="Open it again")

    def _leave_out(self, error: ShardUnreadable) -> None:
        """Go on without a shard that cannot be read. Raises the error when nothing would be left."""
        for place, part in enumerate(self._parts):
            if part.collection.path == error.collection and len(part.collection.shards) > 1:
                self._damaged[place][error.shard] = f"{error.where}: {error.message}"
                self._open_again(place)
                return
        raise error

    # ── one query ────────────────────────────────────────────────────────────────────────────────
    def answer(self, query: Query) -> Answer:
        """The hits of a query; shards that cannot be read are left out, and named in the notes.

        Raises:
            UsageError: a filter that cannot be used, a chunk that is not there, no text index.
            RunFailed: no shard can be read.
        """
        began = perf_counter()
        while True:
            try:
                return self._answer(query, began)
            except ShardUnreadable as error:
                self._leave_out(error)

    def _answer(self, query: Query, began: float) -> Answer:
        notes = self.notes
        mode = query.mode or ("dense" if query.like or (query.vector and not query.text) else "hybrid")
        if mode == "hybrid" and not self._has_text:
            mode = "dense"
            notes += [part.of_text for part in self._parts if part.text is None]
        elif mode == "lexical" and not self._has_text:
            raise UsageError("there is no text index", remedy="`index --text` builds one from the chunks")
        elif mode != "dense":
            notes += [part.of_text for part in self._parts if part.of_text]
        way, words, masks = self._prepared(query, mode)
        if query.where and not any(mask is None or mask.any() for mask in masks):
            notes.append("the filter lets no chunk through")
        hits = Hits(self._parts, self._stems)
        if query.ids_only:
            bare = hits.bare(self._found(way, masks, query.k))
            return Answer(tuple(bare), mode, tuple(notes), perf_counter() - began)
        asked = query.k * _FOLD if query.fold else query.k
        while True:
            found = self._found(way, masks, asked)
            choice = hits.choose(found, query.k, fold=query.fold)
            if not query.fold or choice.distinct >= query.k or len(found) < asked:
                break
            asked *= _FOLD
        made = hits.of(choice, words, query.neighbours)
        if query.min_score is not None:
            good = [hit for hit in made if hit.score >= query.min_score]
            if made and not good:
                notes.append(none_scores(query.min_score, made[0].score))
            made = good
        return Answer(tuple(made), mode, tuple(notes), perf_counter() - began)

    def _prepared(self, query: Query, mode: str) -> tuple[Way, str, list[Mask | None]]:
        """How to search, the words to mark, and the rows that may be found in each collection."""
        text, vector = query.text, np.frombuffer(query.vector, np.float32)
        own: tuple[int, int] | None = None
        if query.like:
            own = self._place_of(query.like)
            part, ordinal = self._parts[own[0]], own[1]
            vector = part.stored_vector(ordinal)
            text = part.telling_words(str(part.collection.rows([ordinal], ["text"]).column(0)[0].as_py()))
        masks = [
            part.allowed(query.where, own[1] if own is not None and own[0] == place else None)
            for place, part in enumerate(self._parts)
        ]
        return _way(mode, text, vector, query), text, masks

    def _place_of(self, chunk_id: str) -> tuple[int, int]:
        for place, part in enumerate(self._parts):
            ordinal = part.ordinal_of(chunk_id)
            if ordinal is not None:
                return place, ordinal
        raise UsageError(f"there is no chunk {chunk_id!r}", remedy="Take a chunk_id of a hit")

    def _found(self, way: Way, masks: Sequence[Mask | None], k: int) -> list[Found]:
        """The k best rows of all collections together."""
        found = [
            Found(place, row)
            for place, (part, mask) in enumerate(zip(self._parts, masks, strict=True))
            for row in way.search(part, k, mask)
        ]
        found = _ranked(found) if way.by_rank else found
        found.sort(key=lambda one: -one.row.score)
        return found[:k]


def _ranked(found: list[Found]) -> list[Found]:
    """The same rows in the order of their keys, with scores that follow from their ranks in both searches."""
    both = ([one.row.dense for one in found], [one.row.lexical for one in found])
    rankings = [np.array([-np.inf if score is None else score for score in scores]) for scores in both]
    fused = fusion.reciprocal(*rankings).tolist()
    rows = [replace(one, row=replace(one.row, score=score)) for one, score in zip(found, fused, strict=True)]
    return sorted(rows, key=lambda one: one.key)


def _way(mode: str, text: str, vector: Vector, query: Query) -> Way:
    if mode == "dense":  # more than the query's k are asked for only to make up for what is folded
        return Way(lambda part, k, allowed: part.dense(vector, k, allowed, min(k, query.k)))
    if mode == "lexical":
        return Way(lambda part, k, allowed: part.lexical(text, k, allowed))
    if query.fusion == "reciprocal":
        return Way(lambda part, k, allowed: part.candidates(text, vector, k, allowed), by_rank=True)
    return Way(lambda part, k, allowed: part.hybrid(text, vector, k, allowed))
