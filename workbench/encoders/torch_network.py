"""From token ids on a device to finished vectors on it: model, pooling, linear layers, scaling."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from workbench.encoders import bert_weights, quiet_mask
from workbench.encoders.base import EncoderSpec, ModelSpec
from workbench.encoders.cpu_linear import pack_linears
from workbench.encoders.dense_bert import DenseBert
from workbench.encoders.pooling import pool
from workbench.encoders.torch_load import load, load_after, model_folder, room_on


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


class Hidden(Protocol):
    """A model up to what its last layer gives.

    Attributes:
        pad: token id that stands behind the tokens of shorter rows.
    """

    pad: int

    def __call__(self, ids: Tensor, inside: Tensor | None) -> Tensor:
        """int64 [rows, longest] → [rows, longest, width]; `inside`: bool, which are tokens, None = all."""
        ...


class Network:
    """The whole computation of a batch for any model, on the device its inputs are on."""

    def __init__(self, spec: EncoderSpec, device: torch.device, dtype: torch.dtype) -> None:
        """Raises what `torch_load.load` raises."""
        self._pooling = spec.model.pooling
        self._hidden = _open(spec, device, dtype)
        self._finish = Finish(spec.model, load_after(spec, device))

    def vectors(self, ids: Tensor, lengths: Tensor, longest: int, *, equal: bool, skip: int) -> Tensor:
        """float32 [rows, dim] on the device. Nothing in it waits for the device.

        Args:
            ids: int32 [tokens], all rows one after another.
            lengths: int64 [rows].
            longest: the largest length.
            equal: all lengths are the same (then nothing is padded and no mask is needed).
            skip: leading tokens of a row that stay out of the pooling.
        """
        if equal:
            padded, inside = ids.view(-1, longest).long(), None
        else:
            inside = torch.arange(longest, device=ids.device) < lengths[:, None]
            padded = torch.full(inside.shape, self._hidden.pad, dtype=torch.int32, device=ids.device)
            padded = padded.masked_scatter_(inside, ids).long()  # no mask indexing: that would wait for the device
        return self._finish(pool(self._hidden(padded, inside), lengths, self._pooling, skip=skip))


def _open(spec: EncoderSpec, device: torch.device, dtype: torch.dtype) -> Hidden:
    """Our own forward for BERT's family unless a kind of attention is asked for; transformers' for all others."""
    weights = bert_weights.read(model_folder(spec), dtype) if spec.attention == "auto" else None
    if weights is None:
        return _Transformers(spec, device, dtype)
    with room_on(device):
        return DenseBert(weights, device)


class _Transformers:
    """Any model that transformers can load. See `Hidden`."""

    def __init__(self, spec: EncoderSpec, device: torch.device, dtype: torch.dtype) -> None:
        loaded = load(spec, device, dtype)
        self.pad = loaded.pad
        self._model = loaded.model
        if device.type == "cpu":
            pack_linears(self._model)
        quiet_mask.use(self._model)
        # Without any mask transformers looks whether rows of a decoder hold several texts.
        self._causal = any(getattr(module, "is_causal", False) for module in self._model.modules())
        # A decoder would keep keys and values of all layers for a next token that never comes.
        self._options = {"use_cache": False} if hasattr(self._model.config, "use_cache") else {}

    def __call__(self, ids: Tensor, inside: Tensor | None) -> Tensor:
        if inside is None and self._causal:
            inside = torch.ones_like(ids, dtype=torch.bool)
        mask = inside.long() if inside is not None else None
        hidden: Tensor = self._model(input_ids=ids, attention_mask=mask, **self._options).last_hidden_state
        return hidden
