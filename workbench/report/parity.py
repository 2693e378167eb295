"""Quality parity: vectors of one collection against those of another, row by row, by chunk id."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.collection.reader import Collection
from workbench.core.errors import WorkbenchError

#: Rows compared at most.
ROWS = 20_000


def parity(first: tuple[str, Path], second: tuple[str, Path]) -> Mapping[str, Any]:
    """Cosine of rows with the same chunk id in two collections, each given as (run, folder).

    Returns `run, against, rows, cosine_mean, cosine_min, note`; the cosines are None, and `note` says why,
    when nothing can be compared.
    """
    about: dict[str, Any] = {
        "run": second[0], "against": first[0], "rows": 0, "cosine_mean": None, "cosine_min": None, "note": "",
    }
    if first[1].resolve() == second[1].resolve():
        return {**about, "note": "the same collection: later runs add to the vectors of earlier ones"}
    try:
        ours, theirs = _sample(first[1]), _sample(second[1])
    except WorkbenchError as error:
        return {**about, "note": str(error)}
    shared = [name for name in theirs if name in ours]
    if not shared:
        return {**about, "note": "no chunk id is in both"}
    left, right = (np.stack([vectors[name] for name in shared]) for vectors in (ours, theirs))
    if left.shape[1] != right.shape[1]:
        return {**about, "note": f"vectors of different length ({left.shape[1]} and {right.shape[1]})"}
    cosines = _cosines(left, right)
    return {
        **about, "rows": len(shared), "cosine_mean": float(cosines.mean()), "cosine_min": float(cosines.min()),
    }


def _sample(folder: Path) -> dict[str, NDArray[np.float32]]:
    """The first rows of a collection: chunk id → vector."""
    found: dict[str, NDArray[np.float32]] = {}
    with Collection.open(folder) as collection:
        shards = zip(collection.iter_vectors(), collection.iter_chunks(["chunk_id"]), strict=True)
        for (_, vectors), (_, chunks) in shards:
            names = chunks.column("chunk_id").to_pylist()
            found.update(zip(names, np.asarray(vectors, np.float32), strict=True))
            if len(found) >= ROWS:
                break
    return found


def _cosines(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float32]:
    norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    products: NDArray[np.float32] = np.einsum("ij,ij->i", left, right) / np.maximum(norms, 1e-12)
    return products
