"""An encoder process that is begun before the run is settled."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from tests.engine.harness import corpus, request
from tests.tiny_models import tiny_bert
from workbench.core.errors import UsageError
from workbench.core.profile_io import apply_overrides
from workbench.engine.early import EarlyEncoder, begin_early
from workbench.engine.run import Run


def gone(early):
    deadline = time.monotonic() + 30
    while early._process.is_alive() and time.monotonic() < deadline:
        time.sleep(0.05)
    return not early._process.is_alive()


@pytest.fixture
def wanted(tmp_path):
    source = tmp_path / "notes.jsonl"
    corpus(source, 300)
    asked = request(tmp_path, source)
    settings = ["encoder.engine=torch", f"encoder.model={tiny_bert(tmp_path / 'model')}", "encoder.device=cpu"]
    return replace(asked, profile=apply_overrides(asked.profile, settings))


def test_a_run_takes_the_process_over(wanted):
    early = begin_early(wanted)
    assert early is not None
    run = Run(wanted, early=early)
    run.start()
    assert run.wait(120).outcome == "done"
    assert [child.pid for child in run.children("encoder")] == [early._process.pid]
    assert run.children("encoder")[0].restarts == 0


def test_one_that_died_is_replaced(wanted):
    early = begin_early(wanted)
    early._process.kill()
    assert gone(early)
    run = Run(wanted, early=early)
    run.start()
    assert run.wait(120).outcome == "done"
    assert run.children("encoder")[0].pid != early._process.pid


def test_wrong_input_ends_it(wanted, tmp_path):
    early = begin_early(wanted)
    run = Run(replace(wanted, inputs=(tmp_path / "missing.jsonl",)), early=early)
    run.start()
    with pytest.raises(UsageError):
        run.wait(60)
    assert gone(early)


def test_it_leaves_when_the_pipe_closes():
    early = EarlyEncoder()
    early._pipe.close()
    assert gone(early)


def test_only_a_new_collection_and_torch_begin_one(wanted, tmp_path):
    assert begin_early(request(tmp_path, tmp_path / "notes.jsonl")) is None  # the simulated engine
    wanted.into.mkdir(parents=True, exist_ok=True)
    (wanted.into / "CURRENT").write_text("x", encoding="utf-8")
    assert begin_early(wanted) is None
