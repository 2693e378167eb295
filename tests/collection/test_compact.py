"""Compaction: shards and indexes change in one step, or not at all."""

import multiprocessing
import os

import numpy as np
import pytest

from tests.collection.making import compact_now, delete_rows, indexed_with_deletions, made, open_writer
from workbench.collection import index_build, text_build
from workbench.collection.index_search import Searcher
from workbench.collection.reader import Collection
from workbench.collection.store import Store
from workbench.collection.text_index import is_current, open_text_index
from workbench.collection.verify import verify


@pytest.fixture
def path(tmp_path):
    return indexed_with_deletions(tmp_path / "c")


def whole(path):
    """Both indexes cover every shard and answer; returns the manifest."""
    with Collection.open(path) as collection:
        manifest = collection.manifest
        assert manifest.derivative("ann").shards == tuple(shard.number for shard in manifest.shards)
        assert is_current(manifest) and open_text_index(collection).search("text", 5).ordinals.size
        searcher = Searcher(collection)
        assert not searcher.notes
        rows = np.flatnonzero(collection.alive())[::20]
        assert (searcher.search(collection.gather(rows), 1)[0] > 0.99).all()
    return manifest


def test_one_manifest_has_the_new_shards_and_their_indexes(path):
    before = whole(path)
    assert compact_now(path).rows == 3
    after = whole(path)
    assert after.number == before.number + 1 and after.rows == before.rows
    assert all(not shard.deleted for shard in after.shards)
    names = {entry.name for part in before.derived for entry in part.files}
    assert not names & {entry.name for part in after.derived for entry in part.files}  # readers keep the old ones
    assert verify(path).whole


def test_files_of_later_indexes_never_take_the_name_of_one_in_use(path):
    compact_now(path)
    used = {entry.name for part in Store(path).load().derived for entry in part.files}
    writer = open_writer(path)
    writer.build_index("RaBitQ")
    assert not used & {entry.name for entry in writer.manifest.derivative("ann").files}
    writer.close()
    assert verify(path).whole


def _compact_and_die(path, module, name):
    modules = {"index": index_build, "text": text_build}
    setattr(modules[module], name, lambda *_, **__: os._exit(9))
    compact_now(path)


@pytest.mark.parametrize(("module", "name"), [("index", "build"), ("text", "build"), ("text", "_flushed")])
def test_a_kill_while_indexes_are_built_changes_nothing(path, module, name):
    before = whole(path)
    process = multiprocessing.get_context("spawn").Process(target=_compact_and_die, args=(path, module, name))
    process.start()
    process.join(60)
    assert process.exitcode == 9
    assert whole(path) == before
    assert compact_now(path).rows == 3
    assert whole(path).number == before.number + 1
    assert verify(path).whole


def test_a_collection_without_indexes_gets_none(tmp_path):
    path = made(tmp_path / "plain", units=2, rows=10)
    delete_rows(path, [0])
    assert compact_now(path).shards == 1
    assert Store(path).load().derived == ()
    assert compact_now(path).shards == 0
