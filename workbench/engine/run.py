"""A run from request to result: the one face of the engine towards command line and screen."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from workbench.core.errors import RunFailed, WorkbenchError
from workbench.core.run import Failure, LogLine, RunRequest, RunResult
from workbench.engine.child import describe
from workbench.engine.children import ChildProcess
from workbench.engine.early import EarlyEncoder
from workbench.engine.session import Session
from workbench.telemetry.snapshot import RunFacts, Snapshot

Event = LogLine | Failure
_KEPT = 1000  # events


class Run:
    """Starts a run in a thread of its own and lets others watch and steer it.

    All methods return at once, except `wait`. `snapshot` is None until the processes are up.
    """

    def __init__(
        self, request: RunRequest, listener: Callable[[Event], None] | None = None, early: EarlyEncoder | None = None
    ) -> None:
        """`listener` is called with every event, in the run's thread; it must return at once.

        `early`: an encoder process begun before (`engine.early`); the run ends it if it needs none.
        """
        self.request = request
        self.events: deque[Event] = deque(maxlen=_KEPT)
        self._listener = listener
        self._session = Session(request, self._tell, early)
        self._done = threading.Event()
        self._result: RunResult | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._main, name="supervisor", daemon=True)

    # ── watching ─────────────────────────────────────────────────────────────────────────────────
    @property
    def done(self) -> bool:
        return self._done.is_set()

    @property
    def facts(self) -> RunFacts | None:
        """What does not change during the run; None before it is known."""
        return self._session.facts

    def snapshot(self) -> Snapshot | None:
        """The newest reading."""
        sampler = self._session.sampler
        return None if sampler is None else sampler.latest()

    def window(self, n: int) -> tuple[Snapshot, ...]:
        """The last `n` readings, oldest first."""
        sampler = self._session.sampler
        return () if sampler is None else sampler.window(n)

    def children(self, stage: str) -> list[ChildProcess]:
        """The processes of a stage (`worker`, `encoder`, `writer`), for whoever wants to look at one."""
        supervisor = self._session.supervisor
        return [] if supervisor is None else [one for one in supervisor.pipeline.all if one.stage == stage]

    # ── steering ─────────────────────────────────────────────────────────────────────────────────
    def start(self) -> None:
        self._thread.start()

    def pause(self) -> None:
        """Give out no more work; what is in flight goes on."""
        self._session.set_paused(True)

    def resume(self) -> None:
        self._session.set_paused(False)

    def stop(self, *, now: bool = False) -> None:
        """Finish and commit the units in flight, then end; with `now` end at once. Both are resumable."""
        self._session.stop(now=now)

    def wait(self, timeout: float | None = None) -> RunResult | None:
        """The result; None when the run goes on after `timeout` seconds. Raises what ended the run."""
        if not self._done.wait(timeout):
            return None
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._result

    # ── the thread ───────────────────────────────────────────────────────────────────────────────
    def _main(self) -> None:
        try:
            self._result = self._session.execute()
        except WorkbenchError as error:
            self._error = error
        except Exception as error:  # ours: shown as a failed run, traceback with --debug
            self._tell(describe(error, "parent"))
            self._error = RunFailed(
                f"internal error: {type(error).__name__}: {error}",
                remedy="What was committed stays; `--debug` shows the traceback",
            )
            self._error.__cause__ = error
        finally:
            self._done.set()

    def _tell(self, event: Event) -> None:
        self.events.append(event)
        if self._listener is not None:
            self._listener(event)
