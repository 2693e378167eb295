"""`workbench export`: a collection as one parquet file, or its vectors as npy with the ids beside them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.cli.common import Steps, add_collection, add_json, print_json, size
from workbench.core import paths
from workbench.core.errors import UsageError
from workbench.tui.text import many

if TYPE_CHECKING:
    from workbench.cli.common import Subparsers

DESCRIPTION = """\
FILE.parquet holds chunk_id, doc_id, title, text, vector (float32), place and the input's own columns.
FILE.npy holds the vectors [rows, dim] as they are stored, and FILE.ids.jsonl beside it the chunk ids in the
same order. Deleted rows are left out. The file appears when it is complete."""


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("export", help="write a collection to one file", description=DESCRIPTION)
    add_collection(parser)
    parser.add_argument("--to", type=Path, required=True, metavar="FILE", help="a .parquet or .npy file")
    parser.add_argument("--yes", action="store_true", help="replace FILE if it exists")
    add_json(parser)


def execute(args: argparse.Namespace) -> int:
    from workbench.collection.export import export_newest, files_of

    path, target = paths.chosen_collection(args.collection), Path(args.to)
    for file in files_of(target):
        if file.exists() and not args.yes:
            raise UsageError("is there already", where=str(file), remedy="Add --yes to replace it")
    with Steps() as steps:
        done = export_newest(path, target, lambda done, total: steps("exporting", done, total))
    names = [str(file) for file in done.files]
    if args.json:
        content = {"rows": done.rows, "dim": done.dim, "bytes": done.nbytes}
        print_json({"collection": str(path), "files": names, **content})
    else:
        print(f"{many(done.rows, 'row')}, {size(done.nbytes)}: {', '.join(names)}")
    return 0
