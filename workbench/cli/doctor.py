"""`workbench doctor`: one line for each thing a run depends on, with the remedy."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING

from workbench.cli.common import add_json, print_json

if TYPE_CHECKING:
    from workbench.cli.common import Subparsers
    from workbench.doctor.checks import Finding

DESCRIPTION = """\
Checks Python, packages, torch and its device, driver and card, disk, memory and console; on Windows also the
VC++ runtime, the page file and long paths. Every line is ok, warning or problem; the last two name the remedy.
Exit code 1 when there is a problem."""


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("doctor", help="check this machine", description=DESCRIPTION)
    add_json(parser)


def execute(args: argparse.Namespace) -> int:
    from workbench.doctor.checks import examine
    from workbench.doctor.gather import gather

    findings = examine(gather())
    problems = sum(finding.level == "problem" for finding in findings)
    warnings = sum(finding.level == "warning" for finding in findings)
    if args.json:
        print_json({"findings": [asdict(item) for item in findings], "problems": problems, "warnings": warnings})
    else:
        print("\n".join(line for finding in findings for line in lines(finding)))
        print(f"\n{problems} problem{'' if problems == 1 else 's'}, {warnings} warning{'' if warnings == 1 else 's'}")
    return 1 if problems else 0


def lines(finding: Finding) -> list[str]:
    """A finding for people: `ok       Python         3.11.7 …`, the remedy below it."""
    first = f"{finding.level:<8} {finding.name:<14} {finding.text}"
    return [first, f"{'':<24}→ {finding.remedy}"] if finding.remedy else [first]
