"""The simulated device: exact mean speed, bounded memory, vectors that depend on the text alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from time import perf_counter_ns

import numpy as np
import pytest

from workbench.core.activity import NullMeter
from workbench.core.errors import DeviceMemoryError, UsageError
from workbench.core.profile import EncoderSection
from workbench.encoders.base import TokenBatch
from workbench.encoders.embed import Embedder
from workbench.encoders.model import resolve_model
from workbench.encoders.registry import encoder_spec, engine_names, open_encoder
from workbench.encoders.simulated import _Device, token_vectors


def batch(*rows):
    return TokenBatch(np.concatenate([np.array(r, np.int32) for r in rows]), np.array([len(r) for r in rows], np.int32))


def test_vectors_depend_on_the_row_alone():
    a, b, c = [5, 6, 7], [6, 5, 7], [5, 6, 7, 0]
    together = token_vectors(batch(c, a, b), 64)
    assert together.dtype == np.float32
    np.testing.assert_array_equal(together[1], token_vectors(batch(a), 64)[0])
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)
    near = together @ together.T - np.eye(3)
    assert np.abs(near).max() < 0.6  # other tokens, another order, another length: other vectors


def test_vectors_look_uniform():
    rng = np.random.default_rng(0)
    vectors = token_vectors(batch(*rng.integers(0, 30000, (500, 20))), 128, normalise=False)
    assert vectors.min() >= -1
    assert vectors.max() < 1
    assert abs(vectors.mean()) < 0.01
    assert abs(vectors.std() - 3**-0.5) < 0.01


def test_through_the_whole_path(model):
    embedder = Embedder(str(model("bert")), engine="simulated", dim=48, tokens_per_second=1e7)
    texts = ["b", "a", "b", "longer text " * 9] * 40
    vectors = embedder.embed(texts)
    assert vectors.shape == (160, 48)
    np.testing.assert_array_equal(vectors[0], vectors[2])
    assert not np.array_equal(vectors[0], vectors[1])


def test_memory_limit(model):
    section = EncoderSection(model=str(model("bert")), engine="simulated", memory_tokens=8)
    encoder = open_encoder(encoder_spec(section, resolve_model(section)))
    encoder.load()
    assert encoder.submit(batch([1] * 4, [1]), NullMeter()).vectors().shape == (2, 384)
    with pytest.raises(DeviceMemoryError, match="9 tokens"):
        encoder.submit(batch([1] * 3, [1], [1]), NullMeter())


def test_device_appends_work_and_makes_up_for_late_callers(monkeypatch):
    ms = 1_000_000
    now = start = 10**12
    monkeypatch.setattr("workbench.encoders.simulated.perf_counter_ns", lambda: now)
    device = _Device()
    first = device.take(1 * ms, 5 * ms, 2 * ms)
    assert (first.copied, first.computed, first.done) == (start + 1 * ms, start + 6 * ms, start + 8 * ms)
    second = device.take(1 * ms, 5 * ms, 2 * ms)  # copies beside the first one's forward, computes behind it
    assert (second.copied, second.computed, second.done) == (start + 2 * ms, start + 11 * ms, start + 13 * ms)
    now = start + 28 * ms  # the caller slept 15 ms too long: its next batch counts as handed on in time
    device.woken(second.done)
    assert device.take(0, 5 * ms, 0).computed == start + 18 * ms
    now += 1000 * ms  # a second without work is idle time, not lateness
    assert device.take(0, 5 * ms, 0).computed == now + 5 * ms


def test_never_faster_than_its_speed(model):
    section = EncoderSection(model=str(model("bert")), engine="simulated", tokens_per_second=20_000,
                             launch_seconds=0.001, copy_bytes_per_second=1e8)
    encoder = open_encoder(encoder_spec(section, resolve_model(section)))
    work = batch(*[[7] * 20] * 10)
    began = perf_counter_ns()
    pending = [encoder.submit(work, NullMeter()) for _ in range(5)]
    for each in pending:
        each.vectors()
    copied = (work.ids.nbytes + 10 * 384 * 4) / 1e8
    assert perf_counter_ns() - began >= (5 * (200 / 20_000 + 0.001) + copied) * 1e9 - 1000


def test_registry():
    assert engine_names()[:2] == ["torch", "simulated"]
    with pytest.raises(UsageError, match="Did you mean torch"):
        encoder_spec(EncoderSection(engine="torhc"), None)


def test_simulated_needs_no_torch(model):
    code = (
        "import sys; from workbench.encoders.embed import Embedder\n"
        "Embedder(sys.argv[1], engine='simulated').embed(['a'])\n"
        "print(sorted({'torch','transformers','faiss','textual'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(model("bert"))], capture_output=True, text=True,
                          cwd=Path(__file__).parents[2], check=True, timeout=120)
    assert done.stdout.strip() == "[]"
