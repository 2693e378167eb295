"""Asking for a run and what comes of it: frozen values shared by command line, screen and engine."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from workbench.core.profile import Profile


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What the user wants embedded.

    Attributes:
        inputs: files or folders; empty = the embedded default (documentation of the standard library).
        docs: document table that goes with a chunk table (inputs then holds the chunk table), or None.
        into: collection folder; None = chosen from the input's name below the user's data folder.
        limit: at most so many rows (tables) or documents (folders, standard library); 0 = all.
        fresh: throw away what the collection holds.
    """

    profile: Profile
    inputs: tuple[Path, ...] = ()
    docs: Path | None = None
    into: Path | None = None
    limit: int = 0
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class Failure:
    """A failure that travels as data; shown once, with a hint."""

    stage: str
    pid: int
    unit: int | None
    kind: str
    message: str
    hint: str = ""
    traceback: str = ""


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line for people."""

    wall: float
    level: str  # info, warning, error
    text: str


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run came to; the fields of `workbench run --json`.

    Attributes:
        outcome: `done`, `stopped` (by the user, resumable) or `failed`.
        seconds: from the request to the end. tokens_per_second: over the time from the first batch to the
            last commit.
        padding_share: padded tokens that are padding, 0–1.
        chunks: rows committed by this run; resumed: rows that were there before.
        unchanged, reused, removed: of a run over input that has changed: rows that stay as they are, new rows whose
            text was known (their vectors were not computed again), rows gone from the input.
    """

    outcome: str
    collection: str
    run: str
    chunks: int
    resumed: int
    rejects: int
    units: int
    tokens: int
    seconds: float
    tokens_per_second: float
    padding_share: float
    encoder: dict[str, str] = field(default_factory=dict)
    index: dict[str, str | float | None] = field(default_factory=dict)
    failure: Failure | None = None
    notes: tuple[str, ...] = ()
    unchanged: int = 0
    reused: int = 0
    removed: int = 0
