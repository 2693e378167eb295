"""What becomes of units when something goes wrong: leased again, searched for the rows to blame, rejected, given up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from workbench.core.activity import Counter
from workbench.core.errors import RunFailed, UsageError
from workbench.core.run import Failure
from workbench.engine import wire
from workbench.engine.children import ChildProcess
from workbench.engine.flow import Flow
from workbench.engine.ledger import Ledger
from workbench.engine.patience import Patience
from workbench.telemetry.board import Board


@dataclass(frozen=True, slots=True)
class Sink:
    """Where the supervisor tells what happened: a line for people, a failure, a unit made durable."""

    log: Callable[[str, str], None]
    failure: Callable[[Failure], None]
    rejected_unit: Callable[[wire.Key, str], wire.UnitPrepared]


class Trouble:
    """Undoes and decides; the supervisor says what happened.

    Attributes:
        failures: processes that ended unexpectedly or said that they cannot go on.
        probing: worker → the probe it was given.
    """

    def __init__(
        self, ledger: Ledger, flow: Flow, board: Board, sink: Sink, workers: int,
        to_writer: Callable[[wire.UnitPrepared], None],
    ) -> None:
        self.patience = Patience(workers)
        self.probing: dict[int, wire.Key] = {}
        self.failures = 0
        self._ledger, self._flow, self._board, self._sink = ledger, flow, board, sink
        self._to_writer = to_writer
        self._last: Failure | None = None

    # ── what happened ────────────────────────────────────────────────────────────────────────────
    def child_failed(self, failure: Failure, exit_code: int | None) -> None:
        """A child cannot go on. Raises what it says where a new start would only meet the same again."""
        self._last = failure
        if exit_code is not None:
            raise UsageError(failure.message) if exit_code == UsageError.exit_code else RunFailed(failure.message)
        self.failures += 1
        self._sink.failure(failure)

    def child_ended(self, child: ChildProcess, code: int | None) -> None:
        """A process is gone: take back what it held. Raises RunFailed when starting it again is hopeless."""
        self.failures += 1
        self._sink.log("error", f"{child.name} ended unexpectedly (exit code {code}); starting it again")
        blamed = False
        if child.stage == "worker":
            blamed = self._worker_gone(child)
        elif child.stage == "encoder":
            self._flow.encoder_gone(child.index)
        else:
            self._flow.writer_gone()
        self._give_up_for(self.patience.ended(child.name, blamed=blamed))

    def unit_failed(self, worker: int, key: wire.Key, failure: Failure) -> None:
        """A unit, or a probe, could not be read. Raises RunFailed when none can."""
        probing = self.probing.get(worker) == key
        if probing:
            del self.probing[worker]
        self._last = failure
        self._sink.log("warning", f"unit {key.unit:06d} failed: {failure.message}")
        self._blame(key, failure.message)
        self._give_up_for(self.patience.unit_failed(probing=probing))

    def probe_ok(self, worker: int, key: wire.Key) -> None:
        """A worker went through the rows it was to try."""
        self.probing.pop(worker, None)
        self.patience.worked()
        self._ledger.probe_ok(key)

    # ── what becomes of it ───────────────────────────────────────────────────────────────────────
    def _worker_gone(self, child: ChildProcess) -> bool:
        """Whether what it read is to blame: what it worked on, not what waited for it."""
        reading = self._board.read(child.row)
        current = reading.counters[Counter.CURRENT_UNIT] if reading is not None else -1
        probing = self.probing.pop(child.index, None)
        blamed = probing is not None and probing.unit == current
        if probing is not None and blamed:
            self._ledger.blame(probing)
        elif probing is not None:
            self._ledger.release_probe(probing)
        self._flow.batch_slots.forget(child.index)
        for unit in self._ledger.of_worker(child.index):
            self._flow.retract(unit.key)
            if unit.key.unit == current:
                blamed = True
                self._blame(unit.key, "it ended its worker twice")
            else:
                self._ledger.give_back(unit.key)
        return blamed

    def _blame(self, key: wire.Key, why: str) -> None:
        self._flow.retract(key)
        verdict = self._ledger.blame(key)
        if verdict == "search":
            self._sink.log("warning", f"unit {key.unit:06d}: looking for the rows that end its worker")
        elif verdict == "reject":
            self._reject(key, why)

    def _reject(self, key: wire.Key, why: str) -> None:
        """Commit a unit that cannot be read as one reject, so that the run can go on."""
        empty = self._sink.rejected_unit(key, why)
        self._sink.log("error", f"unit {key.unit:06d} rejected: {why}")
        self._ledger.adopt(empty)
        self._to_writer(empty)

    def _give_up_for(self, why: str) -> None:
        if not why:
            return
        last = f" (last: {self._last.message})" if self._last is not None else ""
        raise RunFailed(
            f"the run gave up: {why}{last}", remedy="What was committed stays; the same command resumes"
        )
