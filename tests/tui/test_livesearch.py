"""The thread behind the Search room, over the real service and over one that takes as long as the test says."""

from __future__ import annotations

import threading

import pytest

from tests.cli.made import make_collection
from workbench.core.errors import RunFailed
from workbench.search import service
from workbench.tui.bridge import SearchAnswer, SearchQuery
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
