"""Searching from the parent: two warm processes, one that embeds queries and one that finds chunks.

Nothing here imports torch, faiss or numpy; vectors pass through as bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from workbench.core.errors import UsageError
from workbench.core.paths import user_cache
from workbench.search import wire
from workbench.search.helper import Helper
from workbench.search.opening import read_manifests
from workbench.search.processes import (
    ProcessSpec,
    QueryEncoderSpec,
    SearcherSpec,
    query_encoder_main,
    searcher_main,
)
from workbench.search.values import FUSIONS, MODES, Answer, Query, SearchInfo, none_scores
from workbench.search.where import parse

#: Queries sent at once: enough to fill a batch, few enough that a cancelled search ends soon.
_AT_ONCE = 64
_LOG_BYTES = 1_000_000


class SearchService:
    """Searches one collection, or several of the same identity as if they were one.

    Both processes start at once and stay until `close`. Every method may be called from any thread. A new
    generation of the collection, committed meanwhile, is seen by the next search.

    Args:
        collections: folder, or folders.
        model: embed queries with this model (folder or hub id) instead of the recorded one.
        device: for the queries, as `encoder.device`.
        threads: of the search process; 0 = the library's choice.
        embed: start the query encoder at once; without it, when a query first needs it.
        reranker: cross-encoder (folder or hub id) for queries that ask for one.

    Raises:
        UsageError: no collection, collections of different identities.
        RunFailed: a damaged manifest.
    """

    def __init__(
        self, collections: Path | Sequence[Path], *, model: str = "", device: str = "auto", threads: int = 0,
        embed: bool = True, reranker: str = "",
    ) -> None:
        folders = [collections] if isinstance(collections, Path) else list(collections)
        manifests = read_manifests(folders)
        log = _log_file()
        self._encoder = Helper("query encoder", query_encoder_main, QueryEncoderSpec(
            ProcessSpec("query encoder", log), str(folders[0]), dict(manifests[0].identity), model, device,
        ), log)
        self._searcher = Helper("searcher", searcher_main, SearcherSpec(
            ProcessSpec("searcher", log, threads), tuple(map(str, folders)), dict(manifests[0].identity),
        ), log, threads)
        self._dim, self._reranker = manifests[0].dim, reranker
        if embed:
            self._encoder.start()
        self._searcher.start()

    def search(
        self, queries: Sequence[Query], cancelled: Callable[[], bool] | None = None
    ) -> list[Answer]:
        """One answer per query, in their order.

        Args:
            cancelled: asked some 50 times a second; when it says true the search ends with `Cancelled`.

        Raises:
            UsageError: an empty query, k below 1, an unknown mode, or a model that does not fit.
            RunFailed: a process that died twice, or a damaged collection.
            Cancelled: as `cancelled` said.
        """
        for query in queries:
            self._check(query)
        answers: list[Answer] = []
        for begin in range(0, len(queries), _AT_ONCE):
            answers += self._some(queries[begin : begin + _AT_ONCE], cancelled)
        return answers

    def info(self) -> SearchInfo:
        """What is searched; waits until the search process is ready."""
        info = self._searcher.ask(wire.Describe())
        assert isinstance(info, SearchInfo)
        ready = self._encoder.ready
        return info if ready is None else replace(info, device=ready.device, dtype=ready.dtype)

    def warm(self) -> tuple[str, ...]:
        """Wait until both processes can work; returns what they want known. Raises as `search` does."""
        return (*self._encoder.wait_ready().notes, *self._searcher.wait_ready().notes)

    def close(self) -> None:
        """End both processes; safe to call twice."""
        self._encoder.close()
        self._searcher.close()

    def __enter__(self) -> SearchService:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check(self, query: Query) -> None:
        if not query.text.strip() and not query.vector and not query.like:
            raise UsageError("the query is empty", remedy="Say what to find")
        other = "vector" if query.vector else "text" if query.text.strip() and not query.rerank else ""
        if query.like and other:  # a cross-encoder reads the text
            raise UsageError(f"a {other} and a chunk to be like were given", remedy="Give one of them")
        if query.k < 1:
            raise UsageError(f"k = {query.k} asks for no hits", remedy="Give 1 or more")
        for what, value, known in (("mode", query.mode, MODES), ("fusion", query.fusion, FUSIONS)):
            if value and value not in known:
                raise UsageError(f"there is no {what} {value!r}", remedy=f"Allowed: {', '.join(known)}")
        if query.vector and len(query.vector) != 4 * self._dim:
            raise UsageError(
                f"the query vector has {len(query.vector) / 4:g} float32 values, the collection's have {self._dim}"
            )
        if query.rerank and not self._reranker:
            raise UsageError("reranking needs a cross-encoder", remedy="Name its folder or hub id")
        if query.rerank and not query.text.strip():
            raise UsageError("reranking needs a text for the cross-encoder", remedy="Say what to find")
        if query.where:
            parse(query.where)

    def _some(self, queries: Sequence[Query], cancelled: Callable[[], bool] | None) -> list[Answer]:
        filled, notes = self._embedded(queries, cancelled)
        # a query to be reranked brings in as many hits as the cross-encoder shall see, whatever they score before
        wide = [
            replace(query, k=max(query.k, query.rerank), min_score=None) if query.rerank else query for query in filled
        ]
        found = self._searcher.ask(wire.Search(tuple(wide)), cancelled)
        assert isinstance(found, wire.Found)
        answers = []
        for query, answer, note in zip(queries, found.answers, notes, strict=True):
            one = replace(answer, notes=(note, *answer.notes)) if note else answer
            answers.append(self._reranked(query, one, cancelled) if query.rerank else one)
        return answers

    def _embedded(
        self, queries: Sequence[Query], cancelled: Callable[[], bool] | None
    ) -> tuple[list[Query], list[str]]:
        """The queries with their vectors, and a note (or "") on each."""
        filled, notes = list(queries), [""] * len(queries)
        wanting = [
            n for n, query in enumerate(queries) if query.mode != "lexical" and not query.vector and not query.like
        ]
        if wanting:
            encoded = self._encoder.ask(wire.Encode(tuple(queries[n].text for n in wanting)), cancelled)
            assert isinstance(encoded, wire.Encoded)
            for n, vector, note in zip(wanting, encoded.vectors, encoded.notes, strict=True):
                filled[n] = replace(filled[n], vector=vector)
                notes[n] = note
        return filled, notes

    def _reranked(self, query: Query, answer: Answer, cancelled: Callable[[], bool] | None) -> Answer:
        """The first `query.rerank` hits in the order of the cross-encoder, then the others."""
        first, rest = answer.hits[: query.rerank], answer.hits[query.rerank :]
        if not first:
            return answer
        texts = tuple(f"{hit.title}\n{hit.text}" if hit.title else hit.text for hit in first)
        found = self._encoder.ask(wire.Rerank(self._reranker, query.text, texts), cancelled)
        assert isinstance(found, wire.Reranked)
        scored = [replace(hit, score=score) for hit, score in zip(first, found.scores, strict=True)]
        scored.sort(key=lambda hit: -hit.score)
        best = scored[0].score
        if query.min_score is not None:  # the others were never scored like these
            scored, rest = [hit for hit in scored if hit.score >= query.min_score], ()
        hits = [replace(hit, rank=rank) for rank, hit in enumerate((*scored, *rest)[: query.k], 1)]
        notes = answer.notes if hits else (*answer.notes, none_scores(query.min_score or 0.0, best))
        return replace(answer, hits=tuple(hits), notes=notes)


def _log_file() -> str:
    """File for what the processes' libraries print, or "" where none can be made."""
    file = user_cache() / "log" / "search.txt"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.is_file() and file.stat().st_size > _LOG_BYTES:
            file.unlink()
        file.touch()
    except OSError:
        return ""
    return str(file)
