"""Changing what a collection holds, without embedding: deletions, compaction, the text index.

Each runs in a process of its own, so that the caller loads neither FAISS nor tantivy.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from workbench.core.apart import Progress, run_apart
from workbench.core.errors import UsageError
from workbench.search.where import parse

if TYPE_CHECKING:
    from workbench.collection.compact import Compacted
    from workbench.collection.index_tune import Trial
    from workbench.collection.manifest import Fact
    from workbench.collection.store import Store
    from workbench.collection.writer import CollectionWriter


@dataclass(frozen=True, slots=True)
class Deleted:
    """`matched`: rows the filter names. `deleted`: those taken out now. `left`: rows that can be found afterwards.

    `seconds`: from the decision which rows to the moment no search finds them any more.
    """

    matched: int
    deleted: int
    left: int
    seconds: float


def delete(path: Path, where: str, *, really: bool = True, progress: Progress | None = None) -> Deleted:
    """Delete the chunks a filter lets through; no search finds them from the next one on, and no run embeds them again.

    Args:
        where: see `workbench.search.where`. really: False only counts.

    Raises:
        UsageError: the filter cannot be used; no collection there, or a run is writing it.
        RunFailed: a shard or the list of what was deleted before is damaged; the disk is full.
    """
    parse(where)
    return run_apart(_delete, path, where, really, progress=progress)


def restore(path: Path, progress: Progress | None = None) -> int:
    """Forget which chunks were deleted, so that the next run embeds those that the input still has.

    Returns:
        How many they were.

    Raises:
        UsageError: no collection there, a run is writing it, or no run has completed it yet.
    """
    return run_apart(_restore, path, progress=progress)


def compact(path: Path, progress: Progress | None = None) -> Compacted:
    """Write shards with deleted rows anew without them, and their indexes; nothing is embedded.

    Raises:
        UsageError: no collection there, or a run is writing it. RunFailed: a shard is damaged; the disk is full.
    """
    return run_apart(_compact, path, progress=progress)


def build_text_index(path: Path, *, anew: bool = False, progress: Progress | None = None) -> dict[str, Fact]:
    """Build the text index, or extend it by what was added; `anew`: from all shards in any case.

    Returns:
        What is known of it: engine, documents, bytes, seconds.

    Raises:
        UsageError: no collection there, or a run is writing it. RunFailed: a shard is damaged; the disk is full.
    """
    return run_apart(_text_index, path, anew, progress=progress)


def tune_index(
    path: Path, kinds: Sequence[str], sample: int, progress: Progress | None = None
) -> list[Trial]:
    """Try index kinds on a sample of the collection's rows; see `workbench.collection.index_tune`.

    Raises:
        UsageError: no collection there, or a run is writing it. RunFailed: a shard is damaged; the disk is full.
    """
    return run_apart(_tune, path, tuple(kinds), sample, progress=progress)


def _writer(store: Store) -> CollectionWriter:
    from workbench.collection.writer import CollectionWriter

    return CollectionWriter(store, store.load(), None)


def _delete(path: Path, where: str, really: bool, progress: Progress) -> Deleted:
    import numpy as np

    from workbench.collection import withheld
    from workbench.collection.locked import locked
    from workbench.collection.reader import Collection
    from workbench.search.filters import Filters

    with locked(path) as store, Collection.open(path) as collection:
        writer = _writer(store)
        if collection.notes:
            raise UsageError(collection.notes[0], where=str(path), remedy="`verify` says what to do")
        mask = Filters(collection).mask(where) & collection.alive()
        ordinals = np.flatnonzero(mask)
        began = perf_counter()
        rows: dict[int, list[int]] = defaultdict(list)
        for place in np.unique(np.searchsorted(collection.starts, ordinals, side="right") - 1).tolist():
            begin, end = int(collection.starts[place]), int(collection.starts[place + 1])
            inside = ordinals[(ordinals >= begin) & (ordinals < end)] - begin
            rows[collection.shards[place].number] = inside.tolist()
        deleted = 0
        if really and len(ordinals):
            deleted = writer.delete(rows, withheld.with_rows(store, collection, rows))
        return Deleted(len(ordinals), deleted, writer.rows, perf_counter() - began)


def _restore(path: Path, progress: Progress) -> int:
    from workbench.collection import withheld
    from workbench.collection.input_state import forget_input, read_state
    from workbench.collection.locked import locked

    with locked(path) as store:
        writer = _writer(store)
        if read_state(store, writer.manifest) is None:
            raise UsageError("no run has completed the collection yet", where=str(path), remedy="Let `run` end first")
        count = withheld.count(writer.manifest)
        if count:
            forget_input(store, writer)  # first: should this end here, the next run compares and brings nothing back
            writer.drop_derived(withheld.ROLE)
        return count


def _compact(path: Path, progress: Progress) -> Compacted:
    from workbench.collection.compact import compact_here

    return compact_here(path, progress)


def _text_index(path: Path, anew: bool, progress: Progress) -> dict[str, Fact]:
    from workbench.collection.locked import locked
    from workbench.collection.text_build import update

    with locked(path) as store:
        return update(_writer(store), anew=anew, progress=progress)


def _tune(path: Path, kinds: tuple[str, ...], sample: int, progress: Progress) -> list[Trial]:
    from workbench.collection.index_tune import tune
    from workbench.collection.locked import locked

    with locked(path) as store:
        return tune(store, store.load(), kinds, sample, progress)
