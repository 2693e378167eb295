"""Which server makes the vectors, and how it is spoken to: values that hold no secret."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from workbench.core.errors import UsageError
from workbench.core.profile import EncoderSection


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server and how it is spoken to; holds no secret.

    Attributes:
        url: full address that texts are posted to.
        kind: `openai` or `tei`.
        model: name the server knows the model by; "" = it serves one model only.
        key_variable: environment variable with the API key; "" = none is sent.
        tokens: token ids are sent instead of texts.
        rows: most texts of a request. requests: requests in flight.
        seconds: patience with one request. retries: tries after the first.
        normalise: ask for (tei) vectors of length 1.
    """

    url: str
    kind: str
    model: str
    key_variable: str
    tokens: bool
    rows: int
    requests: int
    seconds: float
    retries: int
    normalise: bool

    @property
    def host(self) -> str:
        """Host and port, for people."""
        return urlsplit(self.url).netloc


def endpoint_of(section: EncoderSection) -> Endpoint:
    """The endpoint that a profile names.

    Raises:
        UsageError: no address, one that is no address or holds a password, or no model where one must be named.
    """
    parts = _address(section.endpoint)
    path = parts.path.rstrip("/")
    kind = section.protocol
    if kind == "auto":
        kind = "tei" if path.endswith("/embed") else "openai"
    if kind == "openai" and not section.endpoint_model:
        raise UsageError("the server must be told which model", where="encoder.endpoint_model",
                         remedy="Set it to the model's name there, such as text-embedding-3-small")
    if not path.endswith("/embed" if kind == "tei" else "/embeddings"):
        path += "/embed" if kind == "tei" else "/embeddings" if path.endswith("/v1") else "/v1/embeddings"
    return Endpoint(
        url=parts._replace(path=path, fragment="").geturl(), kind=kind, model=section.endpoint_model,
        key_variable=section.key_variable, tokens=section.payload == "tokens", rows=section.request_rows,
        requests=section.requests, seconds=section.timeout_seconds, retries=section.retries,
        normalise=section.normalise != "no",
    )


def _address(text: str) -> SplitResult:
    where = f"encoder.endpoint = {text}" if "@" not in text else "encoder.endpoint"
    example = "Example: http://localhost:8080/embed or https://api.openai.com/v1"
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        good = False
    if not good:
        raise UsageError("is no address of a server", where=where, remedy=example)
    if parts.username is not None or parts.password is not None:
        raise UsageError("a password in the address would be kept with the collection", where=where,
                         remedy="Put the key into an environment variable and name that in encoder.key_variable")
    return parts
