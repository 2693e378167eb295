from __future__ import annotations

import math

import numpy as np
import pytest

from workbench.core.errors import UsageError
from workbench.search import evaluation


def test_measures_by_hand():
    found = evaluation.measure(["x", "a", "y", "b"], {"a": 1, "b": 2, "c": 1, "z": 0})
    gains = 1 / math.log2(3) + 3 / math.log2(5)
    ideal = 3 + 1 / math.log2(3) + 1 / math.log2(4)
    assert found["ndcg@10"] == pytest.approx(gains / ideal)
    assert found["recall@10"] == pytest.approx(2 / 3)
    assert found["mrr@10"] == 0.5


def test_recall_at_100_looks_further_than_at_10():
    ranking = [f"n{n}" for n in range(50)] + ["a"]
    found = evaluation.measure(ranking, {"a": 1})
    assert (found["recall@10"], found["recall@100"], found["mrr@10"], found["ndcg@10"]) == (0.0, 1.0, 0.0, 0.0)


def test_the_paired_test_tells_a_difference_from_noise():
    rng = np.random.default_rng(1)
    base = rng.random(200)
    better = evaluation.compare("ndcg@10", base, base + 0.05 + rng.normal(0, 0.05, 200))
    same = evaluation.compare("ndcg@10", base, base + rng.normal(0, 0.05, 200))
    assert better.p < 0.001 and better.low > 0 and better.difference == pytest.approx(0.05, abs=0.02)
    assert same.p > 0.05 and same.low < 0 < same.high
    equal = evaluation.compare("ndcg@10", base, base)
    assert (equal.p, equal.difference, equal.better, equal.worse) == (1.0, 0.0, 0, 0)


def test_files_in_the_layout_of_beir(tmp_path):
    (tmp_path / "queries.jsonl").write_text('{"_id": "1", "text": "ä"}\n{"_id": "2", "text": "b"}\n', encoding="utf-8")
    qrels = tmp_path / "test.tsv"
    qrels.write_text("query-id\tcorpus-id\tscore\n1\td1\t1\n1\td2\t0\n2\td1\t0\n", encoding="utf-8")
    judged = evaluation.read_judged(tmp_path / "queries.jsonl", qrels)
    assert dict(judged.queries) == {"1": "ä"}  # the second has nothing relevant
    assert judged.judgements["1"] == {"d1": 1, "d2": 0}
    qrels.write_text("1 0 d1 1\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"test.tsv, line 1: is no judgement"):
        evaluation.read_judged(tmp_path / "queries.jsonl", qrels)
