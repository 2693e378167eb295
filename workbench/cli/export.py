"""`workbench export`: a collection as one parquet file, or its vectors as npy with the ids beside them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.cli.common import Steps, add_collection, add_json, print_json, size
from workbench.core import paths
from workbench.core.errors import RunFailed, UsageError
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
    parser.add_argument("--yes", action="store_true", help="replace FILE without asking")
    add_json(parser)


def execute(args: argparse.Namespace) -> int:
    from workbench.collection.export import export
    from workbench.collection.reader import Collection

    target: Path = args.to
    files = [target] + ([target.with_suffix(".ids.jsonl")] if target.suffix.lower() == ".npy" else [])
    for file in files:
        if file.exists() and not args.yes:
            raise UsageError("is there already", where=str(file), remedy="Add --yes to replace it")
    with Collection.open(paths.chosen_collection(args.collection)) as collection, Steps() as steps:
        if collection.damaged:
            raise RunFailed("; ".join(collection.notes), remedy="`verify` says what can be done")
        rows = export(collection, target, lambda done, total: steps("exporting", done, total))
        dim, path = collection.dim, collection.path
    written = sum(file.stat().st_size for file in files)
    names = [str(file) for file in files]
    if args.json:
        print_json({"collection": str(path), "files": names, "rows": rows, "dim": dim, "bytes": written})
    else:
        print(f"{many(rows, 'row')}, {size(written)}: {', '.join(names)}")
    return 0
