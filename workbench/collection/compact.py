"""Giving back the space of deleted rows: shards that have some are written anew without them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from workbench.collection.durable import disk_errors, sha256_of
from workbench.collection.gaps import gaps_of, made_by_update, with_gaps
from workbench.collection.growth import now
from workbench.collection.locked import locked
from workbench.collection.manifest import FileEntry, Manifest, ShardEntry
from workbench.collection.reader import Collection
from workbench.collection.shards import write_chunks, write_vectors
from workbench.collection.store import SHARDS, Store
from workbench.core.apart import Progress
from workbench.core.errors import RunFailed

#: Parquet's name of a compression, ours.
_COMPRESSION = {"LZ4": "lz4", "ZSTD": "zstd", "UNCOMPRESSED": "none"}


@dataclass(frozen=True, slots=True)
class Compacted:
    """What was done: shards written anew, rows taken out, bytes of the shards before and after."""

    shards: int
    rows: int
    before: int
    after: int


def compact_here(path: Path, tell: Progress) -> Compacted:
    """Compact a collection in this process; shards and indexes change in one step.

    Raises:
        UsageError: no collection there, in use, or too few vectors are left for the kind of index it has.
        RunFailed: a shard is damaged, or the disk is full.
    """
    with locked(path) as store:
        old = store.load()
        new, done = compacted(store, old, tell)
        if done.shards:
            store.publish(with_derived(store, old, new, tell))
        return done


def compacted(store: Store, manifest: Manifest, tell: Progress) -> tuple[Manifest, Compacted]:
    """The manifest (not published) in which no shard has deleted rows; its new files are flushed.

    The old files stay until the next sweep: readers of the old manifest go on with them. The caller holds the lock.

    Raises:
        RunFailed: a shard is damaged, or the disk is full.
    """
    todo = [place for place, shard in enumerate(manifest.shards) if shard.deleted]
    shards = list(manifest.shards)
    following = manifest.next_shard
    with Collection(store, manifest) as collection:
        if collection.notes:
            raise RunFailed(collection.notes[0], remedy="`verify` says what to do")
        for done, place in enumerate(todo):
            tell("writing shards anew", done, len(todo))
            shards[place] = _without_deleted(store, collection, place, following)
            following += 1
    store.disk.sync_folder(store.root / SHARDS)
    rows = sum(manifest.shards[place].deleted for place in todo)
    before, after = (sum(map(_size, (part[place] for place in todo))) for part in (manifest.shards, shards))
    new = replace(manifest, number=manifest.number + 1, created=now(), shards=tuple(shards), next_shard=following)
    return new, Compacted(len(todo), rows, before, after)


def with_derived(store: Store, old: Manifest, new: Manifest, tell: Progress) -> Manifest:
    """`new` with the FAISS and the text index that `old` has, built for its shards and flushed: what takes minutes
    is done before anything is published, so that no reader ever meets the new shards without their indexes.

    Raises:
        RunFailed: a shard is damaged, or the disk is full. UsageError: too few vectors are left for the index.
    """
    from workbench.collection import index_build, text_build, text_index

    with disk_errors(store.root):
        ann = old.derivative("ann")
        if ann is not None:
            rescore, effort = (int(ann.facts.get(f"asked_{name}") or 0) for name in ("rescore", "effort"))
            options = index_build.Options(rescore, effort)
            # numbered as the one to come, for it names its file after the manifest that follows
            before = replace(new, number=old.number)
            new = new.with_derived(index_build.build(store, before, str(ann.facts["kind"]), options, tell))
        if old.derivative(text_index.ROLE) is not None:
            with Collection(store, new) as collection:
                new = new.with_derived(text_build.build(collection, store.disk, progress=tell))
    return new


def _size(shard: ShardEntry) -> int:
    return shard.chunks.size + shard.vectors.size


def _without_deleted(store: Store, collection: Collection, place: int, number: int) -> ShardEntry:
    shard = collection.shards[place]
    keep = np.ones(shard.rows, np.bool_)
    keep[collection.deleted_rows(place).astype(np.int64)] = False
    stem = f"{SHARDS}/{number:08d}"
    with disk_errors(store.root):
        chunks, vectors = Path(f"{stem}.chunks.parquet"), Path(f"{stem}.vectors.arrow")
        try:
            with pq.ParquetFile(store.path(shard.chunks)) as file:
                codec = file.metadata.row_group(0).column(0).compression if file.metadata.num_row_groups else "LZ4"
                gaps = gaps_of(file.schema_arrow)
                table = file.read().filter(pa.array(keep))
        except pa.ArrowException as error:
            where = str(store.path(shard.chunks))
            raise RunFailed(f"cannot be read: {error}", where=where, remedy="`verify` says what to do") from error
        if gaps is not None or not made_by_update(collection.manifest, shard):  # else nothing is known of them
            table = with_gaps(table, np.flatnonzero(keep), shard.rows, gaps or ())
        write_chunks(table, store.root / chunks, _COMPRESSION[codec])
        store.disk.sync_file(store.root / chunks)
        stored = collection.vectors(place)[keep]
        size, digest = store.disk.write(store.root / vectors, lambda file: write_vectors(stored, file))
    return replace(
        shard, number=number, rows=int(keep.sum()), deleted=0, deletions=None,
        chunks=FileEntry(chunks.as_posix(), *sha256_of(store.root / chunks)),
        vectors=FileEntry(vectors.as_posix(), size, digest),
    )
