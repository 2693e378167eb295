"""BERT's family on the CPU without padding: products over all tokens of a batch, attention row group by row group.

Rows of a batch come sorted by length, so rows of one length stand together: attention runs over such a group as
a plain batched product, with no padding, no mask and no gathering. Same computation as transformers' models.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from workbench.encoders.bert_weights import BertWeights, LayerWeights, Linear, Norm, relative_bucket
from workbench.encoders.cpu_linear import PackedLinear
from workbench.encoders.pooling import pool

#: Attention scores computed at once, in numbers: they then stay in the cache between the two products.
_SCORES = 1 << 19

Group = tuple[int, int, int]  # first token, rows, tokens of each row


def _step(tokens: int) -> int:
    """What the tokens of a tile are filled up to a multiple of, for few shapes of products (see `_width`)."""
    return 32 if tokens >= 512 else 8 if tokens >= 64 else 1


def groups(lengths: list[int]) -> list[Group]:
    """Runs of rows of one length."""
    found: list[Group] = []
    token = 0
    for length in lengths:
        if found and found[-1][2] == length:
            first, rows, _ = found[-1]
            found[-1] = (first, rows + 1, length)
        else:
            found.append((token, 1, length))
        token += length
    return found


class Layer(Protocol):
    """One transformer layer: [tokens, width] → [tokens, width]; `hidden` may be overwritten."""

    def __call__(self, hidden: Tensor, runs: list[Group], heads: int, bias: RelativeBias | None) -> Tensor: ...


class PackedBert:
    """A model of BERT's family, computing rows of any lengths as one run of tokens."""

    def __init__(self, weights: BertWeights, layers: Sequence[Layer] | None = None) -> None:
        """`layers`: computing other than in the number format of the weights."""
        self._heads = weights.heads
        self._eps = weights.eps
        self._words, self._places, self._norm = weights.words, weights.places, weights.norm
        self._layers = layers if layers is not None else [FloatLayer(layer, weights) for layer in weights.layers]
        self._bias = RelativeBias(weights.relative) if weights.relative is not None else None

    def pooled(self, ids: Tensor, lengths: list[int], modes: str, skip: int) -> Tensor:
        """float32 [rows, width × modes] of rows given as int32 ids [tokens] and their lengths."""
        runs = groups(lengths)
        spare = -len(ids) % _step(len(ids))
        hidden = self.hidden(functional.pad(ids, (0, spare)) if spare else ids, runs)
        return torch.cat([self._pool(hidden, run, modes, skip) for run in runs])

    def hidden(self, ids: Tensor, runs: list[Group]) -> Tensor:
        """What the last layer gives for int32 ids [tokens]: [tokens, width]. Tokens behind the last row are allowed."""
        hidden = self._embeddings(ids, runs)
        for layer in self._layers:
            hidden = layer(hidden, runs, self._heads, self._bias)
        return hidden

    def _embeddings(self, ids: Tensor, runs: list[Group]) -> Tensor:
        """Word and position embeddings of all tokens, normalised: [tokens, width]."""
        places = torch.zeros(len(ids), dtype=torch.int64)
        for first, rows, length in runs:
            places[first : first + rows * length].view(rows, length)[:] = torch.arange(length)
        summed = functional.embedding(ids, self._words) + functional.embedding(places, self._places)
        return normed(summed, self._norm, self._eps)

    @staticmethod
    def _pool(hidden: Tensor, run: Group, modes: str, skip: int) -> Tensor:
        first, rows, length = run
        block = hidden[first : first + rows * length].view(rows, length, -1)
        if modes == "mean" and not skip:
            return block.mean(dim=1, dtype=torch.float32)
        return pool(block, torch.full((rows,), length), modes, skip=skip)


class FloatLayer:
    """One transformer layer with its weights laid out for the CPU."""

    def __init__(self, layer: LayerWeights, weights: BertWeights) -> None:
        self.qkv = PackedLinear(*qkv_linear(layer, weights.heads))
        self.out = PackedLinear(*layer.out)
        self.up = PackedLinear(*layer.up, weights.act)
        self.down = PackedLinear(*layer.down)
        self.norm, self.last_norm, self.eps = layer.norm, layer.last_norm, weights.eps

    def __call__(self, hidden: Tensor, runs: list[Group], heads: int, bias: RelativeBias | None) -> Tensor:
        """[tokens, width] → [tokens, width]."""
        mixed = attend(self.qkv(hidden), hidden, runs, heads, bias)
        hidden = normed(self.out.plus(mixed, hidden), self.norm, self.eps)
        return normed(self.down.plus(self.up(hidden), hidden), self.last_norm, self.eps)


def qkv_linear(layer: LayerWeights, heads: int) -> Linear:
    """Query, key and value as one linear layer: weight [3·width, width], bias [3·width].

    The factor 1/√(head size) of the scores is put into the query's weights, in float32.
    """
    scale = (layer.query[0].shape[0] // heads) ** -0.5
    parts = (tuple(_scaled(tensor, scale) for tensor in layer.query), layer.key, layer.value)
    return torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])


def attend(qkv: Tensor, like: Tensor, runs: list[Group], heads: int, bias: RelativeBias | None) -> Tensor:
    """Self-attention of every row within itself: qkv [tokens, 3·width] → [tokens, width], as `like`."""
    mixed = torch.empty_like(like)
    end = 0
    for first, rows, length in runs:
        end = first + rows * length
        _attend(qkv[first:end], mixed[first:end], rows, length, heads, bias)
    mixed[end:] = 0
    return mixed


def normed(hidden: Tensor, norm: Norm, eps: float) -> Tensor:
    """Layer normalisation over the last dimension."""
    return functional.layer_norm(hidden, hidden.shape[-1:], norm[0], norm[1], eps)


def _scaled(tensor: Tensor, scale: float) -> Tensor:
    return (tensor.float() * scale).to(tensor.dtype)


def _attend(qkv: Tensor, into: Tensor, rows: int, length: int, heads: int, bias: RelativeBias | None) -> None:
    """Self-attention of `rows` rows of `length` tokens: qkv [rows·length, 3·width] → into [rows·length, width]."""
    size = into.shape[1] // heads
    parts = qkv.view(rows, length, 3, heads, size)
    target = into.view(rows, length, heads, size)
    extra = bias(length) if bias is not None else None
    for begin, end in _row_blocks(rows, length, heads):
        block = parts[begin:end].permute(2, 0, 3, 1, 4)
        if into.dtype == torch.float32:
            query, key, value = block
            mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=extra, scale=1.0)
        else:
            mixed = _products(block, extra)
        target[begin:end] = mixed.transpose(1, 2)


def _products(block: Tensor, extra: Tensor | None) -> Tensor:
    """Attention as two batched products; in bf16 faster on CPUs than PyTorch's fused kernel.

    Args:
        block: [3, rows, heads, length, head size]. Copied at once: products of scattered heads are slower.
    """
    _, rows, heads, length, size = block.shape
    wide = _width(length)
    if wide == length:
        laid = block.contiguous()
    else:
        laid = block.new_zeros(3, rows, heads, wide, size)
        laid[..., :length, :] = block
    query, key, value = laid.view(3, rows * heads, wide, size)
    scores = torch.bmm(query, key.transpose(1, 2))
    if extra is not None:
        scores.view(rows, heads, wide, wide)[..., :length, :length].add_(extra)
    scores[..., length:] = float("-inf")
    return torch.bmm(torch.softmax(scores, dim=-1), value).view(rows, heads, wide, size)[..., :length, :]


def _width(length: int) -> int:
    """Tokens that attention to rows of `length` is computed for.

    oneDNN makes a program of half a megabyte for every new shape of a product and keeps a thousand of them; so there
    should be few shapes. The softmax is faster on whole vectors, too.
    """
    step = 8 if length <= 32 else 16
    return -(-length // step) * step


def _row_blocks(rows: int, length: int, heads: int) -> Iterator[tuple[int, int]]:
    """Cut rows into blocks of a power of two, so that few different shapes have to be prepared by oneDNN."""
    most = max(_SCORES // (heads * length * length), 1)
    size = 1 << (most.bit_length() - 1)
    begin = 0
    while begin < rows:
        while size > rows - begin:
            size >>= 1
        yield begin, begin + size
        begin += size


class RelativeBias:
    """MPNet's bias of the scores by distance, made once for the longest row."""

    def __init__(self, table: Tensor) -> None:
        self._table = table
        self._made = torch.empty(1, table.shape[1], 0, 0, dtype=table.dtype)

    def __call__(self, length: int) -> Tensor:
        """[1, heads, length, length]."""
        if self._made.shape[-1] < length:
            buckets = relative_bucket(max(length, 128), self._table.shape[0]).to(self._table.device)
            self._made = functional.embedding(buckets, self._table).permute(2, 0, 1)[None].contiguous()
        return self._made[:, :, :length, :length]
