"""`workbench plan`: would this machine feed a faster device, and with how many workers?"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from workbench.cli.common import add_json, print_json, table
from workbench.cli.trial_options import add_input, request_of

if TYPE_CHECKING:
    from workbench.cli.common import Subparsers

DESCRIPTION = """\
Measures what this machine's workers prepare on this data (1, 2, 4 … workers up to all cores), and the device there is,
and says for each device speed how many workers it needs. A speed is 4x (times the device there is) or tokens/s."""


def add_parser(subparsers: Subparsers) -> None:
    """Declare the command."""
    parser = subparsers.add_parser(
        "plan", help="workers for a faster device", description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_input(parser)
    parser.add_argument(
        "--device-speed", nargs="+", default=["1x", "2x", "4x", "8x"], metavar="K",
        help="device speeds: 4x, 500k, 1.5M … (default 1x 2x 4x 8x)",
    )
    parser.add_argument("--seconds", type=float, default=3.0, metavar="S", help="time for each measurement (default 3)")
    add_json(parser)


def execute(args: argparse.Namespace) -> int:
    """Exit code 0, 2 for wrong input, 1 when a measurement failed."""
    from workbench.core.errors import UsageError
    from workbench.diagnose.ceilings import measure, worker_rates
    from workbench.diagnose.planning import curve, feed_of, parse_speed, planned, worker_counts
    from workbench.telemetry.system import cores

    if args.seconds <= 0:
        raise UsageError(f"--seconds must be above 0, not {args.seconds:g}")
    for word in args.device_speed:
        parse_speed(word, 1.0)  # complain before anything is measured
    request = request_of(args)
    _, logical = cores()
    stages = measure(request, args.seconds, _tell).stages
    rates = worker_rates(request, worker_counts(logical), args.seconds, _tell)
    encoder = next(stage for stage in stages if stage.name == "encoder")
    device = encoder.tokens_per_second
    feed = feed_of(stages, rates, logical)
    rows = planned(feed, [parse_speed(word, device) for word in args.device_speed])
    if args.json:
        print_json({
            "device_tokens_per_second": device, "most_tokens_per_second": feed.most, **asdict(feed),
            "devices": [asdict(row) for row in rows],
        })
        return 0
    print(f"the device there is: {device:,.0f} tokens/s ({encoder.note})\n\n{curve(feed)}\n")
    cells = [
        (
            row.label, f"{row.device:,.0f}",
            f"{row.workers}" if row.workers is not None else f"not with {logical} cores",
            f"{row.reached:,.0f}", f"{row.reached / row.device:.0%}",
        )
        for row in rows
    ]
    print(table(cells, ("device", "tokens/s", "workers", "reached tokens/s", "device used")))
    return 0


def _tell(text: str) -> None:
    print(f"{text} …", file=sys.stderr, flush=True)
