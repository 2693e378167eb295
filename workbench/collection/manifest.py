"""The manifest: one immutable JSON file that says what a collection holds. Standard library only.

A manifest file is one JSON object on several lines. Its first line holds the SHA-256 of all bytes after it,
so that a manifest proves itself; `CURRENT` holds the name and SHA-256 of the newest manifest and a checksum
of its own line. A flipped bit in either is therefore found.
"""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from typing import Any

from workbench.core.errors import RunFailed, UsageError

FORMAT = 1
Fact = str | int | float | bool | None


class CollectionDamaged(RunFailed):
    """A file of the collection is not what was written; exit code 1."""


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file of the collection: name relative to its folder (with `/`), bytes, SHA-256 in hex."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class SourceEntry:
    """A source whose units the collection holds."""

    number: int
    title: str
    identity: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ShardEntry:
    """What one unit became.

    Attributes:
        number: names the files; never used twice in a collection.
        source, unit: which unit of which source (`SourceEntry.number`).
        rows, tokens: of the unit; deleted rows included.
        rejects: rows that could not be embedded, kept in `rejected`.
        chunks, vectors: row i of one belongs to row i of the other.
        deletions: little-endian uint32 row numbers, ascending, of the `deleted` rows; None = none.
    """

    number: int
    source: int
    unit: int
    rows: int
    tokens: int
    rejects: int
    chunks: FileEntry
    vectors: FileEntry
    rejected: FileEntry | None = None
    deletions: FileEntry | None = None
    deleted: int = 0

    def files(self) -> tuple[FileEntry, ...]:
        found = (self.chunks, self.vectors, self.rejected, self.deletions)
        return tuple(entry for entry in found if entry is not None)


@dataclass(frozen=True, slots=True)
class Derived:
    """Something computed from shards; may be deleted at any time.

    Attributes:
        role: `ann` (FAISS index), `text` (lexical index) …
        shards: numbers of the shards it covers; position p of an index is row p of these, one after another.
        facts: what is known of it (kind, recall_at_10, seconds …).
    """

    role: str
    files: tuple[FileEntry, ...]
    shards: tuple[int, ...]
    facts: Mapping[str, Fact]


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything a collection holds at one moment.

    Attributes:
        number: grows by one with every manifest.
        created: ISO 8601, UTC.
        identity: of the encoder (names → values). dim: length of a vector. dtype: `float16` or `float32`.
        active: number of the source the latest run adds to.
        next_shard: number of the next shard.
    """

    number: int
    created: str
    identity: Mapping[str, str]
    dim: int
    dtype: str
    metric: str = "inner_product"
    sources: tuple[SourceEntry, ...] = ()
    active: int = 0
    next_shard: int = 0
    shards: tuple[ShardEntry, ...] = ()
    derived: tuple[Derived, ...] = field(default=())

    @property
    def rows(self) -> int:
        """Rows that can be found: deleted ones left out."""
        return sum(shard.rows - shard.deleted for shard in self.shards)

    @property
    def rejects(self) -> int:
        return sum(shard.rejects for shard in self.shards)

    @property
    def tokens(self) -> int:
        return sum(shard.tokens for shard in self.shards)

    def units(self, source: int) -> frozenset[int]:
        """Committed units of a source."""
        return frozenset(shard.unit for shard in self.shards if shard.source == source)

    def derivative(self, role: str) -> Derived | None:
        """The newest derived part of a role."""
        return next((part for part in reversed(self.derived) if part.role == role), None)

    def with_derived(self, part: Derived) -> Manifest:
        """The same with `part` in place of others of its role."""
        return replace(self, derived=(*(d for d in self.derived if d.role != part.role), part))

    def without_derived(self, role: str) -> Manifest:
        return replace(self, derived=tuple(d for d in self.derived if d.role != role))

    def files(self) -> tuple[FileEntry, ...]:
        """Every file that belongs to this manifest."""
        truth = [entry for shard in self.shards for entry in shard.files()]
        return (*truth, *(entry for part in self.derived for entry in part.files))


def manifest_name(number: int) -> str:
    return f"{number:08d}.json"


def encode(manifest: Manifest) -> bytes:
    """Bytes of a manifest file (UTF-8)."""
    content = asdict(replace(manifest, shards=()))
    del content["shards"]
    head = json.dumps({"format": FORMAT, **content}, ensure_ascii=False)[:-1]
    lines = ",\n".join(map(_shard_line, manifest.shards))
    body = f'"manifest":{head}, "shards": [\n{lines}\n]}}}}\n'.encode()
    return _first_line(hashlib.sha256(body).hexdigest()) + body


def decode(data: bytes, where: str) -> Manifest:
    """The manifest in a file.

    Raises:
        CollectionDamaged: the bytes are not those that were written.
        UsageError: a newer version of the program wrote it.
    """
    cut = data.find(b"\n") + 1
    if not cut or data[:cut] != _first_line(hashlib.sha256(data[cut:]).hexdigest()):
        raise CollectionDamaged("the manifest is damaged (SHA-256 differs)", where=where, remedy=REPAIR)
    content = json.loads(data)["manifest"]
    version = content.pop("format")
    if version > FORMAT:
        raise UsageError(
            f"the collection has format {version}, this program knows formats up to {FORMAT}",
            where=where, remedy="Update the program",
        )
    return _manifest(content)


def encode_current(number: int, data: bytes) -> bytes:
    """Bytes of CURRENT that point at manifest `number` with content `data`."""
    line = f"{manifest_name(number)} {hashlib.sha256(data).hexdigest()}"
    return f"{line} {zlib.crc32(line.encode()):08x}\n".encode()


def decode_current(data: bytes, where: str) -> tuple[str, str]:
    """(manifest name, its SHA-256). Raises CollectionDamaged."""
    match = re.fullmatch(rb"(([0-9]{8,}\.json) ([0-9a-f]{64})) ([0-9a-f]{8})\n", data)
    if match is None or int(match[4], 16) != zlib.crc32(match[1]):
        raise CollectionDamaged("CURRENT is damaged", where=where, remedy=REPAIR)
    return match[2].decode(), match[3].decode()


REPAIR = "`verify --repair` goes back to the newest manifest that is whole"


def _first_line(digest: str) -> bytes:
    return f'{{"sha256":"{digest}",\n'.encode()


@lru_cache(maxsize=1 << 16)  # a growing collection writes the same entries again and again
def _shard_line(shard: ShardEntry) -> str:
    return json.dumps(asdict(shard), ensure_ascii=False)


def _manifest(content: dict[str, Any]) -> Manifest:
    content["sources"] = tuple(SourceEntry(**entry) for entry in content["sources"])
    content["shards"] = tuple(_shard(entry) for entry in content["shards"])
    content["derived"] = tuple(
        Derived(part["role"], _files(part["files"]), tuple(part["shards"]), part["facts"])
        for part in content["derived"]
    )
    return Manifest(**content)


def _shard(content: dict[str, Any]) -> ShardEntry:
    for name in ("chunks", "vectors", "rejected", "deletions"):
        if content[name] is not None:
            content[name] = FileEntry(**content[name])
    return ShardEntry(**content)


def _files(entries: list[dict[str, Any]]) -> tuple[FileEntry, ...]:
    return tuple(FileEntry(**entry) for entry in entries)
