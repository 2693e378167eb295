"""Queries of a collection whose vectors came from a server go to that server too."""

from __future__ import annotations

from tests.embedding_server import serve
from tests.engine.harness import corpus, request
from workbench.engine.run import Run
from workbench.search.service import SearchService
from workbench.search.values import Query


def test_a_text_finds_itself_through_the_server(tmp_path):
    source = corpus(tmp_path / "notes.jsonl", 300)
    with serve() as (address, how):
        run = Run(request(
            tmp_path, source, "encoder.engine=remote", f"encoder.endpoint={address}/embed",
            "encoder.template={text}", "index.kind=Flat",
        ))
        run.start()
        assert run.wait(120) is not None
        text = next(row for body in how.seen[-1:] for row in body["inputs"])
        before = len(how.seen)
        with SearchService(tmp_path / "a.collection", threads=1) as service:
            (answer,) = service.search([Query(text, k=3, mode="dense")])
        assert answer[0].score > 0.99 and answer[0].text.startswith(text)
        assert any(body["inputs"] == [text] for body in how.seen[before:])
