"""Several collections searched as one: ranks among all rows, columns that only some have."""

from __future__ import annotations

import numpy as np
import pytest

from tests.search import making
from tests.search.test_searcher import with_text
from workbench.collection import text_build
from workbench.core.errors import UsageError
from workbench.search.searcher import Searcher
from workbench.search.values import Query


@pytest.fixture
def two(tmp_path, maker):
    """A collection of much about gulls, one of little; only the second has the column `note`."""
    texts = [f"gull {'gull ' * n}" for n in range(6)] + making.TEXTS[:8]
    first = with_text(making.make(tmp_path / "one", maker, texts, unit_rows=20), maker)
    writer = making.open_writer(tmp_path / "two", maker)
    rows = making.table(["one gull far out at sea", "nothing of it"], 90, {"note": ["good", None]})
    making.add_unit(writer, 0, rows, maker.embed(rows.column("text").to_pylist()))
    text_build.update(writer)
    writer.close()
    return Searcher([first, tmp_path / "two"], threads=1)


def test_ranks_are_those_among_the_rows_of_all_collections(two, maker):
    vector = maker.embed(["gull gull gull"])[0].astype(np.float32).tobytes()
    answer = two.answer(Query("gull", vector=vector, fusion="reciprocal", k=16))
    assert len(answer) == 16
    dense, lexical = (sorted(-(getattr(hit, name) or 0.0) for hit in answer) for name in ("dense", "lexical"))
    for hit in answer:
        expected = 1 / (61 + dense.index(-hit.dense))
        expected += 1 / (61 + lexical.index(-hit.lexical)) if hit.lexical is not None else 0
        assert hit.score == pytest.approx(expected)
    alone = Searcher([two._parts[0].collection.path], threads=1)
    assert alone.answer(Query("gull", vector=vector, fusion="reciprocal", k=3))[0].chunk_id == "c2"


def test_a_column_that_one_collection_has_is_null_in_the_others(two, maker):
    vector = maker.embed(["gull"])[0].astype(np.float32).tobytes()

    def ask(where):
        return {hit.chunk_id for hit in two.answer(Query(vector=vector, where=where, k=20, fold=False))}

    assert ask("note = 'good'") == {"c90"}
    assert ask("year = 1902 or note = 'good'") == {"c2", "c90"}
    assert ask("note is null") == {*(f"c{n}" for n in range(14)), "c91"}
    assert ask("note like 'g%' or note glob 'g*'") == {"c90"}
    with pytest.raises(UsageError, match=r"no field 'nope'\. The fields are: .*year.*note"):
        ask("nope = 1")
    writer = making.open_writer(two._parts[0].collection.path, maker)
    making.add_unit(writer, 5, making.table(["new"], 50, {"late": [7]}), maker.embed(["new"]))
    writer.close()
    two._refresh()
    assert ask("late = 7") == {"c50"} and ask("note = 'good'") == {"c90"}
