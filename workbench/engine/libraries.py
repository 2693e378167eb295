"""Which libraries a child process may load, and how many threads they take. Light: read before anything heavy."""

from __future__ import annotations

import os
import sys

#: What a process must never load: a worker with torch takes 237 MB and on Windows commits a gigabyte, torch and
#: FAISS together crash on Windows, and pyarrow would load pandas wherever it finds it.
_FORBIDDEN = {
    "worker": frozenset({"torch", "transformers", "faiss", "textual", "pandas"}),
    "encoder": frozenset({"faiss", "textual"}),
    "writer": frozenset({"torch", "transformers", "textual", "pandas"}),
}


class _KeptOut:
    """An import finder that knows some packages as missing."""

    def __init__(self, names: frozenset[str]) -> None:
        self._names = names

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name.partition(".")[0] in self._names:
            raise ModuleNotFoundError(f"{name} is kept out of this process", name=name)


def keep_out(stage: str) -> None:
    """Let a process of this stage know nothing of the packages it must not load."""
    sys.meta_path.insert(0, _KeptOut(_FORBIDDEN.get(stage, frozenset())))


def limit_threads(threads: int) -> None:
    """Set before the libraries load: they read these once. One worker is one core."""
    if threads:
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"):
            os.environ[name] = str(threads)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false" if threads == 1 else "true")
    # Threads that spin long at a barrier take the cores from the workers they wait for; threads that never
    # spin wake too late for small products. A short spin costs nothing alone and little on a busy machine.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
