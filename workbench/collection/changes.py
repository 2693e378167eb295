"""What a collection holds already of an input that has changed, so that only what is new is embedded.

A row of the new input is *kept* when the collection has one equal in every column: it stays where it is. A row
whose text alone is known *reuses* the stored vector. Any other is embedded. Rows of the collection that are not kept
are gone from the input, and are deleted when the run is complete. What a person has deleted (`withheld`) is none of
these: it stays away.

Rows are named by address: `shard number << 32 | row`. It stays right whatever is committed meanwhile.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection as Some
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from workbench.collection import withheld
from workbench.collection.manifest import Manifest
from workbench.collection.reader import Collection
from workbench.collection.row_keys import row_keys, text_keys
from workbench.collection.shards import CONTENT_HASH, Floats
from workbench.collection.store import Store
from workbench.core.errors import RunFailed

#: Ends of the names of files in staging: addresses of rows of a unit that stay, and for each row of its shard the
#: address whose vector fits, or −1.
KEPT, REUSED = ".kept.npy", ".reused.npy"
_EQUAL, _SAME_TEXT, _WITHHELD = "equal.npy", "same-text.npy", "withheld.npy"

#: Rows that no index covers are searched one by one; so large a share of them is not felt.
_TAIL = 0.01

Addresses = NDArray[np.int64]
Index = NDArray[np.uint64]  # [n, 3]: both halves of a 128-bit key, and an address; sorted


# ── the parent: what is known ────────────────────────────────────────────────────────────────────
def write_known(collection: Collection, touched: Some[str] | None, folder: Path) -> Addresses:
    """Write what workers need to recognise rows; returns the addresses of all rows that may be gone, ascending.

    Args:
        touched: doc_ids whose rows are compared; None = all.
        folder: takes three files that workers map.

    Raises:
        RunFailed: a shard or the list of deleted chunks cannot be read.
    """
    equal: list[Index] = []
    same: list[Index] = []
    staying: list[list[bytes]] = []
    deleted = withheld.keys(Store(collection.path), collection.manifest)
    names = None if touched is None else sorted(touched)
    for place in range(len(collection.shards)):
        table, rows = _alive(collection, place, *_without_text(collection, place, names))
        if names is not None and table.num_rows:
            column = table.column("doc_id")
            chosen = pc.is_in(column, pa.array(names, column.type)).to_numpy(zero_copy_only=False)
            table, rows = table.filter(pa.array(chosen)), rows[chosen]
        address = (np.int64(collection.shards[place].number) << 32) + rows
        hashes = table.column(CONTENT_HASH).to_pylist() if CONTENT_HASH in table.column_names else []
        if len(hashes) == table.num_rows:
            equal.append(_index(row_keys(table, hashes), address))
            same.append(_index([bytes(one) for one in hashes], address))
            staying += [text_keys(table, hashes)] if len(deleted) else []
        elif table.num_rows:  # written without hashes: to be embedded anew, and gone at the end
            equal.append(_index([b"\0" * 16] * table.num_rows, address))
    every = _save(folder, equal, same, withheld.without(deleted, staying))
    return np.sort(every[:, 2].astype(np.int64))


def write_withheld(store: Store, manifest: Manifest, folder: Path) -> bool:
    """Write only what a person has deleted, for a run whose units are all new; False: there is nothing of it."""
    every = withheld.keys(store, manifest)
    if len(every):
        _save(folder, [], [], every)
    return bool(len(every))


def _save(folder: Path, equal: Sequence[Index], same: Sequence[Index], deleted: withheld.Keys) -> Index:
    """The three files; returns the first."""
    folder.mkdir(parents=True, exist_ok=True)
    every = _sorted(equal)
    np.save(folder / _EQUAL, every)
    np.save(folder / _SAME_TEXT, _sorted(same))
    np.save(folder / _WITHHELD, deleted)
    return every


# ── a worker: which rows are new ─────────────────────────────────────────────────────────────────
@dataclass(frozen=True, slots=True)
class Sorted:
    """Rows of a unit told apart.

    Attributes:
        kept: addresses of rows that stay as they are. rest: positions of the other rows in the unit, without those
            that a person has deleted.
        reused: for each of `rest` the address whose vector fits, or −1: it must be embedded.
    """

    kept: Addresses
    rest: NDArray[np.intp]
    reused: Addresses


class Known:
    """Recognises rows; mapped from the files of `write_known`."""

    def __init__(self, folder: Path) -> None:
        self._equal = np.load(folder / _EQUAL, mmap_mode="r")
        self._same = np.load(folder / _SAME_TEXT, mmap_mode="r")
        self._withheld = np.load(folder / _WITHHELD, mmap_mode="r")

    def sort(self, table: pa.Table, hashes: Sequence[bytes]) -> Sorted:
        """Tell the rows of a unit (without content hash) and their content hashes apart."""
        keys = row_keys(table, hashes)
        equal = _find(self._equal, keys)
        new = equal < 0
        if len(self._withheld):
            new &= ~withheld.are_on(self._withheld, keys, text_keys(table, hashes))
        rest = np.flatnonzero(new)
        reused = _find(self._same, [hashes[row] for row in rest.tolist()])
        return Sorted(equal[equal >= 0], rest, reused)


# ── the writer: vectors by address ───────────────────────────────────────────────────────────────
def stored_vectors(collection: Collection, addresses: Addresses) -> Floats:
    """Vectors [n, dim] as stored. Raises RunFailed when a shard cannot be read."""
    place_of = {shard.number: place for place, shard in enumerate(collection.shards)}
    found = np.empty((len(addresses), collection.dim), dtype=collection.dtype)
    numbers, rows = addresses >> 32, addresses & 0xFFFFFFFF
    for number in np.unique(numbers).tolist():
        here = np.flatnonzero(numbers == number)
        if number not in place_of:
            raise RunFailed(f"shard {number} is damaged", remedy="`verify` says what to do")
        found[here] = collection.vectors(place_of[number])[rows[here]]
    return found


def by_shard(addresses: Addresses) -> dict[int, list[int]]:
    """Shard number → rows, as `CollectionWriter.delete` takes them."""
    numbers, rows = addresses >> 32, addresses & 0xFFFFFFFF
    return {int(number): rows[numbers == number].tolist() for number in np.unique(numbers)}


def tail_is_small(manifest: Manifest) -> bool:
    """The FAISS index covers all but a few rows; those are searched exactly, so it need not be touched."""
    part = manifest.derivative("ann")
    if part is None or not part.files:
        return False
    covered = set(part.shards)
    tail = sum(shard.rows for shard in manifest.shards if shard.number not in covered)
    return 0 < tail <= _TAIL * manifest.rows


def _without_text(
    collection: Collection, place: int, names: Sequence[str] | None
) -> tuple[pa.Table, NDArray[np.int64]]:
    """Rows of a shard without their text, and their numbers in it; only row groups that may hold the documents."""
    path = collection.path / collection.shards[place].chunks.name
    try:
        with pq.ParquetFile(path) as file:
            columns = [name for name in file.schema_arrow.names if name not in ("title", "text")]
            sizes = [file.metadata.row_group(group).num_rows for group in range(file.metadata.num_row_groups)]
            starts = np.cumsum([0, *sizes], dtype=np.int64)
            groups = list(range(len(sizes))) if names is None else _may_hold(file, names)
            if not groups:
                return file.schema_arrow.empty_table().select(columns), np.zeros(0, np.int64)
            rows = np.concatenate([np.arange(starts[group], starts[group + 1]) for group in groups])
            return file.read_row_groups(groups, columns=columns), rows
    except (OSError, pa.ArrowException) as error:
        remedy = "`verify` says what is damaged and what to do"
        raise RunFailed(f"cannot be read: {error}", where=str(path), remedy=remedy) from error


def _may_hold(file: pq.ParquetFile, names: Sequence[str]) -> list[int]:
    """Row groups that may hold one of some documents (sorted), by the least and greatest doc_id in each."""
    metadata = file.metadata
    if not metadata.num_row_groups:
        return []
    first = metadata.row_group(0)
    column = next(n for n in range(metadata.num_columns) if first.column(n).path_in_schema == "doc_id")
    found = []
    for group in range(metadata.num_row_groups):
        known = metadata.row_group(group).column(column).statistics
        if known is not None and known.has_min_max and isinstance(known.min, str):
            at = bisect_left(names, known.min)
            if at == len(names) or names[at] > known.max:
                continue
        found.append(group)
    return found


def _alive(
    collection: Collection, place: int, table: pa.Table, rows: NDArray[np.int64]
) -> tuple[pa.Table, NDArray[np.int64]]:
    """The same without deleted rows."""
    deleted = collection.deleted_rows(place).astype(np.int64)
    keep = ~np.isin(rows, deleted)
    return (table, rows) if keep.all() else (table.filter(pa.array(keep)), rows[keep])


def _index(keys: Sequence[bytes], addresses: Addresses) -> Index:
    halves = np.frombuffer(b"".join(keys), dtype="<u8").reshape(-1, 2)
    return np.column_stack([halves, addresses.astype(np.uint64)]).astype(np.uint64)


def _sorted(parts: Iterable[Index]) -> Index:
    every = np.concatenate([np.zeros((0, 3), np.uint64), *parts])
    return every[np.lexsort((every[:, 2], every[:, 1], every[:, 0]))]


def _find(index: Index, keys: Sequence[bytes]) -> Addresses:
    """Address of each key, −1 for those that are not there."""
    wanted = np.frombuffer(b"".join(keys), dtype="<u8").reshape(-1, 2)
    if not len(index) or not len(wanted):
        return np.full(len(wanted), -1, np.int64)
    place = np.minimum(np.searchsorted(index[:, 0], wanted[:, 0]), len(index) - 1)
    same = (index[place, 0] == wanted[:, 0]) & (index[place, 1] == wanted[:, 1])
    return np.where(same, index[place, 2].astype(np.int64), -1)
