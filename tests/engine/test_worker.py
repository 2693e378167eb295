"""Workers that meet what nobody foresaw, and storage that fails under them."""

from __future__ import annotations

import json

import pytest

from tests.engine import odd
from tests.engine.harness import corpus, finish, go, request
from workbench.core.errors import RunFailed
from workbench.core.run import LogLine
from workbench.engine.run import Run


def test_rows_whose_failure_nobody_foresaw_become_rejects_and_end_no_worker(tmp_path, monkeypatch):
    source = tmp_path / "failing.jsonl"
    rows = [{"id": f"p{n}", "text": f"text number {n}" if n != 17 else odd.WORD} for n in range(100)]
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    monkeypatch.setattr("workbench.engine.worker.main", odd.failing_main)
    run = Run(request(tmp_path, source, into="failing.collection"))
    run.start()
    result = finish(run)
    assert (result.outcome, result.chunks, result.rejects) == ("done", 99, 1)
    said = [event.text for event in run.events if isinstance(event, LogLine)]
    assert any("failed: this word is not expected" in message for message in said)
    assert not any("ended unexpectedly" in message for message in said)


def test_a_drive_that_is_away_ends_the_run_and_rejects_nothing(tmp_path, monkeypatch):
    (tmp_path / "drive").mkdir()
    for name in ("a", "shaky", "z"):
        (tmp_path / "drive" / f"{name}.md").write_text(f"text {name}", encoding="utf-8")
    (tmp_path / "away").touch()
    monkeypatch.setattr("workbench.engine.worker.main", odd.shaky_main)
    wanted = request(tmp_path, tmp_path / "drive", into="drive.collection")
    with pytest.raises(RunFailed, match=r"shaky\.md: cannot be read: Input/output error.*resumes"):
        go(wanted)
    (tmp_path / "away").unlink()
    result = go(wanted)
    assert (result.outcome, result.chunks, result.rejects) == ("done", 3, 0)


def test_a_full_disk_ends_the_run_and_rejects_nothing(tmp_path, monkeypatch):
    source = corpus(tmp_path / "notes.jsonl", 60)
    (tmp_path / "full").touch()
    monkeypatch.setattr("workbench.engine.worker.main", odd.full_main)
    wanted = request(tmp_path, source, into="full.collection")
    with pytest.raises(RunFailed, match=r"No space left on device.*resumes"):
        go(wanted)
    (tmp_path / "full").unlink()
    result = go(wanted)
    assert (result.outcome, result.chunks, result.rejects) == ("done", 60, 0)
