"""What the benchmarks share: random-weight models of known shapes, real texts of mixed length, tables, processes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
#: Real corpora and tokenizers (not part of the project): WORKBENCH_DATA, else ../shared/data.
DATA = Path(os.environ.get("WORKBENCH_DATA", REPOSITORY.parent / "shared" / "data"))


def need_data(*parts: str) -> Path:
    """A path below the data folder; ends the benchmark with one line when it is not there."""
    path = DATA.joinpath(*parts)
    if not path.exists():
        sys.exit(f"{path} is not there: set WORKBENCH_DATA to the folder with the corpora")
    return path


#: Shapes made of another model's tokenizer and family.
LARGER = {
    "bert-base": ("all-MiniLM-L6-v2", {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
                                       "intermediate_size": 3072}),
}


def random_model(shape: str, folder: Path, seed: int = 0) -> Path:
    """A model folder with the tokenizer and configuration of `shape` and random weights (fp32).

    It costs what the real model costs and finds nothing. `shape`: a folder name below DATA/tokenizers, or one of
    `LARGER`.
    """
    if (folder / "model.safetensors").exists():
        return folder
    import torch
    from transformers import AutoConfig, AutoModel

    name, sizes = LARGER.get(shape, (shape, {}))
    source = need_data("tokenizers", name)
    shutil.copytree(source, folder, dirs_exist_ok=True)
    torch.manual_seed(seed)
    AutoModel.from_config(AutoConfig.from_pretrained(source, **sizes)).save_pretrained(folder)
    return folder


def mixed_texts(rows: int, seed: int = 0) -> list[str]:
    """Real English of mixed length from the books: short, middle and long, in equal shares of rows, shuffled."""
    import random

    import pyarrow.parquet as pq

    text = "\n".join(pq.read_table(need_data("books", "docs.parquet"), columns=["text"])["text"][:40].to_pylist())
    rng = random.Random(seed)
    sizes = {"short": (20, 120), "middle": (200, 700), "long": (900, 2400)}
    texts = []
    for number in range(rows):
        low, high = list(sizes.values())[number % 3]
        begin = rng.randrange(len(text) - 3000)
        texts.append(" ".join(text[begin : begin + rng.randint(low, high)].split()) or "empty")
    rng.shuffle(texts)
    return texts


@dataclass(frozen=True, slots=True)
class Outcome:
    """A whole process: seconds of wall time, peak of the resident memory of its tree, last JSON on stdout."""

    seconds: float
    peak_bytes: int
    json: dict[str, object]


def run_process(command: Sequence[str], env: dict[str, str] | None = None, timeout: float = 1800.0) -> Outcome:
    """Run a command, watch the memory of its whole tree (shared pages counted once where the system tells)."""
    began = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8", cwd=REPOSITORY,
        env={**os.environ, **(env or {})},
    )
    peak = Peak(process.pid)
    out, err = process.communicate(timeout=timeout)
    seconds = time.perf_counter() - began
    if process.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}:\n{err[-3000:]}")
    text = out[out.index("{") :] if "{" in out else "{}"
    return Outcome(seconds, peak.stop(), json.loads(text))


class Peak:
    """Samples the memory of a process tree ten times a second; `series` holds (seconds, bytes)."""

    def __init__(self, pid: int, interval: float = 0.1) -> None:
        self.series: list[tuple[float, int]] = []
        self._pid, self._interval = pid, interval
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, daemon=True)
        self._thread.start()

    def stop(self) -> int:
        """End the sampling; the peak in bytes."""
        self._stop.set()
        self._thread.join()
        return max((size for _, size in self.series), default=0)

    def _loop(self) -> None:
        began = time.perf_counter()
        while not self._stop.wait(self._interval):
            self.series.append((time.perf_counter() - began, tree_memory(self._pid)))


def tree_memory(pid: int) -> int:
    """Bytes of a process and its children: proportional set size on Linux (shared pages once), else resident."""
    import psutil

    total = 0
    try:
        root = psutil.Process(pid)
        members = [root, *root.children(recursive=True)]
    except psutil.Error:
        return 0
    for member in members:
        try:
            total += getattr(member.memory_full_info(), "pss", 0) or member.memory_info().rss
        except psutil.Error:
            continue
    return total


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A Markdown table on stdout."""
    print("| " + " | ".join(header) + " |")
    print("|" + "|".join("---" for _ in header) + "|")
    for row in rows:
        print("| " + " | ".join(row) + " |")
