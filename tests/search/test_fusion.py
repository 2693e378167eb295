from __future__ import annotations

import numpy as np
import pytest

from workbench.search import fusion


def test_coverage_adds_two_shares():
    fused = fusion.coverage(np.array([1.0, 0.5, 0.2]), 0.2, np.array([0.0, 6.0, 12.0]), 12.0)
    assert fused == pytest.approx([1.0, 0.375 + 0.5, 1.0])


def test_coverage_does_not_depend_on_how_narrow_the_cone_of_a_model_is():
    wide = fusion.coverage(np.array([0.6, 0.2]), 0.0, np.array([0.0, 3.0]), 10.0)
    narrow = fusion.coverage(np.array([0.9, 0.8]), 0.75, np.array([0.0, 3.0]), 10.0)  # the same, squeezed by 4
    assert narrow == pytest.approx(wide)


def test_words_the_collection_does_not_have_leave_the_decision_to_the_vectors():
    cosines, bm25 = np.array([0.6, 0.4]), np.array([0.0, 2.0])
    assert fusion.coverage(cosines, 0.0, bm25, 4.0).argmax() == 1
    assert fusion.coverage(cosines, 0.0, bm25, 40.0).argmax() == 0  # most of the query is unknown words


def test_coverage_without_any_information_is_dense():
    assert fusion.coverage(np.array([0.1, 0.3]), 0.0, np.zeros(2), 0.0).argmax() == 1


def test_reciprocal_ranks_as_published():
    dense, lexical = np.array([0.9, 0.8, -np.inf]), np.array([-np.inf, 7.0, 9.0])
    assert fusion.reciprocal(dense, lexical) == pytest.approx([1 / 61, 1 / 62 + 1 / 62, 1 / 61])
