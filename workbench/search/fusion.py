"""Two rankings become one.

`coverage` adds up two shares: how much of the way from an average chunk to the query itself a chunk's vector goes,
and how much of the query's information (sum of its words' weights) a chunk's words hold. Both need no tuning and no
judged queries: a query whose words are hardly in the collection gets small lexical shares, and is then decided by
the vectors; a weak model gives small dense shares. (A convex combination of scores with a theoretical normalisation
beats reciprocal ranks throughout: Bruch, Gai & Ingber 2023, doi:10.1145/3596512.)

`reciprocal` is reciprocal rank fusion (Cormack, Clarke & Büttcher 2009, doi:10.1145/1571941.1572114).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]

#: The constant of reciprocal rank fusion, as published.
RRF_K = 60


def coverage(cosines: Scores, average: float, bm25: Scores, information: float) -> Scores:
    """Fused scores of n candidates, each between about −1 and 2.

    Args:
        cosines: float [n], of the query with each candidate.
        average: cosine of the query with the mean of the collection's vectors. Many models put all texts into a
            narrow cone; what counts is how far above that a candidate is.
        bm25: float [n], 0 where no word is found.
        information: Σ idf of the query's words, those included that no chunk has. A chunk of average length that
            has every word once has about this BM25 score.
    """
    dense = (cosines - average) / max(1.0 - average, 1e-6)
    lexical = bm25 / information if information > 0 else np.zeros_like(bm25)
    return np.asarray(dense + lexical, np.float64)


def reciprocal(*rankings: Scores) -> Scores:
    """Fused scores [n] of n candidates from several scores [n] each; −inf = not in that ranking."""
    total = np.zeros(len(rankings[0]))
    for scores in rankings:
        order = np.argsort(-scores, kind="stable")
        ranks = np.empty(len(order))
        ranks[order] = np.arange(1, len(order) + 1)
        total += np.where(np.isneginf(scores), 0.0, 1.0 / (RRF_K + ranks))
    return total
