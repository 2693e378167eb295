"""From rows found to hits shown: texts, folding of equal chunks, neighbours, snippets."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from workbench.collection.shards import CONTENT_HASH
from workbench.search.part import Part, Row
from workbench.search.snippets import Snippets, Stems
from workbench.search.values import Hit
from workbench.text.words import spread

#: Columns of a chunk that are fields of a `Hit`; the others are the user's own.
_FIELDS = ("chunk_id", "doc_id", "title", "text", "place")


Key = tuple[int, int]  # position of the collection, ordinal


@dataclass(frozen=True, slots=True)
class Found:
    """A row and the collection (position among those searched) it is in."""

    part: int
    row: Row

    @property
    def key(self) -> Key:
        return self.part, self.row.ordinal


@dataclass(slots=True)
class Choice:
    """Which of the rows found become hits.

    Attributes:
        chosen: best first. rows: their content. folded: ids of chunks of equal content, by row.
        distinct: how many of `chosen` differ in content.
    """

    chosen: list[Found]
    rows: dict[Key, dict[str, Any]]
    folded: dict[Key, list[str]]
    distinct: int


class Hits:
    """Makes hits of the rows of some open collections; `stems`: kept from query to query."""

    def __init__(self, parts: Sequence[Part], stems: Stems) -> None:
        self._parts = parts
        self._seen = stems

    def bare(self, found: Sequence[Found]) -> list[Hit]:
        """Hits with nothing but their ids."""
        rows: dict[Key, tuple[str, str]] = {}
        for place, part in enumerate(self._parts):
            ordinals = [one.row.ordinal for one in found if one.part == place]
            ids = (part.filters.column(name).take(pa.array(ordinals, pa.int64())) for name in ("chunk_id", "doc_id"))
            chunks, docs = (column.to_pylist() for column in ids)
            rows.update({(place, n): (chunk, doc) for n, chunk, doc in zip(ordinals, chunks, docs, strict=True)})
        return [
            Hit(rank, one.row.score, *rows[one.key], title="", text="", place="", metadata={}, collection="", shard="",
                row=-1, dense=one.row.dense, lexical=one.row.lexical)
            for rank, one in enumerate(found, 1)
        ]

    def choose(self, found: Sequence[Found], k: int, *, fold: bool) -> Choice:
        """k of what was found, read; with `fold` one for each content, as far as there are enough.

        When fewer than k are distinct the best of the others fill up, and are not folded: with k matches there are
        k hits.
        """
        choice = Choice([], {}, {}, 0)
        first: dict[object, Found] = {}
        doubles: list[tuple[Found, Found]] = []
        place = 0
        while len(first) < k and place < len(found):
            block = found[place : place + k - len(first)]
            place += len(block)
            choice.rows.update(self._read(block))
            for one in block:
                row = choice.rows[one.key]
                content = (row.get(CONTENT_HASH) or (row.get("title"), row.get("text"))) if fold else one.key
                same = first.setdefault(content, one)
                if same is not one:
                    doubles.append((one, same))
        choice.distinct = len(first)
        left = k - len(first)
        for one, same in doubles[left:]:
            choice.folded.setdefault(same.key, []).append(str(choice.rows[one.key].get("chunk_id")))
        shown = [*first.values(), *(one for one, _ in doubles[:left])]
        choice.chosen = sorted(shown, key=lambda one: -one.row.score)
        return choice

    def of(self, choice: Choice, words: str, neighbours: int) -> list[Hit]:
        """The hits of a choice. `words`: what to mark."""
        stems = self._seen.of(spread(words))
        makers = [self._snippets(part, stems) for part in self._parts]
        hits = []
        for rank, one in enumerate(choice.chosen, 1):
            hit = self._hit(rank, one, choice.rows[one.key], makers[one.part])
            hit = replace(hit, duplicates=tuple(choice.folded.get(one.key, ())))
            hits.append(self._with_neighbours(hit, one, neighbours) if neighbours else hit)
        return hits

    def _snippets(self, part: Part, stems: list[str]) -> Snippets:
        """Words in more than half of all chunks say nothing about a match, and are not marked."""
        weights = part.text.weights(stems) if part.text is not None else {}
        telling = [stem for stem in stems if weights.get(stem, 1.0) > math.log(2)]
        return Snippets(telling or stems, weights, self._seen)

    def _read(self, found: Sequence[Found]) -> dict[Key, dict[str, Any]]:
        """The rows of what was found, one read for each collection."""
        rows: dict[Key, dict[str, Any]] = {}
        for place, part in enumerate(self._parts):
            ordinals = [one.row.ordinal for one in found if one.part == place]
            if ordinals:
                read = part.collection.rows(ordinals, part.columns).to_pylist()
                rows.update({(place, ordinal): row for ordinal, row in zip(ordinals, read, strict=True)})
        return rows

    def _hit(self, rank: int, found: Found, row: Mapping[str, Any], snippets: Snippets) -> Hit:
        collection = self._parts[found.part].collection
        shard = int(np.searchsorted(collection.starts, found.row.ordinal, side="right")) - 1
        snippet = snippets.of(row.get("text") or "")
        return Hit(
            rank=rank,
            score=found.row.score,
            chunk_id=row.get("chunk_id") or "",
            doc_id=row.get("doc_id") or "",
            title=row.get("title") or "",
            text=row.get("text") or "",
            place=row.get("place") or "",
            metadata={name: value for name, value in row.items() if name not in (*_FIELDS, CONTENT_HASH)},
            collection=str(collection.path),
            shard=collection.shards[shard].chunks.name,
            row=found.row.ordinal - int(collection.starts[shard]),
            snippet=snippet.text,
            marks=snippet.marks,
            dense=found.row.dense,
            lexical=found.row.lexical,
        )

    def _with_neighbours(self, hit: Hit, found: Found, count: int) -> Hit:
        part = self._parts[found.part]
        sides: list[list[str]] = []
        for step in (-1, 1):
            texts: list[str] = []
            ordinal: int | None = found.row.ordinal
            while len(texts) < count and ordinal is not None:
                ordinal = part.next_to(ordinal, step)
                if ordinal is None:
                    break
                row = part.collection.rows([ordinal], part.columns).to_pylist()[0]
                if row.get("doc_id") != hit.doc_id:
                    break
                texts.append(row.get("text") or "")
            sides.append(texts)
        return replace(hit, before=tuple(reversed(sides[0])), after=tuple(sides[1]))

