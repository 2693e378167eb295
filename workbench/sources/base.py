"""What every source offers. Adding one is a new file here and one line in the table of `open_source`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from workbench.core.activity import Meter
from workbench.core.units import Plan, UnitSpec

#: Columns of `UnitRows.chunks` that every source gives; further columns are the user's own.
CHUNK_SCHEMA = pa.schema(
    [
        pa.field("chunk_id", pa.string(), nullable=False),
        pa.field("doc_id", pa.string(), nullable=False),
        pa.field("title", pa.string(), nullable=False),
        pa.field("text", pa.large_string(), nullable=False),
        pa.field("place", pa.string(), nullable=False),
    ]
)
#: Rows that could not be embedded. `row` is the row number in the source (or −1).
REJECT_SCHEMA = pa.schema(
    [
        pa.field("row", pa.int64(), nullable=False),
        pa.field("chunk_id", pa.string()),
        pa.field("doc_id", pa.string()),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("detail", pa.string()),
    ]
)

#: Token boundaries of a text: (begin, end) in characters of each token, special tokens left out.
TokenSpans = Callable[[Sequence[str]], "list[list[tuple[int, int]]]"]


@dataclass(frozen=True, slots=True)
class UnitRows:
    """The rows of one unit.

    Attributes:
        chunks: good rows in source order; `CHUNK_SCHEMA` first, then the user's own columns.
            `place` says where the text is from, for people: "notes/a.md:12", "books.parquet#1041".
        rejects: `REJECT_SCHEMA`.
        nbytes: bytes read from storage.
    """

    chunks: pa.Table
    rejects: pa.Table
    nbytes: int


class Source(Protocol):
    """A source plans in the parent and reads in a worker (it is opened anew there)."""

    def plan(self) -> Plan:
        """All units. Raises UsageError for wrong input (missing file, missing column …)."""

    def read(self, unit: UnitSpec, meter: Meter) -> UnitRows:
        """Read one unit, in any order, cheapest in ascending order. Bad rows become rejects."""
