"""`workbench run`: embed an input into a collection, headless."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.cli.common import add_json, duration, print_json, program
from workbench.core.errors import UsageError
from workbench.core.profile_io import apply_overrides, load_profile
from workbench.core.run import Failure, LogLine, RunRequest, RunResult
from workbench.tui.text import many

if TYPE_CHECKING:
    from workbench.cli.common import Subparsers
    from workbench.cli.progress import ProgressBar
    from workbench.engine.run import Run
    from workbench.telemetry.snapshot import RunFacts, Snapshot

EPILOG = """\
inputs:
  (none)                     the documentation of this Python's standard library
  notes.jsonl  t.parquet     a table with a text column (also CSV); further columns are kept as metadata
  my_docs/  readme.md        text, Markdown, reStructuredText, HTML, source code: cut into chunks
  --docs D --chunks C        two parquet tables: documents, and chunks as (doc_id, start, end) into them

The same command again continues where a run was stopped or killed; nothing committed is embedded twice.
Ctrl+C once finishes and commits the units in flight, twice stops at once; both can be resumed.
`{program} profiles --keys` explains every key of --set."""


def add_parser(subparsers: Subparsers) -> None:
    """Declare the command."""
    parser = subparsers.add_parser(
        "run", help="embed an input into a collection", epilog=EPILOG.format(program=program()),
        description="Embed an input into a durable, searchable collection.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("inputs", nargs="*", type=Path, metavar="INPUT", help="files or folders")
    parser.add_argument("--docs", type=Path, metavar="FILE", help="document table (parquet) of --chunks")
    parser.add_argument("--chunks", type=Path, metavar="FILE", help="chunk table (parquet) with doc_id, start, end")
    parser.add_argument("--into", type=Path, metavar="FOLDER", help="collection folder; default: named after the input")
    parser.add_argument(
        "--profile", default="balanced", metavar="NAME", help="fast, balanced, quality, debug, or a file"
    )
    parser.add_argument(
        "--set", action="append", default=[], dest="assignments", metavar="KEY=VALUE", help="override a profile key"
    )
    parser.add_argument(
        "--limit", type=int, default=0, metavar="N",
        help="first N rows (folders: documents) only; what the collection holds beyond them stays",
    )
    parser.add_argument("--fresh", action="store_true", help="throw away what the collection holds; asks first")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    add_json(parser)


def execute(args: argparse.Namespace) -> int:
    """Run and report. Exit code 0 also for a run that the user stopped: it is consistent and resumable."""
    request = _request(args)
    if request.fresh and not args.yes:
        _confirm_fresh(request)
    from workbench.engine.early import begin_early

    early = begin_early(request)  # before the modules of the engine, which take a third of a second
    from workbench.cli.progress import ProgressBar
    from workbench.engine.run import Run

    bar = ProgressBar(sys.stderr, quiet=False)
    run = Run(request, lambda event: bar.say(_line(event)), early)
    run.start()
    result = _watch(run, bar)
    with _late_interrupts_ignored():
        if args.json:
            print_json(json_result(result))
        else:
            print(summary(result), flush=True)  # reading back a night's run takes seconds
            for line in verdict_lines(run, result):
                print(line)
    return 0


@contextmanager
def _late_interrupts_ignored() -> Iterator[None]:
    """The run has ended: a second Ctrl+C that comes now must not swallow its result."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _request(args: argparse.Namespace) -> RunRequest:
    if args.limit < 0:
        raise UsageError(f"--limit {args.limit} is negative", remedy="0 means all")
    if args.chunks is not None and args.docs is None:
        raise UsageError("--chunks needs the documents its offsets point into", remedy="Give them with --docs FILE")
    inputs = tuple(args.inputs) if args.chunks is None else (*args.inputs, args.chunks)
    if args.docs is not None and len(inputs) != 1:
        raise UsageError("--docs goes with exactly one chunk table", remedy="Give it with --chunks FILE")
    profile = apply_overrides(load_profile(args.profile), args.assignments)
    return RunRequest(profile, inputs, args.docs, args.into, args.limit, args.fresh)


def _confirm_fresh(request: RunRequest) -> None:
    """Ask before anything is thrown away; without a terminal to ask on, refuse."""
    from workbench.core.paths import default_collection

    into = request.into or default_collection(request)
    if not (into / "CURRENT").exists():
        return
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError("--fresh would throw this collection away", where=str(into), remedy="Add --yes if you mean it")
    print(f"Throw away {into} and embed everything again? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise UsageError("nothing was changed", where=str(into))


def _watch(run: Run, bar: ProgressBar) -> RunResult:
    """Show progress until the run ends; Ctrl+C once stops it in order, twice at once."""
    from workbench.telemetry.sampler import KEPT

    interrupts = 0
    while True:
        try:
            result = run.wait(0.2)
            if result is not None:
                bar.close()
                return result
            bar.show(run.window(KEPT))
        except KeyboardInterrupt:
            interrupts += 1
            run.stop(now=interrupts > 1)
            bar.say(
                "stopping: the units in flight are finished and committed; Ctrl+C again stops at once"
                if interrupts == 1 else "stopping at once; what is committed stays"
            )
        except BaseException:
            bar.close()
            raise


def verdict_lines(run: Run, result: RunResult) -> list[str]:
    """What limited the run, when it was long enough to tell: what `diagnose` says of its recording."""
    from workbench.diagnose.limits import UNDECIDED
    from workbench.diagnose.verdict import diagnose, summary_lines

    seen = _seen(run, result)
    if seen is None:
        return []
    verdict = diagnose(*seen)
    return [] if verdict.limit in UNDECIDED else ["", *summary_lines(verdict)]


def _seen(run: Run, result: RunResult) -> tuple[RunFacts, tuple[Snapshot, ...], tuple[str, ...]] | None:
    """Facts, snapshots and notes of the whole run; only its last minutes where the disk took no recording."""
    from workbench.telemetry.recorder import Recording
    from workbench.telemetry.sampler import KEPT

    if run.facts is None:
        return None
    with suppress(UsageError):
        recording = Recording.load(Path(result.collection) / "runs" / result.run)
        if recording.snapshots:
            return recording.facts, recording.snapshots, recording.notes
    window = run.window(KEPT)
    notes = ("the run was not recorded; this is said of its last minutes",)
    return (run.facts, window, notes) if window else None


def _line(event: LogLine | Failure) -> str:
    stamp = time.strftime("%H:%M:%S")
    if isinstance(event, LogLine):
        mark = {"warning": "! ", "error": "!! "}.get(event.level, "")
        return f"{stamp} {mark}{event.text}"
    text = f"{stamp} !! {event.stage}: {event.message}"
    return text + (f" — {event.hint}" if event.hint else "")


def json_result(result: RunResult) -> dict[str, Any]:
    """The object of `--json`; its keys are fixed."""
    data = asdict(result)
    data.pop("failure")
    return data


def summary(result: RunResult) -> str:
    """A few lines for people."""
    ended = "Done" if result.outcome == "done" else "Stopped"
    lines = [
        f"{ended}: {many(result.chunks, 'chunk')} in {duration(result.seconds)}"
        + (f" ({result.resumed:,} were there before)" if result.resumed else "")
        + (f", {result.tokens_per_second:,.0f} tokens/s" if result.tokens_per_second else ""),
    ]
    if result.tokens:
        encoder = result.encoder
        lines.append(
            f"  {result.tokens:,} tokens, padding {result.padding_share:.1%}, "
            f"{encoder['model']} on {encoder['device']} ({encoder['dtype']})"
        )
    if result.rejects:
        lines.append(f"  {many(result.rejects, 'row')} rejected; reasons in {Path(result.collection) / 'rejects'}")
    recall = result.index.get("recall_at_10")
    if result.index.get("kind"):
        lines.append(f"  index {result.index['kind']}" + (f", recall@10 {recall:.3f}" if recall is not None else ""))
    lines.append(f"  collection {result.collection}")
    if result.outcome == "done":
        lines.append(f'  search it:  {program()} search "your question"')
    else:
        lines.append("  the same command resumes where it stopped")
    return "\n".join(lines)
