"""The forward on CPU and MPS: one batch at a time, finished when `submit` returns."""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter_ns
from typing import Protocol

import numpy as np
import torch

from workbench.core.activity import Activity, Counter, Meter
from workbench.encoders import bert_weights, packed_bert
from workbench.encoders.base import EncoderSpec, TokenBatch
from workbench.encoders.cpu_linear import pack_linears
from workbench.encoders.done import Done
from workbench.encoders.torch_load import Loaded, load, load_after, model_folder
from workbench.encoders.torch_network import Finish, Network

#: Bytes of the widest intermediate result: larger ones leave the cache, and the C library's allocator asks the
#: system for each anew (measured with benchmarks/encoder.py).
_TILE_BYTES = 12 << 20


class HostForward:
    """Computes a batch at once; its depth is 1."""

    depth = 1
    notes: tuple[str, ...] = ()

    def __init__(self, spec: EncoderSpec, device: torch.device, dtype: torch.dtype) -> None:
        self._device = device
        self._dim = spec.model.dim
        on_cpu = device.type == "cpu"
        bert = bert_weights.read(model_folder(spec), dtype) if on_cpu and spec.attention == "auto" else None
        if bert is not None:
            self._vectors: _Vectors = _Packed(spec, bert, Finish(spec.model, load_after(spec, device)))
        else:
            loaded = load(spec, device, dtype)
            if on_cpu:
                pack_linears(loaded.model)
            self._vectors = _Padded(spec, loaded, device)

    def submit(self, batch: TokenBatch, meter: Meter) -> Done:
        """Compute a batch. Raises what torch raises when memory is short."""
        meter.add(Counter.LAUNCHES, 1)
        if not batch.lengths.all():
            return self._with_empty(batch, meter)
        began = perf_counter_ns()
        with meter.doing(Activity.FORWARD):
            vectors = self._vectors(batch)
        meter.add(Counter.DEVICE_NS, perf_counter_ns() - began)
        return Done(vectors.numpy())

    def _with_empty(self, batch: TokenBatch, meter: Meter) -> Done:
        """A row without any token (a tokenizer without special tokens, an empty text) has the zero vector."""
        full = batch.lengths > 0
        found = np.zeros((len(full), self._dim), np.float32)
        if full.any():
            rest = TokenBatch(batch.ids, batch.lengths[full], batch.prompt_tokens)
            found[full] = self.submit(rest, meter).vectors()
        return Done(found)

    def empty_cache(self) -> None:
        """Give back what the allocator keeps."""
        if self._device.type == "mps":
            torch.mps.empty_cache()


class _Vectors(Protocol):
    def __call__(self, batch: TokenBatch) -> torch.Tensor: ...


class _Packed:
    """BERT's family on the CPU, without padding."""

    def __init__(self, spec: EncoderSpec, weights: bert_weights.BertWeights, finish: Finish) -> None:
        self._pooling = spec.model.pooling
        widest = max(max(layer.up[0].shape[0], 3 * layer.up[0].shape[1]) for layer in weights.layers)
        self._tile = _TILE_BYTES // (widest * weights.words.dtype.itemsize)
        self._bert = packed_bert.PackedBert(weights)
        self._finish = finish

    def __call__(self, batch: TokenBatch) -> torch.Tensor:
        ids = torch.from_numpy(batch.ids.astype(np.int32))
        lengths: list[int] = batch.lengths.tolist()
        done: list[torch.Tensor] = []
        token = 0
        for begin, end, tokens in _tiles(lengths, self._tile):
            part = ids[token : token + tokens]
            done.append(self._bert.pooled(part, lengths[begin:end], self._pooling, batch.prompt_tokens))
            token += tokens
        return self._finish(torch.cat(done))


def _tiles(lengths: list[int], most: int) -> Iterator[tuple[int, int, int]]:
    """Cut a batch into (first row, row after the last, tokens) of at most `most` tokens: nothing is padded, so
    it costs nothing, and a layer's intermediate results stay in the cache and in memory that is used again."""
    begin, tokens = 0, 0
    for row, length in enumerate(lengths):
        if tokens and tokens + length > most:
            yield begin, row, tokens
            begin, tokens = row, 0
        tokens += length
    if begin < len(lengths):
        yield begin, len(lengths), tokens


class _Padded:
    """Any model, padded to the longest row."""

    def __init__(self, spec: EncoderSpec, loaded: Loaded, device: torch.device) -> None:
        self._network = Network(spec.model, loaded)
        self._device = device

    def __call__(self, batch: TokenBatch) -> torch.Tensor:
        ids = torch.from_numpy(batch.ids.astype(np.int32)).to(self._device)
        lengths = torch.from_numpy(batch.lengths.astype(np.int64)).to(self._device)
        longest, shortest = int(batch.lengths.max()), int(batch.lengths.min())
        vectors = self._network.vectors(
            ids, lengths, longest, equal=longest == shortest, skip=batch.prompt_tokens
        )
        return vectors.cpu()
