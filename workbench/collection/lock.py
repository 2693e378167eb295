"""One writer at a time. The operating system holds the lock, so it ends with the process that took it."""

from __future__ import annotations

import json
import os
import platform
import time
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from workbench.collection.durable import disk_errors
from workbench.core.errors import UsageError

LOCK = "lock"
#: Who holds it, for people. A file of its own, because Windows lets nobody read a locked one.
OWNER = "lock.owner"


class WriterLock:
    """The write lock of a collection, held until `release` or the end of the process."""

    def __init__(self, root: Path) -> None:
        """Take the lock.

        Raises:
            UsageError: another process has it (says which), or the folder cannot be written.
        """
        self._owner = root / OWNER
        # thread_local=False: the run's thread may take what another thread gives back.
        self._lock = FileLock(root / LOCK, timeout=0, thread_local=False)
        try:
            with disk_errors(root):
                self._lock.acquire()
        except Timeout as error:
            raise UsageError(
                f"the collection is in use by {_holder(self._owner)}", where=str(root),
                remedy="Wait for it to end, or choose another folder with --into",
            ) from error
        about = {"pid": os.getpid(), "host": platform.node(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
        with suppress(OSError):  # a full disk, or someone reads it just now: it is only information
            self._owner.write_text(json.dumps(about), encoding="utf-8", newline="\n")

    def release(self) -> None:
        """Give the lock back; twice is no error."""
        if self._lock.is_locked:
            with suppress(OSError):
                self._owner.unlink(missing_ok=True)
            self._lock.release()


def _holder(owner: Path) -> str:
    try:
        about = json.loads(owner.read_text(encoding="utf-8"))
        return f"pid {int(about['pid'])} on {about['host']} since {about['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
