"""Files as sources see them: opening with clear errors, fingerprints, and what is laid out once in the cache."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from workbench.core.errors import UsageError
from workbench.core.memory import let_go
from workbench.sources import storage

WHOLE = 4 << 20  # a file up to this size is hashed whole
_BLOCK, _BLOCKS = 1 << 16, 16
_STALE_SECONDS = 86_400
_ATTEMPTS = 8
_SPARE = 64 << 20  # bytes that stay free beside what is laid out


def require_file(path: Path) -> None:
    """Raises UsageError unless `path` is a file that can be read; RunFailed when its storage fails."""
    try:
        with storage.patiently(lambda: path.open("rb"), path):
            return
    except FileNotFoundError:
        raise UsageError("there is no such file", where=str(path)) from None
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", where=str(path)) from error


def open_parquet(path: Path, footer: pq.FileMetaData | None = None) -> pq.ParquetFile:
    """An open parquet file. Raises UsageError when it is missing or is none, RunFailed when its storage fails.

    `footer`: its footer, where that was read before.
    """
    require_file(path)

    def opened() -> pq.ParquetFile:
        return pq.ParquetFile(path, metadata=footer, memory_map=False, buffer_size=1 << 20, pre_buffer=False)

    try:
        file = storage.patiently(opened, path)
    except (pa.ArrowInvalid, OSError) as error:
        reason = str(error).split("\n")[0]
        raise UsageError(f"is not a readable parquet file ({reason})", where=str(path)) from error
    twice = [name for name, count in Counter(file.schema_arrow.names).items() if count > 1]
    if twice:
        raise UsageError(
            f"has more than one column named {twice[0]!r}", where=str(path), remedy="Give each a name of its own"
        )
    return file


def parquet_print(path: Path) -> str:
    """Fingerprint of a parquet file: its size and the hash of its footer, which holds every page's place and count."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 8))
        length = int.from_bytes(file.read(4), "little")
        file.seek(max(0, size - 8 - length))
        return _digest([str(size).encode(), file.read()])


def file_print(path: Path, whole: int = WHOLE) -> str:
    """Fingerprint of a file: hash of all of it up to `whole` bytes, else of its size and 16 blocks of 64 KB."""
    size = path.stat().st_size
    with path.open("rb") as file:
        if size <= whole:
            return _digest([str(size).encode(), file.read()])
        parts = [str(size).encode()]
        for number in range(_BLOCKS):
            file.seek((size - _BLOCK) * number // (_BLOCKS - 1))
            parts.append(file.read(_BLOCK))
        return _digest(parts)


def combined(parts: Sequence[str]) -> str:
    """One fingerprint of several."""
    return _digest([part.encode("utf-8", "surrogatepass") for part in parts])


def _digest(parts: Sequence[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()[:32]


def labels(paths: Sequence[Path]) -> list[str]:
    """A short distinct name for each file: its stem, its name when stems clash, then with its number."""
    for names in ([path.stem for path in paths], [path.name for path in paths]):
        if len(set(names)) == len(names):
            return names
    return [f"{number}-{path.name}" for number, path in enumerate(paths)]


def lay_out(target: Path, nbytes: int, write: Callable[[Path], None]) -> None:
    """Have `write` make `target`: whole or not at all, and kept when it is there already.

    Raises:
        UsageError: there is not enough room for `nbytes`, or the folder cannot be written.
    """
    if target.is_file():
        return
    with disk_errors(target.parent, nbytes):
        target.parent.mkdir(parents=True, exist_ok=True)
        _sweep(target.parent)
        if shutil.disk_usage(target.parent).free < nbytes + _SPARE:
            raise OSError(errno.ENOSPC, "no space left")
        staged = target.with_name(f"{target.name}.part-{os.getpid()}")
        try:
            write(staged)
            with staged.open("rb+") as file:
                os.fsync(file.fileno())
            _replace(staged, target)
        finally:
            staged.unlink(missing_ok=True)
            let_go()


@contextmanager
def disk_errors(folder: Path, nbytes: int) -> Iterator[None]:
    """Turns the operating system's word on a full or closed folder into a UsageError."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)) or "space" in str(error).lower():
            need = nbytes + _SPARE
            size = f"about {need / 1e9:.1f} GB" if need >= 1e9 else f"about {need / 1e6:.0f} MB"
            raise UsageError(
                f"the disk has not the {size} that laying out the documents needs", where=str(folder),
                remedy="Make room, or choose a collection on another disk with --into",
            ) from error
        if isinstance(error, PermissionError) or error.errno == errno.EROFS:
            raise UsageError(f"cannot be written: {error.strerror}", where=str(folder)) from error
        raise


def _replace(staged: Path, target: Path) -> None:
    """Rename; Windows refuses for a moment while a scanner holds the file, or for good while another maps it."""
    for attempt in range(_ATTEMPTS):
        try:
            staged.replace(target)
            return
        except PermissionError:
            if target.is_file():
                return  # another process laid out the same content meanwhile
            if attempt == _ATTEMPTS - 1:
                raise
            time.sleep(0.02 * 2**attempt)


def _sweep(folder: Path) -> None:
    """Remove what killed processes left half done a day ago or earlier."""
    for path in folder.glob("*.part-*"):
        try:
            if time.time() - path.stat().st_mtime > _STALE_SECONDS:
                path.unlink()
        except OSError:
            continue
