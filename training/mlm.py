"""Masked-language pretraining of the layers (Devlin et al. 2019), word embeddings held still.

The embeddings already carry the static stage's bag of words; only the layers learn context here.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the field's usual name
from torch import Tensor, nn

from training.batches import Rows, token_tensors
from training.contrastive import Embedder, save_state
from training.data import PairSet, load_split
from training.settings import MlmSettings, Settings
from training.static import epoch_rows
from training.vocabulary import SPECIAL

_MASK, _FIRST_WORD = SPECIAL.index("[MASK]"), len(SPECIAL)


def mask_tokens(ids: Tensor, generator: torch.Generator, share: float = 0.15) -> tuple[Tensor, Tensor]:
    """Hide a share of the words: 80 % [MASK], 10 % any word, 10 % as they are.

    ``ids`` int64 (n, t) → the same with words hidden, and bool (n, t) of the places to guess.
    """
    chosen = (torch.rand(ids.shape, generator=generator) < share) & (ids >= _FIRST_WORD)
    dice = torch.rand(ids.shape, generator=generator)
    hidden = ids.clone()
    hidden[chosen & (dice < 0.8)] = _MASK
    swapped = chosen & (dice >= 0.9)
    words = torch.randint(_FIRST_WORD, max(_FIRST_WORD + 1, int(ids.max()) + 1), ids.shape, generator=generator)
    hidden[swapped] = words[swapped]
    return hidden, chosen


class Guess(nn.Module):
    """Head from hidden states to words: dense, GELU, layer norm, the embedding table's transpose."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, hidden: Tensor, table: Tensor) -> Tensor:
        """Scores (k, vocabulary) of k hidden states (k, width)."""
        inner: Tensor = self.norm(F.gelu(self.dense(hidden.float())))
        scores: Tensor = inner @ table.T / math.sqrt(table.shape[1])
        return scores


def _batches(pairs: PairSet, batch: int, seed: int) -> Iterator[Rows]:
    rng = np.random.default_rng(seed)
    while True:
        rows = epoch_rows(pairs, rng)
        for start in range(0, len(rows) - batch + 1, batch):
            yield rows[start : start + batch]


def train_mlm(embedder: Embedder, pairs: PairSet, chosen: MlmSettings, seed: int) -> float:
    """Train the layers on the pairs' passages; returns the last loss (nats per hidden word)."""
    model, device = embedder.model, embedder.device
    table = model.embeddings.word_embeddings.weight
    table.requires_grad_(False)
    guess = Guess(table.shape[1]).to(device)
    weights = [p for p in [*model.parameters(), *guess.parameters()] if p.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=chosen.lr, betas=(0.9, 0.98), weight_decay=0.01)
    generator = torch.Generator().manual_seed(seed)
    value = float("nan")
    for step, rows in enumerate(itertools.islice(_batches(pairs, chosen.batch, seed), chosen.steps)):
        for group in optimizer.param_groups:
            group["lr"] = chosen.lr * min(1.0, (step + 1) / 100) * (1 - step / chosen.steps)
        optimizer.zero_grad(set_to_none=True)
        tensors = token_tensors(pairs.positives, rows, chosen.tokens, embedder.special, embedder.per_call)
        for places, ids, mask in tensors:
            hidden, asked = mask_tokens(ids, generator)
            if not bool(asked.any()):
                continue
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=embedder.bf16):
                states = model(input_ids=hidden.to(device), attention_mask=mask.long().to(device)).last_hidden_state
            scores = guess(states[asked.to(device)], table)
            loss = F.cross_entropy(scores, ids[asked].to(device)) * (len(places) / len(rows))
            torch.autograd.backward(loss)
            value = loss.item() * len(rows) / len(places)
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        if step % 50 == 0:
            print(f"mlm: step {step}/{chosen.steps} loss {value:.3f}", flush=True)
    table.requires_grad_(True)
    return value


def run_mlm(settings: Settings, embedder: Embedder) -> None:
    """The pretraining stage; 0 steps skip it. Writes ``mlm/model.pt``."""
    if settings.mlm.steps <= 0:
        return
    done = settings.folder / "mlm" / "model.pt"
    if done.exists():
        embedder.model.load_state_dict(torch.load(done, map_location=embedder.device, weights_only=True))
        return
    done.parent.mkdir(parents=True, exist_ok=True)
    train_mlm(embedder, load_split(settings.folder / "data" / "train"), settings.mlm, settings.seed)
    save_state(done, dict(embedder.model.state_dict()))
