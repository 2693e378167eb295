"""What is sent to a child before it is started reaches it in order; what is sent after its end does not."""

from __future__ import annotations

from multiprocessing.connection import Connection

from workbench.engine.children import ChildProcess


def echo(spec: object, pipe: Connection) -> None:
    """Child: send back the three messages that come, then end."""
    pipe.send([pipe.recv() for _ in range(3)])


def test_messages_wait_for_the_start_of_a_child():
    child = ChildProcess("writer", 0, 0, echo, None)
    assert child.send("first")
    assert child.send("second")
    child.start()
    assert child.send("third")
    assert child.pipe is not None
    assert child.pipe.poll(60)
    assert child.drain() == [["first", "second", "third"]]
    assert child.process is not None
    child.process.join(20)
    child.bury()
    assert not child.send("too late")
