"""Hard negatives mined with the model itself: pairs whose passages are easily confused share a batch.

In-batch training then meets each pair's neighbours as negatives, in both directions, at no extra cost.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812 - the field's usual name

from training.batches import Rows
from training.contrastive import Embedder, recall, save_state, train_contrastive
from training.data import PairSet, load_split
from training.settings import NegativeSettings, Settings


def neighbours(queries: torch.Tensor, positives: torch.Tensor, depth: int, margin: float) -> npt.NDArray[np.int64]:
    """For each of n queries the ``depth`` best-scoring other passages, −1 where there is none.

    Passages that score above ``margin`` times the query's own passage are left out: many of them
    answer the query as well (false negatives; Moreira et al. 2024). Returns int64 (n, depth).
    """
    found = []
    a, b = F.normalize(queries, dim=1), F.normalize(positives, dim=1)
    for start in range(0, len(a), 1024):
        scores = a[start : start + 1024] @ b.T
        own = scores.diagonal(start).clone()
        scores[scores > margin * own[:, None]] = -2.0
        scores.diagonal(start).fill_(-2.0)
        best = scores.topk(min(depth, len(b)), dim=1)
        found.append(best.indices.masked_fill(best.values <= -2.0, -1).cpu().numpy())
    return np.concatenate(found).astype(np.int64)


def grouped_batches(near: npt.NDArray[np.int64], pool: Rows, batch: int, per_query: int, seed: int) -> Iterator[Rows]:
    """Endless batches of pairs from ``pool``, each seed pair with up to ``per_query`` of its neighbours."""
    rng = np.random.default_rng(seed)
    while True:
        members: dict[int, None] = {}
        for number in rng.permutation(len(pool)):
            members.setdefault(int(number))
            picks = near[number][near[number] >= 0]
            for pick in rng.permutation(picks)[:per_query]:
                members.setdefault(int(pick))
            if len(members) >= batch:
                yield pool[np.fromiter(members, dtype=np.int64)[:batch]]
                members = {}


def mine(embedder: Embedder, pairs: PairSet, chosen: NegativeSettings, seed: int) -> tuple[Rows, npt.NDArray[np.int64]]:
    """A weighted random pool of pairs and their neighbours within it."""
    rng = np.random.default_rng(seed)
    share = pairs.weight.astype(np.float64) / float(pairs.weight.sum())
    size = min(chosen.pool, int((share > 0).sum()))
    pool = rng.choice(len(pairs), size=size, replace=False, p=share).astype(np.int64)
    embedder.model.train(False)
    with torch.no_grad():
        queries = embedder(pairs.queries, pool, 64)
        positives = embedder(pairs.positives, pool, 96)
    return pool, neighbours(queries, positives, chosen.depth, chosen.margin)


def run_negatives(settings: Settings, embedder: Embedder) -> None:
    """The hard-negative stage: mines once, trains on grouped batches; writes ``negatives/model.pt``."""
    chosen = settings.negatives
    if chosen.steps <= 0:
        return
    folder = settings.folder / "negatives"
    done, mined = folder / "model.pt", folder / "mined.npz"
    if done.exists():
        embedder.model.load_state_dict(torch.load(done, map_location=embedder.device, weights_only=True))
        return
    folder.mkdir(parents=True, exist_ok=True)
    data = settings.folder / "data"
    splits = load_split(data / "train"), load_split(data / "held-out")
    if not mined.exists():
        pool, near = mine(embedder, splits[0], chosen, settings.seed)
        np.savez(mined, pool=pool, near=near)
    stored = np.load(mined)
    schedule = dataclasses.replace(
        settings.contrastive,
        steps=chosen.steps,
        lr=chosen.lr,
        embedding_lr=chosen.lr,
        warmup=min(50, chosen.steps // 10),
        ema=min(settings.contrastive.ema, 1 - 5 / max(10, chosen.steps)),
        long_from=0.0,
        long_tokens=chosen.tokens,
    )
    batches = grouped_batches(stored["near"], stored["pool"], schedule.batch, chosen.per_query, settings.seed)
    train_contrastive(embedder, batches, splits, schedule, settings.seed, folder)
    print(f"negatives: held-out recall@1 {recall(embedder, splits[1]):.4f} at the end", flush=True)
    save_state(done, dict(embedder.model.state_dict()))
