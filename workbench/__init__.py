"""Embedding Workbench: shows what limits an embedding run, takes it to that limit, keeps a searchable collection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.core.version import __version__

if TYPE_CHECKING:
    from workbench.search.library import open_collection

__all__ = ["__version__", "open_collection"]


def __getattr__(name: str) -> object:
    # Every spawned child imports this file: the library is loaded only by those who ask for it.
    if name == "open_collection":
        from workbench.search.library import open_collection

        return open_collection
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
