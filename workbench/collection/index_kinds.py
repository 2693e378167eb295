"""FAISS indexes by name: which kind for how many vectors, how to search one with a filter, how to store one."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.collection.durable import Disk, HashingFile, sha256_of
from workbench.collection.faiss_untyped import faiss
from workbench.collection.manifest import CollectionDamaged, FileEntry
from workbench.core.errors import UsageError

#: Up to so many vectors exact search is quick enough.
FLAT_LIMIT = 50_000
#: Values of all vectors up to which PQ's codes, four bits for two values, stay below 256 MiB. They are one list, which
#: is copied whenever it outgrows its memory, and every search looks at all of it.
PQ_LIMIT = 1 << 30
#: One inverted list: FAISS's flat fast scans know no filter, those with lists do.
RABITQ = "IVF1,RaBitQfs"
#: Bytes of FAISS's tables for the queries that are asked together.
_TABLES = 64 << 20
NAMES = ("auto", "Flat", "SQ8", "HNSW", "IVF", "PQ", "RaBitQ", "IVF-RaBitQ", "Matryoshka", "none")
_MATRYOSHKA = re.compile(r"matryoshka(?:-([0-9]{1,5}))?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Kind:
    """`name` for people, `factory` for faiss.index_factory ("" for `none` and `Flat`, which need no file).

    `leading`: the index holds only so many first values of each vector; 0 = all.
    """

    name: str
    factory: str
    leading: int = 0


def resolve(kind: str, rows: int, dim: int = 0) -> Kind:
    """The kind for so many vectors; `auto`: Flat up to 50,000, PQ up to a billion values in all, IVF-RaBitQ beyond.

    On 2.2 million vectors of 320 values a search takes 9 ms with PQ, 13 with IVF-RaBitQ, 16 with RaBitQ, at 88, 57
    and 56 bytes a vector (`benchmarks/index.py`). Vectors of odd length do not fall into pairs; they get RaBitQ.

    `Matryoshka-128` holds the first 128 values of each vector, `Matryoshka` the first half; good for models trained
    so that leading values say most (Kusupati et al. 2022, arXiv:2205.13147), which search them first and then rescore.

    `dim`: length of a vector; only PQ and Matryoshka depend on it.
    """
    if (named := _MATRYOSHKA.fullmatch(kind)) is not None:
        leading = int(named[1] or max(1, dim // 2))
        return Kind(f"Matryoshka-{leading}", "SQ8", leading)
    known = {name.lower(): name for name in NAMES}.get(kind.lower(), kind)
    if known == "auto":
        middle = "RaBitQ" if dim % 2 else "PQ"
        known = "Flat" if rows <= FLAT_LIMIT else middle if rows * dim <= PQ_LIMIT else "IVF-RaBitQ"
    # About 2·√n lists: the usual balance between finding lists and scanning them (FAISS wiki). A fast scan passes over
    # codes of one bit so quickly that a quarter of it is as good, and is built in two thirds of the time.
    lists = _power_below(2 * math.sqrt(rows))
    few = _power_below(math.sqrt(rows) / 2)
    # Four bits for two values: a sixteenth of float32, and fast scan; of what is left after the mean is taken away.
    parts = next((m for m in range(max(1, dim // 2), 0, -1) if dim % m == 0), 1)
    factories = {
        "none": "", "Flat": "", "SQ8": "SQ8", "HNSW": "HNSW32", "IVF": f"IVF{lists},SQfp16",
        "PQ": f"IVF1,PQ{parts}x4fsr", "RaBitQ": RABITQ, "IVF-RaBitQ": f"IVF{few},RaBitQfs",
    }
    return Kind(known, factories.get(known, known))


def _power_below(number: float) -> int:
    """The largest power of two that is not above a number, at least 1."""
    return 1 << max(0, int(math.log2(max(1.0, number))))


def create(kind: Kind, dim: int) -> Any:
    """An empty index for inner products. Raises UsageError when FAISS does not know the name."""
    if kind.leading:
        return _of_leading(kind, dim)
    try:
        index = faiss.index_factory(dim, kind.factory, faiss.METRIC_INNER_PRODUCT)
    except RuntimeError as error:
        raise UsageError(
            f"FAISS cannot make an index {kind.name!r} of dimension {dim}", where="index.kind",
            remedy=f"Choose {', '.join(NAMES)}, or a FAISS factory string such as HNSW32",
        ) from error
    ivf = inverted(index)
    if ivf is not None and ivf.nlist == 1:
        # FAISS scales centroids to length 1 for inner products; RaBitQ codes what is left after the centroid is
        # taken away, so the true mean gives better codes (measured: recall@10 of 400 candidates 0.984 → 0.994).
        ivf.cp.spherical = False
    return index


def _of_leading(kind: Kind, dim: int) -> Any:
    """An index of the first values, scaled to length 1 again: what a model that gives short vectors would give."""
    if not 0 < kind.leading < dim:
        raise UsageError(
            f"{kind.name} needs vectors of more than {kind.leading} values, the collection's have {dim}",
            where="index.kind", remedy=f"Choose less than {dim}",
        )
    index = faiss.IndexPreTransform(faiss.index_factory(kind.leading, kind.factory, faiss.METRIC_INNER_PRODUCT))
    index.prepend_transform(faiss.NormalizationTransform(kind.leading))
    index.prepend_transform(faiss.RemapDimensionsTransform(dim, kind.leading, False))
    return index


def inverted(index: Any) -> Any:
    """The index with inverted lists inside, or None."""
    return faiss.try_extract_index_ivf(index)


def graph(index: Any) -> Any:
    """The HNSW structure inside, or None."""
    inner = faiss.downcast_index(index.index) if isinstance(index, faiss.IndexPreTransform) else index
    return getattr(inner, "hnsw", None)


def set_effort(index: Any, effort: int) -> None:
    """Inverted lists visited (`nprobe`) or nodes kept in the search of a graph (`efSearch`)."""
    ivf, hnsw = inverted(index), graph(index)
    if ivf is not None:
        ivf.nprobe = min(effort, ivf.nlist)
    elif hnsw is not None:
        hnsw.efSearch = effort


def efforts(index: Any) -> list[int]:
    """Values of effort worth trying, cheapest first; [0] when the kind has none."""
    ivf = inverted(index)
    if ivf is not None:
        return [n for n in (1 << p for p in range(20)) if n < ivf.nlist] + [int(ivf.nlist)]
    return [32, 64, 128, 256, 512] if graph(index) is not None else [0]


def selecting(index: Any, allowed: NDArray[np.bool_], effort: int) -> tuple[Any, Any]:
    """(search parameters that let only allowed positions through, what must live as long as they)."""
    bits = np.packbits(allowed, bitorder="little")
    selector = faiss.IDSelectorBitmap(bits)
    ivf = inverted(index)
    if ivf is not None:
        inner: Any = faiss.SearchParametersIVF(sel=selector, nprobe=min(max(1, effort), ivf.nlist))
    elif graph(index) is not None:
        inner = faiss.SearchParametersHNSW(sel=selector, efSearch=max(16, effort))
    else:
        inner = faiss.SearchParameters(sel=selector)
    if isinstance(index, faiss.IndexPreTransform):
        return faiss.SearchParametersPreTransform(index_params=inner), (bits, selector, inner)
    return inner, (bits, selector)


def candidates(index: Any, queries: NDArray[np.float32], n: int, params: Any = None) -> NDArray[np.int64]:
    """Positions of the best n for every query, int64 [queries, n], −1 where there are fewer.

    Fast scans over inverted lists make a table of 4 · dim bytes for every query and list visited, all at once for the
    queries of a thread, and FAISS 1.15 crashes when they pass 2 GB: 200 queries of 2,048 values, 2,048 lists. So
    queries are asked in parts.
    """
    ivf = inverted(index)
    probes = 1
    if ivf is not None:
        inner = getattr(params, "index_params", params)
        probes = min(int(getattr(inner, "nprobe", ivf.nprobe)), int(ivf.nlist))
    step = max(1, _TABLES // (4 * int(index.d) * max(1, probes)))
    parts = [index.search(queries[begin : begin + step], n, params=params)[1] for begin in range(0, len(queries), step)]
    return np.concatenate(parts) if parts else np.empty((0, n), np.int64)


def can_select(index: Any) -> bool:
    """Whether this kind takes a filter; asked by trying, since FAISS keeps no table of it."""
    probe = np.zeros((1, index.d), np.float32)
    try:
        params, _kept = selecting(index, np.ones(max(1, index.ntotal), np.bool_), 1)
        index.search(probe, 1, params=params)
    except RuntimeError:
        return False
    return True


# FAISS opens no path with non-ASCII letters on Windows, so files go through Python.
def save(index: Any, disk: Disk, path: Path, name: str) -> FileEntry:
    """Write an index and flush it; `name` is what the manifest calls it."""

    def fill(file: HashingFile) -> None:
        writer = faiss.BufferedIOWriter(faiss.PyCallbackIOWriter(file.write, 1 << 20), 1 << 20)
        faiss.write_index(index, writer)
        del writer  # flushes

    return FileEntry(name, *disk.write(path, fill))


def load(path: Path, entry: FileEntry) -> Any:
    """Read an index, hashing what is read; FAISS itself notices no flipped bit.

    Raises:
        CollectionDamaged: missing, cut short or changed.
    """
    remedy = "`index` builds it again from the shards"
    try:
        # Hashed before FAISS sees it: a flipped length makes FAISS allocate or read beyond all bounds.
        if sha256_of(path) != (entry.size, entry.sha256):
            raise CollectionDamaged("the FAISS index is damaged (SHA-256 differs)", where=str(path), remedy=remedy)
        with path.open("rb") as file:
            return faiss.read_index(faiss.PyCallbackIOReader(file.read, 1 << 20))
    except FileNotFoundError as error:
        raise CollectionDamaged("the FAISS index is missing", where=str(path), remedy=remedy) from error
    except (OSError, RuntimeError) as error:
        raise CollectionDamaged(f"the FAISS index cannot be read: {error}", where=str(path), remedy=remedy) from error
