"""`workbench diagnose`: what limited a recorded run, in words or as JSON."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from workbench.cli.common import add_collection, add_json, print_json

if TYPE_CHECKING:
    from workbench.cli.common import Subparsers

DESCRIPTION = """\
Says what limits a run: the binding resource, the evidence in numbers, one change, and the throughput predicted
after it. Without RUN: the last run of the collection built last. A recording that is cut off, or from a newer
version or another machine, is diagnosed as far as it goes, with a note."""


def add_parser(subparsers: Subparsers) -> None:
    """Declare the command."""
    parser = subparsers.add_parser(
        "diagnose", help="what limited a run, and what to change", description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", nargs="?", metavar="RUN", help="a run's name or folder, or its samples.jsonl")
    add_collection(parser)
    add_json(parser)


def execute(args: argparse.Namespace) -> int:
    """Exit code 0 whatever the verdict is; 2 when there is no such run."""
    from workbench.diagnose.verdict import diagnose, summary_lines
    from workbench.telemetry.recorder import Recording
    from workbench.telemetry.runs import failure_of, find_run, result_of

    folder = find_run(args.run, args.collection)
    recording = Recording.load(folder)
    notes = list(recording.notes)
    result = result_of(folder)
    if result is None:
        notes.append("the run wrote no result: it failed, was killed or goes on; this is the part that was recorded")
    elif (reason := failure_of(result)) is not None:
        notes.append(f"the run failed: {reason}")
    verdict = diagnose(recording.facts, recording.snapshots, notes)
    if args.json:
        print_json({"run": recording.facts.run, "collection": recording.facts.collection, **verdict.as_json()})
    else:
        print(f"Run {recording.facts.run}: {recording.facts.title}")
        print("\n".join(summary_lines(verdict)))
    return 0
