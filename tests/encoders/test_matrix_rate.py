"""The rate that MFU is a share of: at the model's own shapes, kept between runs, never the lower of two."""

from __future__ import annotations

import pytest

from workbench.core.profile import EncoderSection
from workbench.encoders import matrix_rate, torch_encoder
from workbench.encoders.matrix_rate import COMMON_SHAPES
from workbench.encoders.model import resolve_model
from workbench.encoders.registry import encoder_spec


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    """No rate that another test measured is taken for this machine's."""
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))


def spec_of(folder):
    section = EncoderSection(model=str(folder), device="cpu", dtype="fp32")
    return encoder_spec(section, resolve_model(section))


def test_a_models_own_shapes_are_timed_where_that_is_cheap(model, monkeypatch):
    spec = spec_of(model("bert"))
    own = torch_encoder._shapes(spec)
    assert own != COMMON_SHAPES and len(own) > len(set(own))  # every layer counts
    timed = []
    monkeypatch.setattr(matrix_rate, "_seconds", lambda layer, x, device: timed.append(x.shape[1]) or 1e-3)
    encoder = torch_encoder.TorchEncoder(spec)
    info = encoder.load()
    encoder.close()
    assert len(timed) == len(set(own)) and set(timed) == {inputs for _, inputs in own}
    operations = sum(2.0 * 1024 * outputs * inputs for outputs, inputs in own)
    assert info.matrix_flops == pytest.approx(operations / (1e-3 * len(own)))


def test_large_models_are_not_timed_at_their_own_shapes(model, monkeypatch):
    monkeypatch.setattr(torch_encoder, "_CHEAP", 100)
    assert torch_encoder._shapes(spec_of(model("bert"))) == COMMON_SHAPES


def test_the_highest_of_the_first_measurements_is_kept(monkeypatch):
    taken = iter([3e-3, 1e-3, 2e-3, 2e-3, 2e-3])
    monkeypatch.setattr(matrix_rate, "_seconds", lambda layer, x, device: next(taken))
    rates = [matrix_rate.matrix_rate("cpu", "fp32", ((8, 16),), rows=4) for _ in range(8)]
    assert rates[1] == pytest.approx(3 * rates[0]) and set(rates[1:]) == {rates[1]}
