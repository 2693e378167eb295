"""What makes the processes of all tests lighter, without a difference to what they do."""

from __future__ import annotations

import compileall
import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

# numpy starts OpenBLAS's threads as it is imported, and these spin for a while: on a busy machine a sixth of what
# the start of each process costs. No test is about products of matrices on several threads of numpy.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def pytest_configure(config: pytest.Config) -> None:
    """Spawned processes read compiled modules, as users' do, also where PYTHONDONTWRITEBYTECODE is set."""
    if not hasattr(config, "workerinput"):
        compileall.compile_dir(Path(__file__).parent.parent / "workbench", quiet=2)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Spare the garbage collector what stays: all that has been imported, and the caches of Textual, which keep
    some hundred thousand objects of apps that are gone."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(2000, 10, 50)
        gc.enable()
