"""Which unit is where: pending, with a worker, on its way, committed; and the search for rows that kill.

Pure bookkeeping, no processes: every rule about retries can be tested without one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace

from workbench.core.units import UnitSpec
from workbench.engine.wire import Batch, Key, Lease, UnitPrepared

#: A unit that ended its worker so often is searched for the rows that did it.
STRIKES = 2


@dataclass(slots=True)
class ActiveUnit:
    """A unit between lease and commit."""

    key: Key
    unit: UnitSpec
    worker: int
    prepared: UnitPrepared | None = None
    sent: int = 0
    encoded: int = 0

    @property
    def handed_over(self) -> bool:
        """The worker has nothing more to do with it."""
        return self.prepared is not None and self.sent == self.prepared.batches


@dataclass(slots=True)
class Search:
    """Halving a unit until the rows that end a worker stand alone."""

    unit: UnitSpec
    ranges: list[tuple[int, int]]
    poison: list[int] = field(default_factory=list)
    probing: Key | None = None


class Ledger:
    """All units of a run."""

    def __init__(self, units: Iterable[UnitSpec], committed: Collection[int]) -> None:
        self._pending: deque[UnitSpec] = deque(unit for unit in units if unit.number not in committed)
        self._attempts: dict[int, int] = {}
        self._strikes: dict[int, int] = {}
        self._rows: dict[int, int] = {}
        self._searches: dict[int, Search] = {}
        self._searched: set[int] = set()
        self._rejected: dict[int, UnitSpec] = {}
        self.active: dict[int, ActiveUnit] = {}
        self.committed: set[int] = set(committed)

    # ── leasing ──────────────────────────────────────────────────────────────────────────────────
    @property
    def pending(self) -> int:
        """Units nobody works on yet, searches included."""
        return len(self._pending) + sum(search.probing is None for search in self._searches.values())

    @property
    def probe_waits(self) -> bool:
        """A search could go on."""
        return any(search.probing is None for search in self._searches.values())

    @property
    def finished(self) -> bool:
        return not (self._pending or self.active or self._searches or self._rejected)

    def take(self, worker: int) -> Lease | None:
        """The next piece of work for a worker: a probe of a suspect unit first, else the next unit."""
        for search in self._searches.values():
            if search.probing is None:
                search.probing = self._next_key(search.unit.number)
                return Lease(search.probing, search.unit, probe=search.ranges[-1])
        if not self._pending:
            return None
        unit = self._pending.popleft()
        key = self._next_key(unit.number)
        self.active[unit.number] = ActiveUnit(key, unit, worker)
        return Lease(key, unit)

    def _next_key(self, unit: int) -> Key:
        self._attempts[unit] = self._attempts.get(unit, 0) + 1
        return Key(unit, self._attempts[unit])

    def current(self, key: Key) -> ActiveUnit | None:
        """The active unit of this attempt; None when the attempt is stale."""
        unit = self.active.get(key.unit)
        return unit if unit is not None and unit.key == key else None

    def of_worker(self, worker: int) -> list[ActiveUnit]:
        """Units a worker still has to prepare or hand over."""
        return [unit for unit in self.active.values() if unit.worker == worker and not unit.handed_over]

    # ── progress ─────────────────────────────────────────────────────────────────────────────────
    def note_rows(self, key: Key, rows: int) -> None:
        self._rows[key.unit] = rows

    def note_batch(self, batch: Batch) -> bool:
        """A batch came from a worker; False when it is stale."""
        unit = self.current(batch.key)
        if unit is not None:
            unit.sent += 1
        return unit is not None

    def commit(self, number: int) -> ActiveUnit | None:
        """A unit is durable, even one that was to be done again (the writer ended before it could say so)."""
        self.committed.add(number)
        self._strikes.pop(number, None)
        unit = self.active.pop(number, None)
        if unit is None:
            self._pending = deque(one for one in self._pending if one.number != number)
        return unit

    def drop(self, key: Key) -> None:
        """Forget a unit for good (the run is stopping)."""
        if self.current(key) is not None:
            del self.active[key.unit]

    def drop_pending(self) -> None:
        """Lease nothing more (the run is stopping)."""
        self._pending.clear()
        self._searches.clear()

    # ── trouble ──────────────────────────────────────────────────────────────────────────────────
    def give_back(self, key: Key) -> None:
        """Lease a unit again through no fault of its own."""
        unit = self.current(key)
        if unit is not None:
            del self.active[key.unit]
            self._pending.appendleft(unit.unit)

    def blame(self, key: Key) -> str:
        """A unit ended its worker, or failed in it. Says what becomes of it: `again`, `search` or `reject`."""
        search = self._searches.get(key.unit)
        if search is not None and search.probing == key:
            return self._narrow(search)
        unit = self.current(key)
        if unit is None:
            return "stale"
        strikes = self._strikes[key.unit] = self._strikes.get(key.unit, 0) + 1
        del self.active[key.unit]
        rows = self._rows.get(key.unit)
        if strikes < STRIKES:
            self._pending.appendleft(unit.unit)
            return "again"
        if not rows or key.unit in self._searched:  # it is not its rows, or not only these
            self._rejected[key.unit] = unit.unit
            return "reject"
        self._searched.add(key.unit)
        self._searches[key.unit] = Search(unit.unit, _halves(0, rows))
        return "search"

    def adopt(self, empty: UnitPrepared) -> None:
        """A rejected unit is on its way to the writer with no rows."""
        unit = self._rejected.pop(empty.key.unit)
        self.active[empty.key.unit] = ActiveUnit(empty.key, unit, -1, empty)

    def _narrow(self, search: Search) -> str:
        begin, end = search.ranges.pop()
        search.probing = None
        if end - begin <= 1:
            search.poison.append(begin)
        else:
            search.ranges.extend(_halves(begin, end))
        self._conclude(search)
        return "search"

    def probe_ok(self, key: Key) -> None:
        """The rows last probed are harmless."""
        search = self._searches.get(key.unit)
        if search is not None and search.probing == key:
            search.ranges.pop()
            search.probing = None
            self._conclude(search)

    def release_probe(self, key: Key) -> None:
        """The rows were not tried: their worker ended before it came to them."""
        search = self._searches.get(key.unit)
        if search is not None and search.probing == key:
            search.probing = None

    def _conclude(self, search: Search) -> None:
        """With every range looked at, lease the unit again without the rows that were found."""
        if not search.ranges:
            del self._searches[search.unit.number]
            self._pending.appendleft(replace(search.unit, skip=tuple(sorted(search.poison))))


def _halves(begin: int, end: int) -> list[tuple[int, int]]:
    middle = (begin + end + 1) // 2
    return [part for part in ((middle, end), (begin, middle)) if part[0] < part[1]]
