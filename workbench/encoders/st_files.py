"""Reading the files sentence-transformers puts beside a model: modules, pooling, prompts, lengths. No torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.core.errors import UsageError

#: Old boolean flags in the order in which sentence-transformers joins several of them.
_FLAGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "last",
}
_NEW_NAMES = {
    "cls": "cls", "max": "max", "mean": "mean", "mean_sqrt_len_tokens": "mean_sqrt_len",
    "weightedmean": "weightedmean", "lasttoken": "last",
}
_ACTIVATIONS = ("Identity", "Tanh", "ReLU", "GELU", "SiLU", "Sigmoid")


@dataclass(frozen=True, slots=True)
class DenseLayer:
    """One linear layer after the pooling: vectors [rows, inputs] → [rows, outputs].

    Attributes:
        folder: holds the weights (`linear.weight`, `linear.bias`).
        activation: class of torch.nn applied to the result.
        residual: the input is added to the result (only with inputs = outputs).
    """

    folder: str
    inputs: int
    outputs: int
    bias: bool
    activation: str
    residual: bool = False


@dataclass(frozen=True, slots=True)
class StFiles:
    """What the sentence-transformers files of a folder say; the defaults stand for a folder without them.

    Attributes:
        present: the folder has them.
        transformer: subfolder with config.json and weights, "" for the folder itself.
        pooling: modes joined by "+".
        max_tokens: None when they do not say.
        query_prompt, document_prompt: what `encode_query` and `encode_document` put before a text.
    """

    present: bool = False
    transformer: str = ""
    pooling: str = "mean"
    include_prompt: bool = True
    normalise: bool = True
    dense: tuple[DenseLayer, ...] = ()
    max_tokens: int | None = None
    lower_case: bool = False
    query_prompt: str = ""
    document_prompt: str = ""


def read_json(file: Path) -> dict[str, Any]:
    """A JSON object from a file; {} when there is no such file.

    Raises:
        UsageError: it is not readable JSON, or no object.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot be read ({error})", where=str(file), remedy="Fetch the model anew") from error
    if not isinstance(content, dict):
        raise UsageError("is no JSON object", where=str(file), remedy="Fetch the model anew")
    return content


def read_st_files(folder: Path) -> StFiles:
    """Read modules.json and what it names.

    Raises:
        UsageError: a module that is not supported, or a file that cannot be read.
    """
    modules = _modules(folder)
    if not modules:
        return StFiles()
    kinds = [(kind, folder / path) for kind, path in modules]
    if kinds[0][0] != "Transformer":
        raise _unsupported(folder, kinds[0][0])
    stages = [kind for kind, _ in kinds[1:]]
    if not _supported_order(stages):
        odd = next((kind for kind in stages if kind not in ("Pooling", "Dense", "Normalize")), "+".join(stages))
        raise _unsupported(folder, odd)
    pooling, include_prompt = _pooling(next(path for kind, path in kinds if kind == "Pooling"))
    limits = _limits(kinds[0][1])
    prompts = _prompts(folder)
    length = limits.get("max_seq_length")
    return StFiles(
        present=True,
        transformer=modules[0][1],
        pooling=pooling,
        include_prompt=include_prompt,
        normalise="Normalize" in stages,
        dense=tuple(_dense(path) for kind, path in kinds if kind == "Dense"),
        max_tokens=int(length) if length else None,
        lower_case=bool(limits.get("do_lower_case", False)),
        query_prompt=prompts[0],
        document_prompt=prompts[1],
    )


def _modules(folder: Path) -> list[tuple[str, str]]:
    file = folder / "modules.json"
    if not file.is_file():
        return []
    try:
        entries = json.loads(file.read_text(encoding="utf-8"))
        entries = sorted(entries, key=lambda entry: entry["idx"])
        return [(str(entry["type"]).rsplit(".", 1)[-1], str(entry["path"])) for entry in entries]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"cannot be read ({error})", where=str(file), remedy="Fetch the model anew") from error


def _supported_order(stages: list[str]) -> bool:
    """Pooling, then any linear layers, then at most one scaling to length 1."""
    if stages[:1] != ["Pooling"]:
        return False
    rest = stages[1:]
    if rest[-1:] == ["Normalize"]:
        rest = rest[:-1]
    return all(stage == "Dense" for stage in rest)


def _unsupported(folder: Path, kind: str) -> UsageError:
    return UsageError(
        f"the model uses the sentence-transformers module(s) {kind}, which the workbench cannot compute",
        where=str(folder / "modules.json"),
        remedy="Supported: Transformer, Pooling, Dense, Normalize, in this order",
    )


def _pooling(folder: Path) -> tuple[str, bool]:
    file = folder / "config.json"
    config = read_json(file)
    modes = config.get("pooling_mode")
    if modes is None:
        names = [mode for flag, mode in _FLAGS.items() if config.get(flag, False)] or ["mean"]
    else:
        given = [modes] if isinstance(modes, str) else list(modes)
        unknown = [mode for mode in given if mode not in _NEW_NAMES]
        if unknown:
            raise UsageError(f"unknown pooling {unknown[0]!r}", where=str(file), remedy="Set encoder.pooling")
        names = [_NEW_NAMES[mode] for mode in given]
    return "+".join(names), bool(config.get("include_prompt", True))


def _dense(folder: Path) -> DenseLayer:
    file = folder / "config.json"
    config = read_json(file)
    activation = str(config.get("activation_function", "torch.nn.modules.activation.Tanh")).rsplit(".", 1)[-1]
    residual = bool(config.get("use_residual", False))
    inputs, outputs = int(config.get("in_features", 0)), int(config.get("out_features", 0))
    names = {config.get("module_input_name", "sentence_embedding"), config.get("module_output_name")}
    if names - {"sentence_embedding", None}:
        raise UsageError("a linear layer over tokens is not supported", where=str(file), remedy="Use another model")
    if activation not in _ACTIVATIONS or (residual and inputs != outputs) or inputs < 1 or outputs < 1:
        raise UsageError(
            f"a linear layer {inputs} → {outputs} with {activation} is not supported",
            where=str(file), remedy=f"Supported activations: {', '.join(_ACTIVATIONS)}",
        )
    return DenseLayer(str(folder), inputs, outputs, bool(config.get("bias", True)), activation, residual)


def _limits(folder: Path) -> Mapping[str, Any]:
    """max_seq_length and do_lower_case; the file has one of several names, by the age of the model."""
    names = ("sentence_bert", "sentence_roberta", "sentence_distilbert", "sentence_camembert",
             "sentence_albert", "sentence_xlm-roberta", "sentence_xlnet")
    for name in names:
        file = folder / f"{name}_config.json"
        if file.is_file():
            return read_json(file)
    return {}


def _prompts(folder: Path) -> tuple[str, str]:
    """Prompts of queries and documents: by their usual names, else the default that `encode` takes for both."""
    config = read_json(folder / "config_sentence_transformers.json")
    prompts = {name: text for name, text in (config.get("prompts") or {}).items() if isinstance(text, str)}
    name = config.get("default_prompt_name")
    documents = ("document", "passage", "corpus")
    query = prompts.get("query", "" if name in documents else prompts.get(str(name), ""))
    chosen = next((kind for kind in documents if kind in prompts), None)
    document = prompts[chosen] if chosen else "" if name == "query" else prompts.get(str(name), "")
    return query, document
