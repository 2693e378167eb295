"""Whole programs side by side: the usual script, sentence-transformers, ONNX, OpenVINO, fastembed, the workbench.

    python benchmarks/throughput.py [--shape all-MiniLM-L6-v2] [--texts mix] [--language en] [--rows 3000]
        [--repeat 3] [--only NAME …] [--python OTHER_PYTHON …]

Each contender is a process of its own, from start to a saved, searchable result; contenders take turns, so that
a drift of the machine's speed hits all alike. `tokens/s` counts the model's real tokens over the time between
the model being loaded and the result being saved (for the workbench: first batch to last commit, its text index
and files included); `whole` is the wall time of the process, start and import included. Ratios compare turns.
`MFU`: operations of the real tokens over the machine's own rate of matrix products, measured in the same turns at
the model's shapes in the same number format. `lowest cosine`: against sentence-transformers'
defaults on the same texts.

Shapes: all-MiniLM-L6-v2 (6 × 384), gte-small (12 × 384), all-mpnet-base-v2 (12 × 768), bge-small-zh-v1.5 (4 × 512)
with random weights, `default` (the default model), or a model folder. A contender whose packages no given Python has
is listed as not installed. Where packages exclude each other, make more environments and name them with --python:

    python -m venv A; A/bin/pip install sentence-transformers[openvino] nncf datasets faiss-cpu pandas pyarrow
    python -m venv B; B/bin/pip install "sentence-transformers[onnx]<6" fastembed faiss-cpu pandas pyarrow
    python benchmarks/throughput.py --python A/bin/python B/bin/python
"""

from __future__ import annotations

import argparse
import functools
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

import numpy as np
from common import REPOSITORY, Outcome, print_table, random_model, run_process
from contenders import CONTENDERS, Contender
from texts import KINDS, MAX_TOKENS, sample

sys.path.insert(0, str(REPOSITORY))
#: What a row is compared with at its own number format, best known first.
SAME = {"fp32": ("st-tuned-fp32", "st"), "bf16": ("st-tuned-bf16",), "int8": ("st-openvino-int8", "st-onnx-int8")}


@dataclass(slots=True)
class Measured:
    """What was seen of one contender, by turn."""

    rates: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)
    peaks: list[int] = field(default_factory=list)
    notes: set[str] = field(default_factory=set)


def ours() -> dict[str, Contender]:
    """The workbench with every number format that its profile allows and a processor has."""
    from workbench.core.profile import EncoderSection

    choices = next(item.metadata["choices"] for item in fields(EncoderSection) if item.name == "dtype")
    formats = [dtype for dtype in choices if dtype not in ("auto", "fp16")]
    return {f"ours-{dtype}": Contender("workbench", dtype, (), "") for dtype in formats}


def find_python(contender: Contender, pythons: Sequence[str]) -> str | None:
    """The first interpreter that has all a contender needs."""
    return next((python for python in pythons if set(contender.needs) <= _modules(python)), None)


@functools.cache
def _modules(python: str) -> frozenset[str]:
    wanted = sorted({name for contender in CONTENDERS.values() for name in contender.needs})
    code = "import importlib.util, sys\nfor name in sys.argv[1:]:\n try:\n  found = importlib.util.find_spec(name)\n"
    code += " except ImportError:\n  found = None\n print(name if found else '')"
    done = subprocess.run([python, "-c", code, *wanted], capture_output=True, text=True, encoding="utf-8")
    return frozenset(done.stdout.split())


def prepare(folder: Path, args: argparse.Namespace) -> tuple[Path, np.ndarray]:
    """Texts as one column, and as documents with offsets; returns the model and the tokens of each row."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from tokenizers import Tokenizer

    rows, per = args.rows, 50
    texts = sample(rows, args.texts, args.language)
    pq.write_table(pa.table({"chunk_id": [str(n) for n in range(rows)], "text": texts}), folder / "texts.parquet")
    documents = ["\n".join(texts[n : n + per]) for n in range(0, rows, per)]
    names = [str(n) for n in range(len(documents))]
    table = pa.table({"doc_id": names, "title": [""] * len(documents), "text": documents})
    pq.write_table(table, folder / "docs.parquet")
    sizes = np.asarray([len(text) + 1 for text in texts])
    within = np.concatenate([np.cumsum(sizes[n : n + per]) for n in range(0, rows, per)])
    chunks = {"chunk_id": [str(n) for n in range(rows)], "doc_id": [str(n // per) for n in range(rows)],
              "start": within - sizes, "end": within - 1}
    pq.write_table(pa.table(chunks), folder / "chunks.parquet")
    model = _model(args.shape, folder / "model")
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(args.max_tokens)
    return model, np.asarray([len(encoding.ids) for encoding in tokenizer.encode_batch_fast(texts)])


def _model(shape: str, folder: Path) -> Path:
    import shutil

    own = REPOSITORY / "workbench" / "models" / "default" if shape == "default" else Path(shape)
    if not (own / "config.json").exists():
        return random_model(shape, folder)
    return Path(shutil.copytree(own, folder))


def run_ours(folder: Path, model: Path, dtype: str, args: argparse.Namespace) -> Outcome:
    """`workbench run` over the same documents and offsets, into a new collection; its vectors beside the others."""
    import shutil

    from workbench.collection.reader import Collection

    into = folder / f"{dtype}.collection"
    shutil.rmtree(into, ignore_errors=True)
    outcome = run_process([
        sys.executable, "-m", "workbench", "run", "--docs", str(folder / "docs.parquet"),
        "--chunks", str(folder / "chunks.parquet"), "--into", str(into), "--json", "--set", f"encoder.model={model}",
        "--set", f"encoder.dtype={dtype}", "--set", f"encoder.max_tokens={args.max_tokens}",
    ])
    with Collection.open(into) as collection:
        found = np.zeros((args.rows, collection.dim), np.float32)
        for position, table in collection.iter_chunks(["chunk_id"]):
            found[np.asarray(table["chunk_id"].to_pylist(), np.int64)] = collection.vectors(position)
    np.save(folder / f"ours-{dtype}.npy", found)
    return outcome


def ceiling(model: Path, dtypes: Sequence[str]) -> dict[str, float]:
    """The machine's rate of matrix products at the model's shapes now, operations/s by number format."""
    code = (
        "import json, sys\nfrom pathlib import Path\nfrom workbench.encoders.fingerprint import weight_files\n"
        "from workbench.encoders.int8_linear import available\n"
        "from workbench.encoders.matrix_rate import matrix_rate\nfrom workbench.encoders.shapes import matrix_shapes\n"
        "shapes = tuple(matrix_shapes(weight_files(Path(sys.argv[1]))))\n"
        "print(json.dumps({d: matrix_rate('cpu', d, shapes, rows=4096, cached=False)"
        " for d in sys.argv[2:] if d != 'int8' or available()}))"
    )
    found = run_process([sys.executable, "-c", code, str(model), *dtypes]).json
    return {name: float(rate) for name, rate in found.items()}  # type: ignore[arg-type]


def operations(model: Path, lengths: np.ndarray, max_tokens: int) -> float:
    """Operations that the texts cost without padding."""
    from workbench.core.profile import EncoderSection
    from workbench.encoders.model import resolve_model

    per_token, per_key = resolve_model(EncoderSection(model=str(model), max_tokens=max_tokens)).flops_per_token
    exact = lengths.astype(np.float64)
    return float((per_token * exact + per_key * exact**2).sum())


def compare(folder: Path, args: argparse.Namespace) -> None:
    """Let the contenders take turns and print the table."""
    model, lengths = prepare(folder, args)
    everyone = {**CONTENDERS, **ours()}
    names = [name for name in everyone if not args.only or name in args.only or name == "st"]
    pythons = {name: find_python(everyone[name], [sys.executable, *args.python]) for name in names}
    seen = {name: Measured() for name in names}
    failed = {name: f"not installed ({everyone[name].install})" for name in names if pythons[name] is None}
    ceilings: dict[str, float] = {}
    dtypes = sorted({everyone[name].dtype for name in names})
    for turn in range(args.repeat + 1):
        for dtype, rate in ceiling(model, dtypes).items():
            ceilings[dtype] = max(rate, ceilings.get(dtype, 0.0))
        if turn == args.repeat:
            break  # measured before and after all turns
        for name in [name for name in names if name not in failed]:
            try:
                _turn(folder, name, everyone[name], str(pythons[name]), seen[name], lengths, turn, args)
            except SystemExit as error:
                failed[name] = "failed: " + str(error).strip().splitlines()[-1]
                print(error, file=sys.stderr)
    print(f"{args.rows} texts ({args.texts}, {args.language}), {lengths.sum():,} tokens, at most {args.max_tokens}, "
          f"{args.shape}, {args.repeat} turns; matrix products: "
          + ", ".join(f"{dtype} {rate / 1e9:,.0f} GFLOP/s" for dtype, rate in ceilings.items()))
    work = operations(model, lengths, args.max_tokens) / lengths.sum()
    _table(folder, everyone, seen, failed, ceilings, work)


def _turn(
    folder: Path, name: str, contender: Contender, python: str, seen: Measured, lengths: np.ndarray, turn: int,
    args: argparse.Namespace,
) -> None:
    if name.startswith("ours-"):
        outcome = run_ours(folder, folder / "model", contender.dtype, args)
        seen.rates.append(float(outcome.json["tokens_per_second"]))  # type: ignore[arg-type]
    else:
        script = [python, str(REPOSITORY / "benchmarks" / "contenders.py"), name, str(folder), str(args.max_tokens)]
        if turn == 0:
            run_process([*script, "--prepare"])
            run_process(script)  # finds its batch size; files come into the cache
        outcome = run_process(script)
        seen.rates.append(float(lengths.sum() / float(outcome.json["seconds"])))  # type: ignore[arg-type]
        seen.notes.add(str(outcome.json["versions"]) + (f"; batch {outcome.json.get('batch')}"))
    seen.whole.append(outcome.seconds)
    seen.peaks.append(outcome.peak_bytes)
    print(f"{name}: {seen.rates[-1]:,.0f} tokens/s, {outcome.seconds:.1f} s", file=sys.stderr, flush=True)


def _table(
    folder: Path, everyone: dict[str, Contender], seen: dict[str, Measured], failed: dict[str, str],
    ceilings: dict[str, float], work: float,
) -> None:
    rows = []
    reference = np.load(folder / "st.npy") if "st" not in failed else None
    for name, one in seen.items():
        dtype = everyone[name].dtype
        if name in failed:
            rows.append([f"{everyone[name].label} {dtype}", failed[name], *[""] * 7])
            continue
        same = next((other for other in SAME[dtype] if other in seen and other not in failed), None)
        rate = statistics.median(one.rates)
        rows.append([
            f"{everyone[name].label} {dtype}", f"{rate:,.0f}", f"{min(one.rates):,.0f}–{max(one.rates):,.0f}",
            _ratio(one.rates, seen["st"].rates), _ratio(one.rates, seen[same].rates) if same else "n/a",
            f"{rate * work / ceilings[dtype]:.2f}", f"{_cosine(folder / f'{name}.npy', reference):.6f}",
            f"{statistics.median(one.whole):.1f}", f"{max(one.peaks) / 1e6:,.0f}",
        ])
    print_table(["program", "tokens/s (median)", "min–max", "× defaults", "× tuned, same format", "MFU",
                 "lowest cosine", "whole, s", "peak memory, MB"], rows)
    for name, one in seen.items():
        for note in sorted(one.notes):
            print(f"{name}: {note}")


def _ratio(rates: list[float], others: list[float]) -> str:
    return f"{statistics.median([a / b for a, b in zip(rates, others, strict=False)]):.2f}" if others else "n/a"


def _cosine(file: Path, reference: np.ndarray | None) -> float:
    """Lowest cosine of rows of two arrays [rows, dim]; nan without a reference."""
    if reference is None:
        return float("nan")
    a = np.load(file)
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(reference, axis=1)
    return float(((a * reference).sum(1) / lengths).min())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", default="all-MiniLM-L6-v2")
    parser.add_argument("--texts", default="mix", choices=KINDS)
    parser.add_argument("--language", default="en", choices=("en", "zh"))
    parser.add_argument("--max-tokens", type=int, default=0, help="0: 512 for long texts, else 256")
    parser.add_argument("--rows", type=int, default=3000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--only", nargs="*", metavar="NAME", help=f"of {', '.join([*CONTENDERS, *ours()])}")
    parser.add_argument("--python", nargs="*", default=[], help="further interpreters that have contenders' packages")
    args = parser.parse_args()
    args.max_tokens = args.max_tokens or MAX_TOKENS[args.texts]
    with tempfile.TemporaryDirectory() as temporary:
        compare(Path(temporary), args)


if __name__ == "__main__":
    main()
