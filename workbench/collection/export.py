"""Taking a collection elsewhere: one parquet file, or a NumPy array with the ids beside it. Streamed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from workbench.collection.durable import disk_errors
from workbench.collection.reader import Collection
from workbench.collection.tables import conform
from workbench.core.errors import UsageError

_FIRST = ["chunk_id", "doc_id", "title", "text"]

Progress = Callable[[int, int], None]


def export(collection: Collection, target: Path, progress: Progress | None = None) -> int:
    """Write all rows that are not deleted; returns how many.

    `.parquet`: chunk_id, doc_id, title, text, vector (float32, fixed-size list), place and the user's own columns.
    `.npy`: vectors [rows, dim] in the stored number format; `NAME.ids.jsonl` beside it holds one chunk id a line.

    Raises:
        UsageError: another ending, or the target cannot be written. RunFailed: the disk is full.
    """
    tell = progress or (lambda done, total: None)
    writers = {".parquet": _parquet, ".npy": _npy}
    if target.suffix.lower() not in writers:
        raise UsageError(f"cannot write {target.suffix or 'a file without ending'}", where=str(target),
                         remedy="Use a name that ends in .parquet or .npy")
    if not target.parent.is_dir():
        raise UsageError("there is no such folder", where=str(target.parent))
    part = target.with_name(f"{target.name}.part")
    try:
        with disk_errors(target):
            rows = writers[target.suffix.lower()](collection, part, target, tell)
            part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return rows


def _parquet(collection: Collection, part: Path, target: Path, tell: Progress) -> int:
    schema = collection.schema()
    schema = pa.schema([item for item in schema if item.name != "content_hash"])
    own = [item for item in schema if item.name not in (*_FIRST, "vector")]
    vector = pa.field("vector", pa.list_(pa.float32(), collection.dim))
    whole = pa.schema([*(schema.field(name) for name in _FIRST), vector, *own])
    rows = 0
    with pq.ParquetWriter(part, whole, compression="zstd") as writer:
        for position, table in collection.iter_chunks():
            tell(position, len(collection.shards))
            keep = _kept(collection, position)
            flat = collection.vectors(position)[keep].astype(np.float32).reshape(-1)
            column = pa.FixedSizeListArray.from_arrays(pa.array(flat), collection.dim)
            table = conform(table, schema).take(pa.array(keep)).append_column(vector, column)
            writer.write_table(table.select(whole.names).cast(whole))
            rows += len(keep)
    return rows


def _npy(collection: Collection, part: Path, target: Path, tell: Progress) -> int:
    header = {"descr": np.lib.format.dtype_to_descr(np.dtype(collection.dtype)), "fortran_order": False}
    ids = target.with_suffix(".ids.jsonl")
    with part.open("wb") as file, ids.open("w", encoding="utf-8", newline="\n") as names:
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
