"""What the commands share: how the program is called in hints, what a terminal takes."""

from __future__ import annotations

import io
import os
import re
import sys
from pathlib import Path

import pytest

from workbench.cli import common
from workbench.cli.common import Steps, program, takes_escapes


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("", "workbench"),
        ("start.sh", f".{os.sep}start.sh"),
        (f".{os.sep}start.sh", f".{os.sep}start.sh"),
        ("{here}/start.sh", f".{os.sep}start.sh"),
        ("batch", f".{os.sep}batch"),  # cmd and PowerShell find batch.bat by it
        ("elsewhere.sh", "elsewhere.sh"),  # found on the path
        ("{here}/sub/start.sh", "{here}/sub/start.sh"),
        ("{here}/two words/start.sh", '"{here}/two words/start.sh"'),
    ],
)
def test_hints_call_the_program_so_that_it_is_found(
    command: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("start.sh", "batch.bat", "sub/start.sh", "two words/start.sh"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORKBENCH_COMMAND", command.format(here=tmp_path))
    assert program() == said.format(here=tmp_path)


class Terminal(io.StringIO):
    """A stream that says it is a terminal and keeps what is written."""

    def isatty(self) -> bool:
        return True


def test_escape_codes_go_to_terminals_that_follow_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    assert not takes_escapes(io.StringIO())
    if sys.platform != "win32":  # there the console itself is asked
        assert takes_escapes(Terminal())
        monkeypatch.setenv("TERM", "dumb")
        assert not takes_escapes(Terminal())


@pytest.mark.parametrize("escapes", [True, False])
def test_a_line_of_progress_is_written_over_with_and_without_escape_codes(
    escapes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(common, "takes_escapes", lambda _: escapes)
    with Steps() as steps:
        steps("x" * 200, 1, 2)
        steps._next = 0.0
        steps("short", 0, 0)
        assert line_of_a_terminal(stream.getvalue()) == "short"
    assert line_of_a_terminal(stream.getvalue()) == ""
    assert ("\x1b" in stream.getvalue()) == escapes and "\n" not in stream.getvalue()
    assert max(map(len, stream.getvalue().split("\r"))) < 80


def line_of_a_terminal(written: str) -> str:
    """What its line shows in the end, blanks after it left out."""
    line, column = "", 0
    for piece in re.findall("\r|\x1b\\[K|.", written):
        if piece == "\r":
            column = 0
        elif piece == "\x1b[K":
            line = line[:column]
        else:
            line, column = line[:column] + piece + line[column + 1:], column + 1
    return line.rstrip()
