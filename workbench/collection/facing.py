"""Refusals in plain words: a folder that is no collection, another encoder, another source."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from workbench.collection.manifest import Manifest
from workbench.collection.store import OURS
from workbench.core.errors import UsageError

_SHOWN = 64  # characters of a value
#: What it means when a collection or an encoder does not name a key.
_UNSAID = {"numbers": "floating point"}


def refuse_foreign_folder(path: Path) -> None:
    """Raises UsageError when `path` is a file, or a folder with other things than a collection in it."""
    if path.exists() and not path.is_dir():
        raise UsageError("is a file, not a folder", where=str(path), remedy="Choose another folder with --into")
    if not path.is_dir():
        return
    foreign = sorted(entry.name for entry in path.iterdir() if entry.name not in OURS)
    if foreign and not (path / "CURRENT").exists():
        raise UsageError(
            f"is no collection and holds other things ({', '.join(foreign[:3])})", where=str(path),
            remedy="Choose a new or empty folder with --into",
        )


def differences(have: Mapping[str, str], want: Mapping[str, str]) -> list[str]:
    """Lines "key: theirs, not ours" for every key whose values differ."""
    lines = []
    for key in sorted({*have, *want}):
        unsaid = _UNSAID.get(key, "(nothing)")
        one, other = have.get(key, unsaid), want.get(key, unsaid)
        if one != other:
            lines.append(f"{key}: {_short(one)}, not {_short(other)}")
    return lines


def refuse_other_identity(
    path: Path, manifest: Manifest, identity: Mapping[str, str], dim: int, dtype: str
) -> None:
    """Raises UsageError that shows, key by key, where the collection's encoder differs from this one."""
    have = {**manifest.identity, "dim": str(manifest.dim), "stored as": manifest.dtype}
    found = differences(have, {**identity, "dim": str(dim), "stored as": dtype})
    if found:
        raise UsageError(
            f"the collection was made with another encoder ({'; '.join(found)})", where=str(path),
            remedy="Choose another folder with --into, or --fresh to throw away what it holds",
        )


def refuse_other_source(path: Path, manifest: Manifest, identity: Mapping[str, str], title: str) -> NoReturn:
    """Raises UsageError that shows how the source differs from the latest one of the collection."""
    latest = manifest.sources[manifest.active]
    found = differences(latest.identity, identity)
    shown = "; ".join(found[:3]) + (f"; and {len(found) - 3} more" if len(found) > 3 else "")
    raise UsageError(
        f"the collection was made from other input ({latest.title!r}, now {title!r}: {shown})", where=str(path),
        remedy="Choose another folder with --into, or --fresh to throw away what it holds",
    )


def _short(value: str) -> str:
    return value if len(value) <= _SHOWN else f"{value[:_SHOWN]}…"
