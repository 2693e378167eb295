"""Rejects of an input as it is now: what an update has looked at again, it has rejected again if that is still bad."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection as Some
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from workbench.collection.durable import disk_errors, sha256_of
from workbench.collection.manifest import FileEntry, Manifest, ShardEntry
from workbench.collection.shards import write_chunks
from workbench.collection.store import REJECTS, Store
from workbench.core.errors import RunFailed

Row = dict[str, Any]


def without_old(
    store: Store, manifest: Manifest, documents: Some[str] | None, *, partly: bool = False
) -> tuple[ShardEntry, ...]:
    """All shards, those of earlier sources without the rejects that the active one has looked at again; files are
    flushed.

    Args:
        documents: what it has looked at; None = the whole input.
        partly: of the whole input only the beginning: an earlier reject goes when the same has come again.

    Raises:
        RunFailed: a file of rejects cannot be read.
    """
    stays = _rule(store, manifest, documents, partly)
    found = []
    for shard in manifest.shards:
        if shard.source == manifest.active or shard.rejected is None:
            found.append(shard)
        elif stays is None:
            found.append(replace(shard, rejects=0, rejected=None))
        else:
            found.append(_only(store, manifest, shard, stays))
    return tuple(found)


def _rule(
    store: Store, manifest: Manifest, documents: Some[str] | None, partly: bool
) -> Callable[[Row], bool] | None:
    """Which of the earlier rejects stay; None = none, whatever they are."""
    if documents is not None:
        return lambda row: row["doc_id"] not in documents
    if not partly:
        return None
    again = {repr(row) for shard in manifest.shards if shard.source == manifest.active and shard.rejected is not None
             for row in _read(store, shard).to_pylist()}
    return lambda row: repr(row) not in again


def _only(store: Store, manifest: Manifest, shard: ShardEntry, stays: Callable[[Row], bool]) -> ShardEntry:
    table = _read(store, shard)
    kept = [number for number, row in enumerate(table.to_pylist()) if stays(row)]
    if len(kept) == table.num_rows:
        return shard
    if not kept:
        return replace(shard, rejects=0, rejected=None)
    name = f"{shard.number:08d}.{manifest.number + 1:08d}.rejects.parquet"  # readers may hold the file there is
    staged = store.staging / name
    with disk_errors(store.root):
        write_chunks(table.take(kept), staged)
        store.disk.sync_file(staged)
        entry = FileEntry(f"{REJECTS}/{name}", *sha256_of(staged))
        store.disk.replace(staged, store.path(entry))
        store.disk.sync_folder(store.root / REJECTS)
    return replace(shard, rejects=len(kept), rejected=entry)


def _read(store: Store, shard: ShardEntry) -> pa.Table:
    assert shard.rejected is not None
    path = store.path(shard.rejected)
    try:
        return pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        remedy = "`verify` says what is damaged and what to do"
        raise RunFailed(f"cannot be read: {error}", where=str(path), remedy=remedy) from error
