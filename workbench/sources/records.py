"""Source of tables whose rows hold their own text: parquet, JSON lines and CSV, and lists of them.

Further columns stay beside the chunks as they are (CSV has no types: text). A row is rejected when it cannot be
read, or when its text is missing, empty, only white space or not valid UTF-8. A row without an id gets
`<file>#<row>`, one without a document id is its own document. Rows count from 0 in their file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from workbench.core.activity import Activity, Meter
from workbench.core.errors import UsageError
from workbench.core.throttle import Throttle
from workbench.core.units import Plan, SourceSpec, UnitSpec
from workbench.sources import columns as cols
from workbench.sources import cutting, files, storage
from workbench.sources.base import CHUNK_SCHEMA, UnitRows
from workbench.sources.formats import FORMATS, ending
from workbench.sources.rows import Rejects, unit_rows
from workbench.text import slicing

Ints = NDArray[np.int64]

@dataclass(frozen=True, slots=True)
class RawRows:
    """Rows of a unit before they are judged.

    Attributes:
        table: all columns; text columns may be binary. numbers: int64 [rows], row in the file.
        rejects: what could not even be read; nbytes: bytes read.
    """

    table: pa.Table
    numbers: Ints
    nbytes: int
    rejects: Rejects = field(default_factory=Rejects)


@dataclass(frozen=True, slots=True)
class RawUnit:
    """A range of a file: meaning of start and stop known to the format, number of rows, bytes of text.

    Attributes:
        first: number of the first row, where the format cannot tell it from `start`.
    """

    start: int
    stop: int
    rows: int
    nbytes: int
    first: int = 0


class RecordFile(Protocol):
    """One file of records, opened by its format."""

    #: Rows in the file, and what identifies its content; both known after `open`.
    rows: int
    fingerprint: str

    def open(self) -> None:
        """Do what planning needs (scan, lay out). Raises UsageError."""

    def schema(self) -> pa.Schema:
        """The columns and their types."""

    def use(self, names: Names) -> None:
        """Say which columns hold text and ids."""

    def units(self, spec: SourceSpec, total: int, limit: int) -> list[RawUnit]:
        """Cut the first `limit` rows (0: all) of the file, of `total` in the whole source."""

    def read(self, unit: UnitSpec, first: int) -> RawRows:
        """Rows of a unit of this file; `first` is that of its `RawUnit`."""

    def close(self) -> None:
        """Let go of what is open and keep what is known; it is opened again when it is read."""

    def place(self, numbers: Ints) -> pa.Array:
        """Where rows come from, for people."""


@dataclass(frozen=True, slots=True)
class Names:
    """Columns of a table of records; `own` maps the user's columns to what they are called beside ours.

    `notes`: what a person should know of the columns.
    """

    chunk_id: str | None
    doc_id: str | None
    title: str | None
    text: str
    own: Mapping[str, str]
    notes: tuple[str, ...] = ()


class RecordsSource:
    """See the module. Extent of a unit: `<number of the file>@<first row>`; start and stop as its format says."""

    def __init__(self, spec: SourceSpec) -> None:
        self._spec = spec
        self._paths = _expand([Path(path) for path in spec.paths])
        self._labels = files.labels(self._paths)
        self._files: dict[int, tuple[RecordFile, Names]] = {}
        self._common: pa.Schema | None = None
        self._reading = -1  # the only file that stays open: there may be more of them than a process may open
        self._throttle = Throttle(spec.read_bytes_per_second)

    def plan(self) -> Plan:
        """See `Source.plan`."""
        opened = [self._known(number, plan=True) for number in range(len(self._paths))]
        total = sum(file.rows for file, _ in opened)
        total = min(total, self._spec.limit or total)
        if total == 0:
            raise UsageError("holds no rows", where=str(self._paths[0]))
        units: list[UnitSpec] = []
        left = total
        for number, (file, _) in enumerate(opened):
            for raw in file.units(self._spec, total, left) if left else []:
                extent = f"{number}@{raw.first}"
                units.append(UnitSpec(len(units), extent, raw.start, raw.stop, raw.rows, raw.nbytes))
                left -= raw.rows
            file.close()
        renames = {name: new for _, names in opened for name, new in names.own.items() if name != new}
        notes = dict.fromkeys(note for _, names in opened for note in names.notes)
        identity = {
            "kind": "records",
            "content": files.combined([file.fingerprint for file, _ in opened]),
            "plan": cutting.plan_hash(self._spec, units),
        }
        first = self._paths[0].name
        return Plan(
            tuple(units), identity, total, sum(unit.nbytes for unit in units),
            first if len(self._paths) == 1 else f"{first} and {len(self._paths) - 1} more",
            (*notes, *(f"column {name!r} is kept as {new!r}" for name, new in renames.items())),
        )

    def read(self, unit: UnitSpec, meter: Meter) -> UnitRows:
        """See `Source.read`."""
        number, first = map(int, unit.extent.split("@"))
        with meter.doing(Activity.READ):
            file, names = self._file(number)
            if self._reading not in (-1, number):
                self._files[self._reading][0].close()
            self._reading = number
            raw = storage.patiently(lambda: file.read(unit, first), self._paths[number])
            self._throttle.take(raw.nbytes)
        with meter.doing(Activity.SLICE):
            rows = _judged(raw, names, file, self._labels[number], unit)
            return replace(rows, chunks=agreed(rows.chunks, self._own())) if len(self._paths) > 1 else rows

    def _own(self) -> pa.Schema:
        """The user's columns of all files together: every unit of a run has the same columns."""
        if self._common is None:
            self._common = common_schema([self._known(number) for number in range(len(self._paths))])
        return self._common

    def _known(self, number: int, plan: bool = False) -> tuple[RecordFile, Names]:
        """A file and its columns, closed unless it is the one that is read."""
        known = self._file(number, plan)
        if number != self._reading:
            known[0].close()
        return known

    def _file(self, number: int, plan: bool = False) -> tuple[RecordFile, Names]:
        if number not in self._files:
            path = self._paths[number]
            file = _open(path, self._spec)
            if plan:
                file.open()
            names = _names(file.schema(), self._spec, str(path))
            file.use(names)
            self._files[number] = file, names
        return self._files[number]


def _expand(paths: list[Path]) -> list[Path]:
    """Files, with folders replaced by the record files in them."""
    found: list[Path] = []
    for path in paths:
        inside = sorted(item for item in path.rglob("*") if ending(item)[0] in FORMATS) if path.is_dir() else [path]
        found += inside
    return found


def _open(path: Path, spec: SourceSpec) -> RecordFile:
    kind, packing = ending(path)
    if kind not in FORMATS or (packing and kind == ".parquet"):
        raise UsageError("is no table this source reads", where=str(path), remedy=f"It reads {', '.join(FORMATS)}")
    files.require_file(path)
    module, name = FORMATS[kind]
    made: RecordFile = getattr(import_module(module), name)(path, packing, Path(spec.cache))
    return made


def _names(schema: pa.Schema, spec: SourceSpec, where: str) -> Names:
    names, wanted = schema.names, spec.columns
    if not wanted.text and {"start", "end"} <= set(names) and not any(n in names for n in cols.USUAL["text"]):
        raise UsageError(
            "is a chunk table: it has start and end but no text column", where=where,
            remedy="Give the table with the documents too: --docs DOCUMENTS.parquet --chunks CHUNKS.parquet",
        )
    text = cols.find(names, "text", wanted.text, where, required=True)
    assert text is not None
    cols.require(schema.field(text).type, text, cols.is_text(schema.field(text).type), "text", where)
    notes: list[str] = []
    roles = ("chunk_id", "doc_id", "title")
    found = {role: cols.fitting(schema, role, getattr(wanted, role), where, notes) for role in roles}
    used = {text, *found.values()}
    own = [name for name in names if name not in used]
    return Names(found["chunk_id"], found["doc_id"], found["title"], text, cols.renamed(own), tuple(notes))


def common_schema(opened: Sequence[tuple[RecordFile, Names]]) -> pa.Schema:
    """The user's columns of several files; one of several types becomes float64 if all are numbers, else text."""
    found: dict[str, pa.DataType] = {}
    for file, names in opened:
        schema = file.schema()
        for name, new in names.own.items():
            kind = cols.plain(pa.array([], schema.field(name).type)).type
            known = found.setdefault(new, kind)
            if known != kind:
                numbers = all(pa.types.is_integer(t) or pa.types.is_floating(t) for t in (known, kind))
                found[new] = pa.float64() if numbers else pa.large_string()
    return pa.schema(list(found.items()))


def agreed(chunks: pa.Table, own: pa.Schema) -> pa.Table:
    """Chunks with the user's columns as `own` has them; missing ones are null, nested ones become JSON text."""
    arrays = [chunks.column(name) for name in CHUNK_SCHEMA.names]
    for item in own:
        column = chunks.column(item.name) if item.name in chunks.column_names else None
        if column is None:
            arrays.append(pa.nulls(chunks.num_rows, item.type))
        elif column.type == item.type:
            arrays.append(column)
        elif pa.types.is_nested(column.type):
            texts = [None if value is None else json.dumps(value, default=str) for value in column.to_pylist()]
            arrays.append(pa.array(texts, item.type))
        else:
            arrays.append(column.cast(item.type, safe=False))
    return pa.table(arrays, schema=pa.schema([*CHUNK_SCHEMA, *own]))


def _judged(raw: RawRows, names: Names, file: RecordFile, label: str, unit: UnitSpec) -> UnitRows:
    """Good rows and rejects of raw rows."""
    table, rejects = raw.table, raw.rejects
    made = cols.joined(f"{label}#", pa.array(raw.numbers))
    ids = made if names.chunk_id is None else pc.coalesce(cols.as_ids(table.column(names.chunk_id)), made)
    doc_ids = ids if names.doc_id is None else pc.coalesce(cols.as_ids(table.column(names.doc_id)), ids)
    source = cols.as_bytes(table.column(names.text))
    texts, broken = cols.valid_text(source)
    empty = slicing.blank(texts)
    bad = np.flatnonzero(empty)
    if len(bad):
        _reject(rejects, raw, bad, set(broken), source, ids, doc_ids, file)
    good = pa.array(np.flatnonzero(~empty))

    def take(array: pa.Array) -> pa.Array:
        return array.take(good) if len(bad) else array

    blank_title = pa.array([""] * table.num_rows, pa.string())
    title = blank_title if names.title is None else cols.as_plain_string(table.column(names.title))
    numbers = raw.numbers[~empty]
    ours = [take(ids), take(doc_ids), take(title), take(texts), file.place(numbers)]
    own = {new: take(cols.plain(table.column(name))) for name, new in names.own.items()}
    return unit_rows(ours, own, numbers, rejects, unit.skip, raw.nbytes)


def _reject(
    rejects: Rejects, raw: RawRows, bad: Ints, broken: set[int], source: pa.Array,
    ids: pa.Array, doc_ids: pa.Array, file: RecordFile,
) -> None:
    places = file.place(raw.numbers[bad]).to_pylist()
    for at, place in zip(bad.tolist(), places, strict=True):
        if at in broken:
            reason = "text is not valid UTF-8"
        elif not source[at].is_valid:
            reason = "no text"
        else:
            reason = "only white space" if len(source[at].as_buffer()) else "empty text"
        rejects.add(int(raw.numbers[at]), reason, place, ids[at].as_py(), doc_ids[at].as_py())
