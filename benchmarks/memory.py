"""Memory of all processes of a run over a large corpus, over time.

    python benchmarks/memory.py [--limit 0] [--engine simulated]

Takes books (two tables, characters offsets) with the simulated encoder and prints the peak of the whole process
tree (shared pages counted once), the peak after the first tenth of the run, and the growth from there to the end.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from common import REPOSITORY, Peak, need_data, print_table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=int, default=0, help="rows; 0 = all 366,669")
    parser.add_argument("--model", default="default", help="model folder whose tokenizer is used")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        command = [
            sys.executable, "-m", "workbench", "run", "--docs", str(need_data("books", "docs.parquet")),
            "--chunks", str(need_data("books", "chunks.parquet")), "--into", str(Path(temporary) / "b.collection"),
            "--limit", str(args.limit), "--set", "encoder.engine=simulated", "--set", f"encoder.model={args.model}",
            "--set", "index.kind=none",
        ]
        process = subprocess.Popen(command, cwd=REPOSITORY)
        peak = Peak(process.pid, interval=0.25)
        code = process.wait()
        peak.stop()
    if code:
        sys.exit(code)
    series = peak.series
    end = series[-1][0]
    early = max(size for at, size in series if at <= end * 0.1)
    tenth = max(size for at, size in series if end * 0.1 < at <= end * 0.2)
    late = max(size for at, size in series if at > end * 0.9)
    print_table(
        ["seconds", "peak, MB", "peak in the first tenth, MB", "second tenth, MB", "last tenth, MB", "growth"],
        [[f"{end:.0f}", f"{max(s for _, s in series) / 1e6:,.0f}", f"{early / 1e6:,.0f}", f"{tenth / 1e6:,.0f}",
          f"{late / 1e6:,.0f}", f"{late / tenth - 1:+.1%}"]],
    )


if __name__ == "__main__":
    main()
