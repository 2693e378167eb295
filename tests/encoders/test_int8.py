"""8-bit products: close to fp32, the same for a text whatever stands beside it, refused where they cannot be had."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.encoders.test_parity import TEXTS, cosines
from tests.encoders.test_torch_encoder import encoder
from tests.tiny_models import SENTENCES
from workbench.core.errors import UsageError
from workbench.core.profile import EncoderSection
from workbench.encoders import int8_bert, int8_linear
from workbench.encoders.embed import Embedder
from workbench.encoders.int8_linear import Int8Linear, Scale, ScaledLinear, scale_for
from workbench.encoders.matrix_rate import matrix_rate
from workbench.encoders.model import resolve_model
from workbench.encoders.torch_load import choose_dtype

here = pytest.mark.skipif(not int8_linear.available(), reason="this processor has no 8-bit products")


@here
@pytest.mark.parametrize("family", ["bert", "roberta", "mpnet"])
def test_int8_stays_close_to_fp32(model, family):
    folder = str(model(family))
    exact, small = Embedder(folder, dtype="fp32"), Embedder(folder, dtype="int8")
    assert small.info.dtype == "int8"
    found = small.embed(TEXTS)
    near = cosines(exact.embed(TEXTS), found)
    assert near.min() >= 0.998 and near.mean() >= 0.999
    bf16 = Embedder(folder, dtype="bf16").embed(TEXTS)
    assert not np.array_equal(found, bf16)  # it really computed in another format


@here
@pytest.mark.parametrize("family", ["bert", "mpnet"])
def test_a_vector_depends_on_its_own_text_only(model, family, monkeypatch):
    monkeypatch.setattr(int8_bert, "carrier", lambda: torch.float32)  # leaves the 8 bits as the only rounding
    folder = str(model(family))
    embedder = Embedder(folder, dtype="int8")
    together = embedder.embed(TEXTS)
    alone = np.concatenate([embedder.embed([text]) for text in TEXTS])
    loud = embedder.embed([*TEXTS, *("gzip zlib " * 200 for _ in range(20))])[: len(TEXTS)]
    # A sum in another order may send a value to the next of 256 steps; scales taken from a batch move far more.
    assert cosines(together, alone).min() > 0.99999 and cosines(together, loud).min() > 0.99999
    again = Embedder(folder, dtype="int8").embed(TEXTS)
    np.testing.assert_array_equal(together, again)


@here
def test_products_are_exact_integers():
    torch.manual_seed(0)
    weight = torch.randint(-127, 128, (24, 96)).float()
    weight[:, 0] = 127  # every output's scale is 1
    inputs = torch.randint(0, 256, (7, 96), dtype=torch.uint8)
    bias = torch.randn(24)
    made = Int8Linear(weight, bias, Scale(0.5, 100), torch.float32)
    wanted = (inputs.double() - 100) * 0.5 @ weight.double().t() + bias.double()
    torch.testing.assert_close(made(inputs).double(), wanted, rtol=1e-5, atol=1e-3)
    torch.testing.assert_close(made.plus(inputs, torch.full((7, 24), 2.0)).double(), wanted + 2, rtol=1e-5, atol=1e-3)


@here
def test_one_large_input_does_not_coarsen_the_others():
    torch.manual_seed(0)
    weight, x = torch.randn(64, 128) * 0.05, torch.randn(200, 128)
    x[:, 3] *= 50
    wanted = x @ weight.t()
    one_step = torch.full((128,), float(x.abs().max()))
    plain = ScaledLinear(weight, torch.zeros(64), one_step, torch.float32)
    scaled = ScaledLinear(weight, torch.zeros(64), x.abs().amax(dim=0), torch.float32)
    before = x.clone()
    error = [float((made(x) - wanted).pow(2).mean()) for made in (plain, scaled)]
    assert error[1] < error[0] / 4
    assert torch.equal(x, before)  # inputs are not overwritten


@here
def test_activation_and_scale_of_the_result():
    torch.manual_seed(0)
    weight, bias, x = torch.randn(64, 32) * 0.2, torch.randn(64), torch.randn(50, 32)
    wanted = torch.nn.functional.gelu(x @ weight.t() + bias)
    scale = scale_for(float(wanted.min()), float(wanted.max()))
    out = ScaledLinear(weight, bias, x.abs().amax(dim=0), scale, "gelu")(x)
    assert out.dtype == torch.uint8
    torch.testing.assert_close((out.float() - scale.zero) * scale.step, wanted, rtol=0, atol=3 * scale.step)


def test_scales_hold_zero_exactly():
    for least, most in ((-0.17, 5.0), (0.0, 3.0), (-2.0, 0.0), (0.0, 0.0)):
        scale = scale_for(least, most)
        assert 0 <= scale.zero <= 255 and scale.step > 0
        assert (0 - scale.zero) * scale.step <= least + scale.step and (255 - scale.zero) * scale.step >= most * 0.99


def test_the_rows_for_the_scales_are_fixed_and_inside_the_model():
    ids, lengths = int8_bert.fixed_rows(400, 20)
    again, _ = int8_bert.fixed_rows(400, 20)
    assert torch.equal(ids, again) and int(ids.min()) >= 0 and int(ids.max()) < 400
    assert sum(lengths) == len(ids) and max(lengths) <= 20 and len(set(ids.tolist())) > 200


def test_refused_elsewhere_than_on_the_cpu():
    with pytest.raises(UsageError, match="on the CPU only"):
        choose_dtype("int8", torch.device("cuda", 0))


def test_refused_where_the_processor_lacks_it(model, monkeypatch):
    monkeypatch.setattr(int8_linear, "available", lambda: False)
    with pytest.raises(UsageError, match="no fast 8-bit products"):
        encoder(model("bert"), dtype="int8").load()


@here
@pytest.mark.parametrize(("family", "more"), [("qwen3", {}), ("modernbert", {}), ("bert", {"attention": "sdpa"})])
def test_refused_for_other_models_and_attention(model, family, more):
    with pytest.raises(UsageError, match="BERT's family"):
        encoder(model(family), dtype="int8", **more).load()


def test_never_chosen_by_itself():
    assert choose_dtype("auto", torch.device("cpu")) in (torch.float32, torch.bfloat16)


def test_the_collection_tells_int8_from_float(model):
    folder = str(model("bert"))
    formats = ("fp32", "bf16", "int8")
    made = {dtype: resolve_model(EncoderSection(model=folder, dtype=dtype)).identity for dtype in formats}
    assert made["fp32"] == made["bf16"]
    assert made["int8"] == {**made["fp32"], "numbers": "int8"}


@here
def test_its_ceiling_is_the_rate_of_8_bit_products(model, monkeypatch):
    seen = []
    init = Int8Linear.__init__

    def watched(self, *arguments, **named):
        seen.append(arguments[0].shape)
        init(self, *arguments, **named)

    monkeypatch.setattr(Int8Linear, "__init__", watched)
    assert matrix_rate("cpu", "int8", [(96, 64)], rows=64, cached=False) > 1e6
    assert seen == [(96, 64)]


@here
def test_queries_find_their_texts(model):
    embedder = Embedder(str(model("bert")), dtype="int8")
    found = embedder.embed(SENTENCES, "query") @ embedder.embed(SENTENCES).T
    assert found.argmax(1).tolist() == list(range(len(SENTENCES)))
