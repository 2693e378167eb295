"""Shared memory of a run: created and owned by the parent, attached by name in the children.

POSIX shared memory can be far smaller than the machine's memory (64 MB in many containers) and then
kills whoever touches it. Room is therefore reserved at creation; where it is not to be had, the
segment is a file in the run's own folder, mapped by everybody.
"""

from __future__ import annotations

import mmap
import os
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import shared_memory
from pathlib import Path


@dataclass(frozen=True, slots=True)
class SegmentName:
    """How a child finds a segment. `size` is what was asked for: Windows rounds an attached one up to pages."""

    kind: str  # "memory" or "file"
    name: str
    size: int


class _Memory(shared_memory.SharedMemory):
    """Shared memory whose object may be dropped before the views of it: they keep the mapping, as with `mmap`.

    The one of the library closes itself then, and complains on standard error that it cannot.
    """

    def __del__(self) -> None:
        with suppress(OSError, BufferError):
            self.close()


class Segment:
    """A mapped block of bytes; `buffer` is valid until `close`, also when the segment itself is dropped."""

    def __init__(self, name: SegmentName, holder: shared_memory.SharedMemory | mmap.mmap) -> None:
        self.name = name
        self._holder = holder
        whole = holder.buf if isinstance(holder, shared_memory.SharedMemory) else memoryview(holder)
        assert whole is not None
        self.buffer: memoryview = whole[: name.size]

    @classmethod
    def create(cls, size: int, folder: Path, label: str) -> Segment:
        """A new segment of `size` zero bytes; `folder` takes the file where shared memory is too small.

        Raises OSError when neither has room.
        """
        size = max(size, 1)
        try:
            memory = _Memory(create=True, size=size)
            try:
                _reserve(memory, size)
            except OSError:
                memory.close()
                memory.unlink()
                raise
            return cls(SegmentName("memory", memory.name, size), memory)
        except OSError:
            path = folder / f"{label}.ring"
            with path.open("wb") as file:
                file.write(b"\0" * size)
            return cls._map(SegmentName("file", str(path), size))

    @classmethod
    def attach(cls, name: SegmentName) -> Segment:
        """Map a segment that the parent made. Raises OSError when it is gone."""
        if name.kind == "file":
            return cls._map(name)
        return cls(name, _Memory(name=name.name))

    @classmethod
    def _map(cls, name: SegmentName) -> Segment:
        with Path(name.name).open("r+b") as file:
            return cls(name, mmap.mmap(file.fileno(), name.size))

    def close(self, *, remove: bool = False) -> None:
        """Unmap; the owner also removes. Views that still live keep the mapping until they die."""
        try:
            self.buffer.release()
            self._holder.close()
        except BufferError:
            return  # an array still looks into it: the process's end unmaps it
        finally:
            if remove:
                self._remove()

    def _remove(self) -> None:
        if isinstance(self._holder, shared_memory.SharedMemory):
            self._holder.unlink()
        else:
            Path(self.name.name).unlink(missing_ok=True)


def _reserve(memory: shared_memory.SharedMemory, size: int) -> None:
    """Make the kernel set the pages aside now (POSIX): a full /dev/shm fails here, not by SIGBUS later."""
    descriptor = getattr(memory, "_fd", -1)
    if hasattr(os, "posix_fallocate") and isinstance(descriptor, int) and descriptor >= 0:
        os.posix_fallocate(descriptor, 0, size)
