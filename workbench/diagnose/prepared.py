"""Prepared units on disk: what a worker alone made of them, for encoder and writer to replay."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from workbench.encoders.base import EncoderInfo, Int32, TokenBatch
from workbench.text.packing import pack


@dataclass(frozen=True, slots=True)
class Packing:
    """How a run cuts batches, apart from what only the loaded encoder knows."""

    batching: str
    max_rows: int


def keep(folder: Path, unit: int, batches: Sequence[tuple[Int32, Int32, Int32]], texts: Sequence[bytes]) -> None:
    """Write a unit. `batches`: ids [tokens], lengths [rows] and positions [rows] of each; `texts`: of all rows.

    A unit without rows (all were rejected) is left out: there is nothing to replay.
    """
    if not batches:
        return
    ids = np.concatenate([batch[0] for batch in batches])
    lengths = np.concatenate([batch[1] for batch in batches])
    counts = np.array([len(batch[1]) for batch in batches])
    sizes = np.array([len(text) for text in texts], np.int64)
    run = np.frombuffer(b"".join(texts), np.uint8)
    np.savez(folder / f"{unit:08d}.npz", ids=ids, lengths=lengths, counts=counts, sizes=sizes, texts=run)


def kept(folder: Path) -> list[TokenBatch]:
    """The batches of all units as they were kept."""
    return [batch for unit in _units(folder) for batch in unit.batches(unit.kept)]


def repacked(folder: Path, packing: Packing, info: EncoderInfo) -> list[TokenBatch]:
    """The batches that a run would give this encoder: under its own token budget, padded or not as it computes."""
    if packing.batching != "tokens":
        return kept(folder)
    return [
        batch for unit in _units(folder)
        for batch in unit.batches(pack(unit.lengths, info.token_budget, packing.max_rows, pads=info.pads))
    ]


def sizes(folder: Path) -> list[tuple[int, int, int]]:
    """(unit, rows, tokens) of all kept units."""
    return [(unit.number, len(unit.lengths), len(unit.ids)) for unit in _units(folder)]


@dataclass(frozen=True, slots=True)
class _Unit:
    """`texts`: of the rows, or none. `kept`: rows of each batch as kept."""

    number: int
    ids: Int32
    lengths: Int32
    texts: list[str]
    kept: list[NDArray[np.intp]]

    def batches(self, grouped: Sequence[NDArray[np.intp]]) -> Iterator[TokenBatch]:
        ends = np.cumsum(self.lengths)
        for rows in grouped:
            ids = np.concatenate([self.ids[ends[row] - self.lengths[row] : ends[row]] for row in rows])
            yield TokenBatch(ids, self.lengths[rows], 0, tuple(self.texts[row] for row in rows) if self.texts else ())


def _units(folder: Path) -> Iterator[_Unit]:
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as file:
            ids, lengths, counts = file["ids"], file["lengths"], file["counts"]
            ends, run = np.cumsum(file["sizes"]).tolist(), file["texts"].tobytes()
        texts = [run[begin:end].decode() for begin, end in zip([0, *ends], ends, strict=False)]
        yield _Unit(int(path.stem), ids, lengths, texts, np.split(np.arange(len(lengths)), np.cumsum(counts)[:-1]))
