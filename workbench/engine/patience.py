"""When a run gives up: processes end or units fail again and again, and nothing is achieved in between."""

from __future__ import annotations

#: Ends of processes, not caused by a unit, without a commit between them.
_CRASHES = 3
#: Failed units (exceptions, not crashes) without a commit between them.
_FAILED_UNITS = 12
#: Ends for each worker, caused by what it read, without a unit prepared or rows found harmless between them. Finding
#: one row among n that ends its worker takes two ends and up to log2(n) more, and every worker may be at it.
_BLAMED = 16


class Patience:
    """Counts what went wrong since something last went right."""

    def __init__(self, workers: int) -> None:
        self._blamed_limit = max(1, workers) * _BLAMED
        self._crashes = self._blamed = self._failed = 0

    def committed(self) -> None:
        """Rows became durable."""
        self._crashes = self._blamed = self._failed = 0

    def worked(self) -> None:
        """A worker prepared a unit, or went through the rows it was to try."""
        self._blamed = self._failed = 0

    def ended(self, name: str, *, blamed: bool) -> str:
        """A process ended; `blamed`: a worker, in the midst of a unit. Returns why to give up, or ""."""
        self._blamed += blamed
        self._crashes += not blamed
        if self._crashes >= _CRASHES:
            return f"{name} ended {_CRASHES} times without a commit in between"
        return self._hopeless()

    def unit_failed(self, *, probing: bool) -> str:
        """A unit, or (`probing`) a part of one that is searched, could not be read. Why to give up, or ""."""
        self._blamed += probing
        self._failed += not probing
        if self._failed >= _FAILED_UNITS:
            return f"{_FAILED_UNITS} units in a row could not be read"
        return self._hopeless()

    def _hopeless(self) -> str:
        if self._blamed < self._blamed_limit:
            return ""
        return f"workers fail whatever they read ({self._blamed} times without one unit in between)"
