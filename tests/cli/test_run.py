"""`workbench run` as users call it: a process of its own, its output, its exit code, Ctrl+C, wrong input."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.diagnose.scripted import World, facts
from tests.diagnose.test_indexing import built
from tests.engine.harness import assert_same, corpus
from tests.tiny_models import tiny_bert
from workbench.cli.main import main
from workbench.cli.run import verdict_lines
from workbench.core.run import RunResult
from workbench.telemetry.recorder import Recorder
from workbench.telemetry.sampler import KEPT
from workbench.telemetry.snapshot import RunFacts, Snapshot

KEYS = {
    "outcome", "collection", "run", "chunks", "resumed", "rejects", "units", "tokens", "seconds",
    "tokens_per_second", "padding_share", "encoder", "index", "notes", "unchanged", "reused", "removed",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli-run")
    tiny_bert(folder / "tiny-model")
    corpus(folder / "notes.jsonl", 400)
    return folder


def command(folder: Path, *words: str) -> list[str]:
    simulated = ["encoder.engine=simulated", f"encoder.model={folder / 'tiny-model'}", "encoder.dim=16",
                 "pipeline.workers=1"]
    settings = [word for setting in simulated for word in ("--set", setting)]
    return [sys.executable, "-m", "workbench", "run", *settings, *words]  # a later --set wins


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "WORKBENCH_HOME": str(folder / "home"), "PYTHONIOENCODING": "utf-8"}


def call(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(folder, *words), capture_output=True, text=True, encoding="utf-8", env=environment(folder), timeout=120
    )


def test_json_is_one_object_and_plain_lines_go_to_stderr(folder):
    done = call(folder, str(folder / "notes.jsonl"), "--into", str(folder / "whole.collection"), "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert set(result) == KEYS
    assert (result["chunks"], result["rejects"], result["outcome"]) == (400, 0, "done")
    assert result["encoder"]["engine"] == "simulated"
    assert set(result["index"]) >= {"kind", "recall_at_10"}
    assert "\r" not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="a console's Ctrl+C cannot be sent to one process there")
@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_stops_in_order_and_the_same_command_resumes(folder, times):
    into = folder / f"interrupted-{times}.collection"
    units = ["--set", "source.unit_rows=24"]
    words = [str(folder / "notes.jsonl"), "--into", str(into), "--json", *units]
    slow = ["--set", "encoder.tokens_per_second=4000"]
    process = subprocess.Popen(
        command(folder, *words, *slow), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        encoding="utf-8", env=environment(folder),
    )
    wait_for_shards(into, 3)
    for _ in range(times):
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    stopped = json.loads(out)
    assert stopped["outcome"] == "stopped"
    assert 0 < stopped["chunks"] < 400
    assert "Ctrl+C again" in err
    resumed = json.loads(call(folder, *words).stdout)
    assert resumed["outcome"] == "done"
    assert (resumed["resumed"], resumed["resumed"] + resumed["chunks"]) == (stopped["chunks"], 400)
    whole = folder / "whole.collection"
    if not whole.exists():
        call(folder, str(folder / "notes.jsonl"), "--into", str(whole), *units)
    assert_same(whole, into)


def wait_for_shards(into: Path, count: int) -> None:
    deadline = time.monotonic() + 60
    while len(list(into.glob("shards/*.vectors.arrow"))) < count:
        assert time.monotonic() < deadline, "no shard was committed in time"
        time.sleep(0.05)


def test_fresh_asks_and_refuses_without_an_answer(folder):
    words = [str(folder / "notes.jsonl"), "--into", str(folder / "again.collection"), "--limit", "40"]
    assert call(folder, *words).returncode == 0
    refused = call(folder, *words, "--fresh")
    assert refused.returncode == 2
    assert "--yes" in refused.stderr
    done = call(folder, *words, "--fresh", "--yes", "--json")
    assert json.loads(done.stdout)["chunks"] == 40


def wrong_inputs(folder: Path) -> dict[str, tuple[list[str], str]]:
    """name → (words, what the one line must say)."""
    (folder / "empty").mkdir(exist_ok=True)
    (folder / "nothing.jsonl").write_text("", encoding="utf-8")
    pq.write_table(pa.table({"a": [1], "body": ["x"]}), folder / "columns.parquet")
    spans = {"doc_id": ["d"], "start": [0], "end": [1]}
    pq.write_table(pa.table({"chunk_id": ["c"], **spans}), folder / "chunks.parquet")
    notes = str(folder / "notes.jsonl")
    (folder / "file").write_text("x", encoding="utf-8")
    return {
        "missing file": ([str(folder / "no.jsonl")], "no such file"),
        "empty folder": ([str(folder / "empty")], "nothing to embed"),
        "empty file": ([str(folder / "nothing.jsonl")], "nothing.jsonl"),
        "columns": ([str(folder / "columns.parquet"), "--set", "source.text=texts"], "a, body"),
        "chunks alone": ([str(folder / "chunks.parquet")], "--docs"),
        "unknown key": ([notes, "--set", "encoder.modle=x"], "encoder.model"),
        "bad value": ([notes, "--set", "pipeline.workers=many"], "pipeline.workers"),
        "unknown profile": ([notes, "--profile", "fats"], "fast"),
        "unknown engine": ([notes, "--set", "encoder.engine=tocrh"], "torch"),
        "not writable": ([notes, "--into", str(folder / "file" / "x.collection")], "--into"),
        "chunks without docs": ([notes, "--chunks", notes], "--docs"),
        "negative limit": ([notes, "--limit", "-1"], "--limit"),
    }


@pytest.mark.parametrize("name", [
    "missing file", "empty folder", "empty file", "columns", "chunks alone", "unknown key", "bad value",
    "unknown profile", "unknown engine", "not writable", "chunks without docs", "negative limit",
])
def test_wrong_input_is_one_line_and_exit_code_2(folder, name, capsys, monkeypatch):
    words, said = wrong_inputs(folder)[name]
    monkeypatch.setenv("WORKBENCH_HOME", str(folder / "home"))
    into = [] if "--into" in words else ["--into", str(folder / "wrong.collection")]
    assert main(command(folder, *words, *into)[3:]) == 2
    captured = capsys.readouterr()
    lines = captured.err.strip().splitlines()
    assert len(lines) == 1, captured.err
    assert said in lines[0]
    assert captured.out == ""
    assert not (folder / "wrong.collection").exists()


def test_a_model_folder_without_tokenizer_is_named(folder):
    bare = folder / "bare-model"
    bare.mkdir(exist_ok=True)
    (bare / "config.json").write_text((folder / "tiny-model" / "config.json").read_text("utf-8"), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "workbench", "run", str(folder / "notes.jsonl"), "--set", f"encoder.model={bare}",
         "--into", str(folder / "bare.collection")],
        capture_output=True, text=True, encoding="utf-8", env=environment(folder), timeout=120,
    )
    assert done.returncode == 2
    assert "tokenizer" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@dataclass
class Ended:
    """A run that is over, as the sampler has kept it: facts and the last snapshots."""

    facts: RunFacts | None
    snapshots: list[Snapshot]

    def window(self, count: int) -> tuple[Snapshot, ...]:
        return tuple(self.snapshots[-count:])


def ended(collection: Path, *, recorded: bool, index_seconds: float) -> tuple[Ended, RunResult]:
    """Ten minutes of embedding and an index."""
    folder = collection / "runs" / "r"
    snapshots = built(0.0, index_seconds, embedding=600.0)
    made = replace(facts(World()), run="r", collection=str(collection))
    if recorded:
        recorder = Recorder(folder, made)
        for snapshot in snapshots:
            recorder.append(snapshot)
        recorder.close()
        (folder / "result.json").write_text('{"outcome": "done"}', encoding="utf-8")
    return Ended(made, snapshots[-KEPT:]), RunResult("done", str(collection), "r", 9, 0, 0, 1, 9, 9.0, 9.0, 0.0)


@pytest.mark.parametrize("index_seconds", [40.0, 150.0])  # a third of what the sampler keeps, and more than all of it
def test_the_verdict_at_the_end_is_that_of_diagnose(tmp_path, capsys, index_seconds):
    said = verdict_lines(*ended(tmp_path, recorded=True, index_seconds=index_seconds))
    assert main(["diagnose", str(tmp_path / "runs" / "r")]) == 0
    assert said[1:] == capsys.readouterr().out.splitlines()[1:]
    assert "device" in said[1].lower() and "index" not in said[1]


def test_a_run_that_was_not_recorded_is_judged_by_its_end_and_says_so(tmp_path):
    said = "\n".join(verdict_lines(*ended(tmp_path, recorded=False, index_seconds=5.0)))
    assert "device" in said.lower() and "last minutes" in said
    assert verdict_lines(Ended(None, []), ended(tmp_path, recorded=False, index_seconds=5.0)[1]) == []
