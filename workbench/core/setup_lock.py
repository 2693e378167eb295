"""One set-up at a time. Standard library only: set-up loads this file by path."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def one_at_a_time(folder: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock of this folder. The system releases it when its holder dies.

    Args:
        folder: where the program lives. say: is told when another start holds the lock and this one waits.
    """
    name = f"embedding-workbench-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]}.lock"
    with (Path(tempfile.gettempdir()) / name).open("a+b") as file:
        if not _lock(file.fileno(), wait=False):
            say("another start is setting up; waiting for it")
            while not _lock(file.fileno(), wait=True):
                continue
        yield


def _lock(file: int, *, wait: bool) -> bool:
    """True when the lock was taken. On Windows even a waiting call gives up after ten seconds."""
    if sys.platform == "win32":
        import msvcrt

        os.lseek(file, 0, os.SEEK_SET)
        try:
            msvcrt.locking(file, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
    else:
        import fcntl

        try:
            fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
