"""Progress of a run on stderr: one line that is repainted on a terminal, plain lines elsewhere."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, TextIO

from workbench.cli.common import duration

if TYPE_CHECKING:
    from workbench.telemetry.snapshot import Progress, Snapshot

#: Seconds between plain lines when stderr is no terminal.
_PLAIN_EVERY = 10.0
#: Readings that the speed is taken over.
_RECENT = 40
_BAR = 24


class ProgressBar:
    """Safe to call from the run's thread (`say`) and the command's (`show`)."""

    def __init__(self, stream: TextIO, *, quiet: bool) -> None:
        self._stream = stream
        self._terminal = stream.isatty() and not quiet
        self._painted = False
        self._last = time.monotonic()
        self._lock = threading.Lock()

    def say(self, text: str) -> None:
        """A line that stays."""
        with self._lock:
            self._wipe()
            print(text, file=self._stream, flush=True)

    def show(self, window: Sequence[Snapshot]) -> None:
        """Where the run is now; `window` = the last snapshots, oldest first."""
        if not window:
            return
        text = describe(window)
        now = time.monotonic()
        with self._lock:
            if self._terminal:
                width = shutil.get_terminal_size((80, 24)).columns
                self._stream.write("\r" + text[: width - 1].ljust(width - 1))
                self._stream.flush()
                self._painted = True
            elif now - self._last >= _PLAIN_EVERY:
                self._last = now
                print(text, file=self._stream, flush=True)

    def close(self) -> None:
        """Leave a clean line behind."""
        with self._lock:
            self._wipe()

    def _wipe(self) -> None:
        if self._painted:
            width = shutil.get_terminal_size((80, 24)).columns
            self._stream.write("\r" + " " * (width - 1) + "\r")
            self._painted = False


def describe(window: Sequence[Snapshot]) -> str:
    """One line: share, rows, tokens/s of late, time left."""
    last = window[-1].progress
    share = _share(last)
    filled = round(_BAR * share)
    rate, rows = _token_rate(window[-_RECENT:]), _row_rate(window)
    left = f"{last.phase}" if last.phase != "running" else _left(last, share, rows, window)
    done = f"{last.rows_done:,}" + (f" of {last.rows_total:,}" if last.rows_total else "") + " chunks"
    return f"{'█' * filled}{'░' * (_BAR - filled)} {share:4.0%}  {done}  {rate:,.0f} tokens/s  {left}"


def _share(progress: Progress) -> float:
    if progress.rows_total:
        return min(1.0, progress.rows_done / progress.rows_total)
    return progress.units_done / progress.units_total if progress.units_total else 0.0


def _token_rate(window: Sequence[Snapshot]) -> float:
    """Tokens/s over the window."""
    first, last = window[0], window[-1]
    seconds = (last.time_ns - first.time_ns) / 1e9
    return (last.progress.tokens_done - first.progress.tokens_done) / seconds if seconds > 0 else 0.0


def _row_rate(window: Sequence[Snapshot]) -> float:
    """Rows/s from one commit to another: rows are done in bursts of a unit, and a window may hold one too many."""
    commits = [later for one, later in pairwise(window) if later.progress.rows_done > one.progress.rows_done]
    first, last = (commits[0], commits[-1]) if len(commits) > 1 else (window[0], window[-1])
    seconds = (last.time_ns - first.time_ns) / 1e9
    return (last.progress.rows_done - first.progress.rows_done) / seconds if seconds > 0 else 0.0


def _left(progress: Progress, share: float, rows: float, window: Sequence[Snapshot]) -> str:
    if progress.rows_total and rows > 0:
        return f"about {duration((progress.rows_total - progress.rows_done) / rows)} left"
    seconds = (window[-1].time_ns - window[0].time_ns) / 1e9
    done = share - _share(window[0].progress)
    return f"about {duration((1 - share) / done * seconds)} left" if done > 0 else "starting"
