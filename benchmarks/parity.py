"""Vectors against sentence-transformers for the same folder: `python -m benchmarks.parity [--rows 200]`.

Shapes of real models (random weights, DATA/tokenizers) and small Qwen3 and ModernBERT models made on the spot.
Prints the lowest and the mean cosine per model and number format; exit code 1 when a lowest one is under its floor.
int8 is there for BERT's family on processors with VNNI; elsewhere its column says n/a.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.common import DATA, mixed_texts, random_model
from workbench.core.errors import UsageError
from workbench.encoders.embed import Embedder
from workbench.encoders.model import default_model_folder

FLOORS = {"fp32": 0.99999, "bf16": 0.999, "int8": 0.99}
SHAPES = ("all-MiniLM-L6-v2", "gte-small", "all-mpnet-base-v2", "bge-small-zh-v1.5")


def folders(root: Path) -> dict[str, Path]:
    """Model folders by name."""
    from tests import tiny_models

    found: dict[str, Path] = {"default": default_model_folder()}
    if (DATA / "tokenizers").is_dir():
        found |= {shape: random_model(shape, root / shape) for shape in SHAPES}
    else:
        print(f"{DATA / 'tokenizers'} is not there: the shapes of real models are left out", file=sys.stderr)
    found["qwen3, tiny"] = tiny_models.tiny_qwen3(root / "qwen3", hidden=64)
    found["modernbert, tiny"] = tiny_models.tiny_modernbert(root / "modernbert", hidden=64)
    found["xlm-roberta, tiny"] = tiny_models.tiny_roberta(root / "roberta", hidden=64)
    return found


def texts_for(name: str, rows: int) -> list[str]:
    """English of mixed length; Chinese for the Chinese model."""
    if "zh" in name:
        import pyarrow.parquet as pq

        poems = pq.read_table(DATA / "tang-poems" / "poems.parquet", columns=["text"])["text"]
        return [text for text in poems[:rows].to_pylist() if text]
    from tests.tiny_models import SENTENCES

    return mixed_texts(rows) if (DATA / "books").is_dir() else [f"{s} {n}" for n in range(rows // 7) for s in SENTENCES]


def lowest_cosine(a: np.ndarray, b: np.ndarray) -> float:
    """Lowest cosine between rows of [rows, dim] and [rows, dim]."""
    return float(cosines(a, b).min())


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cosine of each row of [rows, dim] with the same row of [rows, dim]."""
    near: np.ndarray = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    return near


def measured(folder: Path, dtype: str, texts: list[str], theirs: np.ndarray) -> tuple[float, float] | None:
    """Lowest and mean cosine to `theirs`; None where int8 is not to be had for this model or processor."""
    try:
        embedder = Embedder(str(folder), dtype=dtype, device="cpu")
    except UsageError as error:
        if dtype != "int8":
            raise
        print(f"{folder.name}: {error}", file=sys.stderr)
        return None
    near = cosines(embedder.embed(texts), theirs)
    embedder.close()
    return float(near.min()), float(near.mean())


def main() -> int:
    """Print the table; 1 when a floor is missed."""
    import torch
    from sentence_transformers import SentenceTransformer

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200)
    rows = parser.parse_args().rows
    missed = 0
    print(f"{'model':24}{'rows':>6}" + "".join(f"  {dtype + ' lowest, mean':>22}" for dtype in FLOORS))
    with tempfile.TemporaryDirectory() as scratch:
        for name, folder in folders(Path(scratch)).items():
            texts = texts_for(name, rows)
            # Named, since it would otherwise compute in the format that the weights are stored in.
            model = SentenceTransformer(str(folder), device="cpu", model_kwargs={"dtype": torch.float32})
            theirs = model.encode(texts, show_progress_bar=False)
            found = {dtype: measured(folder, dtype, texts, theirs) for dtype in FLOORS}
            missed += sum(pair is not None and pair[0] < FLOORS[dtype] for dtype, pair in found.items())
            cells = (f"{pair[0]:.8f}, {pair[1]:.8f}" if pair else "n/a" for pair in found.values())
            print(f"{name:24}{len(texts):6}" + "".join(f"  {cell:>22}" for cell in cells), flush=True)
    print(f"floors: {', '.join(f'{dtype} {floor}' for dtype, floor in FLOORS.items())}; missed: {missed}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
