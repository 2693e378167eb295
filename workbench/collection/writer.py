"""Writing into a collection: open, commit units, publish manifests, build the index."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from workbench.collection.durable import Disk, disk_errors, sha256_of
from workbench.collection.facing import refuse_foreign_folder, refuse_other_identity
from workbench.collection.growth import empty_manifest, now, with_source, without_rows
from workbench.collection.lock import WriterLock
from workbench.collection.manifest import Derived, FileEntry, Manifest, ShardEntry
from workbench.collection.shards import Floats, refuse_unfit, row_count, write_vectors
from workbench.collection.store import DELETIONS, REJECTS, SHARDS, Store
from workbench.core.errors import RunFailed

#: A manifest is written when the time since the last one is so many times what that one took. Writing
#: manifests therefore costs about 2 % of the writer, whatever the number of shards,
_SPACING = 50.0
#: but it is never put off longer than this (s): units that wait for one are computed again if the writer ends.
#: Where a manifest takes long itself (very many shards), at most a fifth of the writer's time goes into them.
_LONGEST = 0.5
_LEAST_SPACING = 4.0
_INNER_FACTS = frozenset({"rows_of", "asked_rescore", "asked_effort", "trained_rows"})


class CollectionWriter:
    """The one writer of a collection. A unit is committed once the manifest that names its shard is current.

    Attributes:
        path: folder of the collection. dtype: `float16` or `float32`. dim: length of a vector.
        staging: folder (inside `path`) where files are prepared that `commit` takes over.
    """

    def __init__(self, store: Store, manifest: Manifest, lock: WriterLock | None) -> None:
        """Use `open` or `attach`."""
        self._store, self._manifest, self._lock = store, manifest, lock
        self._pending: list[ShardEntry] = []
        self._next_shard = manifest.next_shard
        self._took = 0.0
        self._published = float("-inf")

    # ── opening and closing ──────────────────────────────────────────────────────────────────────
    @classmethod
    def open(
        cls, path: Path, identity: Mapping[str, str], dim: int, dtype: str, source: Mapping[str, str],
        source_title: str, *, fresh: bool = False, append: bool = False, disk: Disk | None = None,
    ) -> CollectionWriter:
        """Take the lock; create the folder or open the collection in it; remove what dead runs left.

        Args:
            identity: of the encoder; must equal the collection's. source: identity of the source.
            fresh: start with an empty collection; the old one stays current until that moment.
            append: another source may join those the collection has.

        Raises:
            UsageError: in use; another encoder or source; no collection but other files; not writable.
            CollectionDamaged: CURRENT or its manifest is damaged.
        """
        store = Store(path, disk)
        with disk_errors(path):
            refuse_foreign_folder(path)
            path.mkdir(parents=True, exist_ok=True)
            lock = WriterLock(path)
            try:
                old = store.load() if store.exists and not fresh else empty_manifest(store, identity, dim, dtype)
                refuse_other_identity(path, old, identity, dim, dtype)
                new = with_source(path, old, source, source_title, append)
                store.make_folders()
                if new != old:
                    new = replace(new, number=old.number + 1, created=now())
                    store.publish(new)
                store.sweep(new, staging=True)
                return cls(store, new, lock)
            except BaseException:
                lock.release()
                raise

    @classmethod
    def attach(cls, path: Path, disk: Disk | None = None) -> CollectionWriter:
        """Open for a process whose parent holds the lock (`open`), and only such a one; staging is left alone."""
        store = Store(path, disk)
        manifest = store.load()
        store.sweep(manifest, staging=False)
        return cls(store, manifest, None)

    def reload(self) -> None:
        """Read what another process has published under this one's lock."""
        assert not self._pending, "reload would forget units"
        self._manifest = self._store.load()
        self._next_shard = self._manifest.next_shard

    def close(self) -> None:
        """Publish what is pending and give the lock back."""
        try:
            self.flush()
        finally:
            if self._lock is not None:
                self._lock.release()

    # ── what it holds ────────────────────────────────────────────────────────────────────────────
    @property
    def path(self) -> Path:
        return self._store.root

    @property
    def staging(self) -> Path:
        return self._store.staging

    @property
    def manifest(self) -> Manifest:
        """The current manifest."""
        return self._manifest

    @property
    def dim(self) -> int:
        return self._manifest.dim

    @property
    def dtype(self) -> str:
        return self._manifest.dtype

    @property
    def pending(self) -> bool:
        """Units wait for the next manifest."""
        return bool(self._pending)

    @property
    def committed_units(self) -> frozenset[int]:
        """Durable units of this run's source."""
        return self._manifest.units(self._manifest.active)

    @property
    def rows(self) -> int:
        """Durable rows of all sources, deleted ones left out."""
        return self._manifest.rows

    @property
    def rejects(self) -> int:
        return self._manifest.rejects

    @property
    def has_index(self) -> bool:
        """There is a FAISS index that covers every shard, or it was decided to have none."""
        part = self._manifest.derivative("ann")
        return part is not None and part.shards == tuple(shard.number for shard in self._manifest.shards)

    def index_summary(self) -> dict[str, str | float | None]:
        """What is known of the index: kind, recall_at_10 …; `{"kind": "none"}` without one."""
        part = self._manifest.derivative("ann")
        facts = dict(part.facts) if part is not None else {"kind": "none", "recall_at_10": None}
        return {name: value for name, value in facts.items() if name not in _INNER_FACTS}

    # ── committing ───────────────────────────────────────────────────────────────────────────────
    def commit(
        self, unit: int, chunks: Path, vectors: Floats, rejects: Path | None, *, tokens: int
    ) -> tuple[int, ...]:
        """Take over a unit: its text part and rejects (files in `staging`) and its vectors.

        Args:
            vectors: [rows, dim] of the collection's dtype; row i belongs to row i of `chunks`.

        Returns:
            Units that became durable now; this one may have to wait for a later call or `flush`.

        Raises:
            RunFailed: the disk is full; a vector is not finite; the parts do not fit together.
        """
        if unit in self.committed_units or any(shard.unit == unit for shard in self._pending):
            raise RunFailed("the unit is committed already", where=f"unit {unit}")
        refuse_unfit(unit, chunks, vectors, self.dim, self.dtype)
        stem = f"{self._next_shard:08d}"
        with disk_errors(self.path):
            staged = self.staging / f"{stem}.vectors.arrow"
            size, digest = self._store.disk.write(staged, lambda file: write_vectors(vectors, file))
            shard = ShardEntry(
                number=self._next_shard, source=self._manifest.active, unit=unit, rows=len(vectors), tokens=tokens,
                rejects=row_count(rejects) if rejects else 0,
                vectors=FileEntry(f"{SHARDS}/{stem}.vectors.arrow", size, digest),
                chunks=self._flushed(chunks, f"{SHARDS}/{stem}.chunks.parquet"),
                rejected=self._flushed(rejects, f"{REJECTS}/{stem}.rejects.parquet") if rejects else None,
            )
            self._next_shard += 1
            for source, entry in ((staged, shard.vectors), (chunks, shard.chunks), (rejects, shard.rejected)):
                if source is not None and entry is not None:
                    self._store.disk.replace(source, self._store.path(entry))
        self._pending.append(shard)
        spacing = min(_SPACING * self._took, max(_LONGEST, _LEAST_SPACING * self._took))
        due = time.perf_counter() - self._published >= spacing
        return self.flush() if due else ()

    def flush(self) -> tuple[int, ...]:
        """Make every committed unit durable; returns those that were not before."""
        if not self._pending:
            return ()
        units = tuple(shard.unit for shard in self._pending)
        with disk_errors(self.path):
            for folder in (SHARDS, REJECTS):
                self._store.disk.sync_folder(self.path / folder)
            self._publish(
                replace(
                    self._manifest, shards=(*self._manifest.shards, *self._pending), next_shard=self._next_shard
                )
            )
        self._pending.clear()
        return units

    def drop_units(self, units: Iterable[int], source: int | None = None) -> int:
        """Take units out of the collection (their shards are damaged), so that the next run embeds them again.

        Returns:
            Number of shards taken out.
        """
        self.flush()
        source = self._manifest.active if source is None else source
        gone = set(units)
        kept = tuple(s for s in self._manifest.shards if s.source != source or s.unit not in gone)
        dropped = len(self._manifest.shards) - len(kept)
        if dropped:
            self._publish(replace(self._manifest, shards=kept))
        return dropped

    def delete(self, rows: Mapping[int, Iterable[int]], told: Derived | None = None) -> int:
        """Delete rows (shard number → rows in it); they are not found from now on, their bytes stay.

        `told`: a part to publish in the same step. Returns the rows that were not deleted before.
        """
        self.flush()
        before = self.rows
        with disk_errors(self.path):
            shards = without_rows(self._store, self._manifest, rows)
            self._store.disk.sync_folder(self.path / DELETIONS)
            manifest = replace(self._manifest, shards=shards)
            self._publish(manifest if told is None else manifest.with_derived(told))
        return before - self.rows

    def put_shards(self, shards: tuple[ShardEntry, ...]) -> None:
        """Publish the shards with other files of theirs, which are flushed already."""
        self.flush()
        if shards != self._manifest.shards:
            self._publish(replace(self._manifest, shards=shards))

    # ── derived parts ────────────────────────────────────────────────────────────────────────────
    def build_index(
        self, kind: str = "auto", *, rescore: int = 0, nprobe: int = 0, sample: int = 200, rebuild: bool = False,
        progress: Callable[[str, int, int], None] | None = None,
    ) -> dict[str, str | float | None]:
        """Build the FAISS index over all shards and publish it; an index that fits is kept or extended.

        Raises:
            UsageError, RunFailed: as `index_build.build`.
        """
        from workbench.collection.index_build import Options, build

        self.flush()
        with disk_errors(self.path):
            part = build(self._store, self._manifest, kind, Options(rescore, nprobe, sample, rebuild), progress)
            if part is not self._manifest.derivative("ann"):
                self.put_derived(part)
        return self.index_summary()

    def put_derived(self, part: Derived) -> None:
        """Publish a derived part whose files are flushed already."""
        self.flush()
        self._publish(self._manifest.with_derived(part))

    def drop_derived(self, role: str) -> None:
        """Publish a manifest without the derived part of this role."""
        self.flush()
        if self._manifest.derivative(role) is not None:
            self._publish(self._manifest.without_derived(role))

    # ── inside ───────────────────────────────────────────────────────────────────────────────────
    def _publish(self, manifest: Manifest) -> None:
        manifest = replace(manifest, number=self._manifest.number + 1, created=now())
        self._took = self._store.publish(manifest)
        self._published = time.perf_counter()
        self._manifest = manifest

    def _flushed(self, staged: Path, name: str) -> FileEntry:
        self._store.disk.sync_file(staged)
        return FileEntry(name, *sha256_of(staged))
