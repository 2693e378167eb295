"""`workbench delete`: takes chunks out of a collection; no search finds them any more."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.cli.common import add_collection, add_json, print_json, program
from workbench.core import paths
from workbench.core.errors import UsageError
from workbench.search.upkeep import delete, restore
from workbench.tui.text import many

if TYPE_CHECKING:
    from workbench.cli.common import Subparsers

DESCRIPTION = """\
Deletes the chunks that --where lets through (the language is that of `{program} search --help`), or those of
documents or places. They are not found from the next search on; `compact` gives their space back.

No later run brings them back, also when the input has changed: a text of a document that was deleted stays away. (Rows
of a table without ids are known by their number.) --restore forgets all deletions, so that the next run embeds what
the input still has of them."""


def add_parser(subparsers: Subparsers) -> None:
    description = DESCRIPTION.format(program=program())
    parser = subparsers.add_parser("delete", help="delete chunks from a collection", description=description)
    add_collection(parser)
    parser.add_argument("--where", default="", metavar="FILTER", help="chunks that this filter lets through")
    parser.add_argument("--doc", action="append", default=[], metavar="ID", help="chunks of this document")
    parser.add_argument("--chunk", action="append", default=[], metavar="ID", help="this chunk")
    parser.add_argument("--path", default="", metavar="GLOB", help="chunks from places like this: notes/old/*")
    parser.add_argument("--restore", action="store_true", help="let the next run bring back all that was ever deleted")
    parser.add_argument("--dry-run", action="store_true", help="only say how many there are")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    add_json(parser)


def execute(args: argparse.Namespace) -> int:
    path = paths.chosen_collection(args.collection)
    if args.restore:
        return _restore(path, args)
    where = condition(args)
    if not (args.dry_run or args.yes):
        _ask(path, delete(path, where, really=False).matched)
    done = delete(path, where, really=not args.dry_run)
    if args.json:
        print_json({"collection": str(path), **asdict(done)})
    elif args.dry_run:
        print(f"{done.matched:,} of {many(done.left, 'chunk')} would be deleted: {path}")
    else:
        print(f"{many(done.deleted, 'chunk')} deleted, {done.left:,} left: {path}")
    return 0


def _restore(path: Path, args: argparse.Namespace) -> int:
    if args.where or args.doc or args.chunk or args.path or args.dry_run:
        raise UsageError("--restore goes with no other option", remedy="It forgets all deletions")
    count = restore(path)
    if args.json:
        print_json({"collection": str(path), "restored": count})
    elif count:
        print(f"the next run embeds what the input still has of {many(count, 'deleted chunk')}: {path}")
    else:
        print(f"nothing is kept deleted: {path}")
    return 0


def condition(args: argparse.Namespace) -> str:
    """One filter of all options; chunks must meet each kind that is given. Raises UsageError when there is none."""
    parts = [f"({args.where})"] if args.where else []
    for field, values in (("doc_id", args.doc), ("chunk_id", args.chunk)):
        if values:
            parts.append(f"{field} in ({', '.join(map(_quoted, values))})")
    if args.path:
        parts.append(f"path glob {_quoted(args.path)}")
    if not parts:
        raise UsageError("nothing was named to delete", remedy="Give --where, --doc, --chunk or --path")
    return " and ".join(parts) if len(parts) > 1 or not args.where else str(args.where)  # a caret shows what was typed


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _ask(path: object, count: int) -> None:
    if not count:
        return
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError(f"{many(count, 'chunk')} would be deleted", where=str(path), remedy="Say --yes to do it")
    sys.stderr.write(f"Delete {many(count, 'chunk')} from {path}? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise UsageError("nothing was deleted")
