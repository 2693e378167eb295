"""The static stage: word embeddings trained alone, each text the mean of its tokens' vectors.

A bag of words trains hundreds of times faster than a transformer, and the transformer starts from it
(see training/model.py). Loss: symmetric in-batch softmax (van den Oord et al. 2018) over cosines.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from training.data import PairSet, Ragged, load_split
from training.losses import held_out_recall, pair_loss
from training.settings import Settings


def inverse_document_frequency(ragged: Ragged, vocab_size: int) -> npt.NDArray[np.float32]:
    """ln((n + 1) / (df + 1)) for every token, float32 of shape (vocab_size,)."""
    row = np.repeat(np.arange(len(ragged)), ragged.lengths)
    seen = np.unique(row.astype(np.int64) * vocab_size + ragged.flat)
    frequency = np.bincount(seen % vocab_size, minlength=vocab_size)
    return np.log((len(ragged) + 1) / (frequency + 1)).astype(np.float32)


def epoch_rows(pairs: PairSet, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """One epoch: each pair about ``weight`` times, shuffled, int64."""
    copies = np.floor(pairs.weight + rng.random(len(pairs))).astype(np.int64)
    rows = np.repeat(np.arange(len(pairs), dtype=np.int64), copies)
    rng.shuffle(rows)
    return rows


def drop_tokens(
    flat: npt.NDArray[np.int64], offsets: npt.NDArray[np.int64], share: float, rng: np.random.Generator
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Leave out a share of the tokens at random, never a text's first one."""
    kept = rng.random(len(flat)) >= share
    kept[offsets[:-1][np.diff(offsets) > 0]] = True
    ends = np.concatenate([[0], np.cumsum(kept)])
    return flat[kept], ends[offsets]


def bag(
    table: nn.EmbeddingBag,
    ragged: Ragged,
    rows: npt.NDArray[np.int64],
    limit: int,
    drop: tuple[float, np.random.Generator] | None = None,
) -> Tensor:
    """Mean token vectors of the rows, float32 of shape (len(rows), width); ``drop``: see ``drop_tokens``."""
    flat, offsets = ragged.gather(rows, limit)
    if drop is not None and drop[0] > 0:
        flat, offsets = drop_tokens(flat, offsets, *drop)
    device = table.weight.device
    vectors: Tensor = table(torch.from_numpy(flat).to(device), torch.from_numpy(offsets[:-1]).to(device))
    return vectors


def _start(settings: Settings, pairs: PairSet, vocab_size: int) -> nn.EmbeddingBag:
    # Random directions scaled by inverse document frequency: at the start the model is a random
    # projection of TF-IDF, so rare words keep their exact-match worth however little they train.
    generator = torch.Generator().manual_seed(settings.seed)
    weight = torch.randn(vocab_size, settings.model.hidden, generator=generator)
    idf = torch.from_numpy(inverse_document_frequency(pairs.positives, vocab_size))
    weight *= (idf / idf.mean()).unsqueeze(1)
    return nn.EmbeddingBag.from_pretrained(weight, freeze=False, mode="mean")


def _batches(pairs: PairSet, settings: Settings, steps: int) -> Iterator[npt.NDArray[np.int64]]:
    rng = np.random.default_rng(settings.seed)
    batch, made = settings.static.batch, 0
    while made < steps:
        rows = epoch_rows(pairs, rng)
        for start in range(0, len(rows) - batch + 1, batch):
            yield rows[start : start + batch]
            made += 1
            if made == steps:
                return


def static_recall(table: nn.EmbeddingBag, held: PairSet) -> float:
    """Share of held-out queries whose own passage comes first among all held-out passages."""
    with torch.no_grad():
        rows = np.arange(len(held), dtype=np.int64)
        return held_out_recall(bag(table, held.queries, rows, 256), bag(table, held.positives, rows, 256))


def train_static(settings: Settings, pairs: PairSet, held: PairSet, vocab_size: int, device: str) -> Tensor:
    """Train and return the word vectors, float32 of shape (vocab_size, hidden)."""
    chosen = settings.static
    table = _start(settings, pairs, vocab_size).to(device)
    steps = max(1, int(chosen.epochs * float(pairs.weight.sum()) / chosen.batch))
    optimizer = torch.optim.Adam(table.parameters(), lr=chosen.lr, betas=(0.9, 0.99), fused=True)
    rng = np.random.default_rng(settings.seed + 1)
    began = time.monotonic()
    print(f"static: {steps} steps, held-out recall@1 {static_recall(table, held):.3f} before", flush=True)
    for step, rows in enumerate(_batches(pairs, settings, steps)):
        for group in optimizer.param_groups:
            group["lr"] = chosen.lr * min(1.0, (step + 1) / 50) * (1 - step / steps)
        drop = chosen.token_drop, rng
        queries = bag(table, pairs.queries, rows, chosen.tokens, drop)
        positives = bag(table, pairs.positives, rows, chosen.tokens, drop)
        keys = pairs.queries.keys[rows], pairs.positives.keys[rows]
        short = int(rng.choice(settings.contrastive.matryoshka)) if settings.contrastive.matryoshka else 0
        loss = pair_loss(queries, positives, keys, chosen.temperature, short)
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimizer.step()
        if step % 100 == 0 or step + 1 == steps:
            spent = time.monotonic() - began
            recall = static_recall(table, held)
            print(f"static: step {step} loss {loss.item():.3f} recall@1 {recall:.3f} {spent:.0f} s", flush=True)
    return table.weight.detach().cpu()


def run_static(settings: Settings, vocab_size: int, device: str) -> Tensor:
    """The static stage: trains once, then reads ``static.npy`` in the run's folder."""
    file: Path = settings.folder / "static.npy"
    if not file.exists():
        data = settings.folder / "data"
        weight = train_static(settings, load_split(data / "train"), load_split(data / "held-out"), vocab_size, device)
        np.save(file, weight.numpy())
    return torch.from_numpy(np.load(file))
