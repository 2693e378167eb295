"""What travels between the parent and the two search processes; one request, one reply."""

from __future__ import annotations

from dataclasses import dataclass

from workbench.core.errors import WorkbenchError
from workbench.search.values import Answer, Query


@dataclass(frozen=True, slots=True)
class Request:
    """`body` is one of the requests below; the reply carries the same number."""

    number: int
    body: object


@dataclass(frozen=True, slots=True)
class Reply:
    """`body` is what the request asked for, or `Failed`."""

    number: int
    body: object


@dataclass(frozen=True, slots=True)
class Failed:
    """The request could not be answered. Errors for the user travel whole."""

    error: WorkbenchError


@dataclass(frozen=True, slots=True)
class Ready:
    """First message of a process: it can work (`seconds` since it began)."""

    seconds: float
    device: str = ""
    dtype: str = ""
    notes: tuple[str, ...] = ()


# ── to the query encoder ─────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, slots=True)
class Encode:
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Encoded:
    """Float32 values of one vector per text, in machine order, and one note (or "") per text."""

    vectors: tuple[bytes, ...]
    notes: tuple[str, ...]


# ── to the searcher ──────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, slots=True)
class Rerank:
    """Score pairs of a query and texts with the cross-encoder in this folder or of this hub id."""

    model: str
    query: str
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reranked:
    scores: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Search:
    """Queries with their vectors filled in where the mode needs them."""

    queries: tuple[Query, ...]


@dataclass(frozen=True, slots=True)
class Found:
    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True)
class Describe:
    """Ask for `SearchInfo`."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Leave."""
