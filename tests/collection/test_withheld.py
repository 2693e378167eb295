"""The list of what a person has deleted."""

import numpy as np
import pyarrow as pa
import pytest

from tests.collection.making import compact_now, made, open_writer
from workbench.collection import withheld
from workbench.collection.reader import Collection
from workbench.collection.row_keys import row_keys, text_keys
from workbench.collection.store import Store
from workbench.collection.verify import verify


@pytest.fixture
def path(tmp_path):
    return made(tmp_path / "c", units=3, rows=10)


def delete(path, rows):
    writer = open_writer(path)
    with Collection.open(path) as collection:
        writer.delete(rows, withheld.with_rows(Store(path), collection, rows))
    writer.close()


def on_the_list(path):
    """chunk ids of all rows of the shards that are on the list, as a worker would find."""
    store = Store(path)
    found = []
    with Collection.open(path) as collection:
        for _, table in collection.iter_chunks([*collection.schema().names]):
            hashes = table.column("content_hash").to_pylist()
            every = withheld.keys(store, store.load())
            mask = withheld.are_on(every, row_keys(table, hashes), text_keys(table, hashes))
            found += table.filter(pa.array(mask)).column("chunk_id").to_pylist()
    return found


def test_the_list_grows_with_deletions_and_outlives_compaction(path):
    assert len(withheld.keys(Store(path), Store(path).load())) == 0
    delete(path, {0: [1, 2]})
    before = Store(path).load()
    delete(path, {0: [3], 2: [9]})
    assert withheld.count(Store(path).load()) == 4
    # all rows of a unit of these collections have one document and one hash: one key of document and text each
    assert len(withheld.keys(Store(path), Store(path).load())) == 4 + 2
    assert len(withheld.keys(Store(path), before)) == 2 + 1  # files of a generation never change
    compact_now(path)
    assert Store(path).load().rows == 26 and withheld.count(Store(path).load()) == 4
    assert verify(path).whole


def test_both_keys_find_a_row(path):
    delete(path, {1: [4]})
    assert on_the_list(path) == [f"u1-{row}" for row in range(10)]  # same document, same hash
    store = Store(path)
    with Collection.open(path) as collection:
        table = collection.rows(np.flatnonzero(collection.alive()), [*collection.schema().names])
    staying = [text_keys(table, table.column("content_hash").to_pylist())]
    narrow = withheld.without(withheld.keys(store, store.load()), staying)
    assert len(narrow) == 1
    hashes = table.column("content_hash").to_pylist()
    assert not withheld.are_on(narrow, row_keys(table, hashes), text_keys(table, hashes)).any()


def test_keys_that_end_in_zeros_are_told_apart():
    keys = np.unique(np.array([b"a" * 15 + b"\0", b"a" * 14 + b"\0\0", b"\0" * 16], "S16"))
    assert len(keys) == 3 and np.array_equal(np.frombuffer(keys.tobytes(), "S16"), keys)
    assert withheld._has(keys, [b"\0" * 16, b"a" * 14 + b"\0\0", b"a" * 13 + b"\0\0\0"]).tolist() == [True, True, False]


def test_keys_differ_by_what_they_cover():
    table = pa.table({"chunk_id": ["a", "b"], "doc_id": ["d", "d"], "place": ["x:1", "x:2"], "year": [None, 3]})
    hashes = [b"h" * 16, b"h" * 16]
    assert len(set(text_keys(table, hashes))) == 1
    assert len(set(row_keys(table, hashes))) == 2
    assert row_keys(table.slice(0, 1).drop_columns("year"), hashes[:1]) == row_keys(table, hashes)[:1]
