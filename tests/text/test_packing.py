"""Packing: every row once, budgets kept, little padding."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.text.packing import pack, padding_share

LENGTHS = st.lists(st.integers(1, 600), max_size=300).map(lambda v: np.array(v, np.int32))


@given(LENGTHS, st.integers(1, 5000), st.integers(1, 100))
@settings(max_examples=200, deadline=None)
def test_tokens_every_row_once_within_budget(lengths, budget, max_rows):
    batches = pack(lengths, budget, max_rows)
    rows = np.concatenate(batches) if batches else np.zeros(0, int)
    assert sorted(rows) == list(range(len(lengths)))
    firsts = [int(lengths[batch[0]]) for batch in batches]
    assert firsts == sorted(firsts, reverse=True)
    for batch in batches:
        inside = lengths[batch]
        assert len(batch) <= max_rows
        assert len(batch) == 1 or len(batch) * inside.max() <= budget
        assert list(inside) == sorted(inside, reverse=True)


@given(LENGTHS, st.integers(1, 64), st.integers(1, 100))
@settings(max_examples=100, deadline=None)
def test_rows_keep_source_order_between_batches(lengths, rows, max_rows):
    batches = pack(lengths, rows, max_rows, "rows")
    size = min(rows, max_rows)
    for number, batch in enumerate(batches):
        assert sorted(batch) == list(range(number * size, min((number + 1) * size, len(lengths))))
        assert list(lengths[batch]) == sorted(lengths[batch], reverse=True)
    assert sum(map(len, batches)) == len(lengths)


@pytest.mark.parametrize("shape", ["lognormal", "uniform", "two kinds", "nearly equal"])
def test_padding_of_a_unit_stays_under_two_percent(shape):
    rng = np.random.default_rng(3)
    lengths = {
        "lognormal": np.clip(rng.lognormal(4.5, 0.8, 8192), 3, 512),
        "uniform": rng.integers(3, 513, 8192),
        "two kinds": np.where(rng.random(8192) < 0.5, 8, 500) + rng.integers(0, 6, 8192),
        "nearly equal": rng.integers(120, 131, 8192),
    }[shape].astype(np.int32)
    batches = pack(lengths, 16384, 1024)
    assert padding_share(lengths, batches) <= 0.02
    # … and not by falling apart into small batches: few more than the tokens need.
    assert len(batches) <= 1.25 * lengths.sum() / 16384 + 8


def test_a_row_over_the_budget_stands_alone():
    batches = pack(np.array([10, 900, 10], np.int32), 100, 64)
    assert [list(batch) for batch in batches] == [[1], [0, 2]]


def test_wrong_use_is_refused():
    lengths = np.array([1], np.int32)
    for arguments in ((0, 1, "tokens"), (1, 0, "tokens"), (1, 1, "words")):
        with pytest.raises(ValueError, match=r"must be at least 1|neither"):
            pack(lengths, *arguments)


@given(LENGTHS, st.integers(1, 5000), st.integers(1, 100))
@settings(max_examples=200, deadline=None)
def test_without_padding_only_real_tokens_count(lengths, budget, max_rows):
    batches = pack(lengths, budget, max_rows, pads=False)
    assert sorted(np.concatenate(batches) if batches else []) == list(range(len(lengths)))
    for batch, following in zip(batches, [*batches[1:], None][: len(batches)], strict=True):
        inside = lengths[batch]
        assert len(batch) <= max_rows
        assert len(batch) == 1 or inside.sum() <= budget
        assert list(inside) == sorted(inside, reverse=True)
        if following is not None:  # no batch ends before it is full
            assert len(batch) == max_rows or inside.sum() + lengths[following[0]] > budget
