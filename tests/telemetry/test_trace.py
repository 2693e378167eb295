"""Spans of several processes, merged into a Chrome trace."""

import json

import pytest

from tests.diagnose.scripted import World, play
from workbench.core.activity import Activity, Counter
from workbench.telemetry.board import ROW_BYTES, Board
from workbench.telemetry.trace import SpanFile, load_tracks, merge_trace, span_path


def record(folder, stage, pid, steps, limit=100_000):
    board = Board(bytearray(ROW_BYTES), 1)
    row = board.row(0, pid, SpanFile(span_path(folder, stage, 0, pid), limit))
    for activity in steps:
        row.put(Counter.CURRENT_UNIT, 7)
        with row.doing(activity):
            pass
        row.add(Counter.BATCHES, 1)
    row.close()


def test_one_track_per_process_with_names_and_counters(tmp_path):
    record(tmp_path, "worker", 11, [Activity.READ, Activity.TOKENISE] * 2000)
    record(tmp_path, "encoder", 12, [Activity.FORWARD])
    path = merge_trace(tmp_path, play(World(), 5.0))
    assert [item.name for item in tmp_path.iterdir()] == ["trace.json"]
    events = json.loads(path.read_text(encoding="utf-8"))["traceEvents"]
    names = {e["args"]["name"] for e in events if e["ph"] == "M" and e["name"] == "process_name"}
    assert names == {"worker 0", "encoder 0"}
    reads = [e for e in events if e["ph"] == "X" and e["name"] == "read"]
    assert len(reads) == 2000 and all(e["pid"] == 11 and e["dur"] >= 0 and e["args"]["unit"] == 7 for e in reads)
    assert [e["args"]["batch"] for e in reads[:3]] == [0, 2, 4]
    assert all(e["ts"] >= 0 for e in events if "ts" in e)
    assert {e["name"] for e in events if e["ph"] == "C"} == {"ring fill", "tokens/s"}


def test_spans_follow_one_another_without_gap(tmp_path):
    record(tmp_path, "writer", 13, [Activity.WRITE] * 50)
    spans = load_tracks(tmp_path)[0].spans
    assert (spans[1:, 0] == spans[:-1, 1]).all() and (spans[:, 1] >= spans[:, 0]).all()


def test_a_file_cut_off_in_a_span_is_read_up_to_there(tmp_path):
    record(tmp_path, "worker", 14, [Activity.PACK] * 5)
    path = span_path(tmp_path, "worker", 0, 14)
    whole = len(load_tracks(tmp_path)[0].spans)
    path.write_bytes(path.read_bytes()[:-13])
    (tmp_path / "spans-other.txt").write_text("no", encoding="utf-8")
    assert len(load_tracks(tmp_path)[0].spans) == whole - 1


def test_disk_and_memory_are_bounded(tmp_path):
    record(tmp_path, "worker", 15, [Activity.PACK] * 3000, limit=1500)
    assert len(load_tracks(tmp_path)[0].spans) == 1500


def test_a_place_that_cannot_be_written_costs_the_trace_only(tmp_path):
    record(tmp_path / "missing", "worker", 16, [Activity.PACK])
    assert load_tracks(tmp_path) == ()
    assert json.loads(merge_trace(tmp_path).read_text(encoding="utf-8"))["traceEvents"] == []


def test_a_trace_that_was_merged_before_is_left_as_it_is(tmp_path):
    record(tmp_path, "worker", 11, [Activity.READ] * 20)
    first = merge_trace(tmp_path, play(World(), 5.0)).read_bytes()
    assert merge_trace(tmp_path, play(World(), 9.0)).read_bytes() == first
    record(tmp_path, "writer", 12, [Activity.COMMIT])  # spans that came since are not left out
    assert b"commit" in merge_trace(tmp_path).read_bytes()


class Failing(list):
    """Snapshots on which writing fails, as on a disk that is full, when the spans are through."""

    def __iter__(self):
        raise OSError(28, "No space left on device")


def test_a_disk_that_fills_costs_no_span_and_no_older_trace(tmp_path):
    record(tmp_path, "worker", 11, [Activity.READ] * 20)
    (tmp_path / "trace.json").write_text("older", encoding="utf-8")
    before = {item.name: item.read_bytes() for item in tmp_path.iterdir()}
    with pytest.raises(OSError, match="No space"):
        merge_trace(tmp_path, Failing(play(World(), 2.0)))
    assert {item.name: item.read_bytes() for item in tmp_path.iterdir()} == before
