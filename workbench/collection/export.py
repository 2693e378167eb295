"""Taking a collection elsewhere: one parquet file, or a NumPy array with the ids beside it. Streamed."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from workbench.collection.durable import Disk, disk_errors
from workbench.collection.reader import Collection
from workbench.collection.tables import conform
from workbench.core.errors import RunFailed, UsageError

_FIRST = ["chunk_id", "doc_id", "title", "text"]

#: Attempts while a writer takes the files away that are being read (`compact`).
_ATTEMPTS = 3

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Exported:
    """`rows` of length `dim`, in `files` of `nbytes` together."""

    rows: int
    dim: int
    files: tuple[Path, ...]
    nbytes: int


def files_of(target: Path) -> tuple[Path, ...]:
    """The files that an export to `target` makes, `target` first."""
    return (target, target.with_suffix(".ids.jsonl")) if target.suffix.lower() == ".npy" else (target,)


def export_newest(path: Path, target: Path, progress: Progress | None = None) -> Exported:
    """`export` of the collection in a folder; again from the start where `compact` put other shards in place of those
    that were being read.

    Raises:
        UsageError, RunFailed: as `Collection.open` and `export`. RunFailed: a shard is damaged.
    """
    for attempt in range(_ATTEMPTS):
        with Collection.open(path) as collection:
            try:
                if collection.damaged:
                    raise RunFailed("; ".join(collection.notes), remedy="`verify` says what can be done")
                rows = export(collection, target, progress)
            except RunFailed:
                if attempt == _ATTEMPTS - 1 or collection.is_newest:
                    raise
                continue
            files = files_of(target)
            return Exported(rows, collection.dim, files, sum(file.stat().st_size for file in files))
    raise AssertionError("unreachable")


def export(collection: Collection, target: Path, progress: Progress | None = None) -> int:
    """Write all rows that are not deleted; returns how many.

    `.parquet`: chunk_id, doc_id, title, text, vector (float32, fixed-size list), place and the user's own columns.
    `.npy`: vectors [rows, dim] in the stored number format; `NAME.ids.jsonl` beside it holds one chunk id a line.
    What is there already is replaced when the new files are complete and flushed; vectors never stand beside ids
    that are not theirs.

    Raises:
        UsageError: another ending, nothing to export, or the target cannot be written.
        RunFailed: the disk is full, or a shard cannot be read.
    """
    tell = progress or (lambda done, total: None)
    writers = {".parquet": _parquet, ".npy": _npy}
    if target.suffix.lower() not in writers:
        raise UsageError(f"cannot write {target.suffix or 'a file without ending'}", where=str(target),
                         remedy="Use a name that ends in .parquet or .npy")
    if not target.parent.is_dir():
        raise UsageError("there is no such folder", where=str(target.parent))
    if not collection.shards:
        raise UsageError("the collection holds no chunks yet", where=str(collection.path), remedy="`run` adds some")
    collection.alive()  # reads what is deleted while it is there: a deletion meanwhile replaces these files
    finals = files_of(target)
    parts = tuple(file.with_name(f"{file.name}.part") for file in finals)
    try:
        with disk_errors(target):
            rows = writers[target.suffix.lower()](collection, parts, tell)
            _put(parts, finals)
    finally:
        for part in parts:
            part.unlink(missing_ok=True)
    return rows


def _put(parts: Sequence[Path], finals: Sequence[Path]) -> None:
    """Flushed parts in their places, the first last; whenever this ends early, no two files are there that do not
    belong together."""
    disk = Disk()
    for part in parts:
        disk.sync_file(part)
    if len(finals) > 1:
        finals[0].unlink(missing_ok=True)
    for part, final in reversed(list(zip(parts, finals, strict=True))):
        disk.replace(part, final)
    disk.sync_folder(finals[0].parent)


def _parquet(collection: Collection, parts: Sequence[Path], tell: Progress) -> int:
    schema = collection.schema()
    schema = pa.schema([item for item in schema if item.name != "content_hash"])
    own = [item for item in schema if item.name not in (*_FIRST, "vector")]
    vector = pa.field("vector", pa.list_(pa.float32(), collection.dim))
    whole = pa.schema([*(schema.field(name) for name in _FIRST), vector, *own])
    rows = 0
    with pq.ParquetWriter(parts[0], whole, compression="zstd") as writer:
        for position, table in collection.iter_chunks():
            tell(position, len(collection.shards))
            keep = _kept(collection, position)
            flat = collection.vectors(position)[keep].astype(np.float32).reshape(-1)
            column = pa.FixedSizeListArray.from_arrays(pa.array(flat), collection.dim)
            table = conform(table, schema).take(pa.array(keep)).append_column(vector, column)
            writer.write_table(table.select(whole.names).cast(whole))
            rows += len(keep)
    return rows


def _npy(collection: Collection, parts: Sequence[Path], tell: Progress) -> int:
    header = {"descr": np.lib.format.dtype_to_descr(np.dtype(collection.dtype)), "fortran_order": False}
    with parts[0].open("wb") as file, parts[1].open("w", encoding="utf-8", newline="\n") as names:
        np.lib.format.write_array_header_1_0(file, {**header, "shape": (collection.count, collection.dim)})
        for position, table in collection.iter_chunks(["chunk_id"]):
            tell(position, len(collection.shards))
            keep = _kept(collection, position)
            file.write(np.ascontiguousarray(collection.vectors(position)[keep]).tobytes())
            for name in table.column("chunk_id").take(pa.array(keep)).to_pylist():
                names.write(json.dumps(name, ensure_ascii=False) + "\n")
    return collection.count


def _kept(collection: Collection, position: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    mask = np.ones(collection.shards[position].rows, dtype=np.bool_)
    mask[collection.deleted_rows(position)] = False
    kept: np.ndarray[tuple[int], np.dtype[np.int64]] = np.flatnonzero(mask).astype(np.int64)
    return kept
