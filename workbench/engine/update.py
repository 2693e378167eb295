"""Running again over input that has changed: what must be read, and what is gone at the end."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import astuple, dataclass, replace
from pathlib import Path

import numpy as np

from workbench.collection import changes
from workbench.collection.changes import KEPT, REUSED, Addresses
from workbench.collection.input_state import InputState, fingerprint, read_state, state_part
from workbench.collection.manifest import Manifest
from workbench.collection.reader import Collection
from workbench.collection.rejects import without_old
from workbench.collection.store import Store
from workbench.collection.writer import CollectionWriter
from workbench.core.units import Plan, SourceSpec
from workbench.sources.base import Source


@dataclass(frozen=True, slots=True)
class Update:
    """A run over changed input.

    Attributes:
        whole: the plan of the whole input. plan: only what may have changed; no units: only removals.
        touched: documents whose rows are compared, changed and removed ones; None = all.
        known: what is remembered before it. state: to be remembered when the run is complete.
        number: of the manifest it began with.
        limited: a lower limit than the collection was made with: what lies beyond it is not gone from the input.
    """

    whole: Plan
    plan: Plan
    touched: frozenset[str] | None
    known: InputState
    state: InputState
    number: int
    limited: bool = False

    @property
    def source(self) -> Mapping[str, str]:
        """Identity of the source of this run: never twice the same, so that every attempt begins with all rows the
        collection has, those of an interrupted attempt too."""
        return {**self.whole.identity, "update": str(self.number)}


@dataclass(frozen=True, slots=True)
class Counts:
    """What came of it: rows that stay, rows whose vectors were there, rows deleted."""

    unchanged: int
    reused: int
    removed: int


def input_state(spec: SourceSpec, plan: Plan) -> InputState:
    """What is remembered of an input."""
    place = [spec.kind, *(os.path.normcase(path) for path in (*spec.paths, spec.docs))]
    how = [astuple(spec.columns), spec.limit, spec.chunk_tokens, spec.overlap_tokens]
    return InputState(fingerprint(plan.identity), fingerprint(place), fingerprint(how), plan.documents, spec.limit)


def find_update(into: Path, spec: SourceSpec, source: Source, plan: Plan) -> Update | Manifest | None:
    """What a collection that is complete for an earlier state of this input needs.

    Returns:
        The manifest when nothing has changed; None when this is no update: the collection was never complete, or
        was made from input in another place.
    """
    store = Store(into)
    manifest = store.load()
    known, now = read_state(store, manifest), input_state(spec, plan)
    if known is None or known.place != now.place:
        return None
    if (known.identity, known.how) == (now.identity, now.how):
        return manifest
    reduced, touched = plan, None
    limited = spec.limit > 0 and (known.limit == 0 or known.limit > spec.limit)
    if limited:
        now = replace(now, limit=known.limit)
    if limited and now.documents:
        touched = frozenset(now.documents)
    elif known.how == now.how and known.documents and now.documents:
        reduced = source.plan_changes(known.documents)  # type: ignore[attr-defined]
        names = known.documents.keys() | now.documents.keys()
        touched = frozenset(name for name in names if known.documents.get(name) != now.documents.get(name))
    return Update(plan, reduced, touched, known, now, manifest.number, limited)


def begin(collection: CollectionWriter, update: Update) -> None:
    """Remember, before anything is committed or deleted, that the collection is about to hold rows of two states.

    Should the update not be completed, the input may be put back to what it was: no state is then taken for the one
    the collection is complete for, and what this update looked at is looked at again.
    """
    documents: dict[str, str] = {}  # nothing known of any: all are compared
    if update.touched is not None:
        documents = {**update.known.documents, **dict.fromkeys(update.touched, "")}
    remember(collection, replace(update.known, identity="", documents=documents))


def known_folder(collection: CollectionWriter) -> Path:
    """Where workers find what is known."""
    return collection.staging / "known"


def write_withheld(collection: CollectionWriter) -> str:
    """The same for a run that is no update: only what a person has deleted; "" = nothing."""
    folder = known_folder(collection)
    return str(folder) if changes.write_withheld(Store(collection.path), collection.manifest, folder) else ""


def write_known(collection: CollectionWriter, update: Update) -> Addresses:
    """Write it; returns the addresses of rows that may be gone."""
    with Collection.open(collection.path) as rows:
        return changes.write_known(rows, update.touched, known_folder(collection))


def finish(collection: CollectionWriter, update: Update, candidates: Addresses) -> Counts:
    """Delete what is gone from the input and remember its new state; every unit of the update is committed."""
    kept = [np.load(path) for path in collection.staging.glob(f"*{KEPT}")]
    stays = np.unique(np.concatenate([np.zeros(0, np.int64), *kept]))
    gone = np.setdiff1d(candidates, stays, assume_unique=True)
    if update.limited and update.touched is None:
        gone = gone[:0]  # nothing tells rows beyond the limit from rows that are gone
    removed = collection.delete(changes.by_shard(gone)) if len(gone) else 0
    collection.put_shards(without_old(
        Store(collection.path), collection.manifest, update.touched, partly=update.limited
    ))
    unchanged = collection.rows - _added(collection.manifest)
    remember(collection, update.state)
    return Counts(unchanged, _reused(collection.staging), removed)


def remember(collection: CollectionWriter, state: InputState) -> None:
    """Remember the input that the collection is complete for now."""
    store = Store(collection.path)
    collection.put_derived(state_part(store, collection.manifest, state))


def remember_once(collection: CollectionWriter, state: InputState) -> None:
    """The same where nothing is remembered: the run that completed the collection ended just before it did."""
    if read_state(Store(collection.path), collection.manifest) is None:
        remember(collection, state)


def added(collection: CollectionWriter) -> int:
    """Rows that this run has committed."""
    return _added(collection.manifest)


def _added(manifest: Manifest) -> int:
    return sum(shard.rows - shard.deleted for shard in manifest.shards if shard.source == manifest.active)


def _reused(staging: Path) -> int:
    """Rows whose vectors were there, of the last attempt at each unit."""
    latest: dict[str, Path] = {}
    for path in sorted(staging.glob(f"*{REUSED}"), key=lambda path: int(path.name.split(".")[1])):
        latest[path.name.split(".")[0]] = path
    return sum(int((np.load(path) >= 0).sum()) for path in latest.values())
