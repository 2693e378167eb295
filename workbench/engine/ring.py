"""Slots: fixed regions of a segment. A batch slot carries token ids, a vector slot vectors; no padding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.encoders.base import Int32

#: Most rows of one batch. Bounds a vector slot; short texts reach the budget long before in practice.
MAX_ROWS = 2048
#: A vector slot takes at most so many bytes; batches have fewer rows where vectors are long.
_VECTOR_SLOT = 16_000_000


def most_rows(dim: int) -> int:
    """Most rows of a batch whose vectors have `dim` values."""
    return max(1, min(MAX_ROWS, _VECTOR_SLOT // (4 * dim)))


@dataclass(frozen=True, slots=True)
class RingShape:
    """Sizes of both rings.

    Attributes:
        batch_slots, vector_slots: number of slots.
        tokens: most tokens of one batch (the budget, or one row of the greatest length).
        rows: most rows of one batch.
        dim: length of a vector.
        text_bytes: bytes for the texts of a batch, a multiple of 4; 0: batches carry tokens only.
    """

    batch_slots: int
    vector_slots: int
    tokens: int
    rows: int
    dim: int
    text_bytes: int = 0

    @property
    def batch_bytes(self) -> int:
        """Bytes of a batch slot: ids, lengths and positions, int32 each; then sizes and bytes of texts, if any."""
        return 4 * (self.tokens + 2 * self.rows) + (4 * self.rows + self.text_bytes if self.text_bytes else 0)

    @property
    def vector_bytes(self) -> int:
        """Bytes of a vector slot: positions int32 and vectors float32."""
        return 4 * self.rows * (1 + self.dim)


class BatchRing:
    """Batch slots over a buffer of `batch_slots * batch_bytes` bytes."""

    def __init__(self, buffer: memoryview, shape: RingShape) -> None:
        self._words: Int32 = np.frombuffer(
            buffer, dtype=np.int32, count=shape.batch_slots * shape.batch_bytes // 4
        ).reshape(shape.batch_slots, -1)

    def put(self, slot: int, ids: Int32, lengths: Int32, positions: Int32, texts: Sequence[bytes] = ()) -> None:
        """Fill a slot: ids [tokens], lengths [rows], positions [rows] (row numbers inside the unit), texts (UTF-8)."""
        words, rows, tokens = self._words[slot], len(lengths), len(ids)
        words[:rows] = lengths
        words[rows : 2 * rows] = positions
        words[2 * rows : 2 * rows + tokens] = ids
        if texts:
            begin = 2 * rows + tokens
            words[begin : begin + rows] = [len(text) for text in texts]
            run = np.frombuffer(b"".join(texts), np.uint8)
            words[begin + rows :].view(np.uint8)[: len(run)] = run

    def texts(self, slot: int, rows: int, tokens: int) -> tuple[str, ...]:
        """The texts of a slot that was filled with some."""
        rest = self._words[slot][2 * rows + tokens :]
        ends = np.cumsum(rest[:rows], dtype=np.int64).tolist()
        run = rest[rows:].view(np.uint8)[: ends[-1] if ends else 0].tobytes()
        return tuple(run[begin:end].decode() for begin, end in zip([0, *ends], ends, strict=False))

    def get(self, slot: int, rows: int, tokens: int) -> tuple[Int32, Int32, Int32]:
        """Views of a slot: ids [tokens], lengths [rows], positions [rows]; valid until the slot is freed."""
        words = self._words[slot]
        return words[2 * rows : 2 * rows + tokens], words[:rows], words[rows : 2 * rows]

    def release(self) -> None:
        """Let go of the buffer."""
        del self._words


class VectorRing:
    """Vector slots over a buffer of `vector_slots * vector_bytes` bytes."""

    def __init__(self, buffer: memoryview, shape: RingShape) -> None:
        self._words: Int32 = np.frombuffer(
            buffer, dtype=np.int32, count=shape.vector_slots * shape.vector_bytes // 4
        ).reshape(shape.vector_slots, -1)
        self._dim = shape.dim

    def put(self, slot: int, positions: Int32, vectors: NDArray[np.float32]) -> None:
        """Fill a slot: positions [rows], vectors float32 [rows, dim]."""
        words, rows = self._words[slot], len(positions)
        words[:rows] = positions
        words[rows : rows + vectors.size].view(np.float32)[:] = vectors.reshape(-1)

    def get(self, slot: int, rows: int) -> tuple[Int32, NDArray[np.float32]]:
        """Views of a slot: positions [rows], vectors float32 [rows, dim]."""
        words = self._words[slot]
        flat = words[rows : rows + rows * self._dim].view(np.float32)
        return words[:rows], flat.reshape(rows, self._dim)

    def release(self) -> None:
        """Let go of the buffer."""
        del self._words
