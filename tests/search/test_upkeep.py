"""Deleting, compacting, the text index, tuning: each in its own process, while readers go on."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from tests.search import making
from workbench.core.errors import UsageError
from workbench.search import upkeep
from workbench.search.searcher import Searcher
from workbench.search.values import Query


@pytest.fixture(scope="module")
def made(tmp_path_factory, maker):
    """A collection with a text index; the process that builds it is started once."""
    path = making.make(tmp_path_factory.mktemp("made") / "a.collection", maker)
    upkeep.build_text_index(path)
    return path


@pytest.fixture
def path(made, tmp_path):
    return shutil.copytree(made, tmp_path / "a.collection")


def chunk_ids(path) -> set[str]:
    searcher = Searcher([path])
    answer = searcher.answer(Query(vector=np.ones(making.DIM, np.float32).tobytes(), k=99))
    return {hit.chunk_id for hit in answer}


def test_deletions_are_seen_by_the_next_search_of_an_open_searcher(path):
    searcher = Searcher([path])
    query = Query("gzip", mode="lexical")
    assert [hit.chunk_id for hit in searcher.answer(query)] == ["c0"]
    done = upkeep.delete(path, "doc = 'd0' or year = 1909")
    assert (done.matched, done.deleted, done.left) == (3, 3, 7)
    searcher._refresh()
    assert len(searcher.answer(query)) == 0
    assert chunk_ids(path) == {f"c{n}" for n in range(2, 9)}
    assert upkeep.delete(path, "doc = 'd0'").matched == 0


def test_a_dry_run_deletes_nothing(path):
    assert upkeep.delete(path, "year > 0", really=False).matched == 10
    assert len(chunk_ids(path)) == 10


def test_compaction_takes_the_rows_out_and_mends_the_indexes(path):
    upkeep.delete(path, "year < 1902")
    done = upkeep.compact(path)
    assert (done.shards, done.rows) == (1, 2)
    assert chunk_ids(path) == {f"c{n}" for n in range(2, 10)}
    searcher = Searcher([path])
    assert [hit.chunk_id for hit in searcher.answer(Query("rivers", mode="lexical"))] == ["c2"]
    assert upkeep.compact(path).shards == 0


def test_a_collection_that_is_being_written_is_left_alone(path, maker):
    writer = making.open_writer(path, maker)
    for action in (lambda: upkeep.delete(path, "year = 1900"), lambda: upkeep.compact(path)):
        with pytest.raises(UsageError, match="in use"):
            action()
    writer.close()


def test_tuning_tries_kinds_and_leaves_nothing_behind(path):
    before = sorted(file.name for file in (path / "ann").glob("*"))
    trials = upkeep.tune_index(path, ["Flat", "SQ8", "Nonsense"], 1000)
    assert [trial.kind for trial in trials] == ["Flat", "SQ8", "Nonsense"]
    assert trials[0].recall_at_10 == 1.0 and trials[0].p50_ms > 0 and trials[1].recall_at_10 > 0.9
    assert "cannot make an index" in trials[2].trouble
    assert sorted(file.name for file in (path / "ann").glob("*")) == before


def test_tuning_leaves_deleted_rows_out_of_the_truth(path):
    upkeep.delete(path, "year < 1905")
    for trial in upkeep.tune_index(path, ["Flat", "SQ8"], 1000):
        assert trial.recall_at_10 == 1.0 and trial.rows == len(making.TEXTS) - 5
