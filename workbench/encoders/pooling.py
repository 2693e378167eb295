"""Token vectors become one vector per row, exactly as sentence-transformers' Pooling does. Encoder process only."""

from __future__ import annotations

import torch
from torch import Tensor


def pool(hidden: Tensor, lengths: Tensor, modes: str, *, skip: int = 0) -> Tensor:
    """Pool rows that are padded on the right.

    Args:
        hidden: token vectors [rows, longest, width], any floating dtype.
        lengths: tokens of each row [rows], int64, on the same device.
        modes: pooling modes joined by "+"; their results stand one after another.
        skip: leading tokens of every row (the prompt) that stay out.

    Returns:
        float32 [rows, width × number of modes].
    """
    position = torch.arange(hidden.shape[1], device=hidden.device)
    mask = (position < lengths[:, None]) & (position >= skip)
    return torch.cat([_one(mode, hidden, lengths, mask, position, skip) for mode in modes.split("+")], dim=-1)


def _one(mode: str, hidden: Tensor, lengths: Tensor, mask: Tensor, position: Tensor, skip: int) -> Tensor:
    rows = torch.arange(hidden.shape[0], device=hidden.device)
    if mode == "cls":  # the first token that is not the prompt's; a row that is all prompt keeps its first
        return hidden[rows, torch.where(lengths > skip, skip, 0)].float()
    if mode == "last":
        return hidden[rows, lengths - 1].float()
    if mode == "max":
        return hidden.masked_fill(~mask[:, :, None], float("-inf")).amax(dim=1).float()
    if mode == "weightedmean":  # weights 1, 2, 3 … (SGPT, arXiv 2202.08904, section 4.1)
        weights = mask * (position + 1).float()
        return _weighted_sum(hidden, weights) / weights.sum(dim=1, keepdim=True).clamp(min=1e-9)
    count = mask.sum(dim=1, keepdim=True).float().clamp(min=1e-9)
    total = _weighted_sum(hidden, mask.float())
    if mode == "mean":
        return total / count
    if mode == "mean_sqrt_len":
        return total / count.sqrt()
    raise ValueError(f"unknown pooling {mode!r}")


def _weighted_sum(hidden: Tensor, weights: Tensor) -> Tensor:
    """Σ over tokens of weight × vector, summed in float32: [rows, width]."""
    return torch.bmm(weights[:, None, :], hidden.float()).squeeze(1)
