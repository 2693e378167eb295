"""Weights of BERT's family straight from safetensors, without importing transformers (which takes seconds)."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from workbench.core.errors import UsageError
from workbench.encoders.fingerprint import weight_files
from workbench.encoders.st_files import read_json

FAMILIES = frozenset({"bert", "roberta", "xlm-roberta", "camembert", "mpnet"})
ACTS = {"gelu": "gelu", "gelu_new": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh", "relu": "relu"}
#: Parts that are not used for embeddings: heads of the pre-training, the pooler, buffers.
_UNUSED = re.compile(r"^(pooler|cls|lm_head|classifier|qa_outputs|score)\.|position_ids$|token_type_ids$")
_PREFIX = re.compile(r"^(bert|roberta|mpnet|camembert|xlm_roberta)\.(?=embeddings|encoder|pooler)")
_OLD_NAMES = ((".LayerNorm.gamma", ".LayerNorm.weight"), (".LayerNorm.beta", ".LayerNorm.bias"))

Linear = tuple[Tensor, Tensor]  # weight [outputs, inputs], bias [outputs]
Norm = tuple[Tensor, Tensor]


@dataclass(frozen=True, slots=True)
class LayerWeights:
    """One transformer layer."""

    query: Linear
    key: Linear
    value: Linear
    out: Linear
    norm: Norm
    up: Linear
    down: Linear
    last_norm: Norm


@dataclass(frozen=True, slots=True)
class BertWeights:
    """A model of the family, all tensors in one number format on the CPU.

    Attributes:
        words: [vocabulary, width]. places: [longest row, width]: position embeddings from the first one that is
            used, with the type embedding of a single text added.
        relative: MPNet's table [buckets, heads] of biases by distance, or None.
        act: name of the activation as `PackedLinear` takes it.
    """

    heads: int
    eps: float
    act: str
    words: Tensor
    places: Tensor
    norm: Norm
    layers: tuple[LayerWeights, ...]
    relative: Tensor | None


def supports(config: Mapping[str, Any]) -> bool:
    """Whether config.json describes a model that `packed_bert` computes exactly."""
    needed = ("num_attention_heads", "num_hidden_layers", "hidden_act", "layer_norm_eps")
    return (
        config.get("model_type") in FAMILIES
        and all(name in config for name in needed)
        and config["hidden_act"] in ACTS
        and not config.get("is_decoder")
        and not config.get("add_cross_attention")
        and config.get("position_embedding_type", "absolute") == "absolute"
    )


def read(folder: Path, dtype: torch.dtype) -> BertWeights | None:
    """Weights of a model folder; None when it is no such model or has no safetensors (transformers reads those).

    Raises:
        UsageError: weights are missing, or there are some that the family does not have.
    """
    config = read_json(folder / "config.json")
    files = [file for file in weight_files(folder) if file.suffix == ".safetensors"]
    if not supports(config) or not files:
        return None
    tensors = _Tensors(_tensors(files), folder, dtype)
    layers = tuple(_layer(tensors, f"encoder.layer.{number}", config) for number in range(config["num_hidden_layers"]))
    relative = tensors.take("encoder.relative_attention_bias.weight") if config["model_type"] == "mpnet" else None
    weights = BertWeights(
        heads=int(config["num_attention_heads"]),
        eps=float(config["layer_norm_eps"]),
        act=ACTS[config["hidden_act"]],
        words=tensors.take("embeddings.word_embeddings.weight"),
        places=_places(tensors, config),
        norm=tensors.pair("embeddings.LayerNorm"),
        layers=layers,
        relative=relative,
    )
    tensors.check_all_used()
    return weights


def relative_bucket(length: int, buckets: int, longest: int = 128) -> Tensor:
    """Bucket of the distance between every two places, int64 [length, length] (T5, arXiv 1910.10683, section 2.1:
    half of the buckets for each direction; of those half for single distances, the rest growing by logarithm)."""
    places = torch.arange(length)
    back = places[:, None] - places[None, :]
    half = buckets // 2
    exact = half // 2
    distance = back.abs()
    grown = exact + (torch.log(distance.float() / exact) / math.log(longest / exact) * (half - exact)).long()
    return (back < 0).long() * half + torch.where(distance < exact, distance, grown.clamp(max=half - 1))


class _Tensors:
    """Tensors by name; knows which were taken, and complains about those that lack or are left over."""

    def __init__(self, found: dict[str, Tensor], folder: Path, dtype: torch.dtype) -> None:
        self._found = found
        self._folder = folder
        self._dtype = dtype

    def take(self, name: str) -> Tensor:
        if name not in self._found:
            raise UsageError(f"weights are missing, such as {name}", where=str(self._folder),
                             remedy="Fetch the model anew; it may be of another kind than its config.json says")
        return self._found.pop(name).to(self._dtype)

    def pair(self, name: str) -> tuple[Tensor, Tensor]:
        return self.take(f"{name}.weight"), self.take(f"{name}.bias")

    def check_all_used(self) -> None:
        left = sorted(name for name in self._found if not _UNUSED.search(name))
        if left:
            raise UsageError(f"there are weights that a model of this family does not have, such as {left[0]}",
                             where=str(self._folder), remedy="Choose a model of a family that transformers knows")


def _tensors(files: list[Path]) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    found: dict[str, Tensor] = {}
    for file in files:
        for name, tensor in load_file(str(file)).items():
            plain = _PREFIX.sub("", name)
            for old, new in _OLD_NAMES:
                plain = plain.replace(old, new)
            found[plain] = tensor
    return found


def _places(tensors: _Tensors, config: Mapping[str, Any]) -> Tensor:
    """Families after RoBERTa count positions from the padding id + 1 (MPNet's padding id is always 1)."""
    family = config["model_type"]
    pad = config.get("pad_token_id")
    offset = {"bert": 0, "mpnet": 2}.get(family, (1 if pad is None else int(pad)) + 1)
    places = tensors.take("embeddings.position_embeddings.weight")[offset:]
    return places if family == "mpnet" else places + tensors.take("embeddings.token_type_embeddings.weight")[0]


def _layer(tensors: _Tensors, name: str, config: Mapping[str, Any]) -> LayerWeights:
    inner, out, norm = f"{name}.attention.self", f"{name}.attention.output.dense", f"{name}.attention.output.LayerNorm"
    names = ("query", "key", "value")
    if config["model_type"] == "mpnet":
        inner, out, norm = f"{name}.attention.attn", f"{name}.attention.attn.o", f"{name}.attention.LayerNorm"
        names = ("q", "k", "v")
    query, key, value = (tensors.pair(f"{inner}.{part}") for part in names)
    return LayerWeights(
        query, key, value, tensors.pair(out), tensors.pair(norm), tensors.pair(f"{name}.intermediate.dense"),
        tensors.pair(f"{name}.output.dense"), tensors.pair(f"{name}.output.LayerNorm"),
    )
