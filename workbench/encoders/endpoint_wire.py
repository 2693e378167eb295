"""What goes to an embedding server and what comes back: JSON in, vectors or an error out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.core.errors import RunFailed
from workbench.encoders.endpoint import Endpoint

_LONGEST_WISH = 60.0  # seconds that a server's Retry-After is heeded


def question(endpoint: Endpoint, inputs: Sequence[Any]) -> dict[str, Any]:
    """What is posted for texts, or for rows of token ids."""
    rows = [row if isinstance(row, str) else list(row) for row in inputs]
    if endpoint.kind == "tei":
        return {"inputs": rows, "truncate": True, "normalize": endpoint.normalise}
    return {"model": endpoint.model, "input": rows, "encoding_format": "float"}


def vectors(endpoint: Endpoint, raw: bytes, rows: int) -> NDArray[np.float32]:
    """float32 [rows, dim] of an answer, in the order of what was asked. Raises RunFailed when it is none."""
    try:
        content = json.loads(raw)
        if endpoint.kind == "openai":
            content = [entry["embedding"] for entry in sorted(content["data"], key=lambda entry: int(entry["index"]))]
        found = np.asarray(content, np.float32)
    except (ValueError, KeyError, TypeError) as error:
        raise _nonsense(endpoint, f"no list of vectors ({error})") from error
    if found.ndim != 2 or len(found) != rows:
        raise _nonsense(endpoint, f"an array of shape {list(found.shape)} for {rows} texts")
    if not np.isfinite(found).all():
        raise _nonsense(endpoint, "numbers that are not finite")
    return found


def _nonsense(endpoint: Endpoint, what: str) -> RunFailed:
    return RunFailed(f"answered with {what}", where=endpoint.url,
                     remedy="Check encoder.endpoint and encoder.protocol")


def refused(endpoint: Endpoint, status: int, headers: Mapping[str, str], raw: bytes) -> RunFailed:
    """The error for an answer that no later try will better."""
    said = _said(raw)
    remedy = {
        401: "Name the environment variable with the API key in encoder.key_variable",
        403: "Check that the API key may use this model",
        404: "Check encoder.endpoint and encoder.endpoint_model",
        413: "Lower encoder.request_rows",
        422: "Lower encoder.request_rows or encoder.max_tokens",
    }.get(status, "Check encoder.endpoint, encoder.max_tokens and encoder.request_rows")
    if 300 <= status < 400 and headers.get("location"):
        remedy = f"It moved: set encoder.endpoint to {headers['location']}"
    return RunFailed(f"the server refuses: HTTP {status}" + (f", {said}" if said else ""), where=endpoint.url,
                     remedy=remedy)


def _said(raw: bytes) -> str:
    """What an error's body says, in one line."""
    try:
        content = json.loads(raw)
    except ValueError:
        return ""
    error = content.get("error", content) if isinstance(content, dict) else content
    text = error.get("message", "") if isinstance(error, dict) else error
    return " ".join(str(text).split())[:200]


def wish(headers: Mapping[str, str]) -> float:
    """Seconds of a Retry-After header, as far as heeded; a date counts as nothing said."""
    try:
        return min(_LONGEST_WISH, max(0.0, float(headers.get("retry-after", "0"))))
    except ValueError:
        return 0.0
