"""Chunks before and after a hit: those that follow on one another in the document, and no others."""

from __future__ import annotations

import numpy as np
import pytest

from tests.search import making
from workbench.collection.compact import compacted
from workbench.collection.gaps import gaps_of, with_gaps
from workbench.collection.reader import Collection
from workbench.collection.store import Store
from workbench.collection.writer import CollectionWriter
from workbench.search.searcher import Searcher
from workbench.search.values import Query

TEXTS = making.TEXTS


def around(path, maker, text: str, count: int = 9) -> tuple[tuple[str, ...], tuple[str, ...]]:
    vector = maker.embed([text])[0].astype(np.float32).tobytes()
    hit = Searcher([path], threads=1).answer(Query(vector=vector, k=1, neighbours=count))[0]
    assert hit.text == text
    return hit.before, hit.after


def of_one(texts, first=0):
    rows = making.table(texts, first)
    return rows.set_column(1, "doc_id", [["one"] * len(texts)])


def whole(path, maker, units: int = 2):
    """One document of ten chunks, in units of five."""
    writer = making.open_writer(path, maker)
    for unit in range(units):
        part = TEXTS[unit * 5 : unit * 5 + 5]
        making.add_unit(writer, unit, of_one(part, unit * 5), maker.embed(part))
    writer.close()
    return path


def compact(path) -> None:
    store = Store(path)
    store.publish(compacted(store, store.load(), lambda *_: None)[0])


def delete(path, rows) -> None:
    store = Store(path)
    CollectionWriter(store, store.load(), None).delete(rows)


def test_neighbours_come_from_the_same_document_across_shards(tmp_path, maker):
    texts = making.TEXTS[:6]
    writer = making.open_writer(tmp_path / "c", maker)
    for unit in (1, 0):  # committed in the wrong order, as workers finish
        rows = making.table(texts[unit * 3 : unit * 3 + 3], unit * 3)
        rows = rows.set_column(1, "doc_id", [["one"] * 3 if unit == 0 else ["one", "one", "two"]])
        making.add_unit(writer, unit, rows, maker.embed(texts[unit * 3 : unit * 3 + 3]))
    writer.close()
    searcher = Searcher([tmp_path / "c"])
    vector = maker.embed([texts[3]])[0].astype(np.float32).tobytes()
    hit = searcher.answer(Query(vector=vector, k=1, neighbours=2))[0]
    assert (hit.before, hit.text, hit.after) == (tuple(texts[1:3]), texts[3], (texts[4],))


def test_rows_that_were_cut_out_leave_a_gap(tmp_path, maker):
    path = whole(tmp_path / "c", maker)
    assert around(path, maker, TEXTS[3]) == (tuple(TEXTS[:3]), tuple(TEXTS[4:]))
    for gone in ({0: [2], 1: [0]}, None):  # deleted, and then compacted
        if gone:
            delete(path, gone)
        else:
            compact(path)
        assert around(path, maker, TEXTS[3]) == ((), (TEXTS[4],))
        assert around(path, maker, TEXTS[1]) == ((TEXTS[0],), ())
        assert around(path, maker, TEXTS[6]) == ((), tuple(TEXTS[7:]))
    number = Store(path).load().shards[1].number
    delete(path, {number: [3]})  # the last
    compact(path)  # the gap of before stays known
    assert around(path, maker, TEXTS[6]) == ((), tuple(TEXTS[7:9]))
    with Collection.open(path) as collection:
        assert [collection.follows(1, row) for row in range(4)] == [False, True, True, False]


@pytest.mark.parametrize("noted", [True, False])
def test_an_update_writes_only_what_has_changed(tmp_path, maker, noted):
    """Of units of five rows 0, 1 and 4 are new, and all of the next; the others stay where they were."""
    identity = {"source": "made", "update": "7"}
    spec = maker.spec
    writer = CollectionWriter.open(tmp_path / "c", spec.identity, spec.dim, "float16", identity, "made")
    for unit, rest in ((0, [0, 1, 4]), (1, [0, 1, 2, 3, 4])):
        texts = [TEXTS[unit * 5 + row] for row in rest]
        rows = of_one(texts, unit * 5)
        rows = with_gaps(rows, np.array(rest), 5) if noted else rows
        making.add_unit(writer, unit, rows, maker.embed(texts))
    writer.close()
    for text, before, after in ((1, [0], []), (4, [], [5, 6, 7, 8, 9]), (6, [5, 4], [7, 8, 9])):
        expected = (tuple(TEXTS[n] for n in reversed(before)), tuple(TEXTS[n] for n in after))
        assert around(tmp_path / "c", maker, TEXTS[text]) == (expected if noted else ((), ()))
    number = Store(tmp_path / "c").load().shards[0].number
    delete(tmp_path / "c", {number: [0]})
    compact(tmp_path / "c")
    assert around(tmp_path / "c", maker, TEXTS[1]) == ((), ())
    assert around(tmp_path / "c", maker, TEXTS[4], 1) == ((), (TEXTS[5],) if noted else ())


def test_gaps_are_noted_beside_what_is_known_already():
    rows = making.table(TEXTS[:4]).replace_schema_metadata({b"own": b"x"})
    assert gaps_of(rows.schema) is None
    assert gaps_of(with_gaps(rows, np.arange(4), 4).schema) == frozenset()
    noted = with_gaps(rows, np.array([1, 2, 3, 6]), 7, known=(2, 5))
    assert gaps_of(noted.schema) == {0, 1, 3} and noted.schema.metadata[b"own"] == b"x"
    assert gaps_of(with_gaps(rows, np.arange(4), 4, known=(0, 4)).schema) == {0, 4}
    assert gaps_of(with_gaps(rows.slice(0, 0), np.array([], np.intp), 3).schema) == {0}
