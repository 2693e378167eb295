"""Building the lexical index from the shards: whole, or the newest generation and what came after it."""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import tantivy

from workbench.collection.durable import Disk, disk_errors, sha256_of
from workbench.collection.manifest import Derived, Fact, FileEntry
from workbench.collection.reader import Collection
from workbench.collection.text_index import ANALYSER, FOLDER, ROLE, is_current, open_folder, usable
from workbench.collection.writer import CollectionWriter
from workbench.core.errors import RunFailed
from workbench.text.words import spread

#: Memory the engine gathers words in before it writes a segment (bytes).
_HEAP = 128_000_000
#: A generation is built anew rather than extended when so large a share of it is gone from the collection.
_DEAD = 0.3

Progress = Callable[[str, int, int], None]


def update(writer: CollectionWriter, *, anew: bool = False, progress: Progress | None = None) -> dict[str, Fact]:
    """Build or extend the text index of a collection and publish it; one that fits is kept.

    Returns:
        What is known of it: engine, documents, bytes, seconds …

    Raises:
        RunFailed: a shard is damaged, or the disk is full. UsageError: not writable.
    """
    writer.flush()
    part = writer.manifest.derivative(ROLE)
    if anew or part is None or not is_current(writer.manifest):
        with disk_errors(writer.path), Collection.open(writer.path) as collection:
            part = build(collection, anew=anew, progress=progress)
        writer.put_derived(part)
    return dict(part.facts)


def build(
    collection: Collection, disk: Disk | None = None, *, anew: bool = False, progress: Progress | None = None
) -> Derived:
    """Make a generation that covers every shard, from the newest one where most of that is still good.

    The caller holds the write lock and publishes what is returned.

    Returns:
        The entry for the manifest; its files are flushed.

    Raises:
        RunFailed: a shard cannot be read. OSError: the disk is full or refuses.
    """
    disk, began = disk or Disk(), time.perf_counter()
    if collection.notes:
        raise RunFailed(collection.notes[0], remedy="`verify` says what to do")
    name = f"{FOLDER}/{collection.manifest.number:08d}-{secrets.token_hex(3)}"
    folder = collection.path / name
    folder.mkdir(parents=True)
    old = None if anew else _worth_extending(collection)
    covered = set(old.shards) if old is not None and _copied(collection.path, old, folder) else set()
    added = [place for place, shard in enumerate(collection.shards) if shard.number not in covered]
    documents = _write(collection, folder, added, progress or (lambda what, done, total: None))
    paths = sorted(path for path in folder.iterdir() if not path.name.endswith(".lock"))
    for path in paths:  # some files tantivy lets nobody else read
        path.chmod(folder.stat().st_mode & 0o666)
    files = tuple(_flushed(disk, path, f"{name}/{path.name}") for path in paths)
    disk.sync_folder(folder)
    disk.sync_folder(folder.parent)
    facts: dict[str, Fact] = {
        "engine": f"tantivy {version('tantivy')}",
        "analyser": ANALYSER,
        "documents": documents,
        "added": sum(collection.shards[place].rows for place in added),
        "bytes": sum(entry.size for entry in files),
        "seconds": round(time.perf_counter() - began, 3),
    }
    return Derived(ROLE, files, tuple(shard.number for shard in collection.shards), facts)


def _worth_extending(collection: Collection) -> Derived | None:
    part = collection.manifest.derivative(ROLE)
    if part is None or not usable(part):
        return None
    here = {shard.number: shard.rows - shard.deleted for shard in collection.shards}
    indexed = part.facts.get("documents")
    alive = sum(here.get(number, 0) for number in part.shards)
    return part if isinstance(indexed, int) and alive >= (1 - _DEAD) * indexed else None


def _copied(root: Path, part: Derived, folder: Path) -> bool:
    """Copy a generation; False, and nothing is left of it, when a file is not what was written."""
    for entry in part.files:
        try:
            good = sha256_of(root / entry.name)[1] == entry.sha256  # never whole in memory
        except OSError:
            good = False
        if not good:
            for path in folder.iterdir():
                path.unlink()
            return False
        shutil.copyfile(root / entry.name, folder / Path(entry.name).name)
    return True


def _write(collection: Collection, folder: Path, shards: Sequence[int], tell: Progress) -> int:
    """Add the rows of some shards (positions); returns the documents the index then holds."""
    index = open_folder(folder)
    writer = index.writer(heap_size=_HEAP, num_threads=1)
    for done, place in enumerate(shards):
        tell("indexing words", done, len(shards))
        table = _texts(collection, place)
        base = collection.shards[place].number << 32
        titles, texts = table.column("title").to_pylist(), table.column("text").to_pylist()
        for row, (title, text) in enumerate(zip(titles, texts, strict=True)):
            document = tantivy.Document()
            document.add_text("body", spread(f"{title or ''}\n{text}"))
            document.add_unsigned("key", base | row)
            writer.add_document(document)
    writer.commit()
    writer.wait_merging_threads()
    index.reload()
    return int(index.searcher().num_docs)


def _texts(collection: Collection, place: int) -> pa.Table:
    path = collection.path / collection.shards[place].chunks.name
    try:
        with pq.ParquetFile(path) as file:
            return file.read(columns=["title", "text"])
    except (OSError, pa.ArrowException) as error:
        raise RunFailed(
            f"cannot be read: {error}", where=str(path), remedy="`verify` says what is damaged and what to do"
        ) from error


def _flushed(disk: Disk, path: Path, name: str) -> FileEntry:
    disk.sync_file(path)
    return FileEntry(name, *sha256_of(path))
