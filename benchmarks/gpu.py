"""Every figure that needs a card, in one call of a few minutes: parity, encoder alone, budget, whole runs.

    python -m benchmarks.gpu [--device cuda:0] [--shapes …] [--seconds 20]

Prints, for models with random weights: lowest cosine against sentence-transformers (fp32 on the same device);
tokens/s and share of the device's own matrix rate (MFU) at 512 tokens and at mixed lengths, beside it our pipeline
with transformers' forward, and sentence-transformers with its defaults and with three batch sizes, same number
format, in turns; throughput by token budget, and the smallest budget within 2 % of the best; whole runs (parquet →
committed collection) against the same encoder fed with batches that lie ready. Each part stops at its share of the
time. `--device cpu` shows that the command works where no card is.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import mixed_texts, print_table, random_model, run_process
from benchmarks.encoder import flops
from benchmarks.parity import lowest_cosine
from workbench.core.profile import EncoderSection
from workbench.encoders.embed import Embedder
from workbench.encoders.fingerprint import weight_files
from workbench.encoders.matrix_rate import matrix_rate
from workbench.encoders.model import resolve_model
from workbench.encoders.shapes import matrix_shapes
from workbench.text.tokenising import Tokens

BUDGETS = (4096, 8192, 16384, 32768, 65536, 131072)
BATCHES = (64, 128, 256)
TURNS = 3
#: Sentence-transformers takes about three times as long as we do, with four batch sizes, and all take three turns.
_OURS_OF_ALL = 32


def long_texts(rows: int) -> list[str]:
    """Texts that a model cuts at its longest row."""
    words = " ".join(mixed_texts(60)).split()
    return [" ".join(np.roll(words, 97 * row)[:900]) for row in range(rows)]


def rate(action: Callable[[], object], tokens: int) -> float:
    """Tokens/s of one call."""
    began = time.perf_counter()
    action()
    return tokens / (time.perf_counter() - began)


def some(tokens: Tokens, rows: int) -> Tokens:
    """The first rows."""
    return Tokens(tokens.ids[: int(tokens.lengths[:rows].sum())], tokens.lengths[:rows])


def rows_for(embedder: Embedder, tokens: Tokens, seconds: float) -> int:
    """Rows that take about `seconds` (a first pass warms up, a second one is timed)."""
    few = some(tokens, min(256, len(tokens.lengths)))
    embedder.encode_tokens(few)
    per_second = rate(lambda: embedder.encode_tokens(few), len(few.lengths))
    return int(np.clip(per_second * seconds, 64, len(tokens.lengths)))


def alone(
    folder: Path, device: str, dtype: str, seconds: float, kinds: dict[str, list[str]],
    tokenised: dict[tuple[str, str], Tokens],
) -> list[list[str]]:
    """Rows of the table "encoder alone" for one model; `tokenised` keeps tokens by model and kind of text."""
    import torch
    from sentence_transformers import SentenceTransformer

    theirs = SentenceTransformer(
        str(folder), device=device, model_kwargs={"dtype": {"fp16": torch.float16, "bf16": torch.bfloat16}[dtype]}
    )
    ours = Embedder(str(folder), dtype=dtype, device=device)
    slow = Embedder(str(folder), dtype=dtype, device=device, attention=_transformers_attention(folder))
    shapes = matrix_shapes(weight_files(Path(resolve_model(EncoderSection(model=str(folder))).folder)))
    peak = matrix_rate(device, dtype, shapes, cached=False)
    table = []
    for kind, texts in kinds.items():
        if (folder.name, kind) not in tokenised:
            tokenised[folder.name, kind] = ours.tokeniser.encode(texts)
        tokens = tokenised[folder.name, kind]
        count = rows_for(ours, tokens, seconds / _OURS_OF_ALL)
        part, texts = some(tokens, count), texts[:count]
        total = int(part.lengths.sum())
        contenders: dict[str, Callable[[], object]] = {
            "ours": lambda part=part: ours.encode_tokens(part),
            "ours with transformers' forward": lambda part=part: slow.encode_tokens(part),
            "sentence-transformers, defaults": lambda texts=texts: theirs.encode(texts, show_progress_bar=False),
            **{f"sentence-transformers, batch {size}": lambda texts=texts, size=size: theirs.encode(
                texts, batch_size=size, show_progress_bar=False) for size in BATCHES},
        }
        rates = {name: [rate(action, total) for _ in range(TURNS)] for name, action in contenders.items()}
        base = statistics.median(rates["sentence-transformers, defaults"])
        for name, found in rates.items():
            median = statistics.median(found)
            share = flops(ours, part.lengths) / total * median / peak
            table.append([folder.name, kind, name, f"{median:,.0f}", f"{min(found):,.0f}–{max(found):,.0f}",
                          f"{median / base:.2f}", f"{share:.2f}"])
    ours.close()
    slow.close()
    return table


def _transformers_attention(folder: Path) -> str:
    """The best attention that transformers has for a model; asking for one by name takes transformers' forward."""
    kind = json.loads((folder / "config.json").read_text(encoding="utf-8"))["model_type"]
    return "eager" if kind == "mpnet" else "sdpa"


def parity(folder: Path, device: str, dtypes: list[str]) -> list[str]:
    """One row: lowest cosine of each number format against sentence-transformers' fp32."""
    from sentence_transformers import SentenceTransformer

    texts = mixed_texts(120)
    truth = SentenceTransformer(str(folder), device=device).encode(texts, show_progress_bar=False)
    found = []
    for dtype in ["fp32", *dtypes]:
        embedder = Embedder(str(folder), dtype=dtype, device=device)
        found.append(f"{lowest_cosine(embedder.embed(texts), truth):.7f}")
        embedder.close()
    return [folder.name, *found]


def budgets(folder: Path, device: str, dtype: str, seconds: float, texts: list[str]) -> list[str]:
    """One row: tokens/s of each token budget, and the smallest one within 2 % of the best."""
    found: dict[int, float] = {}
    for budget in BUDGETS:
        embedder = Embedder(str(folder), dtype=dtype, device=device, token_budget=budget)
        tokens = embedder.tokeniser.encode(texts)
        part = some(tokens, rows_for(embedder, tokens, seconds / len(BUDGETS)))
        found[budget] = rate(lambda e=embedder, p=part: e.encode_tokens(p), int(part.lengths.sum()))
        embedder.close()
    enough = min(budget for budget, value in found.items() if value >= 0.98 * max(found.values()))
    return [folder.name, *(f"{value:,.0f}" for value in found.values()), f"{enough:,}"]


def whole(folder: Path, device: str, dtype: str, seconds: float, texts: list[str], scratch: Path) -> list[str]:
    """One row: a whole run against the same encoder on tokens that lie ready."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    embedder = Embedder(str(folder), dtype=dtype, device=device)
    tokens = embedder.tokeniser.encode(texts)
    count = rows_for(embedder, tokens, seconds)
    part = some(tokens, count)
    ready = rate(lambda: embedder.encode_tokens(part), int(part.lengths.sum()))
    embedder.close()
    source = scratch / "texts.parquet"
    pq.write_table(pa.table({"id": [str(n) for n in range(count)], "text": texts[:count]}), source)
    result: dict[str, Any] = run_process([
        sys.executable, "-m", "workbench", "run", str(source), "--into", str(scratch / f"{folder.name}.collection"),
        "--json", "--fresh", "--yes", "--set", f"encoder.model={folder}", "--set", f"encoder.dtype={dtype}",
        "--set", f"encoder.device={device}",
    ]).json
    speed = float(result["tokens_per_second"])
    return [folder.name, f"{count:,}", f"{ready:,.0f}", f"{speed:,.0f}", f"{speed / ready:.3f}"]


def main() -> int:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--shapes", nargs="*", default=["all-MiniLM-L6-v2", "bert-base"])
    parser.add_argument("--seconds", type=float, default=20.0, help="for each part and model")
    parser.add_argument("--rows", type=int, default=60_000, help="most texts of a kind")
    args = parser.parse_args()
    dtypes = ["fp16", "bf16"] if args.device.startswith("cuda") else ["bf16"]
    kinds = {"512 tokens": long_texts(args.rows // 6), "mixed": mixed_texts(args.rows)}
    with tempfile.TemporaryDirectory() as temporary:
        models = [random_model(shape, Path(temporary) / shape) for shape in args.shapes]
        print_table(["model", "fp32", *dtypes], [parity(model, args.device, dtypes) for model in models])
        tokenised: dict[tuple[str, str], Tokens] = {}
        for dtype in dtypes:
            print(f"\nencoder alone, {dtype}")
            print_table(
                ["model", "texts", "who", "tokens/s", "min–max", "ratio", "MFU"],
                [row for model in models for row in alone(model, args.device, dtype, args.seconds, kinds, tokenised)],
            )
        best = dtypes[-1]
        print(f"\ntoken budgets, mixed, {best}, tokens/s")
        table = [budgets(model, args.device, best, args.seconds, kinds["mixed"]) for model in models]
        print_table(["model", *(f"{budget:,}" for budget in BUDGETS), "enough"], table)
        print(f"\nwhole runs, mixed, {best}")
        table = [whole(m, args.device, best, args.seconds, kinds["mixed"], Path(temporary)) for m in models]
        print_table(["model", "texts", "batches ready, tokens/s", "whole run, tokens/s", "efficiency"], table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
