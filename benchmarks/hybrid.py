"""Search quality on judged sets: words alone, vectors alone, both; and what it costs.

    python benchmarks/hybrid.py [--sets scifact xquad-de cmrc2018-dev xquad-en] [--work FOLDER] [--model FOLDER]

Every set is embedded by `workbench run` with the default model (kept in --work for the next time) and scored by
`workbench eval`. The last columns compare hybrid with the better of the two others, query by query.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from common import REPOSITORY, need_data, print_table

_SYSTEMS = (("lexical", "coverage"), ("dense", "coverage"), ("hybrid", "coverage"), ("hybrid", "reciprocal"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", default=["scifact", "xquad-de", "cmrc2018-dev", "xquad-en"])
    parser.add_argument("--work", type=Path, default=Path("hybrid-work"))
    parser.add_argument("--model", default="default")
    args = parser.parse_args()
    rows = []
    for name in args.sets:
        corpus = need_data("beir", name)
        collection = args.work.absolute() / f"{name}.collection"
        _workbench("run", str(corpus / "corpus.jsonl"), "--into", str(collection), "--json",
                   "--set", f"encoder.model={args.model}")
        rows += _scored(name, corpus, collection)
    print_table(
        ["set", "chunks", "queries", "mode", "nDCG@10", "recall@10", "recall@100", "MRR@10", "p50 ms", "p99 ms",
         "against the better of both"], rows,
    )


def _scored(name: str, corpus: Path, collection: Path) -> list[list[str]]:
    files = ["--queries", str(corpus / "queries.jsonl"), "--qrels", str(corpus / "qrels" / "test.tsv"), "--json"]
    found = [
        _workbench("eval", str(collection), *files, "--mode", mode, "--fusion", fusion, "--per-query")
        for mode, fusion in _SYSTEMS
    ]
    best = max(found[:2], key=lambda one: one["ndcg@10"])
    lines = []
    for (mode, fusion), one in zip(_SYSTEMS, found, strict=True):
        label = mode if mode != "hybrid" else f"hybrid, {fusion}"
        lines.append([
            name, f"{one['chunks']:,}", f"{one['queries']:,}", label, f"{one['ndcg@10']:.4f}",
            f"{one['recall@10']:.4f}", f"{one['recall@100']:.4f}", f"{one['mrr@10']:.4f}", f"{one['p50_ms']:.1f}",
            f"{one['p99_ms']:.1f}", _compared(best, one) if mode == "hybrid" else "",
        ])
    return lines


def _compared(best: dict, one: dict) -> str:
    sys.path.insert(0, str(REPOSITORY))
    from workbench.search.evaluation import compare

    values = [[per["ndcg@10"] for per in system["per_query"].values()] for system in (best, one)]
    result = compare("ndcg@10", values[0], values[1])
    return f"{result.difference:+.4f} ({result.low:+.4f} … {result.high:+.4f}), p {result.p:.4f}"


def _workbench(*words: str) -> dict:
    done = subprocess.run(
        [sys.executable, "-m", "workbench", *words], cwd=REPOSITORY, capture_output=True, text=True, encoding="utf-8"
    )
    if done.returncode:
        sys.exit(f"workbench {' '.join(words)}:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout)


if __name__ == "__main__":
    main()
