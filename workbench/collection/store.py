"""The folder: where things lie, which manifest is current, how a new one becomes current. Standard library only."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from workbench.collection.durable import Disk, patiently
from workbench.collection.lock import LOCK, OWNER
from workbench.collection.manifest import (
    REPAIR,
    CollectionDamaged,
    FileEntry,
    Manifest,
    decode,
    decode_current,
    encode,
    encode_current,
    manifest_name,
)
from workbench.core.errors import UsageError

CURRENT, MANIFESTS, SHARDS, REJECTS, DELETIONS = "CURRENT", "manifests", "shards", "rejects", "deletions"
ANN, RUNS, STAGING, INPUT = "ann", "runs", "staging", "input"
#: Folders whose files a manifest names; what it does not name there is left over from a killed run.
KEPT_FOLDERS = (SHARDS, REJECTS, DELETIONS, ANN, "text", INPUT)
#: Names that may be in a folder before it is a collection, and are ours.
OURS = frozenset({*KEPT_FOLDERS, CURRENT, f"{CURRENT}.new", MANIFESTS, RUNS, STAGING, "layout", LOCK, OWNER})
#: Manifests kept beside the current one; a reader that is just opening an older one must find it.
KEPT_MANIFESTS = 8
_TRIES = 10


@dataclass(frozen=True, slots=True)
class Loaded:
    """A manifest as found. `trouble` says why it is not the one CURRENT names; "" = it is."""

    manifest: Manifest
    trouble: str = ""


class Store:
    """Names and steps of one collection folder."""

    def __init__(self, root: Path, disk: Disk | None = None) -> None:
        self.root = root
        self.disk = disk or Disk()
        self.staging = root / STAGING

    def path(self, entry: FileEntry) -> Path:
        return self.root / entry.name

    @property
    def exists(self) -> bool:
        """There is a collection, whole or damaged."""
        return (self.root / CURRENT).exists() or any(m.shards for m in self.intact_manifests())

    # ── reading ──────────────────────────────────────────────────────────────────────────────────
    def load(self) -> Manifest:
        """The manifest CURRENT names.

        Raises:
            UsageError: there is no collection, or a newer program wrote it.
            CollectionDamaged: CURRENT or the manifest is not what was written.
        """
        if not self.exists:
            there = "is no collection (it has no file CURRENT)" if self.root.exists() else "there is no such collection"
            raise UsageError(there, where=str(self.root), remedy="Build one with `run`")
        for attempt in range(_TRIES):
            current = self._read(self.root / CURRENT)
            name, digest = decode_current(current, str(self.root / CURRENT))
            path = self.root / MANIFESTS / name
            try:
                data = self._read(path)
            except CollectionDamaged:
                # A writer may have gone on and pruned it since we read CURRENT.
                if self._read(self.root / CURRENT) == current or attempt == _TRIES - 1:
                    raise
                continue
            manifest = decode(data, str(path))
            if encode_current(manifest.number, data) != current:
                raise CollectionDamaged(f"CURRENT names another content (SHA-256 {digest})", where=str(path),
                                        remedy=REPAIR)
            return manifest
        raise AssertionError("unreachable")

    def load_or_fall_back(self) -> Loaded:
        """As `load`; when damaged, the newest manifest that is whole and whose shards are there, and why.

        Raises:
            UsageError, CollectionDamaged: as `load`; the latter only when no manifest is left.
        """
        try:
            return Loaded(self.load())
        except CollectionDamaged as error:
            for manifest in self.intact_manifests():
                if self.has_files(manifest):
                    return Loaded(manifest, str(error))
            raise CollectionDamaged(
                f"{error.message}, and no older manifest is whole", where=error.where,
                remedy="Build the collection again with `run --fresh`",
            ) from error

    def intact_manifests(self) -> list[Manifest]:
        """Manifests on disk that prove themselves, newest first."""
        found = []
        for path in sorted((self.root / MANIFESTS).glob("*.json"), reverse=True):
            try:
                found.append(decode(path.read_bytes(), str(path)))
            except (CollectionDamaged, OSError):
                continue
        return found

    def has_files(self, manifest: Manifest) -> bool:
        """Every shard file is there with its size (hashes: `verify`)."""
        return all(self.size_is_right(entry) for shard in manifest.shards for entry in shard.files())

    def size_is_right(self, entry: FileEntry) -> bool:
        try:
            return self.path(entry).stat().st_size == entry.size
        except OSError:
            return False

    def highest_numbers(self) -> tuple[int, int]:
        """(highest manifest number, first free shard number): no number may ever name two contents."""
        manifests = [int(path.stem) for path in (self.root / MANIFESTS).glob("*.json") if path.stem.isdigit()]
        shards = [int(path.name[:8]) for path in (self.root / SHARDS).glob("*") if path.name[:8].isdigit()]
        return max(manifests, default=0), max(shards, default=-1) + 1

    @staticmethod
    def _read(path: Path) -> bytes:
        try:
            data: bytes = patiently(path.read_bytes)
        except FileNotFoundError as error:
            raise CollectionDamaged("the file is missing", where=str(path), remedy=REPAIR) from error
        return data

    # ── writing (under the lock) ─────────────────────────────────────────────────────────────────
    def make_folders(self) -> None:
        for name in (MANIFESTS, SHARDS, REJECTS, DELETIONS, ANN, RUNS, STAGING):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        self.disk.sync_folder(self.root)

    def publish(self, manifest: Manifest) -> float:
        """Make a manifest the current one; everything it names must be flushed before. Returns seconds taken."""
        began = time.perf_counter()
        data = encode(manifest)
        folder = self.root / MANIFESTS
        name = manifest_name(manifest.number)
        self.disk.write(folder / f"{name}.new", lambda file: file.write(data))
        self.disk.replace(folder / f"{name}.new", folder / name)
        self.disk.sync_folder(folder)
        self.point_at(manifest, data)
        self._prune(manifest.number)
        return time.perf_counter() - began

    def point_at(self, manifest: Manifest, data: bytes) -> None:
        """Let CURRENT name a manifest that is on disk with content `data`."""
        line = encode_current(manifest.number, data)
        fresh = self.root / f"{CURRENT}.new"
        self.disk.write(fresh, lambda file: file.write(line))
        self.disk.replace(fresh, self.root / CURRENT)
        self.disk.sync_folder(self.root)

    def _prune(self, current: int) -> None:
        oldest = manifest_name(current - KEPT_MANIFESTS)
        for path in (self.root / MANIFESTS).glob("*.json"):
            if path.name < oldest:
                self.disk.remove(path)

    def sweep(self, manifest: Manifest, *, staging: bool) -> None:
        """Remove what the current manifest does not name: shards of a killed run, indexes replaced by newer ones.

        Safe, because a unit counts as committed only once the manifest that names its shard is current.
        """
        named = {entry.name for entry in manifest.files()}
        for folder in KEPT_FOLDERS:
            for path in sorted((self.root / folder).rglob("*"), reverse=True):
                if path.is_file() and path.relative_to(self.root).as_posix() not in named:
                    self.disk.remove(path)
                elif path.is_dir() and not any(path.iterdir()):
                    path.rmdir()
        newest = manifest_name(manifest.number)
        for path in (self.root / MANIFESTS).glob("*"):
            if path.name > newest:
                self.disk.remove(path)
        if staging:
            shutil.rmtree(self.staging, ignore_errors=True)
            self.staging.mkdir(exist_ok=True)
