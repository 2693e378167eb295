"""The contrastive stage: the whole encoder on pairs, with in-batch negatives.

Texts of like length share a tensor, so almost nothing is padded. With ``gradient_cache`` the batch
is embedded twice and only a small part holds its activations (Gao et al. 2021), so that the batch
may be far larger than memory.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from transformers import BertModel

from training.batches import Rows, pair_batches, token_tensors
from training.data import PairSet, Ragged, load_split
from training.losses import held_out_recall, pair_loss
from training.model import pool
from training.settings import ContrastiveSettings, Settings


@dataclass(frozen=True)
class Embedder:
    """Runs the encoder over token rows on one device, in bf16 where asked."""

    model: BertModel
    special: tuple[int, int]
    device: torch.device
    bf16: bool
    per_call: int

    def parts(self, ragged: Ragged, rows: Rows, limit: int) -> Iterator[tuple[Rows, Tensor]]:
        """``(places, vectors)`` of like-length groups; vectors float32 (len(places), width)."""
        for places, ids, mask in token_tensors(ragged, rows, limit, self.special, self.per_call):
            moved, real = ids.to(self.device, non_blocking=True), mask.to(self.device, non_blocking=True)
            # Without padding no mask is needed, and attention takes its fastest path.
            given = None if bool(mask.all()) else real.long()
            with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.bf16):
                hidden = self.model(input_ids=moved, attention_mask=given).last_hidden_state
            yield places, pool(hidden, real)

    def __call__(self, ragged: Ragged, rows: Rows, limit: int) -> Tensor:
        """Vectors in the order of ``rows``, float32 (n, width), not normalised."""
        places, vectors = zip(*self.parts(ragged, rows, limit), strict=True)
        back = np.argsort(np.concatenate(places))
        return torch.cat(vectors)[torch.from_numpy(back).to(self.device)]


def recall(embedder: Embedder, held: PairSet, limit: int = 256) -> float:
    """recall@1 over the held-out pairs."""
    rows = np.arange(len(held), dtype=np.int64)
    embedder.model.train(False)
    with torch.no_grad():
        value = held_out_recall(embedder(held.queries, rows, limit), embedder(held.positives, rows, limit))
    embedder.model.train(True)
    return value


def step_gradients(
    embedder: Embedder, pairs: PairSet, rows: Rows, limits: tuple[int, int], chosen: ContrastiveSettings, short: int
) -> float:
    """Add one batch's gradients to the weights and return its loss."""
    keys = pairs.queries.keys[rows], pairs.positives.keys[rows]
    sides = ((pairs.queries, limits[0]), (pairs.positives, limits[1]))
    if not chosen.gradient_cache:
        queries, positives = (embedder(r, rows, limit) for r, limit in sides)
        loss = pair_loss(queries, positives, keys, chosen.temperature, short)
        torch.autograd.backward(loss)
        return loss.item()
    with torch.no_grad():
        cached = [embedder(r, rows, limit) for r, limit in sides]
    leaves = [c.requires_grad_() for c in cached]
    loss = pair_loss(leaves[0], leaves[1], keys, chosen.temperature, short)
    torch.autograd.backward(loss)
    for (ragged, limit), leaf in zip(sides, leaves, strict=True):
        assert leaf.grad is not None
        for places, vectors in embedder.parts(ragged, rows, limit):
            torch.autograd.backward(vectors, leaf.grad[torch.from_numpy(places).to(embedder.device)])
    return loss.item()


def make_optimizer(model: BertModel, chosen: ContrastiveSettings) -> torch.optim.Optimizer:
    """AdamW; word embeddings have a rate of their own and no decay."""
    tables = list(model.embeddings.word_embeddings.parameters())
    rest = [p for n, p in model.named_parameters() if "word_embeddings" not in n]
    groups = [
        {"params": tables, "lr": chosen.embedding_lr, "weight_decay": 0.0},
        {"params": [p for p in rest if p.ndim > 1], "lr": chosen.lr, "weight_decay": chosen.weight_decay},
        {"params": [p for p in rest if p.ndim <= 1], "lr": chosen.lr, "weight_decay": 0.0},
    ]
    for group in groups:
        group["base_lr"] = group["lr"]
    return torch.optim.AdamW(groups, betas=(0.9, 0.98), fused=True)


def set_rate(optimizer: torch.optim.Optimizer, step: int, chosen: ContrastiveSettings) -> None:
    """Linear warm-up, then linear fall to zero."""
    share = min((step + 1) / max(1, chosen.warmup), (chosen.steps - step) / max(1, chosen.steps - chosen.warmup))
    for group in optimizer.param_groups:
        group["lr"] = group["base_lr"] * share


class Averaged:
    """Exponential moving average of the weights; its memory is shorter at the start."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.weights = {n: p.detach().clone() for n, p in model.named_parameters()}

    def update(self, model: nn.Module, step: int) -> None:
        """Take one step's weights in."""
        decay = min(self.decay, (step + 1) / (step + 10))
        with torch.no_grad():
            for name, value in model.named_parameters():
                self.weights[name].lerp_(value.detach(), 1 - decay)


def save_state(path: Path, state: dict[str, object]) -> None:
    """Write a checkpoint so that a crash leaves the earlier one."""
    part = path.with_suffix(".part")
    torch.save(state, part)
    part.replace(path)


@dataclass
class Progress:
    """What a checkpoint holds: weights, optimiser, averaged weights and the next step's number."""

    model: BertModel
    optimizer: torch.optim.Optimizer
    averaged: Averaged
    step: int = 0

    def load(self, path: Path, device: torch.device) -> None:
        """Go on from a checkpoint if there is one."""
        if path.exists():
            state = torch.load(path, map_location=device, weights_only=True)
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.averaged.weights, self.step = state["averaged"], state["step"]

    def save(self, path: Path) -> None:
        """Write a checkpoint."""
        parts = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}
        save_state(path, {**parts, "averaged": self.averaged.weights, "step": self.step})


def train_step(
    embedder: Embedder, pairs: PairSet, rows: Rows, chosen: ContrastiveSettings, seed: int, progress: Progress
) -> float:
    """One optimiser step on one batch; returns the loss."""
    step = progress.step
    set_rate(progress.optimizer, step, chosen)
    long = step >= chosen.long_from * chosen.steps
    limits = chosen.query_tokens, chosen.long_tokens if long else chosen.tokens
    short = int(np.random.default_rng([seed, step]).choice(chosen.matryoshka)) if chosen.matryoshka else 0
    loss = step_gradients(embedder, pairs, rows, limits, chosen, short)
    nn.utils.clip_grad_norm_(embedder.model.parameters(), 1.0)
    progress.optimizer.step()
    progress.optimizer.zero_grad(set_to_none=True)
    progress.averaged.update(embedder.model, step)
    progress.step += 1
    return loss


def train_contrastive(
    embedder: Embedder,
    batches: Iterator[Rows],
    splits: tuple[PairSet, PairSet],
    chosen: ContrastiveSettings,
    seed: int,
    folder: Path,
) -> None:
    """Train ``embedder.model`` in place on ``splits`` (training, held-out).

    Checkpoints go to ``folder``; at the end the model holds the averaged weights. ``batches`` must
    give the same rows on every call of the run, so that a restart goes on where it stopped.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pairs, held = splits
    model, checkpoint = embedder.model, folder / "checkpoint.pt"
    progress = Progress(model, make_optimizer(model, chosen), Averaged(model, chosen.ema))
    progress.load(checkpoint, embedder.device)
    began = saved = time.monotonic()
    model.train()
    for rows in itertools.islice(batches, progress.step, chosen.steps):
        step = progress.step
        loss = train_step(embedder, pairs, rows, chosen, seed, progress)
        if step % chosen.report_every == 0:
            text = f"{folder.name}: step {step}/{chosen.steps} loss {loss:.3f} {time.monotonic() - began:.0f} s"
            if chosen.validate_every and step % chosen.validate_every == 0:
                text += f" recall@1 {recall(embedder, held):.4f}"
            print(text, flush=True)
        if time.monotonic() - saved > chosen.save_every_s or step + 1 == chosen.steps:
            progress.save(checkpoint)
            saved = time.monotonic()
    model.load_state_dict(progress.averaged.weights, strict=False)


def blend(model: nn.Module, start: dict[str, Tensor], share: float) -> None:
    """Set the weights to ``start + share · (trained − start)`` (Wortsman et al. 2022).

    A short training that helps one use and hurts another keeps most of both at a share below one.
    """
    with torch.no_grad():
        for name, value in model.named_parameters():
            value.copy_(torch.lerp(start[name], value, share))


def run_contrastive(settings: Settings, embedder: Embedder) -> None:
    """The contrastive stage: trains or goes on from its checkpoint; writes ``contrastive/model.pt``."""
    folder = settings.folder / "contrastive"
    done = folder / "model.pt"
    if done.exists():
        embedder.model.load_state_dict(torch.load(done, map_location=embedder.device, weights_only=True))
        return
    data = settings.folder / "data"
    splits = load_split(data / "train"), load_split(data / "held-out")
    chosen = settings.contrastive
    batches = pair_batches(splits[0], chosen.batch, chosen.one_source_share, settings.seed)
    start = {name: value.detach().clone() for name, value in embedder.model.named_parameters()}
    train_contrastive(embedder, batches, splits, chosen, settings.seed, folder)
    blend(embedder.model, start, chosen.blend)
    print(f"contrastive: held-out recall@1 {recall(embedder, splits[1]):.4f} at the end", flush=True)
    save_state(done, dict(embedder.model.state_dict()))
