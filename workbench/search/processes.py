"""The two search processes: how they are started, and what both do.

They prepare, say that they are ready, and answer one request after the other. The parent imports this file, so
what the processes need is imported inside them.
"""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter

from workbench.core.child_process import leave_with_parent, redirect_output
from workbench.core.errors import RunFailed, WorkbenchError
from workbench.search import wire

Handler = Callable[[object], object]
#: Loads what the process needs and returns what it says about itself, and its handler of requests.
Opener = Callable[[], tuple[wire.Ready, Handler]]


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """What a search process is told when it is started; picklable.

    Attributes:
        stage: `query encoder` or `searcher`.
        log: file that takes what libraries print; "" = nowhere.
        threads: how many threads numeric libraries may use; 0 = theirs to choose.
    """

    stage: str
    log: str
    threads: int = 0


@dataclass(frozen=True, slots=True)
class QueryEncoderSpec:
    """What the query encoder is told; picklable.

    Attributes:
        collection, identity: whose chunks the queries are compared with.
        model: use this model instead of the recorded one; "" = the recorded one.
        device: as `encoder.device`; `auto` takes a card only for models that need one.
    """

    process: ProcessSpec
    collection: str
    identity: Mapping[str, str]
    model: str = ""
    device: str = "auto"


@dataclass(frozen=True, slots=True)
class SearcherSpec:
    """What the searcher is told; picklable.

    Attributes:
        collections: their folders.
        identity: of all of them, when they were named: the model whose vectors the queries are compared with.
    """

    process: ProcessSpec
    collections: tuple[str, ...]
    identity: Mapping[str, str]


def query_encoder_main(spec: QueryEncoderSpec, pipe: Connection) -> None:
    """Entry point of the process that embeds queries; torch, never faiss or textual."""

    def opener() -> tuple[wire.Ready, Handler]:
        from workbench.search.query_encoder import opened

        return opened(spec)

    _serve(spec.process, pipe, opener)


def searcher_main(spec: SearcherSpec, pipe: Connection) -> None:
    """Entry point of the process that finds chunks; faiss and pyarrow, never torch or textual."""

    def opener() -> tuple[wire.Ready, Handler]:
        from workbench.search.searcher import opened

        return opened(spec)

    _serve(spec.process, pipe, opener)


def _serve(spec: ProcessSpec, pipe: Connection, opener: Opener) -> None:
    """Body of a search process. Errors travel home as data; the process leaves with its parent."""
    began = perf_counter()
    redirect_output(Path(spec.log or os.devnull))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C reaches the whole console; only the parent acts
    leave_with_parent()
    with suppress(OSError, EOFError):  # the parent closed the pipe: leave
        try:
            ready, handler = opener()
        except Exception as error:
            traceback.print_exc()
            pipe.send(_failed(error, spec.stage))
            return
        pipe.send(wire.Ready(perf_counter() - began, ready.device, ready.dtype, ready.notes))
        while isinstance(request := pipe.recv(), wire.Request):
            pipe.send(_answer(request, handler, spec.stage))


def _failed(error: Exception, stage: str) -> wire.Failed:
    """An exception as data."""
    if isinstance(error, WorkbenchError):
        return wire.Failed(error)
    trace = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{stage}, {Path(trace.filename).name}:{trace.lineno}"
    return wire.Failed(RunFailed(f"{type(error).__name__}: {error}", where=place))


def _answer(request: wire.Request, handler: Handler, stage: str) -> wire.Reply:
    try:
        return wire.Reply(request.number, handler(request.body))
    except Exception as error:
        traceback.print_exc()
        return wire.Reply(request.number, _failed(error, stage))
