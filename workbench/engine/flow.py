"""The way of batches and vectors through the slots, and what is undone when a process on that way ends."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from workbench.engine import wire
from workbench.engine.children import ChildProcess
from workbench.engine.ledger import Ledger
from workbench.engine.slots import BatchSlots, VectorSlots


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The children of a run, in the order the data passes them."""

    workers: Sequence[ChildProcess]
    encoders: Sequence[ChildProcess]
    writer: ChildProcess

    @property
    def all(self) -> list[ChildProcess]:
        return [*self.workers, *self.encoders, self.writer]


class Flow:
    """Passes batches to encoders and vectors to the writer; knows which slot holds what.

    Attributes:
        tokens, padded: computed so far and not thrown away (real tokens; padding included).
        first_batch: `perf_counter` when the first batch came from a worker, 0 before.
    """

    def __init__(self, pipeline: Pipeline, ledger: Ledger, batch_slots: int, vector_slots: int) -> None:
        self.batch_slots = BatchSlots(batch_slots)
        self.vector_slots = VectorSlots(vector_slots, len(pipeline.encoders))
        self.tokens = self.padded = 0
        self.first_batch = 0.0
        self._pipeline, self._ledger = pipeline, ledger
        self._held: deque[wire.Batch] = deque()
        self._computing: list[dict[int, wire.Batch]] = [{} for _ in pipeline.encoders]

    # ── forward ──────────────────────────────────────────────────────────────────────────────────
    def grant(self) -> None:
        """Give out slots that are free."""
        for (worker, key), slots in self.batch_slots.grants().items():
            self._pipeline.workers[worker].send(wire.Slots(tuple(slots), key))
        up = [encoder.index for encoder in self._pipeline.encoders if encoder.ready]
        for index, slots in self.vector_slots.grants(up).items():
            self._pipeline.encoders[index].send(wire.Slots(tuple(slots)))

    def forward(self) -> None:
        """Pass waiting batches on, each to the encoder with the fewest."""
        up = [encoder for encoder in self._pipeline.encoders if encoder.ready]
        while self._held and up:
            batch = self._held.popleft()
            if self._ledger.current(batch.key) is None:
                self.batch_slots.release(batch.slot)
                continue
            encoder = min(up, key=lambda one: len(self._computing[one.index]))
            self._computing[encoder.index][batch.slot] = batch
            encoder.send(batch)

    def on_batch(self, batch: wire.Batch) -> None:
        """A worker has filled a slot."""
        self.batch_slots.fill(batch)
        if not self._ledger.note_batch(batch):
            self.batch_slots.release(batch.slot)
            return
        self._held.append(batch)
        self.first_batch = self.first_batch or time.perf_counter()

    def on_encoded(self, encoder: int, message: wire.Encoded) -> None:
        """An encoder is through with a batch: its slot is free, its vectors go to the writer."""
        batch = message.batch
        self._computing[encoder].pop(batch.slot, None)
        self.batch_slots.release(batch.slot)
        self.vector_slots.fill(encoder, message.slot)
        unit = self._ledger.current(batch.key)
        if unit is None or not self._pipeline.writer.send(message):
            self.vector_slots.release(message.slot)
            return
        unit.encoded += 1
        self.tokens += batch.tokens
        self.padded += batch.padded

    def on_prepared(self, message: wire.UnitPrepared) -> None:
        """A unit's text part is staged; its vectors will follow."""
        unit = self._ledger.current(message.key)
        if unit is not None:
            unit.prepared = message
            self._pipeline.writer.send(message)

    # ── back ─────────────────────────────────────────────────────────────────────────────────────
    def retract(self, key: wire.Key) -> None:
        """Make the writer forget an attempt and free the slots of its waiting batches."""
        self._pipeline.writer.send(wire.Abandon(key))
        for batch in [batch for batch in self._held if batch.key == key]:
            self._held.remove(batch)
            self.batch_slots.release(batch.slot)

    def withdraw(self, worker: int, key: wire.Key) -> None:
        """Tell a worker too to drop an attempt. What it was granted is free once it answers (`Abandoned`)."""
        self.batch_slots.refuse(worker, key)
        if worker >= 0:
            self._pipeline.workers[worker].send(wire.Abandon(key))
        self.retract(key)

    def encoder_gone(self, encoder: int) -> None:
        """Its batches are still in their slots: another encoder computes them."""
        lost = self._computing[encoder]
        self._held.extendleft(reversed(list(lost.values())))
        self._computing[encoder] = {}
        self.vector_slots.encoder_gone(encoder)

    def writer_gone(self) -> None:
        """Vectors of uncommitted units were in its memory: those units are done again."""
        self.vector_slots.writer_gone()
        for unit in list(self._ledger.active.values()):
            if unit.prepared is not None or unit.sent:
                self.withdraw(unit.worker, unit.key)
                self._ledger.give_back(unit.key)

    def abandon_unstarted(self) -> None:
        """The run is stopping: units of which nothing is computed yet are left to the next run."""
        self._ledger.drop_pending()
        for unit in list(self._ledger.active.values()):
            if unit.encoded == 0 and (unit.prepared is None or unit.prepared.batches):
                self.withdraw(unit.worker, unit.key)
                self._ledger.drop(unit.key)
