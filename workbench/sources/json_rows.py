"""Records as JSON lines. Start and stop of a unit are bytes, both at the start of a line.

The types of the columns are settled once from the first lines, the same way in every process: all workers must give
the same schema. A field seen there as whole numbers, numbers, truth values or text keeps that type; nested values
and mixtures are kept as JSON text. What does not fit later (another type, a field not seen in the sample) is kept
as a JSON object in the column `other_fields`, so that nothing is lost.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from workbench.core.errors import UsageError
from workbench.core.units import SourceSpec, UnitSpec
from workbench.sources import columns as cols
from workbench.sources import cutting, files
from workbench.sources.line_scan import Scan, scan, unpacked
from workbench.sources.records import Names, RawRows, RawUnit
from workbench.sources.rows import Rejects

OTHER = "other_fields"
_SAMPLE_LINES, _SAMPLE_BYTES = 1000, 4 << 20
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_BOM = b"\xef\xbb\xbf"
_INT64 = range(-(2**63), 2**63)
_EXACT = range(-(2**53), 2**53 + 1)  # whole numbers a float64 holds exactly


class JsonRows:
    """See `RecordFile`."""

    def __init__(self, path: Path, packing: str, cache: Path) -> None:
        self._given = path
        self._packing = packing
        self._path = unpacked(path, packing, cache)
        self._scan: Scan | None = None
        self._fields: dict[str, pa.DataType] | None = None
        self._text = ""
        self.rows = 0
        self.fingerprint = ""

    def open(self) -> None:
        """Find the lines; refuse UTF-16."""
        with self._path.open("rb") as file:
            if file.read(2) in (b"\xff\xfe", b"\xfe\xff"):
                raise UsageError("is UTF-16", where=str(self._given), remedy="Save it as UTF-8")
        self.fingerprint = files.file_print(self._path)
        self._scan = scan(self._path)
        self.rows = int(self._scan.filled[-1])

    def schema(self) -> pa.Schema:
        """Columns and types as the first lines have them, then `other_fields`."""
        if self._fields is None:
            self._fields = self._settle()
        extra = OTHER
        while extra in self._fields:
            extra += "_"
        return pa.schema([*self._fields.items(), (extra, pa.string())])

    def use(self, names: Names) -> None:
        """Say which columns hold text and ids: ids are text here; a text that is none makes the row a reject."""
        self._text = names.text
        assert self._fields is not None
        for name in (names.chunk_id, names.doc_id, names.title):
            if name is not None:
                self._fields[name] = pa.large_string()

    def units(self, spec: SourceSpec, total: int, limit: int) -> list[RawUnit]:
        """Groups of lines, joined to units."""
        assert self._scan is not None
        lines = self._scan
        rows = np.diff(lines.filled).tolist()
        sizes = np.diff(lines.offsets).tolist()
        stretches = [cutting.Stretch(count, size) for count, size in zip(rows, sizes, strict=True)]
        units: list[RawUnit] = []
        at = 0
        for first, last in cutting.joined(stretches, cutting.unit_rows(spec, total), spec.unit_bytes):
            count = int(lines.filled[last] - lines.filled[first])
            count = min(count, limit - at) if limit else count
            if count <= 0:
                continue
            start, stop = int(lines.offsets[first]), int(lines.offsets[last])
            units.append(RawUnit(start, stop, count, stop - start, int(lines.lines[first])))
            at += count
        return units

    def read(self, unit: UnitSpec, first: int) -> RawRows:
        """The first `unit.rows` lines that are not blank from `start` on, where line `first` begins."""
        with self._path.open("rb") as file:
            file.seek(unit.start)
            data = file.read(unit.stop - unit.start)
        rejects = Rejects()
        numbers: list[int] = []
        rows: list[dict[str, Any]] = []
        left = unit.rows if unit.rows is not None else len(data)
        for number, raw in enumerate(data.split(b"\n"), start=first):
            if not left:
                break
            if not raw.strip():
                continue
            left -= 1
            row = self._parsed(raw.removeprefix(_BOM) if number == 0 else raw, number, rejects)
            if row is not None:
                numbers.append(number)
                rows.append(row)
        return RawRows(self._table(rows), np.array(numbers, dtype=np.int64), len(data), rejects)

    def close(self) -> None:
        """Nothing is open between reads."""

    def place(self, numbers: NDArray[np.int64]) -> pa.Array:
        """`notes.jsonl:12`, lines counted from 1 as editors do."""
        return cols.joined(f"{self._given.name}:", pa.array(numbers + 1))

    def _parsed(self, raw: bytes, number: int, rejects: Rejects) -> dict[str, Any] | None:
        """Object of a line, or None and a reject."""
        where = f"{self._given.name}:{number + 1}"
        try:
            row = json.loads(raw.decode("utf-8"))
        except UnicodeDecodeError as error:
            rejects.add(number, "line is not valid UTF-8", f"{where}: byte {error.start}")
        except (ValueError, RecursionError) as error:
            rejects.add(number, "line is not valid JSON", f"{where}: {error}")
        else:
            if not isinstance(row, dict):
                rejects.add(number, "line is no JSON object", f"{where}: {type(row).__name__}")
                return None
            if _SURROGATE.search(raw) and _has_half_pair(row):
                rejects.add(number, "line holds half a surrogate pair", where)
                return None
            text = row.get(self._text)
            if isinstance(text, str) or text is None:
                return row
            rejects.add(number, "text is no text", f"{where}: {type(text).__name__}")
        return None

    def _table(self, rows: list[dict[str, Any]]) -> pa.Table:
        schema = self.schema()
        fields = list(schema)[:-1]
        known = {item.name for item in fields}
        others: list[dict[str, Any]] = [{k: v for k, v in row.items() if k not in known} for row in rows]
        columns = [_column([row.get(item.name) for row in rows], item, others) for item in fields]
        extra = [json.dumps(other, ensure_ascii=False) if other else None for other in others]
        return pa.table([*columns, pa.array(extra, pa.string())], schema=schema)

    def _settle(self) -> dict[str, pa.DataType]:
        seen: dict[str, set[type]] = {}
        for row in self._sample():
            for name, value in row.items():
                kinds = seen.setdefault(name, set())
                if value is not None:
                    kinds.add(float if type(value) is int and value not in _INT64 else type(value))
        if not seen:
            raise UsageError(
                f"none of the first {_SAMPLE_LINES} lines is a JSON object", where=str(self._given),
                remedy="JSON lines hold one object {…} per line",
            )
        return {name: _type(kinds) for name, kinds in seen.items()}

    def _sample(self) -> Iterator[dict[str, Any]]:
        read = 0
        with self._path.open("rb") as file:
            for number, raw in enumerate(file):
                read += len(raw)
                try:
                    row = json.loads(raw.removeprefix(_BOM).decode("utf-8"))
                except (ValueError, RecursionError):
                    row = None
                if isinstance(row, dict):
                    yield row
                if number >= _SAMPLE_LINES or read > _SAMPLE_BYTES:
                    return


def _has_half_pair(row: dict[str, Any]) -> bool:
    r"""Half a surrogate pair (`\ud800` alone) cannot be written as UTF-8."""
    try:
        json.dumps(row, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False


def _type(kinds: set[type]) -> pa.DataType:
    if kinds == {bool}:
        return pa.bool_()
    if kinds == {int}:
        return pa.int64()
    if kinds and kinds <= {int, float}:
        return pa.float64()
    return pa.large_string()


def _column(values: list[Any], item: pa.Field, others: list[dict[str, Any]]) -> pa.Array:
    """Values as the column's type; those that do not fit go to `others`."""
    if pa.types.is_large_string(item.type):
        texts = [v if v is None or isinstance(v, str) else json.dumps(v, ensure_ascii=False) for v in values]
        return pa.array(texts, item.type)
    fitting: tuple[type, ...] = {"bool": (bool,), "int64": (int,)}.get(str(item.type), (int, float))
    kept: list[Any] = []
    for row, value in enumerate(values):
        good = isinstance(value, fitting) and (bool in fitting or not isinstance(value, bool))
        if good and isinstance(value, int):
            good = value in (_INT64 if float not in fitting else _EXACT)
        kept.append(value if good else None)
        if not good and value is not None:
            others[row][item.name] = value
    return pa.array(kept, item.type)
