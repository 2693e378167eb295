"""A unit that cannot be read at all, as a committed unit without rows and with one reject."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from workbench.collection.shards import write_chunks
from workbench.engine import wire
from workbench.sources.base import CHUNK_SCHEMA, REJECT_SCHEMA


def rejected_unit(staging: Path, key: wire.Key, why: str) -> wire.UnitPrepared:
    """Write the text part and the reject of such a unit into staging."""
    stem = f"{key.unit:08d}.{key.attempt}"
    chunks, rejects = f"{stem}.chunks.parquet", f"{stem}.rejects.parquet"
    schema = CHUNK_SCHEMA.append(pa.field("content_hash", pa.binary(16)))
    write_chunks(schema.empty_table(), staging / chunks)
    row = {"row": -1, "chunk_id": None, "doc_id": None, "reason": "unit could not be read", "detail": why}
    write_chunks(pa.Table.from_pylist([row], schema=REJECT_SCHEMA), staging / rejects)
    return wire.UnitPrepared(key, 0, 1, 0, 0, chunks, rejects)
