"""The supervisor: hands out leases and slots, passes messages on, starts again what died.

It runs in one thread of the parent and owns all bookkeeping; other threads only read (`RunState`) or set
flags. It touches no text and no tensor.
"""

from __future__ import annotations

import time

from workbench.encoders.base import EncoderInfo
from workbench.engine import wire
from workbench.engine.children import ChildProcess, dismiss, end_all, wait
from workbench.engine.flow import Flow, Pipeline
from workbench.engine.ledger import Ledger
from workbench.engine.trouble import Sink, Trouble
from workbench.telemetry.board import Board

#: Seconds between looks at the flags when nothing happens.
_TICK = 0.1


class Supervisor:
    """Runs a pipeline until its ledger is finished, it is stopped, or it cannot go on."""

    def __init__(
        self, pipeline: Pipeline, ledger: Ledger, board: Board, *,
        batch_slots: int, vector_slots: int, most_tokens: int, sink: Sink,
    ) -> None:
        self.pipeline, self.ledger, self.board = pipeline, ledger, board
        self.flow = Flow(pipeline, ledger, batch_slots, vector_slots)
        self.token_budget = 0  # known when a model is loaded
        self._pads = True
        self._most_tokens = most_tokens
        self.encoder_info: EncoderInfo | None = None
        self.index: dict[str, str | float | None] | None = None
        self.paused = False
        self.stopping = False
        self.killing = False
        self.last_commit = 0.0
        self.rows = self.rejects = 0
        self._sink = sink
        self._trouble = Trouble(ledger, self.flow, board, sink, len(pipeline.workers), self._write_empty)
        self._finishing = False

    # ── the loop ─────────────────────────────────────────────────────────────────────────────────
    def run(self) -> None:
        """Work until everything is committed and indexed, or the user stopped the run.

        Raises UsageError (a child found wrong input) or RunFailed (it cannot go on); children are ended
        either way, and what was committed stays.
        """
        patience = 1.0
        try:
            while not self.killing and self.index is None:
                self._dispatch()
                wait(self.pipeline.all, _TICK)
                for child in self.pipeline.all:
                    self._listen(child)
            patience = 0.2 if self.killing else 5.0
        finally:
            end_all(self.pipeline.all, wire.Stop(), patience)

    @property
    def phase(self) -> str:
        """Where the run is, as in `telemetry.snapshot.Progress`."""
        if self.index is not None:
            return "ended"
        if self._finishing:
            return "indexing"
        if self.stopping:
            return "stopping"
        return "running" if self.flow.first_batch else "starting"

    @property
    def failures(self) -> int:
        """How often a process ended, or said that it cannot go on."""
        return self._trouble.failures

    def _listen(self, child: ChildProcess) -> None:
        if child.gone:
            return
        ended = child.process is not None and not child.process.is_alive()
        while messages := child.drain():
            for message in messages:
                self._take(child, message)
            if not ended:
                break
        if ended:
            self._on_end(child)

    def _dispatch(self) -> None:
        """Give out whatever can be given out now."""
        if self.stopping:
            self.flow.abandon_unstarted()
        if not self.paused:
            self._lease()
            self.flow.forward()
        self.flow.grant()
        if self.ledger.finished:
            self._start_writer()
        if self.ledger.finished and not self._finishing and self.pipeline.writer.ready:
            self._finishing = self.pipeline.writer.send(wire.Finish(build_index=not self.stopping))
            dismiss([*self.pipeline.workers, *self.pipeline.encoders], wire.Stop())

    def _lease(self) -> None:
        """One unit to each idle worker; a second one in advance while there are enough for all."""
        for ahead in (0, 1):
            for worker in self.pipeline.workers:
                if not worker.ready or self.ledger.pending <= ahead * len(self.pipeline.workers):
                    continue
                units = self.ledger.of_worker(worker.index)
                if worker.index in self._trouble.probing or len(units) > ahead:
                    continue
                if self.ledger.probe_waits and any(unit.prepared is None for unit in units):
                    continue  # a probe behind a unit would wait for it; soon this or another worker is free
                lease = self.ledger.take(worker.index)
                if lease is not None:
                    if lease.probe is not None:
                        self._trouble.probing[worker.index] = lease.key
                    worker.send(lease)

    def _start_writer(self) -> None:
        """Not before there is work for it: until then the cores have a model to load and a first batch to compute."""
        if self.pipeline.writer.process is None:
            self.pipeline.writer.start()

    def _write_empty(self, unit: wire.UnitPrepared) -> None:
        """A unit without batches goes to the writer at once."""
        self._start_writer()
        self.pipeline.writer.send(unit)

    # ── messages ─────────────────────────────────────────────────────────────────────────────────
    def _take(self, child: ChildProcess, message: object) -> None:
        match message:
            case wire.Batch():
                self.flow.on_batch(message)
                if not self.paused:
                    self.flow.forward()  # not at the end of the round: an idle encoder costs most
            case wire.Encoded():
                self.flow.on_encoded(child.index, message)
                self._start_writer()
            case wire.SlotFree(slot):
                self.flow.vector_slots.release(slot)
            case wire.Committed():
                self._on_committed(message)
            case wire.UnitPrepared():
                self._trouble.patience.worked()
                self.flow.on_prepared(message)
                if not message.batches:
                    self._start_writer()
            case wire.NeedSlots() | wire.Abandoned() | wire.UnitRead() | wire.ProbeOk() | wire.UnitFailed():
                self._take_unit(child.index, message)
            case _:
                self._take_state(child, message)

    def _take_unit(
        self, worker: int,
        message: wire.NeedSlots | wire.Abandoned | wire.UnitRead | wire.ProbeOk | wire.UnitFailed,
    ) -> None:
        """What a worker says of a unit."""
        match message:
            case wire.NeedSlots(key, count):
                if self.ledger.current(key) is not None:
                    self.flow.batch_slots.want(worker, key, count)
            case wire.Abandoned(key):
                self.flow.batch_slots.forget(worker, key)
            case wire.UnitRead(key, rows):
                self.ledger.note_rows(key, rows)
            case wire.ProbeOk(key):
                self._trouble.probe_ok(worker, key)
            case wire.UnitFailed(key, failure):
                self._trouble.unit_failed(worker, key, failure)

    def _take_state(self, child: ChildProcess, message: object) -> None:
        """Messages about a process rather than about data."""
        match message:
            case wire.Ready():
                child.ready = True
                if self.token_budget:
                    child.send(wire.Budget(self.token_budget, self._pads))
            case wire.EncoderReady(info):
                child.ready = True
                self.encoder_info = info
                self._pads = info.pads
                self._set_budget(info.token_budget)
                self._sink.log("info", f"model ready on {info.device_name} ({info.dtype})")
            case wire.BudgetCut(tokens):
                self._set_budget(tokens)
                self._sink.log("warning", f"out of device memory: token budget cut to {tokens:,}")
            case wire.WriterReady():
                child.ready = True
                self._on_writer_ready(message)
            case wire.Finished(index):
                self.index = index
            case wire.Failed(failure, code):
                self._trouble.child_failed(failure, code)

    def _set_budget(self, tokens: int) -> None:
        """The smallest budget of all encoders holds, and never more than a slot takes."""
        self.token_budget = min(self.token_budget or self._most_tokens, tokens)
        for worker in self.pipeline.workers:
            worker.send(wire.Budget(self.token_budget, self._pads))

    def _on_committed(self, message: wire.Committed) -> None:
        for number in message.units:
            self.ledger.commit(number)
        if message.rows > self.rows:
            self._trouble.patience.committed()
        self.rows, self.rejects = message.rows, message.rejects
        self.last_commit = time.perf_counter()

    def _on_writer_ready(self, message: wire.WriterReady) -> None:
        """A writer that took over knows of units whose commit was never told: they are not done again."""
        for number in message.committed - self.ledger.committed:
            unit = self.ledger.active.get(number)
            if unit is not None:
                self.flow.withdraw(unit.worker, unit.key)
            self.ledger.commit(number)
        self.rows, self.rejects = message.rows, message.rejects

    def _on_end(self, child: ChildProcess) -> None:
        """A process is gone: start it again unless that is hopeless."""
        code = child.bury()
        if child.leaving:
            return
        if child is self.pipeline.writer:
            self._finishing = False
        self._trouble.child_ended(child, code)
        child.start()
