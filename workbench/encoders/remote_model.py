"""What is known of a model that a server computes: the local tokenizer's side, and what one request tells."""

from __future__ import annotations

from dataclasses import replace

from workbench.core.errors import UsageError
from workbench.core.profile import EncoderSection
from workbench.encoders.base import ModelSpec
from workbench.encoders.endpoint import Endpoint, endpoint_of
from workbench.encoders.endpoint_client import EndpointClient

_SERVED = "as served"
_PROBE_RETRIES = 2  # who mistyped an address wants to know at once


def resolve_remote(section: EncoderSection) -> ModelSpec:
    """The model behind `encoder.endpoint`; asks it for one vector, whose length is the model's `dim`.

    `encoder.model` names a local folder or hub id whose tokenizer counts tokens and cuts long texts: best the
    served model's own. With `default` it is an estimate only, and no prefix of that model is used.

    Raises:
        UsageError: a setting that cannot be used. RunFailed: the server refuses or does not answer.
    """
    from workbench.encoders.model import resolve_model

    endpoint = endpoint_of(section)
    client = EndpointClient(replace(endpoint, retries=min(endpoint.retries, _PROBE_RETRIES)))
    try:
        name = endpoint.model or client.served_model()
        served = client.vectors([[1]] if endpoint.tokens else ["a"]).shape[1]
    finally:
        client.close()
    if section.truncate_dim > served:
        raise UsageError(f"the server's vectors have {served} values",
                         where=f"encoder.truncate_dim = {section.truncate_dim}", remedy="Set it to less, or to 0")
    local = resolve_model(replace(_neutral(section), engine="simulated", dim=served))
    normalise = section.normalise != "no"
    identity = {
        **local.identity, "engine": "remote", "model": name, "revision": "", "weights": _SERVED,
        "pooling": _SERVED, "normalise": str(normalise), "include_prompt": "True", "payload": section.payload,
    }
    return replace(
        local, name=name, identity=identity, pooling=_SERVED, normalise=normalise, include_prompt=True,
        document_prompt_tokens=0, query_prompt_tokens=0, payload=section.payload,
        notes=_notes(section, endpoint, name),
    )


def _neutral(section: EncoderSection) -> EncoderSection:
    """Pooling is the server's; the default model's prefixes are not those of the model served."""
    section = replace(section, pooling="auto")
    if section.model != "default":
        return section
    query, document = ("" if prefix == "auto" else prefix for prefix in (section.query_prefix, section.document_prefix))
    return replace(section, query_prefix=query, document_prefix=document)


def _notes(section: EncoderSection, endpoint: Endpoint, name: str) -> tuple[str, ...]:
    notes = [f"texts are sent to {endpoint.host}, which computes the vectors with {name}"]
    if section.payload == "tokens":
        notes.append("token ids are sent: the vectors mean something only if the server has the same tokenizer")
    elif section.model == "default":
        notes.append("tokens are counted with the default model's tokenizer, not the server's")
    return tuple(notes)
