"""The manifests of the collections that are searched as one; standard library only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from workbench.collection.manifest import Manifest
from workbench.collection.store import Store
from workbench.core.errors import UsageError
from workbench.search.identity import check_identity


def read_manifests(folders: Sequence[Path]) -> list[Manifest]:
    """The newest manifest of each collection.

    Raises:
        UsageError: no collection there, one without chunks, or two of different identities.
        CollectionDamaged: a manifest is damaged.
    """
    manifests = [Store(folder).load() for folder in folders]
    first = manifests[0]
    for folder, manifest in zip(folders, manifests, strict=True):
        check_identity(folder, manifest.identity, first.identity)
    if not any(manifest.rows for manifest in manifests):
        raise UsageError(
            "the collection holds no chunks yet", where=", ".join(map(str, folders)),
            remedy="Wait for the run's first commit, or start `run`",
        )
    return manifests
