"""The workbench as a library: `from workbench import open_collection`."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from workbench.core.errors import UsageError
from workbench.search.service import SearchService
from workbench.search.values import Answer, Hit, Query, SearchInfo

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["Answer", "Hit", "OpenCollection", "Query", "SearchInfo", "open_collection"]

Place = str | os.PathLike[str]


def open_collection(
    path: Place | Sequence[Place], *, model: str = "", device: str = "auto", threads: int = 0, reranker: str = ""
) -> OpenCollection:
    """Open a collection (or several of the same model, searched as one) for searching.

    Two processes are started, one that embeds queries and one that finds chunks; neither torch nor FAISS is loaded
    into this one. They end with `close`, with the `with` block, or with this process. Works in a notebook, in a
    script without a main guard, and from several threads. What a run commits meanwhile is seen by the next search,
    whole generations only.

    Args:
        path: folder of the collection, or several.
        model: folder or hub id of the collection's model, when it is no longer where the run had it.
        device: where queries are embedded: `auto`, `cpu`, `cuda`, `mps`.
        threads: CPU threads of one search; 0 = all.
        reranker: cross-encoder (folder or hub id) for searches with `rerank`.

    Raises:
        UsageError: no collection there, nothing in it, or collections of different models.

    Example:
        >>> with open_collection("books.collection") as books:
        ...     for hit in books.search("the white whale", k=5, where="year < 1900"):
        ...         print(hit.score, hit.title, hit.snippet)
    """
    folders = [Path(path)] if isinstance(path, (str, os.PathLike)) else [Path(one) for one in path]
    if not folders:
        raise UsageError("no collection was named", remedy="Name one or more folders")
    return OpenCollection(SearchService(folders, model=model, device=device, threads=threads, reranker=reranker))


class OpenCollection:
    """An open collection; see `open_collection`. All methods may be called from several threads.

    `close()` ends the processes; calling it twice does no harm.
    """

    def __init__(self, service: SearchService) -> None:
        self._service = service
        # also when it is forgotten, and before the interpreter takes modules down
        self.close = weakref.finalize(self, service.close)

    def search(
        self, text: str = "", k: int = 10, *, mode: str = "", where: str = "", vector: ArrayLike | None = None,
        like: str = "", min_score: float | None = None, rerank: int = 0, neighbours: int = 0, fold: bool = True,
        fusion: str = "coverage", cancelled: Callable[[], bool] | None = None,
    ) -> Answer:
        """The hits for one text, best first.

        Args:
            text: what to find; may be left out when `vector` or `like` is given.
            k: hits wanted. mode: `hybrid`, `dense`, `lexical`; "" = hybrid where there is a text index.
            where: filter such as "author = 'Li Bai' and year < 760", applied before the search.
            vector: float [dim], the query's vector, for callers that embed themselves.
            like: a chunk_id, to find what is like that chunk.
            min_score, rerank, neighbours, fold, fusion: see `Query`.
            cancelled: asked while waiting; when it says true the search ends with `Cancelled`.

        Returns:
            A sequence of `Hit`; its `notes` say what a person should know, such as that the query was cut.

        Raises:
            UsageError: an empty query, a filter that cannot be used, a model that does not fit.
            RunFailed: a damaged collection, or a process that died twice.
        """
        query = Query(
            text, k, mode=mode, where=where, vector=_float32(vector), like=like, min_score=min_score, rerank=rerank,
            neighbours=neighbours, fold=fold, fusion=fusion,
        )
        return self._service.search([query], cancelled)[0]

    def search_many(self, texts: Sequence[str], k: int = 10, *, mode: str = "", where: str = "") -> list[Answer]:
        """One answer per text, in their order; quicker than one after the other. Raises as `search` does."""
        return self._service.search([Query(text, k, mode=mode, where=where) for text in texts])

    def info(self) -> SearchInfo:
        """What is searched: chunks, index, generation, model."""
        return self._service.info()

    def __enter__(self) -> OpenCollection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _float32(vector: ArrayLike | None) -> bytes:
    """float32 bytes of any sequence of numbers."""
    if vector is None:
        return b""
    import numpy as np

    values = np.asarray(vector, dtype=np.float32)
    if values.ndim != 1 or not np.isfinite(values).all():
        raise UsageError(f"the query vector has shape {values.shape}", remedy="Give one vector of finite numbers")
    return values.tobytes()
