"""Short keys by which rows of a collection are known again in another state of the input."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pyarrow as pa

from workbench.collection.plain_values import plain_values
from workbench.collection.shards import CONTENT_HASH

KEY_BYTES = 16
#: Columns that the content hash covers, and itself.
COVERED = frozenset({"title", "text", CONTENT_HASH})


def row_keys(table: pa.Table, hashes: Sequence[bytes]) -> list[bytes]:
    """A 16-byte key for each row, equal when every column is; missing values do not count."""
    names = sorted(name for name in table.column_names if name not in COVERED)
    columns = [plain_values(table.column(name)) for name in names]
    keys = []
    for content, *values in zip(hashes, *columns, strict=True):
        keys.append(_key([(name, value) for name, value in zip(names, values, strict=True) if value is not None],
                         content))
    return keys


def text_keys(table: pa.Table, hashes: Sequence[bytes]) -> list[bytes]:
    """A 16-byte key for each row, equal when document and text are, wherever in the document that stands."""
    names = table.column("doc_id").to_pylist()
    return [_key(name, content) for name, content in zip(names, hashes, strict=True)]


def _key(told: object, content: bytes) -> bytes:
    digest = hashlib.blake2b(repr(told).encode("utf-8", "surrogatepass"), digest_size=KEY_BYTES)
    digest.update(content)
    return digest.digest()
