"""Real small collections whose vectors come from the simulated engine: a text finds itself."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tests.tiny_models import tiny_bert
from workbench.collection.shards import write_chunks
from workbench.collection.writer import CollectionWriter
from workbench.encoders.embed import Embedder

DIM = 16
TEXTS = [
    "gzip compresses a file", "zlib compresses data in memory", "rivers run to the sea",
    "a lazy dog sleeps in the sun", "green hills after rain", "the capital of France is Paris",
    "天地玄黄宇宙洪荒", "Der Fuchs springt über den Hund", "how to open a socket", "birds sing at dawn",
]


def model(folder: Path, **options: Any) -> Path:
    """A model folder with a tokenizer."""
    return tiny_bert(folder, **options)


def embedder(model: Path, engine: str = "simulated") -> Embedder:
    return Embedder(str(model), engine=engine, dim=DIM)


def table(texts: Sequence[str], first: int = 0, columns: Mapping[str, Sequence[Any]] | None = None) -> pa.Table:
    """Chunk rows c0, c1 … of documents d0, d0, d1, d1 …"""
    numbers = range(first, first + len(texts))
    hashes = [hashlib.blake2b(text.encode(), digest_size=16).digest() for text in texts]
    return pa.table({
        "chunk_id": [f"c{n}" for n in numbers],
        "doc_id": [f"d{n // 2}" for n in numbers],
        "title": [""] * len(texts),
        "text": pa.array(texts, pa.large_string()),
        "place": [f"notes/{n // 2}.md:{n % 2 + 1}" for n in numbers],
        **(columns or {"year": [1900 + n for n in numbers]}),
        "content_hash": pa.array(hashes, pa.binary(16)),
    })


def add_unit(writer: CollectionWriter, unit: int, rows: pa.Table, vectors: np.ndarray) -> None:
    staged = writer.staging / f"{unit}.parquet"
    write_chunks(rows, staged)
    writer.commit(unit, staged, vectors.astype(writer.dtype), None, tokens=rows.num_rows)
    writer.flush()


def open_writer(path: Path, maker: Embedder, source: str = "made") -> CollectionWriter:
    return CollectionWriter.open(path, maker.spec.identity, maker.spec.dim, "float16", {"source": source}, source)


def make(path: Path, maker: Embedder, texts: Sequence[str] = TEXTS, unit_rows: int = 4) -> Path:
    """A collection of these texts in units of a few rows."""
    writer = open_writer(path, maker)
    for unit, begin in enumerate(range(0, len(texts), unit_rows)):
        part = list(texts[begin : begin + unit_rows])
        add_unit(writer, unit, table(part, begin), maker.embed(part))
    writer.close()
    return path
