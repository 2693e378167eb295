"""The encoder: a BERT that begins as the bag of words of the static stage, and its mean pooling."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from transformers import BertConfig, BertModel

from training.settings import ModelSettings


def new_encoder(settings: ModelSettings, vocab_size: int) -> BertModel:
    """An untrained encoder without a pooler head."""
    config = BertConfig(
        vocab_size=vocab_size,
        hidden_size=settings.hidden,
        num_hidden_layers=settings.layers,
        num_attention_heads=settings.heads,
        intermediate_size=settings.intermediate,
        max_position_embeddings=settings.positions,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        pad_token_id=0,
    )
    # Plain attention: the fused bf16 backward on CPU takes several times as long at these lengths.
    config._attn_implementation = "eager"
    return BertModel(config, add_pooling_layer=False)


def constant_norm(static: Tensor, keep: float = 0.99) -> Tensor:
    """Word vectors (vocabulary, width) in a form that layer normalisation leaves as it is.

    The length of a static vector carries the word's weight, which BERT's layer normalisation would
    erase. So the last two dimensions become a filler ±f that brings every row to mean 0 and
    variance 1; the last normalisation multiplies the filler by 0 (see ``start_from_static``).
    ``keep``: the share of words whose length is kept; longer ones are shortened to the limit.
    """
    width = static.shape[1]
    rows = static.clone()
    rows[:, -2:] = 0.0
    inner = rows[:, :-2]
    inner -= inner.mean(1, keepdim=True)
    norms = inner.norm(dim=1, keepdim=True)
    limit = math.sqrt(0.95 * width)
    inner *= limit / torch.quantile(norms[norms > 0], keep)
    norms = inner.norm(dim=1, keepdim=True)
    inner *= (limit / norms.clamp(min=1e-6)).clamp(max=1.0)
    filler = ((width - inner.square().sum(1)) / 2).sqrt()
    rows[:, -2], rows[:, -1] = filler, -filler
    return rows


def start_from_static(model: BertModel, static: Tensor, special_ids: list[int], branch: float = 0.25) -> None:
    """Set the weights so that mean pooling gives the static bag of words, residual branches small.

    ``special_ids`` get no content of their own; ``branch`` scales the output of attention and
    feed-forward, so that the transformer starts near the identity.
    """
    rows = static.clone()
    rows[special_ids] = 0.0
    with torch.no_grad():
        embeddings: Any = model.embeddings
        layers: Any = model.encoder.layer
        embeddings.word_embeddings.weight.copy_(constant_norm(rows))
        embeddings.position_embeddings.weight.normal_(0.0, 0.02)
        embeddings.token_type_embeddings.weight.zero_()
        for layer in layers:
            for dense in (layer.attention.self.query, layer.attention.self.key, layer.attention.self.value):
                _quiet_filler(dense)
            _quiet_filler(layer.intermediate.dense)
            layer.attention.output.dense.weight.normal_(0.0, 0.02 * branch)
            layer.output.dense.weight.normal_(0.0, 0.02 * branch)
        last: nn.LayerNorm = layers[-1].output.LayerNorm
        last.weight[-2:] = 0.0


def _quiet_filler(dense: nn.Linear, std: float = 0.04) -> None:
    # The filler is large and nearly the same in every token; read at the start, it would drown the content.
    dense.weight.normal_(0.0, std)
    dense.weight[:, -2:] = 0.0


def pool(hidden: Tensor, mask: Tensor) -> Tensor:
    """Mean over real tokens: hidden (n, t, width), mask (n, t) → float32 (n, width), not normalised."""
    weights = mask.unsqueeze(2).to(torch.float32)
    return (hidden.float() * weights).sum(1) / weights.sum(1).clamp(min=1)
