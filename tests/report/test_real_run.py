"""A real run leaves a recording, a trace and a result; a run that failed says so."""

import json

import pytest

from tests.engine.harness import corpus, request
from workbench.cli.main import main
from workbench.core.errors import WorkbenchError
from workbench.engine.run import Run
from workbench.report.html import report
from workbench.telemetry.recorder import Recording
from workbench.telemetry.runs import find_run, result_of


def test_what_a_run_leaves_behind(tmp_path):
    source = corpus(tmp_path / "c.jsonl", 800)
    wanted = request(tmp_path, source, "encoder.tokens_per_second=30000", "pipeline.workers=2")
    run = Run(wanted)
    run.start()
    assert run.wait(120).outcome == "done"
    folder = find_run(str(wanted.into))
    recording = Recording.load(folder)
    assert recording.notes == () and len(recording.snapshots) >= 2
    assert recording.facts.encoder["device"] == "simulated"
    assert recording.facts.settings["encoder.token_budget"] == 16384
    assert {p.stage for p in recording.snapshots[-1].processes} == {"worker", "encoder", "writer", "parent"}
    events = json.loads((folder / "trace.json").read_text(encoding="utf-8"))["traceEvents"]
    tracks = {e["args"]["name"] for e in events if e["ph"] == "M" and e["name"] == "process_name"}
    assert tracks == {"worker 0", "worker 1", "encoder 0", "writer 0"}
    steps = {e["name"] for e in events if e["ph"] == "X"}
    assert {"read", "tokenise", "pack", "forward", "assemble", "commit"} <= steps
    assert not list(folder.glob("spans-*"))
    assert sum(e["ph"] == "C" and e["name"] == "ring fill" for e in events) == len(recording.snapshots)
    assert "did not finish" not in report(folder)
    trace = (folder / "trace.json").read_bytes()
    assert main(["report", str(folder), "--trace"]) == 0
    assert (folder / "trace.json").read_bytes() == trace


def test_without_telemetry_nothing_is_recorded(tmp_path):
    wanted = request(tmp_path, corpus(tmp_path / "c.jsonl", 50), "pipeline.telemetry=none")
    run = Run(wanted)
    run.start()
    assert run.wait(120).outcome == "done" and run.snapshot() is None
    folder = next((wanted.into / "runs").iterdir())
    assert not (folder / "trace.json").exists() and not list(folder.glob("spans-*"))


def test_a_run_that_failed_says_so_first(tmp_path):
    wanted = request(tmp_path, corpus(tmp_path / "c.jsonl", 50), "encoder.memory_tokens=1")
    run = Run(wanted)
    run.start()
    with pytest.raises(WorkbenchError):
        run.wait(120)
    folder = find_run(str(wanted.into / "runs" / next((wanted.into / "runs").iterdir()).name))
    assert result_of(folder)["outcome"] == "failed"
    page = report(folder)
    assert page.index("This run failed") < page.index("Pipeline" if "Pipeline" in page else "Settings")
