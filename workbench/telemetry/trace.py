"""The trace of a run: what each process did, span by span, merged into one Chrome trace.

Each process appends its spans to its own binary file in the run's folder (`spans-STAGE-INDEX-PID.bin`): int64
`begin, end, activity, unit, batch`, little endian, times in `perf_counter_ns`, which is one clock for all
processes of a machine. Memory is bounded by the buffer, disk by `LIMIT`. `merge_trace` writes `trace.json` in
the Trace Event Format, which Perfetto and chrome://tracing open.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from struct import Struct
from typing import Any, BinaryIO, TextIO

import numpy as np
from numpy.typing import NDArray

from workbench.collection.durable import Disk
from workbench.core.activity import Activity, Counter
from workbench.telemetry.snapshot import Snapshot

#: Spans a process keeps at most (40 bytes each): a bound on the disk, and on what a viewer can open.
LIMIT = 100_000
TRACE = "trace.json"
_SPAN = Struct("<5q")
_HELD = 1024  # spans in the buffer
_NAME = re.compile(r"spans-(?P<stage>[a-z]+)-(?P<index>\d+)-(?P<pid>\d+)\.bin")
_ORDER = {"worker": 1, "encoder": 2, "writer": 3}

Spans = NDArray[np.int64]


class SpanFile:
    """Appends spans to a file; satisfies `telemetry.board.SpanSink`.

    Costs about 0.2 µs a span. A disk that cannot take them ends the trace, never the process.
    """

    def __init__(self, path: Path, limit: int = LIMIT) -> None:
        self._buffer = bytearray(_HELD * _SPAN.size)
        self._used = 0
        self._left = limit
        self._pack = _SPAN.pack_into
        self._file: BinaryIO | None = None
        try:
            self._file = path.open("ab", buffering=0)
        except OSError:
            self._left = 0

    def span(self, begin: int, end: int, activity: int, unit: int, batch: int) -> None:
        if self._left <= 0:
            return
        self._left -= 1
        self._pack(self._buffer, self._used, begin, end, activity, unit, batch)
        self._used += 40
        if self._used == len(self._buffer):
            self._flush()

    def close(self) -> None:
        self._flush()
        if self._file is not None:
            self._file.close()
            self._file = None
        self._left = 0

    def _flush(self) -> None:
        try:
            if self._file is not None and self._used:
                self._file.write(memoryview(self._buffer)[: self._used])
        except OSError:
            self._left = 0
        self._used = 0


def span_path(folder: Path, stage: str, index: int, pid: int) -> Path:
    """Where a process keeps its spans."""
    return folder / f"spans-{stage}-{index}-{pid}.bin"


@dataclass(frozen=True, slots=True)
class Track:
    """Spans of one process: int64 [n, 5] of begin, end, activity, unit, batch."""

    stage: str
    index: int
    pid: int
    spans: Spans


def load_tracks(folder: Path) -> tuple[Track, ...]:
    """All span files of a run, workers first. A file cut off in mid-span is read up to there."""
    tracks = []
    for path in folder.glob("spans-*.bin"):
        name = _NAME.fullmatch(path.name)
        if name is None:
            continue
        flat = np.frombuffer(path.read_bytes()[: path.stat().st_size // 40 * 40], dtype="<i8")
        tracks.append(Track(name["stage"], int(name["index"]), int(name["pid"]), flat.reshape(-1, 5)))
    return tuple(sorted(tracks, key=lambda t: (_ORDER.get(t.stage, 9), t.index, t.pid)))


def merge_trace(folder: Path, snapshots: Sequence[Snapshot] = ()) -> Path:
    """Merge the run's span files and the counters of its snapshots into `folder/trace.json`.

    Returns the path. Times in the file are µs since the first span or snapshot. The span files are removed. A trace
    that was merged before stays as it is: its spans are nowhere else. Raises OSError, with all files as before.
    """
    tracks = load_tracks(folder)
    path = folder / TRACE
    if not tracks and path.exists():
        return path
    begins = [int(track.spans[0, 0]) for track in tracks if len(track.spans)]
    begins += [snapshots[0].time_ns] if snapshots else []
    part = path.with_name(f"{TRACE}.part")  # a disk that fills leaves no half trace
    try:
        with part.open("w", encoding="utf-8", newline="\n") as file:
            file.write('{"displayTimeUnit":"ms","traceEvents":[\n')
            _write(file, _events(tracks, snapshots, min(begins, default=0)))
            file.write("\n]}\n")
        Disk().replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    for track in tracks:  # what is merged need not lie there twice
        Disk().remove(span_path(folder, track.stage, track.index, track.pid))
    return path


def write_trace(folder: Path) -> Path:
    """`merge_trace` of a recorded run, with all snapshots of its recording. Raises UsageError too, without one."""
    from workbench.telemetry.recorder import Recording  # children, who write spans, need none of it

    return merge_trace(folder, Recording.load(folder).snapshots)


def _write(file: TextIO, events: Iterator[str]) -> None:
    first = next(events, None)
    if first is not None:
        file.write(first)
    file.writelines(",\n" + event for event in events)


def _events(tracks: Sequence[Track], snapshots: Sequence[Snapshot], zero: int) -> Iterator[str]:
    for order, track in enumerate(tracks):
        name = f"{track.stage} {track.index}"
        for kind, args in (
            ("process_name", {"name": name}), ("process_sort_index", {"sort_index": order}),
            ("thread_name", {"name": name}),
        ):
            yield _dump({"ph": "M", "name": kind, "pid": track.pid, "tid": track.pid, "args": args})
        yield from _spans(track, zero)
    for event in _counters(snapshots, zero):
        yield _dump(event)


def _spans(track: Track, zero: int) -> Iterator[str]:
    """Written by hand: a run has many thousands, and `json.dumps` takes ten times as long."""
    names = {int(number): _activity(int(number)) for number in np.unique(track.spans[:, 2])}
    tail = f'"cat":"{track.stage}","pid":{track.pid},"tid":{track.pid}'
    for begin, end, activity, unit, batch in track.spans.tolist():
        yield (
            f'{{"ph":"X","name":"{names[activity]}",{tail},"ts":{(begin - zero) / 1e3:.3f},'
            f'"dur":{(end - begin) / 1e3:.3f},"args":{{"unit":{unit},"batch":{batch}}}}}'
        )


def _dump(event: dict[str, Any]) -> str:
    return json.dumps(event, separators=(",", ":"))


def _counters(snapshots: Sequence[Snapshot], zero: int) -> Iterator[dict[str, Any]]:
    before: Snapshot | None = None
    for snapshot in snapshots:
        at = (snapshot.time_ns - zero) / 1e3
        yield _counter("ring fill", at, {"batches": snapshot.batches.filled, "vectors": snapshot.vectors.filled})
        if before is not None:
            seconds = (snapshot.time_ns - before.time_ns) / 1e9
            yield _counter("tokens/s", at, {"tokens/s": round((_tokens(snapshot) - _tokens(before)) / seconds)})
        for gpu in snapshot.gpus:
            known = {"utilisation %": gpu.utilisation, "power W": gpu.power}
            values = {name: value for name, value in known.items() if value is not None}
            if values:
                yield _counter(f"GPU {gpu.index}", at, values)
        before = snapshot


def _counter(name: str, at: float, values: dict[str, Any]) -> dict[str, Any]:
    return {"ph": "C", "name": name, "pid": 0, "tid": 0, "ts": at, "args": values}


def _tokens(snapshot: Snapshot) -> int:
    return sum(p.counters[Counter.TOKENS] for p in snapshot.processes if p.stage == "encoder" and p.counters)


def _activity(number: int) -> str:
    known = number in set(Activity)
    return Activity(number).name.lower().replace("_", " ") if known else f"activity {number}"
