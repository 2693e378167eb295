"""What every process that is started from another one does first."""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import sys
import threading
from contextlib import suppress
from multiprocessing.connection import wait
from pathlib import Path

#: Exit code of a process whose parent is gone.
ORPHANED = 3
#: First lines of code for `python -c`: files in the current folder are not taken for modules (-P is new in 3.11).
NOT_FROM_HERE = "import sys\nif '' in sys.path: sys.path.remove('')\n"


def leave_with_parent() -> None:
    """End this process at once when its parent ends, however that happens.

    A child survives its parent's TerminateProcess on Windows, and SIGKILL elsewhere. Returns immediately; a thread
    keeps watch. Does nothing in a process without a parent.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_leave_after, args=(parent.sentinel,), name="parent watch", daemon=True).start()


def _leave_after(sentinel: int) -> None:
    wait([sentinel])
    os._exit(ORPHANED)


def redirect_output(to: Path) -> None:
    """Point both output streams at a file (added to its end), what C libraries print included.

    A crash in a library says there where it happened.
    """
    file = to.open("a", encoding="utf-8", errors="replace", buffering=1)
    for stream, number in ((sys.stdout, 1), (sys.stderr, 2)):
        with suppress(AttributeError, OSError, ValueError):
            stream.flush()
        os.dup2(file.fileno(), number)
    sys.stdout = sys.stderr = file
    faulthandler.enable()
