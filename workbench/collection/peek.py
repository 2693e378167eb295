"""What a collection is, at a glance: standard library only, for start screens that must be quick."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from workbench.collection.store import Store
from workbench.core.errors import WorkbenchError


def peek(path: Path) -> dict[str, Any]:
    """Figures of a collection; reads CURRENT and one manifest, no shard.

    Returns:
        `path, title, model, dim, dtype, chunks, rejects, units, tokens, nbytes, created` (ISO 8601, UTC),
        `index` (facts) and `trouble` ("" or one line). With trouble and no whole manifest: `path, trouble` only.
    """
    try:
        loaded = Store(path).load_or_fall_back()
    except WorkbenchError as error:
        return {"path": str(path), "trouble": str(error)}
    manifest = loaded.manifest
    part = manifest.derivative("ann")
    return {
        "path": str(path),
        "title": ", ".join(source.title for source in manifest.sources),
        "model": manifest.identity.get("model", ""),
        "dim": manifest.dim,
        "dtype": manifest.dtype,
        "chunks": manifest.rows,
        "rejects": manifest.rejects,
        "units": len(manifest.shards),
        "tokens": manifest.tokens,
        "nbytes": sum(entry.size for entry in manifest.files()),
        "created": manifest.created,
        "index": dict(part.facts) if part is not None else {"kind": "none"},
        "trouble": loaded.trouble,
    }
