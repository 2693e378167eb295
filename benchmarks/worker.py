"""How soon a worker is ready, how much memory it takes then, and what it has loaded.

    python benchmarks/worker.py [--times 5]

Starts real workers (spawn) through an ordinary run and reads what they say of themselves: seconds from the start
of the process's body to ready, and from the parent's start of the process to ready; resident memory at that moment.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

from common import REPOSITORY, print_table

sys.path.insert(0, str(REPOSITORY))
FORBIDDEN = ("torch", "transformers", "faiss", "textual")


def main_and_tell(spec: object, pipe: Connection) -> None:
    """The worker's own entry point, with what it has loaded told first thing when it is ready."""
    from workbench.engine import child, worker

    def body(process: child.Child) -> None:
        made = worker.Worker(spec, process)  # type: ignore[arg-type]
        pipe.send([name for name in FORBIDDEN if name in sys.modules])
        made.run()

    child.run_child(spec.child, pipe, body)  # type: ignore[attr-defined]


def measure(folder: Path) -> tuple[float, float, int, list[str]]:
    """(seconds in the process, seconds from the parent's start, bytes, forbidden modules)."""
    from tests.engine.harness import corpus, request
    from workbench.engine.assembly import assemble
    from workbench.engine.setting import resolve

    source = folder / "notes.jsonl"
    if not source.exists():
        corpus(source, 200)
    setting = resolve(request(folder, source, "pipeline.workers=1"))
    with assemble(setting, folder / "a.collection" / "runs" / f"{time.time_ns()}") as assembly:
        worker = assembly.pipeline.workers[0]
        worker.entry = main_and_tell
        began = time.perf_counter()
        worker.start()
        assert worker.pipe is not None
        loaded = worker.pipe.recv()
        ready = worker.pipe.recv()
        return ready.seconds, time.perf_counter() - began, ready.rss, loaded


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=5)
    args = parser.parse_args()
    multiprocessing.freeze_support()
    with tempfile.TemporaryDirectory() as temporary:
        found = [measure(Path(temporary)) for _ in range(args.times + 1)][1:]  # the first one warms the disk
    print_table(
        ["worker ready, s (median)", "from the parent's start, s (median)", "memory, MB (max)", "forbidden modules"],
        [[f"{statistics.median(f[0] for f in found):.2f}", f"{statistics.median(f[1] for f in found):.2f}",
          f"{max(f[2] for f in found) / 1e6:.0f}", ", ".join(sorted({m for f in found for m in f[3]})) or "none"]],
    )


if __name__ == "__main__":
    main()
