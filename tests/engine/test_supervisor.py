"""While the indexes are built, nobody but the writer holds memory, cores or the card."""

from __future__ import annotations

from multiprocessing.connection import Connection

import psutil

from workbench.engine import wire
from workbench.engine.children import ChildProcess
from workbench.engine.flow import Pipeline
from workbench.engine.ledger import Ledger
from workbench.engine.supervisor import Supervisor
from workbench.engine.trouble import Sink
from workbench.telemetry.board import ROW_BYTES, Board


def stays(spec: object, pipe: Connection) -> None:
    """Child: leaves when it is told to."""
    pipe.send(wire.Ready(0.0, 0))
    while not isinstance(pipe.recv(), wire.Stop):
        pass


def last_to_leave(spec: tuple[int, ...], pipe: Connection) -> None:
    """Child: a writer whose index is built when the processes named have left."""
    pipe.send(wire.WriterReady(frozenset(), 0, 0))
    asked = pipe.recv()
    psutil.wait_procs([psutil.Process(pid) for pid in spec if psutil.pid_exists(pid)], timeout=30)
    left = not any(psutil.pid_exists(pid) for pid in spec)
    pipe.send(wire.Finished({"asked": str(asked.build_index), "left": str(left)}))
    pipe.recv()


def test_workers_and_encoders_leave_when_everything_is_committed():
    worker, encoder = ChildProcess("worker", 0, 0, stays, None), ChildProcess("encoder", 0, 1, stays, None)
    worker.start()
    encoder.start()
    writer = ChildProcess("writer", 0, 2, last_to_leave, (worker.pid, encoder.pid))
    said: list[str] = []
    supervisor = Supervisor(
        Pipeline([worker], [encoder], writer), Ledger((), ()), Board(bytearray(3 * ROW_BYTES), 3),
        batch_slots=1, vector_slots=1, most_tokens=1,
        sink=Sink(lambda level, line: said.append(line), lambda failure: said.append(str(failure)), None),
    )
    supervisor.run()
    assert supervisor.index == {"asked": "True", "left": "True"}
    assert (said, supervisor.failures, worker.restarts, encoder.restarts) == ([], 0, 0, 0)
