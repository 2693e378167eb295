"""Reading ranges of rows from a parquet file, forward, with one stream that stays open until it is closed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from workbench.core.errors import UsageError
from workbench.sources import files, storage

_BATCH_BYTES = 4 << 20


class ForwardReader:
    """Rows of a parquet file by range; ascending ranges of one row group are decoded once.

    Ranges that other workers read are skipped; a range behind the stream or in another row group opens a new stream
    at its row group. Memory: one batch and the pages it comes from, never a row group. After `close` only the footer
    is kept, and what is read next opens the file again.

    Attributes:
        rows, sizes: rows and uncompressed bytes of each row group.
    """

    def __init__(self, path: Path) -> None:
        """Raises UsageError when the file is missing or no parquet."""
        self._path = path
        self._file: pq.ParquetFile | None = files.open_parquet(path)
        self._stamp = _stamp(path)
        self._footer = metadata = self._file.metadata
        #: Arrow schema of the file.
        self.schema: pa.Schema = self._file.schema_arrow
        groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
        self.rows = [group.num_rows for group in groups]
        self._firsts = np.concatenate(([0], np.cumsum(self.rows))).astype(np.int64)
        columns = [[group.column(number) for number in range(group.num_columns)] for group in groups]
        self._stored = [sum(column.total_compressed_size for column in inside) for inside in columns]
        self.sizes = [group.total_byte_size for group in groups]
        self._stream: Iterator[pa.RecordBatch] | None = None
        self._group = -1
        self._at = 0  # row of the file where `_left`, then the stream, goes on
        self._left: pa.RecordBatch | None = None

    def close(self) -> None:
        """Let go of the file."""
        self._stream = self._left = None
        if self._file is not None:
            self._file.close()
            self._file = None

    def _opened(self) -> pq.ParquetFile:
        if self._file is None:
            self._file = files.open_parquet(self._path, self._footer)
            if _stamp(self._path) != self._stamp:
                raise UsageError("has changed while it was read", where=str(self._path), remedy="Run again")
        return self._file

    def column_bytes(self, name: str) -> list[int]:
        """Uncompressed bytes of a column in each row group."""
        metadata = self._footer
        index = next(i for i in range(metadata.num_columns) if metadata.schema.column(i).path == name)
        groups = range(metadata.num_row_groups)
        return [metadata.row_group(group).column(index).total_uncompressed_size for group in groups]

    def batches(self, group: int, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
        """The batches of one row group, about 4 MB each. `use_threads` is off: the cores belong to the workers."""
        rows = int(np.clip(self.rows[group] * _BATCH_BYTES // max(1, self.sizes[group]), 16, 65_536))
        yield from self._opened().iter_batches(rows, row_groups=[group], columns=columns, use_threads=False)

    def read(self, start: int, stop: int) -> tuple[pa.Table, int]:
        """Rows [start, stop) of the file with all columns, and the stored bytes they take.

        Raises RunFailed when the storage fails, OSError or ArrowInvalid when the file is broken inside.
        """
        return storage.patiently(lambda: self._read(start, stop), self._path)

    def _read(self, start: int, stop: int) -> tuple[pa.Table, int]:
        try:
            return self._table(start, stop)
        except BaseException:
            self.close()  # a stream that raised is at its end, and storage that comes back has new handles
            raise

    def _table(self, start: int, stop: int) -> tuple[pa.Table, int]:
        parts: list[pa.RecordBatch] = []
        at, nbytes = start, 0.0
        while at < stop:
            group = int(np.searchsorted(self._firsts, at, side="right")) - 1
            last = min(stop, int(self._firsts[group + 1]))
            parts += self._rows_of_group(group, at, last)
            nbytes += self._stored[group] * (last - at) / max(1, self.rows[group])
            at = last
        return pa.Table.from_batches(parts, self.schema), int(nbytes)

    def _rows_of_group(self, group: int, start: int, stop: int) -> list[pa.RecordBatch]:
        if self._stream is None or group != self._group or start < self._at:
            self._stream, self._group = self.batches(group), group
            self._at, self._left = int(self._firsts[group]), None
        parts: list[pa.RecordBatch] = []
        while self._at < stop:
            batch = self._left if self._left is not None else self._next()
            skip = min(max(0, start - self._at), batch.num_rows)
            take = min(batch.num_rows - skip, stop - self._at - skip)
            if take > 0:
                parts.append(batch.slice(skip, take))
            used = skip + max(0, take)
            self._at += used
            self._left = batch.slice(used) if used < batch.num_rows else None
        return parts

    def _next(self) -> pa.RecordBatch:
        assert self._stream is not None
        batch = next(self._stream, None)
        if batch is None:
            raise OSError(f"{self._path.name}: row group {self._group} has fewer rows than its footer says")
        return batch


def _stamp(path: Path) -> tuple[int, int]:
    """What a footer that was read before must fit."""
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns
