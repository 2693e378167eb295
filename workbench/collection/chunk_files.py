"""The parquet files of a collection's shards, kept open: single row groups of them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from workbench.collection.tables import columns_to_name
from workbench.core.errors import RunFailed

#: Files kept open; each holds a footer of a few KB.
_OPEN_FILES = 64
_T = TypeVar("_T")


class Opened(NamedTuple):
    """An open file, the first row of each of its row groups (int64), its columns."""

    file: pq.ParquetFile
    starts: NDArray[np.int64]
    schema: pa.Schema


class ChunkFiles:
    """May be used from several threads.

    Args:
        path: of the file of the shard at a position. failed: makes the error when it cannot be read.
    """

    def __init__(self, path: Callable[[int], Path], failed: Callable[[int, Path, Exception], RunFailed]) -> None:
        self._path, self._failed = path, failed
        self._open: OrderedDict[int, Opened] = OrderedDict()
        self._lock = threading.Lock()

    def schema(self, shard: int) -> pa.Schema:
        """Columns of a file."""
        return self._with(shard, lambda opened: opened.schema)

    def starts(self, shard: int) -> NDArray[np.int64]:
        """First row of each row group, int64."""
        return self._with(shard, lambda opened: opened.starts)

    def read_group(self, shard: int, group: int, columns: Sequence[str] | None) -> pa.Table:
        """One row group; `columns` as in `columns_to_name`."""
        return self._with(
            shard,
            lambda opened: opened.file.read_row_group(
                group, columns=columns_to_name(columns, opened.schema), use_threads=False
            ),
        )

    def close(self) -> None:
        """Close all; Windows removes nothing that is open."""
        with self._lock:
            for opened in self._open.values():
                opened.file.close()
            self._open.clear()

    def _with(self, shard: int, action: Callable[[Opened], _T]) -> _T:
        try:
            with self._lock:
                return action(self._file(shard))
        except (OSError, pa.ArrowException) as error:
            raise self._failed(shard, self._path(shard), error) from error

    def _file(self, shard: int) -> Opened:
        if shard in self._open:
            self._open.move_to_end(shard)
            return self._open[shard]
        # Reading ahead is for disks far away; here it costs a third of a row group's time.
        file = pq.ParquetFile(self._path(shard), pre_buffer=False)
        metadata = file.metadata
        sizes = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
        starts = np.cumsum([0, *sizes], dtype=np.int64)[: len(sizes)]
        self._open[shard] = Opened(file, starts, file.schema_arrow)
        if len(self._open) > _OPEN_FILES:
            self._open.popitem(last=False)[1].file.close()
        return self._open[shard]
