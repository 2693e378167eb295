"""From a unit to packed batches, inside a worker: read, join, tokenise, pack, stage the text part."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from workbench.collection.changes import KEPT, REUSED, Known, Sorted
from workbench.collection.gaps import with_gaps
from workbench.collection.shards import write_chunks
from workbench.core.activity import Activity, Counter
from workbench.core.units import SourceSpec
from workbench.encoders.base import Int32, ModelSpec
from workbench.engine import wire
from workbench.sources.registry import open_source
from workbench.telemetry.board import BoardRow
from workbench.text.joining import join
from workbench.text.tokenising import Tokeniser, Tokens

Rows = NDArray[np.intp]

#: Texts tokenised between two looks at the pipe (some tens of milliseconds).
_STEP = 256


@dataclass(frozen=True, slots=True)
class PreparedUnit:
    """A unit ready to be handed over: its tokens and how they are packed (row numbers per batch)."""

    summary: wire.UnitPrepared
    tokens: Tokens
    batches: Sequence[Rows]
    #: Row of the unit of each row of tokens: all of them, but for what the collection has already.
    rows: Rows
    #: UTF-8 of each row of tokens, where the encoder wants texts; else empty.
    texts: Sequence[bytes] = ()

    def texts_of(self, rows: Rows) -> list[bytes]:
        """Texts of one batch, in the order of its rows; empty where the encoder takes tokens."""
        return [self.texts[row] for row in rows.tolist()] if self.texts else []

    def gather(self, rows: Rows) -> tuple[Int32, Int32, Int32]:
        """ids [tokens], lengths [rows], positions [rows] of one batch, rows in the order given."""
        offsets, lengths = self.tokens.offsets, self.tokens.lengths[rows]
        starts = offsets[rows]
        total = int(lengths.sum())
        # Index of every token: the row's start repeated, plus 0, 1, 2 … inside the row.
        ends = np.cumsum(lengths)
        index = np.arange(total, dtype=np.int64) + np.repeat(starts - (ends - lengths), lengths)
        return self.tokens.ids[index], lengths.astype(np.int32), self.rows[rows].astype(np.int32)


class Preparer:
    """Prepares units one after another; holds the open source and the tokenizer."""

    def __init__(
        self, source: SourceSpec, model: ModelSpec, staging: Path, compression: str, meter: BoardRow,
        pump: Callable[[], None] = lambda: None, known: str = "", text_bytes: int = 0,
    ) -> None:
        """`pump` is called between steps, so that the batches of the unit before can go out meanwhile.

        `known`: folder of `changes.write_known`: rows the collection has are left where they are.
        `text_bytes`: most bytes of text in a batch; 0 = any number.
        """
        self._text_bytes = text_bytes
        self._known_folder = known
        self._tokeniser = Tokeniser(model)
        self._source = open_source(source, self._tokeniser.spans)
        self._model = model
        self._staging = staging
        self._compression = compression
        self._meter = meter
        self._pump = pump

    def prepare(
        self, lease: wire.Lease, tell_rows: Callable[[int], None],
        pack: Callable[[NDArray[np.int32]], list[Rows]],
    ) -> PreparedUnit:
        """Read, tokenise and pack a unit; its text part and rejects are in staging afterwards.

        `tell_rows` is told the number of rows before anything may crash on one; `pack` gets the rows' lengths
        (int32 [rows]) and says which rows make a batch.
        """
        self._meter.put(Counter.CURRENT_UNIT, lease.unit.number)
        chunks, rejects = self._read(lease)
        tell_rows(chunks.num_rows)
        texts = self._texts(chunks)
        hashes = _hashes(texts)
        stem = f"{lease.unit.number:08d}.{lease.key.attempt}"
        sorted_rows = self._sort(chunks, hashes, stem) if self._known_folder else None
        if sorted_rows is not None:
            rest = sorted_rows.rest
            chunks = with_gaps(chunks.take(pa.array(rest)), rest, chunks.num_rows)
            hashes = [hashes[row] for row in rest.tolist()]
            texts = [texts[row] for row in rest.tolist()]
        new = np.arange(len(texts)) if sorted_rows is None else np.flatnonzero(sorted_rows.reused < 0)
        texts = [texts[row] for row in new.tolist()]
        tokens = self._tokenise(texts)
        sent = self._sent(texts, tokens)
        chunks_file = self._staging / f"{stem}.chunks.parquet"
        rejects_file = self._staging / f"{stem}.rejects.parquet"
        with self._meter.doing(Activity.WRITE):
            self._stage(chunks, hashes, chunks_file)
            if rejects.num_rows:
                write_chunks(rejects, rejects_file, self._compression)
        total = int(tokens.lengths.sum())
        self._meter.add(Counter.PREPARED_TOKENS, total)
        batches = fitting(pack(tokens.lengths), sent, self._text_bytes)
        self._meter.add(Counter.UNITS, 1)
        self._meter.add(Counter.REJECTS, rejects.num_rows)
        self._meter.put(Counter.CURRENT_UNIT, -1)
        return PreparedUnit(
            wire.UnitPrepared(
                lease.key, chunks.num_rows, rejects.num_rows, len(batches), total,
                chunks_file.name, rejects_file.name if rejects.num_rows else "",
                f"{stem}{REUSED}" if sorted_rows is not None else "",
            ),
            tokens,
            batches,
            new,
            sent,
        )

    def probe(self, lease: wire.Lease) -> None:
        """Do to rows [begin, end) of a unit everything that may crash on a row, and hand nothing over."""
        assert lease.probe is not None
        self._meter.put(Counter.CURRENT_UNIT, lease.unit.number)
        begin, end = lease.probe
        chunks, _ = self._read(lease)
        self._tokenise(self._texts(chunks.slice(begin, end - begin)))
        self._meter.put(Counter.CURRENT_UNIT, -1)

    def count_batch(self, batch: wire.Batch) -> None:
        """Book a batch that goes out."""
        self._meter.add(Counter.ROWS, batch.rows)
        self._meter.add(Counter.TOKENS, batch.tokens)
        self._meter.add(Counter.PADDED_TOKENS, batch.padded)
        self._meter.add(Counter.BATCHES, 1)

    def _read(self, lease: wire.Lease) -> tuple[pa.Table, pa.Table]:
        with self._meter.doing(Activity.READ):
            rows = self._source.read(lease.unit, self._meter)
        self._meter.add(Counter.BYTES_READ, rows.nbytes)
        return rows.chunks, rows.rejects

    def _texts(self, chunks: pa.Table) -> list[str]:
        with self._meter.doing(Activity.SLICE):
            return join(chunks.column("title"), chunks.column("text"), self._model.template)

    def _tokenise(self, texts: list[str]) -> Tokens:
        parts = []
        for begin in range(0, len(texts), _STEP):
            with self._meter.doing(Activity.TOKENISE):
                parts.append(
                    self._tokeniser.encode(texts[begin : begin + _STEP], self._model.document_prefix)
                )
            self._pump()
        return Tokens(
            np.concatenate([part.ids for part in parts]) if parts else np.zeros(0, np.int32),
            np.concatenate([part.lengths for part in parts]) if parts else np.zeros(0, np.int32),
        )

    def _sent(self, texts: list[str], tokens: Tokens) -> list[bytes]:
        """What is sent of each text to an encoder that tokenises itself."""
        if self._model.payload != "text":
            return []
        with self._meter.doing(Activity.TOKENISE):
            whole = self._tokeniser.kept(texts, tokens.lengths, self._model.document_prefix)
            return [_cut(text.encode("utf-8", "replace"), self._text_bytes) for text in whole]

    @cached_property
    def _known(self) -> Known:
        """Written while this process comes up, and there before the first unit is."""
        return Known(Path(self._known_folder))

    def _sort(self, chunks: pa.Table, hashes: list[bytes], stem: str) -> Sorted:
        """Tell apart what is new; what is not is noted in staging."""
        with self._meter.doing(Activity.SLICE):
            found = self._known.sort(chunks, hashes)
        np.save(self._staging / f"{stem}{KEPT}", found.kept)
        np.save(self._staging / f"{stem}{REUSED}", found.reused)
        return found

    def _stage(self, chunks: pa.Table, hashes: list[bytes], path: Path) -> None:
        column = pa.array(hashes, type=pa.binary(16))
        write_chunks(chunks.append_column("content_hash", column), path, self._compression)


def _cut(text: bytes, most: int) -> bytes:
    """UTF-8 of at most so many bytes, between two characters; 0 = any number."""
    return text[:most].decode(errors="ignore").encode() if 0 < most < len(text) else text


def fitting(batches: Sequence[Rows], texts: Sequence[bytes], most: int) -> Sequence[Rows]:
    """Batches cut in two until the texts of each have at most `most` bytes (0 = any number)."""
    if not texts or not most:
        return batches
    found: list[Rows] = []
    left = list(reversed(batches))
    while left:
        rows = left.pop()
        if len(rows) > 1 and sum(len(texts[row]) for row in rows.tolist()) > most:
            left += [rows[len(rows) // 2 :], rows[: len(rows) // 2]]
        else:
            found.append(rows)
    return found


def _hashes(texts: list[str]) -> list[bytes]:
    """Content hash of each text, as embedded."""
    return [hashlib.blake2b(text.encode(), digest_size=16).digest() for text in texts]
