"""Searches of many queries in an index with many lists: in parts, and what one search of all finds."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.collection import index_kinds
from workbench.collection.faiss_untyped import faiss
from workbench.collection.index_kinds import candidates, create, resolve, selecting

RNG = np.random.default_rng(0)
VECTORS = RNG.standard_normal((3000, 32), dtype=np.float32)


class Counted:
    """An index that notes how many queries come at once."""

    def __init__(self, index):
        self.index, self.asked, self.d = index, [], index.d

    def search(self, queries, n, params=None):
        self.asked.append(len(queries))
        return self.index.search(queries, n, params=params)


@pytest.mark.parametrize("kind", ["IVF-RaBitQ", "PQ", "SQ8"])
def test_parts_find_what_one_search_finds(kind, monkeypatch):
    index = create(resolve(kind, len(VECTORS), 32), 32)
    index.train(VECTORS)
    index.add(VECTORS)
    whole = index.search(VECTORS[:50], 20)[1]
    monkeypatch.setattr(index_kinds, "_TABLES", 4 * 32 * 7)  # seven queries of one list
    assert (candidates(index, VECTORS[:50], 20) == whole).all()
    assert candidates(index, VECTORS[:0], 20).shape == (0, 20)


def test_no_table_is_larger_than_it_may_be(monkeypatch):
    """200 queries of 2,048 values and 2,048 lists took 0.9 GB at once."""
    index = create(resolve("IVF", len(VECTORS), 32), 32)
    index.train(VECTORS)
    index.add(VECTORS)
    inside, counted = index_kinds.inverted(index), Counted(index)
    monkeypatch.setattr(index_kinds, "inverted", lambda _: inside)
    index_kinds.set_effort(index, 16)
    monkeypatch.setattr(index_kinds, "_TABLES", 4 * 32 * 16 * 10)
    candidates(counted, VECTORS[:25], 5)
    assert counted.asked == [10, 10, 5]
    counted.asked.clear()
    params, _kept = selecting(index, np.ones(len(VECTORS), np.bool_), 64)
    candidates(counted, VECTORS[:25], 5, params)
    assert max(counted.asked) == 2 and sum(counted.asked) == 25
    assert isinstance(params, faiss.SearchParametersIVF)
