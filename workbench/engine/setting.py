"""From a request to settled choices: model, encoders, source, sizes. Starts nothing, writes nothing."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from workbench.core.paths import default_collection
from workbench.core.profile import MOST_WORKERS, PipelineSection
from workbench.core.profile_io import flat
from workbench.core.run import RunRequest
from workbench.core.units import SourceSpec
from workbench.encoders.base import EncoderSpec, ModelSpec
from workbench.encoders.model import resolve_model
from workbench.encoders.registry import encoder_spec
from workbench.engine.ring import RingShape, most_rows
from workbench.sources.registry import source_spec

#: Chunks cut from documents have at most so many tokens unless the profile says otherwise: retrieval
#: suffers when one vector must stand for much more.
_CHUNK_TOKENS = 256
#: Tokens that a model puts around a text ([CLS] … [SEP]).
_SPECIAL_TOKENS = 2
#: Tokens a batch slot takes when the profile leaves the budget to the encoder: more than any engine asks for.
_MOST_TOKENS = 65_536
#: Bytes of text per token that a batch slot has room for where texts are sent on: English has 4 to 5, and what
#: does not fit goes into another batch.
_TEXT_BYTES = 8


@dataclass(frozen=True, slots=True)
class Setting:
    """Every choice of a run, automatic ones made."""

    request: RunRequest
    into: Path
    model: ModelSpec
    encoders: tuple[EncoderSpec, ...]
    source: SourceSpec
    workers: int
    shape: RingShape

    @property
    def identity(self) -> Mapping[str, str]:
        """What vectors must share to be comparable."""
        return self.model.identity

    def clear_layout(self) -> None:
        """Remove what the source laid out once; kept until the run is complete."""
        shutil.rmtree(self.source.cache, ignore_errors=True)

    def flat(self) -> dict[str, str | int | float | bool]:
        """The profile as run: automatic values replaced by what was chosen."""
        chosen: dict[str, str | int | float | bool] = dict(flat(self.request.profile))
        chosen["pipeline.workers"] = self.workers
        chosen["encoder.max_tokens"] = self.model.max_tokens
        chosen["encoder.dim"] = self.model.dim
        return chosen


def resolve(request: RunRequest) -> Setting:
    """Settle a request. Raises UsageError for an unknown model or engine, or an input that is not there."""
    profile = request.profile
    model = resolve_model(profile.encoder)
    devices = [part.strip() for part in profile.encoder.device.split(",") if part.strip()] or ["auto"]
    encoders = tuple(
        encoder_spec(replace(profile.encoder, device=device), model) for device in devices
    )
    into = request.into or default_collection(request)
    room = model.max_tokens - _SPECIAL_TOKENS - model.document_prompt_tokens
    chunk_tokens = profile.source.chunk_tokens or min(room, _CHUNK_TOKENS)
    source = source_spec(
        request.inputs, request.docs, profile.source, request.limit, max(1, chunk_tokens), into / "layout"
    )
    return Setting(
        request, into, model, encoders, source, worker_count(profile.pipeline),
        _shape(profile.pipeline, encoders, profile.encoder.token_budget or _MOST_TOKENS, model),
    )


def worker_count(section: PipelineSection) -> int:
    """Workers of a run: as the profile says, else physical cores − 1, at least 1."""
    physical = psutil.cpu_count(logical=False) or psutil.cpu_count() or 2
    return section.workers or max(1, min(physical - 1, MOST_WORKERS))


def _shape(
    section: PipelineSection, encoders: tuple[EncoderSpec, ...], budget: int, model: ModelSpec
) -> RingShape:
    rows = most_rows(model.dim)
    tokens = max(budget, model.max_tokens)
    if section.batching == "rows":
        rows = max(1, min(rows, section.batch_rows))
        tokens = rows * model.max_tokens
    under_way = sum(encoder.endpoint.requests for encoder in encoders if encoder.endpoint is not None)
    text = _TEXT_BYTES * tokens if model.payload == "text" else 0
    return RingShape(section.slots + under_way, section.vector_slots, tokens, rows, model.dim, text)
