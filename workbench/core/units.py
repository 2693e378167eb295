"""What a source is asked for and what it plans: small frozen values that may cross processes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Columns:
    """Names of the columns a table is read by; an empty name means: find it by the usual names."""

    chunk_id: str = ""
    doc_id: str = ""
    title: str = ""
    text: str = ""
    start: str = ""
    end: str = ""


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """Which documents to embed and how to cut them.

    Attributes:
        kind: `stdlib`, `tables` (documents + chunks), `records` (parquet, JSONL, CSV) or `folder`.
        paths: input files or folders (`tables`: the chunk table); empty for `stdlib`.
        docs: the document table of kind `tables`, else "".
        columns: column names; empty ones are found by the usual names.
        limit: at most so many rows (tables, records) or documents (folder, stdlib); 0 = all.
        unit_rows, unit_bytes: size a unit aims at (rows; bytes of text).
        chunk_tokens, overlap_tokens: size of a chunk cut from a document, in tokens.
        cache: folder for what a source lays out once (memory-mapped by all workers).
    """

    kind: str
    paths: tuple[str, ...] = ()
    docs: str = ""
    columns: Columns = Columns()
    limit: int = 0
    unit_rows: int = 8192
    unit_bytes: int = 8_000_000
    chunk_tokens: int = 256
    overlap_tokens: int = 32
    cache: str = ""
    read_bytes_per_second: int = 0


@dataclass(frozen=True, slots=True)
class UnitSpec:
    """One unit: what to read, said in terms of its source only.

    Attributes:
        number: 0, 1, 2 … in source order; the same plan gives the same numbers.
        extent: what must be opened to read it (a file, a row group …), meaning known to the source.
        start, stop: range inside the extent (rows, bytes or list positions, as the source says).
        rows: number of rows when known before reading, else None.
        nbytes: estimated bytes of text.
        skip: good rows of the unit (position among them) that end a worker; they become rejects.
    """

    number: int
    extent: str
    start: int
    stop: int
    rows: int | None
    nbytes: int
    skip: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """All units of a source, and what identifies the source's content.

    Attributes:
        units: in source order.
        identity: what must be equal for a resume, e.g. file sizes and content fingerprints.
        rows: number of rows when known, else None.
        nbytes: estimated bytes of text.
        title: short name for people ("Python 3.11 standard library", "books.parquet").
        notes: things a person should know ("3 files skipped: binary").
        documents: doc_id → fingerprint of its content, for sources that can tell without reading rows.
    """

    units: tuple[UnitSpec, ...]
    identity: Mapping[str, str]
    rows: int | None
    nbytes: int
    title: str
    notes: tuple[str, ...] = field(default=())
    documents: Mapping[str, str] = field(default_factory=dict)
