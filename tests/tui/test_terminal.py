"""The program in a real terminal: what it leaves behind when it is quit, crashes or is killed."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("a pseudo terminal of POSIX is needed; Windows has none that Python can open", allow_module_level=True)

import fcntl
import pty
import select
import struct
import termios

ROOT = Path(__file__).resolve().parent.parent.parent
#: Modes the program switches on and must switch off: alternate screen, mouse (four kinds), bracketed paste, focus.
MODES = ("1049", "1000", "1003", "1015", "1006", "2004", "1004")
_CRASH = """
from workbench.tui import app as module
def broken(self): raise RuntimeError("a fault of ours")
module.WorkbenchApp.action_help = broken
"""


class Terminal:
    """A program on a pseudo terminal of 80 × 24."""

    def __init__(self, tmp_path: Path, before: str = "") -> None:
        code = f"{before}\nimport sys\nfrom workbench.cli.main import main\nsys.exit(main([]))"
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update(WORKBENCH_HOME=str(tmp_path), TERM="xterm-256color", PYTHONPATH=str(ROOT))
            os.environ.pop("NO_COLOR", None)
            os.chdir(tmp_path)
            os.execv(sys.executable, [sys.executable, "-c", code])
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.before = termios.tcgetattr(self.fd)
        self.output = ""

    def read(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if select.select([self.fd], [], [], 0.05)[0]:
                try:
                    data = os.read(self.fd, 65536)
                except OSError:
                    return
                if not data:
                    return
                self.output += data.decode("utf-8", "replace")

    def wait_for(self, text: str, seconds: float = 30.0) -> None:
        end = time.monotonic() + seconds
        while text not in self.output:
            assert time.monotonic() < end, f"{text!r} never came: {self.output[-500:]!r}"
            self.read(0.1)

    def send(self, keys: str) -> None:
        os.write(self.fd, keys.encode())

    def end(self, seconds: float = 20.0) -> int:
        """Exit status, once the program has ended by itself."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.read(0.1)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.read(0.2)
                return os.waitstatus_to_exitcode(status)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        raise AssertionError(f"it did not end: {self.output[-500:]!r}")

    def assert_clean(self) -> None:
        for mode in MODES:
            switches = re.findall(rf"\x1b\[\?{mode}([hl])", self.output)
            assert not switches or switches[-1] == "l", f"mode {mode} was left on"
        cursor = re.findall(r"\x1b\[\?25([hl])", self.output)
        assert cursor[-1] == "h", "the cursor was left hidden"
        flags = termios.tcgetattr(self.fd)[3]
        assert flags & termios.ECHO and flags & termios.ICANON, "the terminal was left raw"


@pytest.fixture
def terminal(tmp_path):
    made: list[Terminal] = []

    def make(before: str = "") -> Terminal:
        made.append(Terminal(tmp_path, before))
        made[-1].wait_for("Collection;")
        return made[-1]

    yield make
    for one in made:
        os.close(one.fd)


def test_quit_leaves_the_terminal_as_it_was(terminal):
    one = terminal()
    assert "\x1b[?1049h" in one.output
    one.send("q")
    assert one.end() == 0
    one.assert_clean()


def test_ctrl_c_asks_and_twice_leaves(terminal):
    one = terminal()
    one.send("\x03")
    one.wait_for("Leave the workbench?")
    one.send("\x03")
    assert one.end() == 0
    one.assert_clean()


def test_a_crash_leaves_a_clean_terminal_and_says_what_happened(terminal):
    one = terminal(_CRASH)
    one.send("?")
    assert one.end() != 0
    one.assert_clean()
    assert "a fault of ours" in one.output


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_a_polite_kill_and_a_closed_window_leave_a_clean_terminal(terminal, name):
    one = terminal()
    os.kill(one.pid, getattr(signal, name))
    assert one.end() != 0
    one.assert_clean()
