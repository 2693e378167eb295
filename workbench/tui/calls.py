"""One function called in a process of its own (spawn): what is heavy never loads into the screen's process."""

from __future__ import annotations

import importlib
import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from workbench.core.child_process import leave_with_parent, redirect_output
from workbench.core.errors import WorkbenchError


def serve(module: str, function: str, arguments: tuple[Any, ...], pipe: Connection) -> None:
    """Entry point of the process: call, send ("done", value) or ("problem", text), leave."""
    redirect_output(Path(os.devnull))  # what it prints must not reach the terminal
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C reaches the whole console; only the parent acts
    if hasattr(os, "nice"):
        os.nice(5)  # a run that goes on comes first
    leave_with_parent()
    with suppress(OSError):
        try:
            value = getattr(importlib.import_module(module), function)(*arguments)
        except WorkbenchError as error:
            pipe.send(("problem", str(error)))
        except Exception as error:  # an unexpected fault is a problem to show, not a dead process to guess about
            pipe.send(("problem", f"internal error: {type(error).__name__}: {error}"))
        else:
            pipe.send(("done", value))


class Call:
    """A call under way. `told` gets ("done", value) or ("problem", text) in another thread, unless cancelled."""

    def __init__(
        self, module: str, function: str, arguments: tuple[Any, ...], told: Callable[[str, Any], None]
    ) -> None:
        self._cancelled = threading.Event()
        self._told = told
        self._process: Any = None
        threading.Thread(target=self._main, args=(module, function, arguments), name=f"call {function}",
                         daemon=True).start()

    def cancel(self) -> None:
        """End the process; nothing is told any more."""
        self._cancelled.set()
        process = self._process
        if process is not None:
            with suppress(OSError, ValueError):
                process.terminate()

    def _main(self, module: str, function: str, arguments: tuple[Any, ...]) -> None:
        import multiprocessing

        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=serve, args=(module, function, arguments, theirs), daemon=True)
        if self._cancelled.is_set():
            return
        try:
            process.start()
        except (OSError, ValueError) as error:
            self._told("problem", f"cannot start a process: {error}")
            return
        self._process = process
        theirs.close()
        if self._cancelled.is_set():
            process.terminate()
        try:
            kind, value = ours.recv()
        except (EOFError, OSError):
            process.join(2.0)
            kind, value = "problem", f"the process ended without an answer (exit code {process.exitcode})"
        process.join(2.0)
        ours.close()
        if not self._cancelled.is_set():
            self._told(kind, value)
