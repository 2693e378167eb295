"""Title and text of a chunk become one string, by the profile's template; one vectorised pass."""

from __future__ import annotations

import re
from typing import Any, TypeAlias, cast

import pyarrow as pa
import pyarrow.compute as pc

Strings: TypeAlias = "pa.Array[Any] | pa.ChunkedArray[Any]"


def join(title: Strings, text: Strings, template: str) -> list[str]:
    """Join titles and texts, row by row.

    Args:
        title, text: string columns of one length; a null title counts as empty.
        template: `{title}` and `{text}` are filled in, everything else is taken as it stands.

    Returns:
        One string per row. A row with an empty title is its text alone (the template's own words are about
        both), except when the template has no `{title}`.
    """
    text = pc.cast(text, pa.large_string())
    parts = [part for part in re.split(r"(\{title\}|\{text\})", template) if part]
    if parts == ["{text}"]:
        return cast("list[str]", text.to_pylist())
    title = pc.fill_null(pc.cast(title, pa.large_string()), "")
    columns = {"{title}": title, "{text}": text}
    pieces = [columns.get(part, pa.scalar(part, pa.large_string())) for part in parts]
    joined = pc.binary_join_element_wise(*pieces, pa.scalar("", pa.large_string()))
    if "{title}" in parts:
        joined = pc.if_else(pc.equal(title, ""), text, joined)
    return cast("list[str]", joined.to_pylist())


def fill(title: str, text: str, template: str) -> str:
    """The same for one row."""
    return join(pa.array([title]), pa.array([text]), template)[0]
