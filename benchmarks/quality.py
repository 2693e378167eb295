"""Scores embedding models: retrieval (nDCG@10), similarity (Spearman), the standard library (hit@5).

    python benchmarks/quality.py --data ../shared/data default path/to/another/model --json quality.json

Every model, the default one included, is read and run by the project's own encoder, with its query
prompt for queries and with title + text for documents, cut at 256 tokens. ``bm25`` as a model name
scores BM25 (k1 = 1.2, b = 0.75) on the same standard-library passages.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
QUESTIONS = ROOT / "tests" / "data" / "stdlib_questions.jsonl"

# What the default model must reach (floor) and should reach (goal).
BARS: dict[str, tuple[float, float]] = {
    "scifact": (0.42, 0.55),
    "xquad-en": (0.80, 0.90),
    "cmrc2018-dev": (0.70, 0.85),
    "stsb-en-dev": (0.71, 0.78),
    "stdlib": (0.55, 0.85),
}
Vectors = NDArray[np.float32]
Embed = Callable[[Sequence[str], str], Vectors]


@dataclass(frozen=True)
class Score:
    """One figure: the set, its measure and the value, 0 to 1."""

    name: str
    measure: str
    value: float

    def line(self) -> str:
        """For people: the value beside floor and goal."""
        text = f"  {self.name:14} {self.measure:9} {self.value:.4f}"
        if self.name in BARS:
            floor, goal = BARS[self.name]
            verdict = (
                "goal reached" if self.value >= goal else "floor reached" if self.value >= floor else "below floor"
            )
            text += f"   floor {floor:.2f}  goal {goal:.2f}  {verdict}"
        return text


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """One JSON object a line."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def ndcg(ranked: Sequence[str], gains: dict[str, int], depth: int = 10) -> float:
    """nDCG with linear gains (Järvelin and Kekäläinen 2002), as trec_eval and BEIR compute it."""
    found = sum(gains.get(name, 0) / math.log2(rank + 2) for rank, name in enumerate(ranked[:depth]))
    best = sum(g / math.log2(rank + 2) for rank, g in enumerate(sorted(gains.values(), reverse=True)[:depth]))
    return found / best if best else 0.0


def average_ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 1; equal values share the mean of their ranks."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks: NDArray[np.float64] = (ends - (counts - 1) / 2)[inverse]
    return ranks


def spearman(a: Sequence[float], b: Sequence[float]) -> float:
    """Spearman's rank correlation."""
    ranks = [average_ranks(np.asarray(values, dtype=np.float64)) for values in (a, b)]
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def score_beir(folder: Path, embed: Embed) -> Score:
    """Mean nDCG@10 over the queries that have a judgement."""
    gains: dict[str, dict[str, int]] = {}
    with (folder / "qrels" / "test.tsv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            if int(row["score"]) > 0:
                gains.setdefault(row["query-id"], {})[row["corpus-id"]] = int(row["score"])
    corpus = read_jsonl(folder / "corpus.jsonl")
    queries = [q for q in read_jsonl(folder / "queries.jsonl") if q["_id"] in gains]
    names = [d["_id"] for d in corpus]
    documents = embed([f"{d.get('title', '')} {d['text']}".strip() for d in corpus], "document")
    scores = embed([q["text"] for q in queries], "query") @ documents.T
    top = np.argsort(-scores, axis=1, kind="stable")[:, :10]
    values = [ndcg([names[i] for i in row], gains[q["_id"]]) for q, row in zip(queries, top, strict=True)]
    return Score(folder.name, "nDCG@10", float(np.mean(values)))


def score_sts(file: Path, embed: Embed) -> Score:
    """Spearman between cosine and the human score, 0–5."""
    with file.open(encoding="utf-8", newline="") as handle:
        rows = [row for row in csv.reader(handle) if len(row) == 3 and row[2].replace(".", "", 1).isdigit()]
    a, b = (embed([row[i] for row in rows], "document") for i in (0, 1))
    return Score(file.stem, "Spearman", spearman((a * b).sum(1).tolist(), [float(row[2]) for row in rows]))


def hit_at(ranked: Sequence[Sequence[str]], questions: Sequence[dict[str, Any]], depth: int = 5) -> float:
    """Share of questions with an accepted name among the first ``depth`` different names."""
    hits = 0
    for names, question in zip(ranked, questions, strict=True):
        first = list(dict.fromkeys(names))[:depth]
        hits += any(name in question["answers"] for name in first)
    return hits / len(questions)


def words(text: str) -> list[str]:
    """Lower-case words, with a name's parts apart (``json.loads`` → json, loads)."""
    return re.findall(r"[a-z0-9]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text).lower())


def bm25_order(queries: Sequence[str], texts: Sequence[str], k1: float = 1.2, b: float = 0.75) -> list[list[int]]:
    """The 50 best texts of each query by BM25 (Robertson and Zaragoza 2009)."""
    counts = [Counter(words(text)) for text in texts]
    lengths = np.array([sum(c.values()) for c in counts], dtype=np.float64)
    postings: dict[str, list[tuple[int, int]]] = {}
    for number, count in enumerate(counts):
        for word, times in count.items():
            postings.setdefault(word, []).append((number, times))
    norm = k1 * (1 - b + b * lengths / lengths.mean())
    order = []
    for query in queries:
        scores = np.zeros(len(texts))
        for word in words(query):
            found = postings.get(word, [])
            idf = math.log(1 + (len(texts) - len(found) + 0.5) / (len(found) + 0.5))
            for number, times in found:
                scores[number] += idf * times * (k1 + 1) / (times + norm[number])
        order.append(np.argsort(-scores, kind="stable")[:50].tolist())
    return order


def stdlib_passages() -> tuple[list[str], list[str]]:
    """Qualified names and passages (title + text) of the standard library's documentation on this machine.

    Cut by words, not by a model's tokens, so that every model and BM25 rank the same passages.
    """
    from workbench.core.activity import NullMeter
    from workbench.core.units import SourceSpec
    from workbench.sources.registry import open_source

    def spans(texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        return [[found.span() for found in re.finditer(r"\w+|[^\w\s]", text)] for text in texts]

    source = open_source(SourceSpec("stdlib", chunk_tokens=180), spans)
    names: list[str] = []
    passages: list[str] = []
    for unit in source.plan().units:
        chunks = source.read(unit, NullMeter()).chunks
        names += chunks["doc_id"].to_pylist()
        pairs = zip(chunks["title"].to_pylist(), chunks["text"].to_pylist(), strict=True)
        passages += [f"{title}\n{text}" for title, text in pairs]
    return names, passages


def stdlib_ranked(embed: Embed | None, questions: Sequence[dict[str, Any]]) -> list[list[str]]:
    """The qualified names each question finds, best first; without ``embed`` by BM25."""
    names, joined = stdlib_passages()
    asked = [q["question"] for q in questions]
    if embed is None:
        order = bm25_order(asked, joined)
    else:
        scores = embed(asked, "query") @ embed(joined, "document").T
        order = np.argsort(-scores, axis=1, kind="stable")[:, :50].tolist()
    return [[names[i] for i in row] for row in order]


def score_stdlib(embed: Embed | None, show: bool) -> Score:
    """hit@5 on the sixty questions; ``show`` prints the missed ones."""
    questions = read_jsonl(QUESTIONS)
    ranked = stdlib_ranked(embed, questions)
    if show:
        for names, question in zip(ranked, questions, strict=True):
            if not hit_at([names], [question]):
                print(f"    missed: {question['question']} -> {', '.join(dict.fromkeys(names[:8]))}")
    return Score("stdlib", "hit@5", hit_at(ranked, questions))


def model_embed(model: str, width: int, dtype: str = "auto") -> Embed:
    """The project's own encoder for a model folder, a hub id or ``default``; ``width`` cuts the vectors (0: whole)."""
    from workbench.encoders.embed import Embedder

    embedder = Embedder(model, max_tokens=256, dtype=dtype)

    def embed(texts: Sequence[str], kind: str) -> Vectors:
        vectors = embedder.embed(texts, kind)
        if width:
            vectors = vectors[:, :width]
            vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors

    return embed


def score_model(
    model: str, data: Path, sets: Sequence[str], width: int = 0, show: bool = False, dtype: str = "auto"
) -> list[Score]:
    """All asked sets that are there. ``sets``: names of BEIR folders, STS files without .csv, or ``stdlib``."""
    embed = None if model == "bm25" else model_embed(model, width, dtype)
    scores: list[Score] = []
    for name in sets:
        folder, file = data / "beir" / name, data / "sts" / f"{name}.csv"
        if name == "stdlib":
            scores.append(score_stdlib(embed, show))
        elif embed is None:
            continue
        elif folder.is_dir():
            scores.append(score_beir(folder, embed))
        elif file.is_file():
            scores.append(score_sts(file, embed))
        else:
            print(f"  {name:14} left out: neither {folder} nor {file} is there", file=sys.stderr)
            continue
        print(scores[-1].line(), flush=True)
    return scores


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=["default"], help="default, a folder, a hub id, or bm25")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with beir/ and sts/")
    parser.add_argument("--sets", nargs="+", default=list(BARS), help="sets to score (default: %(default)s)")
    parser.add_argument("--dims", type=int, default=0, help="use only the first dimensions (0: all)")
    parser.add_argument("--dtype", default="auto", help="encoder.dtype: what a number format costs in quality")
    parser.add_argument("--show", action="store_true", help="print the missed standard-library questions")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    given = parser.parse_args()
    report = []
    for model in given.models:
        began = time.monotonic()
        print(model)
        scores = score_model(model, given.data, given.sets, given.dims, given.show, given.dtype)
        seconds = round(time.monotonic() - began, 1)
        report.append({"model": model, "seconds": seconds, "scores": {s.name: round(s.value, 4) for s in scores}})
    if given.json:
        given.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
