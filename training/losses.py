"""The contrastive loss and the held-out measure used by every stage."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812 - the field's usual name
from torch import Tensor

Keys = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
Indices = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]


def equal_entries(keys: Keys) -> Indices:
    """Entries (i, j), i ≠ j, of the score matrix that share a text and so are no negatives.

    ``keys``: text hashes of the n queries and n positives. Returns row and column numbers, int64.
    """
    n = len(keys[0])
    both = np.concatenate(keys)
    order = np.argsort(both, kind="stable")
    ordered = both[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    ends = np.append(starts[1:], len(both))
    rows: list[int] = []
    columns: list[int] = []
    for start, end in zip(starts, ends, strict=True):
        if end - start > 1:
            group = sorted({int(i) % n for i in order[start:end]})
            for i in group:
                others = [j for j in group if j != i]
                rows += [i] * len(others)
                columns += others
    return np.array(rows, dtype=np.int64), np.array(columns, dtype=np.int64)


class _SymmetricSoftmax(torch.autograd.Function):
    """One exponential per score and two products back: several times faster than autograd's way."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, rows: Tensor, columns: Tensor, temperature: float) -> Tensor:
        scores = a @ b.T
        own = scores.diagonal().clone()
        # Cosines end at 1, so 1 / temperature is a safe fixed maximum.
        scores.sub_(1).div_(temperature).exp_()
        scores[rows, columns] = 0.0
        by_row, by_column = scores.sum(1), scores.sum(0)
        ctx.save_for_backward(a, b, scores, by_row, by_column)
        ctx.temperature = temperature
        loss: Tensor = (by_row.log() + by_column.log() - 2 * (own - 1) / temperature).mean() / 2
        return loss

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        a, b, scores, by_row, by_column = ctx.saved_tensors
        n = len(a)
        gradient = scores.mul_(by_row.reciprocal()[:, None] + by_column.reciprocal()[None, :])
        gradient.diagonal().sub_(2)
        gradient *= grads[0] / (2 * n * ctx.temperature)
        return gradient @ b, gradient.T @ a, None, None, None


def softmax_loss(queries: Tensor, positives: Tensor, equal: Indices, temperature: float) -> Tensor:
    """Symmetric in-batch softmax over cosines (InfoNCE; van den Oord et al. 2018).

    ``queries``, ``positives``: float32 (n, width), any scale; ``equal``: entries to leave out. Returns a scalar.
    """
    a, b = F.normalize(queries.float(), dim=1), F.normalize(positives.float(), dim=1)
    rows, columns = (torch.from_numpy(part).to(a.device) for part in equal)
    apply: Any = _SymmetricSoftmax.apply
    loss: Tensor = apply(a, b, rows, columns, temperature)
    return loss


def pair_loss(queries: Tensor, positives: Tensor, keys: Keys, temperature: float, short: int = 0) -> Tensor:
    """``softmax_loss`` on all dimensions, plus a third of it on the leading ``short`` (0: without).

    Training on a leading part is Matryoshka representation learning (Kusupati et al. 2022); one
    width is drawn per step instead of all, which costs less and has the same expectation.
    """
    equal = equal_entries(keys)
    loss = softmax_loss(queries, positives, equal, temperature)
    if 0 < short < queries.shape[1]:
        loss = loss + softmax_loss(queries[:, :short], positives[:, :short], equal, temperature) / 3
    return loss


def held_out_recall(queries: Tensor, positives: Tensor) -> float:
    """recall@1 of n queries over their n passages; rows belong together."""
    scores = F.normalize(queries.float(), dim=1) @ F.normalize(positives.float(), dim=1).T
    return float((scores.argmax(1) == torch.arange(len(scores), device=scores.device)).float().mean())
