"""Search: opening, latency per query (one thread), recall@10 against exact search, with and without a filter.

    python benchmarks/index.py COLLECTION [--rows 350000] [--kind auto] [--queries 300]

Takes the vectors of a collection that is there already (real vectors: codes of one bit do badly on random ones),
copies as many as asked for into a collection of its own, and repeats them with noise when there are too few
(stated in the output). `--vectors FILE.npy` takes an array instead, e.g. from `workbench export --to FILE.npy`.
Queries are stored vectors with a little noise.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from common import REPOSITORY, print_table

sys.path.insert(0, str(REPOSITORY))

from workbench.collection.exact import scan
from workbench.collection.index_search import Searcher
from workbench.collection.reader import Collection
from workbench.collection.shards import write_chunks
from workbench.collection.writer import CollectionWriter

_UNIT = 8192  # rows of a shard
#: Length of the noise on repeated rows and on queries; neighbours in real collections are farther apart.
_NOISE, _QUERY_NOISE = 0.5, 0.3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("collection", nargs="?", type=Path)
    parser.add_argument("--vectors", type=Path, help=".npy instead of a collection")
    parser.add_argument("--rows", type=int, nargs="+", default=[50_000, 350_000])
    parser.add_argument("--kind", default="auto")
    parser.add_argument("--queries", type=int, default=300)
    args = parser.parse_args()
    if (args.collection is None) == (args.vectors is None):
        parser.error("name a collection, or --vectors FILE.npy")
    stored = np.load(args.vectors, mmap_mode="r") if args.vectors else _vectors(args.collection)
    table = []
    for rows in args.rows:
        with tempfile.TemporaryDirectory() as temporary:
            table += _measured(Path(temporary) / "c", stored, rows, args.kind, args.queries)
    print(f"{len(stored):,} real vectors of length {stored.shape[1]}; rows beyond that are copies with noise {_NOISE}")
    print_table(
        ["rows", "filter", "kind", "recall@10", "p50 ms", "p99 ms", "open + first ms", "build s", "bytes/vector"], table
    )


def _vectors(path: Path) -> np.ndarray:
    with Collection.open(path) as collection:
        return np.concatenate([np.array(vectors) for _, vectors in collection.iter_vectors()])


def _measured(path: Path, stored: np.ndarray, rows: int, kind: str, queries: int) -> list[list[str]]:
    writer = CollectionWriter.open(path, {"model": "benchmark"}, stored.shape[1], "float16", {"rows": str(rows)}, "b")
    for unit, vectors in enumerate(_units(stored, rows)):
        chunks = writer.staging / "chunks.parquet"
        names = [f"{unit}-{row}" for row in range(len(vectors))]
        texts = pa.array(names, pa.large_string())
        write_chunks(pa.table({"chunk_id": names, "doc_id": names, "title": names, "text": texts, "place": names}),
                     chunks)
        writer.commit(unit, chunks, vectors, None, tokens=len(vectors))
    facts = writer.build_index(kind)
    writer.close()
    rng = np.random.default_rng(1)
    own = Collection.open(path).gather(np.sort(rng.choice(rows, queries, replace=False)).astype(np.int64))
    asked = own + (_QUERY_NOISE / np.sqrt(own.shape[1])) * rng.standard_normal(own.shape).astype(np.float32)
    began = time.perf_counter()
    with Collection.open(path) as collection:
        searcher = Searcher(collection, threads=1)
        searcher.search(asked[:1], 10)
        first = (time.perf_counter() - began) * 1e3
        lines = []
        for share in (None, 0.001, 0.01, 0.1, 1.0):
            allowed = None if share is None else rng.random(rows) < share
            exact = scan(collection, asked, 10, allowed)
            found, _ = searcher.search(asked, 10, allowed)
            recall = float((found >= exact.scores[:, -1:] - 1e-5).mean())
            times = _times(lambda query, m=allowed: searcher.search(query, 10, m), asked)
            lines.append([
                f"{rows:,}", "none" if share is None else f"{share:.1%}", str(facts["kind"]), f"{recall:.4f}",
                f"{np.percentile(times, 50):.2f}", f"{np.percentile(times, 99):.2f}", f"{first:.0f}",
                f"{facts['seconds']:.1f}", str(facts["bytes_per_vector"]),
            ])
    return lines


def _units(stored: np.ndarray, rows: int) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(0)
    for begin in range(0, rows, _UNIT):
        places = np.arange(begin, min(begin + _UNIT, rows))
        part = stored[places % len(stored)].astype(np.float32)
        copied = places >= len(stored)
        noise = (_NOISE / np.sqrt(part.shape[1])) * rng.standard_normal(part.shape).astype(np.float32)
        part = np.where(copied[:, None], part + noise, part)
        part[copied] /= np.linalg.norm(part[copied], axis=1, keepdims=True)
        yield part.astype(np.float16)


def _times(search: Callable[[np.ndarray], object], queries: np.ndarray) -> list[float]:
    times = []
    for query in queries:
        began = time.perf_counter()
        search(query[None])
        times.append((time.perf_counter() - began) * 1e3)
    return times


if __name__ == "__main__":
    main()
