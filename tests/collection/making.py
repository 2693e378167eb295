"""Small real collections for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from workbench.collection import text_build
from workbench.collection.compact import Compacted, compact_here
from workbench.collection.locked import locked
from workbench.collection.shards import write_chunks
from workbench.collection.writer import CollectionWriter

IDENTITY = {"model": "m", "weights": "abc", "normalise": "True"}
SOURCE = {"file": "books.parquet", "size": "17"}
DIM = 32


def vectors(unit: int, rows: int, dim: int = DIM, dtype: str = "float16") -> np.ndarray:
    """Clustered unit vectors, the same for the same unit."""
    rng = np.random.default_rng(unit)
    centres = np.random.default_rng(99).standard_normal((12, dim))
    made = centres[rng.integers(0, 12, rows)] + 0.7 * rng.standard_normal((rows, dim))
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(dtype)


def chunk_table(unit: int, rows: int, **own: list) -> pa.Table:
    columns = {
        "chunk_id": own.pop("chunk_id", None) or [f"u{unit}-{row}" for row in range(rows)],
        "doc_id": [f"d{unit}"] * rows,
        "title": [f"Title {row}" for row in range(rows)],
        "text": pa.array([f"text {unit} {row} " + "wörd " * (row % 50) for row in range(rows)], pa.large_string()),
        "place": [f"file.md:{row}" for row in range(rows)],
        **own,
        "content_hash": pa.array([bytes([unit % 256]) * 16] * rows, pa.binary(16)),
    }
    return pa.table(columns)


def reject_table(rows: int) -> pa.Table:
    return pa.table({"row": list(range(rows)), "reason": ["empty text"] * rows})


def open_writer(path: Path, **more) -> CollectionWriter:
    more = {"identity": IDENTITY, "dim": DIM, "dtype": "float16", "source": SOURCE, "source_title": "books", **more}
    return CollectionWriter.open(path, **more)


def commit(writer: CollectionWriter, unit: int, rows: int = 40, rejects: int = 0, **own: list) -> tuple[int, ...]:
    chunks = writer.staging / f"{unit}.chunks.parquet"
    write_chunks(chunk_table(unit, rows, **own), chunks)
    rejected = None
    if rejects:
        rejected = writer.staging / f"{unit}.rejects.parquet"
        write_chunks(reject_table(rejects), rejected)
    return writer.commit(unit, chunks, vectors(unit, rows, writer.dim, writer.dtype), rejected, tokens=rows * 7)


def made(path: Path, units: int = 3, rows: int = 40, **more) -> Path:
    """A closed collection with `units` units."""
    writer = open_writer(path, **more)
    for unit in range(units):
        commit(writer, unit, rows, rejects=unit % 2)
    writer.close()
    return path


def delete_rows(path: Path, rows: list[int]) -> None:
    """Delete rows of the last shard, as `delete` does."""
    with locked(path) as store:
        writer = CollectionWriter(store, store.load(), None)
        writer.delete({writer.manifest.shards[-1].number: rows})


def indexed_with_deletions(path: Path) -> Path:
    """Four units with both indexes, some of their rows deleted: what compaction has work with."""
    made(path, units=4, rows=60)
    writer = open_writer(path)
    writer.build_index("SQ8")
    text_build.update(writer)
    writer.close()
    delete_rows(path, [1, 2, 3])
    return path


def compact_now(path: Path) -> Compacted:
    """`compact` in this process."""
    return compact_here(path, lambda *_: None)
