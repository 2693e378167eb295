"""Text by offset: character offsets into UTF-8 documents become byte offsets, without decoding anything.

A character is a Unicode code point, as in Python's `str`. Offsets that were made by tools which count UTF-16
units (Java, JavaScript, C#) are too large after every character beyond U+FFFF; counted in code points no offset
can fall inside a surrogate pair, so such tables cannot be told from right ones unless they run past the end.

Documents lie one after another in one byte buffer. `mark` passes over it once and keeps, for every block of
`BLOCK` bytes of a document that is not pure ASCII, how many characters come before it. With these marks an
offset is found by one binary search and a look at one block, whatever the size of the document.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]

BLOCK = 128  # bytes between two marks: 3 % of the text for the marks
_STEP = 1 << 22  # bytes looked at in one go when marking
_ROWS = 4096  # offsets resolved in one go: 0.5 MB of blocks
_BLANK_FIRST = np.zeros(256, dtype=bool)  # first bytes of characters that may be white space
_BLANK_FIRST[:33] = True
_BLANK_FIRST[[0xC2, 0xE1, 0xE2, 0xE3]] = True


@dataclass(frozen=True, slots=True)
class Documents:
    """Documents one after another in a buffer of UTF-8, with their marks.

    Attributes:
        data: uint8 [bytes]; offsets: int64 [documents + 1], first byte of each document.
        chars: int64 [documents], characters of each.
        marks: uint32, characters of the buffer before each block; mark_offsets: int64 [documents + 1],
            first mark of each document (a pure-ASCII document has none).
    """

    data: Bytes
    offsets: Ints
    chars: Ints
    marks: NDArray[np.uint32]
    mark_offsets: Ints

    def byte_offsets(self, documents: Ints, at: Ints) -> Ints:
        """Byte offsets in `data` of character `at[i]` of document `documents[i]`, 0 ≤ at ≤ chars; int64 [n]."""
        found = self.offsets[documents] + at
        wide = np.diff(self.mark_offsets)[documents] > 0
        at_end = at == self.chars[documents]
        found[at_end] = self.offsets[documents[at_end] + 1]
        hard = np.flatnonzero(wide & ~at_end & (at > 0))
        if len(hard):
            found[hard] = self._search(documents[hard], at[hard])
        return found

    def _search(self, documents: Ints, at: Ints) -> Ints:
        before = np.concatenate(([0], np.cumsum(self.chars)))[documents]
        wanted = (before + at).astype(np.uint32)  # marks count from the start of the buffer and so are sorted
        block = np.searchsorted(self.marks, wanted, side="right") - 1
        base = self.offsets[documents] + BLOCK * (block - self.mark_offsets[documents])
        inside: Ints = base + _nth_start(self.data, base, wanted - self.marks[block])
        return inside


def mark(data: Bytes, offsets: Ints) -> Documents:
    """Count characters and lay the marks of documents [offsets[i], offsets[i + 1]) of valid UTF-8 `data`."""
    sizes = np.diff(offsets)
    chars = np.diff(_characters_before(data, offsets))
    blocks = np.where(chars == sizes, 0, -(-sizes // BLOCK))
    mark_offsets = np.concatenate(([0], np.cumsum(blocks))).astype(np.int64)
    number = np.arange(mark_offsets[-1], dtype=np.int64) - np.repeat(mark_offsets[:-1], blocks)
    marks = _characters_before(data, np.repeat(offsets[:-1], blocks) + BLOCK * number)
    return Documents(data, offsets, chars, marks.astype(np.uint32), mark_offsets)


def gather(buffers: Sequence[memoryview], buffer: Ints, begin: Ints, end: Ints) -> pa.LargeStringArray:
    """Copy byte ranges [begin, end) of `buffers[buffer[i]]` into one Arrow column, in the order given.

    The ranges must hold whole UTF-8 characters.
    """
    # One memory copy per row. Index arithmetic in numpy (repeat + take) costs 8 bytes of index for every byte of
    # text and is several times slower (benchmarks/sources.py measures both).
    rows = zip(buffer.tolist(), begin.tolist(), end.tolist(), strict=True)
    data = b"".join([buffers[number][first:last] for number, first, last in rows])
    offsets = np.concatenate(([0], np.cumsum(end - begin))).astype(np.int64)
    return pa.LargeStringArray.from_buffers(len(begin), pa.py_buffer(offsets), pa.py_buffer(data))


def blank(texts: pa.LargeStringArray) -> NDArray[np.bool_]:
    """Which texts are empty or only white space (null counts as blank); bool [rows]."""
    offsets, data = string_parts(texts)
    result: NDArray[np.bool_] = np.diff(offsets) == 0
    if texts.null_count:
        result |= texts.is_null().to_numpy(zero_copy_only=False)
    filled = np.flatnonzero(~result)
    unsure = filled[_BLANK_FIRST[data[offsets[:-1][filled]]]]
    if len(unsure):
        trimmed = pc.utf8_trim_whitespace(texts.take(pa.array(unsure)))
        result[unsure] = pc.equal(pc.binary_length(trimmed), 0).to_numpy(zero_copy_only=False)
    return result


def string_parts(texts: pa.LargeStringArray) -> tuple[Ints, Bytes]:
    """Byte offsets (int64 [rows + 1]) and bytes (uint8) of a large_string or large_binary array, not copied."""
    _, offsets, data = texts.buffers()
    if offsets is None or len(texts) == 0:
        return np.zeros(1, dtype=np.int64), np.zeros(0, dtype=np.uint8)
    ints: Ints = np.frombuffer(offsets, dtype=np.int64)[texts.offset : texts.offset + len(texts) + 1]
    return ints, np.frombuffer(data if data is not None else b"", dtype=np.uint8)


def _starts(data: Bytes) -> NDArray[np.bool_]:
    """Where a character starts: every byte but 10xxxxxx, which as int8 is −128 … −65."""
    result: NDArray[np.bool_] = data.view(np.int8) > -65
    return result


def _characters_before(data: Bytes, positions: Ints) -> Ints:
    """Characters that start before each byte position (ascending, 0 ≤ p ≤ bytes); int64 [positions]."""
    result = np.empty(len(positions), dtype=np.int64)
    seen = done = 0
    for begin in range(0, len(data), _STEP):
        block = data[begin : begin + _STEP]
        stop = int(np.searchsorted(positions, begin + len(block), side="left"))
        local = positions[done:stop] - begin
        if int(block.max()) < 128:
            result[done:stop], count = seen + local, len(block)
        else:
            counts = np.cumsum(_starts(block), dtype=np.int32)
            result[done:stop] = seen + np.where(local > 0, counts[np.maximum(local, 1) - 1], 0)
            count = int(counts[-1])
        seen, done = seen + count, stop
    result[done:] = seen
    return result


def _nth_start(data: Bytes, base: Ints, nth: NDArray[np.uint32]) -> Ints:
    """Distance from base[i] to the start of the nth[i]-th character (from 0) that starts at or after it."""
    result = np.empty(len(base), dtype=np.int64)
    whole = base + BLOCK <= len(data)
    inner = np.flatnonzero(whole)
    if len(inner):
        windows: Bytes = np.lib.stride_tricks.sliding_window_view(data, BLOCK)
        for first in range(0, len(inner), _ROWS):
            part = inner[first : first + _ROWS]
            counts = np.cumsum(_starts(windows[base[part]]), axis=1, dtype=np.uint8)
            result[part] = np.argmax(counts > nth[part, None], axis=1)
    for row in np.flatnonzero(~whole):  # the last block of the buffer only
        result[row] = np.flatnonzero(_starts(data[base[row] :]))[nth[row]]
    return result
