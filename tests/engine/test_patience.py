"""A run gives up when nothing works any more, and not while it is finding out what does."""

import math

from workbench.engine.ledger import STRIKES
from workbench.engine.patience import Patience


def test_the_third_end_without_a_commit_is_the_last():
    patience = Patience(4)
    assert [bool(patience.ended("writer", blamed=False)) for _ in range(3)] == [False, False, True]
    patience.committed()
    assert not patience.ended("writer", blamed=False)
    patience.worked()  # what workers do says nothing of a writer that ends
    patience.ended("writer", blamed=False)
    assert "writer ended 3 times" in patience.ended("writer", blamed=False)


def test_every_worker_may_be_looking_for_a_row_in_a_large_unit():
    workers = 3
    patience = Patience(workers)
    for _ in range(workers * (STRIKES + math.ceil(math.log2(8192)))):
        assert not patience.ended("worker 1", blamed=True)
    patience.worked()
    for _ in range(10):
        assert not patience.unit_failed(probing=True)


def test_workers_that_end_whatever_they_read_are_given_up():
    patience = Patience(2)
    said = [patience.ended("worker 0", blamed=True) for _ in range(40)]
    assert said[0] == "" and "whatever they read" in said[-1]


def test_units_that_cannot_be_read_are_given_up_when_none_can():
    patience = Patience(2)
    for _ in range(5):
        for _ in range(11):
            assert not patience.unit_failed(probing=False)
        patience.worked()
    said = [patience.unit_failed(probing=False) for _ in range(12)]
    assert said[10] == "" and "units in a row could not be read" in said[11]
