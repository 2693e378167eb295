"""Leases, retries and the search for rows that end their worker: pure, so every order can be tried."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from workbench.core.units import UnitSpec
from workbench.engine.ledger import Ledger
from workbench.engine.wire import Batch, Key, UnitPrepared


def units(count: int) -> list[UnitSpec]:
    return [UnitSpec(number, "x", 0, 10, 10, 100) for number in range(count)]


def prepared(key: Key, batches: int = 1) -> UnitPrepared:
    return UnitPrepared(key, 10, 0, batches, 100, "c", "")


def test_committed_units_are_not_leased_again():
    ledger = Ledger(units(4), {1, 2})
    leased = [ledger.take(0), ledger.take(0)]
    assert [lease.unit.number for lease in leased if lease] == [0, 3]
    assert ledger.take(0) is None


def test_an_older_attempt_is_stale():
    ledger = Ledger(units(1), ())
    first = ledger.take(0)
    assert first is not None
    ledger.give_back(first.key)
    second = ledger.take(1)
    assert second is not None
    assert ledger.current(first.key) is None
    assert not ledger.note_batch(Batch(first.key, 0, 0, 1, 1, 1))
    assert ledger.note_batch(Batch(second.key, 0, 0, 1, 1, 1))


def test_a_unit_is_of_its_worker_until_it_is_handed_over():
    ledger = Ledger(units(1), ())
    lease = ledger.take(3)
    assert lease is not None
    key = lease.key
    unit = ledger.of_worker(3)[0]
    unit.prepared = prepared(key, batches=2)
    ledger.note_batch(Batch(key, 0, 0, 1, 1, 1))
    assert ledger.of_worker(3) == [unit]
    ledger.note_batch(Batch(key, 1, 0, 1, 1, 1))
    assert ledger.of_worker(3) == []
    assert not ledger.finished
    ledger.commit(0)
    assert ledger.finished


def test_a_commit_that_was_never_told_takes_the_unit_out_of_the_queue():
    ledger = Ledger(units(2), ())
    ledger.commit(1)
    assert ledger.take(0) is not None
    assert ledger.take(0) is None


def test_a_unit_that_cannot_be_read_twice_is_rejected_whole():
    ledger = Ledger(units(1), ())
    for expected in ("again", "reject"):
        lease = ledger.take(0)
        assert lease is not None
        assert ledger.blame(lease.key) == expected
    assert not ledger.finished
    ledger.adopt(prepared(lease.key, batches=0))
    ledger.commit(0)
    assert ledger.finished


@given(st.integers(1, 200), st.data())
def test_poison_rows_are_found_exactly(rows, data):
    """Every probe that holds a poison row ends the worker; the last lease leaves out these rows only."""
    poison = data.draw(st.sets(st.integers(0, rows - 1), min_size=1, max_size=5))
    ledger = Ledger(units(1), ())
    for _ in range(10_000):
        lease = ledger.take(0)
        assert lease is not None
        if lease.probe is None:
            ledger.note_rows(lease.key, rows)
            if poison <= set(lease.unit.skip):
                assert set(lease.unit.skip) == poison
                ledger.commit(0)
                break
            assert not lease.unit.skip
            ledger.blame(lease.key)
        elif poison & set(range(*lease.probe)):
            ledger.blame(lease.key)
        else:
            ledger.probe_ok(lease.key)
    assert ledger.finished


@given(st.integers(0, 40))
def test_a_unit_whose_rows_are_all_harmless_is_searched_once_and_then_rejected(rows):
    """It fails after its rows were counted, for a reason that no probe meets."""
    ledger = Ledger(units(1), ())
    for _ in range(200):
        lease = ledger.take(0)
        assert lease is not None
        if lease.probe is not None:
            ledger.probe_ok(lease.key)
            continue
        ledger.note_rows(lease.key, rows)
        if ledger.blame(lease.key) == "reject":
            break
    ledger.adopt(prepared(lease.key, batches=0))
    ledger.commit(0)
    assert ledger.finished


def test_a_probe_that_was_not_begun_is_leased_again():
    ledger = Ledger(units(1), ())
    for _ in range(2):
        lease = ledger.take(0)
        ledger.note_rows(lease.key, 4)
        ledger.blame(lease.key)
    assert ledger.probe_waits and ledger.pending == 1
    probe = ledger.take(0)
    assert probe.probe == (0, 2) and not ledger.probe_waits and ledger.take(1) is None
    ledger.release_probe(probe.key)
    again = ledger.take(1)
    assert again.probe == probe.probe and again.key != probe.key
    ledger.release_probe(probe.key)  # stale by now
    assert not ledger.probe_waits


@given(st.integers(1, 12), st.integers(1, 4), st.randoms(use_true_random=False))
def test_any_order_of_deaths_and_commits_finishes_with_every_unit_once(count, workers, rng: random.Random):
    ledger = Ledger(units(count), ())
    commits: list[int] = []
    deaths = 0
    while not ledger.finished:
        for worker in range(workers):
            lease = ledger.take(worker)
            if lease is not None:
                ledger.note_rows(lease.key, 4)
        for unit in list(ledger.active.values()):
            if rng.random() < 0.3 and deaths < 50:
                deaths += 1
                ledger.give_back(unit.key)
            elif rng.random() < 0.5:
                ledger.commit(unit.key.unit)
                commits.append(unit.key.unit)
    assert sorted(commits) == list(range(count))
