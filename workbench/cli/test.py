"""`workbench test`: the suite belongs to the repository; run.sh and run.bat install what it needs and run it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from workbench.core import paths
from workbench.core.errors import UsageError

if TYPE_CHECKING:
    from workbench.cli.common import Subparsers


def add_parser(subparsers: Subparsers) -> None:
    subparsers.add_parser(
        "test",
        help="how to run the test suite",
        description="The test suite is run by `./run.sh test` (.\\run.bat test) in the repository; "
        "further words go to pytest.",
    )


def execute(args: argparse.Namespace) -> int:
    root = paths.repository()
    if root is None:
        raise UsageError("the test suite is part of the repository, not of the installed package")
    remedy = f"In {root}: ./run.sh test, on Windows .\\run.bat test"
    raise UsageError("the test suite has its own start", remedy=remedy)
