"""Where the rows of a shard do not follow on one another: kept in the metadata of its chunk file.

A shard holds the rows of its unit one after another, unless an update left out those that the collection had, or
compaction cut out deleted ones. A gap g is a place where rows are missing: before row g, or at the end.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from workbench.collection.manifest import Manifest, ShardEntry

_KEY = b"gaps"


def with_gaps(table: pa.Table, rows: NDArray[np.intp], whole: int, known: Iterable[int] = ()) -> pa.Table:
    """The table with a note on its gaps.

    Args:
        rows: positions of the table's rows, ascending, among the `whole` ones they are from. known: gaps of those.
    """
    edges = np.concatenate([[-1], rows, [whole]])
    gaps = np.flatnonzero((np.diff(edges) != 1) | np.isin(edges[1:], list(known)))
    noted = b" ".join(b"%d" % gap for gap in gaps.tolist())
    return table.replace_schema_metadata({**(table.schema.metadata or {}), _KEY: noted})


def gaps_of(schema: pa.Schema) -> frozenset[int] | None:
    """The gaps noted in a chunk file; None when nothing is."""
    noted = (schema.metadata or {}).get(_KEY)
    return None if noted is None else frozenset(map(int, noted.split()))


def made_by_update(manifest: Manifest, shard: ShardEntry) -> bool:
    """An update wrote it: unless its gaps are noted, nobody knows which of its rows follow on one another."""
    return any(source.number == shard.source and "update" in source.identity for source in manifest.sources)
