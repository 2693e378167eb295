"""The parent's hold on one search process: starts it, asks it, starts it again when it dies."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from itertools import count
from types import ModuleType
from typing import TypeVar

from workbench.core.errors import RunFailed
from workbench.engine.children import ChildProcess, Entry, end_all
from workbench.search import wire

#: Seconds between two looks at whether the caller still wants the answer.
_SLICE = 0.02
#: Seconds a process has to leave when asked to.
_PATIENCE = 1.0
_START_LOCK = threading.Lock()
_T = TypeVar("_T")


class Cancelled(Exception):
    """The caller no longer wants the answer."""


class Helper:
    """One child process behind a lock. Any thread may `ask`; requests are answered one after the other."""

    def __init__(self, stage: str, entry: Entry, spec: object, log: str, threads: int = 0) -> None:
        self._child = ChildProcess(stage, 0, 0, entry, spec, threads)
        self._log = log
        self._lock = threading.Lock()
        self._closed = False
        self._numbers = count(1)
        self.ready: wire.Ready | None = None

    def start(self) -> None:
        """Start the process and return at once; what it says is read by the first `ask`."""
        with self._lock:
            self._start()

    def ask(self, body: object, cancelled: Callable[[], bool] | None = None) -> object:
        """Send a request, wait for its reply. A process that dies is started again once per request.

        Raises:
            UsageError, RunFailed: what the process says, or that it died twice.
            Cancelled: `cancelled` became true; the reply is dropped when it comes.
        """
        return self._surviving(lambda: self._ask(wire.Request(next(self._numbers), body), cancelled))

    def wait_ready(self, cancelled: Callable[[], bool] | None = None) -> wire.Ready:
        """What the process said when it could work. Raises as `ask` does."""
        return self._surviving(lambda: self._await_ready(cancelled))

    def close(self) -> None:
        """End the process; safe to call twice."""
        self._closed = True
        end_all([self._child], wire.Stop(), _PATIENCE)

    @property
    def pid(self) -> int:
        return self._child.pid

    def _start(self) -> None:
        self.ready = None
        with _START_LOCK:
            # A spawned child imports the parent's main script again, and a script without a main guard would
            # run a second time. The search processes need nothing of it: for this moment there is none.
            main = sys.modules["__main__"]
            sys.modules["__main__"] = ModuleType("__main__")
            try:
                self._child.start()
            finally:
                sys.modules["__main__"] = main

    def _surviving(self, action: Callable[[], _T]) -> _T:
        with self._lock:
            try:
                return action()
            except (OSError, EOFError):
                self._bury()
                self._start()
            try:
                return action()
            except (OSError, EOFError) as error:
                code = self._bury()
                raise RunFailed(
                    f"the {self._child.stage} process died twice (exit code {code})",
                    remedy=f"What it said last is in {self._log}",
                ) from error

    def _bury(self) -> int | None:
        if self._closed:
            raise RunFailed("the search was closed")
        return self._child.bury()

    def _ask(self, request: wire.Request, cancelled: Callable[[], bool] | None) -> object:
        self._await_ready(cancelled)
        pipe = self._child.pipe
        if pipe is None:
            raise EOFError
        pipe.send(request)
        while True:
            message = self._receive(cancelled)
            if isinstance(message, wire.Reply) and message.number == request.number:
                if isinstance(message.body, wire.Failed):
                    raise message.body.error
                return message.body

    def _await_ready(self, cancelled: Callable[[], bool] | None) -> wire.Ready:
        while self.ready is None:
            message = self._receive(cancelled)
            if isinstance(message, wire.Failed):
                self._child.bury()
                raise message.error
            if isinstance(message, wire.Ready):
                self.ready = message
        return self.ready

    def _receive(self, cancelled: Callable[[], bool] | None) -> object:
        pipe = self._child.pipe
        if pipe is None:
            raise EOFError
        while not pipe.poll(_SLICE if cancelled is not None else 3600.0):
            if cancelled is not None and cancelled():
                raise Cancelled
        return pipe.recv()

