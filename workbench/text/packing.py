"""Rows of like length become batches under a token budget."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.intp]

#: What starting one more batch costs, as a share of the budget: batches end early where more padding than
#: this would be computed. Small enough that a unit of mixed lengths keeps its padding near 1 %.
_BATCH_COST = 1 / 64


def pack(
    lengths: NDArray[np.integer], budget: int, max_rows: int, batching: str = "tokens", *, pads: bool = True
) -> list[Rows]:
    """Group rows into batches; every row is in exactly one.

    Args:
        lengths: tokens of each row, [rows].
        budget: `tokens`: tokens a batch may hold, padding included (rows × longest); `rows`: rows of a batch.
        max_rows: no batch has more rows.
        pads: the encoder computes every row up to the longest; if not, only real tokens count.
        batching: `tokens` sorts all rows by length, longest first, so that a batch holds like lengths;
            `rows` takes fixed numbers of rows in source order (what most scripts do).

    Returns:
        Row numbers of each batch, longest row first (rows of equal length in source order). With `tokens` the
        batches come longest first too, so that a device too small for the budget shows it at once. A row
        longer than the budget is a batch of its own.

    Raises:
        ValueError: a budget or row limit below 1, or another batching.
    """
    if budget < 1 or max_rows < 1:
        raise ValueError(f"budget {budget} and max_rows {max_rows} must be at least 1")
    if batching == "tokens":
        return (_by_tokens if pads else _by_real_tokens)(np.asarray(lengths), budget, max_rows)
    if batching == "rows":
        return _by_rows(np.asarray(lengths), min(budget, max_rows))
    raise ValueError(f"batching {batching!r} is neither tokens nor rows")


def padding_share(lengths: NDArray[np.integer], batches: list[Rows]) -> float:
    """Share of the padded tokens that is padding, 0–1."""
    padded = sum(int(lengths[rows].max()) * len(rows) for rows in batches)
    return 1.0 - float(lengths.sum()) / padded if padded else 0.0


def _longest_first(lengths: NDArray[np.integer]) -> Rows:
    return np.argsort(-lengths.astype(np.int64), kind="stable")


def _by_tokens(lengths: NDArray[np.integer], budget: int, max_rows: int) -> list[Rows]:
    order = _longest_first(lengths)
    sorted_lengths = lengths[order].astype(np.int64)
    sums = np.concatenate(([0], np.cumsum(sorted_lengths)))
    batches: list[Rows] = []
    start = 0
    while start < len(order):
        longest = max(int(sorted_lengths[start]), 1)
        most = min(max(budget // longest, 1), max_rows, len(order) - start)
        # The number of rows that gives the largest share of real tokens in (padded tokens + cost of a batch).
        real = sums[start + 1 : start + most + 1] - sums[start]
        computed = np.arange(1, most + 1) * longest + budget * _BATCH_COST
        rows = most - int(np.argmax((real / computed)[::-1]))  # of equals the fullest
        batches.append(order[start : start + rows])
        start += rows
    return batches


def _by_real_tokens(lengths: NDArray[np.integer], budget: int, max_rows: int) -> list[Rows]:
    order = _longest_first(lengths)
    sums = np.cumsum(lengths[order], dtype=np.int64)
    batches: list[Rows] = []
    start, before = 0, 0
    while start < len(order):
        stop = max(int(np.searchsorted(sums, before + budget, side="right")), start + 1)
        stop = min(stop, start + max_rows)
        batches.append(order[start:stop])
        start, before = stop, int(sums[stop - 1])
    return batches


def _by_rows(lengths: NDArray[np.integer], rows: int) -> list[Rows]:
    return [
        start + _longest_first(lengths[start : start + rows]) for start in range(0, len(lengths), rows)
    ]
