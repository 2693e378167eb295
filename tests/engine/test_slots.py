"""Slots circulate: none is lost, none is held twice, whoever ends."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from workbench.engine.slots import BatchSlots, VectorSlots
from workbench.engine.wire import Batch, Key


class BatchSlotsMachine(RuleBasedStateMachine):
    """Workers ask, fill and die; encoders give back; every slot is always in exactly one place."""

    @initialize(count=st.integers(1, 6))
    def start(self, count):
        self.slots = BatchSlots(count)
        self.granted: dict[int, tuple[int, Key]] = {}
        self.filled: set[int] = set()
        self.attempt = 0

    @rule(worker=st.integers(0, 2), count=st.integers(1, 5))
    def want(self, worker, count):
        self.attempt += 1
        self.slots.want(worker, Key(worker, self.attempt), count)

    @rule()
    def grant(self):
        for (worker, key), numbers in self.slots.grants().items():
            for number in numbers:
                assert number not in self.granted
                assert number not in self.filled
                self.granted[number] = (worker, key)

    @rule()
    def fill(self):
        for number in sorted(self.granted)[:1]:
            _, key = self.granted.pop(number)
            self.slots.fill(Batch(key, 0, number, 1, 1, 1))
            self.filled.add(number)

    @rule()
    def release(self):
        for number in sorted(self.filled)[:1]:
            self.filled.discard(number)
            self.slots.release(number)

    @rule(worker=st.integers(0, 2))
    def die(self, worker):
        self.slots.forget(worker)
        self.granted = {slot: held for slot, held in self.granted.items() if held[0] != worker}

    @invariant()
    def nothing_is_lost(self):
        if hasattr(self, "slots"):
            assert self.slots.free + len(self.granted) + len(self.filled) == self.slots.count
            assert self.slots.filled == len(self.filled)


TestBatchSlots = BatchSlotsMachine.TestCase
TestBatchSlots.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_slots_go_round_robin_and_oldest_unit_first():
    slots = BatchSlots(3)
    slots.want(0, Key(1, 1), 5)
    slots.want(0, Key(2, 1), 5)
    slots.want(1, Key(3, 1), 5)
    assert slots.grants() == {(0, Key(1, 1)): [0, 2], (1, Key(3, 1)): [1]}


def test_a_refused_unit_gets_nothing_more_but_keeps_what_it_holds():
    slots = BatchSlots(2)
    slots.want(0, Key(1, 1), 1)
    slots.grants()
    slots.want(0, Key(2, 1), 1)
    slots.refuse(0, Key(2, 1))
    assert slots.grants() == {}
    assert slots.free == 1
    slots.forget(0, Key(1, 1))
    assert slots.free == 2


def test_vector_slots_survive_the_end_of_encoder_and_writer():
    slots = VectorSlots(4, encoders=2)
    given = slots.grants([0, 1])
    assert {encoder: len(numbers) for encoder, numbers in given.items()} == {0: 2, 1: 2}
    slots.fill(0, given[0][0])
    assert slots.filled == 1
    slots.encoder_gone(0)
    slots.writer_gone()
    again = slots.grants([1])
    assert sorted([*again[1], *given[1]]) == [0, 1, 2, 3]
