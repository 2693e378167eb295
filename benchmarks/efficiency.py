"""Pipeline efficiency: end-to-end throughput ÷ the lowest bound (lowest stage alone, and the shared-core bound).

    python benchmarks/efficiency.py [--shapes all-MiniLM-L6-v2 all-mpnet-base-v2] [--devices 0.5 1 2]

For models with random weights on this machine's CPU, and for a simulated device at multiples of what the workers
prepare alone (`--devices`; each also says what the verdict names). Stages are measured alone and the pipeline run
in turns, so that a drift of the machine hits both; medians of `--repeat`.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from common import REPOSITORY, need_data, print_table, random_model

sys.path.insert(0, str(REPOSITORY))


def wanted(model: Path, rows: int, *settings: str):  # noqa: ANN201
    """A request on the books."""
    from workbench.core.profile_io import apply_overrides, load_profile
    from workbench.core.run import RunRequest

    profile = apply_overrides(load_profile("balanced"), [f"encoder.model={model}", *settings])
    return RunRequest(profile, (need_data("books", "chunks.parquet"),), need_data("books", "docs.parquet"), limit=rows)


def measured(name: str, request: object, seconds: float, repeat: int) -> list[str]:
    """One row of the table."""
    from workbench.diagnose.ceilings import measure
    from workbench.diagnose.trial import Trial, run_trial

    bounds, rates, lowest, verdicts = [], [], [], []
    for _ in range(repeat):
        ceilings = measure(request, seconds)  # type: ignore[arg-type]
        outcome = run_trial(Trial(request, 3 * seconds))  # type: ignore[arg-type]
        bounds.append(ceilings.bound)
        rates.append(outcome.tokens_per_second)
        lowest.append(ceilings.lowest)
        verdicts.append(str(outcome.verdict.limit))
    efficiency = statistics.median(rate / bound for rate, bound in zip(rates, bounds, strict=True))
    return [
        name, f"{statistics.median(bounds):,.0f} ({statistics.mode(lowest)})", f"{statistics.median(rates):,.0f}",
        f"{efficiency:.3f}", statistics.mode(verdicts),
    ]


def workers_alone(request: object, seconds: float) -> float:
    """Tokens/s that the workers prepare alone."""
    from workbench.diagnose.ceilings import worker_rates
    from workbench.engine.setting import worker_count

    count = worker_count(request.profile.pipeline)  # type: ignore[attr-defined]
    return worker_rates(request, [count], seconds)[0].tokens_per_second  # type: ignore[arg-type]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", nargs="*", default=["all-MiniLM-L6-v2", "all-mpnet-base-v2"])
    parser.add_argument("--devices", nargs="*", type=float, default=[0.5, 1.0, 2.0])
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--set", nargs="*", default=[], dest="settings", metavar="KEY=VALUE")
    args = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        for shape in args.shapes:
            model = random_model(shape, Path(temporary) / shape)
            rows.append(measured(f"{shape}, CPU", wanted(model, 60_000, *args.settings), args.seconds, args.repeat))
        if args.devices:
            model = random_model("all-MiniLM-L6-v2", Path(temporary) / "all-MiniLM-L6-v2")
            fast = ["encoder.engine=simulated", *args.settings]
            rate = workers_alone(wanted(model, 60_000, *fast), args.seconds)
            for factor in args.devices:
                request = wanted(model, 120_000, *fast, f"encoder.tokens_per_second={factor * rate:.0f}")
                rows.append(measured(f"simulated device, {factor:g} × the workers", request, args.seconds, args.repeat))
    print_table(["case", "lowest bound, tokens/s", "pipeline, tokens/s", "efficiency", "verdict"], rows)


if __name__ == "__main__":
    main()
