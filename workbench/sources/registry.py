"""One table from kind to source, and the choice of the kind from what the user named."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import cast

from workbench.core.errors import UsageError
from workbench.core.profile import SourceSection
from workbench.core.units import Columns, SourceSpec
from workbench.sources.base import Source, TokenSpans
from workbench.sources.formats import FORMATS, ending

#: kind → module and class. A source that cuts documents into chunks takes the token boundaries too.
_KINDS = {
    "tables": ("workbench.sources.tables", "TablesSource", False),
    "records": ("workbench.sources.records", "RecordsSource", False),
    "folder": ("workbench.sources.folder", "FolderSource", True),
    "stdlib": ("workbench.sources.stdlib", "StdlibSource", True),
}


def open_source(spec: SourceSpec, spans: TokenSpans | None = None) -> Source:
    """The source of a spec. `spans` is needed to read (not to plan) documents that are cut by tokens.

    Raises:
        KeyError: there is no such kind.
    """
    module, name, cuts = _KINDS[spec.kind]
    made = getattr(import_module(module), name)
    return cast(Source, made(spec, spans) if cuts else made(spec))


def source_spec(
    inputs: Sequence[Path], docs: Path | None, section: SourceSection, limit: int, chunk_tokens: int, cache: Path
) -> SourceSpec:
    """The spec for what the user named; files are looked at only as far as the kind depends on them.

    Args:
        inputs: files or folders; none: the standard library.
        docs: document table that goes with a chunk table, or None.
        limit: at most so many rows or documents; 0 = all.
        chunk_tokens: tokens of a chunk cut from a document, its title included, special tokens not.
        cache: folder for what is laid out once.

    Raises:
        UsageError: an input is missing, empty, or of a kind no source reads, or kinds are mixed.
    """
    kind = _kind([Path(path) for path in inputs], docs)
    return SourceSpec(
        kind=kind,
        paths=tuple(str(Path(path).absolute()) for path in inputs),
        docs=str(docs.absolute()) if docs is not None else "",
        columns=Columns(**{role.name: getattr(section, role.name) for role in fields(Columns)}),
        limit=limit,
        unit_rows=section.unit_rows,
        unit_bytes=section.unit_bytes,
        chunk_tokens=chunk_tokens,
        overlap_tokens=min(section.overlap_tokens, chunk_tokens // 2),
        cache=str(cache.absolute()),
        read_bytes_per_second=section.read_bytes_per_second,
    )


def _kind(inputs: Sequence[Path], docs: Path | None) -> str:
    for path in (*inputs, *([docs] if docs is not None else [])):
        if not path.exists():
            raise UsageError("there is no such file or folder", where=str(path))
    if docs is not None:
        return _tables(inputs, docs)
    if not inputs:
        return "stdlib"
    kinds = {path: _kind_of(path) for path in inputs}
    first = next(iter(kinds.values()))
    for path, kind in kinds.items():
        if kind != first:
            raise UsageError(
                f"is a {_WORDS[kind]}, but {inputs[0].name} is a {_WORDS[first]}", where=str(path),
                remedy="Tables and documents go into runs of their own",
            )
    return first


_WORDS = {"records": "table", "folder": "document"}


def _tables(inputs: Sequence[Path], docs: Path) -> str:
    if not inputs:
        raise UsageError("a document table needs the chunk table that goes with it", remedy="Give --chunks FILE")
    for path in (*inputs, *([docs] if docs.is_file() else [])):
        if path.suffix.lower() != ".parquet":
            raise UsageError("is no .parquet file", where=str(path), remedy="Documents and chunks are parquet tables")
    return "tables"


def _kind_of(path: Path) -> str:
    if path.is_dir():
        return _kind_of_folder(path)
    kind, packing = ending(path)
    if kind in FORMATS:
        return "records"
    if packing:
        raise UsageError(
            f"is packed ({packing}) and no table", where=str(path), remedy="Unpack it, or give its folder unpacked"
        )
    return "folder"


def _kind_of_folder(path: Path) -> str:
    """A folder with nothing but tables is read as records, any other as documents."""
    tables = False
    for _, folders, names in os.walk(path):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if name.startswith((".", "_")) or name.upper().startswith(("README", "LICENSE", "MANIFEST")):
                continue  # what data sets carry beside their tables
            if ending(Path(name))[0] not in (".parquet", ".jsonl", ".ndjson"):
                return "folder"
            tables = True
    return "records" if tables else "folder"
