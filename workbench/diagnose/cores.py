"""Cores that run two threads: what the second one is worth."""

from __future__ import annotations

from dataclasses import dataclass

#: Work that a second thread adds to its core. Both share the arithmetic units: a dense matrix product, which keeps
#: them busy, gains next to nothing, code that often waits for memory (tokenising) about a third; between the two.
SIBLING = 0.25


@dataclass(frozen=True, slots=True)
class Cores:
    """`logical` cores (threads that run at once) on `physical` ones. Threads take whole cores first, then share."""

    logical: int
    physical: int

    def speed(self, busy: float) -> float:
        """Mean speed of `busy` threads (0–1); 1: each has a core to itself."""
        threads = min(busy, float(self.logical))
        shared = threads - self.physical
        return (self.physical + SIBLING * shared) / threads if shared > 0.0 else 1.0

    def capacity(self, busy: float) -> float:
        """CPU seconds a second that all cores together are good for, counted as the clock did while `busy` were in use.

        The clock runs on while a thread shares its core: such a second holds less work, and more of them are to be had.
        """
        return self.logical * self.speed(self.logical) / self.speed(busy)


def cores_of(logical: int, physical: int) -> Cores:
    """Cores as recorded; a number of physical ones that is not known (0) or makes no sense is that of the logical."""
    logical = max(1, logical)
    return Cores(logical, physical if 0 < physical < logical else logical)
