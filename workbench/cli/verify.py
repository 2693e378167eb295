"""`workbench verify`: every byte against its SHA-256, every count, the index against the vectors."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.cli.common import Steps, add_collection, add_json, print_json, size
from workbench.collection.jobs import verify_collection
from workbench.core import paths
from workbench.core.errors import UsageError
from workbench.tui.text import many

if TYPE_CHECKING:
    from workbench.cli.common import Subparsers
    from workbench.collection.verify import Report

DESCRIPTION = """\
Reads every file of a collection and compares it with what was written. Changes nothing without --repair.
Exit code 0: whole (or repaired), 1: something is damaged; each line says what and what to do.

--repair  goes back to the newest whole manifest and builds derived indexes again; embeds nothing
--drop    with --repair: takes damaged units out, so that the command that made the collection,
          given again, embeds them and nothing else"""


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("verify", help="check every file of a collection", description=DESCRIPTION)
    add_collection(parser)
    parser.add_argument("--repair", action="store_true", help="mend what can be mended without embedding")
    parser.add_argument("--drop", action="store_true", help="with --repair: take damaged units out")
    add_json(parser)


def execute(args: argparse.Namespace) -> int:
    if args.drop and not args.repair:
        raise UsageError("--drop goes with --repair", where="verify")
    path: Path = paths.chosen_collection(args.collection, whole=False)
    with Steps() as steps:
        report, done = verify_collection(path, repair=args.repair, drop=args.drop, progress=steps)
    if args.json:
        print_json({**asdict(report), "whole": report.whole, "repaired": done})
    else:
        print(text(report, done))
    return 0 if report.whole else 1


def text(report: Report, done: list[str]) -> str:
    """The report for people."""
    lines = [f"repaired: {line}" for line in done]
    lines += [f"{problem.file}: {problem.what}\n    → {problem.remedy}" for problem in report.problems]
    lines += [f"note: {note}" for note in report.notes]
    read = (
        f"{many(report.files, 'file')}, {size(report.nbytes)}, {many(report.rows, 'chunk')}, "
        f"manifest {report.manifest}"
    )
    state = "whole" if report.whole else f"{len(report.problems)} damaged"
    return "\n".join([*lines, f"{state}: {report.collection} ({read})"])
