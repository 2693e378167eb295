"""`workbench ceilings`: what each stage can do alone on this data, and how close the pipeline comes."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.cli.common import add_json, print_json, table
from workbench.cli.trial_options import add_input, request_of

if TYPE_CHECKING:
    from workbench.cli.common import Subparsers
    from workbench.diagnose.ceilings import Ceiling, Ceilings

DESCRIPTION = """\
Runs each stage alone on the same data: reading; tokenising; whole workers; the encoder replaying prepared batches; the
writer fed with ready vectors. Then runs the pipeline for some seconds. Pipeline efficiency is end-to-end throughput ÷
the lowest bound (the lowest stage, or what the cores allow all stages together). Everything is written to a
temporary folder and thrown away."""
_BAR = 32


def add_parser(subparsers: Subparsers) -> None:
    """Declare the command."""
    parser = subparsers.add_parser(
        "ceilings", help="each stage alone on this data", description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_input(parser)
    parser.add_argument("--seconds", type=float, default=3.0, metavar="S", help="time for each stage (s; default 3)")
    parser.add_argument("--no-run", action="store_true", help="leave the pipeline out")
    parser.add_argument(
        "--in", dest="collection", type=Path, metavar="FOLDER", help="keep the result for the reports of a collection"
    )
    add_json(parser)


def execute(args: argparse.Namespace) -> int:
    """Exit code 0, 2 for wrong input, 1 when a stage failed."""
    from workbench.core.errors import UsageError
    from workbench.core.paths import chosen_collection
    from workbench.diagnose.ceilings import measure, with_pipeline
    from workbench.diagnose.trial import Trial, run_trial

    if args.seconds <= 0:
        raise UsageError(f"--seconds must be above 0, not {args.seconds:g}")
    keep = None if args.collection is None else chosen_collection(args.collection)
    request = request_of(args)
    found = measure(request, args.seconds, _tell)
    if not args.no_run:
        _tell("the whole pipeline")
        trial = run_trial(Trial(request, max(8.0, 2.0 * args.seconds)))
        if trial.tokens_per_second > 0:
            found = with_pipeline(found, trial.tokens_per_second)
    if keep is not None:
        _keep(keep, found)
    if args.json:
        print_json(found.as_json())
    else:
        print(shown(found))
    return 0


def _keep(collection: Path, found: Ceilings) -> None:
    from workbench.core.errors import UsageError
    from workbench.report.ceilings import keep_ceilings

    try:
        _tell(f"kept in {keep_ceilings(collection, found.as_json())}")
    except OSError as error:
        raise UsageError(f"cannot write the ceilings: {error.strerror or error}", where=str(collection)) from error


def shown(ceilings: Ceilings) -> str:
    """The table with bars, for people."""
    most = max(stage.tokens_per_second for stage in ceilings.stages)

    def bar(stage: Ceiling) -> str:
        mark = " ◀ lowest" if stage.name == ceilings.lowest else ""
        return "█" * max(1, round(_BAR * stage.tokens_per_second / most)) + mark

    rows = [
        (s.name, str(s.processes), f"{s.tokens_per_second:,.0f}", f"{1e6 * s.cpu_per_token:.2f}", bar(s))
        for s in ceilings.stages
    ]
    lines = [ceilings.title, "", table(rows, ("stage alone", "processes", "tokens/s", "CPU µs/token", ""))]
    if ceilings.end_to_end is not None and ceilings.efficiency is not None:
        share = f"efficiency {ceilings.efficiency:.1%} of {ceilings.lowest}"
        lines += ["", f"pipeline: {ceilings.end_to_end:,.0f} tokens/s, {share}"]
    return "\n".join(lines)


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
