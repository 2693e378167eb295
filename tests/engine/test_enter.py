"""What a process may load and how many threads it takes is settled before its modules are imported."""

from __future__ import annotations

from tests.engine import entries
from workbench.engine.children import ChildProcess


def answer(child):
    child.start()
    try:
        assert child.pipe.poll(60)
        return child.pipe.recv()
    finally:
        child.process.join(20)
        child.bury()


def test_numpy_starts_no_threads_in_a_process_of_one(monkeypatch):
    """It starts them when it is imported, and they spin."""
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    assert answer(ChildProcess("writer", 0, 0, entries.own_threads, None, threads=1)) == (1, "1", 300.0)
    assert answer(ChildProcess("encoder", 0, 0, entries.own_threads, None))[1] is None


def test_what_a_stage_must_not_load_is_missing_there():
    assert answer(ChildProcess("worker", 0, 0, entries.load_torch, None)) == "torch is kept out of this process"
