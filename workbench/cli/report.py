"""`workbench report`: the HTML report of a recorded run."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.cli.common import add_collection, add_json, print_json

if TYPE_CHECKING:
    from workbench.cli.common import Subparsers

DESCRIPTION = """\
Writes one self-contained HTML page: verdict, pipeline, time lines, stages, ceilings, settings, environment, and how
each figure is made. It needs no network and prints well. Without RUN: the last run of the collection built last."""


def add_parser(subparsers: Subparsers) -> None:
    """Declare the command."""
    parser = subparsers.add_parser(
        "report", help="the HTML report of a run", description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", nargs="?", metavar="RUN", help="a run's name or folder, or its samples.jsonl")
    parser.add_argument("--to", type=Path, metavar="FILE", help="default: report.html in the run's folder")
    parser.add_argument("--trace", action="store_true", help="the trace too (trace.json, for Perfetto)")
    add_collection(parser)
    add_json(parser)


def execute(args: argparse.Namespace) -> int:
    """Exit code 0, or 2 when there is no such run or the page cannot be written."""
    from workbench.core.errors import UsageError
    from workbench.report.html import write_report
    from workbench.telemetry.runs import find_run
    from workbench.telemetry.trace import write_trace

    folder = find_run(args.run, args.collection)
    try:
        path = write_report(folder, args.to)
        trace = write_trace(folder) if args.trace else None
    except OSError as error:
        raise UsageError(
            f"cannot write the report: {error.strerror or error}", where=str(args.to or folder),
            remedy="Choose another place with --to",
        ) from error
    if args.json:
        print_json({"report": str(path), "trace": None if trace is None else str(trace)})
    else:
        print(f"report: {path}")
        if trace is not None:
            print(f"trace: {trace} (opens in Perfetto and chrome://tracing)")
    return 0
