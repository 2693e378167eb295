"""Whole programs side by side: the usual script, sentence-transformers, the workbench; same texts, same model.

    python benchmarks/throughput.py [--shape all-MiniLM-L6-v2] [--rows 3000] [--repeat 3] [--only NAME …]

Each contender is a process of its own, from start to a saved, searchable result; contenders take turns, so that
a drift of the machine's speed hits all alike. `tokens/s` counts the model's real tokens over the time between
the model being loaded and the result being saved (for the workbench: first batch to last commit); `whole` is the
wall time of the process. Needs: sentence-transformers, pandas (development extra).
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from common import REPOSITORY, Outcome, mixed_texts, print_table, random_model, run_process

MAX_TOKENS = 256


def usual_script(folder: Path, model: Path) -> dict[str, object]:
    """What people write: pandas, a dict of documents, row-wise slicing and joining, encode, FAISS at the end."""
    import faiss
    import numpy as np
    import pandas as pd
    from sentence_transformers import SentenceTransformer

    docs = pd.read_parquet(folder / "docs.parquet")
    chunks = pd.read_parquet(folder / "chunks.parquet")
    by_id = {row["doc_id"]: row for _, row in docs.iterrows()}
    encoder = SentenceTransformer(str(model), device="cpu")
    began = time.perf_counter()
    texts = []
    for _, row in chunks.iterrows():
        document = by_id[row["doc_id"]]
        texts.append(document["title"] + "\n" + document["text"][row["start"] : row["end"]])
    vectors = encoder.encode(texts, show_progress_bar=False, normalize_embeddings=True)
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(np.asarray(vectors, np.float32))
    faiss.write_index(index, str(folder / "usual.faiss"))
    chunks.to_parquet(folder / "usual.parquet")
    return {"seconds": time.perf_counter() - began}


def sentence_transformers(folder: Path, model: Path, dtype: str, batch: int) -> dict[str, object]:
    """`encode` over texts that lie ready; vectors and FAISS saved at the end."""
    import faiss
    import numpy as np
    import pyarrow.parquet as pq
    import torch
    from sentence_transformers import SentenceTransformer

    options = {"torch_dtype": torch.bfloat16} if dtype == "bf16" else {}
    encoder = SentenceTransformer(str(model), device="cpu", model_kwargs=options)
    texts = pq.read_table(folder / "texts.parquet")["text"].to_pylist()
    began = time.perf_counter()
    vectors = encoder.encode(texts, batch_size=batch, show_progress_bar=False)
    vectors = np.asarray(vectors, np.float32)
    np.save(folder / f"st-{dtype}.npy", vectors)
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    faiss.write_index(index, str(folder / "st.faiss"))
    return {"seconds": time.perf_counter() - began}


CONTENDERS = {
    "usual script (fp32)": ("one", "usual"),
    "sentence-transformers defaults (fp32)": ("one", "st-fp32-32"),
    "sentence-transformers bf16, batch 32": ("one", "st-bf16-32"),
    "sentence-transformers bf16, batch 128": ("one", "st-bf16-128"),
    "workbench fp32": ("ours", "fp32"),
    "workbench bf16": ("ours", "bf16"),
}


def prepare(folder: Path, rows: int, shape: str) -> tuple[Path, int]:
    """Texts as one column, and the same texts as documents with offsets; returns the model and real tokens."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from tokenizers import Tokenizer

    texts = mixed_texts(rows)
    pq.write_table(pa.table({"chunk_id": [str(n) for n in range(rows)], "text": texts}), folder / "texts.parquet")
    per = 50
    documents = ["\n".join(texts[n : n + per]) for n in range(0, rows, per)]
    pq.write_table(
        pa.table({"doc_id": [str(n) for n in range(len(documents))], "title": [""] * len(documents), "text": documents}),  # noqa: E501
        folder / "docs.parquet",
    )
    starts, ends = [], []
    for n in range(0, rows, per):
        at = 0
        for text in texts[n : n + per]:
            starts.append(at)
            ends.append(at + len(text))
            at += len(text) + 1
    ids = [str(n) for n in range(rows)]
    chunks = {"chunk_id": ids, "doc_id": [str(n // per) for n in range(rows)], "start": starts, "end": ends}
    pq.write_table(pa.table(chunks), folder / "chunks.parquet")
    model = random_model(shape, folder / "model")
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    return model, sum(len(encoding.ids) for encoding in tokenizer.encode_batch(texts))


def ours(folder: Path, model: Path, dtype: str, turn: int) -> Outcome:
    """`workbench run` over the same documents and offsets, into a new collection."""
    return run_process([
        sys.executable, "-m", "workbench", "run", "--docs", str(folder / "docs.parquet"),
        "--chunks", str(folder / "chunks.parquet"), "--into", str(folder / f"{dtype}-{turn}.collection"), "--json",
        "--set", f"encoder.model={model}", "--set", f"encoder.dtype={dtype}",
        "--set", f"encoder.max_tokens={MAX_TOKENS}",
    ])


def one(name: str, folder: Path, model: Path) -> dict[str, object]:
    """A contender, in its own process."""
    if name == "usual":
        return usual_script(folder, model)
    _, dtype, batch = name.split("-")
    return sentence_transformers(folder, model, dtype, int(batch))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", default="all-MiniLM-L6-v2")
    parser.add_argument("--rows", type=int, default=3000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--only", nargs="*", choices=list(CONTENDERS), help="contenders to run")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(one(args.one, args.folder, args.folder / "model")))
        return
    with tempfile.TemporaryDirectory() as temporary:
        compare(Path(temporary), args)


def compare(folder: Path, args: argparse.Namespace) -> None:
    """Let the contenders take turns and print medians, spreads and ratios."""
    model, tokens = prepare(folder, args.rows, args.shape)
    names = args.only or list(CONTENDERS)
    rates: dict[str, list[float]] = {name: [] for name in names}
    whole: dict[str, list[float]] = {name: [] for name in names}
    peaks: dict[str, list[int]] = {name: [] for name in names}
    for turn in range(args.repeat):
        for name in names:
            kind, what = CONTENDERS[name]
            if kind == "ours":
                outcome = ours(folder, model, what, turn)
                rates[name].append(float(outcome.json["tokens_per_second"]))
            else:
                script = str(REPOSITORY / "benchmarks" / "throughput.py")
                outcome = run_process([sys.executable, script, "--one", what, "--folder", str(folder)])
                rates[name].append(tokens / float(outcome.json["seconds"]))
            whole[name].append(outcome.seconds)
            peaks[name].append(outcome.peak_bytes)
            print(f"{name}: {rates[name][-1]:,.0f} tokens/s, {outcome.seconds:.1f} s", file=sys.stderr, flush=True)
    base = next((name for name in names if "defaults" in name), names[0])
    print(f"{args.rows} texts, {tokens:,} tokens, {args.shape} with random weights, {args.repeat} turns")
    print_table(
        ["contender", "tokens/s (median)", "min–max", f"ratio to {base}", "whole, s", "whole ratio", "peak memory, MB"],
        [[
            name, f"{statistics.median(rates[name]):,.0f}", f"{min(rates[name]):,.0f}–{max(rates[name]):,.0f}",
            f"{statistics.median([a / b for a, b in zip(rates[name], rates[base], strict=True)]):.2f}",
            f"{statistics.median(whole[name]):.1f}",
            f"{statistics.median([b / a for a, b in zip(whole[name], whole[base], strict=True)]):.2f}",
            f"{max(peaks[name]) / 1e6:,.0f}",
        ] for name in names],
    )


if __name__ == "__main__":
    main()
