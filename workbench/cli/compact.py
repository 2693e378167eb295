"""`workbench compact`: gives the space of deleted chunks back, without embedding anything."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING

from workbench.cli.common import Steps, add_collection, add_json, print_json, size
from workbench.core import paths
from workbench.search.upkeep import compact
from workbench.tui.text import many

if TYPE_CHECKING:
    from workbench.cli.common import Subparsers

DESCRIPTION = """\
Deleted chunks are not found any more, but their bytes stay until this command writes the shards that have some
anew, and their indexes. Searches go on meanwhile."""


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("compact", help="give the space of deleted chunks back", description=DESCRIPTION)
    add_collection(parser)
    add_json(parser)


def execute(args: argparse.Namespace) -> int:
    path = paths.chosen_collection(args.collection)
    with Steps() as steps:
        done = compact(path, steps)
    if args.json:
        print_json({"collection": str(path), **asdict(done)})
    elif not done.shards:
        print(f"nothing is deleted: {path}")
    else:
        saved = f"{size(done.before)} became {size(done.after)}"
        print(f"{many(done.rows, 'deleted chunk')} taken out of {many(done.shards, 'shard')}, {saved}: {path}")
    return 0
