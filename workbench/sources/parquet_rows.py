"""Records in a parquet file. Start and stop of a unit are rows of the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from workbench.core.units import SourceSpec, UnitSpec
from workbench.sources import columns as cols
from workbench.sources import cutting, files
from workbench.sources.parquet import ForwardReader
from workbench.sources.records import Names, RawRows, RawUnit


class ParquetRows:
    """See `RecordFile`."""

    def __init__(self, path: Path, packing: str, cache: Path) -> None:
        self._path = path
        self._reader = ForwardReader(path)
        self._text = ""
        self.rows = sum(self._reader.rows)
        self.fingerprint = ""

    def open(self) -> None:
        """Fingerprint the footer."""
        self.fingerprint = files.parquet_print(self._path)

    def schema(self) -> pa.Schema:
        """Arrow schema of the file."""
        return self._reader.schema

    def use(self, names: Names) -> None:
        """Say which column holds the text."""
        self._text = names.text

    def units(self, spec: SourceSpec, total: int, limit: int) -> list[RawUnit]:
        """Row groups, cut or joined to units."""
        reader = self._reader
        sizes = zip(reader.rows, reader.column_bytes(self._text), reader.sizes, strict=True)
        stretches = cutting.limited([cutting.Stretch(*size) for size in sizes], limit)
        cuts = cutting.cut(stretches, cutting.unit_rows(spec, total), spec.unit_bytes)
        return [RawUnit(start, stop, stop - start, nbytes) for start, stop, nbytes in cuts]

    def read(self, unit: UnitSpec, first: int) -> RawRows:
        """Rows [start, stop); nested columns stay as they are."""
        table, nbytes = self._reader.read(unit.start, unit.stop)
        return RawRows(table, np.arange(unit.start, unit.stop, dtype=np.int64), nbytes)

    def close(self) -> None:
        """Let go of the file; its footer is kept."""
        self._reader.close()

    def place(self, numbers: NDArray[np.int64]) -> pa.Array:
        """`books.parquet#1041`."""
        return cols.joined(f"{self._path.name}#", pa.array(numbers))
