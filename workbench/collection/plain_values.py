"""A column's values as Python has them, the same before and after they were stored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa


def plain_values(column: pa.ChunkedArray) -> list[Any]:
    """Values [rows], for comparing alone: times, spans and dates are numbers, in the unit they are stored in.

    As objects they would not do: nanoseconds are pandas' own where that may be loaded and an error where it may not,
    and Python's dates end with the year 9999. Parquet knows neither seconds nor `date64`.
    """
    for change in (_as_stored, _as_number):
        wanted = _inside(column.type, change)
        if wanted != column.type:
            column = column.cast(wanted)
    values: list[Any] = column.to_pylist()
    return values


def _as_stored(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_timestamp(kind) and kind.unit == "s":
        return pa.timestamp("ms", kind.tz)
    return pa.date32() if pa.types.is_date64(kind) else kind


def _as_number(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_timestamp(kind) or pa.types.is_duration(kind):
        return pa.int64()
    return pa.int32() if pa.types.is_date32(kind) else kind


def _inside(kind: pa.DataType, change: Callable[[pa.DataType], pa.DataType]) -> pa.DataType:
    """A type with every type inside it changed."""
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_inside(field.type, change)) for field in kind])
    if pa.types.is_map(kind):
        return pa.map_(_inside(kind.key_type, change), _inside(kind.item_type, change), kind.keys_sorted)
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_type(_inside(kind.value_type, change)))
    if pa.types.is_large_list(kind):
        return pa.large_list(kind.value_field.with_type(_inside(kind.value_type, change)))
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(kind.value_field.with_type(_inside(kind.value_type, change)), kind.list_size)
    return change(kind)
