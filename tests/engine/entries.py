"""Entry points of processes that tests start; numpy is loaded with this file, as it is with those of a run."""

from __future__ import annotations

import os
from multiprocessing.connection import Connection

import numpy as np
import psutil


def own_threads(spec: object, pipe: Connection) -> None:
    """Say how many threads this process has, and what numpy was told."""
    product = np.ones((300, 300)) @ np.ones((300, 300))
    pipe.send((psutil.Process().num_threads(), os.environ.get("OPENBLAS_NUM_THREADS"), float(product[0, 0])))


def load_torch(spec: object, pipe: Connection) -> None:
    """Say what comes of importing torch."""
    try:
        import torch
    except ModuleNotFoundError as error:
        pipe.send(str(error))
    else:
        pipe.send(torch.__version__)
