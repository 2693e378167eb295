"""The two files of a shard: chunk rows as parquet, vectors as an uncompressed Arrow file that can be mapped."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from workbench.collection.durable import HashingFile, disk_errors
from workbench.core.errors import RunFailed

Floats = NDArray[np.float16] | NDArray[np.float32]

#: Rows and bytes of text of a row group: what must be decoded to show one hit.
GROUP_ROWS = 128
GROUP_BYTES = 256 * 1024
CONTENT_HASH = "content_hash"
#: Blake2b, 16 bytes, of the text as it was embedded (title and text joined).
CONTENT_HASH_TYPE = pa.binary(16)
_REPEATING = ["doc_id", "title"]  # columns worth a dictionary
_ARROW_TYPES = {"float16": pa.float16(), "float32": pa.float32()}


def write_chunks(table: pa.Table, path: Path, compression: str = "lz4") -> None:
    """Write chunk rows (or rejects) as parquet in small row groups, so that a row is read in a tenth of a millisecond.

    Args:
        table: rows in unit order. compression: `lz4`, `zstd` or `none`.

    Raises:
        RunFailed: the disk is full. UsageError: the folder may not be written.
    """
    names = set(table.schema.names)
    with disk_errors(path), pq.ParquetWriter(
        path, table.schema, compression=compression,
        use_dictionary=[name for name in _REPEATING if name in names],
        write_statistics=[name for name in ("chunk_id", "doc_id") if name in names],
    ) as writer:
        for begin, stop in _groups(table):
            writer.write_table(table.slice(begin, stop - begin), row_group_size=GROUP_ROWS)


def write_vectors(vectors: Floats, file: HashingFile) -> None:
    """Write vectors [rows, dim] as one record batch with the column `vector` (fixed-size list)."""
    flat = pa.array(np.ascontiguousarray(vectors).reshape(-1), type=_ARROW_TYPES[vectors.dtype.name])
    column = pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
    batch = pa.record_batch([column], names=["vector"])
    with pa.ipc.new_file(pa.PythonFile(file, mode="w"), batch.schema) as writer:
        writer.write_batch(batch)


def map_vectors(path: Path, dim: int) -> Floats:
    """Vectors [rows, dim] of a shard, memory-mapped: pages are read when touched. Read-only.

    Raises:
        OSError, pa.ArrowInvalid: the file is missing or no such file.
        ValueError: it holds vectors of another length.
    """
    with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as reader:
        column = reader.get_batch(0).column(0)
    if column.type.list_size != dim:
        raise ValueError(f"vectors have length {column.type.list_size}, not {dim}")
    flat: Floats = column.values.to_numpy(zero_copy_only=True)
    return flat.reshape(-1, dim)


def row_count(path: Path) -> int:
    """Rows of a parquet file, from its footer."""
    with pq.ParquetFile(path) as file:
        return int(file.metadata.num_rows)


def refuse_unfit(unit: int, chunks: Path, vectors: Floats, dim: int, dtype: str) -> None:
    """Raises RunFailed when the parts of a unit do not fit together, or into a collection of `dim` and `dtype`."""
    where = f"unit {unit}"
    if vectors.ndim != 2 or vectors.shape[1] != dim or vectors.dtype != dtype:
        raise RunFailed(
            f"vectors are {vectors.dtype} {vectors.shape}, the collection holds {dtype} of length {dim}", where=where,
        )
    rows = row_count(chunks)
    if rows != len(vectors):
        raise RunFailed(f"{rows} chunks but {len(vectors)} vectors", where=where)
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(bad):
        raise RunFailed(
            f"vector of row {bad[0]} is not finite (so are {len(bad)} in all)", where=where,
            remedy="Set encoder.dtype to fp32, or collection.vectors to float32",
        )


def _groups(table: pa.Table) -> Iterator[tuple[int, int]]:
    """Row ranges of at most GROUP_ROWS rows and, for more than one row, about GROUP_BYTES of text."""
    if "text" not in table.schema.names or not table.num_rows:
        yield 0, table.num_rows
        return
    sizes = pa.compute.binary_length(table.column("text")).to_numpy()
    ends = np.cumsum(sizes, dtype=np.int64)
    begin = 0
    while begin < table.num_rows:
        before = int(ends[begin - 1]) if begin else 0
        fits = int(np.searchsorted(ends, before + GROUP_BYTES, side="right"))
        stop = min(max(fits, begin + 1), begin + GROUP_ROWS, table.num_rows)
        yield begin, stop
        begin = stop
