"""Records in CSV or TSV. Laid out once as Arrow, because quoted values may hold line ends: only a reader that starts
at the top knows where rows begin. Start and stop of a unit are rows of the layout.

CSV has no types: all columns are text. Rows with too many or too few values are rejects. The separator is the one
of `,` `;` tab `|` that the header has most often (tab for .tsv).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from workbench.core.errors import UsageError
from workbench.core.units import SourceSpec, UnitSpec
from workbench.sources import columns as cols
from workbench.sources import cutting, files
from workbench.sources.csv_layout import VERSION, lay_out_csv
from workbench.sources.records import Names, RawRows, RawUnit
from workbench.sources.rows import Rejects


class CsvRows:
    """See `RecordFile`."""

    def __init__(self, path: Path, packing: str, cache: Path) -> None:
        self._path, self._packing = path, packing
        self._layout = cache / f"csv-{files.combined([VERSION, path.suffix, files.file_print(path)])[:20]}.arrow"
        self._map: Any = None
        self._reader: Any = None
        self._schema: pa.Schema | None = None
        self._firsts: NDArray[np.int64] = np.zeros(1, dtype=np.int64)
        self._text = ""
        self.rows = 0
        self.fingerprint = self._layout.stem

    def open(self) -> None:
        """Lay the table out unless that was done before."""
        files.lay_out(self._layout, self._path.stat().st_size * (6 if self._packing else 2), self._write)

    def schema(self) -> pa.Schema:
        """All columns as text."""
        schema = self._schema or self._mapped().schema
        return pa.schema([(schema.field(i).name, pa.large_string()) for i in range(len(schema) - 2)])

    def use(self, names: Names) -> None:
        """Say which column holds the text."""
        self._text = names.text

    def units(self, spec: SourceSpec, total: int, limit: int) -> list[RawUnit]:
        """Batches of the layout, cut or joined to units."""
        reader = self._mapped()
        stretches = []
        for number in range(reader.num_record_batches):
            batch = reader.get_batch(number)
            offsets = np.frombuffer(batch.column(self._text).buffers()[1], dtype=np.int64)
            stretches.append(cutting.Stretch(batch.num_rows, int(offsets[batch.num_rows]), batch.nbytes))
        stretches = cutting.limited(stretches, limit)
        cuts = cutting.cut(stretches, cutting.unit_rows(spec, total), spec.unit_bytes)
        return [RawUnit(start, stop, stop - start, nbytes) for start, stop, nbytes in cuts]

    def read(self, unit: UnitSpec, first: int) -> RawRows:
        """Rows [start, stop) of the layout."""
        reader = self._mapped()
        parts = []
        for number in range(int(np.searchsorted(self._firsts, unit.start, side="right")) - 1, len(self._firsts) - 1):
            begin, end = int(self._firsts[number]), int(self._firsts[number + 1])
            if begin >= unit.stop:
                break
            batch = reader.get_batch(number)
            parts.append(batch.slice(max(0, unit.start - begin), min(end, unit.stop) - max(begin, unit.start)))
        table = pa.Table.from_batches(parts, reader.schema)
        reasons, numbers = cols.plain(table.column(-2)), cols.plain(table.column(-1))
        rejects = Rejects()
        for at in np.flatnonzero(reasons.is_valid().to_numpy(zero_copy_only=False)).tolist():
            rejects.add(numbers[at].as_py(), "row cannot be read", f"{self._path.name}: {reasons[at].as_py()}")
        good = reasons.is_null()
        table = table.filter(good)
        kept = numbers.filter(good).to_numpy(zero_copy_only=False)
        return RawRows(self._texts(table), kept, table.nbytes, rejects)

    def close(self) -> None:
        """Let go of the layout; where its batches begin is kept."""
        if self._map is not None:
            self._map.close()
        self._map = self._reader = None

    def place(self, numbers: NDArray[np.int64]) -> pa.Array:
        """`notes.csv#12`."""
        return cols.joined(f"{self._path.name}#", pa.array(numbers))

    def _texts(self, table: pa.Table) -> pa.Table:
        """Own columns as text; the text column stays binary, so that broken UTF-8 there is told."""
        columns = {}
        for number, name in enumerate(table.schema.names[:-2]):
            raw = cols.plain(table.column(number))
            columns[name] = raw if name == self._text else cols.valid_text(raw)[0]
        return pa.table(columns)

    def _mapped(self) -> Any:
        if self._reader is None:
            files.require_file(self._layout)
            self._map = pa.memory_map(str(self._layout))
            self._reader = pa.ipc.open_file(self._map)
        if self._schema is None:
            self._schema = self._reader.schema
            sizes = [self._reader.get_batch(i).num_rows for i in range(self._reader.num_record_batches)]
            self._firsts = np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)
            self.rows = int(self._firsts[-1])
        return self._reader

    def _write(self, staged: Path) -> None:
        try:
            lay_out_csv(self._path, self._packing, staged)
        except pa.ArrowInvalid as error:
            reason = str(error).split("\n")[0][:200]
            raise UsageError(f"is not readable as CSV ({reason})", where=str(self._path)) from error
