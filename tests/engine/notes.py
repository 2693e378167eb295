"""A folder of notes and a table, what is asked of them, and all that a collection holds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from tests.engine import harness
from workbench.collection.reader import Collection
from workbench.core.run import RunRequest


def rows(path: Path) -> dict[str, tuple[object, ...]]:
    """chunk_id → everything else, the vector too, of all rows that can be found."""
    with Collection.open(path) as collection:
        alive = np.flatnonzero(collection.alive())
        vectors = collection.gather(alive)
        table = collection.rows(alive).to_pylist()
        assert len(table) == collection.count == len({row["chunk_id"] for row in table})
        return {
            row.pop("chunk_id"): (*sorted(row.items()), vector.tobytes())
            for row, vector in zip(table, vectors, strict=True)
        }


def words(row: tuple[object, ...]) -> tuple[str, str]:
    """What is embedded."""
    return dict(row[:-1])["title"], dict(row[:-1])["text"]


def paragraphs(topic: str, count: int) -> str:
    return "\n\n".join(f"{topic} paragraph {n} " + " ".join(harness.WORDS[n % 7 :]) for n in range(count))


def write(folder: Path) -> Path:
    """The folder before anything has changed."""
    (folder / "sub").mkdir(parents=True)
    for name, count in (("a", 6), ("b", 4), ("sub/c", 5), ("d", 3)):
        (folder / f"{name}.md").write_text(f"# {name}\n\n{paragraphs(name, count)}\n", encoding="utf-8")
    return folder


def table(path: Path, count: int, first: int = 0) -> Path:
    """So many rows r0, r1 … of the years 0, 1 …"""
    lines = [json.dumps({"id": f"r{n}", "text": f"row number {n}", "year": n}) for n in range(first, first + count)]
    path.write_text("\n".join(lines), encoding="utf-8", newline="\n")
    return path


def asked(folder: Path, source: Path, into: str) -> RunRequest:
    return harness.request(folder, source, "source.chunk_tokens=24", "source.overlap_tokens=0", into=into)
