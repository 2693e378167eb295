"""The command line: finds the command, loads only that one, turns errors into one line and an exit code.

Exit codes: 0 done, 1 failed, 2 wrong use or wrong input, 130 stopped with Ctrl+C.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from workbench import __version__
from workbench.cli.common import Parser, program
from workbench.core.errors import UsageError, WorkbenchError

#: Every command and what it does. `NAME` lives in `workbench/cli/NAME.py` as
#: `add_parser(subparsers) -> None` and `execute(args) -> int`, and is imported only when it is asked for.
COMMANDS = {
    "run": "embed an input into a collection (the default input needs no file and no network)",
    "search": "find text in a collection",
    "eval": "measure search quality on judged queries",
    "delete": "delete chunks from a collection",
    "compact": "give the space of deleted chunks back",
    "info": "what a collection holds and how it was made",
    "verify": "check every file of a collection",
    "export": "write a collection to one parquet or npy file",
    "index": "rebuild the FAISS index as another kind, without embedding",
    "diagnose": "what limited a run, and what to change",
    "ceilings": "what each stage can do alone on this data, and how close the pipeline comes",
    "tune": "find the best settings for this machine, model and data",
    "plan": "how many workers would feed a faster device",
    "report": "the HTML report of a run",
    "compare": "runs side by side",
    "profiles": "list and show profiles, explain every key",
    "doctor": "check this machine: Python, torch, driver, disk, console",
    "test": "how to run the test suite",
}

EXAMPLES = """\
examples:
  {0} --profile fast                      embed the documentation of Python's standard library
  {0} --profile fast my_docs/             short for: run --profile fast my_docs/
  {0} run --docs docs.parquet --chunks chunks.parquet --into books.collection
  {0} search "how do I compress a file"   in the collection built last
  {0} doctor                              what to do when something does not work

Every command has --help. --debug shows the traceback of an error."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; never raises for an error of the user's."""
    _use_utf8()
    words = list(sys.argv[1:] if argv is None else argv)
    debug, words = _take_debug(words)
    try:
        code = _dispatch(words)
        sys.stdout.flush()
        return code
    except WorkbenchError as error:
        return _complain(str(error), error.exit_code, debug)
    except KeyboardInterrupt:
        return _complain("stopped with Ctrl+C", 130, debug)
    except BrokenPipeError:
        # the reader of our output has gone; keep Python from complaining when it flushes at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except ModuleNotFoundError as error:
        hint = "Start with run.sh or run.bat: they complete the environment"
        return _complain(f"the Python package {error.name!r} is missing. {hint}", 1, debug)
    except Exception as error:
        text = f"internal error: {type(error).__name__}: {error}. Run again with --debug for the traceback"
        return _complain(text, 1, debug)


def _dispatch(words: list[str]) -> int:
    if not words:
        return _open_screen()
    if words[0] in ("-h", "--help", "help"):
        print(overview())
        return 0
    if words[0] in ("-V", "--version"):
        print(f"workbench {__version__}")
        return 0
    if words[0] not in COMMANDS:
        words = ["run", *_meant_for_run(words)]
    return _execute(words[0], words)


def _execute(name: str, words: list[str]) -> int:
    module = importlib.import_module(f"workbench.cli.{name}")
    parser = Parser(prog=program())
    subparsers = parser.add_subparsers(dest="command", required=True)
    module.add_parser(subparsers)
    subparsers.choices[name].set_defaults(parser=subparsers.choices[name])
    return int(module.execute(parser.parse_args(words)))


def _meant_for_run(words: list[str]) -> list[str]:
    """Words without a command are a run, unless the first looks like a mistyped command."""
    first = words[0]
    if first.startswith("-") or Path(first).exists() or any(sign in first for sign in "/\\."):
        return words
    near = difflib.get_close_matches(first, COMMANDS, n=1, cutoff=0.5)
    start = f"Did you mean {near[0]}? " if near else ""
    raise UsageError(
        f"{first!r} is neither a command nor a file or folder here", remedy=f"{start}Commands: {', '.join(COMMANDS)}"
    )


def _open_screen() -> int:
    """The workbench's screen on a terminal; elsewhere, or before the screen exists, what can be done."""
    terminal = sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()
    if terminal and importlib.util.find_spec("workbench.tui.app") is not None:
        code = importlib.import_module("workbench.tui.app").run_app()
        return int(code or 0)
    print(overview())
    return 0


def overview() -> str:
    """What can be done, for `--help` and for a start without words."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name.ljust(width)}  {text}" for name, text in COMMANDS.items()]
    head = f"usage: {program()} [COMMAND] [options]\n\nWithout a command on a terminal: the workbench's screen."
    return "\n".join([head, "", "commands:", *lines, "", EXAMPLES.format(program())])


def _take_debug(words: list[str]) -> tuple[bool, list[str]]:
    """`--debug` counts anywhere before a `--`."""
    end = words.index("--") if "--" in words else len(words)
    kept = [word for word in words[:end] if word != "--debug"]
    return len(kept) != end, kept + words[end:]


def _complain(text: str, code: int, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    print(f"workbench: {text}", file=sys.stderr)
    return code


def _use_utf8() -> None:
    """Output that is redirected on Windows is cp1252, where printing an arrow would end the program."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(encoding="utf-8", errors="replace")
