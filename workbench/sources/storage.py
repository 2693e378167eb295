"""Storage that fails: a drive or a network share that is away is no fault of what lies on it."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from workbench.core.errors import RunFailed

T = TypeVar("T")

#: What is the matter with one file, and will be when it is read again.
_OF_THE_FILE = frozenset(
    [
        errno.ENOENT, errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP,
    ]
)
#: Windows' codes of a drive or network that is away which Python gives as one of those: invalid drive, not ready,
#: data error, sector not found, read fault, general failure, bad network path, bad network name.
_OF_THE_DRIVE = frozenset({15, 21, 23, 27, 30, 31, 53, 67})
#: Seconds between attempts.
_PAUSES = (0.1, 0.4, 1.5)


def failing(error: OSError) -> bool:
    """Whether the storage is to blame, and not the file: missing, forbidden, or broken inside."""
    if getattr(error, "winerror", None) in _OF_THE_DRIVE:
        return True
    return error.errno is not None and error.errno not in _OF_THE_FILE


def patiently(read: Callable[[], T], path: Path, folder: Path | None = None) -> T:
    """What `read` returns; it is called again after short pauses while the storage fails.

    Args:
        folder: where `path` is looked for; if it is missing too, it is not the file that went away.

    Raises:
        RunFailed: the storage goes on failing: what lies on it must not be taken for unreadable.
        OSError: the file is to blame.
    """
    pauses = iter(_PAUSES)
    while True:
        try:
            return read()
        except OSError as error:
            if not failing(error) and (folder is None or folder.is_dir()):
                raise
            pause = next(pauses, None)
            if pause is None:
                raise RunFailed(
                    f"cannot be read: {error.strerror or error}", where=str(path),
                    remedy="Once its drive or network share is back, the same command resumes; "
                    "a file that stays so must be moved away",
                ) from error
        time.sleep(pause)
