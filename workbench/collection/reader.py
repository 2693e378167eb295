"""Reading a collection: one manifest, its shards mapped, rows of hits. Needs no lock and imports no FAISS."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from workbench.collection.chunk_files import ChunkFiles
from workbench.collection.gaps import gaps_of, made_by_update
from workbench.collection.manifest import Manifest, ShardEntry, decode_current
from workbench.collection.shards import Floats, map_vectors
from workbench.collection.store import CURRENT, Store
from workbench.collection.tables import concat, readable_columns, unified
from workbench.core.errors import RunFailed

_FEW = 100  # rows of hits


class ShardUnreadable(RunFailed):
    """A file of the shard of this number is damaged; the collection (its folder) can be opened without it."""

    collection = Path()
    shard = -1


class Collection:
    """A collection at one moment: what a writer commits later is seen by opening again.

    An *ordinal* is the number of a row, counted over `shards` in their order, deleted rows included; it is
    valid for this object only. All methods may be called from several threads.

    Attributes:
        path, manifest; notes: what a person should know (damage, a fall back to an older manifest).
        shards: in order, those left out that are damaged. starts: int64 [shards + 1], first ordinal of each.
    """

    def __init__(
        self, store: Store, manifest: Manifest, notes: Sequence[str] = (), without: Mapping[int, str] | None = None
    ) -> None:
        """Use `open`."""
        self.path, self.manifest, self._store = store.root, manifest, store
        self.notes = list(notes)
        self.damaged: dict[int, str] = {}
        self._without = without or {}
        self.shards: tuple[ShardEntry, ...] = tuple(s for s in manifest.shards if self._is_usable(s))
        self.starts: NDArray[np.int64] = np.cumsum([0, *(s.rows for s in self.shards)], dtype=np.int64)
        self._vectors: dict[int, Floats] = {}
        self._deleted: dict[int, NDArray[np.uint32]] = {}
        self._files = ChunkFiles(lambda shard: store.path(self.shards[shard].chunks), self.unreadable)
        self._lock = threading.Lock()

    @classmethod
    def open(cls, path: Path, without: Mapping[int, str] | None = None) -> Collection:
        """Open the newest generation, without some shards (their numbers → why, for `notes`).

        When CURRENT or its manifest is damaged, the newest whole manifest is taken and `notes` says so.

        Raises:
            UsageError: no collection there, or a newer program wrote it.
            CollectionDamaged: no manifest is whole.
        """
        store = Store(path)
        loaded = store.load_or_fall_back()
        notes = [f"{loaded.trouble}; reading manifest {loaded.manifest.number} instead"] if loaded.trouble else []
        return cls(store, loaded.manifest, notes, without)

    # ── what it is ───────────────────────────────────────────────────────────────────────────────
    @property
    def identity(self) -> Mapping[str, str]:
        """Of the encoder."""
        return self.manifest.identity

    @property
    def dim(self) -> int:
        return self.manifest.dim

    @property
    def dtype(self) -> str:
        return self.manifest.dtype

    @property
    def count(self) -> int:
        """Rows that can be found: deleted ones and those of damaged shards left out."""
        return sum(shard.rows - shard.deleted for shard in self.shards)

    @property
    def ordinals(self) -> int:
        """One more than the highest ordinal."""
        return int(self.starts[-1])

    @property
    def is_newest(self) -> bool:
        """No writer has published another manifest since."""
        try:
            name, _ = decode_current((self.path / CURRENT).read_bytes(), CURRENT)
        except (OSError, RunFailed):
            return False
        return int(Path(name).stem) == self.manifest.number

    # ── vectors ──────────────────────────────────────────────────────────────────────────────────
    def vectors(self, shard: int) -> Floats:
        """Vectors [rows, dim] of the shard at this position in `shards`, memory-mapped, read-only.

        Raises:
            ShardUnreadable: the file cannot be read.
        """
        with self._lock:
            if shard not in self._vectors:
                self._vectors[shard] = self._map(shard)
            return self._vectors[shard]

    def iter_vectors(self) -> Iterator[tuple[int, Floats]]:
        """(first ordinal, vectors) of every shard in order, deleted rows included; nothing stays mapped."""
        for position in range(len(self.shards)):
            yield int(self.starts[position]), self._map(position)

    def gather(self, ordinals: NDArray[np.int64]) -> NDArray[np.float32]:
        """Vectors float32 [n, dim] of rows, in the order asked for; scaled to length 1 when compared by cosine."""
        out = np.empty((len(ordinals), self.dim), np.float32)
        for shard, places, rows in self._by_shard(ordinals):
            out[places] = self.vectors(shard)[rows]
        return comparable(out, self.manifest.metric)

    # ── deletions ────────────────────────────────────────────────────────────────────────────────
    @property
    def has_deletions(self) -> bool:
        return any(shard.deleted for shard in self.shards)

    def deleted_rows(self, shard: int) -> NDArray[np.uint32]:
        """Deleted rows of the shard at this position, ascending. Raises ShardUnreadable."""
        if shard not in self._deleted:
            entry = self.shards[shard].deletions
            try:
                data = b"" if entry is None else self._store.path(entry).read_bytes()
                if entry is not None and hashlib.sha256(data).hexdigest() != entry.sha256:
                    raise ValueError("SHA-256 differs")
            except (OSError, ValueError) as error:
                assert entry is not None
                raise self.unreadable(shard, self._store.path(entry), error) from error
            self._deleted[shard] = np.frombuffer(data, dtype="<u4").astype(np.uint32)
        return self._deleted[shard]

    def alive(self) -> NDArray[np.bool_]:
        """[ordinals] True where the row is not deleted."""
        mask = np.ones(self.ordinals, dtype=np.bool_)
        for position, shard in enumerate(self.shards):
            if shard.deleted:
                mask[self.starts[position] + self.deleted_rows(position).astype(np.int64)] = False
        return mask

    # ── rows ─────────────────────────────────────────────────────────────────────────────────────
    def rows(self, ordinals: Sequence[int] | NDArray[np.int64], columns: Sequence[str] | None = None) -> pa.Table:
        """Chunk rows in the order asked for: chunk_id, doc_id, title, text, place and the user's own columns.

        Only the row groups that hold the rows are decoded.

        Raises:
            IndexError: no such ordinal. ShardUnreadable: a shard file cannot be read.
        """
        wanted = np.asarray(ordinals, dtype=np.int64)
        if len(wanted) and (wanted.min() < 0 or wanted.max() >= self.ordinals):
            raise IndexError(f"ordinals go from 0 to {self.ordinals - 1}")
        parts: list[pa.Table] = []
        order: list[NDArray[np.intp]] = []
        for shard, places, rows in self._by_shard(wanted):
            groups = self._files.starts(shard)
            group_of = np.searchsorted(groups, rows, side="right") - 1
            edges = [0, *(np.flatnonzero(np.diff(group_of)) + 1).tolist(), len(rows)]
            for begin, end in pairwise(edges):
                group = int(group_of[begin])
                table, inside = self._files.read_group(shard, group, columns), rows[begin:end] - groups[group]
                one = len(inside) == 1 and len(wanted) <= _FEW  # a slice keeps its row group, but takes no time
                parts.append(table.slice(int(inside[0]), 1) if one else table.take(pa.array(inside)))
                order.append(places[begin:end])
        if not parts:
            return self.schema(columns).empty_table()
        back = np.argsort(np.concatenate(order), kind="stable")
        return concat(parts).take(pa.array(back))

    def iter_chunks(self, columns: Sequence[str] | None = None) -> Iterator[tuple[int, pa.Table]]:
        """(position of the shard, all its rows) in order; one shard in memory at a time."""
        for position, shard in enumerate(self.shards):
            path = self._store.path(shard.chunks)
            try:
                with pq.ParquetFile(path) as file:
                    yield position, file.read(columns=readable_columns(columns, file.schema_arrow))
            except (OSError, pa.ArrowException) as error:
                raise self.unreadable(position, path, error) from error

    def schema(self, columns: Sequence[str] | None = None) -> pa.Schema:
        """Schema of the chunk rows of all shards together."""
        found = [self._files.schema(position) for position in range(len(self.shards))]
        whole = unified(found)
        return whole if columns is None else pa.schema([whole.field(name) for name in columns])

    def follows(self, shard: int, row: int) -> bool:
        """Row `row` of the shard at this position comes right after the one above it in the unit.

        Of row 0: it is the unit's first; of the number of rows: the last row is the unit's last.
        """
        gaps = gaps_of(self._files.schema(shard))
        return not made_by_update(self.manifest, self.shards[shard]) if gaps is None else row not in gaps

    def close(self) -> None:
        """Close files and drop maps; Windows removes nothing that is open."""
        self._files.close()
        with self._lock:
            self._vectors.clear()

    def __enter__(self) -> Collection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ── inside ───────────────────────────────────────────────────────────────────────────────────
    def unreadable(self, position: int, path: Path, error: Exception) -> ShardUnreadable:
        """The error to raise when a file of the shard at this position cannot be read."""
        remedy = "`verify` says what is damaged and what to do"
        failed = ShardUnreadable(f"cannot be read: {error}", where=str(path), remedy=remedy)
        failed.collection, failed.shard = self.path, self.shards[position].number
        return failed

    def _is_usable(self, shard: ShardEntry) -> bool:
        if shard.number in self._without:
            self.damaged[shard.number] = self._without[shard.number]
            self.notes.append(f"{self._without[shard.number]}: its {shard.rows:,} chunks cannot be found")
            return False
        for entry in shard.files():
            if not self._store.size_is_right(entry):
                what = "is cut short" if self._store.path(entry).exists() else "is missing"
                self.damaged[shard.number] = entry.name
                self.notes.append(f"{entry.name} {what}: its {shard.rows:,} chunks cannot be found")
                return False
        return True

    def _map(self, position: int) -> Floats:
        shard = self.shards[position]
        path = self._store.path(shard.vectors)
        try:
            vectors = map_vectors(path, self.dim)
        except (OSError, ValueError, pa.ArrowException) as error:
            raise self.unreadable(position, path, error) from error
        if vectors.shape != (shard.rows, self.dim) or vectors.dtype != self.dtype:
            raise self.unreadable(position, path, ValueError(f"holds {vectors.dtype} {vectors.shape}"))
        return vectors

    def _by_shard(
        self, ordinals: NDArray[np.int64]
    ) -> Iterator[tuple[int, NDArray[np.intp], NDArray[np.int64]]]:
        """(position of the shard, places in `ordinals`, rows in the shard, ascending) for every shard touched."""
        order = np.argsort(ordinals, kind="stable")
        ascending = ordinals[order]
        edges = np.searchsorted(ascending, self.starts)
        for shard in np.flatnonzero(np.diff(edges)).tolist():
            part = slice(edges[shard], edges[shard + 1])
            yield shard, order[part], ascending[part] - self.starts[shard]


def comparable(vectors: NDArray[np.float32], metric: str) -> NDArray[np.float32]:
    """Rows as inner products compare them: scaled to length 1 for `cosine`, else as they are."""
    if metric != "cosine":
        return vectors
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: NDArray[np.float32] = vectors / np.maximum(norms, np.finfo(np.float32).tiny)
    return scaled
