"""Memory of all processes of a run over a large corpus, over time.

    python benchmarks/memory.py [--limit 0] [--model default]

Takes books (two tables, character offsets) with the simulated encoder, twice: with both indexes, for the peak, and
without, for the growth while it embeds (last tenth of the run against the second). The whole process tree counts;
shared pages count once, pages of mapped files too.
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
    rows = []
    for name, settings in (("with both indexes", ()), ("embedding only", ("index.kind=none", "index.text=no"))):
        series = measured(args, settings)
        end = series[-1][0]
        tenth = max(size for at, size in series if end * 0.1 < at <= end * 0.2)
        late = max(size for at, size in series if at > end * 0.9)
        peak = max(size for _, size in series)
        rows.append([name, f"{end:.0f}", f"{peak / 1e6:,.0f}", f"{tenth / 1e6:,.0f}", f"{late / 1e6:,.0f}",
                     f"{late / tenth - 1:+.1%}"])
    print_table(["run", "seconds", "peak, MB", "second tenth, MB", "last tenth, MB", "growth"], rows)


def measured(args: argparse.Namespace, settings: tuple[str, ...]) -> list[tuple[float, int]]:
    """One run; (seconds, bytes) over time."""
    with tempfile.TemporaryDirectory() as temporary:
        command = [
            sys.executable, "-m", "workbench", "run", "--docs", str(need_data("books", "docs.parquet")),
            "--chunks", str(need_data("books", "chunks.parquet")), "--into", str(Path(temporary) / "b.collection"),
            "--limit", str(args.limit), "--set", "encoder.engine=simulated", "--set", f"encoder.model={args.model}",
        ]
        for setting in settings:
            command += ["--set", setting]
        process = subprocess.Popen(command, cwd=REPOSITORY)
        peak = Peak(process.pid, interval=0.25)
        code = process.wait()
        peak.stop()
    if code:
        sys.exit(code)
    return peak.series


if __name__ == "__main__":
    main()
