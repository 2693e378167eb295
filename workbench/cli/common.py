"""What the commands share: the parser that complains in one line, JSON, tables, sizes."""

from __future__ import annotations

import argparse
import difflib
import json
import os
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

from workbench.core import steps
from workbench.core.errors import UsageError

#: ENABLE_VIRTUAL_TERMINAL_PROCESSING of a Windows console.
_ESCAPES = 4
#: Columns that a line of progress may take.
_WIDTH = 75

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaints are `UsageError`: one line with the nearest valid option."""

    def __init__(self, *args: Any, **options: Any) -> None:
        options.setdefault("allow_abbrev", False)
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(*args, **options)

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        parsed, extra = self.parse_known_args(args, namespace)
        if extra:
            active = getattr(parsed, "parser", self)
            active.error(f"unknown argument{'s' if len(extra) > 1 else ''} {' '.join(extra)}{active.nearest(extra[0])}")
        return parsed

    def nearest(self, word: str) -> str:
        """` (did you mean --into?)` for a mistyped option, else nothing."""
        options = [option for action in self._actions for option in action.option_strings]
        near = difflib.get_close_matches(word.partition("=")[0], options, n=1, cutoff=0.6)
        return f" (did you mean {near[0]}?)" if near else ""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, where=self.prog, remedy=f"`{self.prog} --help` shows what there is")


def program() -> str:
    """How the user starts the program, for hints: `./run.sh`, `.\\run.bat`, else `workbench`.

    run.sh and run.bat hand over the name they were called by. PowerShell calls run.bat by its whole path and does not
    find it here without `.\\`, which cmd takes too.
    """
    command = os.environ.get("WORKBENCH_COMMAND") or "workbench"
    folder, name = os.path.split(command)
    there = any(Path(name + ending).is_file() for ending in ("", ".bat"))
    if command != "workbench" and there and (not folder or Path(folder).samefile(os.curdir)):
        command = f"{os.curdir}{os.sep}{name}"
    return command if re.fullmatch(r"[\w./\\:~-]+", command) else f'"{command}"'


def add_json(parser: argparse.ArgumentParser) -> None:
    """The option `--json`."""
    parser.add_argument("--json", action="store_true", help="print exactly one JSON object on stdout")


def add_collection(parser: argparse.ArgumentParser) -> None:
    """The option `--in`, kept as `args.collection`; resolve it with `paths.chosen_collection`."""
    parser.add_argument(
        "--in", dest="collection", type=Path, metavar="FOLDER", help="the collection; without it the one built last"
    )


def takes_escapes(stream: TextIO) -> bool:
    """The stream is a terminal that follows escape codes. The classic console of Windows has to be told to."""
    if not stream.isatty():
        return False
    if sys.platform == "win32":
        import ctypes
        import msvcrt

        kernel, mode = ctypes.windll.kernel32, ctypes.c_ulong()
        console = ctypes.c_void_p(msvcrt.get_osfhandle(stream.fileno()))
        if not kernel.GetConsoleMode(console, ctypes.byref(mode)):
            return False
        return bool(mode.value & _ESCAPES or kernel.SetConsoleMode(console, mode.value | _ESCAPES))
    return os.environ.get("TERM") != "dumb"


def print_json(value: object) -> None:
    """Print one JSON object on stdout (numbers that JSON lacks become null)."""
    json.dump(_finite(value), sys.stdout, ensure_ascii=False, indent=2, default=str)
    sys.stdout.write("\n")


class Steps:
    """Progress of a long command on stderr: on a terminal one line that is written over.

    Elsewhere nothing, unless whoever reads the pipe asked for lines (`core.steps`), as the screen does.
    """

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()
        self._wipe = "\x1b[K" if takes_escapes(sys.stderr) else " " * _WIDTH + "\r"
        self._lines = not self._shown and os.environ.get(steps.VARIABLE) == "1"
        self._next = 0.0

    def __call__(self, what: str, done: int, total: int) -> None:
        if (self._shown or self._lines) and time.perf_counter() >= self._next:
            self._next = time.perf_counter() + 0.1
            share = f"{done / total:4.0%} " if total else ""
            self._write(f"{share}{what}")

    def _write(self, text: str) -> None:
        sys.stderr.write(f"\r{self._wipe}{text[:_WIDTH]}" if self._shown else f"{steps.MARK}{text}\n")
        sys.stderr.flush()

    def __enter__(self) -> Steps:
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown and self._next:
            self._write("")


def table(rows: Sequence[Sequence[str]], header: Sequence[str] = (), indent: str = "") -> str:
    """Rows as left-aligned columns with two spaces between them; the last column is not padded."""
    lines = [list(header), *map(list, rows)] if header else [list(row) for row in rows]
    if not lines:
        return ""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join(
        indent + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def size(nbytes: float) -> str:
    """Bytes for people: `0 B`, `1.5 kB`, `2.3 GB` (powers of 1000)."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(nbytes) < 1000:
            return f"{nbytes:.0f} {unit}" if unit == "B" else f"{nbytes:.1f} {unit}"
        nbytes /= 1000
    return f"{nbytes:.1f} TB"


def duration(seconds: float) -> str:
    """Seconds for people: `0.4 s`, `12 s`, `3 min 05 s`, `2 h 07 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value
