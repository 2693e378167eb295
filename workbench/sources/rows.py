"""Putting a unit's good rows and its rejects together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from workbench.sources.base import CHUNK_SCHEMA, REJECT_SCHEMA, UnitRows

CRASHED = "crashed the worker"


@dataclass(slots=True)
class Rejects:
    """Rows that cannot be embedded, collected row by row (they are few)."""

    rows: list[int] = field(default_factory=list)
    chunk_ids: list[str | None] = field(default_factory=list)
    doc_ids: list[str | None] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    details: list[str | None] = field(default_factory=list)

    def add(
        self, row: int, reason: str, detail: str | None = None,
        chunk_id: str | None = None, doc_id: str | None = None,
    ) -> None:
        """Reject one row; `row` counts from 0 in its file, −1 when unknown."""
        self.rows.append(row)
        self.chunk_ids.append(chunk_id)
        self.doc_ids.append(doc_id)
        self.reasons.append(reason)
        self.details.append(detail)

    def extend(self, more: Rejects) -> None:
        """Take the rows of another list too."""
        for item in fields(self):
            getattr(self, item.name).extend(getattr(more, item.name))

    def table(self) -> pa.Table:
        """`REJECT_SCHEMA`, by row."""
        columns = [self.rows, self.chunk_ids, self.doc_ids, self.reasons, self.details]
        arrays = [pa.array(values, kind.type) for values, kind in zip(columns, REJECT_SCHEMA, strict=True)]
        return pa.table(arrays, schema=REJECT_SCHEMA).sort_by("row") if self.rows else REJECT_SCHEMA.empty_table()


def unit_rows(
    ours: Sequence[pa.Array], own: Mapping[str, pa.Array], numbers: NDArray[np.int64],
    rejects: Rejects, skip: Sequence[int], nbytes: int,
) -> UnitRows:
    """The answer of `Source.read`.

    Args:
        ours: the columns of `CHUNK_SCHEMA` of the good rows, in its order; own: the user's columns of the same rows.
        numbers: row number in the source of each good row.
        skip: positions among the good rows that crashed a worker; they become rejects.
    """
    types = zip(ours, CHUNK_SCHEMA, strict=True)
    arrays = [array if array.type == kind.type else array.cast(kind.type) for array, kind in types]
    schema = pa.schema([*CHUNK_SCHEMA, *(pa.field(name, array.type) for name, array in own.items())])
    chunks = pa.table([*arrays, *own.values()], schema=schema)
    bad = [position for position in skip if 0 <= position < chunks.num_rows]
    if bad:
        for position in bad:
            ids = [chunks.column(name)[position].as_py() for name in ("chunk_id", "doc_id", "place")]
            rejects.add(int(numbers[position]), CRASHED, ids[2], ids[0], ids[1])
        keep = np.ones(chunks.num_rows, dtype=bool)
        keep[bad] = False
        chunks = chunks.filter(pa.array(keep))
    return UnitRows(chunks, rejects.table(), nbytes)
