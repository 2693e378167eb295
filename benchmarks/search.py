"""Search as a user meets it: cold start, opening, latency in every mode with and without filters, deletions.

    python benchmarks/search.py COLLECTION [--queries FILE.jsonl] [--count 200] [--model FOLDER] [--cold]
    python benchmarks/search.py --make COLLECTION --vectors FILE.npy [--rows 350000]

The second form makes a collection of the books' chunks with given vectors (repeated with noise when there are too
few), an index and a text index, for machines where embedding them takes too long; latency does not depend on which
vector belongs to which text. It has a column `part` (0 … 999) for filters of any selectivity.

Latency is that of one query with ten whole hits, in the search process, one thread; embedding the query is left out
(the vector is there before), as the table says. Recall is that of dense hits against exact search over the same rows.
"""

from __future__ import annotations

import argparse
import gc
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
from common import REPOSITORY, need_data, print_table

sys.path.insert(0, str(REPOSITORY))

from workbench.collection import text_build
from workbench.collection.exact import scan
from workbench.collection.reader import Collection
from workbench.collection.shards import write_chunks
from workbench.collection.writer import CollectionWriter
from workbench.search import upkeep
from workbench.search.searcher import Searcher
from workbench.search.values import Query

_UNIT = 8192  # rows of a shard
_NOISE, _QUERY_NOISE = 0.5, 0.3
_FILTERS = (("none", ""), ("0.1 %", "part = 7"), ("1 %", "part < 10"), ("10 %", "part < 100"), ("100 %", "part >= 0"))
_LOAD = (
    "import time; began = time.perf_counter(); import sys\n"
    "from workbench.encoders.model import resolve_model\n"
    "from workbench.encoders.registry import encoder_spec, open_encoder\n"
    "from workbench.core.profile import EncoderSection\n"
    "section = EncoderSection(model=sys.argv[1], device='cpu', dtype='fp32')\n"
    "open_encoder(encoder_spec(section, resolve_model(section))).load()\n"
    "print(time.perf_counter() - began)\n"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("collection", type=Path)
    parser.add_argument("--make", action="store_true")
    parser.add_argument("--vectors", type=Path, metavar="FILE.npy")
    parser.add_argument("--rows", type=int, default=350_000)
    parser.add_argument("--queries", type=Path, help="queries.jsonl; without it those of xquad-en")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--model", default="", help="where the collection's model is, for --cold")
    parser.add_argument("--cold", action="store_true", help="the command line from a cold start too")
    parser.add_argument("--deletions", action="store_true", help="delete 1,000 chunks (they stay deleted)")
    args = parser.parse_args()
    if args.make:
        _make(args.collection, np.load(args.vectors, mmap_mode="r"), args.rows)
        return
    texts = _texts(args.queries or need_data("beir", "xquad-en", "queries.jsonl"), args.count)
    _opening(args.collection)
    _latency(args.collection, texts)
    if args.deletions:
        _deletions(args.collection)
    if args.cold:
        _cold(args.collection, texts[0], args.model)


def _opening(path: Path) -> None:
    """A fresh interpreter: open and answer one dense query whose vector is given; imports told apart."""
    code = (
        "import sys, time; began = time.perf_counter(); import numpy as np; from pathlib import Path\n"
        "from workbench.search.searcher import Searcher; from workbench.search.values import Query\n"
        "imported = time.perf_counter(); searcher = Searcher([Path(sys.argv[1])], 1)\n"
        "dim = searcher._parts[0].collection.dim; vector = np.ones(dim, np.float32).tobytes()\n"
        "searcher.answer(Query(vector=vector)); done = time.perf_counter()\n"
        "print(imported - began, done - imported)\n"
    )
    times = np.array([
        [float(word) for word in subprocess.run(
            [sys.executable, "-c", code, str(path)], cwd=REPOSITORY, capture_output=True, text=True, check=True
        ).stdout.split()]
        for _ in range(5)
    ])
    imported, first = np.median(times, axis=0)
    print(f"open and first dense query: {first * 1e3:.0f} ms, after imports of {imported * 1e3:.0f} ms (median of 5)\n")


def _latency(path: Path, texts: list[str]) -> None:
    searcher = Searcher([path], threads=1)
    gc.freeze()  # as the search process does
    part = searcher._parts[0]
    collection = part.collection
    vectors = _near(collection, len(texts))
    for text, vector in zip(texts, vectors, strict=True):  # files come into memory, as they are after some use
        searcher.answer(Query(text, vector=vector.tobytes(), fold=False))
    rows = []
    filters = _FILTERS if "part" in collection.schema().names else _FILTERS[:1]
    for label, where in filters:
        allowed = part.allowed(where)
        matching = collection.count if allowed is None else int(allowed.sum())
        exact = scan(collection, vectors, 10, allowed)
        for mode in ("dense", "lexical", "hybrid"):
            answers, times = [], []
            for text, vector in zip(texts, vectors, strict=True):
                query = Query(text, vector=vector.tobytes(), mode=mode, where=where, fold=False)
                began = time.perf_counter()
                answers.append(searcher.answer(query))
                times.append((time.perf_counter() - began) * 1e3)
            recall = ""
            if mode == "dense":
                good = [
                    np.mean([hit.score >= truth[-1] - 1e-5 for hit in answer]) if len(answer) else 1.0
                    for answer, truth in zip(answers, exact.scores, strict=True)
                ]
                recall = f"{float(np.mean(good)):.4f}"
            least = min(len(answer) for answer in answers)
            rows.append([
                f"{collection.count:,}", label, f"{matching:,}", mode, recall, str(least),
                f"{np.percentile(times, 50):.2f}", f"{np.percentile(times, 99):.2f}",
            ])
    print_table(["rows", "filter", "matching", "mode", "recall@10", "fewest hits", "p50 ms", "p99 ms"], rows)
    print()


def _near(collection: Collection, count: int) -> np.ndarray:
    """Stored vectors, moved a little, as queries."""
    rng = np.random.default_rng(1)
    own = collection.gather(np.sort(rng.choice(collection.ordinals, count, replace=False)).astype(np.int64))
    moved = own + (_QUERY_NOISE / np.sqrt(own.shape[1])) * rng.standard_normal(own.shape).astype(np.float32)
    return (moved / np.linalg.norm(moved, axis=1, keepdims=True)).astype(np.float32)


def _deletions(path: Path) -> None:
    with Collection.open(path) as collection:
        alive = np.flatnonzero(collection.alive())
        chosen = np.sort(np.random.default_rng(2).choice(alive, 1000, replace=False))
        ids = collection.rows(chosen, ["chunk_id"]).column("chunk_id").to_pylist()
    where = "chunk_id in (" + ", ".join("'" + name.replace("'", "''") + "'" for name in ids) + ")"
    done = upkeep.delete(path, where)
    print(f"1,000 deletions spread over the collection: {done.seconds * 1e3:.0f} ms until no search finds them\n")


def _cold(path: Path, text: str, model: str) -> None:
    """The whole command from a cold start, and the part of it that loads torch and the model."""
    named = ["--model", model] if model else []
    command = [sys.executable, "-m", "workbench", "search", text, "--in", str(path), "--json", *named]
    whole, loading = [], []
    for _ in range(5):
        began = time.perf_counter()
        with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, encoding="utf-8") as process:
            assert process.stdout is not None
            first = process.stdout.read(1)
            whole.append(time.perf_counter() - began)
            assert json.loads(first + process.stdout.read())["hits"]
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, "-c", _LOAD, model or "default"], cwd=REPOSITORY, capture_output=True, check=True
        )
        loading.append(time.perf_counter() - began)
    beyond = float(np.median(whole) - np.median(loading))
    print(
        f"cold start: {np.median(whole):.2f} s until the result is there; a process that imports torch and loads the "
        f"model takes {np.median(loading):.2f} s: {beyond:.2f} s beyond it (medians of 5)"
    )


def _texts(path: Path, count: int) -> list[str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["text"] for line in lines[:count]]


def _make(path: Path, stored: np.ndarray, rows: int) -> None:
    writer = CollectionWriter.open(path, {"model": "benchmark"}, stored.shape[1], "float16", {"rows": str(rows)}, "b")
    rng = np.random.default_rng(0)
    for unit, chunks in enumerate(_books(rows)):
        staged = writer.staging / "chunks.parquet"
        write_chunks(chunks, staged)
        places = np.arange(unit * _UNIT, unit * _UNIT + chunks.num_rows)
        part = stored[places % len(stored)].astype(np.float32)
        copied = places >= len(stored)
        part[copied] += (_NOISE / np.sqrt(part.shape[1])) * rng.standard_normal(part[copied].shape).astype(np.float32)
        part /= np.linalg.norm(part, axis=1, keepdims=True)
        writer.commit(unit, staged, part.astype(np.float16), None, tokens=0)
    facts = writer.build_index()
    text = text_build.update(writer)
    writer.close()
    print(f"{rows:,} chunks, {min(rows, len(stored)):,} distinct vectors; index {facts}; text index {text}")


def _books(rows: int):  # noqa: ANN202
    import pyarrow.parquet as pq

    documents = pq.read_table(need_data("books", "docs.parquet"), columns=["doc_id", "text"])
    texts = dict(zip(documents["doc_id"].to_pylist(), documents["text"].to_pylist(), strict=True))
    chunks = pq.read_table(need_data("books", "chunks.parquet")).slice(0, rows)
    rng = np.random.default_rng(3)
    for begin in range(0, rows, _UNIT):
        part = chunks.slice(begin, _UNIT).to_pylist()
        yield pa.table({
            "chunk_id": [row["chunk_id"] for row in part],
            "doc_id": [row["doc_id"] for row in part],
            "title": [row["title"] or "" for row in part],
            "text": pa.array([texts[row["doc_id"]][row["start"] : row["end"]] for row in part], pa.large_string()),
            "place": [f"docs.parquet#{row['doc_id']}" for row in part],
            "part": rng.integers(0, 1000, len(part)).tolist(),
        })


if __name__ == "__main__":
    main()
