"""The contrastive loss against the plain formula."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import given, settings
from hypothesis import strategies as st

from training.losses import equal_entries, held_out_recall, pair_loss, softmax_loss


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=12))
def test_equal_entries_are_exactly_those_that_share_a_text(texts):
    query = np.array([q for q, _ in texts], dtype=np.int64)
    positive = np.array([p for _, p in texts], dtype=np.int64)
    rows, columns = equal_entries((query, positive))
    expected = {
        (i, j)
        for i in range(len(texts))
        for j in range(len(texts))
        if i != j and {query[i], positive[i]} & {query[j], positive[j]}
    }
    assert set(zip(rows.tolist(), columns.tolist(), strict=True)) == expected


def test_loss_and_gradients_equal_two_cross_entropies():
    torch.manual_seed(3)
    a, b = (torch.randn(20, 8, requires_grad=True) for _ in range(2))
    keys = np.array([7, 7, *range(100, 118)]), np.arange(200, 220)
    equal = equal_entries(keys)
    loss = softmax_loss(a, b, equal, 0.05)
    scores = F.normalize(a, dim=1) @ F.normalize(b, dim=1).T / 0.05
    scores = scores.index_put(tuple(torch.from_numpy(e) for e in equal), torch.tensor(-1e4))
    own = torch.arange(20)
    plain = (F.cross_entropy(scores, own) + F.cross_entropy(scores.T, own)) / 2
    assert loss.item() == pytest.approx(plain.item(), rel=1e-5)
    for fast, slow in zip(torch.autograd.grad(loss, [a, b]), torch.autograd.grad(plain, [a, b]), strict=True):
        torch.testing.assert_close(fast, slow, rtol=1e-4, atol=1e-6)


def test_short_vectors_take_part_in_the_loss():
    torch.manual_seed(3)
    a = torch.randn(6, 8)
    b = a.clone()
    b[:, :2] = -a[:, :2]
    keys = np.arange(6), np.arange(10, 16)
    assert pair_loss(a, b, keys, 0.05, 2) > pair_loss(a, b, keys, 0.05, 0)


def test_held_out_recall_counts_first_places():
    queries = torch.eye(4)
    passages = torch.eye(4)[[0, 1, 3, 2]]
    assert held_out_recall(queries, passages) == 0.5
