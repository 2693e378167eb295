"""Batches of pairs: which pairs come together, and token tensors of like length."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from training.data import PairSet, Ragged
from training.static import epoch_rows

Rows = npt.NDArray[np.int64]


def pair_batches(pairs: PairSet, batch: int, one_source_share: float, seed: int) -> Iterator[Rows]:
    """Endless batches of row numbers; a share of them from one source only, whose negatives are harder."""
    rng = np.random.default_rng(seed)
    while True:
        rows = epoch_rows(pairs, rng)
        single = rng.random(len(rows)) < one_source_share
        made = [*_mixed(rows[~single], batch), *_by_source(rows[single], pairs.source, batch)]
        rng.shuffle(made)
        yield from made


def _mixed(rows: Rows, batch: int) -> list[Rows]:
    return [rows[start : start + batch] for start in range(0, len(rows) - batch + 1, batch)]


def _by_source(rows: Rows, source: npt.NDArray[np.int16], batch: int) -> list[Rows]:
    # Sources too small to fill a batch are filled up by the next ones in order.
    ordered = rows[np.argsort(source[rows], kind="stable")]
    return _mixed(ordered, batch)


def token_tensors(
    ragged: Ragged, rows: Rows, limit: int, special: tuple[int, int], per_call: int
) -> Iterator[tuple[Rows, Tensor, Tensor]]:
    """Token tensors of like length: ``(places, ids, mask)`` with ids int64 (n, t) and mask (n, t).

    ``limit`` counts content tokens; ``special`` are the ids of [CLS] and [SEP]; a tensor holds at
    most about ``per_call`` tokens. ``places`` says which entries of ``rows`` it holds.
    """
    lengths = np.minimum(ragged.lengths[rows], limit) + 2
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        longest = int(lengths[order[start]])
        places = order[start : start + max(8, per_call // longest)]
        ids = np.zeros((len(places), longest), dtype=np.int64)
        flat, _ = ragged.gather(rows[places], limit)
        inner = np.arange(longest)[None, :] < (lengths[places] - 2)[:, None]
        ids[:, 1:][inner[:, : longest - 1]] = flat
        ids[:, 0] = special[0]
        ids[np.arange(len(places)), lengths[places] - 1] = special[1]
        mask = np.arange(longest)[None, :] < lengths[places][:, None]
        yield places, torch.from_numpy(ids), torch.from_numpy(mask)
        start += len(places)
