"""Cost growth: time for each chunk and peak memory of all processes with 10 thousand, 100 thousand, a million chunks.

    python benchmarks/growth.py [--sizes 10000 100000 1000000] [--chars 200] [--repeat 1] [--unit-rows N]
        [--with-indexes]

Books (two tables, character offsets) with the simulated encoder, which takes no time: all the cost is the
pipeline's own. Chunks are drawn evenly from all of the books, so that every size has chunks of like length, and are
cut to `--chars` characters, so that fixed costs for a chunk weigh more than the tokenizer; above 366,669 the table
is taken again with offsets moved on. Embedding alone: `µs a chunk` is the time from the first batch to the last
commit, `CPU µs a chunk` what all processes computed meanwhile (other work on the machine changes it less).
`growth` compares with the size before. Small inputs are cut into small units, which cost more; `--unit-rows 256`
gives every size the units of the smallest, so that only their number grows. `--with-indexes`: a second run of each
size that builds both indexes.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np
from common import REPOSITORY, need_data, print_table, run_process

sys.path.insert(0, str(REPOSITORY))
_MOVED = 37  # characters by which offsets move on when the table is taken once more


def chunk_table(target: Path, rows: int, chars: int, seed: int = 0) -> Path:
    """A chunk table of so many rows, evenly from all books, in the order of the books."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(need_data("books", "chunks.parquet"), columns=["doc_id", "start", "end"])
    table = table.set_column(0, "doc_id", table["doc_id"].cast(pa.string()))
    rng = np.random.default_rng(seed)
    with pq.ParquetWriter(target, pa.schema([("chunk_id", pa.string()), *table.schema])) as writer:
        done = 0
        while done < rows:
            count = min(rows - done, table.num_rows)
            part = table.take(pa.array(np.sort(rng.choice(table.num_rows, count, replace=False))))
            start, end = part["start"].to_numpy(), part["end"].to_numpy()
            start = np.minimum(start + _MOVED * (done // table.num_rows), end - 1)
            columns = [part["doc_id"], pa.array(start), pa.array(np.minimum(end, start + chars))]
            ids = pa.array([f"c{number}" for number in range(done, done + count)])
            writer.write_table(pa.table([ids, *columns], schema=writer.schema), row_group_size=32_768)
            done += count
    return target


def run(folder: Path, chunks: Path, indexes: bool, unit_rows: int) -> dict[str, float]:
    """One run: µs of wall and CPU time a chunk while it embeds, tokens a chunk, seconds of indexing, peak bytes."""
    from workbench.core.activity import BUSY, Activity
    from workbench.telemetry.recorder import Recording
    from workbench.telemetry.runs import find_run

    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        into = Path(temporary) / "c.collection"
        command = [
            sys.executable, "-m", "workbench", "run", "--docs", str(need_data("books", "docs.parquet")),
            "--chunks", str(chunks), "--into", str(into), "--json", "--set", "encoder.engine=simulated",
        ]
        if unit_rows:
            command += ["--set", f"source.unit_rows={unit_rows}"]
        if not indexes:
            command += ["--set", "index.kind=none", "--set", "index.text=no"]
        outcome = run_process(command)
        last = Recording.load(find_run(str(into))).snapshots[-1]
    result = {name: float(value) for name, value in outcome.json.items() if isinstance(value, int | float)}
    embedding = BUSY - {Activity.LOAD_MODEL, Activity.INDEX}
    cpu = sum(sum(p.activity_cpu_ns[activity] for activity in embedding) for p in last.processes if p.activity_cpu_ns)
    indexing = sum(p.activity_ns[Activity.INDEX] for p in last.processes if p.activity_ns)
    return {
        "wall": result["tokens"] / result["tokens_per_second"] / result["chunks"] * 1e6,
        "cpu": cpu / result["chunks"] / 1e3, "tokens": result["tokens"] / result["chunks"],
        "index": indexing / 1e9, "peak": outcome.peak_bytes, "seconds": outcome.seconds,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--chars", type=int, default=200)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--unit-rows", type=int, default=0, help="rows of a unit; 0: as a run chooses them")
    parser.add_argument("--with-indexes", action="store_true")
    args = parser.parse_args()
    rows: list[list[str]] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        tables = {size: chunk_table(folder / f"{size}.parquet", size, args.chars) for size in args.sizes}
        for indexes in (False, True) if args.with_indexes else (False,):
            found = {
                size: [run(folder, table, indexes, args.unit_rows) for _ in range(args.repeat)]
                for size, table in tables.items()
            }
            rows += _rows({size: _median(turns) for size, turns in found.items()}, indexes)
    print_table(["run", "chunks", "µs a chunk", "growth", "CPU µs a chunk", "growth", "tokens a chunk",
                 "indexing, s", "whole, s", "peak memory, MB", "growth"], rows)


def _median(turns: list[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(turn[name] for turn in turns) for name in turns[0]}


def _rows(found: dict[int, dict[str, float]], indexes: bool) -> list[list[str]]:
    rows = []
    before: dict[str, float] | None = None
    for size, one in found.items():
        grown = {name: f"{one[name] / before[name] - 1:+.1%}" if before else "" for name in ("wall", "cpu", "peak")}
        rows.append([
            "with both indexes" if indexes else "embedding only", f"{size:,}", f"{one['wall']:.1f}", grown["wall"],
            f"{one['cpu']:.1f}", grown["cpu"], f"{one['tokens']:.1f}", f"{one['index']:.1f}", f"{one['seconds']:.0f}",
            f"{one['peak'] / 1e6:,.0f}", grown["peak"],
        ])
        before = one
    return rows


if __name__ == "__main__":
    main()
