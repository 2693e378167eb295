"""Memory that allocators keep."""

from __future__ import annotations

import pyarrow as pa


def let_go() -> None:
    """Give back to the system what a large step used and freed: allocators keep it, also for another library's use.

    Arrow trims the C library's own heap with it where that can be done (glibc).
    """
    for pool in (pa.default_memory_pool(), pa.system_memory_pool()):
        pool.release_unused()
