"""Work on a collection that is there, outside a run: under its write lock, and nothing is left over from it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from workbench.collection.durable import disk_errors
from workbench.collection.lock import WriterLock
from workbench.collection.store import Store
from workbench.core.errors import WorkbenchError


@contextmanager
def locked(path: Path) -> Iterator[Store]:
    """The collection under its lock. What no manifest names is removed before, so that an attempt that filled the
    disk takes no room from the next one, and after, also when the work failed.

    Raises:
        UsageError: no collection there, in use, or not writable. CollectionDamaged: as `Store.load`.
        RunFailed: the disk is full.
    """
    store = Store(path)
    store.load()  # refuses what is no collection before a lock file is made there
    lock = WriterLock(path)
    try:
        with disk_errors(path):
            store.sweep(store.load(), staging=False)
            store.make_folders()  # copying a collection can lose empty ones
            yield store
    finally:
        try:
            with suppress(WorkbenchError, OSError):  # the next one sweeps too; what the work raised says more
                store.sweep(store.load(), staging=False)
        finally:
            lock.release()
