"""Files that survive a power cut: flushed, hashed while written, replaced in one step.

Every step that changes the disk goes through a `Disk`, so that a test can end the process between any two.
"""

from __future__ import annotations

import errno
import hashlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from workbench.core.errors import RunFailed, UsageError

_BLOCK = 1 << 20  # bytes
#: Waits between attempts while another process (a reader, a virus scanner) holds a file (s); 3.2 s in all.
_BACKOFF = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
_FULL = frozenset({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)})
_FULL_WINDOWS = frozenset({39, 112})  # ERROR_HANDLE_DISK_FULL, ERROR_DISK_FULL
_REFUSED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


class HashingFile:
    """A binary file for writing from front to back that counts and hashes what goes in.

    Attributes:
        size: bytes written. closed: needed by pyarrow.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self.size = 0
        self.closed = False

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        self._digest.update(view)
        self._file.write(view)
        self.size += view.nbytes
        return view.nbytes

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False

    def tell(self) -> int:
        return self.size

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        """The file itself is closed by who opened it."""

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


class Disk:
    """The steps that change the disk."""

    def write(self, path: Path, fill: Callable[[HashingFile], object]) -> tuple[int, str]:
        """Write a new file through `fill`, flush it to the device; returns (bytes, SHA-256 in hex)."""
        with path.open("wb") as file:
            hashing = HashingFile(file)
            fill(hashing)
            file.flush()
            _flush_to_device(file.fileno())
        return hashing.size, hashing.sha256

    def sync_file(self, path: Path) -> None:
        """Flush a file another process wrote to the device."""
        with path.open("r+b") as file:
            _flush_to_device(file.fileno())

    def sync_folder(self, path: Path) -> None:
        """Flush a folder, so that names in it last. Windows knows no such thing and needs none."""
        if os.name == "nt":
            return
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def replace(self, source: Path, target: Path) -> None:
        """Rename, putting `target` out of the way, in one step; retried while someone holds either."""
        patiently(lambda: source.replace(target))

    def remove(self, path: Path) -> None:
        """Remove a file; one that is mapped by a reader (Windows) stays for the next sweep."""
        try:
            path.unlink(missing_ok=True)
        except PermissionError:
            return


def patiently(action: Callable[[], Any]) -> Any:
    """Do it; again after a short wait while Windows says that another process holds the file (5, 32, 33)."""
    for wait in _BACKOFF:
        try:
            return action()
        except PermissionError:
            if os.name != "nt":
                raise
            time.sleep(wait)
    return action()


def sha256_of(path: Path) -> tuple[int, str]:
    """(bytes, SHA-256 in hex) of a file. Raises OSError when it cannot be read."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            size += len(block)
    return size, digest.hexdigest()


@contextmanager
def disk_errors(where: Path) -> Iterator[None]:
    """Turn a full disk and a refused write into one clear line.

    Raises:
        RunFailed: the disk is full, or the device failed.
        UsageError: the target may not be written.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL or getattr(error, "winerror", None) in _FULL_WINDOWS:
            raise RunFailed(
                "the disk is full", where=str(where),
                remedy="Free some space; nothing committed is lost, and the same command resumes",
            ) from error
        if error.errno in _REFUSED:
            raise UsageError(
                f"cannot be written: {error.strerror}", where=str(error.filename or where),
                remedy="Choose another folder with --into, or see to its permissions",
            ) from error
        raise


def _flush_to_device(handle: int) -> None:
    if sys.platform == "darwin":
        # There fsync stops at the drive's own cache (fsync(2)).
        import fcntl

        try:
            fcntl.fcntl(handle, fcntl.F_FULLFSYNC)
            return
        except OSError:
            pass  # file systems that do not know it
    os.fsync(handle)
