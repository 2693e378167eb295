"""Looking at every byte of a collection: hashes, counts, ids, and the FAISS index against the shards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from workbench.collection.durable import sha256_of
from workbench.collection.manifest import CollectionDamaged, FileEntry, Manifest, ShardEntry, decode, manifest_name
from workbench.collection.reader import Collection, ShardUnreadable
from workbench.collection.seal import broken_seals
from workbench.collection.shards import map_vectors
from workbench.collection.store import CURRENT, MANIFESTS, RUNS, Loaded, Store
from workbench.core.errors import UsageError, WorkbenchError

#: What is damaged: `shard` (truth: must be embedded again), `derived` (rebuilt from shards), `pointer` (CURRENT or
#: its manifest), `old` (a manifest no longer needed), `record` (files of a run; nothing depends on them).
KINDS = ("shard", "derived", "pointer", "old", "record")
_SAMPLE = 50  # vectors searched for in the index
#: recall@10 may be so much lower than at build time before the index is called wrong (error of the sample).
_SLACK = 0.1
#: Looks at a collection that a writer changes meanwhile, before what the last one finds is believed.
_LOOKS = 3

#: What to do about a derived part, by its role.
_REMEDIES = {
    "ann": "`verify --repair` builds the FAISS index again from the shards, without embedding",
    "text": "`verify --repair` builds the text index again from the shards, without embedding",
    "input": "`verify --repair` writes it anew; the next run then reads the whole input, and embeds only what is new",
    "deleted": "`verify --repair` gives this list of deleted chunks up; those that the input still has may come back",
}

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. `unit` (source number, unit number): of kind `shard`."""

    kind: str
    file: str
    what: str
    remedy: str
    unit: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What `verify` found. `nbytes`: read and hashed."""

    collection: str
    manifest: int
    files: int
    nbytes: int
    rows: int
    problems: tuple[Problem, ...]
    notes: tuple[str, ...] = field(default=())

    @property
    def whole(self) -> bool:
        return not self.problems


def verify(path: Path, progress: Progress | None = None) -> Report:
    """Read everything and compare it with the manifest. Changes nothing and needs no lock.

    A writer beside it may take files away that the manifest it began with names (`compact` does); what it finds
    then is no damage, and it looks again.

    Raises:
        UsageError: there is no collection, or a newer program wrote it.
    """
    store = Store(path)
    for _ in range(_LOOKS - 1):
        current = _current(store)
        try:
            report = _looked_through(store, progress)
        except ShardUnreadable:
            if _current(store) == current:
                raise
            continue
        if report.whole or _current(store) == current:
            return report
    return _looked_through(store, progress)


def _current(store: Store) -> bytes:
    """Content of CURRENT; nothing when it cannot be read."""
    try:
        return (store.root / CURRENT).read_bytes()
    except OSError:
        return b""


def _looked_through(store: Store, progress: Progress | None) -> Report:
    path = store.root
    problems: list[Problem] = []
    loaded = _pointer(store, problems)
    if loaded is None:
        return Report(str(path), 0, 0, 0, 0, tuple(problems))
    manifest = loaded.manifest
    named = {problem.file for problem in problems}
    problems += [problem for problem in _old_manifests(store, manifest.number) if problem.file not in named]
    bad = _hashes(store, manifest, problems, progress or (lambda what, done, total: None))
    problems += _units_twice(manifest)
    ids: list[int] = []
    for shard in manifest.shards:
        if not bad & {entry.name for entry in shard.files()}:
            problems += _contents(store, manifest, shard, ids)
    if not problems:
        problems += _index(store, manifest)
    problems += _records(path)
    twice = len(ids) - len(set(ids))
    notes = [f"{twice:,} chunk ids occur more than once in the input"] if twice else []
    files = manifest.files()
    return Report(
        str(path), manifest.number, len(files), sum(e.size for e in files), manifest.rows, tuple(problems),
        tuple(notes),
    )


def _pointer(store: Store, problems: list[Problem]) -> Loaded | None:
    try:
        return Loaded(store.load())
    except CollectionDamaged as error:
        trouble = error
    try:
        loaded = store.load_or_fall_back()
        remedy = f"`verify --repair` goes back to manifest {loaded.manifest.number}; the next run adds what is missing"
    except CollectionDamaged as error:
        loaded, remedy = None, error.remedy or ""
    problems.append(Problem("pointer", _relative(store, trouble.where), trouble.message, remedy))
    return loaded


def _old_manifests(store: Store, current: int) -> Iterator[Problem]:
    for path in sorted((store.root / MANIFESTS).glob("*.json")):
        if path.name == manifest_name(current):
            continue
        try:
            decode(path.read_bytes(), str(path))
        except (CollectionDamaged, UsageError, OSError) as error:
            what = error.message if isinstance(error, WorkbenchError) else str(error)
            yield Problem("old", f"{MANIFESTS}/{path.name}", what, "Not needed any more; `verify --repair` removes it")


def _hashes(store: Store, manifest: Manifest, problems: list[Problem], tell: Progress) -> set[str]:
    """Compare every file with its SHA-256; returns the names of the bad ones."""
    work: list[tuple[FileEntry, ShardEntry | None, str]] = [
        (entry, shard, "") for shard in manifest.shards for entry in shard.files()
    ]
    bad = set()
    for part in manifest.derived:
        if len(part.files) > 1 and not any(store.path(entry).exists() for entry in part.files):
            problems.append(_derived(part.role, part.files[0].name.rpartition("/")[0], "is missing"))
        else:
            work += [(entry, None, part.role) for entry in part.files]
    for done, (entry, shard, role) in enumerate(work):
        tell(entry.name, done, len(work))
        what = _wrong(store, entry)
        if what:
            bad.add(entry.name)
            problems.append(_damaged_shard(shard, entry.name, what) if shard else _derived(role, entry.name, what))
    return bad


def _wrong(store: Store, entry: FileEntry) -> str:
    try:
        size, digest = sha256_of(store.path(entry))
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if size != entry.size:
        return f"has {size:,} bytes instead of {entry.size:,}"
    return "" if digest == entry.sha256 else "SHA-256 differs"


def _damaged_shard(shard: ShardEntry, name: str, what: str) -> Problem:
    remedy = (
        f"`verify --repair --drop` takes unit {shard.unit} ({shard.rows:,} chunks) out; "
        "the command that made the collection then embeds only what is missing"
    )
    return Problem("shard", name, what, remedy, (shard.source, shard.unit))


def _derived(role: str, name: str, what: str) -> Problem:
    return Problem("derived", name, what, _REMEDIES.get(role, f"`verify --repair` drops it ({role})"))


def _units_twice(manifest: Manifest) -> Iterator[Problem]:
    counts = Counter((shard.source, shard.unit) for shard in manifest.shards)
    for shard in manifest.shards:
        if counts[shard.source, shard.unit] > 1:
            yield _damaged_shard(shard, shard.chunks.name, f"unit {shard.unit} is there more than once")


def _contents(store: Store, manifest: Manifest, shard: ShardEntry, ids: list[int]) -> Iterator[Problem]:
    """Row counts of both files and the ids (their hashes go into `ids`)."""
    try:
        with pq.ParquetFile(store.path(shard.chunks)) as file:
            column = file.read(columns=["chunk_id"]).column("chunk_id")
        vectors = map_vectors(store.path(shard.vectors), manifest.dim)
        deleted = np.frombuffer(store.path(shard.deletions).read_bytes(), "<u4") if shard.deletions else np.empty(0)
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        yield _damaged_shard(shard, shard.chunks.name, f"cannot be read: {error}")
        return
    if not len(column) == len(vectors) == shard.rows:
        counts = f"{len(column)} chunks, {len(vectors)} vectors, {shard.rows} in the manifest"
        yield _damaged_shard(shard, shard.chunks.name, counts)
    if column.null_count:
        yield _damaged_shard(shard, shard.chunks.name, f"{column.null_count} chunk ids are missing")
    if len(deleted) != shard.deleted or (np.diff(deleted.astype(np.int64)) <= 0).any() or (deleted >= shard.rows).any():
        yield _damaged_shard(shard, shard.chunks.name, "the list of deleted rows does not fit")
    gone = set(deleted.tolist())  # a chunk that was edited is there twice: deleted, and as it is now
    ids.extend(hash(name) for row, name in enumerate(column.to_pylist()) if row not in gone)


def _index(store: Store, manifest: Manifest) -> Iterator[Problem]:
    """The FAISS index opens, holds as many vectors as its shards, and finds what exact search finds."""
    part = manifest.derivative("ann")
    if part is None or not part.files:
        return
    from workbench.collection.exact import scan
    from workbench.collection.index_search import Searcher

    with Collection(store, manifest) as collection:
        searcher = Searcher(collection)
        if searcher.notes:
            yield _derived("ann", part.files[0].name, searcher.notes[0])
            return
        alive = np.flatnonzero(collection.alive())
        rows = alive[np.unique(np.linspace(0, len(alive) - 1, _SAMPLE).astype(np.int64))] if len(alive) else alive
        queries = collection.gather(rows)
        exact = scan(collection, queries, min(10, len(alive)), collection.alive())
        scores, _ = searcher.search(queries, exact.k)
        recall = float((scores >= exact.scores[:, -1:] - 1e-5).mean()) if scores.size else 1.0
        built = float(part.facts.get("recall_at_10") or 0.0)
        if recall < built - _SLACK:
            what = f"recall@10 is {recall:.3f}, it was {built:.3f} when built"
            yield _derived("ann", part.files[0].name, what)


def _records(path: Path) -> Iterator[Problem]:
    for folder in sorted((path / RUNS).glob("*")):
        for name, what in broken_seals(folder):
            yield Problem(
                "record", f"{RUNS}/{folder.name}/{name}", what,
                "A record of a past run; chunks and vectors do not depend on it",
            )


def _relative(store: Store, where: str | None) -> str:
    try:
        return Path(where or "").relative_to(store.root).as_posix()
    except ValueError:
        return where or ""
