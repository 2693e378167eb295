"""A model folder from the Hugging Face hub: only the files that are needed, from the local cache first."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from workbench.core.errors import UsageError

_SMALL = ("*.json", "*.txt", "*.model", "*/config.json")
_SAFE = ("*.safetensors",)
_OLD = ("pytorch_model*.bin", "*/pytorch_model.bin")
_NOT = ("onnx/*", "openvino/*", "*.onnx", "*.msgpack", "*.h5", "*.ot", "training_args*", "optimizer*")
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?", re.ASCII)


def is_hub_id(name: str) -> bool:
    """Whether a name can be a hub id: `owner/name` or `name`."""
    return _HUB_ID.fullmatch(name) is not None


def fetch(name: str, revision: str) -> Path:
    """Local folder of a hub model; what is in the cache is taken without asking the network.

    Args:
        name: hub id such as `BAAI/bge-m3`.
        revision: commit, branch or tag; empty: the cached one, else the newest.

    Raises:
        UsageError: unknown or closed model, no network, or a model without weights.
    """
    # Symlinks need a privilege on Windows; the hub then copies, and its warning about that helps nobody here.
    os.environ.setdefault("HF_HUB_DISABLE_SYMLINKS_WARNING", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    cached = _cached(name, revision)
    if cached is not None:
        return cached
    folder = _download(name, revision, (*_SMALL, *_SAFE, "*/model.safetensors"))
    if not list(folder.glob("*.safetensors")) and not list(folder.glob("*/model.safetensors")):
        folder = _download(name, revision, (*_SMALL, *_OLD))
    if not has_weights(folder):
        raise UsageError("the model has no weights for PyTorch", where=name, remedy="Choose another model")
    return folder


def has_weights(folder: Path) -> bool:
    """Whether a folder holds weights that the torch encoder can read."""
    return any(folder.glob("*.safetensors")) or any(folder.glob("pytorch_model*.bin"))


def _cached(name: str, revision: str) -> Path | None:
    from huggingface_hub import snapshot_download

    try:
        folder = Path(snapshot_download(name, revision=revision or None, local_files_only=True))
    except Exception:  # not there, or there in part: the download says what is wrong
        return None
    whole = (folder / "config.json").is_file() and any(folder.glob("tokenizer*")) and _shards_there(folder)
    return folder if whole else None


def _shards_there(folder: Path) -> bool:
    """An interrupted download leaves some of the shards that the index names missing."""
    from workbench.encoders.st_files import read_json

    for index in folder.glob("*.index.json"):
        named = set(read_json(index).get("weight_map", {}).values())
        if not all((folder / file).is_file() for file in named):
            return False
    return has_weights(folder) or any(folder.glob("*/model.safetensors"))


def _download(name: str, revision: str, patterns: tuple[str, ...]) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(
            snapshot_download(
                name, revision=revision or None, allow_patterns=list(patterns), ignore_patterns=list(_NOT),
                etag_timeout=10,
            )
        )
    except Exception as error:
        raise _explained(error, name, revision) from error


def _explained(error: Exception, name: str, revision: str) -> UsageError:
    kinds = {kind.__name__ for kind in type(error).__mro__}
    known: dict[str, tuple[str, str]] = {
        "GatedRepoError": (
            "the model is given out only to those who accepted its terms",
            "Accept them on the model's page, then log in with `hf auth login`",
        ),
        "RevisionNotFoundError": (f"the model has no revision {revision!r}", "Check encoder.revision"),
        "RepositoryNotFoundError": (
            "there is no such model on the hub, or it is private",
            "Check the spelling of encoder.model, or give a folder",
        ),
        "OSError": (
            "the model is not in the local cache and could not be fetched",
            "Check network and free disk space, or give a folder that holds the model",
        ),
    }
    for kind, (message, remedy) in known.items():
        if kind in kinds:
            return UsageError(message, where=name, remedy=remedy)
    offline = _offline() or "Connect" in type(error).__name__ or "NotFound" in type(error).__name__
    if offline:
        return UsageError(known["OSError"][0], where=name, remedy=known["OSError"][1])
    return UsageError(f"the model could not be fetched ({_first_line(error)})", where=name, remedy=known["OSError"][1])


def _offline() -> bool:
    return os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on")


def _first_line(error: Any) -> str:
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
