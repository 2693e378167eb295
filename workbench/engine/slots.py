"""Who holds which slot. Pure bookkeeping: slots circulate, so a corpus of any size needs the same memory."""

from __future__ import annotations

from collections import deque

from workbench.engine.wire import Batch, Key


class BatchSlots:
    """Batch slots: free → granted to a worker → with an encoder → free."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._free: deque[int] = deque(range(count))
        self._granted: dict[int, tuple[int, Key]] = {}
        self._wanted: dict[int, dict[Key, int]] = {}
        self._turn: deque[int] = deque()

    @property
    def free(self) -> int:
        return len(self._free)

    @property
    def filled(self) -> int:
        """Slots with data that an encoder has not given back."""
        return self.count - len(self._free) - len(self._granted)

    def want(self, worker: int, key: Key, count: int) -> None:
        """A worker has `count` batches of a unit ready."""
        self._wanted.setdefault(worker, {})[key] = count
        if worker not in self._turn:
            self._turn.append(worker)

    def grants(self) -> dict[tuple[int, Key], list[int]]:
        """Give free slots out, one to each asking worker in turn, its oldest unit first."""
        given: dict[tuple[int, Key], list[int]] = {}
        while self._free and self._turn:
            worker = self._turn.popleft()
            wants = self._wanted[worker]
            key = next(iter(wants))
            slot = self._free.popleft()
            self._granted[slot] = (worker, key)
            given.setdefault((worker, key), []).append(slot)
            wants[key] -= 1
            if wants[key] == 0:
                del wants[key]
            if wants:
                self._turn.append(worker)
        return given

    def fill(self, batch: Batch) -> None:
        """A worker has filled a slot it was granted."""
        self._granted.pop(batch.slot, None)

    def release(self, slot: int) -> None:
        """A slot's data is used up or worthless."""
        self._free.append(slot)

    def forget(self, worker: int, key: Key | None = None) -> None:
        """Take back what a worker holds or wants: everything, or what belongs to one attempt."""
        for slot, (holder, unit) in list(self._granted.items()):
            if holder == worker and (key is None or unit == key):
                del self._granted[slot]
                self._free.append(slot)
        self.refuse(worker, key)

    def refuse(self, worker: int, key: Key | None = None) -> None:
        """Grant nothing more of what a worker asked for; what it was granted it still holds."""
        wants = self._wanted.get(worker, {})
        for unit in list(wants) if key is None else [key]:
            wants.pop(unit, None)
        if not wants and worker in self._turn:
            self._turn.remove(worker)


class VectorSlots:
    """Vector slots: free → granted to an encoder → with the writer → free."""

    def __init__(self, count: int, encoders: int) -> None:
        self.count = count
        self._free: deque[int] = deque(range(count))
        self._encoder: dict[int, set[int]] = {encoder: set() for encoder in range(encoders)}
        self._writer: set[int] = set()

    @property
    def filled(self) -> int:
        """Slots with vectors that the writer has not copied out."""
        return len(self._writer)

    def grants(self, able: list[int]) -> dict[int, list[int]]:
        """Give free slots to the encoders that are up, the one with the fewest first."""
        given: dict[int, list[int]] = {}
        while self._free and able:
            encoder = min(able, key=lambda number: len(self._encoder[number]))
            slot = self._free.popleft()
            self._encoder[encoder].add(slot)
            given.setdefault(encoder, []).append(slot)
        return given

    def fill(self, encoder: int, slot: int) -> None:
        """An encoder has filled a slot; it goes to the writer next."""
        self._encoder[encoder].discard(slot)
        self._writer.add(slot)

    def release(self, slot: int) -> None:
        """The writer has copied a slot out, or nobody wants its vectors."""
        self._writer.discard(slot)
        self._free.append(slot)

    def encoder_gone(self, encoder: int) -> None:
        """An encoder ended: what it held is free."""
        self._free.extend(self._encoder[encoder])
        self._encoder[encoder] = set()

    def writer_gone(self) -> None:
        """The writer ended: what it had not copied out is free."""
        self._free.extend(self._writer)
        self._writer = set()
