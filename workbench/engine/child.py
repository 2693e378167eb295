"""What every child process does first and last: quiet terminal, parent watch, board row, failures as data."""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import connection, parent_process
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter

from workbench.core.errors import WorkbenchError
from workbench.core.run import Failure
from workbench.engine.libraries import keep_out, limit_threads
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
        threads: how many threads numeric libraries may use; 0 = theirs to choose.
        trace: folder for the spans of its trace; "" = no trace.
    """

    stage: str
    index: int
    board: SegmentName
    board_rows: int
    board_row: int
    log: str
    threads: int = 1
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
        _redirect_output(Path(spec.log))
    keep_out(spec.stage)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C reaches the whole console; only the parent acts
    limit_threads(spec.threads)
    threading.Thread(target=_leave_with_parent, name="parent watch", daemon=True).start()
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


def _redirect_output(log: Path) -> None:
    """Point file descriptors 1 and 2 at the log, for C libraries too."""
    file = log.open("a", encoding="utf-8", errors="replace", buffering=1)
    for stream, number in ((sys.stdout, 1), (sys.stderr, 2)):
        with suppress(AttributeError, OSError, ValueError):
            stream.flush()
        os.dup2(file.fileno(), number)
    sys.stdout = sys.stderr = file


def _leave_with_parent() -> None:
    """A child survives its parent's end on Windows: wait for that end and leave at once."""
    parent = parent_process()
    if parent is None:
        return
    connection.wait([parent.sentinel])
    os._exit(3)
