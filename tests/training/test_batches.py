"""Batches: every row once, like lengths together, restartable order."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from training.batches import pair_batches, token_tensors
from training.data import PairSet, Ragged
from training.static import drop_tokens


def ragged(lengths):
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Ragged(np.arange(5, 5 + offsets[-1]).astype(np.uint16), offsets, np.arange(len(lengths), dtype=np.int64))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=40), st.integers(1, 20), st.integers(20, 200))
def test_every_row_comes_once_with_its_own_tokens(lengths, limit, per_call):
    texts = ragged(lengths)
    rows = np.random.default_rng(len(lengths)).permutation(len(lengths)).astype(np.int64)
    seen = []
    for places, ids, mask in token_tensors(texts, rows, limit, (2, 3), per_call):
        seen += places.tolist()
        for place, row_ids, row_mask in zip(places, ids, mask, strict=True):
            content = texts.row(rows[place])[:limit].tolist()
            assert row_ids[row_mask].tolist() == [2, *content, 3]
            assert not row_ids[~row_mask].any()
    assert sorted(seen) == list(range(len(rows)))


def pairs(n):
    texts = ragged([3] * n)
    source = np.repeat(np.arange(4), n // 4).astype(np.int16)
    return PairSet(texts, texts, source, np.full(n, 1.0, dtype=np.float32), ["a", "b", "c", "d"])


def test_one_source_share_makes_homogeneous_batches_and_the_order_is_repeatable():
    data = pairs(400)
    first = list(itertools.islice(pair_batches(data, 10, 1.0, seed=1), 40))
    again = list(itertools.islice(pair_batches(data, 10, 1.0, seed=1), 40))
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert sorted(np.concatenate(first).tolist()) == list(range(400))
    assert sum(len(set(data.source[rows])) == 1 for rows in first) == 40
    mixed = itertools.islice(pair_batches(data, 10, 0.0, seed=1), 40)
    assert sum(len(set(data.source[rows])) > 1 for rows in mixed) > 30


def test_dropping_tokens_keeps_every_text():
    flat = np.arange(100, dtype=np.int64)
    offsets = np.array([0, 1, 1, 50, 100], dtype=np.int64)
    kept, ends = drop_tokens(flat, offsets, 0.9, np.random.default_rng(0))
    assert (np.diff(ends) > 0).tolist() == [True, False, True, True]
    assert len(kept) == ends[-1] < 50
    assert kept[0] == 0 and kept[ends[2]] == 1 and kept[ends[3]] == 50
