"""Real runs through spawned processes: finishing, resuming, rejects, stops, kills, poison rows, memory cuts."""

from __future__ import annotations

import gzip
import json
import time
from dataclasses import replace

import pytest

from tests.engine import poison
from tests.engine.harness import (
    assert_nothing_left,
    assert_same,
    children_now,
    content,
    corpus,
    finish,
    go,
    request,
)
from workbench.core.errors import RunFailed, UsageError
from workbench.engine.run import Run

TWO = "pipeline.workers=2"  # where units overtake each other, or a worker ends while another goes on


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A corpus and an uninterrupted run over it, to compare others with."""
    folder = tmp_path_factory.mktemp("runs")
    source = corpus(folder / "notes.jsonl", 1500)
    before = children_now()
    result = go(request(folder, source, TWO, into="whole.collection"))
    assert_nothing_left(before)
    return folder, source, result


def test_a_run_commits_every_row_once_in_order(made):
    folder, _, result = made
    assert result.outcome == "done"
    assert (result.chunks, result.rejects, result.resumed) == (1500, 0, 0)
    assert 0 <= result.padding_share < 0.2
    ids, vectors = content(folder / "whole.collection")
    assert ids == [f"row-{n}" for n in range(1500)]
    assert vectors.shape == (1500, 16)


def test_the_same_command_again_does_nothing(made):
    folder, source, _ = made
    again = go(request(folder, source, into="whole.collection"))
    assert (again.chunks, again.resumed, again.tokens) == (0, 1500, 0)


def test_a_stopped_run_resumes_to_the_same_vectors(made):
    folder, source, _ = made
    slow = request(folder, source, TWO, "encoder.tokens_per_second=20000", into="stopped.collection")
    run = Run(slow)
    run.start()
    wait_for(run, lambda shot: shot.progress.units_done >= 3)
    run.stop()
    stopped = finish(run)
    assert stopped.outcome == "stopped"
    assert 0 < stopped.chunks < 1500
    resumed = go(request(folder, source, into="stopped.collection"))
    assert resumed.outcome == "done"
    assert resumed.resumed == stopped.chunks
    assert resumed.resumed + resumed.chunks == 1500
    assert_same(folder / "whole.collection", folder / "stopped.collection")


def test_a_run_stopped_at_once_is_consistent(made):
    folder, source, _ = made
    run = Run(request(folder, source, TWO, "encoder.tokens_per_second=20000", into="cut.collection"))
    before = children_now()
    run.start()
    wait_for(run, lambda shot: shot.progress.units_done >= 2)
    run.stop(now=True)
    assert finish(run).outcome == "stopped"
    assert_nothing_left(before)
    go(request(folder, source, into="cut.collection"))
    assert_same(folder / "whole.collection", folder / "cut.collection")


@pytest.mark.parametrize("stage", ["worker", "encoder", "writer"])
def test_a_killed_process_is_replaced_and_nothing_is_lost(made, stage):
    folder, source, _ = made
    into = f"killed-{stage}.collection"
    run = Run(request(folder, source, TWO, "encoder.tokens_per_second=40000", into=into))
    before = children_now()
    run.start()
    wait_for(run, lambda shot: shot.progress.units_done >= 2)
    for child in run.children(stage):
        child.kill()
    result = finish(run)
    assert result.outcome == "done"
    assert result.chunks == 1500
    assert_nothing_left(before)
    assert_same(folder / "whole.collection", folder / into)


def test_rows_that_end_the_worker_become_rejects(made, monkeypatch):
    folder, _, _ = made
    source = folder / "poisoned.jsonl"
    rows = [{"id": f"p{n}", "text": f"text number {n}"} for n in range(300)]
    for bad in (17, 18, 211):
        rows[bad]["text"] = f"{poison.WORD} {bad}"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    monkeypatch.setattr("workbench.engine.worker.main", poison.worker_main)
    # few rows in a unit: it need not be halved so often until the bad rows stand alone
    result = go(request(folder, source, TWO, "source.unit_rows=8", into="poisoned.collection"))
    assert result.outcome == "done"
    assert (result.chunks, result.rejects) == (297, 3)
    ids, _ = content(folder / "poisoned.collection")
    assert ids == [f"p{n}" for n in range(300) if n not in (17, 18, 211)]


def test_a_unit_that_always_fails_but_for_its_rows_is_rejected_and_the_run_ends(made, monkeypatch):
    folder, source, _ = made
    monkeypatch.setattr("workbench.engine.worker.main", poison.unstaged_main)
    result = go(request(folder, source, TWO, into="unstaged.collection"))
    assert (result.outcome, result.rejects) == ("done", 1)
    ids, _ = content(folder / "unstaged.collection")
    lost = [n for n in range(1500) if f"row-{n}" not in set(ids)]
    assert len(lost) == 1500 - result.chunks > 0 and lost == list(range(lost[0], lost[-1] + 1))


def test_a_writer_that_ends_before_it_can_tell_of_a_commit_costs_nothing(made, monkeypatch):
    folder, source, _ = made
    monkeypatch.setattr("workbench.engine.writer.main", poison.mute_main)
    # room for every batch: what is done again has come to the new writer before that says what it holds
    result = go(request(folder, source, TWO, "pipeline.vector_slots=128", into="mute.collection"))
    assert (folder / "mute.ended").exists()
    assert (result.outcome, result.chunks) == ("done", 1500)
    assert_same(folder / "whole.collection", folder / "mute.collection")


def test_out_of_device_memory_cuts_the_budget_and_goes_on(made):
    folder, source, _ = made
    result = go(request(
        folder, source, "encoder.memory_tokens=500", "encoder.token_budget=4000", into="small.collection"
    ))
    assert result.chunks == 1500
    assert_same(folder / "whole.collection", folder / "small.collection")


def test_a_collection_of_another_model_is_refused(made):
    folder, source, _ = made
    with pytest.raises(UsageError, match="dim"):
        go(request(folder, source, "encoder.dim=24", into="whole.collection"))


def test_a_collection_in_use_is_refused(made):
    folder, source, _ = made
    first = Run(request(folder, source, "encoder.tokens_per_second=5000", into="busy.collection"))
    first.start()
    wait_for(first, lambda shot: shot.progress.units_done >= 1)
    with pytest.raises(UsageError, match="in use"):
        go(request(folder, source, into="busy.collection"))
    first.stop(now=True)
    finish(first)


def test_an_encoder_that_never_works_ends_the_run_with_its_reason(made, monkeypatch):
    folder, source, _ = made
    monkeypatch.setattr("workbench.engine.encoder.main", poison.broken_main)
    with pytest.raises(RunFailed, match="no such luck"):
        go(request(folder, source, into="broken.collection"))


def test_a_crash_in_native_code_says_in_the_log_where(made, monkeypatch):
    folder, source, _ = made
    monkeypatch.setattr("workbench.engine.encoder.main", poison.crashing_main)
    with pytest.raises(RunFailed):
        go(request(folder, source, into="crash.collection"))
    (log,) = (folder / "crash.collection" / "runs").glob("*/log/encoder-0.txt")
    assert "_crash" in log.read_text(encoding="utf-8")


def test_wrong_input_leaves_nothing_behind(made):
    folder, _, _ = made
    empty = folder / "nothing.jsonl"
    empty.write_text("", encoding="utf-8")
    with pytest.raises(UsageError):
        go(request(folder, empty, into="never.collection"))
    assert not (folder / "never.collection").exists()
    (folder / "bare.collection").mkdir()
    with pytest.raises(UsageError):
        go(request(folder, empty, into="bare.collection"))
    assert list((folder / "bare.collection").iterdir()) == []


def test_wrong_input_leaves_no_layout_behind(tmp_path):
    """Documents are laid out, packed files unpacked, before all of the input is known to be right."""
    packed, empty = tmp_path / "a.jsonl.gz", tmp_path / "b.jsonl"
    packed.write_bytes(gzip.compress(b'{"text": "something"}\n'))
    empty.write_text("", encoding="utf-8")
    (tmp_path / "bare.collection").mkdir()
    wanted = replace(request(tmp_path, packed, into="bare.collection"), inputs=(packed, empty))
    with pytest.raises(UsageError):
        go(wanted)
    assert list((tmp_path / "bare.collection").iterdir()) == []


def test_a_folder_of_others_is_refused_before_anything_is_done(made, monkeypatch):
    folder, source, _ = made
    theirs = folder / "theirs"
    (theirs / "layout").mkdir(parents=True)
    (theirs / "layout" / "plan.txt").write_text("mine", encoding="utf-8")
    (theirs / "letter.txt").write_text("dear", encoding="utf-8")
    looked: list[object] = []
    monkeypatch.setattr("workbench.engine.session.open_source", looked.append)
    with pytest.raises(UsageError, match="holds other things"):
        go(request(folder, source, into="theirs"))
    assert looked == []
    found = sorted(path.relative_to(theirs).as_posix() for path in theirs.rglob("*"))
    assert found == ["layout", "layout/plan.txt", "letter.txt"]


def test_a_paused_run_stands_still_and_goes_on(made):
    folder, source, _ = made
    run = Run(request(folder, source, "encoder.tokens_per_second=30000", into="paused.collection"))
    run.start()
    wait_for(run, lambda shot: shot.progress.units_done >= 1)
    run.pause()
    wait_for(run, lambda shot: shot.paused)
    wait_for(run, lambda shot: len({old.progress.tokens_done for old in run.window(5)}) == 1)
    still = run.snapshot()
    assert still is not None
    assert still.progress.units_done < still.progress.units_total
    run.resume()
    assert finish(run).chunks == 1500


def wait_for(run: Run, condition, seconds: float = 60.0) -> None:
    """Wait until a snapshot satisfies the condition; the run must not end before."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        shot = run.snapshot()
        if shot is not None and condition(shot):
            return
        assert not run.done, run.wait(0)
        time.sleep(0.02)
    raise AssertionError("the condition was not met in time")
