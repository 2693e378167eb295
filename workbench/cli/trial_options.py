"""Options of the commands that try things out on an input: ceilings, tune, plan."""

from __future__ import annotations

import argparse
from pathlib import Path

from workbench.core.errors import UsageError
from workbench.core.profile_io import apply_overrides, load_profile
from workbench.core.run import RunRequest


def add_input(parser: argparse.ArgumentParser) -> None:
    """INPUT, --docs, --chunks, --limit, --profile, --set, as `run` has them."""
    parser.add_argument("inputs", nargs="*", type=Path, metavar="INPUT", help="files or folders; without: the default")
    parser.add_argument("--docs", type=Path, metavar="FILE", help="document table (parquet) of --chunks")
    parser.add_argument("--chunks", type=Path, metavar="FILE", help="chunk table: doc_id, start, end")
    parser.add_argument("--limit", type=int, default=0, metavar="N", help="first N rows (folders: documents) only")
    parser.add_argument("--profile", default="balanced", metavar="NAME", help="profile to start from")
    parser.add_argument(
        "--set", action="append", default=[], dest="assignments", metavar="KEY=VALUE", help="override a profile key"
    )


def request_of(args: argparse.Namespace) -> RunRequest:
    """What these options ask for. Raises UsageError when they do not fit together."""
    if args.limit < 0:
        raise UsageError(f"--limit {args.limit} is negative", remedy="0 means all")
    inputs = tuple(args.inputs) if args.chunks is None else (*args.inputs, args.chunks)
    if args.chunks is not None and args.docs is None:
        raise UsageError("--chunks needs the documents its offsets point into", remedy="Give them with --docs FILE")
    if args.docs is not None and len(inputs) != 1:
        raise UsageError("--docs goes with exactly one chunk table", remedy="Give it with --chunks FILE")
    profile = apply_overrides(load_profile(args.profile), args.assignments)
    return RunRequest(profile, inputs, args.docs, limit=args.limit)
