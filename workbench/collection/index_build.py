"""Building the FAISS index from shards: train on a sample, add shard by shard, calibrate, measure recall."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.collection import index_kinds
from workbench.collection.exact import Best, Ordinals, Scores, gather_one_by_one, one_by_one, scan
from workbench.collection.index_kinds import Kind
from workbench.collection.manifest import CollectionDamaged, Derived, Fact, Manifest
from workbench.collection.reader import Collection, comparable
from workbench.collection.store import ANN, Store
from workbench.core.errors import RunFailed, UsageError
from workbench.core.memory import let_go

Progress = Callable[[str, int, int], None]

#: recall@10 that calibration aims at; the promise is 0.99, the rest is for the error of the sample.
TARGET = 0.995
#: Candidates per hit that calibration may choose.
RESCORES = (1, 2, 4, 8, 16, 32, 64, 128)
_TRAINING_BYTES = 128 << 20  # float32 vectors for training; FAISS copies them
_PER_LIST = 64  # training vectors per inverted list (FAISS asks for 39 to 256)
#: An index grows without new training until it holds so many times what it was trained for.
_GROWTH = 2.0


@dataclass(frozen=True, slots=True)
class Options:
    """`rescore`, `effort`: 0 = calibrated. `sample`: queries. `rebuild`: do not extend what is there."""

    rescore: int = 0
    effort: int = 0
    sample: int = 200
    rebuild: bool = False


@dataclass(frozen=True, slots=True)
class _Truth:
    """Sample queries, their ordinals, and per query the exact score of its tenth neighbour (itself left out)."""

    queries: Scores
    own: Ordinals
    best: Best
    k: int


def build(
    store: Store, manifest: Manifest, kind: str, options: Options, progress: Progress | None = None
) -> Derived:
    """A FAISS index over all shards, flushed into `ann/` beside the old one; the caller publishes it.

    recall@10 is the share of the ten nearest stored vectors (exact search, the query itself left out) that a
    search finds, mean over `sample` of the collection's own vectors as queries; a found row that scores as
    high as the tenth neighbour counts, so that equal vectors do not matter.

    Args:
        kind: see `index_kinds.resolve`. progress: called with (what, done, total).

    Raises:
        UsageError: FAISS does not know the kind, or it needs more vectors.
        RunFailed: a shard is damaged.
    """
    began = time.perf_counter()
    tell = progress or (lambda what, done, total: None)
    with Collection(store, manifest) as collection:
        if collection.notes:
            raise RunFailed(collection.notes[0], remedy="`verify` says what to do")
        chosen = index_kinds.resolve(kind, collection.ordinals, collection.dim)
        shards = tuple(shard.number for shard in manifest.shards)
        old = manifest.derivative("ann")
        if old is not None and old.shards == shards and _same(old, chosen, options) and _is_whole(store, old):
            return old
        facts: dict[str, Fact] = {"kind": chosen.name, "recall_at_10": None, "rows": collection.ordinals}
        if chosen.name == "none" or not collection.ordinals:
            return Derived("ann", (), shards, {**facts, "kind": chosen.name if chosen.name == "none" else "Flat"})
        if chosen.name == "Flat":
            per_vector = collection.dim * np.dtype(collection.dtype).itemsize
            facts |= {"recall_at_10": 1.0, "bytes_per_vector": per_vector, "seconds": time.perf_counter() - began}
            return Derived("ann", (), shards, facts)
        index, trained = _filled(store, collection, chosen, old, options, tell)
        facts |= _calibrated(index, collection, options, tell)
        facts["trained_rows"] = trained
        name = f"{ANN}/{manifest.number + 1:08d}.faiss"
        tell("saving the index", 0, 1)
        entry = index_kinds.save(index, store.disk, store.root / name, name)
        store.disk.sync_folder(store.root / ANN)
        facts |= {"factory": chosen.factory, "bytes_per_vector": round(entry.size / collection.ordinals, 1)}
        facts |= {"seconds": round(time.perf_counter() - began, 3)}
        facts["rows_of"] = " ".join(str(shard.rows) for shard in manifest.shards)
        return Derived("ann", (entry,), shards, facts)


def _same(old: Derived, kind: Kind, options: Options) -> bool:
    fixed = (options.rescore, options.effort)
    known = (int(old.facts.get("asked_rescore") or 0), int(old.facts.get("asked_effort") or 0))
    return old.facts.get("kind") == kind.name and fixed == known and not options.rebuild


def _is_whole(store: Store, part: Derived) -> bool:
    return all(store.size_is_right(entry) for entry in part.files)


def _filled(
    store: Store, collection: Collection, kind: Kind, old: Derived | None, options: Options, tell: Progress
) -> tuple[Any, int]:
    """(index over all shards, rows it was trained for): the old one with the new shards, or a new one."""
    index, trained, begin = _extendable(store, collection, kind, old, options)
    if index is None:
        index, trained, begin = index_kinds.create(kind, collection.dim), collection.ordinals, 0
        _train(index, kind, collection, tell)
        let_go()
    for shard in range(begin, len(collection.shards)):
        tell("adding vectors", int(collection.starts[shard]), collection.ordinals)
        stored = collection.vectors(shard)
        if len(stored):
            index.add(comparable(stored.astype(np.float32, copy=False), collection.manifest.metric))
        del stored
        collection.close()  # drops the maps (they come again when asked for): memory must not grow with the collection
    let_go()
    return index, trained


def _extendable(
    store: Store, collection: Collection, kind: Kind, old: Derived | None, options: Options
) -> tuple[Any, int, int]:
    numbers = tuple(shard.number for shard in collection.shards)
    if old is None or options.rebuild or old.facts.get("kind") != kind.name or not old.files:
        return None, 0, 0
    trained = int(old.facts.get("trained_rows") or 0)
    if numbers[: len(old.shards)] != old.shards or collection.ordinals > _GROWTH * trained:
        return None, 0, 0
    try:
        index = index_kinds.load(store.path(old.files[0]), old.files[0])
    except CollectionDamaged:
        return None, 0, 0
    if index.ntotal != collection.starts[len(old.shards)]:
        return None, 0, 0
    return index, trained, len(old.shards)


def _train(index: Any, kind: Kind, collection: Collection, tell: Progress) -> None:
    if index.is_trained:
        return
    ivf = index_kinds.inverted(index)
    lists = int(ivf.nlist) if ivf is not None else 1
    if collection.ordinals < lists:
        raise UsageError(
            f"{kind.name} needs at least {lists:,} vectors, there are {collection.ordinals:,}", where="index.kind",
            remedy="Choose auto or Flat",
        )
    rows = training_rows(collection.ordinals, collection.dim, lists)
    tell("training", 0, rows)
    vectors = _spread(collection, rows)
    try:
        index.train(vectors)
    except RuntimeError as error:
        raise UsageError(
            f"FAISS cannot train {kind.name!r} on {rows:,} vectors: {_reason(error)}", where="index.kind",
            remedy="Choose auto or Flat",
        ) from error


def training_rows(rows: int, dim: int, lists: int) -> int:
    """On how many of so many vectors to train; in memory they take a fixed number of bytes, or, where the index is
    large, half as many as its codes of one bit a value."""
    most = max(_TRAINING_BYTES, rows * dim // 16) // (4 * dim)
    return min(rows, most, max(65_536, _PER_LIST * lists))


def _spread(collection: Collection, rows: int) -> Scores:
    """So many vectors, evenly from all shards: float32 [rows, dim]."""
    return gather_one_by_one(collection, np.linspace(0, collection.ordinals - 1, rows).astype(np.int64))


def _reason(error: Exception) -> str:
    """FAISS's own words without its source location."""
    return str(error).rpartition(": ")[2].strip() or str(error)


# ── calibration ──────────────────────────────────────────────────────────────────────────────────
def _calibrated(index: Any, collection: Collection, options: Options, tell: Progress) -> dict[str, Fact]:
    """Least effort and candidates per hit that reach the target; the best there is when none does."""
    tell("measuring recall", 0, 1)
    truth = _truth(collection, options.sample)
    rescores = (options.rescore,) if options.rescore else RESCORES
    tried: list[tuple[float, int, int]] = []
    alone: dict[int, float] = {}
    for effort in (options.effort,) if options.effort else index_kinds.efforts(index):
        index_kinds.set_effort(index, effort)
        alone[effort], *recalls = _recalls(index, collection, truth, (1, *rescores))
        let_go()
        tried += [(recall, effort, rescore) for rescore, recall in zip(rescores, recalls, strict=True)]
        if max(recalls) >= TARGET:
            break
    good = [entry for entry in tried if entry[0] >= TARGET]
    recall, effort, rescore = good[0] if good else max(tried, key=lambda entry: (entry[0], -entry[1], -entry[2]))
    index_kinds.set_effort(index, effort)
    return {
        "recall_at_10": round(recall, 4), "recall_alone": round(alone[effort], 4), "recall_queries": len(truth.own),
        "rescore": rescore, "effort": effort,
        "asked_rescore": options.rescore, "asked_effort": options.effort,
    }


def _truth(collection: Collection, sample: int) -> _Truth:
    """Queries spread evenly over the collection, and their exact neighbours."""
    own = np.unique(np.linspace(0, collection.ordinals - 1, min(sample, collection.ordinals)).astype(np.int64))
    queries = gather_one_by_one(collection, own)
    k = min(10, collection.ordinals - 1)
    return _Truth(queries, own, scan(collection, queries, k + 1, shards=one_by_one(collection)), k)


def _recalls(index: Any, collection: Collection, truth: _Truth, rescores: tuple[int, ...]) -> list[float]:
    """recall@10 for each number of candidates per hit; one search, since fewer candidates are a prefix."""
    if truth.k < 1:
        return [1.0] * len(rescores)
    most = min(max(rescores) * 10 + 1, index.ntotal)
    found = index_kinds.candidates(index, truth.queries, most)
    scores = _scored(collection, truth.queries, found)
    hits = np.zeros(len(rescores))
    for row, own in enumerate(truth.own):
        neighbours = truth.best.scores[row][truth.best.ordinals[row] != own][: truth.k]
        good = scores[row] >= neighbours[-1] - 1e-5  # sums in another order differ in the last bits
        good[found[row] == own] = False
        for place, rescore in enumerate(rescores):
            hits[place] += min(int(good[: rescore * 10 + 1].sum()), truth.k)
    return [float(hit / (truth.k * len(truth.own))) for hit in hits]


def _scored(collection: Collection, queries: Scores, found: Ordinals) -> Scores:
    """Exact scores float32 [queries, n] of what was found; −inf where `found` is −1. Shard by shard for all queries
    together: candidates lie scattered, so that one query after the other would map pages of every shard at once."""
    scores = np.full(found.shape, -np.inf, np.float32)
    for shard in one_by_one(collection):
        inside = (found >= collection.starts[shard]) & (found < collection.starts[shard + 1])
        for row in np.flatnonzero(inside.any(axis=1)):
            scores[row, inside[row]] = collection.gather(found[row, inside[row]]) @ queries[row]
    return scores
