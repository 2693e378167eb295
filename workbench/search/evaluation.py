"""Measures of ranked retrieval over judged queries (BEIR layout), and a paired test; numpy only.

Formulas: nDCG with gains 2^rel − 1 (Burges et al. 2005; on the usual 0/1 judgements the same as trec_eval's), recall
and reciprocal rank as in trec_eval. The test is Fisher's randomisation test on paired differences, which assumes
nothing about their distribution (Smucker, Allan & Carterette 2007, doi:10.1145/1321440.1321528).
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workbench.core.errors import UsageError

Judgements = Mapping[str, Mapping[str, int]]  # query id → document id → relevance (0 = not relevant)

MEASURES = ("ndcg@10", "recall@10", "recall@100", "mrr@10")
_DRAWS = 10_000  # of the randomisation test


@dataclass(frozen=True, slots=True)
class Judged:
    """Queries with judgements, in the order of the file."""

    queries: Mapping[str, str]
    judgements: Judgements


def read_judged(queries: Path, qrels: Path) -> Judged:
    """Queries (`_id`, `text` a line) and judgements (`query-id`, `corpus-id`, `score`, tab-separated, with a header).

    Queries without a relevant document are left out, as BEIR does.

    Raises:
        UsageError: a file or line cannot be read, or no query has a judgement.
    """
    texts = dict(_queries(queries))
    judgements = _qrels(qrels)
    judged = {name: judgements[name] for name in texts if any(score > 0 for score in judgements.get(name, {}).values())}
    if not judged:
        raise UsageError(
            f"no query of {queries} has a relevant document in it", where=str(qrels),
            remedy="The first column must hold the queries' _id",
        )
    return Judged({name: texts[name] for name in judged}, judged)


def measure(ranking: Sequence[str], relevant: Mapping[str, int]) -> dict[str, float]:
    """All `MEASURES` of one query.

    Args:
        ranking: document ids, best first, each once. relevant: document id → relevance.
    """
    wanted = {doc for doc, score in relevant.items() if score > 0}
    gains = [2 ** relevant.get(doc, 0) - 1 for doc in ranking[:10]]
    ideal = sorted((2**score - 1 for score in relevant.values() if score > 0), reverse=True)[:10]
    first = next((place for place, doc in enumerate(ranking[:10], 1) if doc in wanted), None)
    return {
        "ndcg@10": _dcg(gains) / _dcg(ideal),
        "recall@10": len(wanted & set(ranking[:10])) / len(wanted),
        "recall@100": len(wanted & set(ranking[:100])) / len(wanted),
        "mrr@10": 1.0 / first if first is not None else 0.0,
    }


def mean(values: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean of each measure over queries."""
    return {name: float(np.mean([value[name] for value in values])) for name in MEASURES}


@dataclass(frozen=True, slots=True)
class Comparison:
    """One measure of two systems on the same queries.

    Attributes:
        difference: mean of other − one. low, high: its 95 % interval (bootstrap over queries).
        p: probability of a difference as large if both were equal. better, worse: queries on which the other is.
    """

    measure: str
    one: float
    other: float
    difference: float
    low: float
    high: float
    p: float
    better: int
    worse: int


def compare(measure: str, one: Sequence[float], other: Sequence[float], seed: int = 0) -> Comparison:
    """Paired comparison of per-query values [queries] of two systems; the seed makes it repeatable."""
    first, second = np.asarray(one), np.asarray(other)
    differences = second - first
    rng = np.random.default_rng(seed)
    seen = abs(differences.mean())
    as_large = 0
    means = np.empty(_DRAWS)
    for draw in range(_DRAWS):
        signs = rng.integers(0, 2, len(differences)) * 2 - 1
        as_large += abs((signs * differences).mean()) >= seen - 1e-12
        means[draw] = differences[rng.integers(0, len(differences), len(differences))].mean()
    low, high = np.percentile(means, [2.5, 97.5])
    return Comparison(
        measure, float(first.mean()), float(second.mean()), float(differences.mean()), float(low), float(high),
        (as_large + 1) / (_DRAWS + 1), int((differences > 1e-12).sum()), int((differences < -1e-12).sum()),
    )


def _dcg(gains: Sequence[float]) -> float:
    return sum(gain / math.log2(place + 1) for place, gain in enumerate(gains, 1))


def _queries(path: Path) -> list[tuple[str, str]]:
    found = []
    for number, line in enumerate(_lines(path), 1):
        try:
            row = json.loads(line)
            found.append((str(row["_id"]), str(row["text"])))
        except (ValueError, KeyError, TypeError) as error:
            where = f"{path}, line {number}"
            raise UsageError(f"is no query ({error})", where=where, remedy='{"_id": "1", "text": "…"}') from error
    return found


def _qrels(path: Path) -> dict[str, dict[str, int]]:
    judgements: dict[str, dict[str, int]] = {}
    for number, row in enumerate(csv.reader(_lines(path), delimiter="\t"), 1):
        if number == 1 and len(row) > 1 and not row[-1].strip().lstrip("-").isdigit():
            continue  # the header
        if len(row) == 4:  # TREC: query, 0, document, relevance
            row = [row[0], row[2], row[3]]
        try:
            query, document, score = row
            judgements.setdefault(query, {})[document] = int(score)
        except ValueError as error:
            raise UsageError(
                "is no judgement", where=f"{path}, line {number}", remedy="query-id, corpus-id, score, tabs between"
            ) from error
    return judgements


def _lines(path: Path) -> list[str]:
    try:
        return [line for line in path.read_text(encoding="utf-8-sig").split("\n") if line.strip()]
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", where=str(path)) from error
    except UnicodeDecodeError as error:
        raise UsageError(f"is not UTF-8 (byte {error.start})", where=str(path), remedy="Save it as UTF-8") from error
