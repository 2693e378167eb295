"""Finding the columns a table is read by, and bringing them to one type."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from uuid import UUID

import pyarrow as pa
import pyarrow.compute as pc

from workbench.core.errors import UsageError
from workbench.sources.base import CHUNK_SCHEMA

#: Usual names of each column, the first one found is taken.
USUAL: dict[str, tuple[str, ...]] = {
    "chunk_id": ("chunk_id", "id", "_id"),
    "doc_id": ("doc_id", "document_id", "doc"),
    "title": ("title",),
    "text": ("text", "content", "body", "contents", "passage", "document"),
    "start": ("start",),
    "end": ("end",),
}
#: Names the collection needs for itself; a user's column of such a name gets "_" put after it.
RESERVED = frozenset({*CHUNK_SCHEMA.names, "content_hash", "vector"})
_TEXT = pa.large_string()


def find(
    names: Sequence[str], role: str, chosen: str, where: str, *, required: bool = False, usual: Sequence[str] = ()
) -> str | None:
    """Name of the column of a role among `names`: the chosen one, else the first of the usual ones.

    Raises:
        UsageError: the chosen column, or a required one, is not there.
    """
    if chosen:
        if chosen not in names:
            raise _missing(names, f"no column {chosen!r} (source.{role})", [chosen], where, role)
        return chosen
    wanted = tuple(usual) or USUAL[role]
    folded = {name.casefold(): name for name in reversed(names)}
    for name in wanted:
        if name in names:
            return name
        if name in folded:
            return folded[name]
    if required:
        raise _missing(names, f"no {role} column ({', '.join(wanted)})", wanted, where, role)
    return None


def _missing(names: Sequence[str], what: str, wanted: Sequence[str], where: str, role: str) -> UsageError:
    near = [name for word in wanted for name in difflib.get_close_matches(word, names, n=1, cutoff=0.5)]
    shown = ", ".join(names[:20]) + (f" … ({len(names)} in all)" if len(names) > 20 else "")
    example = near[0] if near else "NAME"
    hint = f"Nearest: {near[0]}. " if near else ""
    return UsageError(
        f"{what}; it has: {shown or 'no columns'}",
        where=where,
        remedy=f"{hint}Name the column with --set source.{role}={example}",
    )


def renamed(names: Sequence[str]) -> dict[str, str]:
    """What the user's own columns are called among ours: `place` becomes `place_`."""
    taken = set(RESERVED) | {name for name in names if name not in RESERVED}
    result: dict[str, str] = {}
    for name in names:
        new = name
        while new in RESERVED or (new != name and new in taken):
            new += "_"
        taken.add(new)
        result[name] = new
    return result


def fitting(schema: pa.Schema, role: str, chosen: str, where: str, notes: list[str]) -> str | None:
    """Name of the column of a role that a table can do without; one found of a wrong type is left alone and noted.

    Raises:
        UsageError: the chosen column is not there, or its type cannot be it.
    """
    name = find(schema.names, role, chosen, where)
    if name is None:
        return None
    kind = schema.field(name).type
    good, what = (is_title(kind), "titles") if role == "title" else (is_id(kind), "ids")
    if not good:
        why = f"column {name!r} holds {_short(kind)}, which cannot be {what}"
        if chosen:
            raise UsageError(why, where=where, remedy=f"Name another column with --set source.{role}=NAME")
        notes.append(why)
        return None
    return name


def _short(kind: pa.DataType) -> str:
    text = str(kind)
    return text if len(text) <= 60 else f"{text[:60]}…"


def _inner(kind: pa.DataType) -> pa.DataType:
    """Type of the values themselves."""
    stored = kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind
    return stored.value_type if pa.types.is_dictionary(stored) else stored


def is_uuid(kind: pa.DataType) -> bool:
    """Whether a column holds UUIDs as such."""
    return getattr(kind, "extension_name", "") == "arrow.uuid"


def is_text(kind: pa.DataType) -> bool:
    """Whether a column of this type can hold text."""
    inner = _inner(kind)
    return bool(
        pa.types.is_string(inner) or pa.types.is_large_string(inner) or pa.types.is_string_view(inner)
        or pa.types.is_binary(inner) or pa.types.is_large_binary(inner) or pa.types.is_binary_view(inner)
        or pa.types.is_null(inner)
    )


def is_id(kind: pa.DataType) -> bool:
    """Whether a column of this type can hold ids."""
    inner = _inner(kind)
    numbers = pa.types.is_integer(inner) or pa.types.is_floating(inner) or pa.types.is_decimal(inner)
    return is_text(kind) or is_uuid(kind) or bool(numbers)


def is_title(kind: pa.DataType) -> bool:
    """Whether a column of this type can hold titles: what can be written as text."""
    inner = _inner(kind)
    zoned = pa.types.is_timestamp(inner) and inner.tz is not None  # Windows has no time zones to write it with
    time = pa.types.is_temporal(inner) and not pa.types.is_interval(inner) and not zoned
    return is_id(kind) or bool(pa.types.is_boolean(inner) or time)


def require(kind: pa.DataType, name: str, good: bool, wanted: str, where: str) -> None:
    """Refuse a column of the wrong type. Raises UsageError."""
    if not good:
        raise UsageError(f"column {name!r} holds {kind}, not {wanted}", where=where)


def plain(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """One array without dictionaries, extension types and views (Arrow cannot take rows out of these)."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(array, pa.ChunkedArray):  # no chunk at all, or too much for 32-bit offsets
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    kind = _unviewed(array.type)
    return array if array.type == kind else array.cast(kind)


def _unviewed(kind: pa.DataType) -> pa.DataType:
    """A type with large strings and binaries instead of views, inside of lists and structs too."""
    if pa.types.is_string_view(kind):
        return pa.large_string()
    if pa.types.is_binary_view(kind):
        return pa.large_binary()
    if pa.types.is_struct(kind):
        return pa.struct([item.with_type(_unviewed(item.type)) for item in kind])
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        made = pa.list_ if pa.types.is_list(kind) else pa.large_list
        return made(kind.value_field.with_type(_unviewed(kind.value_type)))
    return kind


def as_bytes(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """A text column as large_binary; whether it is valid UTF-8 is not looked at."""
    array = plain(column)
    if pa.types.is_null(array.type):
        return pa.nulls(len(array), pa.large_binary())
    if pa.types.is_string(array.type) or pa.types.is_binary(array.type):
        array = array.view(pa.binary()).cast(pa.large_binary())
    return array.view(pa.large_binary())


def as_ids(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """An id column as large_string with nulls; whole numbers as decimals (7.0 as "7"), broken UTF-8 as null."""
    array = plain(column)
    if is_uuid(column.type):
        return pa.array([None if value is None else str(UUID(bytes=value)) for value in array.to_pylist()], _TEXT)
    if pa.types.is_decimal(array.type):
        return pc.replace_substring_regex(array.cast(_TEXT), r"\.0+$", "")
    if pa.types.is_floating(array.type):  # what tools without nullable integers make of a column with nulls
        whole = pc.equal(pc.floor(array), array)
        as_int = pc.if_else(whole, array, None).cast(pa.int64(), safe=False).cast(pa.large_string())
        return pc.if_else(whole, as_int, array.cast(pa.large_string()))
    if is_text(array.type):
        texts, _ = valid_text(as_bytes(array))
        return texts
    return array.cast(pa.large_string())


def as_plain_string(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """A title column as string, "" for null and broken UTF-8."""
    array = plain(column)
    if is_uuid(column.type):
        texts = as_ids(column)
    else:
        texts = valid_text(as_bytes(array))[0] if is_text(array.type) else array.cast(pa.large_string())
    return pc.fill_null(texts, "").cast(pa.string())


def valid_text(raw: pa.Array) -> tuple[pa.LargeStringArray, list[int]]:
    """large_binary as large_string; rows that are not valid UTF-8 become null and are listed.

    Surrogates written as UTF-8 (what some UTF-16 tools emit) are invalid UTF-8 and so are listed too.
    """
    texts = raw.view(pa.large_string())
    try:
        texts.validate(full=True)
        return texts, []
    except pa.ArrowInvalid:
        bad = _invalid_rows(raw)
    keep = pa.array([False] * len(raw)) if len(bad) == len(raw) else _all_but(len(raw), bad)
    cleaned = pc.if_else(keep, raw, pa.scalar(None, pa.large_binary()))
    return cleaned.view(pa.large_string()), bad


def _invalid_rows(raw: pa.Array) -> list[int]:
    bad = []
    for row, value in enumerate(raw):
        if value.is_valid:
            try:
                value.as_py().decode("utf-8")
            except UnicodeDecodeError:
                bad.append(row)
    return bad


def _all_but(count: int, rows: Sequence[int]) -> pa.Array:
    import numpy as np

    keep = np.ones(count, dtype=bool)
    keep[list(rows)] = False
    return pa.array(keep)


def joined(*parts: str | pa.Array) -> pa.Array:
    """Texts put together row by row, as large_string; whole numbers as decimals, null where a part is null."""
    kind = pa.large_string()
    arrays = [pa.scalar(part, kind) if isinstance(part, str) else part.cast(kind) for part in parts]
    return pc.binary_join_element_wise(*arrays, pa.scalar("", kind))
