"""From token ids on a device to finished vectors on it: model, pooling, linear layers, scaling."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from workbench.encoders.base import ModelSpec
from workbench.encoders.pooling import pool
from workbench.encoders.torch_load import Loaded


class Finish:
    """Linear layers after the pooling and scaling to length 1, in float32."""

    def __init__(self, model: ModelSpec, after: nn.Module | None) -> None:
        self._after = after
        self._normalise = model.normalise
        self._dim = model.dim

    def __call__(self, pooled: Tensor) -> Tensor:
        """float32 [rows, width] → [rows, dim]; what is cut off is left out of the length."""
        if self._after is not None:
            pooled = self._after(pooled)
        pooled = pooled[:, : self._dim]
        return torch.nn.functional.normalize(pooled, dim=-1) if self._normalise else pooled


class Network:
    """The whole computation of a batch for any model, on the device its inputs are on."""

    def __init__(self, model: ModelSpec, loaded: Loaded) -> None:
        self._pooling = model.pooling
        self._model: Any = loaded.model
        self._finish = Finish(model, loaded.after)
        self._pad = loaded.pad

    def vectors(self, ids: Tensor, lengths: Tensor, longest: int, *, equal: bool, skip: int) -> Tensor:
        """float32 [rows, dim] on the device.

        Args:
            ids: int32 [tokens], all rows one after another.
            lengths: int64 [rows].
            longest: the largest length.
            equal: all lengths are the same (then nothing is padded and no mask is needed).
            skip: leading tokens of a row that stay out of the pooling.
        """
        if equal:
            padded, mask = ids.view(-1, longest).long(), None
        else:
            inside = torch.arange(longest, device=ids.device) < lengths[:, None]
            padded = torch.full(inside.shape, self._pad, dtype=torch.int32, device=ids.device)
            padded = padded.masked_scatter_(inside, ids).long()  # no mask indexing: that would wait for the device
            mask = inside.long()
        hidden = self._model(input_ids=padded, attention_mask=mask, **self._options()).last_hidden_state
        return self._finish(pool(hidden, lengths, self._pooling, skip=skip))

    def _options(self) -> dict[str, Any]:
        # A decoder would keep keys and values of all layers for a next token that never comes.
        return {"use_cache": False} if hasattr(self._model.config, "use_cache") else {}
