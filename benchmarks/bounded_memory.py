"""A corpus whose text and vectors are many times larger than the memory allowed: does the run complete?

    python benchmarks/bounded_memory.py [--ratio 10] [--cap 1.0] [--dim 2048] [--index auto] [--hard 0]
        [--no-text-index]

Books with the simulated encoder (no torch in any process), as many rows as make text and float32 vectors `ratio`
times the cap (GB, all processes together). The memory of the whole process tree is polled ten times a second, pages
shared or mapped counted once, pages of mapped files too; the benchmark fails when the peak is over the cap. `--hard`
(Linux) also limits the private address space of every process (RLIMIT_DATA), so that a larger allocation fails at
once; allocators reserve a gigabyte and more which they never touch, so that this limit must be well above the cap.
A limit for all processes together would need a control group, which the benchmark does not assume.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from common import REPOSITORY, Peak, need_data, print_table
from growth import chunk_table

#: Bytes of text of a chunk of the books, cut to 600 characters.
_TEXT = 580


def limited(limit: int) -> list[str]:
    """The start of a command whose processes may each have so many bytes of private address space; 0: any number."""
    if sys.platform != "linux" or not limit:
        return []
    code = "import os, resource, sys; resource.setrlimit(resource.RLIMIT_DATA, (int(sys.argv[1]),) * 2)"
    return [sys.executable, "-c", code + "; os.execv(sys.argv[2], sys.argv[2:])", str(limit)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ratio", type=float, default=10.0, help="text and vectors to the cap")
    parser.add_argument("--cap", type=float, default=1.0, help="memory of all processes, GB (10^9 bytes)")
    parser.add_argument("--dim", type=int, default=2048, help="length of a vector")
    parser.add_argument("--index", default="auto", help="kind of the index; none: not built")
    parser.add_argument("--hard", type=float, default=0.0, help="private address space of a process, GB; 0: no limit")
    parser.add_argument("--no-text-index", action="store_true")
    args = parser.parse_args()
    cap = int(args.cap * 1e9)
    rows = int(args.ratio * cap / (4 * args.dim + _TEXT)) + 1
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        free = shutil.disk_usage(folder).free
        if free < 2.5 * args.ratio * cap:
            need = 2.5 * args.ratio * args.cap
            sys.exit(f"{folder} has {free / 1e9:.0f} GB free, {need:.0f} GB are needed: set TMPDIR")
        chunks = chunk_table(folder / "chunks.parquet", rows, 600)
        code, series, result, size = measured(folder, chunks, args)
    peak = max(memory for _, memory in series)
    end = series[-1][0]
    early = max(memory for at, memory in series if end * 0.1 < at <= end * 0.2)
    late = max(memory for at, memory in series if end * 0.6 < at <= end * 0.7)
    bulk = rows * 4 * args.dim + rows * _TEXT
    print_table(
        ["completed", "chunks", "text and vectors, GB", "collection, GB", "peak memory, MB", "text and vectors to peak",
         "second tenth, MB", "seventh tenth, MB", "seconds", "index"],
        [[str(code == 0 and result.get("outcome") == "done"), f"{rows:,}", f"{bulk / 1e9:.1f}", f"{size / 1e9:.1f}",
          f"{peak / 1e6:,.0f}", f"{bulk / peak:.1f}", f"{early / 1e6:,.0f}", f"{late / 1e6:,.0f}", f"{end:.0f}",
          str((result.get("index") or {}).get("kind", ""))]],  # type: ignore[attr-defined]
    )
    return 0 if code == 0 and peak <= cap else 1


def measured(
    folder: Path, chunks: Path, args: argparse.Namespace
) -> tuple[int, list[tuple[float, int]], dict[str, object], int]:
    """One run: exit code, (seconds, bytes) over time, its result, bytes of the collection."""
    into = folder / "c.collection"
    command = [
        *limited(int(args.hard * 1e9)), sys.executable, "-m", "workbench", "run",
        "--docs", str(need_data("books", "docs.parquet")), "--chunks", str(chunks),
        "--into", str(into), "--json", "--set", "encoder.engine=simulated",
        "--set", f"encoder.dim={args.dim}", "--set", "collection.vectors=float32", "--set", f"index.kind={args.index}",
        "--set", f"index.text={'no' if args.no_text_index else 'yes'}",
    ]
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, encoding="utf-8")
    peak = Peak(process.pid)
    out, _ = process.communicate()
    peak.stop()
    size = sum(path.stat().st_size for path in into.rglob("*") if path.is_file())
    return process.returncode, peak.series, json.loads(out) if process.returncode == 0 else {}, size


if __name__ == "__main__":
    sys.exit(main())
