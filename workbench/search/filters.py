"""Filters on a collection: which rows may be found, as one bit per row; pyarrow only."""

from __future__ import annotations

import datetime
import re
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from workbench.collection.reader import Collection
from workbench.collection.shards import CONTENT_HASH
from workbench.search.where import Among, Both, Compare, Either, IsNull, Matches, Node, Not, Value, complaint, parse

Mask = NDArray[np.bool_]
Column = Any  # pa.Array or pa.ChunkedArray

#: Names a field goes by besides its own.
ALIASES = {"doc": "doc_id", "chunk": "chunk_id", "id": "chunk_id", "path": "place"}
#: Line, row or page at the end of a place: `notes/a.md:12`, `books.parquet#1041`.
_POSITION = r"[:#][0-9][0-9:,-]*$"
_MASKS = 32  # filters whose answer is kept
_COLUMN_BYTES = 512 << 20  # of columns kept in memory
_OPS = {
    "=": pc.equal, "!=": pc.not_equal, "<": pc.less, "<=": pc.less_equal, ">": pc.greater, ">=": pc.greater_equal,
}


class Filters:
    """Answers filters about one open collection; keeps columns and answers it has computed.

    Attributes:
        others: those of the collections searched together with it: what only they have is null here.
    """

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self.others: Sequence[Filters] = ()
        self._schema: pa.Schema | None = None
        self._columns: OrderedDict[str, Column] = OrderedDict()
        self._masks: OrderedDict[str, Mask] = OrderedDict()

    @property
    def fields(self) -> pa.Schema:
        """Columns a filter may name."""
        if self._schema is None:
            fields = [field for field in self._collection.schema() if field.name != CONTENT_HASH]
            self._schema = pa.schema([field.with_type(_plain(field.type)) for field in fields])
        return self._schema

    def mask(self, where: str) -> Mask:
        """[ordinals] True for rows the filter lets through.

        Raises:
            UsageError: not in the filter language, an unknown field (lists the fields), values of a wrong type.
        """
        if where not in self._masks:
            found = self._evaluate(parse(where), where)
            values = pc.fill_null(found, False).to_numpy(zero_copy_only=False)
            self._masks[where] = np.asarray(values, dtype=np.bool_)
            if len(self._masks) > _MASKS:
                self._masks.popitem(last=False)
        self._masks.move_to_end(where)
        return self._masks[where]

    # ── the tree ─────────────────────────────────────────────────────────────────────────────────
    def _evaluate(self, node: Node, where: str) -> Any:
        match node:
            case Not(inner):
                return pc.invert(self._evaluate(inner, where))
            case Both(left, right):
                return pc.and_kleene(self._evaluate(left, where), self._evaluate(right, where))
            case Either(left, right):
                return pc.or_kleene(self._evaluate(left, where), self._evaluate(right, where))
            case IsNull(field, at):
                return pc.is_null(self._column(field, at, where))
        column = self._column(node.field, node.at, where)
        match node:
            case Compare(_, op, value, at):
                return _OPS[op](*_comparable(column, value, at, where, node.field))
            case Among(_, values, at):
                fitted = [_comparable(column, value, at, where, node.field) for value in values]
                found = pc.equal(*fitted[0])
                for one in fitted[1:]:
                    found = pc.or_kleene(found, pc.equal(*one))
                return found
            case Matches(field, pattern, glob, at):
                return self._matches(column, field, pattern, glob=glob, at=at, where=where)
        raise AssertionError(node)

    def _matches(
        self, column: Column, field: str, pattern: str, *, glob: bool, at: int, where: str
    ) -> Any:
        if not _is_text(column.type):
            raise complaint(where, at, f"{field} is {_kind(column.type)}, patterns are for text", "Compare it with =")
        if not glob:
            return pc.match_like(column, pattern)
        if field == "path":
            column = pc.replace_substring_regex(column, _POSITION, "")
        try:
            return pc.match_substring_regex(column, _expression(pattern))
        except pa.ArrowInvalid:
            raise complaint(where, at, f"{pattern!r} is no pattern", "Signs from a to z are [a-z]") from None

    def _column(self, field: str, at: int, where: str) -> Column:
        for filters in (self, *self.others):
            name = field if field in filters.fields.names else ALIASES.get(field, field)
            if name in filters.fields.names:
                kind = filters.fields.field(name).type
                return self.column(name) if filters is self else pa.nulls(self._collection.ordinals, kind)
        names = ", ".join(dict.fromkeys(name for filters in (self, *self.others) for name in filters.fields.names))
        raise complaint(where, at, f"there is no field {field!r}", f"The fields are: {names}")

    def column(self, name: str) -> Column:
        """A column over all ordinals; null where a shard has none."""
        if name not in self._columns:
            self._columns[name] = _read(self._collection, name, self.fields.field(name).type)
            self._make_room()
        self._columns.move_to_end(name)
        return self._columns[name]

    def _make_room(self) -> None:
        while len(self._columns) > 1 and sum(one.nbytes for one in self._columns.values()) > _COLUMN_BYTES:
            self._columns.popitem(last=False)


def _expression(glob: str) -> str:
    """A glob as a regular expression of RE2 (`fnmatch` makes use of what only Python's own know)."""
    pattern, found, at = glob.replace("\\", "/"), "", 0
    while at < len(pattern):
        sign, at = pattern[at], at + 1
        no = pattern.startswith("!", at)
        end = pattern.find("]", at + no + 1) if sign == "[" else -1  # a ] that is the first sign is one of them
        if end > 0:
            signs = re.sub(r"([\[\]^])", r"\\\1", pattern[at + no : end])
            found, at = f"{found}[{'^' * no}{signs}]", end + 1
        else:
            found += {"*": ".*", "?": "."}.get(sign, re.escape(sign))
    return f"(?s)^(?:{found})$"


def _comparable(
    column: Column, value: Value, at: int, where: str, field: str
) -> tuple[Column, pa.Scalar]:
    """Column and value in types that compare. Raises UsageError with a caret when there are none."""
    kind = column.type
    if isinstance(value, bool):
        if pa.types.is_boolean(kind):
            return column, pa.scalar(value)
    elif isinstance(value, (int, float)):
        fitted = _numbers(column, value)
        if fitted is not None:
            return fitted
        if _kind(kind) == "a number":
            raise complaint(where, at, f"the number is beyond those of {field}", "Compare it with another")
    elif _is_text(kind):
        return column, pa.scalar(value, kind)
    elif pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return _dates(column, value, at, where)
    example = {"a number": "1900", "true or false": "true", "a date": "'1900-01-31'"}.get(_kind(kind), "'text'")
    raise complaint(where, at, f"{field} is {_kind(kind)}, not {_kind_of(value)}", f"Write: {field} = {example}")


def _numbers(column: Column, value: int | float) -> tuple[Column, pa.Scalar] | None:
    """Numbers and a number in one type, compared exactly; None when the column has no numbers, or none so large."""
    kind = column.type
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        try:
            return pc.cast(column, pa.float64()), pa.scalar(float(value))
        except OverflowError:
            return None
    if not pa.types.is_integer(kind):
        return None
    wide, low, high = (pa.uint64(), 0, 2**64) if pa.types.is_uint64(kind) else (pa.int64(), -(2**63), 2**63)
    whole = not isinstance(value, float) or (value.is_integer() and low <= value < high)
    if not whole:  # numbers too large for float64 are rounded, which moves none of them past this one
        return pc.cast(column, pa.float64(), safe=False), pa.scalar(value)
    return (pc.cast(column, wide), pa.scalar(int(value), wide)) if low <= value < high else None


def _dates(
    column: Column, value: str, at: int, where: str
) -> tuple[Column, pa.Scalar]:
    try:
        moment = datetime.datetime.fromisoformat(value)
    except ValueError:
        how = "Write it as '2024-01-31' or '2024-01-31T12:30:00'"
        raise complaint(where, at, f"{value!r} is no date", how) from None
    if pa.types.is_timestamp(column.type) and column.type.tz is not None:
        zoned = moment if moment.tzinfo else moment.replace(tzinfo=datetime.timezone.utc)
        return pc.cast(column, pa.timestamp("us", "UTC"), safe=False), pa.scalar(zoned, pa.timestamp("us", "UTC"))
    plain = moment.replace(tzinfo=None)
    return pc.cast(column, pa.timestamp("us"), safe=False), pa.scalar(plain, pa.timestamp("us"))


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _kind(kind: pa.DataType) -> str:
    tests = [
        (pa.types.is_boolean, "true or false"), (pa.types.is_integer, "a number"), (pa.types.is_floating, "a number"),
        (pa.types.is_decimal, "a number"), (pa.types.is_date, "a date"), (pa.types.is_timestamp, "a date"),
        (_is_text, "text"),
    ]
    return next((name for test, name in tests if test(kind)), f"of type {kind}")


def _kind_of(value: Value) -> str:
    return "true or false" if isinstance(value, bool) else "text" if isinstance(value, str) else "a number"


def _plain(kind: pa.DataType) -> pa.DataType:
    """The type a column is kept as; one array of `string` ends at 2 GiB."""
    plain = kind.value_type if pa.types.is_dictionary(kind) else kind
    return pa.large_string() if pa.types.is_string(plain) else plain


def _read(collection: Collection, name: str, kind: pa.DataType) -> Column:
    """A column of all shards, one value per ordinal; null where a shard has no such column."""
    chunks: list[pa.Array] = []
    for position, shard in enumerate(collection.shards):
        path = collection.path / shard.chunks.name
        try:
            with pq.ParquetFile(path) as file:
                known = name in file.schema_arrow.names
                found = file.read(columns=[name]).column(0).cast(kind).chunks if known else [pa.nulls(shard.rows, kind)]
        except (OSError, pa.ArrowException) as error:
            raise collection.unreadable(position, path, error) from error
        chunks += found
    return pa.chunked_array(chunks, type=kind).combine_chunks()
