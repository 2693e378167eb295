"""`workbench tune`: the best settings for this machine, model and data."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.cli.common import add_json, print_json
from workbench.cli.trial_options import add_input, request_of
from workbench.core.errors import RunFailed, UsageError

if TYPE_CHECKING:
    from workbench.cli.common import Subparsers
    from workbench.core.run import RunRequest
    from workbench.diagnose.tuning import Space, Tuner

DESCRIPTION = """\
Finds token budget, workers, number format, threads, ring depth, attention and the requests to a remote end by short
trials, each chosen by the verdict of the best one so far. Whatever changes numbers is first checked against fp32
(--floor). Ctrl+C ends it with the best so far. The result is a profile of your own for --profile. With --set
encoder.engine=simulated and a speed, it tunes for a device that is not there yet."""


def add_parser(subparsers: Subparsers) -> None:
    """Declare the command."""
    parser = subparsers.add_parser(
        "tune", help="find the best settings", description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_input(parser)
    parser.add_argument("--save", default="tuned", metavar="NAME", help="name of the profile to write (default tuned)")
    parser.add_argument("--floor", type=float, default=0.999, metavar="C", help="least mean cosine to fp32 (0.999)")
    parser.add_argument("--trials", type=int, default=16, metavar="N", help="trials at most (default 16)")
    parser.add_argument("--seconds", type=float, default=5.0, metavar="S", help="of a trial after its first batch")
    add_json(parser)


def execute(args: argparse.Namespace) -> int:
    """Exit code 0 (also after Ctrl+C, with the best so far), 1 when no trial worked, 2 for wrong input."""
    from workbench.core.profile_io import own_profile_path, save_profile
    from workbench.diagnose.parity import Parity, temporary
    from workbench.diagnose.trial import Trial, run_trial
    from workbench.diagnose.tuning import Tuner, with_settings

    _check(args)
    path = own_profile_path(args.save)
    request = request_of(args)
    with temporary() as folder:
        parity = Parity(request, Path(folder))
        tuner = Tuner(
            request.profile, space_of(request),
            lambda profile, seconds: run_trial(Trial(_with(request, profile), seconds)),
            parity.cosine, args.floor, args.trials, args.seconds, _tell,
        )
        stopped = _tune(tuner)
    best = tuner.best
    if best is None or best.rate <= 0:
        why = tuner.history[0].outcome.failure if tuner.history else "stopped before the first trial ended"
        raise RunFailed(f"no trial worked: {why or 'too little was measured; try a larger --seconds or input'}")
    save_profile(with_settings(request.profile, best.settings), path)
    if args.json:
        print_json(as_json(tuner, path, stopped=stopped))
    else:
        print(shown(tuner, path, stopped=stopped))
    return 0


def _check(args: argparse.Namespace) -> None:
    if args.trials < 1 or args.seconds <= 0:
        raise UsageError("--trials must be at least 1 and --seconds above 0")
    if not 0.0 <= args.floor <= 1.0:
        raise UsageError(f"--floor must be between 0 and 1, not {args.floor:g}", remedy="Such as 0.999")


def _with(request: RunRequest, profile: Any) -> RunRequest:
    from dataclasses import replace

    return replace(request, profile=profile)


def space_of(request: RunRequest) -> Space:
    """What may be tried for this request on this machine."""
    from workbench.diagnose.tuning import Space
    from workbench.telemetry.system import cores

    section = request.profile.encoder
    _, logical = cores()
    if section.engine != "torch":
        return Space(logical)
    cpu = section.device == "cpu" or (section.device == "auto" and not _has_card())
    # int8 is tried where it computes (BERT's family, VNNI) and only kept above the floor, like all the others.
    dtypes = ("int8", "bf16", "fp32") if cpu else ("fp16", "bf16")
    return Space(logical, dtypes, ("sdpa", "eager"))


def _has_card() -> bool:
    from workbench.telemetry.nvml import open_nvml

    nvml = open_nvml()
    try:
        return bool(nvml.read())
    finally:
        nvml.close()


def _tune(tuner: Tuner) -> bool:
    """True when the user stopped it."""
    try:
        tuner.tune()
    except KeyboardInterrupt:
        return True
    return False


def as_json(tuner: Tuner, path: Path, *, stopped: bool) -> dict[str, Any]:
    """The object of `--json`."""
    best = tuner.best
    assert best is not None
    return {
        "profile": str(path), "settings": dict(best.settings), "tokens_per_second": best.rate,
        "started_from": tuner.history[0].rate, "cosine": best.cosine, "stopped": stopped,
        "verdict": best.outcome.verdict.as_json(),
        "trials": [
            {
                "settings": dict(one.settings), "tokens_per_second": one.rate, "seconds": one.seconds,
                "limit": str(one.outcome.verdict.limit), "failure": one.outcome.failure or None,
            }
            for one in tuner.history
        ],
    }


def shown(tuner: Tuner, path: Path, *, stopped: bool) -> str:
    """The result for people."""
    best = tuner.best
    assert best is not None
    first = tuner.history[0].rate
    gain = f" ({best.rate / first:.2f} × the start)" if first > 0 else ""
    changes = ", ".join(f"{key}={value}" for key, value in best.settings.items()) or "nothing to change"
    head = "stopped; best so far" if stopped else "best"
    lines = [
        f"{head}: {best.rate:,.0f} tokens/s{gain} after {len(tuner.history)} trials: {changes}",
        best.outcome.verdict.headline,
    ]
    if best.cosine is not None:
        lines.append(f"mean cosine to fp32: {best.cosine:.5f}")
    return "\n".join([*lines, f"profile: {path} (use it with --profile {path.stem})"])


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
