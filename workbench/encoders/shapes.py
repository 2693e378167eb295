"""What a model computes, read from its config and the headers of its weights: width, length limits, operations."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workbench.core.errors import UsageError

#: Position embeddings of these families begin after the padding id, so two of their positions are unusable.
_OFFSET_FAMILIES = frozenset({"roberta", "xlm-roberta", "xlm-roberta-xl", "camembert", "mpnet", "data2vec-text",
                              "longformer", "ibert"})
_NOT_PER_TOKEN = re.compile(r"embed|wte|wpe|pooler|lm_head|classifier|^cls\.|score|position|relative_attention_bias")


def text_config(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part of config.json that describes the text model."""
    nested = config.get("text_config")
    return nested if isinstance(nested, Mapping) else config


def _first(config: Mapping[str, Any], *names: str) -> int:
    return next((int(config[name]) for name in names if isinstance(config.get(name), int)), 0)


def hidden_size(config: Mapping[str, Any], where: Path) -> int:
    """Length of a token's vector. Raises UsageError when config.json does not say."""
    size = _first(text_config(config), "hidden_size", "d_model", "dim", "n_embd")
    if size < 1:
        raise UsageError("does not say the model's hidden size", where=str(where / "config.json"),
                         remedy="Give the folder of a Hugging Face text model")
    return size


def position_limit(config: Mapping[str, Any]) -> int | None:
    """Longest row in tokens the model can take; None when it has no such limit (relative positions)."""
    text = text_config(config)
    limit = _first(text, "max_position_embeddings", "n_positions")
    if limit < 1 or text.get("model_type") in ("t5", "mt5", "umt5"):
        return None
    if text.get("model_type") in _OFFSET_FAMILIES:
        pad = text.get("pad_token_id")
        limit -= (1 if pad is None else int(pad)) + 1
    return limit


def flops_per_token(config: Mapping[str, Any], weights: list[Path]) -> tuple[float, float]:
    """(a, b): a token of a row of n tokens costs a + b·n floating point operations; (0, 0) if unknown.

    a = 2 per weight of every matrix a token is multiplied with; b·n = attention, a product with every key and
    one with every value: 4 · heads · head size per layer and key (Kaplan et al. 2020, arXiv 2001.08361, table 1,
    forward pass).
    """
    text = text_config(config)
    width = _first(text, "hidden_size", "d_model", "dim", "n_embd")
    layers = _first(text, "num_hidden_layers", "n_layers", "num_layers", "n_layer")
    heads = _first(text, "num_attention_heads", "n_heads", "num_heads", "n_head")
    if not (width and layers and heads) or text.get("num_experts") or text.get("num_local_experts"):
        return 0.0, 0.0
    matrices = [rows * columns for rows, columns in matrix_shapes(weights)]
    if not matrices:
        return 0.0, 0.0
    across = heads * (_first(text, "head_dim", "d_kv") or width // heads)
    return 2.0 * sum(matrices), 4.0 * across * layers


def matrix_shapes(weights: list[Path]) -> list[tuple[int, int]]:
    """(outputs, inputs) of every matrix that each token is multiplied with; [] when weights are not safetensors."""
    shapes: list[tuple[int, int]] = []
    for file in weights:
        for name, shape in _header(file).items():
            if len(shape) == 2 and name.endswith("weight") and not _NOT_PER_TOKEN.search(name):
                shapes.append((shape[0], shape[1]))
    return shapes


def _header(file: Path) -> dict[str, list[int]]:
    """Names and shapes from the head of a safetensors file (8 bytes of length, then JSON)."""
    if file.suffix != ".safetensors":
        return {}
    try:
        with file.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            entries = json.loads(stream.read(min(length, 100_000_000)))
        return {name: list(entry["shape"]) for name, entry in entries.items() if name != "__metadata__"}
    except (OSError, ValueError, KeyError, TypeError, struct.error) as error:
        raise UsageError(f"is no readable safetensors file ({error})", where=str(file),
                         remedy="Fetch the model anew") from error
