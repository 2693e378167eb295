"""Damage that `verify` must find: single flipped bits and truncations in every kind of file of a collection.

    python benchmarks/corruption.py [--times 20] [--rows 3000]

Builds a collection with every kind of file, harms one file at a time at a random place, runs `verify`, puts the
file back. Then harms derived files and shards, repairs, and counts what had to be embedded again.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
from common import REPOSITORY, print_table

sys.path.insert(0, str(REPOSITORY))

from workbench.collection.repair import repair
from workbench.collection.seal import seal_folder
from workbench.collection.shards import write_chunks
from workbench.collection.verify import verify
from workbench.collection.writer import CollectionWriter

_DIM, _UNITS = 64, 6
KINDS = {
    "CURRENT": "CURRENT", "current manifest": "manifests/*", "older manifest": "manifests/*",
    "chunks": "shards/*.chunks.parquet", "vectors": "shards/*.vectors.arrow", "rejects": "rejects/*",
    "deletions": "deletions/*", "FAISS index": "ann/*", "run record": "runs/*/*",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--rows", type=int, default=3000)
    args = parser.parse_args()
    rng = random.Random(0)
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "c"
        _build(path, args.rows)
        if not verify(path).whole:
            sys.exit("the collection is not whole to begin with")
        harms: dict[str, Callable[[bytes], bytes]] = {
            "flips found": lambda data: _flipped(data, rng), "truncations found": lambda data: _cut(data, rng)
        }
        table = []
        for kind in KINDS:
            found = [sum(_is_found(path, kind, rng, harm) for _ in range(args.times)) for harm in harms.values()]
            table.append([kind, *(f"{number} of {args.times}" for number in found)])
        print_table(["file", *harms], table)
        print_table(["after damage to", "repaired by", "chunks to embed again"], _repairs(path, args.rows, rng))


def _table(unit: int, rows: int) -> pa.Table:
    names = [f"{unit}-{row}" for row in range(rows)]
    texts = pa.array([f"some text {name} " * 20 for name in names], pa.large_string())
    return pa.table({"chunk_id": names, "doc_id": names, "title": names, "text": texts, "place": names})


def _open(path: Path) -> CollectionWriter:
    return CollectionWriter.open(path, {"model": "benchmark"}, _DIM, "float16", {"input": "1"}, "benchmark")


def _commit(writer: CollectionWriter, unit: int, rows: int) -> None:
    vectors = np.random.default_rng(unit).standard_normal((rows, _DIM))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    chunks, rejects = writer.staging / "chunks.parquet", writer.staging / "rejects.parquet"
    write_chunks(_table(unit, rows), chunks)
    write_chunks(pa.table({"row": [1, 2], "reason": ["empty text"] * 2}), rejects)
    writer.commit(unit, chunks, vectors.astype(np.float16), rejects, tokens=rows)


def _build(path: Path, rows: int) -> None:
    writer = _open(path)
    for unit in range(_UNITS):
        _commit(writer, unit, rows // _UNITS)
        writer.flush()
    writer.delete({1: [3, 4, 5]})
    writer.build_index("RaBitQ")
    writer.close()
    run = path / "runs" / "20250101-000000-abcd"
    run.mkdir()
    (run / "samples.jsonl").write_text('{"t": 1}\n' * 200, encoding="utf-8", newline="\n")
    seal_folder(run)


def _is_found(path: Path, kind: str, rng: random.Random, harm: Callable[[bytes], bytes]) -> bool:
    files = sorted(file for file in path.glob(KINDS[kind]) if file.is_file())
    if "manifest" in kind:
        files = files[-1:] if kind == "current manifest" else files[:-1]
    file = rng.choice(files)
    before = file.read_bytes()
    file.write_bytes(harm(before))
    problems = verify(path).problems
    file.write_bytes(before)
    return any(problem.file == file.relative_to(path).as_posix() for problem in problems)


def _repairs(path: Path, rows: int, rng: random.Random) -> list[list[str]]:
    lines: list[list[str]] = []
    for kind in ("FAISS index", "older manifest", "current manifest", "CURRENT", "vectors", "chunks"):
        files = sorted(path.glob(KINDS[kind]))
        file = files[0] if kind == "older manifest" else files[-1]
        file.write_bytes(_flipped(file.read_bytes(), rng))
        done = repair(path, verify(path), drop=True)
        writer = _open(path)
        missing = sorted(set(range(_UNITS)) - writer.committed_units)
        for unit in missing:
            _commit(writer, unit, rows // _UNITS)
        writer.build_index("RaBitQ")
        writer.close()
        if not verify(path).whole:
            sys.exit(f"not whole after the repair of {kind}: {verify(path).problems}")
        lines.append([kind, "; ".join(done), f"{len(missing) * (rows // _UNITS):,} of {rows:,}"])
    return lines


def _flipped(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    changed[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data))]


if __name__ == "__main__":
    main()
