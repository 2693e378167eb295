"""The processes of a run and the memory they share: made, started and taken down in one place."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from workbench.collection.facing import refuse_foreign_folder
from workbench.core.errors import RunFailed, UsageError
from workbench.engine import encoder, worker, writer
from workbench.engine.child import ChildSpec
from workbench.engine.children import ChildProcess, end_all
from workbench.engine.early import EarlyEncoder
from workbench.engine.flow import Pipeline
from workbench.engine.ring import RingShape
from workbench.engine.segment import Segment
from workbench.engine.setting import Setting
from workbench.engine.wire import Stop
from workbench.telemetry.board import ROW_BYTES, Board


@dataclass(frozen=True, slots=True)
class Assembly:
    """Children that can be started, over segments that the parent owns.

    `loads`: an encoder has a model to load, so that the writer had better not take a core meanwhile.
    """

    collection: Path
    folder: Path
    pipeline: Pipeline
    board: Board
    loads: bool

    def start_encoders(self, early: EarlyEncoder | None = None) -> None:
        """First, because loading a model takes longest; `early` becomes the first of them."""
        for number, child in enumerate(self.pipeline.encoders):
            child.start(early.become(child.spec) if early is not None and number == 0 else None)

    def start_rest(self) -> None:
        """Those that have not been started yet; a writer that has to wait is started by the supervisor."""
        for child in self.pipeline.workers if self.loads else [*self.pipeline.workers, self.pipeline.writer]:
            if child.process is None:
                child.start()


@dataclass(frozen=True, slots=True)
class _Segments:
    board: Segment
    batches: Segment
    vectors: Segment

    @property
    def all(self) -> tuple[Segment, ...]:
        return self.board, self.batches, self.vectors


@contextmanager
def assemble(setting: Setting, folder: Path, known: str = "") -> Iterator[Assembly]:
    """Make the run's folder, shared memory and (unstarted) processes; take all down at the end.

    `known`: folder that tells the workers which rows the collection has; "" = none.

    Raises UsageError when the target is no place for a collection or cannot be written, RunFailed when there is no
    memory for the rings.
    """
    into = setting.into
    refuse_foreign_folder(into)  # before anything is made in it, and before the input is looked through
    with ExitStack() as undo:
        undo.callback(_leave_nothing, into, [_topmost_new(folder), _topmost_new(Path(setting.source.cache))])
        _make_folders(into, folder)
        rows = setting.workers + len(setting.encoders) + 1
        segments = _segments(setting.shape, rows, folder)
        for segment in segments.all:
            undo.callback(segment.close, remove=True)
        board = Board(segments.board.buffer, rows)
        undo.callback(board.release)
        pipeline = _pipeline(setting, folder, segments, rows, known)
        undo.callback(end_all, pipeline.all, Stop(), 0.5)
        yield Assembly(into, folder, pipeline, board, any(spec.engine == "torch" for spec in setting.encoders))


def _topmost_new(path: Path) -> Path | None:
    """Of a folder and those around it the topmost one that is not there."""
    missing = itertools.takewhile(lambda one: not one.exists(), (path, *path.parents))
    return next(iter(reversed(list(missing))), None)


def _leave_nothing(into: Path, new: Iterable[Path | None]) -> None:
    """Where no collection has begun, remove the folders that were not there before: wrong input leaves nothing."""
    if not (into / "CURRENT").exists():
        for path in new:
            if path is not None:
                shutil.rmtree(path, ignore_errors=True)


def _make_folders(into: Path, folder: Path) -> None:
    try:
        (folder / "log").mkdir(parents=True)
    except OSError as error:
        raise UsageError(
            f"cannot write here ({error.strerror or error})", where=str(into),
            remedy="Choose another folder with --into",
        ) from error


def _segments(shape: RingShape, rows: int, folder: Path) -> _Segments:
    made: list[Segment] = []
    sizes = (
        ("board", rows * ROW_BYTES),
        ("batches", shape.batch_slots * shape.batch_bytes),
        ("vectors", shape.vector_slots * shape.vector_bytes),
    )
    try:
        for label, size in sizes:
            made.append(Segment.create(size, folder, label))
    except OSError as error:
        for segment in made:
            segment.close(remove=True)
        total = sum(size for _, size in sizes) / 1e6
        raise RunFailed(
            f"no room for the rings ({total:.0f} MB): {error.strerror or error}",
            remedy="Lower pipeline.slots or encoder.token_budget, or free disk space",
        ) from error
    return _Segments(*made)


def _pipeline(
    setting: Setting, folder: Path, segments: _Segments, rows: int, known: str
) -> Pipeline:
    profile, shape, into = setting.request.profile, setting.shape, setting.into
    staging = str(into / "staging")

    trace = str(folder) if profile.pipeline.telemetry == "full" else ""

    def child(stage: str, index: int, row: int) -> ChildSpec:
        log = folder / "log" / f"{stage}-{index}.txt"
        return ChildSpec(stage, index, segments.board.name, rows, row, str(log), trace)

    limit = setting.source.read_bytes_per_second
    source = replace(setting.source, read_bytes_per_second=-(-limit // setting.workers))  # of the run, shared out
    workers = [
        ChildProcess("worker", n, n, worker.main, worker.WorkerSpec(
            child("worker", n, n), source, setting.model, segments.batches.name, shape,
            staging, profile.pipeline.batching, profile.pipeline.batch_rows, profile.collection.compression,
            known,
        ), threads=1)
        for n in range(setting.workers)
    ]
    encoders = [
        ChildProcess("encoder", n, setting.workers + n, encoder.main, encoder.EncoderProcessSpec(
            child("encoder", n, setting.workers + n), spec,
            segments.batches.name, segments.vectors.name, shape,
        ))
        for n, spec in enumerate(setting.encoders)
    ]
    last = rows - 1
    end = ChildProcess("writer", 0, last, writer.main, writer.WriterSpec(
        child("writer", 0, last), str(into), segments.vectors.name, shape, profile.index,
        profile.pipeline.write_bytes_per_second,
    ), threads=1)
    return Pipeline(workers, encoders, end)
