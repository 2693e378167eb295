"""The documents of a chunk table, laid out once: an uncompressed Arrow file that all workers map.

`lay_out_documents` streams the document table into two files of the cache: the texts with their marks (see
`text.slicing`), and the sorted ids. A worker maps both; nothing is read before it is asked for, and the pages are
shared by all workers.
"""

from __future__ import annotations

import mmap
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from workbench.core.errors import UsageError
from workbench.core.units import Columns
from workbench.sources import columns as cols
from workbench.sources import files
from workbench.text import slicing

Ints = NDArray[np.int64]

VERSION = "1"  # of the layout; part of the file name
OK, NULL_TEXT, BAD_UTF8 = 0, 1, 2
UNKNOWN, AMBIGUOUS = -1, -2
_BATCH_BYTES = 16 << 20
_LAYOUT = pa.schema(
    [
        ("text", pa.large_string()),
        ("title", pa.large_string()),
        ("state", pa.int8()),
        ("chars", pa.int64()),
        ("marks", pa.large_list(pa.uint32())),
    ]
)
_IDS = pa.schema([("id", pa.large_string()), ("row", pa.int64())])


@dataclass(frozen=True, slots=True)
class DocumentTable:
    """The document table as given: files, the columns that matter, and what a person should know of them."""

    paths: tuple[Path, ...]
    doc_id: str
    text: str
    title: str | None
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Stem of the layout's files, fixed by the content of the tables."""
        prints = [files.parquet_print(path) for path in self.paths]
        return "documents-" + files.combined([VERSION, self.doc_id, self.text, self.title or "", *prints])[:20]


def find_documents(paths: Sequence[Path], wanted: Columns) -> DocumentTable:
    """Look the columns of the document table up. Raises UsageError when one is missing or of the wrong type."""
    where = str(paths[0])
    schema = files.open_parquet(paths[0]).schema_arrow
    names = schema.names
    chosen = wanted.doc_id if wanted.doc_id in names else ""
    doc_id = cols.find(names, "doc_id", chosen, where, required=True, usual=(*cols.USUAL["doc_id"], "id", "_id"))
    text = cols.find(names, "text", wanted.text, where, required=True)
    notes: list[str] = []
    title = cols.fitting(schema, "title", wanted.title if wanted.title in names else "", where, notes)
    assert doc_id is not None and text is not None
    for path in paths:
        found = files.open_parquet(path).schema_arrow
        for role, name in (("doc_id", doc_id), ("text", text)):
            cols.find(found.names, role, name, str(path), required=True)
        cols.require(found.field(text).type, text, cols.is_text(found.field(text).type), "text", str(path))
        cols.require(found.field(doc_id).type, doc_id, cols.is_id(found.field(doc_id).type), "ids", str(path))
        if title in found.names and not cols.is_title(found.field(title).type):
            raise UsageError(f"column {title!r} cannot be titles here", where=str(path))
    return DocumentTable(tuple(paths), doc_id, text, title, tuple(notes))


def lay_out_documents(table: DocumentTable, cache: Path) -> tuple[str, ...]:
    """Make the layout of `table` in `cache` unless it is there. Returns notes for people.

    Raises:
        UsageError: not enough room, or the cache cannot be written.
    """
    texts, ids = _paths(cache, table.name)
    nbytes = sum(_text_bytes(path, table.text) for path in table.paths)
    found: list[pa.Array] = []
    files.lay_out(texts, int(nbytes * 1.05), lambda staged: _write_texts(table, staged))
    if not ids.is_file():
        found = [cols.as_ids(batch.column(0)) for path in table.paths for batch in _ids(path, table.doc_id)]
        files.lay_out(ids, sum(a.nbytes for a in found), lambda staged: _write_ids(found, texts, staged))
    with pa.memory_map(str(ids)) as source:
        notes = (pa.ipc.open_file(source).schema.metadata or {}).get(b"notes", b"").decode("utf-8")
    return tuple(note for note in notes.split("\n") if note)


def _paths(cache: Path, name: str) -> tuple[Path, Path]:
    return cache / f"{name}.arrow", cache / f"{name}.ids.arrow"


def _text_bytes(path: Path, column: str) -> int:
    metadata = files.open_parquet(path).metadata
    index = next(i for i in range(metadata.num_columns) if metadata.schema.column(i).path == column)
    groups = (metadata.row_group(number).column(index) for number in range(metadata.num_row_groups))
    return sum(group.total_uncompressed_size for group in groups)


def _ids(path: Path, column: str) -> Iterator[pa.RecordBatch]:
    yield from files.open_parquet(path).iter_batches(batch_size=65_536, columns=[column], use_threads=False)


def _write_texts(table: DocumentTable, staged: Path) -> None:
    wanted = [name for name in (table.text, table.title) if name is not None]
    with pa.OSFile(str(staged), "wb") as sink, pa.ipc.new_file(sink, _LAYOUT) as writer:
        for path in table.paths:
            reader = files.open_parquet(path)
            names = set(reader.schema_arrow.names)
            average = _text_bytes(path, table.text) // max(1, reader.metadata.num_rows)
            rows = int(np.clip(_BATCH_BYTES // max(1, average), 1, 65_536))
            for batch in reader.iter_batches(rows, columns=[n for n in wanted if n in names], use_threads=False):
                writer.write_batch(_laid_out(batch, table))


def _laid_out(batch: pa.RecordBatch, table: DocumentTable) -> pa.RecordBatch:
    raw = cols.as_bytes(batch.column(table.text))
    text, bad = cols.valid_text(raw)
    text = pa.concat_arrays([text, pa.array([], pa.large_string())]) if text.offset else text
    state = raw.is_null().to_numpy(zero_copy_only=False).astype(np.int8) * NULL_TEXT
    state[bad] = BAD_UTF8
    offsets, data = slicing.string_parts(text)
    first = int(offsets[0])
    marked = slicing.mark(data[first : int(offsets[-1])], offsets - first)
    title = pa.nulls(len(text), pa.large_string())
    if table.title is not None and table.title in batch.schema.names:
        title = cols.as_plain_string(batch.column(table.title)).cast(pa.large_string())
    marks = pa.LargeListArray.from_arrays(pa.array(marked.mark_offsets), pa.array(marked.marks))
    return pa.record_batch([text, title, pa.array(state), pa.array(marked.chars), marks], schema=_LAYOUT)


def _write_ids(found: Sequence[pa.Array], texts: Path, staged: Path) -> None:
    ids = pa.concat_arrays(found) if found else pa.array([], pa.large_string())
    order = pc.array_sort_indices(ids)  # stable, nulls last
    missing = ids.null_count
    order = order.slice(0, len(ids) - missing)
    ordered = ids.take(order)
    rows = order.to_numpy(zero_copy_only=False).astype(np.int64)
    notes = [f"{missing} documents without an id are left out"] if missing else []
    if len(rows) > 1:
        same = pc.equal(ordered.slice(1), ordered.slice(0, len(ordered) - 1)).to_numpy(zero_copy_only=False)
        keep, rows, repeated = _settle(texts, rows, same)
        ordered = ordered.filter(pa.array(keep))
        if repeated:
            notes.append(
                f"{repeated} document ids occur more than once; where their texts differ, their chunks are rejected"
            )
    schema = _IDS.with_metadata({"notes": "\n".join(notes)})
    with pa.OSFile(str(staged), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        writer.write_batch(pa.record_batch([ordered, pa.array(rows)], schema=schema))


def _settle(texts: Path, rows: Ints, same: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], Ints, int]:
    """Keep one row of each id; the row becomes AMBIGUOUS where rows of one id have different texts."""
    keep = np.concatenate(([True], ~same))
    rows = rows.copy()
    repeats = np.flatnonzero(~keep)
    if len(repeats):
        store = _Texts(texts)
        heads = np.maximum.accumulate(np.where(keep, np.arange(len(keep)), 0))
        first = {int(head): int(rows[head]) for head in heads[repeats]}
        for at in repeats:
            if store.bytes_of(first[int(heads[at])]) != store.bytes_of(int(rows[at])):
                rows[heads[at]] = AMBIGUOUS
        return keep, rows[keep], len(first)
    return keep, rows, 0


class _Texts:
    """The mapped texts, batch by batch."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:  # mapped by hand: Arrow's own map cannot be let go of
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._reader = pa.ipc.open_file(pa.py_buffer(self._map))
        batches = [self._reader.get_batch(number) for number in range(self._reader.num_record_batches)]
        self.batches = batches
        self.firsts = np.concatenate(([0], np.cumsum([batch.num_rows for batch in batches]))).astype(np.int64)
        self._documents: dict[int, slicing.Documents] = {}

    def documents(self, batch: int) -> slicing.Documents:
        """Batch as slicing wants it; numpy views of the map, kept once made."""
        found = self._documents.get(batch)
        if found is None:
            record = self.batches[batch]
            marks = record.column("marks")
            offsets, data = slicing.string_parts(record.column("text"))
            found = slicing.Documents(
                data, offsets, record.column("chars").to_numpy(), marks.values.to_numpy(),
                np.frombuffer(marks.buffers()[1], dtype=np.int64)[: len(marks) + 1],
            )
            self._documents[batch] = found
        return found

    def let_go(self) -> None:
        """Give back the pages read so far, or the whole corpus would come to count as this process's memory.

        They stay in the system's cache and are mapped again when asked for. Windows trims mapped pages by itself.
        """
        if sys.platform != "win32":
            self._map.madvise(mmap.MADV_DONTNEED)

    def batch_of(self, rows: Ints) -> Ints:
        """Batch each row (≥ 0) lies in."""
        batch: Ints = np.searchsorted(self.firsts, rows, side="right") - 1
        return batch

    def bytes_of(self, row: int) -> bytes | None:
        batch = int(self.batch_of(np.array([row]))[0])
        text = self.batches[batch].column("text")[row - int(self.firsts[batch])]
        return bytes(text.as_buffer()) if text.is_valid else None


class DocumentStore(_Texts):
    """The mapped documents of a chunk table: rows by id, texts and titles by row."""

    def __init__(self, cache: Path, name: str) -> None:
        texts, ids = _paths(cache, name)
        for path in (texts, ids):
            files.require_file(path)
        super().__init__(texts)
        table = pa.ipc.open_file(pa.memory_map(str(ids))).get_batch(0)
        self._ids = table.column("id")
        self._rows: Ints = table.column("row").to_numpy()

    def find(self, ids: pa.Array) -> Ints:
        """Rows of document ids (large_string): int64, UNKNOWN or AMBIGUOUS where there is none.

        A binary search for all of them at once, so that no table of ids is built in memory.
        """
        count = len(self._rows)
        if count == 0:
            return np.full(len(ids), UNKNOWN, dtype=np.int64)
        low, high = np.zeros(len(ids), dtype=np.int64), np.full(len(ids), count - 1, dtype=np.int64)
        for _ in range(count.bit_length()):
            middle = (low + high) // 2
            less = pc.less(self._ids.take(pa.array(middle)), ids).to_numpy(zero_copy_only=False)
            low, high = np.where(less, np.minimum(middle + 1, count - 1), low), np.where(less, high, middle)
        equal = pc.equal(self._ids.take(pa.array(low)), ids).to_numpy(zero_copy_only=False)
        return np.where(equal, self._rows[low], UNKNOWN)

    def column(self, name: str, rows: Ints) -> pa.Array:
        """Values of column `title` or `state` at rows ≥ 0, in the order given."""
        if not len(rows):
            return pa.array([], _LAYOUT.field(name).type)
        batch = self.batch_of(rows)
        order = np.argsort(batch, kind="stable")
        used, begins = np.unique(batch[order], return_index=True)
        pieces = [
            self.batches[int(number)].column(name).take(pa.array(part - self.firsts[number]))
            for number, part in zip(used, np.split(rows[order], begins[1:]), strict=True)
        ]
        return pa.concat_arrays(pieces).take(pa.array(np.argsort(order, kind="stable")))
