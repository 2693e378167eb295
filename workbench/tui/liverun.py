"""The engine behind the Run room: a run that is started, watched and steered without ever waiting for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from workbench.core.errors import WorkbenchError
from workbench.core.run import LogLine, RunRequest, RunResult
from workbench.diagnose.limits import Verdict
from workbench.telemetry.snapshot import RunFacts, Snapshot
from workbench.tui.bridge import WARMING_UP, Event, VerdictView

if TYPE_CHECKING:
    from workbench.diagnose.verdict import LiveVerdict
    from workbench.engine.run import Run

_KEPT = 4000


class LiveRun:
    """A run of the engine. Importing the engine, planning and everything else happens in threads."""

    def __init__(self, request: RunRequest) -> None:
        self._request = request
        self._lock = threading.Lock()
        self._events: list[Event] = []
        self._dropped = 0
        self._run: Run | None = None
        self._error: str | None = None
        self._result: RunResult | None = None
        self._over = threading.Event()
        self._paused = self._stopping = self._killing = False
        self._live: LiveVerdict | None = None
        self._view = WARMING_UP
        self._looked = 0.0
        threading.Thread(target=self._main, name="run", daemon=True).start()

    # ── RunControl ───────────────────────────────────────────────────────────────────────────────
    def facts(self) -> RunFacts | None:
        run = self._run
        return None if run is None else run.facts

    def window(self, n: int) -> tuple[Snapshot, ...]:
        run = self._run
        return () if run is None else run.window(n)

    def events(self, since: int) -> Sequence[Event]:
        with self._lock:
            return self._events[max(0, since - self._dropped):]

    def verdict(self) -> VerdictView:
        """The live verdict; looked for again every two seconds, in the thread that asks."""
        now, run = time.perf_counter(), self._run
        if run is None or run.facts is None:
            return self._view
        from workbench.diagnose.verdict import GOING, LOOK_BACK, LOOK_EVERY, LiveVerdict

        if now - self._looked < LOOK_EVERY:
            return self._view
        self._looked = now
        window = run.window(LOOK_BACK)
        if not window or window[-1].progress.phase not in GOING:
            return self._view  # what limited it stays on the screen after the end
        if self._live is None:
            self._live = LiveVerdict(run.facts)
        self._view = view_of(self._live.update(window, run.facts))
        return self._view

    def pause(self) -> None:
        self._paused = True
        self._pass_on()

    def resume(self) -> None:
        self._paused = False
        self._pass_on()

    def paused(self) -> bool:
        return self._paused and not self._stopping

    def stop(self, *, now: bool = False) -> None:
        self._stopping, self._killing = True, self._killing or now
        self._pass_on()

    def done(self) -> bool:
        return self._over.is_set()

    def result(self) -> RunResult | None:
        return self._result

    def error(self) -> str | None:
        return self._error

    def request(self) -> RunRequest | None:
        return self._request

    def wait(self, timeout: float | None = None) -> bool:
        """True when the run is over. For the end of the program and for tests, not for the screen."""
        return self._over.wait(timeout)

    def engine(self) -> Run | None:
        """The engine's own run; None before it is there."""
        return self._run

    # ── inside ───────────────────────────────────────────────────────────────────────────────────
    def _main(self) -> None:
        try:
            from workbench.engine.run import Run

            run = Run(self._request, self._tell)
            run.start()
            self._run = run
            self._pass_on()
            self._result = run.wait()
        except WorkbenchError as error:
            self._error = str(error)
        except Exception as error:  # shown as what it is: a fault of ours, the screen goes on
            self._error = f"internal error: {type(error).__name__}: {error}"
        finally:
            if self._error is not None:
                self._tell(LogLine(time.time(), "error", self._error))
            self._over.set()

    def _pass_on(self) -> None:
        """Hand the wishes on; those from before the engine was there are handed on when it is."""
        run = self._run
        if run is None:
            return
        if self._stopping:
            run.stop(now=self._killing)
        elif self._paused:
            run.pause()
        else:
            run.resume()

    def _tell(self, event: Event) -> None:
        with self._lock:
            self._events.append(event)
            if len(self._events) > _KEPT:
                cut = _KEPT // 4
                del self._events[:cut]
                self._dropped += cut


def view_of(verdict: Verdict) -> VerdictView:
    """A verdict as the screen shows it."""
    change = verdict.change
    pair = (change.key, str(change.value)) if change is not None and change.key else None
    headline = verdict.headline.rstrip(".") or str(verdict.limit)
    return VerdictView(
        known=verdict.decided,
        headline=headline,
        stage=verdict.stage.split(":")[0] if verdict.decided and not verdict.healthy else "",
        evidence=tuple(verdict.evidence),
        change=pair,
        before=str(change.now) if change is not None and change.now != "" else "",
        advice=change.text if change is not None else "",
        now=verdict.tokens_per_second or None,
        predicted=verdict.predicted_tokens_per_second,
        then=verdict.next_limit,
        confidence=verdict.confidence if verdict.decided else None,
        healthy=verdict.healthy,
    )
