"""Which chunks a person has deleted, so that no later run over the input brings them back.

The list outlives the rows: `compact` and `verify --repair --drop` take shards away, not what is on it. Rows that were
deleted because they are gone from the input are not on it: they come back when the input has them again.

A chunk is on it by two keys. One of all its columns names it and no other. One of its document and its text still
fits when its place, its number or a column has changed; it does not hold while a row that stays has the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from workbench.collection.manifest import Derived, FileEntry, Manifest
from workbench.collection.reader import Collection
from workbench.collection.row_keys import KEY_BYTES, row_keys, text_keys
from workbench.collection.shards import CONTENT_HASH
from workbench.collection.store import DELETIONS, Store
from workbench.core.errors import RunFailed

ROLE = "deleted"
Keys = NDArray[np.bytes_]  # [n] of 16 bytes, ascending, each once
_TYPE = f"S{KEY_BYTES}"  # bytes of one length: that zeros at their end are not shown changes no comparison
_BLOCK = 1 << 14  # rows read at once


def keys(store: Store, manifest: Manifest) -> Keys:
    """The keys of all chunks on the list. Raises RunFailed when it is damaged."""
    part = manifest.derivative(ROLE)
    if part is None or not part.files:
        return np.zeros(0, _TYPE)
    path = store.path(part.files[0])
    try:
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != part.files[0].sha256:
            raise ValueError("SHA-256 differs")
    except (OSError, ValueError) as error:
        raise RunFailed(
            f"the list of deleted chunks cannot be read: {error}", where=str(path),
            remedy="`verify --repair` gives it up; deleted chunks that the input still has may then come back",
        ) from error
    return np.frombuffer(data, _TYPE)


def count(manifest: Manifest) -> int:
    """Chunks on the list."""
    part = manifest.derivative(ROLE)
    return 0 if part is None else int(part.facts.get("chunks") or 0)


def with_rows(store: Store, collection: Collection, rows: Mapping[int, Sequence[int]]) -> Derived:
    """The list with more rows (shard number → rows in it); flushed but for its folder, for the caller to publish.

    Raises:
        RunFailed: the list or a shard is damaged. OSError: the disk is full or refuses.
    """
    manifest = collection.manifest
    more = [key for place, shard in enumerate(collection.shards) if shard.number in rows
            for key in _of_rows(collection, place, rows[shard.number])]
    every = np.union1d(keys(store, manifest), np.array(more, _TYPE))
    name = f"{DELETIONS}/{manifest.number + 1:08d}.keys"
    entry = FileEntry(name, *store.disk.write(store.root / name, lambda file: file.write(every.tobytes())))
    chunks = count(manifest) + sum(map(len, rows.values()))
    return Derived(ROLE, (entry,), (), {"chunks": chunks})


def without(every: Keys, staying: Sequence[Sequence[bytes]]) -> Keys:
    """Keys that hold although rows with these `text_keys` stay in the collection."""
    return np.setdiff1d(every, np.array([key for part in staying for key in part], _TYPE), assume_unique=False)


def are_on(every: Keys, of_row: Sequence[bytes], of_text: Sequence[bytes]) -> NDArray[np.bool_]:
    """[rows] which rows with these `row_keys` and `text_keys` are on the list."""
    return _has(every, of_row) | _has(every, of_text)


def _has(every: Keys, wanted: Sequence[bytes]) -> NDArray[np.bool_]:
    if not len(every):
        return np.zeros(len(wanted), np.bool_)
    asked = np.array(wanted, _TYPE)
    place = np.minimum(np.searchsorted(every, asked), len(every) - 1)
    found: NDArray[np.bool_] = np.asarray(every[place]) == asked
    return found


def _of_rows(collection: Collection, place: int, rows: Sequence[int]) -> list[bytes]:
    """Both keys of rows of one shard. Rows written without content hashes have none: none can be compared."""
    names = [name for name in collection.schema().names if name not in ("title", "text")]
    ordinals = np.asarray(rows, np.int64) + collection.starts[place]
    found: list[bytes] = []
    for begin in range(0, len(ordinals), _BLOCK):
        table = collection.rows(ordinals[begin : begin + _BLOCK], names)
        if CONTENT_HASH in table.column_names:
            hashes = table.column(CONTENT_HASH).to_pylist()
            found += [*row_keys(table, hashes), *text_keys(table, hashes)]
    return found
