"""Attention in products whose shapes are rounded up, and tiles that are filled up: nothing of it shows in a vector."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.encoders.test_torch_encoder import encoder, rows
from workbench.core.activity import NullMeter
from workbench.encoders import packed_bert
from workbench.encoders.base import TokenBatch
from workbench.encoders.packed_bert import RelativeBias, attend, groups

HEADS, SIZE = 4, 8


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("lengths", [[1], [5, 5, 3], [40, 33, 33, 17, 16, 2], [250]])
def test_attention_in_bf16_equals_softmax_row_by_row(lengths, biased):
    torch.manual_seed(0)
    tokens = sum(lengths)
    qkv = torch.randn(tokens, 3 * HEADS * SIZE).bfloat16()
    bias = RelativeBias(torch.randn(32, HEADS).bfloat16()) if biased else None
    found = attend(qkv, qkv[:, : HEADS * SIZE], groups(lengths), HEADS, bias).float()
    first = 0
    for length in lengths:
        query, key, value = qkv[first : first + length].float().view(length, 3, HEADS, SIZE).permute(1, 2, 0, 3)
        scores = query @ key.transpose(1, 2)
        if bias is not None:
            scores += bias(length)[0].float()
        expected = (scores.softmax(-1) @ value).transpose(0, 1).reshape(length, -1)
        torch.testing.assert_close(found[first : first + length], expected, atol=0.1, rtol=0.02)
        first += length


def test_tokens_behind_the_last_row_touch_nothing():
    """Whatever stands in memory that is used again."""
    qkv = torch.full((24, 3 * HEADS * SIZE), float("nan"))
    qkv[:20] = 1.0
    found = attend(qkv, qkv[:, : HEADS * SIZE], groups([15, 5]), HEADS, None)
    assert torch.equal(found[:20], torch.ones(20, HEADS * SIZE)) and not found[20:].any()


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_a_row_s_vector_is_the_same_in_any_tile(model, dtype):
    engine = encoder(model("mpnet"), dtype=dtype)
    engine.load()
    whole = rows(*[63] * 9, 41, 17, 8, 5, 1)
    together = engine.submit(whole, NullMeter()).vectors()
    ends = np.cumsum(whole.lengths)
    for row, (end, length) in enumerate(zip(ends, whole.lengths, strict=True)):
        single = TokenBatch(whole.ids[end - length : end], np.array([length], np.int32))
        alone = engine.submit(single, NullMeter()).vectors()[0]
        assert float(alone @ together[row]) > (0.99999 if dtype == "fp32" else 0.9999)
    engine.close()


def test_few_shapes():
    widths = {packed_bert._width(length) for length in range(1, 513)}
    assert len(widths) == 34 and all(packed_bert._width(length) >= length for length in range(1, 513))
    assert packed_bert._step(8) == 1  # a query costs what its tokens cost
