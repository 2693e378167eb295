"""The lexical index (tantivy, BM25), derived from the shards. A generation is a folder that never changes.

A document of the index is a chunk; its key is `shard number << 32 | row`. Shards never change and their numbers
are never used twice, so keys stay right from one generation to the next: extending copies the files of the old
generation beside it and adds the new shards. Deleted rows and shards are left out when searching.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tantivy
from numpy.typing import NDArray

from workbench.collection import text_copy
from workbench.collection.manifest import CollectionDamaged, Derived, FileEntry, Manifest
from workbench.collection.reader import Collection
from workbench.text.words import spread

ROLE, FOLDER = "text", "text"
#: Changes when words are made in another way, so that an older index is built anew.
ANALYSER = "pairs+simple+lower+fold+english:1"
#: Few allowed rows are looked up by key; more are found by asking for more hits and leaving out the rest. Looking up
#: a row takes as long as going through so many hits (measured on 350,000 chunks).
_HITS_PER_KEY = 20
_OVERSHOOT = 1.3
_LONGEST_WORD = 64  # bytes

Keys = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Lexical:
    """Rows that a lexical search found, best first: BM25 scores float32 [n] and ordinals int64 [n].

    `complete`: no other row of the index that may be found has any of the words.
    """

    scores: NDArray[np.float32]
    ordinals: NDArray[np.int64]
    complete: bool = False

    def cut(self, k: int) -> Lexical:
        """The best k of them."""
        return Lexical(self.scores[:k], self.ordinals[:k], self.complete and len(self.ordinals) <= k)


def is_current(manifest: Manifest) -> bool:
    """There is a text index of this program's making that covers every shard."""
    part = manifest.derivative(ROLE)
    return part is not None and usable(part) and {shard.number for shard in manifest.shards} <= set(part.shards)


class TextIndex:
    """An open generation of the lexical index of one open collection; any thread may search.

    Attributes:
        rows: in the index; deleted ones, and those of shards that are gone, included.
        missing: rows of the collection that can be found and are of shards the index does not cover.

    Raises:
        CollectionDamaged: a file is missing, cut short, or may not be read.
    """

    def __init__(self, collection: Collection, part: Derived) -> None:
        self._index = _opened(collection.path, part.files)
        self._analyser = analyser()
        self._searcher = self._index.searcher()
        numbers = np.array([shard.number for shard in collection.shards], np.int64)
        self._order = np.argsort(numbers)
        self._numbers = numbers[self._order]
        self._starts, self._collection = collection.starts, collection
        covered = np.isin(numbers, part.shards)
        sizes = np.diff(collection.starts)
        self._held = int(sizes[covered].sum())
        self._holds: NDArray[np.bool_] | None = None if covered.all() else np.repeat(covered, sizes)
        self.missing = sum(s.rows - s.deleted for s, is_in in zip(collection.shards, covered, strict=True) if not is_in)
        self.rows = int(self._searcher.num_docs)

    def holds(self, ordinals: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of some rows are of shards the index covers."""
        return np.ones(len(ordinals), np.bool_) if self._holds is None else self._holds[ordinals]

    def words(self, text: str) -> list[str]:
        """The words (stems) a text is searched by."""
        return [str(word) for word in self._analyser.analyze(spread(text))]

    def weights(self, words: Iterable[str]) -> dict[str, float]:
        """How much each word tells: ln(1 + (N − n + ½)/(n + ½)) for a word in n of N chunks, as in BM25."""
        count = self.rows
        found = {word: self._searcher.doc_freq("body", word) for word in dict.fromkeys(words)}
        return {word: math.log(1 + (count - n + 0.5) / (n + 0.5)) for word, n in found.items()}

    def search(
        self, text: str, k: int, allowed: NDArray[np.bool_] | None = None, *, enough: int | None = None
    ) -> Lexical:
        """The best k rows by BM25 (k1 = 1.2, b = 0.75).

        Words in more than half of all chunks are left out unless there are no others: their weight in the
        original formula is negative (Robertson & Spärck Jones 1976), and they cost most of the time.

        Args:
            allowed: [ordinals] rows that may be found; None = all.
            enough: under a filter fewer than k, but not fewer than this, may be returned, and more than k where
                they had to be looked at anyway; None = k.
        """
        query = self._query(text)
        if allowed is not None and self._holds is not None:
            allowed = allowed & self._holds  # rows that are not there are not waited for
        ordinals = None if allowed is None else np.flatnonzero(allowed)
        wanted = self._held if ordinals is None else len(ordinals)
        if query is None or not wanted:
            return Lexical(np.zeros(0, np.float32), np.zeros(0, np.int64), complete=True)
        k = min(k, self.rows)
        # Rows that are not allowed, and those of shards that are gone, are among the best too.
        limit = k if wanted == self.rows else math.ceil(k * _OVERSHOOT * self.rows / wanted)
        if ordinals is not None and wanted * _HITS_PER_KEY <= limit:
            every = self._top(self._among(query, ordinals), allowed, wanted + 1)
            return every.cut(k) if enough is None else every
        while True:
            found = self._top(query, allowed, limit)
            if found.complete or len(found.ordinals) >= min(k, k if enough is None else enough):
                return found.cut(k)
            limit *= 4

    def scores(self, text: str, ordinals: NDArray[np.int64]) -> NDArray[np.float32]:
        """BM25 scores float32 [n] of given rows, 0 where no word is found."""
        found = np.zeros(len(ordinals), np.float32)
        query = self._query(text)
        if query is None or not len(ordinals):
            return found
        hits = self._top(self._among(query, ordinals), None, len(ordinals))
        place = {int(ordinal): score for ordinal, score in zip(hits.ordinals, hits.scores, strict=True)}
        return np.array([place.get(int(ordinal), 0.0) for ordinal in ordinals], np.float32)

    def information(self, text: str) -> float:
        """Sum of the weights of a text's words, each as often as it occurs."""
        words = self.words(text)
        weights = self.weights(words)
        return sum(weights[word] for word in words)

    def _query(self, text: str) -> Any:
        words = self.words(text)
        half = self.rows / 2
        kept = [word for word in words if 0 < self._searcher.doc_freq("body", word) <= half] or words
        clauses = [(tantivy.Occur.Should, self._term(word)) for word in kept]
        return tantivy.Query.boolean_query(clauses) if clauses else None

    def _term(self, word: str) -> Any:
        return tantivy.Query.term_query(self._index.schema, "body", word, index_option="freq")

    def _among(self, query: Any, ordinals: NDArray[np.int64]) -> Any:
        """The query, restricted to a few rows; the restriction adds nothing to the score."""
        place = np.searchsorted(self._starts, ordinals, side="right") - 1
        numbers = np.array([shard.number for shard in self._collection.shards], np.int64)[place]
        keys = (numbers << 32) | (ordinals - self._starts[place])
        chosen = tantivy.Query.term_set_query(self._index.schema, "key", keys.tolist())
        must = tantivy.Occur.Must
        return tantivy.Query.boolean_query([(must, tantivy.Query.const_score_query(chosen, 0.0)), (must, query)])

    def _top(self, query: Any, allowed: NDArray[np.bool_] | None, limit: int) -> Lexical:
        """The allowed ones among the best `limit` rows."""
        limit = max(1, min(limit, self.rows))  # the engine makes room for `limit` hits before it looks
        hits = self._searcher.search(query, limit, count=False).hits
        if not hits:
            return Lexical(np.zeros(0, np.float32), np.zeros(0, np.int64), complete=True)
        found, addresses = zip(*hits, strict=True)
        scores = np.fromiter(found, np.float32, len(found))
        keys = self._searcher.fast_field_values("key", list(addresses))
        ordinals = self._ordinals(np.fromiter(keys, np.uint64, len(keys)))
        keep = ordinals >= 0
        if allowed is not None:
            keep[keep] = allowed[ordinals[keep]]
        return Lexical(scores[keep], ordinals[keep], complete=len(hits) < limit or limit == self.rows)

    def _ordinals(self, keys: Keys) -> NDArray[np.int64]:
        """Ordinals of keys, −1 for rows of shards the collection does not hold (any more)."""
        if not len(self._numbers):
            return np.full(len(keys), -1, np.int64)
        numbers = (keys >> np.uint64(32)).astype(np.int64)
        place = np.minimum(np.searchsorted(self._numbers, numbers), len(self._numbers) - 1)
        rows = (keys & np.uint64(0xFFFFFFFF)).astype(np.int64)
        return np.where(self._numbers[place] == numbers, self._starts[self._order[place]] + rows, -1)


REBUILD = "`index --text` builds it again from the shards"


def _opened(root: Path, files: Sequence[FileEntry]) -> Any:
    """The tantivy index of a generation, or of a copy where this user may not write. Raises as `TextIndex`."""
    for entry in files:
        path = root / entry.name
        if not path.is_file():
            gone = path if path.parent.is_dir() else path.parent
            raise CollectionDamaged("the text index is missing", where=str(gone), remedy=REBUILD)
        if path.stat().st_size != entry.size:
            raise CollectionDamaged("the text index is damaged", where=str(path), remedy=REBUILD)
    try:
        try:
            return open_folder((root / files[0].name).parent)
        except (OSError, ValueError):
            if text_copy.refusal(root, files) is None:
                raise
        return open_folder(text_copy.copied(root, files))
    except OSError as error:
        what, where = f"the text index cannot be opened ({error.strerror or error})", error.filename or root
        remedy = "See to its permissions; `index --text --anew` builds one that others may read"
        raise CollectionDamaged(what, where=str(where), remedy=remedy) from error
    except ValueError as error:
        raise CollectionDamaged(f"the text index is damaged ({error})", where=str(root), remedy=REBUILD) from error


def open_text_index(collection: Collection) -> TextIndex | None:
    """The text index of a collection; None when it has none that can be used and holds rows of it.

    Rows committed since it was built are not in it (`TextIndex.missing`): a run extends it at its end.

    Raises:
        CollectionDamaged: there is one, but a file is missing or cut short.
    """
    part = collection.manifest.derivative(ROLE)
    if part is None or not usable(part) or {shard.number for shard in collection.shards}.isdisjoint(part.shards):
        return None
    return TextIndex(collection, part)


def usable(part: Derived) -> bool:
    """This program made it, with words as it makes them today."""
    return bool(part.files) and part.facts.get("analyser") == ANALYSER


def _schema() -> Any:
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("body", stored=False, tokenizer_name="words", index_option="freq")
    builder.add_unsigned_field("key", stored=False, indexed=True, fast=True)
    return builder.build()


def analyser() -> Any:
    """Makes words (stems) of a text: `analyse(spread(text))`."""
    kinds = tantivy.Filter
    builder = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
    for step in (kinds.remove_long(_LONGEST_WORD), kinds.lowercase(), kinds.ascii_fold(), kinds.stemmer("english")):
        builder = builder.filter(step)
    return builder.build()


def open_folder(folder: Path) -> Any:
    """The tantivy index in a folder; a new one when it is empty."""
    index = tantivy.Index(_schema(), path=str(folder))
    index.register_tokenizer("words", analyser())
    index.config_reader("Manual")  # a generation never changes: nothing to watch for
    return index
