"""From one manifest to the next: an empty one, one with another source."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from workbench.collection.facing import refuse_other_source
from workbench.collection.manifest import FileEntry, Manifest, ShardEntry, SourceEntry
from workbench.collection.store import DELETIONS, Store

_AT_ONCE = 16  # files flushed at once


def empty_manifest(store: Store, identity: Mapping[str, str], dim: int, dtype: str) -> Manifest:
    """A manifest without shards, not yet numbered as the next one."""
    # Models that do not scale their vectors are compared by cosine (the default of sentence-transformers).
    metric = "cosine" if identity.get("normalise") == "False" else "inner_product"
    number, next_shard = store.highest_numbers()
    return Manifest(number, "", dict(identity), dim, dtype, metric, next_shard=next_shard)


def with_source(
    path: Path, manifest: Manifest, identity: Mapping[str, str], title: str, append: bool
) -> Manifest:
    """The same with this source active. Raises UsageError when it is another than before and not `append`."""
    for known in manifest.sources:
        if dict(known.identity) == dict(identity):
            return replace(manifest, active=known.number)
    if manifest.sources and not append:
        refuse_other_source(path, manifest, identity, title)
    entry = SourceEntry(len(manifest.sources), title, dict(identity))
    return replace(manifest, sources=(*manifest.sources, entry), active=entry.number)


def without_rows(store: Store, manifest: Manifest, rows: Mapping[int, Iterable[int]]) -> tuple[ShardEntry, ...]:
    """All shards, with these rows deleted (shard number → rows in it); the new files are flushed.

    Raises:
        IndexError: no such row.
    """

    def one(shard: ShardEntry) -> ShardEntry:
        return _with_deleted(store, shard, rows[shard.number], manifest.number + 1) if shard.number in rows else shard

    # nearly all of it is waiting for the device, which takes several flushes at once
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return tuple(pool.map(one, manifest.shards))


def _with_deleted(store: Store, shard: ShardEntry, rows: Iterable[int], number: int) -> ShardEntry:
    """The shard with these rows deleted too; `number` of the manifest to come names the new file."""
    known = np.frombuffer(store.path(shard.deletions).read_bytes(), "<u4") if shard.deletions else np.empty(0, "<u4")
    wanted = np.fromiter(rows, dtype=np.int64)
    if len(wanted) and (wanted.min() < 0 or wanted.max() >= shard.rows):
        raise IndexError(f"shard {shard.number} has rows 0 to {shard.rows - 1}")
    union = np.union1d(known.astype(np.int64), wanted).astype("<u4")
    name = f"{DELETIONS}/{shard.number:08d}.{number:08d}.u32"
    entry = FileEntry(name, *store.disk.write(store.root / name, lambda file: file.write(union.tobytes())))
    return replace(shard, deletions=entry if len(union) else None, deleted=len(union))


def now() -> str:
    """ISO 8601, UTC, to the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
