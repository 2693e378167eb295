"""What the sampler reads of a run (`telemetry.sampler.RunState`). Reads only, from another thread."""

from __future__ import annotations

import os
from dataclasses import dataclass

from workbench.core.units import Plan
from workbench.engine.supervisor import Supervisor
from workbench.telemetry.board import Board
from workbench.telemetry.sampler import ProcessSlot
from workbench.telemetry.snapshot import Progress, RingReading


@dataclass(slots=True)
class RunView:
    """A run as the sampler sees it.

    Attributes:
        plan: the units, for totals. rows_before: rows and units that were committed before this run.
    """

    supervisor: Supervisor
    plan: Plan
    rows_before: int
    units_before: int

    def processes(self) -> tuple[ProcessSlot, ...]:
        children = [
            ProcessSlot(child.stage, child.index, child.row, child.pid, child.alive, child.restarts)
            for child in self.supervisor.pipeline.all
        ]
        return (*children, ProcessSlot("parent", 0, None, os.getpid(), True, 0))

    def board(self) -> Board:
        return self.supervisor.board

    def batches_ring(self) -> RingReading:
        slots = self.supervisor.flow.batch_slots
        return RingReading(slots.count, slots.filled, slots.free)

    def vectors_ring(self) -> RingReading:
        slots = self.supervisor.flow.vector_slots
        return RingReading(slots.count, slots.filled, slots.count - slots.filled)

    def paused(self) -> bool:
        return self.supervisor.paused

    def progress(self) -> Progress:
        """How far the run is; rows before this run are counted as done."""
        run = self.supervisor
        done = len(run.ledger.committed)
        total = len(self.plan.units)
        return Progress(
            phase=run.phase,
            units_total=total,
            units_done=done,
            units_resumed=self.units_before,
            rows_total=self.plan.rows,
            rows_done=run.rows or self.rows_before,
            tokens_done=run.flow.tokens,
            rejects=run.rejects,
            bytes_total=self.plan.nbytes,
            bytes_done=int(self.plan.nbytes * done / total) if total else 0,
            failures=run.failures,
        )
