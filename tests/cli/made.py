"""A small real collection for the commands: three units, one row deleted when asked for, a column of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from workbench.collection.shards import write_chunks
from workbench.collection.writer import CollectionWriter

DIM = 8
IDENTITY = {"model": "made", "pooling": "mean"}


def vectors(unit: int, rows: int, dtype: str = "float16") -> np.ndarray:
    raw = np.random.default_rng(unit).standard_normal((rows, DIM)).astype(np.float32)
    return (raw / np.linalg.norm(raw, axis=1, keepdims=True)).astype(dtype)


def chunks(unit: int, rows: int, extra: bool = True) -> pa.Table:
    ids = [f"{unit}-{row}" for row in range(rows)]
    columns = {
        "chunk_id": ids, "doc_id": [f"d{unit}"] * rows, "title": ["Tïtle"] * rows,
        "text": pa.array([f"text {name} 文" for name in ids], pa.large_string()),
        "place": [f"in.jsonl:{row}" for row in range(rows)],
    }
    if extra:
        columns["year"] = list(range(rows))
    return pa.table(columns)


def make_collection(path: Path, units: int = 3, rows: int = 5) -> Path:
    writer = CollectionWriter.open(path, IDENTITY, DIM, "float16", {"source": "made"}, "made.jsonl")
    for unit in range(units):
        staged = writer.staging / f"{unit}.parquet"
        write_chunks(chunks(unit, rows, extra=unit != 1), staged)
        writer.commit(unit, staged, vectors(unit, rows), None, tokens=rows * 7)
    writer.flush()
    writer.close()
    return path
