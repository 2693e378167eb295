"""Which engines there are: one line each in the table."""

from __future__ import annotations

import difflib
from collections.abc import Callable

from workbench.core.errors import UsageError
from workbench.core.profile import EncoderSection
from workbench.encoders.base import Encoder, EncoderSpec, ModelSpec
from workbench.encoders.endpoint import endpoint_of


def _torch(spec: EncoderSpec) -> Encoder:
    from workbench.encoders.torch_encoder import TorchEncoder

    return TorchEncoder(spec)


def _simulated(spec: EncoderSpec) -> Encoder:
    from workbench.encoders.simulated import SimulatedEncoder

    return SimulatedEncoder(spec)


def _remote(spec: EncoderSpec) -> Encoder:
    from workbench.encoders.remote import RemoteEncoder

    return RemoteEncoder(spec)


_ENGINES: dict[str, Callable[[EncoderSpec], Encoder]] = {
    "torch": _torch, "simulated": _simulated, "remote": _remote,
}


def engine_names() -> list[str]:
    """Values that `encoder.engine` may have."""
    return list(_ENGINES)


def check_engine(name: str) -> None:
    """Raises UsageError when there is no such engine."""
    if name not in _ENGINES:
        near = difflib.get_close_matches(name, _ENGINES, n=1, cutoff=0.5)
        hint = f"Did you mean {near[0]}? " if near else ""
        raise UsageError("there is no such engine", where=f"encoder.engine = {name}",
                         remedy=f"{hint}There are: {', '.join(_ENGINES)}")


def open_encoder(spec: EncoderSpec) -> Encoder:
    """The encoder of a spec, not loaded yet; its heavy imports happen here or in `load`.

    Raises:
        UsageError: there is no such engine.
    """
    check_engine(spec.engine)
    return _ENGINES[spec.engine](spec)


def encoder_spec(section: EncoderSection, model: ModelSpec) -> EncoderSpec:
    """What an encoder process needs, from the profile's section and its resolved model.

    Raises:
        UsageError: there is no such engine, or an address it cannot be used with.
    """
    check_engine(section.engine)
    options = {
        "tokens_per_second": section.tokens_per_second,
        "launch_seconds": section.launch_seconds,
        "copy_bytes_per_second": section.copy_bytes_per_second,
        "memory_tokens": float(section.memory_tokens),
    }
    return EncoderSpec(
        engine=section.engine,
        model=model,
        device=section.device,
        dtype=section.dtype,
        token_budget=section.token_budget,
        attention=section.attention,
        threads=section.threads,
        options=options if section.engine == "simulated" else {},
        endpoint=endpoint_of(section) if section.engine == "remote" else None,
    )
