"""Source of two parquet tables: documents, and chunks that point into them by character offsets.

Offsets count Unicode code points, `end` is the character after the chunk. Documents are laid out once and mapped
(see `documents`). A chunk is rejected, with the reason, when its document is unknown, ambiguous, without text or
not valid UTF-8 (so are surrogates written as UTF-8), or when its offsets are missing, reversed, empty or out of range.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from workbench.core.activity import Activity, Meter
from workbench.core.errors import UsageError
from workbench.core.memory import let_go
from workbench.core.throttle import Throttle
from workbench.core.units import Plan, SourceSpec, UnitSpec
from workbench.sources import columns as cols
from workbench.sources import cutting, documents, files
from workbench.sources.base import UnitRows
from workbench.sources.parquet import ForwardReader
from workbench.sources.rows import Rejects, unit_rows
from workbench.text import slicing

Ints = NDArray[np.int64]

_SAMPLED_GROUPS = 16
_REASONS = (
    "",
    "no doc_id",
    "unknown doc_id",
    "doc_id names several documents with different texts",
    "the document has no text",
    "the document is not valid UTF-8",
    "start or end is missing",
    "start or end is not a whole number",
    "start is negative",
    "end is before start",
    "empty: end equals start",
    "end is past the end of the document",
    "only white space",
)


@dataclass(frozen=True, slots=True)
class _Names:
    """The columns of the chunk table."""

    chunk_id: str | None
    doc_id: str
    title: str | None
    start: str
    end: str
    own: dict[str, str]
    notes: tuple[str, ...] = ()


class TablesSource:
    """See the module. Units are ranges of rows of a chunk file; extent = number of that file."""

    def __init__(self, spec: SourceSpec) -> None:
        self._spec = spec
        self._paths = [Path(path) for path in spec.paths]
        self._labels = files.labels(self._paths)
        self._readers: dict[int, tuple[ForwardReader, _Names]] = {}
        self._reading = -1  # the only chunk file that stays open: there may be more than a process may open
        self._table: documents.DocumentTable | None = None
        self._store: documents.DocumentStore | None = None
        self._throttle = Throttle(spec.read_bytes_per_second)

    def plan(self) -> Plan:
        """See `Source.plan`; lays the documents out in the cache."""
        readers = [self._closed(number) for number in range(len(self._paths))]
        notes = self._documents().notes + documents.lay_out_documents(self._documents(), Path(self._spec.cache))
        total = sum(sum(reader.rows) for reader, _ in readers)
        total = min(total, self._spec.limit or total)
        if total == 0:
            raise UsageError("the chunk table has no rows", where=str(self._paths[0]))
        units: list[UnitSpec] = []
        left = total
        for number, (reader, names) in enumerate(readers):
            stretches = cutting.limited(_stretches(reader, names), left) if left else []
            reader.close()
            left -= sum(stretch.rows for stretch in stretches)
            for start, stop, nbytes in cutting.cut(
                stretches, cutting.unit_rows(self._spec, total), self._spec.unit_bytes
            ):
                units.append(UnitSpec(len(units), str(number), start, stop, stop - start, nbytes))
        let_go()
        renames = {name: new for _, names in readers for name, new in names.own.items() if name != new}
        notes += tuple(dict.fromkeys(note for _, names in readers for note in names.notes))
        notes += tuple(f"column {name!r} is kept as {new!r}" for name, new in renames.items())
        identity = {
            "kind": "tables",
            "documents": self._documents().name,
            "chunks": files.combined([files.parquet_print(path) for path in self._paths]),
            "plan": cutting.plan_hash(self._spec, units),
        }
        return Plan(
            tuple(units), identity, total, sum(unit.nbytes for unit in units), self._paths[0].name, notes
        )

    def read(self, unit: UnitSpec, meter: Meter) -> UnitRows:
        """See `Source.read`."""
        number = int(unit.extent)
        with meter.doing(Activity.READ):
            reader, names = self._reader(number)
            if self._reading not in (-1, number):
                self._closed(self._reading)
            self._reading = number
            if self._store is None:
                self._store = documents.DocumentStore(Path(self._spec.cache), self._documents().name)
            table, nbytes = reader.read(unit.start, unit.stop)
            self._throttle.take(nbytes)
        with meter.doing(Activity.SLICE):
            rows = _Unit(table, names, self._store, self._labels[number], unit.start)
            result = rows.sliced(self._documents().paths[0].name, unit, nbytes)
            self._store.let_go()
        with meter.doing(Activity.READ):  # the sliced bytes were read too, through the map
            self._throttle.take(result.nbytes - nbytes)
        return result

    def _documents(self) -> documents.DocumentTable:
        if self._table is None:
            docs = Path(self._spec.docs)
            paths = sorted(docs.glob("*.parquet")) if docs.is_dir() else [docs]
            if not paths:
                raise UsageError("the folder has no .parquet file", where=str(docs))
            self._table = documents.find_documents(paths, self._spec.columns)
        return self._table

    def _closed(self, number: int) -> tuple[ForwardReader, _Names]:
        reader, names = self._reader(number)
        reader.close()
        return reader, names

    def _reader(self, number: int) -> tuple[ForwardReader, _Names]:
        if number not in self._readers:
            path = self._paths[number]
            reader = ForwardReader(path)
            self._readers[number] = reader, _names(reader.schema, self._spec, str(path))
        return self._readers[number]


def _names(schema: pa.Schema, spec: SourceSpec, where: str) -> _Names:
    wanted = spec.columns
    doc_id = cols.find(schema.names, "doc_id", wanted.doc_id, where, required=True)
    start = cols.find(schema.names, "start", wanted.start, where, required=True)
    end = cols.find(schema.names, "end", wanted.end, where, required=True)
    notes: list[str] = []
    chunk_id = cols.fitting(schema, "chunk_id", wanted.chunk_id, where, notes)
    title = cols.fitting(schema, "title", wanted.title if wanted.title in schema.names else "", where, notes)
    assert doc_id is not None and start is not None and end is not None
    cols.require(schema.field(doc_id).type, doc_id, cols.is_id(schema.field(doc_id).type), "ids", where)
    for name in (start, end):
        kind = schema.field(name).type
        good = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind)
        cols.require(kind, name, good, "whole numbers", where)
    own = [name for name in schema.names if name not in (chunk_id, doc_id, title, start, end)]
    return _Names(chunk_id, doc_id, title, start, end, cols.renamed(own), tuple(notes))


def _stretches(reader: ForwardReader, names: _Names) -> list[cutting.Stretch]:
    """Row groups with the characters their chunks hold, counted in up to 16 groups and estimated for the others."""
    groups = range(len(reader.rows))
    sampled = sorted({len(groups) * i // _SAMPLED_GROUPS for i in range(_SAMPLED_GROUPS)}) if groups else []
    counted: dict[int, int] = {}
    for group in sampled:
        total = 0
        for batch in reader.batches(group, [names.start, names.end]):
            sizes = _offsets(batch.column(names.end))[0] - _offsets(batch.column(names.start))[0]
            total += int(np.clip(sizes, 0, 1 << 32).sum())
        counted[group] = total
    rows = sum(reader.rows[group] for group in counted)
    average = sum(counted.values()) / max(1, rows)
    texts = [counted.get(group, int(average * reader.rows[group])) for group in groups]
    return [cutting.Stretch(*sizes) for sizes in zip(reader.rows, texts, reader.sizes, strict=True)]


def _offsets(column: pa.ChunkedArray | pa.Array) -> tuple[Ints, NDArray[np.bool_], NDArray[np.bool_]]:
    """An offset column as int64, and where it is missing, and where it is no whole number."""
    array = cols.plain(column)
    missing = array.is_null().to_numpy(zero_copy_only=False)
    if pa.types.is_integer(array.type) and array.type != pa.uint64():
        return pc.fill_null(array.cast(pa.int64()), 0).to_numpy(), missing, np.zeros_like(missing)
    values = pc.fill_null(array.cast(pa.float64(), safe=False), 0.0).to_numpy()
    missing |= np.isnan(values)
    whole = (np.floor(values) == values) & (np.abs(values) < 2**53)
    return np.where(whole, values, 0).astype(np.int64), missing, ~whole & ~missing


class _Unit:
    """One unit's rows on their way from offsets to text."""

    def __init__(
        self, table: pa.Table, names: _Names, store: documents.DocumentStore, label: str, first: int
    ) -> None:
        self._table, self._names, self._store, self._label = table, names, store, label
        self._numbers: Ints = np.arange(first, first + table.num_rows, dtype=np.int64)
        self._doc_ids = cols.as_ids(table.column(names.doc_id))
        self._rows = self._document_rows()
        start, end = _offsets(table.column(names.start)), _offsets(table.column(names.end))
        self._start, self._end = start[0], end[0]
        self._fault = np.zeros(table.num_rows, dtype=np.int8)
        self._find_faults(start[1] | end[1], start[2] | end[2])

    def sliced(self, docs: str, unit: UnitSpec, nbytes: int) -> UnitRows:
        """Good rows with their text, and the rejects."""
        good = np.flatnonzero(self._fault == 0)
        texts = self._texts(good)
        white = slicing.blank(texts)
        if white.any():
            self._fault[good[white]] = _REASONS.index("only white space")
            good, texts = good[~white], texts.filter(pa.array(~white))
        at = pa.array(good)
        doc_ids = self._doc_ids.take(at)
        span = [pa.array(values[good]) for values in (self._start, self._end)]
        place = cols.joined(f"{docs}#", doc_ids, "[", span[0], ":", span[1], "]")
        ours = [self._chunk_ids().take(at), doc_ids, self._titles(good, at), texts, place]
        own = {
            new: cols.plain(self._table.column(name)).take(at) for name, new in self._names.own.items()
        }
        total = nbytes + (slicing.string_parts(texts)[0][-1] if len(texts) else 0)
        return unit_rows(ours, own, self._numbers[good], self._rejects(), unit.skip, int(total))

    def _document_rows(self) -> Ints:
        coded = self._doc_ids.dictionary_encode()
        found = np.append(self._store.find(coded.dictionary), documents.UNKNOWN)
        codes = pc.fill_null(coded.indices, len(found) - 1).to_numpy(zero_copy_only=False)
        rows: Ints = found[codes]
        return rows

    def _find_faults(self, missing: NDArray[np.bool_], broken: NDArray[np.bool_]) -> None:
        known = self._rows >= 0
        rows = np.where(known, self._rows, 0)
        batch = self._store.batch_of(rows)
        chars, state = np.zeros(len(rows), dtype=np.int64), np.zeros(len(rows), dtype=np.int8)
        for number in np.unique(batch[known]):
            here = np.flatnonzero(known & (batch == number))
            local = rows[here] - self._store.firsts[number]
            chars[here] = self._store.documents(int(number)).chars[local]
            state[here] = self._store.batches[number].column("state").to_numpy()[local]
        faults = (
            self._doc_ids.is_null().to_numpy(zero_copy_only=False),
            self._rows == documents.UNKNOWN, self._rows == documents.AMBIGUOUS,
            state == documents.NULL_TEXT, state == documents.BAD_UTF8, missing, broken,
            self._start < 0, self._end < self._start, self._end == self._start, self._end > chars,
        )
        for number, fault in reversed(list(enumerate(faults, start=1))):  # the first that applies is told
            self._fault[fault] = number

    def _texts(self, good: Ints) -> pa.LargeStringArray:
        batch = self._store.batch_of(self._rows[good])
        begin, end, buffer = (np.zeros(len(good), dtype=np.int64) for _ in range(3))
        buffers: list[memoryview] = []
        for number in np.unique(batch):
            here = np.flatnonzero(batch == number)
            rows = good[here]
            found, local = self._store.documents(int(number)), self._rows[rows] - self._store.firsts[number]
            begin[here] = found.byte_offsets(local, self._start[rows])
            end[here] = found.byte_offsets(local, self._end[rows])
            buffer[here] = len(buffers)
            buffers.append(found.data.data)
        return slicing.gather(buffers, buffer, begin, end)

    def _chunk_ids(self) -> pa.Array:
        made = cols.joined(f"{self._label}#", pa.array(self._numbers))
        if self._names.chunk_id is None:
            return made
        return pc.coalesce(cols.as_ids(self._table.column(self._names.chunk_id)), made)

    def _titles(self, good: Ints, at: pa.Array) -> pa.Array:
        if self._names.title is not None:
            return cols.as_plain_string(self._table.column(self._names.title)).take(at)
        return pc.fill_null(self._store.column("title", self._rows[good]), "")

    def _rejects(self) -> Rejects:
        rejects = Rejects()
        bad = np.flatnonzero(self._fault)
        if len(bad):
            ids = self._chunk_ids().take(pa.array(bad)).to_pylist()
            doc_ids = self._doc_ids.take(pa.array(bad)).to_pylist()
            for at, chunk_id, doc_id in zip(bad.tolist(), ids, doc_ids, strict=True):
                detail = f"{self._label} row {self._numbers[at]}: start {self._start[at]}, end {self._end[at]}"
                rejects.add(int(self._numbers[at]), _REASONS[self._fault[at]], detail, chunk_id, doc_id)
        return rejects
