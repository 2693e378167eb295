"""What makes the processes of all tests lighter, without a difference to what they do."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator

import pytest

# numpy starts OpenBLAS's threads as it is imported, and these spin for a while: on a busy machine a sixth of what
# the start of each process costs. No test is about products of matrices on several threads of numpy.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# Where Python is told to keep no compiled modules, each of hundreds of processes would compile all that it imports:
# a third of the suite's time. Users' processes keep them.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


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
