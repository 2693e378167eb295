"""The encoder alone: `python -m benchmarks.encoder [--shape all-MiniLM-L6-v2] [--rows 600] [--repeats 3]`.

Tokens/s of our encoder on texts tokenised beforehand and of sentence-transformers' `encode` (its defaults, which
include its tokenizing), interleaved; padding share; share of this machine's own rate of matrix products at the
model's shapes, measured between the runs. Medians; the ratios compare runs of one process only.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.common import mixed_texts, random_model
from workbench.core.profile import EncoderSection
from workbench.encoders.embed import Embedder
from workbench.encoders.fingerprint import weight_files
from workbench.encoders.matrix_rate import matrix_rate
from workbench.encoders.model import resolve_model
from workbench.encoders.shapes import matrix_shapes
from workbench.text.packing import pack, padding_share


def flops(embedder: Embedder, lengths: np.ndarray) -> float:
    """Operations that rows of these lengths cost without padding."""
    per_token, per_key = embedder.spec.flops_per_token
    exact = lengths.astype(np.float64)
    return float((per_token * exact + per_key * exact**2).sum())


def seconds(action: Callable[[], object]) -> float:
    """Seconds one call takes."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def compare(folder: Path, rows: int, repeats: int, device: str) -> None:
    """Print one table for a model folder."""
    import torch
    from sentence_transformers import SentenceTransformer

    texts = mixed_texts(rows)
    theirs = {"fp32": SentenceTransformer(str(folder), device=device)}
    theirs["bf16"] = SentenceTransformer(str(folder), device=device, model_kwargs={"dtype": torch.bfloat16})
    ours = {dtype: Embedder(str(folder), dtype=dtype, device=device) for dtype in theirs}
    shapes = matrix_shapes(weight_files(Path(resolve_model(EncoderSection(model=str(folder))).folder)))
    tokens = ours["fp32"].tokeniser.encode(texts)
    total = int(tokens.lengths.sum())
    took: dict[str, list[float]] = {}
    rates: dict[str, list[float]] = {dtype: [] for dtype in ours}
    for _ in range(repeats + 1):  # the first round warms up
        for dtype in ours:
            took.setdefault(f"ours {dtype}", []).append(seconds(lambda d=dtype: ours[d].encode_tokens(tokens)))
            rates[dtype].append(matrix_rate(ours[dtype].info.device, dtype, shapes, rows=4096, cached=False))
            took.setdefault(f"sentence-transformers {dtype}", []).append(
                seconds(lambda d=dtype: theirs[d].encode(texts, show_progress_bar=False))
            )
    batches = pack(tokens.lengths, ours["fp32"].info.token_budget, 4096)
    print(f"{folder.name}: {rows} texts, {total} tokens, {ours['fp32'].info.device_name}")
    print(f"padding share: {padding_share(tokens.lengths, batches):.4f} in batches of "
          f"{ours['fp32'].info.token_budget} tokens (none is computed where BERT's family runs unpadded)")
    base = statistics.median(took["sentence-transformers fp32"][1:])
    for name, values in took.items():
        median, dtype = statistics.median(values[1:]), name.split()[-1]
        rate = statistics.median(rates[dtype][1:])
        share = f"  {flops(ours[dtype], tokens.lengths) / median / rate:5.2f} of {rate / 1e9:5.0f} GFLOP/s"
        spread = f"{min(values[1:]):.2f}–{max(values[1:]):.2f} s"
        print(f"  {name:28}{total / median:9.0f} tokens/s  {base / median:5.2f} ×  ({spread}){share}", flush=True)


def main() -> int:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", action="append", help="folder below DATA/tokenizers; may be given several times")
    parser.add_argument("--rows", type=int, default=600)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        for shape in chosen.shape or ["all-MiniLM-L6-v2"]:
            compare(random_model(shape, Path(scratch) / shape), chosen.rows, chosen.repeats, chosen.device)
    return 0


if __name__ == "__main__":
    sys.exit(main())
