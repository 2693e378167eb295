"""Jobs that go on in a process of their own: the program's commands, so that screen and command line agree.

Their output is read through pipes; nothing they print can reach the terminal.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

from workbench.core import steps
from workbench.tui.bridge import Outcome, Step, Told

_PERCENT = re.compile(r"(\d{1,3})(?:\.\d+)? ?%")
Read = Callable[[Any], Outcome]


class Command:
    """`workbench WORDS --json` in a process; its stderr tells the progress, its stdout the outcome."""

    def __init__(self, words: Sequence[str], read: Read | None, told: Told) -> None:
        """`read` makes the outcome of the JSON; without it the lines for people are the outcome.

        `told` gets Steps, then one Outcome, in another thread.
        """
        self._words, self._read, self._told = list(words), read, told
        self._cancelled = False
        self._process: subprocess.Popen[bytes] | None = None
        threading.Thread(target=self._main, name=f"job {words[0]}", daemon=True).start()

    def cancel(self) -> None:
        """End the process; the outcome says that it was given up."""
        self._cancelled = True
        if self._process is not None:
            with contextlib.suppress(OSError):
                self._process.terminate()

    def _main(self) -> None:
        flags = getattr(subprocess, "CREATE_NO_WINDOW", 0)
        # Where the program itself keeps the user's folder off the module path, its jobs do (Python 3.10 has no
        # PYTHONSAFEPATH).
        python = [sys.executable, *(["-I"] if sys.flags.isolated else [])]
        command = [*python, "-m", "workbench", *self._words, *(["--json"] if self._read else [])]
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                creationflags=flags, env={**os.environ, steps.VARIABLE: "1"},
            )
        except OSError as error:
            self._told(Outcome(problem=f"cannot start {command[0]}: {error}"))
            return
        if self._cancelled:
            self.cancel()
        output: list[bytes] = []
        reader = threading.Thread(target=lambda: output.append(self._stdout()), daemon=True)
        reader.start()
        last = self._progress()
        code = self._process.wait()
        reader.join()
        self._told(self._outcome(code, b"".join(output).decode("utf-8", "replace"), last))

    def _stdout(self) -> bytes:
        assert self._process is not None and self._process.stdout is not None
        return self._process.stdout.read()

    def _progress(self) -> str:
        """Tell every step of stderr; returns the last line that is none. A line may be drawn over from its start."""
        assert self._process is not None and self._process.stderr is not None
        last, part = "", b""
        while data := self._process.stderr.read1(4096):  # type: ignore[attr-defined]
            *lines, part = re.split(rb"[\r\n]+", part + data)
            for raw in lines:
                line = _plain(raw.decode("utf-8", "replace"))
                if line.startswith(steps.MARK):
                    self._told(step_of(line.removeprefix(steps.MARK)))
                elif line:
                    last = line
        rest = _plain(part.decode("utf-8", "replace"))
        return rest or last

    def _outcome(self, code: int, output: str, last: str) -> Outcome:
        if self._cancelled:
            return Outcome(lines=("Given up; nothing was changed.",))
        if self._read is None and code == 0:
            return Outcome(tuple(output.splitlines()))
        try:
            content = json.loads(output)
        except ValueError:
            problem = last.removeprefix("workbench: ") or f"`workbench {' '.join(self._words)}` ended with code {code}"
            return Outcome(problem=problem)
        if self._read is None:
            return Outcome(tuple(output.splitlines()))
        try:
            return self._read(content)
        except (KeyError, TypeError) as error:  # a fault of ours: shown, so that the job comes to an end
            return Outcome(problem=f"internal error: `{self._words[0]}` answers otherwise than expected: {error!r}")


def step_of(line: str) -> Step:
    """A line of progress; a percentage in it becomes the share, and is not said twice where it begins the line."""
    found = _PERCENT.search(line)
    if found is None:
        return Step(None, line)
    begins = not line[: found.start()].strip()
    return Step(min(1.0, int(found[1]) / 100), line[found.end() :].strip() if begins else line)


_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def _plain(text: str) -> str:
    return _ESCAPES.sub("", text).strip()
