"""The torch engine's edges: devices, broken weights, memory, batches that are alone, odd or empty."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from workbench.core.activity import Activity, Counter, NullMeter
from workbench.core.errors import DeviceMemoryError, UsageError
from workbench.core.profile import EncoderSection
from workbench.encoders import torch_encoder, torch_import
from workbench.encoders.base import TokenBatch
from workbench.encoders.bert_weights import relative_bucket
from workbench.encoders.cpu_linear import PackedLinear
from workbench.encoders.done import with_empty
from workbench.encoders.embed import Embedder
from workbench.encoders.matrix_rate import matrix_rate
from workbench.encoders.model import resolve_model
from workbench.encoders.packed_bert import groups
from workbench.encoders.registry import encoder_spec, open_encoder


def encoder(folder, **keys):
    section = EncoderSection(model=str(folder), dtype=keys.pop("dtype", "fp32"), **keys)
    return open_encoder(encoder_spec(section, resolve_model(section)))


def rows(*lengths):
    rng = np.random.default_rng(sum(lengths))
    return TokenBatch(rng.integers(5, 90, sum(lengths)).astype(np.int32), np.array(lengths, np.int32))


class CountingMeter(NullMeter):
    def __init__(self):
        self.counts, self.seen = {}, []

    def doing(self, activity):
        self.seen.append(activity)
        return super().doing(activity)

    def add(self, counter, amount):
        self.counts[counter] = self.counts.get(counter, 0) + amount


def test_info_and_meter(model):
    engine = encoder(model("bert"), token_budget=777, threads=1)
    info = engine.load()
    assert (info.engine, info.device, info.dtype, info.dim, info.token_budget) == ("torch", "cpu", "fp32", 32, 777)
    meter = CountingMeter()
    engine.submit(rows(9, 4), meter).vectors()
    assert meter.counts[Counter.LAUNCHES] == 1
    assert meter.counts[Counter.DEVICE_NS] > 0
    assert Activity.FORWARD in meter.seen
    engine.close()


@pytest.mark.parametrize("lengths", [(1,), (64,), (7, 7, 7), (9, 8, 7, 1), (3, 9, 3), tuple([64] * 40)])
@pytest.mark.parametrize("attention", ["auto", "eager"])
def test_any_mix_of_lengths_equals_row_by_row(model, lengths, attention):
    engine = encoder(model("bert"), attention=attention)
    engine.load()
    whole = rows(*lengths)
    together = engine.submit(whole, NullMeter()).vectors()
    ends = np.cumsum(whole.lengths)
    for row, (end, length) in enumerate(zip(ends, whole.lengths, strict=True)):
        single = TokenBatch(whole.ids[end - length : end], np.array([length], np.int32))
        np.testing.assert_allclose(together[row], engine.submit(single, NullMeter()).vectors()[0], atol=1e-5)


def test_result_does_not_hang_on_the_batch_s_memory(model):
    """The batch lies in a slot that is used again as soon as `submit` is back."""
    engine = encoder(model("qwen3"))
    engine.load()
    work = rows(12, 5)
    pending = engine.submit(work, NullMeter())
    expected = engine.submit(rows(12, 5), NullMeter()).vectors()
    work.ids[:] = 0
    np.testing.assert_allclose(pending.vectors(), expected, atol=1e-6)


@pytest.mark.parametrize(("family", "device"), [("bert", "cpu"), ("qwen3", "cpu"), pytest.param(
    "bert", "cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA card"))])
def test_row_without_tokens_is_the_zero_vector(model, family, device):
    engine = encoder(model(family), device=device)
    engine.load()
    vectors = engine.submit(rows(5, 3, 0), NullMeter()).vectors()
    np.testing.assert_allclose(np.linalg.norm(vectors[:2], axis=1), 1.0, atol=1e-2)
    assert not vectors[2].any()
    assert not engine.submit(rows(0, 0), NullMeter()).vectors().any()


def test_rows_without_tokens_are_put_back_where_they_were():
    """Only the others are submitted, and waited for no earlier than all are asked for."""
    submitted, asked = [], []

    class Later:
        def vectors(self):
            asked.append(True)
            return np.ones((2, 4), np.float32)

    def submit(batch):
        submitted.append(batch.lengths.tolist())
        return Later()

    pending = with_empty(TokenBatch(np.arange(5, dtype=np.int32), np.array([0, 3, 0, 2], np.int32)), 4, submit)
    assert (submitted, asked) == ([[3, 2]], [])
    assert pending.vectors().tolist() == [[0] * 4, [1] * 4, [0] * 4, [1] * 4]


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"),
                                   RuntimeError("DefaultCPUAllocator: can't allocate memory")])
def test_short_memory_is_told_and_survived(model, monkeypatch, error):
    engine = encoder(model("bert"))
    engine.load()
    work = rows(6, 5)
    good = engine.submit(work, NullMeter()).vectors()
    forward = engine._forward

    class Failing:
        def submit(self, batch, meter):
            raise error

        def empty_cache(self):
            forward.empty_cache()

    monkeypatch.setattr(engine, "_forward", Failing())
    with pytest.raises(DeviceMemoryError, match="11 tokens"):
        engine.submit(work, NullMeter())
    monkeypatch.setattr(engine, "_forward", forward)
    np.testing.assert_array_equal(engine.submit(work, NullMeter()).vectors(), good)


def test_other_errors_are_not_taken_for_memory(model):
    engine = encoder(model("bert"))
    engine.load()
    with pytest.raises((RuntimeError, IndexError)):
        engine.submit(TokenBatch(np.array([10**6], np.int32), np.array([1], np.int32)), NullMeter()).vectors()


@pytest.mark.parametrize(("device", "message"), [("cuda:7", "CUDA card"), ("gpu", "is no device"),
                                                 ("mps", "Apple"), ("meta", "not supported")])
def test_device_that_is_not_there(model, device, message):
    if device == "mps" and torch.backends.mps.is_available():
        pytest.skip("this machine has one")
    with pytest.raises(UsageError, match=message):
        encoder(model("bert"), device=device).load()


@pytest.mark.parametrize("attention", ["auto", "eager"], ids=["own", "transformers"])
def test_missing_weights_are_no_random_vectors(model, attention, tmp_path):
    folder = Path(shutil.copytree(model("bert"), tmp_path / "m"))
    weights = load_file(folder / "model.safetensors")
    weights.pop("encoder.layer.1.output.dense.weight")
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(UsageError, match=r"weights are missing, such as encoder\.layer\.1\.output\.dense\.weight"):
        encoder(folder, attention=attention).load()


def test_weights_of_another_kind_of_model_are_refused(model, tmp_path):
    """A model that calls itself BERT and is none, as some with code of their own do."""
    folder = Path(shutil.copytree(model("bert"), tmp_path / "m"))
    weights = load_file(folder / "model.safetensors")
    weights["encoder.layer.0.attention.self.distance_embedding.weight"] = torch.ones(9, 8)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(UsageError, match="does not have, such as"):
        encoder(folder).load()


def test_weights_under_older_and_longer_names(model, tmp_path):
    """Saved from a model with a head (`bert.` before every name) and by early TensorFlow exports (gamma, beta)."""
    folder = Path(shutil.copytree(model("bert"), tmp_path / "m"))
    weights = {"cls.predictions.bias": torch.ones(3)}
    for name, tensor in load_file(folder / "model.safetensors").items():
        old = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
        weights[f"bert.{old}"] = tensor
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    plain, renamed = encoder(model("bert")), encoder(folder)
    plain.load()
    renamed.load()
    expected, found = (engine.submit(rows(9, 4), NullMeter()).vectors() for engine in (plain, renamed))
    np.testing.assert_array_equal(expected, found)


def test_berts_family_loads_without_transformers(model):
    """Importing transformers' models takes seconds, which the first search would wait for."""
    code = (
        "import sys; from workbench.encoders.embed import Embedder\n"
        "for folder in sys.argv[1:]: Embedder(folder, device='cpu').embed(['a'])\n"
        "print(sorted({'transformers','faiss','textual','scipy'} & set(sys.modules)))"
    )
    folders = [str(model(family)) for family in ("bert", "roberta", "mpnet")]
    done = subprocess.run([sys.executable, "-c", code, *folders], capture_output=True, text=True, check=True,
                          cwd=Path(__file__).parents[2], timeout=120)
    assert done.stdout.strip() == "[]"


def test_relative_buckets_equal_transformers():
    from transformers.models.mpnet.modeling_mpnet import MPNetEncoder

    places = torch.arange(300)
    expected = MPNetEncoder.relative_position_bucket(places[None, :] - places[:, None], num_buckets=32)
    torch.testing.assert_close(relative_bucket(300, 32), expected)


def test_missing_runtime_on_windows_names_the_download(monkeypatch):
    """`import torch` fails like on a Windows without the C++ runtime: in a child, so that torch stays whole here."""
    code = (
        "import sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'torch':\n"
        "            raise OSError('[WinError 126] The specified module could not be found. Error loading c10.dll')\n"
        "sys.meta_path.insert(0, Finder())\n"
        "from workbench.encoders.torch_import import import_torch\n"
        "try: import_torch()\n"
        "except Exception as e: print(type(e).__name__, e)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60,
                          cwd=Path(__file__).parents[2])
    assert done.stdout.startswith("UsageError")
    assert torch_import.VC_RUNTIME in done.stdout


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("act", ["none", "gelu", "gelu_tanh", "relu"])
def test_packed_linear_equals_torch(dtype, act):
    torch.manual_seed(0)
    linear = torch.nn.Linear(24, 40).to(dtype)
    x, other = torch.randn(13, 24).to(dtype), torch.randn(13, 40).to(dtype)
    plain = {"none": lambda v: v, "relu": torch.relu, "gelu": torch.nn.functional.gelu,
             "gelu_tanh": lambda v: torch.nn.functional.gelu(v, approximate="tanh")}[act]
    tolerance = 1e-5 if dtype == torch.float32 else 2e-2
    with torch.inference_mode():
        packed = PackedLinear(linear.weight, linear.bias, act)
        torch.testing.assert_close(packed(x), plain(linear(x)), atol=tolerance, rtol=tolerance)
        torch.testing.assert_close(packed.plus(x, other), linear(x) + other, atol=tolerance, rtol=tolerance)


def test_groups():
    assert groups([5, 5, 3, 3, 3, 1]) == [(0, 2, 5), (10, 3, 3), (19, 1, 1)]
    assert groups([]) == []


def test_matrix_rate_keeps_the_highest_of_a_few_measurements(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    assert matrix_rate("cpu", "fp32", [(64, 64)], rows=64) > 1e6
    measured = iter([3.0, 1e20, 2.0, 1e19, 1e30])
    monkeypatch.setattr("workbench.encoders.matrix_rate._measure", lambda *_: next(measured))
    rates = [matrix_rate("cpu", "fp32", [(64, 64)], rows=64) for _ in range(6)]
    assert rates[1:] == [1e20] * 5  # the fifth call was the last that measured
    assert matrix_rate("cpu", "fp32", [(64, 64)], rows=64, cached=False) == 1e30


def test_long_texts_of_a_decoder_are_cut(model):
    embedder = Embedder(str(model("qwen3")), dtype="fp32", max_tokens=16)
    a, b = embedder.embed(["gzip " * 50 + "a", "gzip " * 50 + "b"])
    np.testing.assert_allclose(a, b, atol=1e-6)


def test_on_the_cpu_a_larger_model_gets_smaller_batches():
    """A batch is about a second's work, for each thread at least some hundred tokens."""
    threads = torch.get_num_threads()
    small, large, huge = (torch_encoder._budget(torch.device("cpu"), size) for size in (2e7, 1.7e8, 1e10))
    assert small == max(8192, 512 * threads) > large > huge == 512 * threads
    assert torch_encoder._budget(torch.device("cuda"), 1.7e8) == 32768
