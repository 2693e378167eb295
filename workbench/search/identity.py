"""Vectors of different models must never be compared; standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from workbench.core.errors import UsageError


def check_identity(collection: Path, theirs: Mapping[str, str], ours: Mapping[str, str]) -> None:
    """Raises UsageError that shows both sides when a collection's identity is not `ours`."""
    names = [name for name in dict.fromkeys((*theirs, *ours)) if theirs.get(name) != ours.get(name)]
    if names:
        differ = "; ".join(f"{name}: {_short(theirs.get(name))} there, {_short(ours.get(name))} here" for name in names)
        raise UsageError(
            f"the collection was embedded with another model ({differ})", where=str(collection),
            remedy="Search with the model it was made with (--model), or embed it again",
        )


def _short(value: str | None) -> str:
    if value is None:
        return "nothing"
    return f"{value[:12]}…" if len(value) == 64 and value.isalnum() else repr(value)
