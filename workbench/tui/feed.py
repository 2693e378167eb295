"""The bridge's thread: reads a run at a steady rate and hands the screen one message per tick, newest wins."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from workbench.telemetry.snapshot import RunFacts, Snapshot
from workbench.tui.bridge import Event, RunControl, VerdictView
from workbench.tui.frames import Frame, build

#: Readings taken from the sampler per look: enough for the rates' look-back at 4 Hz.
_WINDOW = 24


@dataclass(frozen=True, slots=True)
class Tick:
    """What is new since the tick before. `cpu`: CPU seconds that this thread has used so far."""

    facts: RunFacts | None
    points: tuple[tuple[Snapshot, Frame], ...]
    verdict: VerdictView
    events: tuple[Event, ...]
    done: bool
    cpu: float


class Feed:
    """Looks at a run every `interval` seconds; `deliver` is called in this thread when something may be new.

    While a tick has not been taken, newer ones are merged into it: a slow screen gets fewer messages, never a
    queue of them.
    """

    def __init__(self, run: RunControl, interval: float, deliver: Callable[[], None]) -> None:
        self._run, self.interval, self._deliver = run, interval, deliver
        self._lock = threading.Lock()
        self._waiting: Tick | None = None
        self._seen, self._time_ns = 0, -1
        self._first: Snapshot | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="feed", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()

    def take(self) -> Tick | None:
        """The waiting tick, taken away."""
        with self._lock:
            tick, self._waiting = self._waiting, None
        return tick

    def look(self) -> None:
        """Read the run once and hand on what is new."""
        done = self._run.done()  # before the events: what comes after it is read next time
        facts = self._run.facts()
        points = self._new_points(facts)
        events = tuple(self._run.events(self._seen))
        self._seen += len(events)
        tick = Tick(facts, points, self._run.verdict(), events, done, time.thread_time())
        with self._lock:
            before, self._waiting = self._waiting, tick
            if before is not None:
                self._waiting = Tick(
                    facts, (before.points + points)[-240:], tick.verdict, before.events + events, done, tick.cpu
                )
        if before is None:
            self._deliver()

    def _new_points(self, facts: RunFacts | None) -> tuple[tuple[Snapshot, Frame], ...]:
        window: Sequence[Snapshot] = self._run.window(max(_WINDOW, int(4 * self.interval) + 13))
        if not window:
            return ()
        self._first = self._first or window[0]
        fresh = [i for i, snapshot in enumerate(window) if snapshot.time_ns > self._time_ns]
        if not fresh:
            return ()
        self._time_ns = window[-1].time_ns
        # One point per tick: the shares look back over all readings in between.
        return ((window[-1], build(facts, window, self._first)),)

    def _loop(self) -> None:
        due = time.perf_counter()
        while not self._stop.is_set():
            self.look()
            if self._waiting is not None and self._waiting.done:
                return
            due = max(due + self.interval, time.perf_counter())
            self._stop.wait(due - time.perf_counter())
