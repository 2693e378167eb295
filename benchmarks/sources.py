"""How fast each kind of source gives its rows: rows/s and MB/s of text, one process, no tokenizing of chunks.

    python benchmarks/sources.py [--only KIND …] [--json]

Kinds: tables (books, documents + chunks), parquet, jsonl, csv (the same texts as records), folder (PEPs), stdlib.
`plan` is what the parent does once (for tables and csv it lays the input out in a cache, here an empty one);
`read` is what the workers do, here all units in one process. Kinds that cut documents also tell how much of the
reading is the tokenizer that finds token boundaries. Last, the same copy of texts done by slices and by index
arithmetic in numpy. Needs the corpora (WORKBENCH_DATA).
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from common import REPOSITORY, need_data

sys.path.insert(0, str(REPOSITORY))

from workbench.core.activity import NullMeter
from workbench.core.profile import SourceSection
from workbench.core.units import SourceSpec
from workbench.sources.registry import open_source, source_spec
from workbench.text import slicing

ROWS = 100_000  # of the record kinds


class Spans:
    """Token boundaries by a real tokenizer, and the seconds it took."""

    def __init__(self) -> None:
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(str(need_data("tokenizers", "all-MiniLM-L6-v2", "tokenizer.json")))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self.seconds = 0.0

    def __call__(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        start = perf_counter()
        found = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        result = [item.offsets for item in found]
        self.seconds += perf_counter() - start
        return result


def measure(spec: SourceSpec) -> dict[str, Any]:
    """Plan and read a source."""
    spans = Spans()
    start = perf_counter()
    plan = open_source(spec).plan()
    planned = perf_counter()
    worker = open_source(spec, spans)
    rows = nbytes = rejects = 0
    for unit in plan.units:
        found = worker.read(unit, NullMeter())
        rows += found.chunks.num_rows
        rejects += found.rejects.num_rows
        nbytes += found.chunks.column("text").nbytes
    seconds = perf_counter() - planned
    return {
        "units": len(plan.units), "rows": rows, "rejects": rejects, "megabytes": nbytes / 1e6,
        "plan_seconds": planned - start, "read_seconds": seconds, "rows_per_second": rows / seconds,
        "megabytes_per_second": nbytes / 1e6 / seconds, "tokenizer_share": spans.seconds / seconds,
    }


def specs(folder: Path, wanted: Sequence[str]) -> dict[str, SourceSpec]:
    """The sources to measure; record files are written from the books."""
    cache = folder / "cache"
    books = need_data("books", "chunks.parquet"), need_data("books", "docs.parquet")
    section = SourceSection()
    result = {
        "tables": source_spec([books[0]], books[1], section, 0, 256, cache),
        "folder": source_spec([need_data("peps")], None, section, 0, 256, cache),
        "stdlib": source_spec([], None, section, 0, 256, cache),
    }
    if {"parquet", "jsonl", "csv"} & set(wanted):
        limited = replace(result["tables"], limit=ROWS)
        source = open_source(limited)
        parts = [source.read(unit, NullMeter()).chunks for unit in source.plan().units]
        table = pa.concat_tables(parts).select(["chunk_id", "title", "text"])
        for name, path in _written(table, folder).items():
            result[name] = source_spec([path], None, section, 0, 256, cache)
    return {name: result[name] for name in wanted}


def _written(table: pa.Table, folder: Path) -> dict[str, Path]:
    paths = {name: folder / f"books.{name}" for name in ("parquet", "jsonl", "csv")}
    pq.write_table(table, paths["parquet"], row_group_size=32_768)
    rows = table.to_pylist()
    with paths["jsonl"].open("w", encoding="utf-8", newline="\n") as lines:
        lines.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    with paths["csv"].open("w", encoding="utf-8", newline="") as values:
        writer = csv.writer(values)
        writer.writerow(table.column_names)
        writer.writerows(row.values() for row in rows)
    return paths


def copies(rows: int = 20_000, size: int = 600) -> dict[str, float]:
    """Seconds to copy the same ranges by slices (`slicing.gather`) and by numpy index arithmetic."""
    data = np.frombuffer(b"x" * (rows * size), dtype=np.uint8)
    begin = np.random.default_rng(0).permutation(rows).astype(np.int64) * size
    end = begin + size - 1
    start = perf_counter()
    column = slicing.gather([data.data], np.zeros(rows, dtype=np.int64), begin, end)
    sliced = perf_counter()
    lengths = end - begin
    offsets = np.cumsum(lengths)
    index = np.arange(offsets[-1]) + np.repeat(begin - (offsets - lengths), lengths)
    taken = data[index]
    done = perf_counter()
    assert taken.tobytes() == bytes(column.buffers()[2])
    return {"slices_seconds": sliced - start, "index_seconds": done - sliced}


def main() -> None:
    """Measure and print."""
    kinds = ["tables", "parquet", "jsonl", "csv", "folder", "stdlib"]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--only", nargs="+", choices=kinds, default=kinds)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        results: dict[str, Any] = {
            kind: measure(replace(spec, cache=str(Path(name, f"cache-{kind}"))))
            for kind, spec in specs(Path(name), arguments.only).items()
        }
    copied = copies()
    if arguments.json:
        print(json.dumps({"sources": results, "copy": copied}))
        return
    print("kind     units     rows     MB  plan s  read s    rows/s   MB/s tokenizer")
    for kind, found in results.items():
        print(
            f"{kind:8} {found['units']:5} {found['rows']:8} {found['megabytes']:6.0f} {found['plan_seconds']:7.2f} "
            f"{found['read_seconds']:7.2f} {found['rows_per_second']:9.0f} {found['megabytes_per_second']:6.0f} "
            f"{found['tokenizer_share']:8.0%}"
        )
    print(f"copy of 12 MB in 20,000 rows: slices {copied['slices_seconds'] * 1e3:.1f} ms, "
          f"index arithmetic {copied['index_seconds'] * 1e3:.1f} ms")


if __name__ == "__main__":
    main()
