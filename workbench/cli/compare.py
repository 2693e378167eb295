"""`workbench compare`: runs side by side."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.cli.common import add_collection, add_json, print_json, table
from workbench.core.errors import UsageError

if TYPE_CHECKING:
    from workbench.cli.common import Subparsers
    from workbench.report.compare import Compared

DESCRIPTION = """\
Puts recorded runs side by side: throughput with its spread over windows, verdicts, settings that differ, and, for
runs into different collections, how alike the vectors of equal chunk ids are."""


def add_parser(subparsers: Subparsers) -> None:
    """Declare the command."""
    parser = subparsers.add_parser(
        "compare", help="runs side by side", description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("runs", nargs="+", metavar="RUN", help="runs: names, folders, or collections (their last run)")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write the comparison as an HTML page too")
    add_collection(parser)
    add_json(parser)


def execute(args: argparse.Namespace) -> int:
    """Exit code 0; 2 when a run is not there."""
    from workbench.report.compare import as_json, compared, comparison
    from workbench.telemetry.runs import find_run

    if len(args.runs) < 2:
        raise UsageError("one run cannot be compared", remedy="Name two or more; `diagnose` looks at one")
    runs = [compared(find_run(run, args.collection)) for run in args.runs]
    parity = _parity(runs)
    if args.html is not None:
        try:
            args.html.write_text(comparison(runs, parity), encoding="utf-8", newline="\n")
        except OSError as error:
            raise UsageError(f"cannot write: {error.strerror or error}", where=str(args.html)) from error
    if args.json:
        print_json(as_json(runs, parity))
    else:
        _print(runs, parity)
    return 0


def _parity(runs: Sequence[Compared]) -> list[Mapping[str, Any]]:
    from workbench.report.parity import parity

    places = [(run.run, Path(run.collection)) for run in runs]
    return [parity(places[0], place) for place in places[1:]]


def _print(runs: Sequence[Compared], parity: Sequence[Mapping[str, Any]]) -> None:
    from workbench.report.compare import differing, facts_table, parity_line

    names = [run.run for run in runs]
    print(table([(name, *values) for name, values in facts_table(runs)], ("", *names)))
    different = differing(runs)
    if different:
        print("\nsettings that differ:")
        print(table([(key, *values) for key, values in different], ("", *names), indent="  "))
    for run in runs:
        print(f"\n{run.run}: {run.verdict.headline}")
    for item in parity:
        print(f"\n{parity_line(item)}")
