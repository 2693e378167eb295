"""BERT's family on a card: rows padded to the longest, few kernels, nothing that makes the host wait for the card.

Same computation as transformers' models, which this spares importing. Query, key and value are one product, and
attention is PyTorch's own for MPNet as well, for which transformers has only a slow one.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from workbench.encoders.bert_weights import BertWeights, LayerWeights
from workbench.encoders.cpu_linear import PLAIN
from workbench.encoders.packed_bert import RelativeBias, normed, qkv_linear


class DenseBert:
    """A model of BERT's family on any device. See `torch_network.Hidden`."""

    pad = 0

    def __init__(self, weights: BertWeights, device: torch.device) -> None:
        """Raises torch.OutOfMemoryError when the device has no room for the weights."""
        self._words, self._places = weights.words.to(device), weights.places.to(device)
        self._norm = _moved(weights.norm, device)
        self._eps = weights.eps
        self._layers = [_Layer(layer, weights, device) for layer in weights.layers]
        self._bias = RelativeBias(weights.relative.to(device)) if weights.relative is not None else None

    def __call__(self, ids: Tensor, inside: Tensor | None) -> Tensor:
        """int64 [rows, longest] → [rows, longest, width]."""
        hidden = functional.embedding(ids, self._words) + self._places[: ids.shape[1]]
        hidden = normed(hidden, self._norm, self._eps)
        mask = self._mask(inside, ids.shape[1])
        for layer in self._layers:
            hidden = layer(hidden, mask)
        return hidden

    def _mask(self, inside: Tensor | None, longest: int) -> Tensor | None:
        """What attention sees: a bool or a summand for every key (MPNet: for every pair of tokens)."""
        seen = inside[:, None, None, :] if inside is not None else None
        if self._bias is None:
            return seen
        bias = self._bias(longest)
        return bias if seen is None else bias.masked_fill(~seen, float("-inf"))


class _Layer:
    """One transformer layer."""

    def __init__(self, layer: LayerWeights, weights: BertWeights, device: torch.device) -> None:
        self._heads, self._eps, self._act = weights.heads, weights.eps, PLAIN[weights.act]
        self._qkv = _moved(qkv_linear(layer, weights.heads), device)
        self._out, self._norm = _moved(layer.out, device), _moved(layer.norm, device)
        self._up, self._down = _moved(layer.up, device), _moved(layer.down, device)
        self._last_norm = _moved(layer.last_norm, device)

    def __call__(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        """[rows, longest, width] → the same shape."""
        rows, longest, width = hidden.shape
        parts = functional.linear(hidden, *self._qkv).view(rows, longest, 3, self._heads, width // self._heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=1.0)
        mixed = functional.linear(mixed.transpose(1, 2).reshape(rows, longest, width), *self._out)
        hidden = normed(mixed.add_(hidden), self._norm, self._eps)
        inner = functional.linear(self._act(functional.linear(hidden, *self._up)), *self._down)
        return normed(inner.add_(hidden), self._last_norm, self._eps)


def _moved(pair: tuple[Tensor, Tensor], device: torch.device) -> tuple[Tensor, Tensor]:
    return pair[0].to(device), pair[1].to(device)
