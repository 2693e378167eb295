"""BERT's family with 8-bit products: scales are found once, when the model is loaded, from fixed rows of tokens.

The rows depend on the vocabulary only, so the same weights always get the same scales, and a text the same vector in
every run. Products take 8 bits; embeddings, attention, normalisation, pooling and the sums between layers keep the
number format that is fastest here (bf16, or fp32 where there is none).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from workbench.encoders import cpu_linear
from workbench.encoders.bert_weights import BertWeights, LayerWeights, Norm
from workbench.encoders.int8_linear import Int8Linear, ScaledLinear, scale_for
from workbench.encoders.packed_bert import (
    FloatLayer,
    Group,
    PackedBert,
    RelativeBias,
    attend,
    groups,
    normed,
    qkv_linear,
)

#: Rows that the scales are found on: (how many, tokens of each, whether one token is repeated). Attention averages
#: over a row, so rows of many different tokens give it smaller results than short or monotonous texts do.
_ROWS = ((8, 64, False), (8, 32, True), (16, 16, False), (32, 3, False), (16, 1, False))


@dataclass(frozen=True, slots=True)
class Ranges:
    """What one layer's products meet.

    Attributes:
        hidden, mixed, middle: float32 [width], largest absolute value of each input of the products for query, key
            and value; after the attention; and into the feed-forward part.
        least, most: ends of what comes out of the activation.
    """

    hidden: Tensor
    mixed: Tensor
    middle: Tensor
    least: float
    most: float


def carrier() -> torch.dtype:
    """Number format of everything between the 8-bit products."""
    return torch.bfloat16 if cpu_linear.available(torch.bfloat16) else torch.float32


def int8_bert(weights: BertWeights) -> PackedBert:
    """The model with 8-bit products, of its float32 weights."""
    with torch.inference_mode():
        ranges = _ranges(weights)
        light = _cast(weights, carrier())
        layers = [Int8Layer(layer, weights, found) for layer, found in zip(weights.layers, ranges, strict=True)]
    return PackedBert(light, layers)


class Int8Layer:
    """One transformer layer; its products in 8 bits."""

    def __init__(self, layer: LayerWeights, weights: BertWeights, ranges: Ranges) -> None:
        kind = carrier()
        inner = scale_for(ranges.least, ranges.most)
        self._qkv = ScaledLinear(*qkv_linear(layer, weights.heads), ranges.hidden, kind)
        self._out = ScaledLinear(*layer.out, ranges.mixed, kind)
        self._up = ScaledLinear(*layer.up, ranges.middle, inner, weights.act)
        self._down = Int8Linear(*layer.down, inner, kind)
        self._norm, self._last_norm = _norm(layer.norm, kind), _norm(layer.last_norm, kind)
        self._eps = weights.eps

    def __call__(self, hidden: Tensor, runs: list[Group], heads: int, bias: RelativeBias | None) -> Tensor:
        """[tokens, width] → [tokens, width]; `hidden` is overwritten."""
        mixed = attend(self._qkv(hidden), hidden, runs, heads, bias)
        hidden = normed(self._out.plus(mixed, hidden), self._norm, self._eps)
        return normed(self._down.plus(self._up(hidden), hidden), self._last_norm, self._eps)


def _ranges(weights: BertWeights) -> list[Ranges]:
    """What every layer meets when the model runs in float32 on the fixed rows."""
    ids, lengths = fixed_rows(len(weights.words), len(weights.places))
    runs = groups(lengths)
    layers = [_Watched(layer, weights) for layer in weights.layers]
    PackedBert(weights, layers).hidden(ids, runs)
    return [layer.ranges for layer in layers]


class _Watched(FloatLayer):
    """A float32 layer that notes what its products meet."""

    ranges: Ranges

    def __call__(self, hidden: Tensor, runs: list[Group], heads: int, bias: RelativeBias | None) -> Tensor:
        mixed = attend(self.qkv(hidden), hidden, runs, heads, bias)
        middle = normed(self.out.plus(mixed, hidden), self.norm, self.eps)
        inner = self.up(middle)
        self.ranges = Ranges(
            _largest(hidden), _largest(mixed), _largest(middle), min(float(inner.min()), 0.0),
            max(float(inner.max()), 0.0),
        )
        return normed(self.down.plus(inner, middle), self.last_norm, self.eps)


def fixed_rows(vocabulary: int, longest: int) -> tuple[Tensor, list[int]]:
    """int32 ids from all over the vocabulary and the lengths of their rows; no chance in them."""
    lengths: list[int] = []
    numbers: list[int] = []
    for count, tokens, monotonous in _ROWS:
        length = min(tokens, longest)
        for _ in range(count):
            first = len(numbers)
            numbers += [first if monotonous else first + place for place in range(length)]
            lengths.append(length)
    ids = (torch.tensor(numbers) * 2654435761) % vocabulary  # Knuth's multiplicative hashing
    return ids.to(torch.int32), lengths


def _largest(part: Tensor) -> Tensor:
    return part.abs().amax(dim=0)


def _norm(norm: Norm, kind: torch.dtype) -> Norm:
    return norm[0].to(kind), norm[1].to(kind)


def _cast(weights: BertWeights, kind: torch.dtype) -> BertWeights:
    relative = weights.relative.to(kind) if weights.relative is not None else None
    return replace(weights, words=weights.words.to(kind), places=weights.places.to(kind), layers=(),
                   norm=_norm(weights.norm, kind), relative=relative)
