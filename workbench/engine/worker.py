"""The worker process: read, slice, tokenise, pack; never torch, transformers or faiss."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from workbench.core.activity import Activity, Counter
from workbench.core.errors import RunFailed, WorkbenchError
from workbench.core.units import SourceSpec
from workbench.encoders.base import ModelSpec
from workbench.engine import wire
from workbench.engine.child import Child, ChildSpec, ParentGone, describe, run_child
from workbench.engine.prepare import PreparedUnit, Preparer, Rows
from workbench.engine.ring import BatchRing, RingShape
from workbench.engine.segment import Segment, SegmentName
from workbench.sources import storage
from workbench.text.packing import pack


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """What a worker needs besides what every child is told; picklable."""

    child: ChildSpec
    source: SourceSpec
    model: ModelSpec
    ring: SegmentName
    shape: RingShape
    staging: str
    batching: str
    batch_rows: int
    compression: str
    known: str = ""  # folder that says which rows the collection has; "" = none


def main(spec: WorkerSpec, pipe: Connection) -> None:
    """Entry point of the process."""
    run_child(spec.child, pipe, lambda child: Worker(spec, child).run())


class _Left(Exception):
    """The supervisor said stop."""


@dataclass(slots=True)
class _Outgoing:
    """A prepared unit whose batches go out as slots are granted."""

    unit: PreparedUnit
    sent: int = 0


class Worker:
    """Prepares the next unit while the batches of the one before still go out.

    Between the steps of preparing, `_pump` fills whatever slots have been granted: the encoder need not
    wait for a whole unit to be tokenised.
    """

    def __init__(self, spec: WorkerSpec, child: Child) -> None:
        self._link, self._meter, self._began = child.link, child.meter, child.began
        self._leases: deque[wire.Lease] = deque()
        self._outgoing: deque[_Outgoing] = deque()
        self._slots: dict[wire.Key, deque[int]] = {}
        self._ring = BatchRing(Segment.attach(spec.ring).buffer, spec.shape)
        self._preparer = Preparer(
            spec.source, spec.model, Path(spec.staging), spec.compression, self._meter, self._pump, spec.known,
            spec.shape.text_bytes,
        )
        self._spec = spec
        self._budget = 0
        self._pads = True
        self._dropped: set[wire.Key] = set()

    def run(self) -> None:
        """Serve leases until the supervisor says stop."""
        import psutil

        memory = int(psutil.Process().memory_info().rss)
        self._link.send(wire.Ready(perf_counter() - self._began, memory))
        self._meter.enter(Activity.PACK)  # what lies between the steps below is handling of batches
        try:
            while True:
                self._step()
        except _Left:
            self._meter.enter(Activity.ENDED)

    def _step(self) -> None:
        self._pump()
        if self._leases:
            self._serve(self._leases.popleft())
            return
        waiting = Activity.WAIT_OUTPUT if self._outgoing else Activity.WAIT_INPUT
        with self._meter.doing(waiting):
            self._take(self._link.receive())

    def _pump(self) -> None:
        """Take what has come without waiting, fill granted slots."""
        while (message := self._link.receive(0.0)) is not None:
            self._take(message)
        while self._outgoing:
            out = self._outgoing[0]
            slots = self._slots.get(out.unit.summary.key)
            while slots and out.sent < len(out.unit.batches):
                self._send(out, slots.popleft())
            if out.sent < len(out.unit.batches):
                return
            self._slots.pop(out.unit.summary.key, None)
            self._outgoing.popleft()

    def _take(self, message: object | None) -> None:
        match message:
            case wire.Lease():
                self._leases.append(message)
            case wire.Budget(tokens, pads):
                self._budget, self._pads = tokens, pads
            case wire.Slots(numbers, key) if key is not None:
                if any(out.unit.summary.key == key for out in self._outgoing):
                    self._slots.setdefault(key, deque()).extend(numbers)
            case wire.Abandon(key):
                self._leases = deque(lease for lease in self._leases if lease.key != key)
                self._outgoing = deque(out for out in self._outgoing if out.unit.summary.key != key)
                self._slots.pop(key, None)
                self._dropped.add(key)
                self._link.send(wire.Abandoned(key))
            case wire.Stop():
                raise _Left

    def _pack(self, lengths: NDArray[np.int32]) -> list[Rows]:
        """Rows of each batch. The budget comes from the loaded model: until then there is no hurry either."""
        spec = self._spec
        while not self._budget:
            with self._meter.doing(Activity.WAIT_OUTPUT):
                self._take(self._link.receive())
        with self._meter.doing(Activity.PACK):
            limit = self._budget if spec.batching == "tokens" else spec.batch_rows
            return pack(lengths, limit, spec.shape.rows, spec.batching, pads=self._pads)

    def _send(self, out: _Outgoing, slot: int) -> None:
        key, number = out.unit.summary.key, out.sent
        with self._meter.doing(Activity.PACK):
            ids, lengths, positions = out.unit.gather(out.unit.batches[number])
            self._ring.put(slot, ids, lengths, positions, out.unit.texts_of(out.unit.batches[number]))
        padded = int(lengths.max()) * len(lengths) if self._pads else len(ids)
        batch = wire.Batch(key, number, slot, len(lengths), len(ids), padded)
        self._preparer.count_batch(batch)
        self._link.send(batch)
        out.sent += 1

    def _serve(self, lease: wire.Lease) -> None:
        try:
            if lease.probe is None:
                self._prepare(lease)
            else:
                self._preparer.probe(lease)
                self._link.send(wire.ProbeOk(lease.key, lease.probe))
        except (_Left, ParentGone, WorkbenchError, MemoryError):
            raise  # none of the unit's doing; a new process has the memory again
        except Exception as error:
            if isinstance(error, OSError) and storage.failing(error):  # of the staging folder too: a full disk
                raise RunFailed(
                    error.strerror or str(error), where=str(error.filename) if error.filename else None,
                    remedy="What was committed stays; the same command resumes",
                ) from error
            self._fail(lease, error)

    def _fail(self, lease: wire.Lease, error: Exception) -> None:
        """The unit failed, not the worker: the supervisor decides what becomes of it."""
        self._meter.put(Counter.CURRENT_UNIT, -1)  # whatever ends the worker from now on, it is not this unit
        self._link.send(wire.UnitFailed(lease.key, describe(error, "worker", lease.unit.number)))

    def _prepare(self, lease: wire.Lease) -> None:
        def tell_rows(rows: int) -> None:
            self._link.send(wire.UnitRead(lease.key, rows))

        unit = self._preparer.prepare(lease, tell_rows, self._pack)
        if lease.key in self._dropped:
            return  # abandoned while it was prepared
        self._link.send(unit.summary)
        if unit.batches:
            self._outgoing.append(_Outgoing(unit))
            self._link.send(wire.NeedSlots(lease.key, len(unit.batches)))
