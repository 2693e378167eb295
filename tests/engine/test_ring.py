"""What goes into a slot comes out of it, in this process and in a spawned one; segments are gone afterwards."""

from __future__ import annotations

import gc
import multiprocessing
import sys
from multiprocessing.connection import Connection

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.engine.ring import BatchRing, RingShape, VectorRing
from workbench.engine.segment import Segment, SegmentName

SHAPE = RingShape(batch_slots=3, vector_slots=2, tokens=64, rows=8, dim=5)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 8), min_size=1, max_size=8), st.integers(0, 2))
def test_a_batch_comes_out_as_it_went_in(lengths, slot):
    ring = BatchRing(memoryview(bytearray(SHAPE.batch_slots * SHAPE.batch_bytes)), SHAPE)
    ids = np.arange(sum(lengths), dtype=np.int32) * 7
    rows = np.asarray(lengths, np.int32)
    positions = np.arange(len(lengths), dtype=np.int32)[::-1].copy()
    ring.put(slot, ids, rows, positions)
    got = ring.get(slot, len(lengths), len(ids))
    for have, want in zip(got, (ids, rows, positions), strict=True):
        np.testing.assert_array_equal(have, want)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(max_size=20), min_size=1, max_size=8), st.integers(0, 2))
def test_texts_come_out_as_they_went_in(texts, slot):
    shape = RingShape(batch_slots=3, vector_slots=2, tokens=64, rows=8, dim=5, text_bytes=8 * 20 * 4)
    ring = BatchRing(memoryview(bytearray(shape.batch_slots * shape.batch_bytes)), shape)
    ids, lengths = np.arange(2 * len(texts), dtype=np.int32), np.full(len(texts), 2, np.int32)
    kept = [text.encode() for text in texts]
    for other in range(3):
        ring.put(other, ids, lengths, lengths, [b"other"] * len(texts))
    ring.put(slot, ids, lengths, lengths, kept)
    assert ring.texts(slot, len(texts), len(ids)) == tuple(texts)
    assert ring.texts((slot + 1) % 3, len(texts), len(ids)) == ("other",) * len(texts)
    np.testing.assert_array_equal(ring.get(slot, len(texts), len(ids))[0], ids)


def test_slots_do_not_touch_each_other():
    ring = VectorRing(memoryview(bytearray(SHAPE.vector_slots * SHAPE.vector_bytes)), SHAPE)
    rows = np.arange(8, dtype=np.int32)
    for slot in range(2):
        ring.put(slot, rows, np.full((8, 5), slot + 0.5, np.float32))
    for slot in range(2):
        positions, vectors = ring.get(slot, 8)
        np.testing.assert_array_equal(positions, rows)
        assert (vectors == slot + 0.5).all()


def fill(name: SegmentName, pipe: Connection) -> None:
    """Child: fill a slot of a segment it attached by name."""
    segment = Segment.attach(name)
    ring = VectorRing(segment.buffer, SHAPE)
    ring.put(1, np.arange(4, dtype=np.int32), np.arange(20, dtype=np.float32).reshape(4, 5))
    pipe.send(len(segment.buffer))
    ring.release()
    segment.close()


@pytest.mark.parametrize("kind", ["memory", "file"])
def test_a_child_writes_into_the_parents_segment(kind, tmp_path, monkeypatch):
    if kind == "file":  # shared memory that has no room, as in many containers
        monkeypatch.setattr("workbench.engine.segment._reserve", no_room)
    segment = Segment.create(SHAPE.vector_slots * SHAPE.vector_bytes, tmp_path, "vectors")
    assert segment.name.kind == kind
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(target=fill, args=(segment.name, theirs))
    monkeypatch.undo()
    child.start()
    assert ours.recv() == segment.name.size
    child.join(20)
    ring = VectorRing(segment.buffer, SHAPE)
    positions, vectors = ring.get(1, 4)
    assert positions.tolist() == [0, 1, 2, 3]
    assert vectors[3].tolist() == [15, 16, 17, 18, 19]
    del positions, vectors
    ring.release()
    segment.close(remove=True)
    assert not list(tmp_path.iterdir())
    with pytest.raises(OSError):
        Segment.attach(segment.name)


def no_room(*_: object, **__: object) -> None:
    raise OSError(28, "No space left on device")


def test_views_outlive_the_segment_they_look_into_without_a_complaint(tmp_path, monkeypatch):
    complaints = []
    monkeypatch.setattr(sys, "unraisablehook", complaints.append)
    owner = Segment.create(64, tmp_path, "batches")
    words = np.frombuffer(Segment.attach(owner.name).buffer, np.uint8)
    mine = np.frombuffer(owner.buffer, np.uint8)
    gc.collect()
    owner.buffer[3] = 7
    owner.close(remove=True)
    assert (words[3], mine[3]) == (7, 7)
    del owner, words, mine
    gc.collect()
    assert complaints == []
