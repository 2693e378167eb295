"""`from workbench import open_collection`, as somebody types it in a notebook."""

from __future__ import annotations

import subprocess
import sys
import threading

import numpy as np
import psutil
import pytest

import workbench
from tests.search import making
from workbench import open_collection
from workbench.core.errors import UsageError
from workbench.search import upkeep


def test_importing_the_package_loads_nothing():
    code = "import sys, workbench; print(sorted(n for n in sys.modules if n.startswith('workbench')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['workbench']" or "workbench.search" not in done.stdout
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = workbench.nonsense


def test_search_with_every_option(collection, model_folder, maker):
    upkeep.build_text_index(collection)
    with open_collection(str(collection), model=str(model_folder)) as books:
        answer = books.search(making.TEXTS[5], k=2, where="year > 1900", neighbours=1)
        assert answer[0].chunk_id == "c5" and answer.mode == "hybrid"
        assert answer[0].before == (making.TEXTS[4],) and answer[0].after == ()  # c6 is of another document
        vector = maker.embed([making.TEXTS[2]])[0]
        assert books.search(vector=vector, k=1)[0].chunk_id == "c2"
        assert books.search(vector=vector.astype(np.float64).tolist(), k=1)[0].chunk_id == "c2"
        assert "c5" not in [hit.chunk_id for hit in books.search(like="c5", k=3)]
        assert [answer[0].text for answer in books.search_many(making.TEXTS, k=1)] == making.TEXTS
        assert books.info().chunks == len(making.TEXTS) and books.info().text
        with pytest.raises(UsageError, match="no field 'yeer'"):
            books.search("x", where="yeer = 3")
        with pytest.raises(UsageError, match="finite numbers"):
            books.search(vector=[[1.0]])


def test_it_is_safe_from_several_threads_and_forgetting_it_ends_the_processes(collection, model_folder):
    held = [open_collection([collection], model=str(model_folder))]
    found: dict[int, str] = {}

    def look(n: int) -> None:
        for _ in range(3):
            found[n] = held[0].search(making.TEXTS[n], k=1, mode="dense")[0].text

    threads = [threading.Thread(target=look, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [found[n] for n in range(6)] == making.TEXTS[:6]
    pids = {held[0]._service._encoder.pid, held[0]._service._searcher.pid}
    held.clear()
    assert not pids & {child.pid for child in psutil.Process().children(recursive=True)}


def test_nothing_named_and_nothing_there(tmp_path):
    with pytest.raises(UsageError, match="no collection was named"):
        open_collection([])
    with pytest.raises(UsageError, match="no such collection"):
        open_collection(tmp_path / "nowhere")


def test_readers_see_whole_generations_while_a_writer_commits(collection, model_folder, maker):
    """Every answer has all rows of some generation: a writer adds three equal texts at a time."""
    with open_collection(collection, model=str(model_folder)) as books:
        stop, wrong = threading.Event(), []

        def read() -> None:
            while not stop.is_set():
                hits = books.search("a text that comes in threes", k=100, mode="dense", fold=False)
                count = sum(hit.text == "a text that comes in threes" for hit in hits)
                wrong.extend([count] if count % 3 else [])

        reader = threading.Thread(target=read)
        reader.start()
        writer = making.open_writer(collection, maker)
        for unit in range(50, 60):
            texts = ["a text that comes in threes"] * 3
            making.add_unit(writer, unit, making.table(texts, unit * 10), maker.embed(texts))
        writer.close()
        stop.set()
        reader.join(60)
        assert wrong == []
        hits = books.search("a text that comes in threes", k=100, mode="dense", fold=False)
        assert sum(hit.text == "a text that comes in threes" for hit in hits) == 30
