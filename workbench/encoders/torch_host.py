"""The forward on CPU and MPS for any model: one padded batch at a time, finished when `submit` returns."""

from __future__ import annotations

from time import perf_counter_ns

import numpy as np
import torch

from workbench.core.activity import Activity, Counter, Meter
from workbench.encoders.base import EncoderSpec, Pending, TokenBatch
from workbench.encoders.done import Done, with_empty
from workbench.encoders.torch_network import Network


class HostForward:
    """Computes a batch at once; its depth is 1."""

    depth = 1
    pads = True
    notes: tuple[str, ...] = ()

    def __init__(self, spec: EncoderSpec, device: torch.device, dtype: torch.dtype) -> None:
        self._device = device
        self._dim = spec.model.dim
        self._network = Network(spec, device, dtype)

    def submit(self, batch: TokenBatch, meter: Meter) -> Pending:
        """Compute a batch. Raises what torch raises when memory is short."""
        if not batch.lengths.all():
            return with_empty(batch, self._dim, lambda rest: self.submit(rest, meter))
        meter.add(Counter.LAUNCHES, 1)
        began = perf_counter_ns()
        with meter.doing(Activity.FORWARD):
            vectors = self._vectors(batch)
        meter.add(Counter.DEVICE_NS, perf_counter_ns() - began)
        return Done(vectors.numpy())

    def empty_cache(self) -> None:
        """Give back what the allocator keeps."""
        if self._device.type == "mps":
            torch.mps.empty_cache()

    def close(self) -> None:
        """Nothing runs beside the caller."""

    def _vectors(self, batch: TokenBatch) -> torch.Tensor:
        ids = torch.from_numpy(batch.ids.astype(np.int32)).to(self._device)
        lengths = torch.from_numpy(batch.lengths.astype(np.int64)).to(self._device)
        longest, shortest = int(batch.lengths.max()), int(batch.lengths.min())
        vectors = self._network.vectors(
            ids, lengths, longest, equal=longest == shortest, skip=batch.prompt_tokens
        )
        return vectors.cpu()


def out_of_memory(error: RuntimeError) -> bool:
    """Whether an error of torch says that memory is short; CPU and MPS allocators raise a plain RuntimeError."""
    words = str(error)
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in words or "out of memory" in words
