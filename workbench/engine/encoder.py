"""The encoder process: takes batch slots, computes, fills vector slots; never faiss or textual."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from multiprocessing.connection import Connection

import numpy as np

from workbench.core.activity import Activity, Counter
from workbench.core.errors import DeviceMemoryError, RunFailed
from workbench.encoders.base import Distant, EncoderSpec, Int32, Pending, TokenBatch, Vectors
from workbench.encoders.registry import open_encoder
from workbench.engine import wire
from workbench.engine.child import Child, ChildSpec, run_child
from workbench.engine.ring import BatchRing, RingShape, VectorRing
from workbench.engine.segment import Segment, SegmentName

#: Seconds between looks at a batch that is far away, while there is room for another.
_GLANCE = 0.005


@dataclass(frozen=True, slots=True)
class EncoderProcessSpec:
    """What an encoder process needs besides what every child is told; picklable."""

    child: ChildSpec
    encoder: EncoderSpec
    batches: SegmentName
    vectors: SegmentName
    shape: RingShape


def main(spec: EncoderProcessSpec, pipe: Connection) -> None:
    """Entry point of the process."""
    run_child(spec.child, pipe, lambda child: _EncoderProcess(spec, child).run())


@dataclass(frozen=True, slots=True)
class _InFlight:
    batch: wire.Batch
    pending: Pending
    device_ns: int | None  # booked while it was submitted (the rest comes with `vectors`); None: in parts


class _EncoderProcess:
    """Keeps up to `encoder.depth` batches on the device and hands vectors on in order."""

    def __init__(self, spec: EncoderProcessSpec, child: Child) -> None:
        self._link, self._meter = child.link, child.meter
        self._encoder = open_encoder(spec.encoder)
        self._flops = spec.encoder.model.flops_per_token
        self._prompt_tokens = spec.encoder.model.document_prompt_tokens
        self._dim = spec.shape.dim
        self._texts = spec.shape.text_bytes > 0
        self._batches = BatchRing(Segment.attach(spec.batches).buffer, spec.shape)
        self._vectors = VectorRing(Segment.attach(spec.vectors).buffer, spec.shape)
        self._waiting: deque[wire.Batch] = deque()
        self._slots: deque[int] = deque()
        self._flight: deque[_InFlight] = deque()
        self._stopped = False
        self._budget = 0
        self._pads = True

    def run(self) -> None:
        with self._meter.doing(Activity.LOAD_MODEL):
            info = self._encoder.load()
        self._budget, self._pads = info.token_budget, info.pads
        self._meter.put(Counter.BUDGET, info.token_budget)
        self._meter.put(Counter.DEVICE_BYTES, 0)  # what a lost process held is free again
        self._link.send(wire.EncoderReady(info))
        self._meter.enter(Activity.WAIT_INPUT)
        try:
            while not self._stopped:
                self._step()
        finally:
            self._encoder.close()
        self._meter.enter(Activity.ENDED)

    def _step(self) -> None:
        """Take what has come, keep the device full, hand back the oldest result."""
        while not self._stopped:
            idle = not self._waiting and not self._flight
            message = self._link.receive(None if idle else 0.0)
            if message is None:
                break
            self._take(message)
        while self._waiting and len(self._flight) < self._encoder.depth:
            self._start(self._waiting.popleft())
        full = len(self._flight) >= self._encoder.depth
        if self._flight and (full or not (self._waiting or self._more_may_come())):
            self._finish(self._flight.popleft())

    def _more_may_come(self) -> bool:
        """While the oldest batch is far away, a little time for others to be sent after it."""
        pending = self._flight[0].pending
        if not isinstance(pending, Distant) or pending.done():
            return False
        message = self._link.receive(_GLANCE)
        if message is not None:
            self._take(message)
        return True

    def _take(self, message: object) -> None:
        match message:
            case wire.Batch():
                self._waiting.append(message)
            case wire.Slots(numbers):
                self._slots.extend(numbers)
            case wire.Stop():
                self._stopped = True

    def _read(self, batch: wire.Batch) -> TokenBatch:
        ids, lengths, _ = self._batches.get(batch.slot, batch.rows, batch.tokens)
        texts = self._batches.texts(batch.slot, batch.rows, batch.tokens) if self._texts else ()
        return TokenBatch(ids, lengths, self._prompt_tokens, texts)

    def _start(self, batch: wire.Batch) -> None:
        tokens = self._read(batch)
        before = self._meter.value(Counter.DEVICE_NS)
        if self._too_large(tokens):  # packed before the budget was cut
            self._flight.append(_InFlight(batch, _Done(self._in_parts(tokens)), None))
            return
        try:
            pending = self._encoder.submit(tokens, self._meter)
            booked: int | None = self._meter.value(Counter.DEVICE_NS) - before
        except DeviceMemoryError as error:
            pending, booked = _Done(self._without_memory(tokens, error)), None
        self._flight.append(_InFlight(batch, pending, booked))

    def _finish(self, flight: _InFlight) -> None:
        batch = flight.batch
        before = self._meter.value(Counter.DEVICE_NS)
        try:
            vectors = flight.pending.vectors()
            if flight.device_ns is not None:
                self._fit(batch.padded, flight.device_ns + self._meter.value(Counter.DEVICE_NS) - before)
        except DeviceMemoryError as error:
            vectors = self._without_memory(self._read(batch), error)
        slot = self._slot()
        if self._stopped:
            return
        with self._meter.doing(Activity.ASSEMBLE):
            _, lengths, positions = self._batches.get(batch.slot, batch.rows, batch.tokens)
            self._vectors.put(slot, positions, vectors)
            self._count(batch, lengths)
        self._link.send(wire.Encoded(batch, slot, self._dim))

    def _in_parts(self, batch: TokenBatch) -> Vectors:
        """Compute a batch of at least two rows in halves."""
        return np.concatenate([self._part(part) for part in batch.halves()])

    def _part(self, part: TokenBatch) -> Vectors:
        if self._too_large(part):
            return self._in_parts(part)
        before = self._meter.value(Counter.DEVICE_NS)
        try:
            vectors = self._encoder.submit(part, self._meter).vectors()
        except DeviceMemoryError as error:
            return self._without_memory(part, error)
        self._fit(self._cost(part), self._meter.value(Counter.DEVICE_NS) - before)
        return vectors

    def _fit(self, padded: int, device_ns: int) -> None:
        """Add a forward to the moments of "seconds = a + b · padded tokens"."""
        microseconds = device_ns // 1000
        self._meter.add(Counter.FIT_COUNT, 1)
        self._meter.add(Counter.FIT_PADDED, padded)
        self._meter.add(Counter.FIT_SQUARES, padded * padded)
        self._meter.add(Counter.FIT_US, microseconds)
        self._meter.add(Counter.FIT_US_SQUARES, microseconds * microseconds)
        self._meter.add(Counter.FIT_CROSS, padded * microseconds)

    def _cost(self, batch: TokenBatch) -> int:
        """Tokens computed for a batch."""
        return int(batch.lengths.max()) * len(batch.lengths) if self._pads else len(batch.ids)

    def _too_large(self, batch: TokenBatch) -> bool:
        return self._cost(batch) > self._budget and len(batch.lengths) > 1

    def _without_memory(self, batch: TokenBatch, error: DeviceMemoryError) -> Vectors:
        """The device had no memory: cut the budget for good and compute in halves."""
        if len(batch.lengths) == 1:
            raise RunFailed(
                f"the device has no memory for one text of {int(batch.lengths[0])} tokens",
                remedy="Lower encoder.max_tokens, or use a smaller model or encoder.dtype=fp16",
            ) from error
        self._cut_budget(batch)
        return self._in_parts(batch)

    def _cut_budget(self, batch: TokenBatch) -> None:
        """Halve once per batch size that failed, not once per part."""
        if self._cost(batch) > self._budget:
            return
        self._budget = max(1, min(self._budget, self._cost(batch)) // 2)
        self._meter.put(Counter.BUDGET, self._budget)
        self._meter.add(Counter.BUDGET_CUTS, 1)
        self._link.send(wire.BudgetCut(self._budget))

    def _slot(self) -> int:
        with self._meter.doing(Activity.WAIT_OUTPUT):
            while not self._slots and not self._stopped:
                self._take(self._link.receive())
        return self._slots.popleft() if self._slots else -1

    def _count(self, batch: wire.Batch, lengths: Int32) -> None:
        self._meter.add(Counter.ROWS, batch.rows)
        self._meter.add(Counter.TOKENS, batch.tokens)
        self._meter.add(Counter.PADDED_TOKENS, batch.padded)
        self._meter.add(Counter.BATCHES, 1)
        per_token, per_pair = self._flops
        pairs = float(np.square(lengths, dtype=np.float64).sum())
        self._meter.add(Counter.FLOPS, int((batch.tokens * per_token + pairs * per_pair) / 1e6))


@dataclass(frozen=True, slots=True)
class _Done:
    """Vectors that are there already, as a Pending."""

    result: Vectors

    def vectors(self) -> Vectors:
        return self.result
