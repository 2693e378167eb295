"""Batches whose texts must fit into a slot."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from workbench.engine.prepare import _cut, fitting


@given(st.lists(st.integers(0, 50), min_size=1, max_size=40), st.integers(50, 120))
def test_batches_are_halved_until_their_texts_fit(sizes, most):
    texts = [b"x" * size for size in sizes]
    rows = np.arange(len(sizes))
    found = fitting([rows], texts, most)
    assert np.concatenate(found).tolist() == rows.tolist()
    assert all(sum(sizes[row] for row in part) <= most for part in found)


def test_without_a_limit_or_texts_nothing_changes():
    batches = [np.arange(3)]
    assert fitting(batches, [], 10) is batches and fitting(batches, [b"x" * 99] * 3, 0) is batches


@given(st.text(), st.integers(1, 30))
def test_a_cut_text_ends_between_two_characters(text, most):
    cut = _cut(text.encode(), most)
    assert len(cut) <= most and text.startswith(cut.decode())
