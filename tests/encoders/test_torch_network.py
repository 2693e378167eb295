"""The forward that cards use, on the CPU: the vectors of transformers' own, and nothing that would wait for a card."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from workbench.core.errors import DeviceMemoryError
from workbench.core.profile import EncoderSection
from workbench.encoders import torch_network
from workbench.encoders.dense_bert import DenseBert
from workbench.encoders.model import resolve_model
from workbench.encoders.registry import encoder_spec
from workbench.encoders.torch_load import load
from workbench.encoders.torch_network import Network

CPU, META = torch.device("cpu"), torch.device("meta")
LENGTHS = [(9, 9, 9), (31, 8, 8, 1), (1,), (64, 2)]
#: Operators whose result the program needs as a number, and whose shape depends on values.
LOOKING = ("_local_scalar_dense", "is_nonzero", "nonzero", "masked_select", "equal.default", "unique")


def spec_of(folder, attention="auto"):
    section = EncoderSection(model=str(folder), dtype="fp32", attention=attention)
    return encoder_spec(section, resolve_model(section))


def batch(*lengths):
    rng = np.random.default_rng(sum(lengths))
    return torch.from_numpy(rng.integers(5, 90, sum(lengths)).astype(np.int32)), torch.tensor(lengths)


def vectors(network, lengths, skip=0):
    ids, counts = batch(*lengths)
    with torch.inference_mode():
        return network.vectors(ids, counts, max(lengths), equal=len(set(lengths)) == 1, skip=skip)


class Watching(TorchDispatchMode):
    """Notes operators that look at values."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        if any(name in str(operator) for name in LOOKING):
            self.seen.append(str(operator))
        return operator(*args, **(kwargs or {}))


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize(("family", "options", "attention"), [
    ("bert", {}, "sdpa"), ("bert", {"pooling": "cls"}, "eager"), ("roberta", {}, "sdpa"), ("mpnet", {}, "eager"),
])
def test_own_forward_gives_the_vectors_of_transformers(model, family, options, attention, lengths):
    own = Network(spec_of(model(family, **options)), CPU, torch.float32)
    assert isinstance(own._hidden, DenseBert)
    theirs = Network(spec_of(model(family, **options), attention), CPU, torch.float32)
    torch.testing.assert_close(vectors(own, lengths), vectors(theirs, lengths), atol=2e-5, rtol=0)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("family", ["bert", "mpnet"])
def test_own_forward_in_other_number_formats(model, family, dtype):
    exact = vectors(Network(spec_of(model(family)), CPU, torch.float32), (31, 8, 8, 1))
    rough = vectors(Network(spec_of(model(family)), CPU, dtype), (31, 8, 8, 1))
    assert rough.dtype == torch.float32
    assert torch.nn.functional.cosine_similarity(exact, rough).min() > 0.999


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("family", ["modernbert", "qwen3"])
def test_masks_that_nobody_looks_at_change_nothing(model, family, lengths):
    """Against transformers with its own masks."""
    spec = spec_of(model(family))
    network = Network(spec, CPU, torch.float32)
    plain = load(spec, CPU, torch.float32).model
    assert plain.config._attn_implementation == "sdpa" != network._hidden._model.config._attn_implementation
    ours = vectors(network, lengths)
    network._hidden._model = plain
    torch.testing.assert_close(ours, vectors(network, lengths), atol=2e-5, rtol=0)


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("family", ["bert", "roberta", "mpnet", "modernbert", "qwen3"])
@pytest.mark.parametrize("attention", ["auto", "sdpa"])
def test_no_batch_waits_for_the_card(model, family, attention, lengths):
    """A value that the program asks for is there only when all batches queued before are done."""
    if family == "mpnet" and attention == "sdpa":
        pytest.skip("transformers has no such attention for MPNet")
    network = Network(spec_of(model(family), attention), CPU, torch.float32)
    with Watching() as watching:
        vectors(network, lengths, skip=1)
    assert watching.seen == []


@pytest.mark.parametrize("lengths", [(9, 9, 9), (31, 8, 8, 1)])
@pytest.mark.parametrize("pooling", ["mean", "cls", "lasttoken"])
@pytest.mark.parametrize("family", ["bert", "roberta", "mpnet", "modernbert", "qwen3"])
@pytest.mark.parametrize("attention", ["auto", "sdpa"])
def test_a_batch_stays_on_its_device(model, family, pooling, attention, lengths):
    """The meta device computes no values, and refuses tensors of another device as a card does."""
    if family == "mpnet" and attention == "sdpa":
        pytest.skip("transformers has no such attention for MPNet")
    spec = spec_of(model(family, pooling=pooling), attention)
    network = Network(spec, META, torch.bfloat16)
    ids, counts = batch(*lengths)
    with torch.inference_mode():
        found = network.vectors(ids.to(META), counts.to(META), max(lengths), equal=len(set(lengths)) == 1, skip=1)
    assert (found.device, found.dtype, found.shape) == (META, torch.float32, (len(lengths), spec.model.dim))
    with pytest.raises(RuntimeError, match="not on the expected device"):
        found + torch.ones(found.shape)


def test_the_watch_sees_what_transformers_asks(model):
    spec = spec_of(model("modernbert"))
    network = Network(spec, CPU, torch.float32)
    network._hidden._model = load(spec, CPU, torch.float32).model
    with Watching() as watching:
        vectors(network, (9, 4))
    assert watching.seen


def test_no_room_for_the_weights_is_told(model, monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch_network, "DenseBert", full)
    with pytest.raises(DeviceMemoryError, match="no room for the model"):
        Network(spec_of(model("bert")), CPU, torch.float32)


def test_berts_family_needs_no_transformers(model):
    code = (
        "import sys, torch\nfrom workbench.core.profile import EncoderSection\n"
        "from workbench.encoders.model import resolve_model\nfrom workbench.encoders.registry import encoder_spec\n"
        "from workbench.encoders.torch_network import Network\n"
        "section = EncoderSection(model=sys.argv[1])\n"
        "Network(encoder_spec(section, resolve_model(section)), torch.device('cpu'), torch.float32)\n"
        "print('transformers' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(model("bert"))], capture_output=True, text=True,
                          encoding="utf-8", check=True)
    assert done.stdout.strip() == "False"
