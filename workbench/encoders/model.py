"""From the profile's encoder section to a model folder and everything about it that is not weights; no torch."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.core.errors import UsageError
from workbench.core.profile import EncoderSection
from workbench.encoders import hub, shapes
from workbench.encoders.base import ModelSpec
from workbench.encoders.fingerprint import files_sha256, weight_files
from workbench.encoders.st_files import StFiles, read_json, read_st_files
from workbench.encoders.tokenizer_file import tokenizer_file

#: Names a folder that takes the place of the package's own default model.
DEFAULT_MODEL_VARIABLE = "WORKBENCH_DEFAULT_MODEL"
_DEFAULT_LENGTH = 512  # tokens, for a model that says nothing about its longest text
_UNSAID = 1_000_000  # transformers writes 1e30 for "no limit"


@dataclass(frozen=True, slots=True)
class _Found:
    """Where a model is: the folder named, and the one with config.json and weights (nearly always the same)."""

    name: str
    label: str  # name that goes into the identity: no path, so that a folder may be moved
    folder: Path
    revision: str


def resolve_model(section: EncoderSection) -> ModelSpec:
    """Find the model that a profile names and read everything about it except its weights.

    `encoder.model` is `default` (the model that comes with the program, or the folder that the environment
    variable `WORKBENCH_DEFAULT_MODEL` names), a folder, or a hub id. A hub model is taken from the local cache
    when it is there, else fetched. The settings of the section win over what the model's files say.

    Returns:
        The model; with engine `simulated` it has the folder's tokenizer, `encoder.dim` dimensions, and an
        identity that is never equal to one of real vectors.

    Raises:
        UsageError: no such model, no network, a file that is missing or broken, a module or setting the
            model cannot be used with; each with the remedy.
    """
    if section.engine == "remote":
        from workbench.encoders.remote_model import resolve_remote

        return resolve_remote(section)
    found = _find(section)
    simulated = section.engine == "simulated"
    st = read_st_files(found.folder)
    folder = found.folder / st.transformer
    config = _config(folder)
    tokenizer = tokenizer_file(_tokenizer_folder(found.folder, folder))
    settings = read_json(tokenizer.parent / "tokenizer_config.json") or read_json(folder / "tokenizer_config.json")
    weights = [] if simulated else weight_files(folder, tuple(Path(layer.folder) for layer in st.dense))
    if not simulated and not hub.has_weights(folder):
        raise UsageError("the model folder has no weights (model.safetensors)", where=str(folder),
                         remedy="Copy the model's weights into the folder")
    pooling = st.pooling if section.pooling == "auto" else section.pooling
    normalise = st.normalise if section.normalise == "auto" else section.normalise == "yes"
    query = st.query_prompt if section.query_prefix == "auto" else section.query_prefix
    document = st.document_prompt if section.document_prefix == "auto" else section.document_prefix
    values: dict[str, Any] = {
        "pooling": pooling,
        "normalise": normalise,
        "query_prefix": query,
        "document_prefix": document,
        "template": section.template,
        "max_tokens": _max_tokens(section, st, config, settings),
        "lower_case": st.lower_case,
        "dim": _kept(section, section.dim if simulated else _dim(st, config, folder, pooling)),
    }
    identity = {**_identity(found, values, tokenizer, weights, st, simulated), **_numbers(section)}
    prompt = (0, 0) if st.include_prompt else _prompt_tokens(tokenizer, values, query, document)
    return ModelSpec(
        name=found.name,
        folder=str(found.folder),
        revision=found.revision,
        include_prompt=st.include_prompt,
        identity=identity,
        flops_per_token=shapes.flops_per_token(config, weights),
        tokenizer_file=str(tokenizer),
        truncation_side="left" if settings.get("truncation_side") == "left" else "right",
        query_prompt_tokens=prompt[0],
        document_prompt_tokens=prompt[1],
        notes=(*_notes(found, st, section), *_cut_notes(section, found.folder)),
        **values,
    )


def default_model_folder() -> Path:
    """Folder of the default model.

    Raises:
        UsageError: it is not there.
    """
    named = os.environ.get(DEFAULT_MODEL_VARIABLE)
    folder = Path(named).expanduser() if named else Path(__file__).resolve().parent.parent / "models" / "default"
    if not (folder / "config.json").is_file() and not (folder / "modules.json").is_file():
        where = f"{DEFAULT_MODEL_VARIABLE}={named}" if named else str(folder)
        remedy = f"Set {DEFAULT_MODEL_VARIABLE} to a model folder" if named else "Install the program anew"
        raise UsageError("the default model is not there", where=where, remedy=f"{remedy}, or set encoder.model")
    return folder.absolute()


def _find(section: EncoderSection) -> _Found:
    name = section.model
    if name == "default":
        return _Found(name, name, default_model_folder(), "")
    folder = Path(name).expanduser()
    if folder.is_dir():
        folder = folder.absolute()
        return _Found(name, folder.name, folder, "")
    if not hub.is_hub_id(name):
        raise UsageError("there is no such model folder", where=f"encoder.model = {name}",
                         remedy="Give default, an existing folder, or a hub id such as BAAI/bge-m3")
    fetched = hub.fetch(name, section.revision)
    return _Found(name, name, fetched, fetched.name)


def _config(folder: Path) -> Mapping[str, Any]:
    config = read_json(folder / "config.json")
    if not config:
        raise UsageError("is no model folder (it has no config.json)", where=str(folder),
                         remedy="Give the folder of a Hugging Face text model")
    return config


def _tokenizer_folder(outer: Path, inner: Path) -> Path:
    return outer if (outer / "tokenizer.json").is_file() else inner


def _max_tokens(
    section: EncoderSection, st: StFiles, config: Mapping[str, Any], settings: Mapping[str, Any]
) -> int:
    """Longest row: the profile's, else sentence-transformers', else the tokenizer's; never over the positions."""
    limit = shapes.position_limit(config)
    where = f"encoder.max_tokens = {section.max_tokens}"
    if section.max_tokens:
        if limit is not None and section.max_tokens > limit:
            raise UsageError(f"the model takes at most {limit} tokens", where=where,
                             remedy=f"Set encoder.max_tokens to {limit} or less, or to 0")
        if section.max_tokens < 8:
            raise UsageError("leaves no room for text", where=where,
                             remedy="Set encoder.max_tokens to 8 or more, or to 0")
        return section.max_tokens
    said = settings.get("model_max_length")
    tokenizer = int(said) if isinstance(said, (int, float)) and 0 < said < _UNSAID else None
    wanted = st.max_tokens or tokenizer or limit or _DEFAULT_LENGTH
    return min(wanted, limit) if limit is not None else wanted


def _dim(st: StFiles, config: Mapping[str, Any], folder: Path, pooling: str) -> int:
    if st.dense:
        return st.dense[-1].outputs
    return shapes.hidden_size(config, folder) * len(pooling.split("+"))


def _kept(section: EncoderSection, dim: int) -> int:
    """Values of a vector that are kept (Matryoshka representation learning, Kusupati et al. 2022)."""
    if section.truncate_dim > dim:
        where = f"encoder.truncate_dim = {section.truncate_dim}"
        raise UsageError(f"the model's vectors have {dim} values", where=where,
                         remedy=f"Set encoder.truncate_dim to less than {dim}, or to 0")
    return section.truncate_dim or dim


def _cut_notes(section: EncoderSection, folder: Path) -> tuple[str, ...]:
    if not section.truncate_dim or section.engine == "simulated":
        return ()
    card = folder / "README.md"
    if card.is_file() and "matryoshka" in card.read_text(encoding="utf-8", errors="replace").lower():
        return (f"only the first {section.truncate_dim} values of each vector are kept",)
    return (
        f"only the first {section.truncate_dim} values of each vector are kept, and the model's card does not say "
        "that it was trained for that (Matryoshka): compare with whole vectors (`eval --against`)",
    )


def _identity(
    found: _Found, values: Mapping[str, Any], tokenizer: Path, weights: list[Path], st: StFiles, simulated: bool
) -> dict[str, str]:
    plain = {name: str(value) for name, value in values.items()}
    hashes = {
        "engine": "simulated" if simulated else "model",
        "model": found.label,
        "revision": found.revision,
        "weights": "none" if simulated else files_sha256(weights, found.folder),
        "tokenizer": files_sha256([tokenizer], tokenizer.parent),
        "include_prompt": str(st.include_prompt),
    }
    return {**hashes, **plain}


def _numbers(section: EncoderSection) -> dict[str, str]:
    """The float formats give vectors that may be mixed (cosine 0.999); 8 bits are told apart."""
    return {"numbers": "int8"} if section.engine == "torch" and section.dtype == "int8" else {}


def _prompt_tokens(tokenizer: Path, values: Mapping[str, Any], query: str, document: str) -> tuple[int, int]:
    from workbench.text.tokenising import Tokeniser, TokeniserFile

    tokeniser = Tokeniser(TokeniserFile(str(tokenizer), values["max_tokens"], values["lower_case"]))
    return tokeniser.prompt_tokens(query), tokeniser.prompt_tokens(document)


def _notes(found: _Found, st: StFiles, section: EncoderSection) -> tuple[str, ...]:
    notes: list[str] = []
    if not st.present:
        notes.append("the model has no sentence-transformers files: mean pooling and scaling to length 1 are assumed")
    if found.name == "default" and os.environ.get(DEFAULT_MODEL_VARIABLE):
        notes.append(f"default model taken from {DEFAULT_MODEL_VARIABLE}: {found.folder}")
    if st.present and section.pooling not in ("auto", st.pooling):
        notes.append(f"pooling {section.pooling} instead of the model's own {st.pooling}")
    return tuple(notes)
