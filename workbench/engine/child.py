"""What every child process does first and last: quiet terminal, parent watch, board row, failures as data."""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter

from workbench.core.child_process import leave_with_parent, redirect_output
from workbench.core.errors import WorkbenchError
from workbench.core.run import Failure
from workbench.engine.segment import Segment, SegmentName
from workbench.engine.wire import Failed
from workbench.telemetry.board import Board, BoardRow
from workbench.telemetry.trace import SpanFile, span_path


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """What a child is told when it is started; picklable.

    Attributes:
        stage, index: which process this is.
        board, board_rows, board_row: where it counts its work.
        log: file that takes what libraries print (printing would paint over the screen).
        trace: folder for the spans of its trace; "" = no trace.
    """

    stage: str
    index: int
    board: SegmentName
    board_rows: int
    board_row: int
    log: str
    trace: str = ""


class ParentGone(Exception):
    """The supervisor closed the pipe: leave."""


class Link:
    """The child's end of its pipe. Every call may raise ParentGone."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def send(self, message: object) -> None:
        try:
            self._pipe.send(message)
        except OSError as error:
            raise ParentGone from error

    def receive(self, timeout: float | None = None) -> object | None:
        """The next message; None when none came within `timeout` seconds (None: wait)."""
        try:
            if timeout is not None and not self._pipe.poll(timeout):
                return None
            return self._pipe.recv()  # type: ignore[no-any-return]
        except (OSError, EOFError) as error:
            raise ParentGone from error


@dataclass(frozen=True, slots=True)
class Child:
    """What a process body works with."""

    spec: ChildSpec
    link: Link
    meter: BoardRow
    began: float


Body = Callable[[Child], None]


def run_child(spec: ChildSpec, pipe: Connection, body: Body) -> None:
    """Run `body` as a child of the run: prepare the process, send failures home, leave with its parent."""
    began = perf_counter()
    if spec.log:
        redirect_output(Path(spec.log))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C reaches the whole console; only the parent acts
    leave_with_parent()
    segment = Segment.attach(spec.board)
    board = Board(segment.buffer, spec.board_rows)
    meter = board.row(spec.board_row, os.getpid(), _spans(spec))
    link = Link(pipe)
    try:
        body(Child(spec, link, meter, began))
    except ParentGone:
        pass
    except BaseException as error:
        with suppress(ParentGone):
            code = error.exit_code if isinstance(error, WorkbenchError) else None
            link.send(Failed(describe(error, spec.stage), code))
        traceback.print_exc()
        raise SystemExit(1) from error
    finally:
        meter.close()


def _spans(spec: ChildSpec) -> SpanFile | None:
    """Where this process keeps its part of the trace."""
    if not spec.trace:
        return None
    return SpanFile(span_path(Path(spec.trace), spec.stage, spec.index, os.getpid()))


def describe(error: BaseException, stage: str, unit: int | None = None) -> Failure:
    """An exception as data."""
    known = isinstance(error, WorkbenchError)
    return Failure(
        stage=stage,
        pid=os.getpid(),
        unit=unit,
        kind=type(error).__name__,
        message=str(error) or type(error).__name__,
        hint="" if known else "`--debug` shows the traceback; the process's log is in the run's folder",
        traceback="".join(traceback.format_exception(error)),
    )
