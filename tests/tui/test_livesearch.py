"""The thread behind the Search room, over the real service and over one that takes as long as the test says."""

from __future__ import annotations

import threading

import pyarrow as pa
import pytest

from tests.cli.made import make_collection
from tests.search import making
from workbench.collection.reader import Collection
from workbench.core.errors import RunFailed
from workbench.search import service, upkeep
from workbench.tui.bridge import HitView, SearchAnswer, SearchQuery
from workbench.tui.livesearch import LiveSearch


class SlowService:
    """Loads until it is closed, as one whose model is large; a closed one says so as the real one does."""

    def __init__(self) -> None:
        self.loading, self.closed = threading.Event(), threading.Event()

    def warm(self) -> tuple[str, ...]:
        self.loading.set()
        self.closed.wait()
        raise RunFailed("the search was closed")

    def close(self) -> None:
        self.closed.set()


def test_leaving_does_not_wait_for_a_model_that_loads(monkeypatch, tmp_path):
    slow = SlowService()
    monkeypatch.setattr(service, "SearchService", lambda collection: slow)
    search = LiveSearch()
    search.open(tmp_path)
    assert slow.loading.wait(60)
    assert search.state() == "loading the model …"
    search.close()
    assert slow.closed.is_set()
    assert not search._thread.is_alive()


@pytest.mark.parametrize("broken", ["no collection", "no model"])
def test_what_keeps_a_collection_from_opening_is_a_problem_not_a_state(tmp_path, broken):
    path = make_collection(tmp_path / "c") if broken == "no model" else tmp_path / "nowhere"
    search = LiveSearch()
    search.open(path)
    told: list[SearchAnswer] = []
    over = threading.Event()
    search.ask(SearchQuery("gzip"), lambda answer: (told.append(answer), over.set()))
    assert over.wait(120)
    assert search.state() == "closed"
    assert search.problem() == told[0].problem != ""
    search.open(path)
    assert search.problem() == ""
    search.close()


def test_neighbours_are_chunks_that_follow_and_were_not_deleted(tmp_path):
    maker = making.embedder(making.model(tmp_path / "model"))
    texts = making.TEXTS[:6]
    rows = making.table(texts)
    rows = rows.set_column(rows.column_names.index("doc_id"), "doc_id", pa.array(["one"] * len(texts)))
    writer = making.open_writer(tmp_path / "c", maker)
    making.add_unit(writer, 0, rows, maker.embed(texts))
    writer.close()
    search = LiveSearch()

    def around(number):
        collection = Collection.open(tmp_path / "c")
        ids = collection.rows(range(collection.ordinals), ["chunk_id"])["chunk_id"].to_pylist()
        row = ids.index(f"c{number}")
        shard = collection.shards[0].chunks.name
        hit = HitView(1, 1.0, f"c{number}", "", texts[number], doc_id="one", shard=shard, row=row,
                      collection=str(collection.path))
        return search._around(hit), hit

    assert around(1)[0] == (texts[0], texts[2])
    assert around(0)[0] == ("", texts[1])
    upkeep.delete(tmp_path / "c", "chunk_id = 'c2'")
    assert around(1)[0] == (texts[0], "") and around(3)[0] == ("", texts[4])
    _, old = around(3)
    upkeep.compact(tmp_path / "c")
    assert around(1)[0] == (texts[0], "") and around(3)[0] == ("", texts[4])
    assert search._around(old) == ("", "")  # its shard is gone
    search.close()
