"""What is sent to a child before it is started reaches it in order; what is sent after its end does not."""

from __future__ import annotations

from multiprocessing.connection import Connection, wait

import pytest

from workbench.engine import children
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


def last_words(spec: object, pipe: Connection) -> None:
    """Child: say something and wait to be killed."""
    pipe.send(spec)
    pipe.recv()


@pytest.mark.parametrize("pipes_alone", [True, False])
def test_whatever_is_waited_for_a_child_that_is_killed_shows(monkeypatch, pipes_alone):
    monkeypatch.setattr(children, "_PIPES_ALONE", pipes_alone)
    child = ChildProcess("worker", 0, 0, last_words, "ready")
    child.start()
    things = children.waited_for([child])
    assert len(things) == 2 - pipes_alone
    assert wait(things, 60) == [child.pipe] and child.drain() == ["ready"]
    assert wait(things, 0) == []
    child.kill()
    assert set(wait(things, 60)) <= {child.pipe, child.process.sentinel} != set()
    child.process.join(60)
    assert child.drain() == [] and not child.alive
    assert child.bury() not in (0, None)
    assert children.waited_for([child]) == []


def test_more_children_than_windows_waits_for_at_once(monkeypatch):
    """As there: no more than 63 handles in one call, and the last child is heard like the first."""
    asked: list[int] = []

    def at_most(things, timeout):
        asked.append(len(things))
        if len(things) > 63:
            raise ValueError("need at most 63 handles")
        return wait(things, 0)

    child = ChildProcess("worker", 0, 0, last_words, "ready")
    child.start()
    assert child.pipe is not None and child.pipe.poll(60)
    monkeypatch.setattr(children, "_PIPES_ALONE", True)
    monkeypatch.setattr(children.connection, "wait", at_most)
    pipes = [children.make_pipe() for _ in range(70)]
    quiet = [ChildProcess("worker", n, n, last_words, None, process=child.process, pipe=ours, gone=False)
             for n, (ours, _) in enumerate(pipes)]
    children.wait([child, *quiet], 1.0)
    assert asked == [60]  # it has said something: the others are not waited for
    asked.clear()
    children.wait([*quiet, child], 1.0)
    assert asked == [60, 11]
    child.kill()
    child.bury()
    for ours, theirs in pipes:
        ours.close()
        theirs.close()
