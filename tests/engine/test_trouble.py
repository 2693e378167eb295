"""Who is to blame when a worker ends: what it worked on, and nothing that waited behind that."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.core.activity import Counter
from workbench.core.units import UnitSpec
from workbench.engine.children import ChildProcess
from workbench.engine.flow import Flow, Pipeline
from workbench.engine.ledger import Ledger
from workbench.engine.rejecting import rejected_unit
from workbench.engine.trouble import Sink, Trouble
from workbench.engine.wire import Lease, UnitPrepared
from workbench.telemetry.board import ROW_BYTES, Board


class Scene:
    """One worker that works on unit 1, behind which a probe of unit 0 waits. No process is needed for that."""

    def __init__(self, folder: Path) -> None:
        self.worker = ChildProcess("worker", 0, 0, lambda *_: None, None)
        writer = ChildProcess("writer", 0, 2, lambda *_: None, None)
        self.ledger = Ledger([UnitSpec(n, "x", 0, 8, 8, 80) for n in range(2)], ())
        board = Board(bytearray(3 * ROW_BYTES), 3)
        self.meter = board.row(0, pid=1)
        self.written: list[UnitPrepared] = []
        sink = Sink(lambda *_: None, lambda _: None, lambda key, why: rejected_unit(folder, key, why))
        flow = Flow(Pipeline([self.worker], [], writer), self.ledger, 2, 2)
        self.trouble = Trouble(self.ledger, flow, board, sink, 1, self.written.append)
        self.ledger.blame(self.take().key)
        suspect, self.unit = self.take(), self.take()
        self.ledger.note_rows(suspect.key, 8)
        assert self.ledger.blame(suspect.key) == "search"
        self.probe = self.take()
        self.trouble.probing[0] = self.probe.key

    def take(self) -> Lease:
        lease = self.ledger.take(0)
        assert lease is not None
        return lease


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_a_probe_that_waited_is_tried_again(scene: Scene) -> None:
    assert (scene.unit.unit.number, scene.probe.probe) == (1, (0, 4))
    scene.meter.put(Counter.CURRENT_UNIT, 1)
    scene.trouble.child_ended(scene.worker, 77)
    assert scene.take().probe == (0, 4)  # all of it, not one half
    assert scene.take().unit.number == 1
    assert scene.ledger._strikes[1] == 1


def test_a_probe_that_was_worked_on_is_to_blame(scene: Scene) -> None:
    scene.meter.put(Counter.CURRENT_UNIT, 0)
    scene.trouble.child_ended(scene.worker, 77)
    assert scene.take().probe == (0, 2)
    assert 1 not in scene.ledger._strikes


def test_nobody_is_to_blame_for_a_worker_that_worked_on_nothing(scene: Scene) -> None:
    scene.meter.put(Counter.CURRENT_UNIT, -1)
    scene.trouble.child_ended(scene.worker, 77)
    assert scene.take().probe == (0, 4)
    assert 1 not in scene.ledger._strikes
