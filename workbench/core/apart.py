"""Runs one function in a process of its own: for work whose libraries this process must not load."""

from __future__ import annotations

import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, TypeVar

from workbench.core.child_process import leave_with_parent, redirect_output
from workbench.core.errors import RunFailed, WorkbenchError

T = TypeVar("T")
Progress = Callable[[str, int, int], None]
_TICK = 0.2


def run_apart(function: Callable[..., T], *arguments: Any, progress: Progress | None = None) -> T:
    """`function(*arguments, progress=…)` in a spawned process; its result or its error comes back.

    Args:
        function: module-level, with a keyword `progress` called with (what, done, total).
        progress: called here with what the function reports.

    Raises:
        WorkbenchError: as the function did. RunFailed: it failed otherwise, or its process died.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(there, function, arguments), daemon=True)
    process.start()
    there.close()
    try:
        return _listen(here, process.sentinel, progress)  # type: ignore[no-any-return]
    except EOFError:
        process.join(5)
        raise RunFailed(f"the process for {function.__name__} died (exit code {process.exitcode})") from None
    finally:
        here.close()
        if process.is_alive():
            process.join(2)
        if process.is_alive():
            process.terminate()
            process.join()


def _listen(pipe: Any, sentinel: int, progress: Progress | None) -> Any:
    while True:
        # the tick lets Ctrl+C through on Windows, where a plain wait holds it back
        if not wait([pipe, sentinel], _TICK):
            continue
        kind, value = pipe.recv()
        if kind == "done":
            return value
        if kind == "error":
            raise value
        if progress is not None:
            progress(*value)


def _work(pipe: Connection, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    """Main function of the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # only the parent decides
    leave_with_parent()
    redirect_output(Path(os.devnull))  # nothing a library prints may paint over the screen or into `--json`
    try:
        pipe.send(("done", function(*arguments, progress=lambda *told: pipe.send(("progress", told)))))
    except WorkbenchError as error:
        pipe.send(("error", error))
    except BaseException as error:
        trace = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(trace.filename).name}:{trace.lineno}"
        pipe.send(("error", RunFailed(f"{type(error).__name__}: {error}", where=place)))
