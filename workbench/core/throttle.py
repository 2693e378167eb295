"""Keeping to a rate: limits that a user sets, and slow disks that a test wants."""

from __future__ import annotations

import time


class Throttle:
    """Keeps a stream of bytes at or below a rate; the time it waits is the caller's.

    Args:
        bytes_per_second: 0 = no limit.
    """

    def __init__(self, bytes_per_second: int) -> None:
        self._rate = bytes_per_second
        self._due = 0.0

    def take(self, nbytes: int) -> None:
        """Return when `nbytes` more may have passed."""
        if self._rate <= 0:
            return
        now = time.perf_counter()
        self._due = max(self._due, now) + nbytes / self._rate
        time.sleep(max(0.0, self._due - now))
