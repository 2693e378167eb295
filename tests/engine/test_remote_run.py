"""Real runs against a real HTTP server: texts reach it whole, failures end in one line, nothing secret is kept."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.embedding_server import serve, vector
from tests.engine.harness import content, corpus, go, request
from workbench.collection.reader import Collection
from workbench.core.errors import RunFailed, UsageError
from workbench.engine.run import Run


def keys(address: str) -> list[str]:
    return ["encoder.engine=remote", f"encoder.endpoint={address}", "encoder.endpoint_model=served",
            "encoder.retries=1"]


def test_every_text_is_embedded_by_the_server_and_found_again(tmp_path, monkeypatch):
    monkeypatch.setenv("SOME_KEY", "s3cret")
    source = corpus(tmp_path / "notes.jsonl", 700)
    with serve(key="s3cret") as (address, how):
        result = go(request(tmp_path, source, *keys(address), "encoder.key_variable=SOME_KEY"))
    assert (result.outcome, result.chunks) == ("done", 700)
    assert max(len(body["input"]) for body in how.seen) <= 32
    ids, vectors = content(tmp_path / "a.collection")
    rows = [json.loads(line) for line in source.read_text(encoding="utf-8").splitlines()]
    sent = {row for body in how.seen for row in body["input"]}
    for number in (0, 1, 350, 699):
        text = f"{rows[number]['title']}\n{rows[number]['text']}"
        whole = next(row for row in sent if text.startswith(row) and len(row) > 10)
        expected = np.array(vector(whole), np.float32)
        np.testing.assert_allclose(vectors[ids.index(f"row-{number}")], expected / np.linalg.norm(expected), atol=2e-3)
    assert Collection.open(tmp_path / "a.collection").manifest.identity["model"] == "served"
    kept = [path for path in (tmp_path / "a.collection").rglob("*") if path.is_file()]
    assert kept and not any(b"s3cret" in path.read_bytes() for path in kept)


def test_a_server_that_fails_for_good_ends_the_run_and_the_next_one_resumes(tmp_path):
    source = corpus(tmp_path / "notes.jsonl", 600)
    with serve() as (address, how):
        wanted = request(tmp_path, source, *keys(address), "source.unit_rows=256")
        how.trouble = [200] * 0
        run = Run(wanted)
        run.start()
        how.most_rows = 1  # from now on every request is too large
        with pytest.raises(RunFailed, match="HTTP 413, batch size > maximum"):
            run.wait(120)
        how.most_rows = 0
        assert go(wanted).outcome == "done"


def test_another_served_model_is_refused(tmp_path):
    source = corpus(tmp_path / "notes.jsonl", 300)
    with serve() as (address, _):
        go(request(tmp_path, source, *keys(address)))
        with pytest.raises(UsageError, match="model"):
            go(request(tmp_path, source, *keys(address), "encoder.endpoint_model=other"))
