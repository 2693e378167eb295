"""`tune` against an exhaustive grid over the same space, on a simulated device.

    python benchmarks/tuning.py [--speed 2000000] [--launch 0.004] [--seconds 4]

Every grid point and every trial is a real run of so many seconds. The grid: workers × token budget × ring depth.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import tempfile
from pathlib import Path

from common import REPOSITORY, need_data, print_table

sys.path.insert(0, str(REPOSITORY))

WORKERS = (1, 2)
BUDGETS = (1024, 2048, 4096, 8192, 16384, 32768, 65536)
SLOTS = (1, 2, 4, 8, 16)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--speed", type=int, default=2_000_000, help="tokens/s of the device")
    parser.add_argument("--launch", type=float, default=0.004, help="seconds per batch")
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--tune-only", action="store_true", help="leave the grid out")
    args = parser.parse_args()
    from workbench.core.profile_io import apply_overrides, load_profile
    from workbench.core.run import RunRequest
    from workbench.diagnose.trial import Trial, run_trial
    from workbench.diagnose.tuning import Space, Tuner

    start = apply_overrides(load_profile("balanced"), [
        "encoder.engine=simulated", f"encoder.model={need_data('stopgap-model')}",
        f"encoder.tokens_per_second={args.speed}", f"encoder.launch_seconds={args.launch}",
        "encoder.token_budget=1024", "pipeline.slots=1", "pipeline.workers=1",
    ])
    inputs, docs = (need_data("books", "chunks.parquet"),), need_data("books", "docs.parquet")

    def trial(profile, seconds):  # noqa: ANN001, ANN202
        return run_trial(Trial(RunRequest(profile, inputs, docs, limit=60_000), seconds))

    with tempfile.TemporaryDirectory() as home:
        os.environ["WORKBENCH_HOME"] = str(Path(home))
        grid = list(itertools.product(WORKERS, BUDGETS, SLOTS))
        tuner = Tuner(
            start, Space(cores=os.cpu_count() or 1), trial, lambda _: None, trials=len(grid) // 10,
            seconds=args.seconds, tell=lambda text: print(text, file=sys.stderr),
        )
        best = tuner.tune()
        rows = [["tune", str(len(tuner.history)), f"{best.rate:,.0f}", str(dict(best.settings))]]
        rates = {}
        for workers, budget, slots in [] if args.tune_only else grid:
            settings = [f"pipeline.workers={workers}", f"encoder.token_budget={budget}", f"pipeline.slots={slots}"]
            rates[workers, budget, slots] = trial(apply_overrides(start, settings), args.seconds).tokens_per_second
            print(workers, budget, slots, f"{rates[workers, budget, slots]:,.0f}", file=sys.stderr)
        if rates:
            point = max(rates, key=lambda one: rates[one])
            rows.append(["grid", str(len(rates)), f"{rates[point]:,.0f}", f"workers, budget, slots = {point}"])
        print_table(["search", "trials", "tokens/s of the best", "settings"], rows)
        if rates:
            again = [trial(profile, 2 * args.seconds).tokens_per_second for profile in (
                apply_overrides(start, [f"{k}={v}" for k, v in best.settings.items()]),
                apply_overrides(start, [
                    f"pipeline.workers={point[0]}", f"encoder.token_budget={point[1]}", f"pipeline.slots={point[2]}",
                ]),
            )]
            print(f"\nboth run again: tune {again[0]:,.0f}, grid {again[1]:,.0f}: {100 * again[0] / again[1]:.1f} %")


if __name__ == "__main__":
    main()
