"""Reading whole sources in tests."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from workbench.core.activity import NullMeter
from workbench.core.profile import SourceSection
from workbench.core.units import Plan, SourceSpec
from workbench.sources.base import CHUNK_SCHEMA, REJECT_SCHEMA
from workbench.sources.registry import open_source, source_spec


def word_spans(texts: Sequence[str]) -> list[list[tuple[int, int]]]:
    """Words and single other characters as tokens."""
    return [[found.span() for found in re.finditer(r"[a-zA-Z0-9]+|\S", text)] for text in texts]


def spec(tmp_path: Path, *inputs: Path, docs: Path | None = None, limit: int = 0, tokens: int = 50,
         **section: Any) -> SourceSpec:
    """The spec the command line would make."""
    return source_spec(inputs, docs, SourceSection(**section), limit, tokens, tmp_path / "cache")


def read_all(wanted: SourceSpec, plan: Plan | None = None) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows and rejects of all units, read by a source that did not plan, as in a worker."""
    plan = plan or open_source(wanted).plan()
    worker = open_source(wanted, word_spans)
    chunks: list[dict[str, Any]] = []
    rejects: list[dict[str, Any]] = []
    schemas = set()
    for unit in plan.units:
        rows = worker.read(unit, NullMeter())
        rows.chunks.validate(full=True)
        assert rows.chunks.schema.names[: len(CHUNK_SCHEMA)] == CHUNK_SCHEMA.names
        assert rows.rejects.schema == REJECT_SCHEMA
        if unit.rows is not None:
            assert rows.chunks.num_rows + rows.rejects.num_rows == unit.rows
        schemas.add(rows.chunks.schema)
        chunks += rows.chunks.to_pylist()
        rejects += rows.rejects.to_pylist()
    assert len(schemas) == 1, "the units of a source have one schema"
    return chunks, rejects


def write(path: Path, columns: dict[str, Any], **options: Any) -> Path:
    """A parquet table."""
    pq.write_table(pa.table(columns), path, **options)
    return path
