"""The search processes behind the Search room: warm, newest query wins, words marked for the eye."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.core.errors import WorkbenchError
from workbench.search.values import MODES, Hit, Query
from workbench.tui.bridge import HitView, SearchAnswer, SearchQuery

if TYPE_CHECKING:
    from workbench.collection.reader import Collection
    from workbench.search.service import SearchService

Answered = Callable[[SearchAnswer], None]
_CJK = r"\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_WORD = re.compile(rf"[{_CJK}]+|[^\W_{_CJK}]+(?:[-'][^\W_{_CJK}]+)*")
#: Words too common to be worth a mark.
_COMMON = frozenset(
    "a an and are as at be by do does for from how i in is it of on or that the this to what with".split()  # noqa: SIM905
)


class LiveSearch:
    """One thread asks the search processes; a query that came later takes the place of the one waiting."""

    modes: tuple[str, ...] = MODES

    def __init__(self) -> None:
        self._wake = threading.Condition()
        self._next: tuple[SearchQuery, Answered] | None = None
        self._open: Path | None = None
        self._number = 0
        self._closed = False
        self._state, self._problem = "closed", ""
        self._service: SearchService | None = None
        self._reader: tuple[Path, Collection] | None = None
        self._thread = threading.Thread(target=self._main, name="search", daemon=True)
        self._thread.start()

    # ── SearchControl ────────────────────────────────────────────────────────────────────────────
    def open(self, collection: Path) -> None:
        with self._wake:
            self._open, self._state, self._problem = collection, "loading the model …", ""
            self._number += 1
            self._wake.notify()

    def ask(self, query: SearchQuery, answer: Answered) -> None:
        with self._wake:
            self._next = (query, answer)
            self._number += 1
            self._wake.notify()

    def neighbours(self, hit: HitView, told: Callable[[HitView], None]) -> None:
        if hit.row >= 0:
            threading.Thread(target=self._neighbours, args=(hit, told), daemon=True).start()

    def state(self) -> str:
        return self._state

    def problem(self) -> str:
        return self._problem

    def close(self) -> None:
        with self._wake:
            self._closed = True
            self._number += 1
            self._wake.notify()
            service, self._service = self._service, None
        if service is not None:
            service.close()  # a thread that waits for the model has its wait ended
        self._thread.join(5.0)

    # ── the thread ───────────────────────────────────────────────────────────────────────────────
    def _main(self) -> None:
        while True:
            with self._wake:
                while not (self._closed or self._open is not None or self._next is not None):
                    self._wake.wait()
                if self._closed:
                    break
                opening, self._open = self._open, None
                asked, self._next = (None, self._next) if opening is not None else (self._next, None)
                number = self._number
            try:
                self._do(opening, asked, number)
            except Exception as error:  # a fault of ours: shown, and the thread goes on with the next query
                problem = f"internal error: {type(error).__name__}: {error}"
                if asked is not None:
                    asked[1](SearchAnswer(asked[0].text, problem=problem))
                else:
                    self._state, self._problem = "closed", problem
        self._end()

    def _do(self, opening: Path | None, asked: tuple[SearchQuery, Answered] | None, number: int) -> None:
        if opening is not None:
            self._start(opening)
        elif asked is not None:
            self._serve(*asked, number)

    def _start(self, collection: Path) -> None:
        self._end()
        self._state = "loading the model …"
        from workbench.search.service import SearchService

        try:
            service = SearchService(collection)
            with self._wake:  # from here on `close` ends it
                self._service = service
                if self._closed:
                    return
            notes = service.warm()
            self._state = "; ".join(("ready", *notes))
        except WorkbenchError as error:
            self._state, self._problem = "closed", str(error)

    def _end(self) -> None:
        with self._wake:
            service, self._service = self._service, None
        if service is not None:
            service.close()
        self._state = "closed"

    def _serve(self, query: SearchQuery, told: Answered, number: int) -> None:
        service = self._service
        if service is None:
            told(SearchAnswer(query.text, problem=self._problem or "no collection is open"))
            return
        from workbench.search.helper import Cancelled

        begun = time.perf_counter()
        try:
            (answer,) = service.search([engine_query(query)], cancelled=lambda: number != self._number)
        except Cancelled:
            return
        except WorkbenchError as error:
            told(SearchAnswer(query.text, problem=str(error).replace("--where: ", "filter: ", 1)))
            return
        total = 1000 * (time.perf_counter() - begun)
        inside = 1000 * answer.seconds
        words = "" if query.like else query.text
        told(SearchAnswer(
            words or "more like this", tuple(_view(hit, words) for hit in answer),
            encode_ms=None if answer.mode == "lexical" or query.like else max(0.0, total - inside), index_ms=inside,
            total_ms=total, note="; ".join(answer.notes),
        ))

    def _neighbours(self, hit: HitView, told: Callable[[HitView], None]) -> None:
        service = self._service
        if service is None:
            return
        try:
            before, after = self._around(hit)
        except (WorkbenchError, IndexError, OSError):
            return
        told(replace(hit, before=before, after=after))

    def _around(self, hit: HitView) -> tuple[str, str]:
        """Text of the chunks before and after a hit, where they follow on it and are of the same document."""
        from workbench.collection.reader import Collection

        path = Path(hit.collection)
        if self._reader is None or self._reader[0] != path or not self._reader[1].is_newest:
            self._reader = (path, Collection.open(path))
        reader = self._reader[1]
        position = next((i for i, shard in enumerate(reader.shards) if hit.shard in _names(shard)), None)
        if position is None:
            return "", ""  # compacted or updated since the hit was found
        ordinal = int(reader.starts[position]) + hit.row
        low, high = int(reader.starts[position]), int(reader.starts[position + 1])
        gone = set(reader.deleted_rows(position).tolist()) if reader.shards[position].deleted else set()
        next_to = [n for n in (ordinal - 1, ordinal + 1) if low <= n < high and n - low not in gone
                   and reader.follows(position, hit.row + (n > ordinal))]
        found = {n: row for n in next_to for row in reader.rows([n], ["doc_id", "text"]).to_pylist()}
        return tuple(  # type: ignore[return-value]
            found[n]["text"] if n in found and found[n]["doc_id"] == hit.doc_id else ""
            for n in (ordinal - 1, ordinal + 1)
        )


def _names(shard: Any) -> tuple[str, ...]:
    return (str(shard.number), f"{shard.number:08d}", shard.chunks.name, Path(shard.chunks.name).name)


def engine_query(query: SearchQuery) -> Query:
    """The query for the search service. Raises UsageError for a filter where filters are not understood."""
    known = {field.name for field in fields(Query)}
    extra: dict[str, Any] = {}
    if query.where:
        if "where" not in known:
            from workbench.core.errors import UsageError

            raise UsageError("this version cannot filter by metadata", remedy="Empty the filter")
        extra["where"] = query.where
    if query.like:
        return Query("", query.k, "dense", like=query.like, **extra)
    return Query(query.text, query.k, query.mode, **extra)


def _view(hit: Hit, query: str) -> HitView:
    return HitView(
        hit.rank, hit.score, hit.chunk_id, hit.title, hit.text, hit.place, _file(hit.place),
        hit.doc_id, hit.shard, hit.row, matches(hit.text, query), _words(hit.metadata), collection=hit.collection,
    )


def _words(metadata: Mapping[str, object]) -> dict[str, str]:
    return {key: str(value) for key, value in metadata.items() if value is not None}


def _file(place: str) -> str:
    """The file of a place such as `notes/a.md:12` or `books.parquet#1041`; empty when there is none."""
    path = re.sub(r"(?:[:#][\d\-,.: ]*)$", "", place)
    return path if path and Path(path).exists() else ""


def matches(text: str, query: str) -> tuple[tuple[int, int], ...]:
    """Ranges of `text` (characters) that hold a word of the query at the beginning of a word; case is ignored."""
    words = sorted({w for w in _WORD.findall(query.lower()) if (w not in _COMMON and len(w) > 1) or _is_cjk(w)},
                   key=len, reverse=True)
    if not words:
        return ()
    starts = "|".join(re.escape(w) if _is_cjk(w) else rf"\b{re.escape(w)}\w*" for w in words)
    return tuple(found.span() for found in re.finditer(starts, text, re.IGNORECASE))


def _is_cjk(word: str) -> bool:
    return bool(re.match(rf"[{_CJK}]", word))
