"""What part of a worker's time is the tokenizer itself.

    python benchmarks/tokenizer_share.py [--limit 40000] [--model default] [--input books | jsonl | FILE …]

Runs a real `engine.worker.Worker` in this process over real units (books by offsets, and the same texts as JSON
lines), answered by a supervisor that grants every slot at once, with the tokenizer's Rust call timed. `share` is the
time in that call over all the time of read → slice → tokenise → pack; staging the text part for the writer is
`write` and counted apart, the last column counts it in. CPU time is given beside wall time, since other work on the
machine changes only the latter.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections import deque
from pathlib import Path
from time import perf_counter, perf_counter_ns, process_time_ns
from typing import Any

from common import REPOSITORY, need_data, print_table

sys.path.insert(0, str(REPOSITORY))
_BUDGET = 8192  # tokens of a batch on a CPU, where nothing is padded


class TimedTokenizer:
    """The Rust tokenizer with its batch call timed."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.wall = self.cpu = 0

    def encode_batch_fast(self, *args: Any, **options: Any) -> Any:
        wall, cpu = perf_counter_ns(), process_time_ns()
        try:
            return self._inner.encode_batch_fast(*args, **options)
        finally:
            self.wall += perf_counter_ns() - wall
            self.cpu += process_time_ns() - cpu

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class GenerousLink:
    """The supervisor's side: one unit after another, every slot that is asked for, stop at the end."""

    def __init__(self, leases: list[object], slots: int) -> None:
        from workbench.engine import wire

        self._wire, self._slots, self.batches = wire, slots, 0
        self._leases = deque(leases)
        self._inbox: deque[object] = deque([wire.Budget(_BUDGET, False)])

    def send(self, message: object) -> None:
        if isinstance(message, self._wire.NeedSlots):
            numbers = tuple(number % self._slots for number in range(message.count))
            self._inbox.append(self._wire.Slots(numbers, message.key))
        elif isinstance(message, self._wire.Batch):
            self.batches += 1
        elif isinstance(message, self._wire.UnitFailed):
            sys.exit(f"a unit failed: {message.failure.message}")

    def receive(self, timeout: float | None = None) -> object | None:
        if self._inbox:
            return self._inbox.popleft()
        if timeout is not None:
            return None
        return self._leases.popleft() if self._leases else self._wire.Stop()


def measure(arguments: list[str], limit: int, model: str, folder: Path) -> list[str]:
    """A row of the table."""
    from workbench.core.activity import Activity, Counter
    from workbench.core.profile_io import apply_overrides, load_profile
    from workbench.core.run import RunRequest
    from workbench.engine import wire
    from workbench.engine.assembly import assemble
    from workbench.engine.child import Child
    from workbench.engine.setting import resolve
    from workbench.engine.worker import Worker
    from workbench.sources.registry import open_source

    settings = ["encoder.engine=simulated", f"encoder.model={model}", "pipeline.workers=1", "pipeline.telemetry=none"]
    profile = apply_overrides(load_profile("balanced"), settings)
    docs = Path(arguments[0]) if len(arguments) == 2 else None
    setting = resolve(RunRequest(profile, (Path(arguments[-1]),), docs, folder / "a.collection", limit))
    with assemble(setting, folder / "a.collection" / "runs" / "one") as assembly:
        spec: Any = assembly.pipeline.workers[0].spec
        Path(spec.staging).mkdir(parents=True, exist_ok=True)
        units = open_source(setting.source).plan().units
        link: Any = GenerousLink([wire.Lease(wire.Key(u.number, 0), u) for u in units], setting.shape.batch_slots)
        meter = assembly.board.row(0, os.getpid())
        worker = Worker(spec, Child(spec.child, link, meter, perf_counter()))
        timed = TimedTokenizer(worker._preparer._tokeniser._tokenizer)
        worker._preparer._tokeniser._tokenizer = timed  # type: ignore[assignment]
        worker.run()
        meter.enter(Activity.ENDED)
        reading = assembly.board.read(0)
        del worker
        meter.close()
    assert reading is not None
    steps = (Activity.READ, Activity.SLICE, Activity.TOKENISE, Activity.PACK)
    wall, cpu = (sum(times[step] for step in steps) for times in (reading.activity_ns, reading.activity_cpu_ns))
    written = reading.activity_cpu_ns[Activity.WRITE]
    tokens = reading.counters[Counter.PREPARED_TOKENS]
    parts = " / ".join(f"{reading.activity_cpu_ns[step] / cpu:.1%}" for step in steps)
    return [
        Path(arguments[-1]).name, f"{len(units)}", f"{reading.counters[Counter.ROWS]:,}", f"{tokens:,}",
        f"{tokens / (cpu + written) * 1e9:,.0f}", parts, f"{timed.cpu / cpu:.3f}", f"{timed.wall / wall:.3f}",
        f"{timed.cpu / (cpu + written):.3f}",
    ]


def as_jsonl(folder: Path, rows: int) -> str:
    """The first chunks of the books as JSON lines."""
    import pyarrow.parquet as pq

    docs = pq.read_table(need_data("books", "docs.parquet"), columns=["doc_id", "text"])
    texts = dict(zip(docs["doc_id"].to_pylist(), docs["text"].to_pylist(), strict=True))
    chunks = pq.read_table(need_data("books", "chunks.parquet")).slice(0, rows).to_pylist()
    file = folder / "chunks.jsonl"
    with file.open("w", encoding="utf-8", newline="\n") as out:
        for row in chunks:
            text = texts[row["doc_id"]][row["start"] : row["end"]]
            out.write(json.dumps({"chunk_id": row["chunk_id"], "title": row["title"], "text": text}) + "\n")
    return str(file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=int, default=40_000, help="chunks")
    parser.add_argument("--model", default="default", help="model folder whose tokenizer is used")
    parser.add_argument("--input", nargs="+", default=["books", "jsonl"], help="books, jsonl, or a table of your own")
    args = parser.parse_args()
    sys.unraisablehook = lambda _: None  # views of the rings outlive their segments here; in a run the process ends
    rows = []
    for name in args.input:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            if name == "books":
                arguments = [str(need_data("books", "docs.parquet")), str(need_data("books", "chunks.parquet"))]
            else:
                arguments = [as_jsonl(folder, args.limit) if name == "jsonl" else name]
            rows.append(measure(arguments, args.limit, args.model, folder))
    print_table(["input", "units", "chunks", "tokens", "tokens/s of a core", "read / slice / tokenise / pack",
                 "share (CPU)", "share (wall)", "share, writing counted in"], rows)


if __name__ == "__main__":
    main()
