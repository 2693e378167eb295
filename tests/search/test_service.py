"""The search service with its real processes, on collections whose texts find themselves."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from tests.search import making
from workbench.collection.writer import CollectionWriter
from workbench.core.errors import RunFailed, UsageError
from workbench.search.helper import Cancelled
from workbench.search.service import SearchService
from workbench.search.values import Query

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def service(collection, model_folder):
    """For tests that change the collection, or after which the service cannot be used."""
    with SearchService(collection, model=str(model_folder), threads=1) as service:
        yield service


@pytest.fixture(scope="module")
def place(tmp_path_factory, maker):
    return making.make(tmp_path_factory.mktemp("shared") / "a.collection", maker)


@pytest.fixture(scope="module")
def shared(place, model_folder):
    """One service for all tests that leave it as it was: it is two processes."""
    with SearchService(place, model=str(model_folder), threads=1) as service:
        yield service


def test_a_text_finds_itself_with_everything_known_of_it(shared, place):
    (answer,) = shared.search([Query(making.TEXTS[5], k=3, mode="dense")])
    hit = answer[0]
    assert (hit.rank, hit.chunk_id, hit.doc_id, hit.text) == (1, "c5", "d2", making.TEXTS[5])
    assert (hit.place, dict(hit.metadata), hit.collection) == ("notes/2.md:2", {"year": 1905}, str(place))
    assert (hit.shard, hit.row) == ("shards/00000001.chunks.parquet", 1)
    assert hit.score == pytest.approx(1.0, abs=2e-3)
    assert [one.score for one in answer] == sorted((one.score for one in answer), reverse=True)


def test_several_queries_are_answered_in_their_order_and_k_may_exceed_the_collection(shared):
    answers = shared.search([Query(text, k=50, mode="dense") for text in making.TEXTS])
    assert [answer[0].text for answer in answers] == making.TEXTS
    assert {len(answer) for answer in answers} == {len(making.TEXTS)}


def test_a_vector_can_be_given_instead_of_a_text(shared, maker):
    vector = maker.embed([making.TEXTS[2]])[0].astype(np.float32).tobytes()
    assert shared.search([Query(vector=vector, k=1)])[0][0].chunk_id == "c2"
    with pytest.raises(UsageError, match="has 3 float32 values"):
        shared.search([Query(vector=vector[:12])])


@pytest.mark.parametrize(("query", "said"), [
    (Query("x", like="c1"), "a text and a chunk to be like"),
    (Query(vector=bytes(64), like="c1"), "a vector and a chunk to be like"),
    (Query("  "), "the query is empty"), (Query("x", k=0), "k = 0"), (Query("x", mode="magic"), "no mode 'magic'"),
])
def test_wrong_queries_are_refused(shared, query, said):
    with pytest.raises(UsageError, match=said):
        shared.search([query])


def test_a_query_longer_than_the_model_takes_is_cut_and_that_is_said(shared):
    (answer,) = shared.search([Query("dog " * 200, k=1, mode="dense")])
    assert len(answer) == 1
    assert any("it was cut" in note and "64" in note for note in answer.notes)


def test_what_a_writer_commits_is_found_by_the_next_search(service, collection, maker):
    service.search([Query("anything", k=1)])
    writer = making.open_writer(collection, maker)
    making.add_unit(writer, 9, making.table(["a brand new sentence"], 90), maker.embed(["a brand new sentence"]))
    writer.close()
    assert service.search([Query("a brand new sentence", k=1, mode="dense")])[0][0].chunk_id == "c90"
    assert service.info().chunks == len(making.TEXTS) + 1


def test_a_killed_process_is_started_again(shared):
    shared.search([Query("anything", k=1)])
    for child in psutil.Process().children():
        if child.pid in (shared._encoder.pid, shared._searcher.pid):
            child.kill()
            child.wait(10)
    assert shared.search([Query(making.TEXTS[0], k=1)])[0][0].chunk_id == "c0"


def test_a_process_that_dies_twice_is_an_error(service, monkeypatch):
    service.warm()

    def dies(*_):
        raise EOFError

    monkeypatch.setattr(service._searcher, "_ask", dies)
    with pytest.raises(RunFailed, match="searcher process died twice"):
        service.search([Query("anything", k=1)])


def test_another_model_is_refused_with_both_identities(collection, tmp_path):
    other = making.model(tmp_path / "other", lower=False)
    with SearchService(collection, model=str(other)) as service, pytest.raises(UsageError) as caught:
        service.search([Query("anything")])
    text = str(caught.value)
    assert "another model" in text and "model: 'tiny' there, 'other' here" in text and "tokenizer: " in text


def test_collections_of_two_models_are_not_searched_as_one(collection, tmp_path):
    other = making.make(tmp_path / "b", making.embedder(making.model(tmp_path / "other", lower=False)))
    with pytest.raises(UsageError, match="another model"):
        SearchService([collection, other])


def test_a_collection_replaced_by_one_of_another_model_is_not_compared_with(service, collection, tmp_path):
    """As `run --fresh` with another model does, also when the search process had to be started again since."""
    service.search([Query(making.TEXTS[0], k=1)])
    other = making.embedder(making.model(tmp_path / "other", lower=False))
    writer = CollectionWriter.open(
        collection, other.spec.identity, other.spec.dim, "float16", {"source": "new"}, "new", fresh=True)
    making.add_unit(writer, 0, making.table(making.TEXTS[:3]), other.embed(making.TEXTS[:3]))
    writer.close()
    for _ in range(2):
        with pytest.raises(UsageError, match=r"was replaced by one of another model\. Open it again"):
            service.search([Query(making.TEXTS[0], k=1)])
    searcher = psutil.Process(service._searcher.pid)
    searcher.kill()
    searcher.wait(10)
    with pytest.raises(UsageError, match="was replaced by one of another model"):
        service.search([Query(making.TEXTS[0], k=1)])


def test_several_collections_are_searched_as_one(collection, tmp_path, maker, model_folder):
    other = making.make(tmp_path / "b.collection", maker, ["only in the other one", "and this"])
    with SearchService([collection, other], model=str(model_folder)) as service:
        (answer,) = service.search([Query("only in the other one", k=12, mode="dense")])
    assert answer[0].collection == str(other)
    assert len(answer) == 12
    assert {hit.collection for hit in answer} == {str(collection), str(other)}


def test_threads_share_a_service(shared):
    found: dict[int, str] = {}

    def look(n: int) -> None:
        found[n] = shared.search([Query(making.TEXTS[n], k=1, mode="dense")])[0][0].text

    threads = [threading.Thread(target=look, args=(n,)) for n in range(len(making.TEXTS))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [found[n] for n in range(len(making.TEXTS))] == making.TEXTS


def test_a_cancelled_search_leaves_the_service_usable(shared):
    shared.warm()
    psutil.Process(shared._searcher.pid).suspend()  # so that the answer cannot come before the cancellation
    try:
        with pytest.raises(Cancelled):
            shared.search([Query("anything")], cancelled=lambda: True)
    finally:
        psutil.Process(shared._searcher.pid).resume()
    assert shared.search([Query(making.TEXTS[4], k=1, mode="dense")])[0][0].chunk_id == "c4"


def test_a_closed_service_says_so_and_leaves_no_process(collection, model_folder):
    service = SearchService(collection, model=str(model_folder))
    service.warm()
    pids = {service._encoder.pid, service._searcher.pid}
    service.close()
    service.close()
    assert not pids & {child.pid for child in psutil.Process().children(recursive=True)}
    with pytest.raises(RunFailed, match="closed"):
        service.search([Query("anything")])


SCRIPT = """
import sys
print("imported", flush=True)
from pathlib import Path
from workbench.search.service import SearchService
from workbench.search.values import Query
service = SearchService(Path(sys.argv[1]), model=sys.argv[2])
print(service.search([Query("rivers run to the sea", k=1)])[0][0].chunk_id)
print([name for name in ("torch", "transformers", "faiss", "numpy", "tantivy") if name in sys.modules])
print(service._encoder.pid, service._searcher.pid, flush=True)
if sys.argv[3] == "stay":
    import time
    time.sleep(60)
"""


def test_a_script_without_main_guard_works_and_its_process_loads_nothing_heavy(collection, model_folder, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script), str(collection), str(model_folder), "go"], cwd=REPOSITORY,
        env=_environment(), capture_output=True, text=True, timeout=120,
    )
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[:3] == ["imported", "c2", "[]"]  # "imported" once: no child ran the script again
    assert len(lines) == 4


def test_the_processes_leave_when_their_parent_is_killed(collection, model_folder, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    with subprocess.Popen(
        [sys.executable, str(script), str(collection), str(model_folder), "stay"], cwd=REPOSITORY,
        env=_environment(), stdout=subprocess.PIPE, text=True,
    ) as parent:
        assert parent.stdout is not None
        children = [psutil.Process(int(pid)) for pid in [parent.stdout.readline() for _ in range(4)][3].split()]
        parent.kill()
    gone, alive = psutil.wait_procs(children, timeout=20)
    assert not alive and len(gone) == 2


@pytest.mark.parametrize(("module", "spec", "allowed", "forbidden"), [
    ("searcher", "SearcherSpec(ProcessSpec('searcher', ''), (sys.argv[1],), "
     "Collection.open(Path(sys.argv[1])).identity)", "faiss", {"torch", "textual"}),
    ("query_encoder", "QueryEncoderSpec(ProcessSpec('query encoder', ''), sys.argv[1], "
     "Collection.open(Path(sys.argv[1])).identity, sys.argv[2])", "torch", {"faiss", "textual"}),
])
def test_each_process_loads_its_own_libraries_only(tmp_path, module, spec, allowed, forbidden):
    folder = making.model(tmp_path / "m")
    path = making.make(tmp_path / "c", making.embedder(folder, "torch"), making.TEXTS[:3])
    code = (
        f"import sys\nfrom pathlib import Path\nfrom workbench.collection.reader import Collection\n"
        f"from workbench.search import {module}, wire\nfrom workbench.search.values import Query\n"
        f"from workbench.search.processes import *\n_, handle = {module}.opened({spec})\n"
        f"handle(wire.Encode(('dog',)) if {module!r} == 'query_encoder' else wire.Describe())\n"
        f"print(*{{name.partition('.')[0] for name in sys.modules}})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path), str(folder)], cwd=REPOSITORY, env=_environment(),
        capture_output=True, text=True, timeout=120,
    )
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert allowed in loaded
    assert not forbidden & loaded


def _environment() -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": str(REPOSITORY)}


def test_real_vectors_find_a_text_through_both_processes(tmp_path):
    folder = making.model(tmp_path / "m")
    path = making.make(tmp_path / "c", making.embedder(folder, "torch"))
    began = time.perf_counter()
    with SearchService(path, model=str(folder)) as service:
        (answer,) = service.search([Query(making.TEXTS[3], k=2, mode="dense")])
        assert service.info().device == "cpu"
    assert answer[0].text == making.TEXTS[3]
    assert answer[0].score == pytest.approx(1.0, abs=1e-2)
    assert time.perf_counter() > began
