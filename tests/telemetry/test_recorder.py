"""Recordings that are cut off, empty, newer, torn or full: loaded as far as they go, and said so."""

import json

import pytest

from tests.diagnose.scripted import World, facts, play
from workbench.core.errors import UsageError
from workbench.telemetry.codec import dump_facts, dump_snapshot
from workbench.telemetry.recorder import DENSE, SAMPLES, Recorder, Recording


@pytest.fixture
def lines():
    world = World()
    return [dump_facts(facts(world)), *[dump_snapshot(s) for s in play(world, 10.0)]]


def written(folder, lines, end="\n"):
    (folder / SAMPLES).write_text("\n".join(lines) + end, encoding="utf-8", newline="\n")
    return folder


def test_a_cut_off_line_is_left_out_and_noted(tmp_path, lines):
    cut = [*lines[:-1], lines[-1][: len(lines[-1]) // 2]]
    recording = Recording.load(written(tmp_path, cut, end=""))
    assert len(recording.snapshots) == len(lines) - 2
    assert any("1 of 41 snapshots could not be read" in note for note in recording.notes)


def test_every_possible_cut_is_survived(tmp_path, lines):
    whole = "\n".join(lines[:4]) + "\n"
    first = len(lines[0])
    for end in range(1, len(whole), 97):
        (tmp_path / SAMPLES).write_bytes(whole.encode()[:end])
        if end < first:
            with pytest.raises(UsageError):
                Recording.load(tmp_path)
        else:
            assert len(Recording.load(tmp_path).snapshots) <= 3


def test_a_newer_version_is_read_with_a_note(tmp_path, lines):
    head = json.loads(lines[0])
    head["format"] = 99
    head["facts"]["mood"] = "fine"
    newer = [json.loads(line) for line in lines[1:]]
    for snapshot in newer:
        snapshot.append({"unknown": 1})
        snapshot[2][0].append("more")
        snapshot[2][0][4] = 77  # an activity that does not exist yet
    recording = Recording.load(written(tmp_path, [json.dumps(head), *map(json.dumps, newer)]))
    assert len(recording.snapshots) == len(newer)
    assert any("format 99" in note for note in recording.notes)


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"hello\n", b"[1,2]\n", b'{"format":1}\n', b"\xff\xfe\x00\n", b"null\n"]
)
def test_what_is_no_recording_is_one_clear_line(tmp_path, content):
    (tmp_path / SAMPLES).write_bytes(content)
    with pytest.raises(UsageError) as caught:
        Recording.load(tmp_path)
    assert SAMPLES in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_recording_names_the_way_out(tmp_path):
    with pytest.raises(UsageError, match="--in COLLECTION"):
        Recording.load(tmp_path / "gone")


def test_garbage_between_snapshots_and_time_going_back_are_left_out(tmp_path, lines):
    mixed = [lines[0], lines[3], "rubbish", lines[2], '{"a":1}', lines[4], "[]"]
    recording = Recording.load(written(tmp_path, mixed))
    assert [s.time_ns for s in recording.snapshots] == [500_000_000, 750_000_000]
    assert any("4 of 6" in note for note in recording.notes)


def test_later_facts_replace_earlier_ones(tmp_path):
    world = World()
    recorder = Recorder(tmp_path, facts(world))
    snapshot = play(world)[-1]
    recorder.append(snapshot)
    better = facts(World(threads=3))
    recorder.update(better)
    recorder.close()
    recording = Recording.load(tmp_path)
    assert recording.facts.settings["encoder.threads"] == 3 and len(recording.snapshots) == 1


def test_a_long_run_is_thinned_not_cut(tmp_path):
    world = World()
    recorder = Recorder(tmp_path, facts(world))
    snapshots = play(world, seconds=(DENSE + 400) / 4)
    for snapshot in snapshots:
        recorder.append(snapshot)
    recorder.close()
    recording = Recording.load(tmp_path)
    assert DENSE + 95 <= len(recording.snapshots) <= DENSE + 105
    assert recording.snapshots[-1].time_ns >= snapshots[-5].time_ns


def test_a_disk_that_takes_nothing_ends_the_recording_not_the_run(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("", encoding="utf-8")
    recorder = Recorder(blocked / "run", facts(World()))
    recorder.append(play(World())[0])
    recorder.close()
    assert recorder.failure is not None
