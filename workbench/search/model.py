"""Which model embeds the queries of a collection: the one its chunks were embedded with, or none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from workbench.core.errors import UsageError
from workbench.core.profile import EncoderSection
from workbench.encoders.base import ModelSpec
from workbench.encoders.hub import is_hub_id
from workbench.encoders.model import resolve_model
from workbench.search.identity import check_identity

#: Keys that decide what a vector means; the rest (device, batch, float format) is chosen anew for queries.
_MEANING = (
    "engine", "model", "revision", "max_tokens", "pooling", "normalise", "query_prefix", "document_prefix",
    "template", "dim", "truncate_dim",
    "endpoint", "protocol", "endpoint_model", "key_variable", "payload", "requests", "request_rows", "timeout_seconds",
    "retries",
)


def query_model(collection: Path, identity: Mapping[str, str], model: str = "") -> tuple[EncoderSection, ModelSpec]:
    """The model for queries to a collection, checked against the collection's identity.

    Args:
        identity: as the collection's manifest has it.
        model: use this folder or hub id instead of the one the collection was made with (it was moved, say).

    Raises:
        UsageError: the model is not there, or is another one than the chunks were embedded with.
    """
    section = replace(_as_run(collection) or _as_identity(identity), dtype=identity.get("numbers", "auto"))
    section = replace(section, model=model) if model else section
    if not model and _is_gone(section.model):
        raise UsageError(
            "the model the collection was made with is not there any more", where=section.model,
            remedy="Name the folder it is in now with --model",
        )
    spec = resolve_model(section)
    check_identity(collection, identity, spec.identity)
    return section, spec


def _as_run(collection: Path) -> EncoderSection | None:
    """The encoder section of the newest run that was recorded, or None."""
    from workbench.telemetry.codec import load_facts
    from workbench.telemetry.recorder import SAMPLES

    for file in sorted(collection.glob(f"runs/*/{SAMPLES}"), reverse=True):
        try:
            with file.open(encoding="utf-8") as stream:
                settings = load_facts(stream.readline())[0].settings
        except (OSError, ValueError, KeyError, TypeError, UsageError):
            continue
        known: dict[str, Any] = {key: settings[f"encoder.{key}"] for key in _MEANING if f"encoder.{key}" in settings}
        if "model" in known:
            return EncoderSection(**known)
    return None


def _as_identity(identity: Mapping[str, str]) -> EncoderSection:
    """The section that an identity describes; a model folder is known by its last name only."""
    if identity.get("engine") == "remote":
        raise UsageError("no run is recorded that names the server the vectors came from", where="encoder.endpoint",
                         remedy="Keep the collection's folder `runs`")
    kinds = {field.name: int if isinstance(field.default, int) else str for field in fields(EncoderSection)}
    names = [name for name in _MEANING if name in identity and name not in ("engine", "normalise")]
    known: dict[str, Any] = {name: kinds[name](identity[name]) for name in names}
    engine = "simulated" if identity.get("engine") == "simulated" else "torch"
    normalise = {"True": "yes", "False": "no"}.get(identity.get("normalise", ""), "auto")
    kept = int(identity.get("dim", 0))
    return EncoderSection(**{**known, "engine": engine, "normalise": normalise, "truncate_dim": kept})


def _is_gone(model: str) -> bool:
    return model != "default" and not Path(model).expanduser().is_dir() and not is_hub_id(model)

