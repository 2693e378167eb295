"""Batches that several threads compute in tiles: the same vectors, in order, with errors where they belong."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

from tests.encoders.test_torch_encoder import CountingMeter, encoder, rows
from workbench.core.activity import Counter, NullMeter
from workbench.core.errors import DeviceMemoryError
from workbench.encoders import torch_lanes
from workbench.encoders.base import TokenBatch

LENGTHS = tuple(sorted((5 + number * 7 % 60 for number in range(60)), reverse=True))


@pytest.fixture
def engine(model, monkeypatch):
    """A loaded encoder of three lanes that cuts into small tiles whatever the machine has."""
    monkeypatch.setattr(torch_lanes, "_SMALL", 16)
    monkeypatch.setattr(torch_lanes, "_ALONE", 0)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    made = encoder(model("bert"))
    made.load()
    yield made
    made.close()


def test_tiles_give_the_vectors_of_single_rows_in_order(engine):
    work, meter = rows(*LENGTHS, 0, 0), CountingMeter()
    vectors = engine.submit(work, meter).vectors()
    end = 0
    for row, length in enumerate(LENGTHS):
        end += length
        single = TokenBatch(work.ids[end - length : end], np.array([length], np.int32))
        np.testing.assert_allclose(vectors[row], engine.submit(single, NullMeter()).vectors()[0], atol=1e-5)
    assert not vectors[len(LENGTHS) :].any()
    assert meter.counts[Counter.LAUNCHES] == 1 and meter.counts[Counter.DEVICE_NS] > 0


def test_two_batches_in_flight_do_not_mix(engine):
    first, second = rows(*LENGTHS), rows(*LENGTHS[::2])
    alone = engine.submit(first, NullMeter()).vectors(), engine.submit(second, NullMeter()).vectors()
    flight = [engine.submit(first, NullMeter()), engine.submit(second, NullMeter())]
    first.ids[:] = 0  # the slot is used again while the lanes compute
    for pending, expected in zip(flight, alone, strict=True):
        np.testing.assert_allclose(pending.vectors(), expected, atol=1e-6)


def test_a_tile_without_memory_is_told_for_its_batch_only(engine, monkeypatch):
    forward, left = engine._forward, [1]
    compute = forward._compute

    def short(*arguments):
        if left:
            left.pop()
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return compute(*arguments)

    monkeypatch.setattr(forward, "_compute", short)
    failing, good = engine.submit(rows(*LENGTHS), NullMeter()), engine.submit(rows(*LENGTHS), NullMeter())
    with pytest.raises(DeviceMemoryError, match=f"{sum(LENGTHS)} tokens"):
        failing.vectors()
    assert np.linalg.norm(good.vectors(), axis=1) == pytest.approx(1.0, abs=1e-3)


def test_other_errors_of_a_tile_come_through(engine):
    ids = np.full(sum(LENGTHS), 10**6, np.int32)
    with pytest.raises((RuntimeError, IndexError)):
        engine.submit(TokenBatch(ids, np.array(LENGTHS, np.int32)), NullMeter()).vectors()


@pytest.mark.parametrize(("allowed", "place"), [(1e9, "lane"), (0, "MainThread")])
def test_a_query_to_a_small_model_waits_for_no_other_thread(engine, monkeypatch, allowed, place):
    monkeypatch.setattr(torch_lanes, "_ALONE", allowed)
    compute, seen = engine._forward._compute, []

    def watched(*arguments):
        seen.append((threading.current_thread().name, len(arguments[1])))
        return compute(*arguments)

    monkeypatch.setattr(engine._forward, "_compute", watched)
    work = rows(9, 7)
    short = engine.submit(work, NullMeter()).vectors()
    ((thread, count),) = seen
    assert thread.startswith(place) and count == 2
    assert np.linalg.norm(short, axis=1) == pytest.approx(1.0, abs=1e-3)
