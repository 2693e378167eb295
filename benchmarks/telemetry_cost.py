"""What telemetry costs: paired runs with everything recorded and with nothing, in turns.

    python benchmarks/telemetry_cost.py [--pairs 8] [--rows 40000] [--engine simulated|torch]

Same input, same settings, `pipeline.telemetry` full (sampler, recording, trace) against none. The counters of the
board stay on in both, because the program needs them; what they cost is shown by `--calls`, which times one change
of activity with and without a trace. With the simulated device and no device time the workers set the pace, so that
every microsecond taken from them shows.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import timeit
from pathlib import Path

from common import REPOSITORY, need_data, print_table, random_model, run_process

sys.path.insert(0, str(REPOSITORY))


def one_run(kind: str, rows: int, engine: str, folder: Path, model: Path) -> tuple[float, float]:
    """Tokens/s, and CPU seconds of all processes, of a run with this much telemetry."""
    before = os.times()
    outcome = run_process([
        sys.executable, "-m", "workbench", "run", "--docs", str(need_data("books", "docs.parquet")),
        "--chunks", str(need_data("books", "chunks.parquet")), "--limit", str(rows), "--into", str(folder / "c"),
        "--fresh", "--yes", "--json", "--set", f"encoder.engine={engine}", "--set", f"encoder.model={model}",
        "--set", "index.kind=none", "--set", f"pipeline.telemetry={kind}",
    ])
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return float(outcome.json["tokens_per_second"]), cpu  # type: ignore[arg-type]


def calls(folder: Path) -> None:
    """Nanoseconds of one change of activity."""
    from workbench.core.activity import Activity
    from workbench.telemetry.board import ROW_BYTES, Board
    from workbench.telemetry.trace import SpanFile

    board = Board(bytearray(2 * ROW_BYTES), 2)
    plain = board.row(0, 1)
    traced = board.row(1, 2, SpanFile(folder / "spans-worker-0-2.bin", limit=10**7))
    rows = []
    for name, row in (("board", plain), ("board and trace", traced)):
        best = min(timeit.repeat(lambda row=row: row.enter(Activity.READ), number=50_000, repeat=9)) / 50_000
        rows.append([name, f"{1e9 * best:.0f} ns"])
    print_table(["one change of activity", "time"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=8)
    parser.add_argument("--rows", type=int, default=40_000)
    parser.add_argument("--engine", default="simulated", choices=("simulated", "torch"))
    parser.add_argument("--shape", default="all-MiniLM-L6-v2")
    parser.add_argument("--calls", action="store_true", help="time one change of activity and end")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if args.calls:
            calls(folder)
            return
        model = random_model(args.shape, folder / "model")
        ratios, cpus, rates = [], [], {"full": [], "none": []}
        for pair in range(args.pairs):
            order = ("full", "none") if pair % 2 else ("none", "full")
            seen = {kind: one_run(kind, args.rows, args.engine, folder, model) for kind in order}
            for kind, (rate, _) in seen.items():
                rates[kind].append(rate)
            ratios.append(seen["full"][0] / seen["none"][0])
            cpus.append(seen["full"][1] / seen["none"][1] if seen["none"][1] else float("nan"))
            print(json.dumps({"pair": pair, **seen}), file=sys.stderr)
        cost = 1.0 - statistics.median(ratios)
        spread = statistics.stdev(ratios) / len(ratios) ** 0.5 if len(ratios) > 1 else float("nan")
        print_table(["telemetry", "median tokens/s"], [[k, f"{statistics.median(v):,.0f}"] for k, v in rates.items()])
        print(f"\ncost of telemetry and trace: {100 * cost:.2f} % of throughput (median of {args.pairs} pairs, "
              f"standard error {100 * spread:.2f} %)")
        print(f"CPU seconds, whole program, starts included: {100 * (statistics.median(cpus) - 1):+.2f} % (Unix only; "
              "steadier than throughput on a machine that does other things too)")


if __name__ == "__main__":
    main()
