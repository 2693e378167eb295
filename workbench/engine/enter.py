"""The first code of a child process, before anything heavy is imported: numpy alone starts a thread for every core.

What the process is to do comes as bytes: to read them imports its modules, and by then it is settled what these may
load and how many threads they take.
"""

from __future__ import annotations

import pickle
import signal
from contextlib import suppress
from multiprocessing.connection import Connection

from workbench.engine.libraries import keep_out, limit_threads


def packed(entry: object, spec: object) -> bytes:
    """Entry point (of a module) and what it is told, for `enter`."""
    return pickle.dumps((entry, spec))


def enter(stage: str, threads: int, work: bytes, pipe: Connection) -> None:
    """Entry point of every process that `ChildProcess` starts; `threads` as in `limit_threads`."""
    keep_out(stage)
    limit_threads(threads)
    entry, spec = pickle.loads(work)
    entry(spec, pipe)


def enter_encoder(pipe: Connection) -> None:
    """Entry point of an encoder that imports torch while it waits to be told what it is (`EarlyEncoder`)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C reaches the whole console; only the parent acts
    keep_out("encoder")
    limit_threads(0)
    with suppress(ImportError, OSError):  # the encoder imports it again and has words for what goes wrong
        import torch  # noqa: F401
    from workbench.engine import encoder

    try:
        spec = pipe.recv()
    except (EOFError, OSError):
        return  # the run has come to nothing
    encoder.main(spec, pipe)
