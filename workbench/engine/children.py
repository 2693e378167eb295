"""Starting, watching and ending child processes; `spawn` everywhere, one pipe each."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import connection
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from workbench.engine.enter import enter, packed

CONTEXT = multiprocessing.get_context("spawn")

#: Windows waits for at most 63 things at once. A pipe says that its child has ended too.
_MOST_HANDLES = 60
_PIPES_ALONE = os.name == "nt"

Entry = Callable[[Any, Connection], None]


def make_pipe() -> tuple[Connection, Connection]:
    """Both ends of a pipe. On Windows they are `PipeConnection`s, which offer the same."""
    ours: Any
    theirs: Any
    ours, theirs = CONTEXT.Pipe(duplex=True)
    return ours, theirs


@dataclass(slots=True)
class ChildProcess:
    """One place in the pipeline and the process that fills it now.

    Attributes:
        row: its row on the board.
        threads: how many numeric libraries may use; 0 = theirs to choose.
        gone: the process ended and its end has been dealt with.
        ready: it has said that it can work.
    """

    stage: str
    index: int
    row: int
    entry: Entry
    spec: object
    threads: int = 0
    process: BaseProcess | None = None
    pipe: Connection | None = None
    ready: bool = False
    gone: bool = True
    leaving: bool = False
    restarts: int = 0
    started: float = field(default=0.0)
    _early: list[object] = field(default_factory=list)

    @property
    def name(self) -> str:
        """How people call it: "worker 1", "encoder"."""
        return f"{self.stage} {self.index + 1}" if self.stage == "worker" else self.stage

    @property
    def pid(self) -> int:
        return self.process.pid or 0 if self.process is not None else 0

    @property
    def alive(self) -> bool:
        return self.process is not None and not self.gone and self.process.is_alive()

    def start(self, begun: tuple[BaseProcess, Connection] | None = None) -> None:
        """Start the process, or start it again; `begun`: one that was told this child's spec and its pipe."""
        process, ours = begun or self._spawned()
        if self.process is not None:
            self.restarts += 1
        self.process, self.pipe = process, ours
        self.ready, self.gone, self.leaving = False, False, False
        self.started = time.perf_counter()
        for message in self._early:
            self.send(message)
        self._early.clear()

    def _spawned(self) -> tuple[BaseProcess, Connection]:
        ours, theirs = make_pipe()
        begin = (self.stage, self.threads, packed(self.entry, self.spec), theirs)
        process = CONTEXT.Process(target=enter, args=begin, name=f"workbench {self.name}", daemon=True)
        process.start()
        theirs.close()  # else its end would never show
        return process, ours

    def send(self, message: object) -> bool:
        """Send, or keep until the process is started; False when it is gone (its end is dealt with elsewhere)."""
        if self.process is None:
            self._early.append(message)
            return True
        if self.pipe is None or self.gone:
            return False
        try:
            self.pipe.send(message)
        except OSError:
            return False
        return True

    def drain(self) -> list[object]:
        """Messages that have come, whole ones only; a torn last message of a dead process is dropped."""
        messages: list[object] = []
        if self.pipe is None or self.gone:
            return messages
        with suppress(OSError, EOFError):
            while self.pipe.poll(0) and len(messages) < 256:
                messages.append(self.pipe.recv())
        return messages

    def kill(self) -> None:
        """End the process at once, as a crash would."""
        if self.process is not None:
            self.process.kill()

    def bury(self) -> int | None:
        """Close what is left of a process that ended; returns its exit code."""
        self.gone, self.ready = True, False
        if self.pipe is not None:
            self.pipe.close()
            self.pipe = None
        if self.process is None:
            return None
        self.process.join(1.0)
        return self.process.exitcode


def wait(children: Iterable[ChildProcess], timeout: float) -> None:
    """Block until a child says something or ends, at most `timeout` seconds."""
    things = waited_for(children)
    if not things:
        time.sleep(timeout)
    elif not _PIPES_ALONE:
        connection.wait(things, timeout)
    else:
        parts = [things[begin : begin + _MOST_HANDLES] for begin in range(0, len(things), _MOST_HANDLES)]
        any(connection.wait(part, timeout / len(parts)) for part in parts)


def waited_for(children: Iterable[ChildProcess]) -> list[Any]:
    """What becomes ready when a child says something or ends."""
    found: list[Any] = []
    for child in children:
        if not child.gone and child.pipe is not None and child.process is not None:
            found += [child.pipe] if _PIPES_ALONE else [child.pipe, child.process.sentinel]
    return found


def dismiss(children: Iterable[ChildProcess], stop: object) -> list[ChildProcess]:
    """Ask processes to leave, without waiting for it; returns those that were there."""
    alive = [child for child in children if not child.gone]
    for child in alive:
        child.leaving = True
        child.send(stop)
    return alive


def end_all(children: Iterable[ChildProcess], stop: object, patience: float) -> None:
    """Stop in order: ask, wait a bounded time, terminate."""
    alive = dismiss(children, stop)
    deadline = time.perf_counter() + patience
    for child in alive:
        if child.process is not None:
            child.process.join(max(0.0, deadline - time.perf_counter()))
            if child.process.is_alive():
                child.process.terminate()
                child.process.join(2.0)
            if child.process.is_alive():
                child.process.kill()
        child.bury()
