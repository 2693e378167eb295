"""The forward on CUDA: pinned staging, copies on a stream of their own, no waiting for the device per batch.

Three streams: token ids go up on `up` ahead of the forward, the forward runs on `compute`, vectors come down
on `down` behind it. The host waits only where a result is asked for, on that batch's own event.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import torch
from torch import Tensor

from workbench.core.activity import Activity, Counter, Meter
from workbench.encoders.base import EncoderSpec, Pending, TokenBatch, Vectors
from workbench.encoders.done import with_empty
from workbench.encoders.torch_network import Network

DEPTH = 3
Span = tuple[torch.cuda.Event, torch.cuda.Event]


class CudaForward:
    """Keeps up to `depth` batches on one card."""

    depth = DEPTH
    pads = True
    notes: tuple[str, ...] = ()

    def __init__(self, spec: EncoderSpec, device: torch.device, dtype: torch.dtype) -> None:
        self._device, self._dim = device, spec.model.dim
        # On newer cards PyTorch prefers cuDNN's attention, which prepares a plan for every new shape of a batch, and
        # hardly two batches have the same (pytorch/pytorch#155958).
        torch.backends.cuda.enable_cudnn_sdp(False)
        self._network = Network(spec, device, dtype)
        self._up = _stream(device)
        self._compute = _stream(device)
        self._down = _stream(device)
        self._staging = deque(_Staging() for _ in range(DEPTH + 1))
        self._held = 0
        torch.cuda.synchronize(device)  # the weights were copied on the default stream

    def submit(self, batch: TokenBatch, meter: Meter) -> Pending:
        """Queue a batch's copies and kernels. Raises torch.OutOfMemoryError when it does not fit."""
        if not batch.lengths.all():
            return with_empty(batch, self._dim, lambda rest: self.submit(rest, meter))
        staging = self._staging[0]
        self._staging.rotate(-1)
        with meter.doing(Activity.COPY):
            staging.wait_free()
            longest, shortest = int(batch.lengths.max()), int(batch.lengths.min())
            ids, lengths, copy = self._upload(batch, staging)
        with meter.doing(Activity.FORWARD), torch.cuda.stream(self._compute):
            began, ended = _span()
            self._compute.wait_event(copy[1])
            began.record(self._compute)
            vectors = self._network.vectors(
                ids, lengths, longest, equal=longest == shortest, skip=batch.prompt_tokens
            )
            ended.record(self._compute)
            # The allocator must not give these blocks to another stream's tensors while kernels still read them.
            ids.record_stream(self._compute)
            lengths.record_stream(self._compute)
        meter.add(Counter.LAUNCHES, 1)
        self._book_memory(meter)
        return self._download(vectors, staging, copy, (began, ended), meter)

    def empty_cache(self) -> None:
        """Wait for what is queued and give back what the allocator keeps."""
        torch.cuda.synchronize(self._device)
        torch.cuda.empty_cache()

    def close(self) -> None:
        """Nothing runs beside the caller."""

    def _upload(self, batch: TokenBatch, staging: _Staging) -> tuple[Tensor, Tensor, Span]:
        host_ids, host_lengths = staging.inputs(len(batch.ids), len(batch.lengths))
        host_ids.numpy()[:] = batch.ids
        host_lengths.numpy()[:] = batch.lengths
        began, uploaded = _span()
        with torch.cuda.stream(self._up):
            began.record(self._up)
            ids = host_ids.to(self._device, non_blocking=True)
            lengths = host_lengths.to(self._device, non_blocking=True)
            uploaded.record(self._up)
        return ids, lengths, (began, uploaded)

    def _download(
        self, vectors: Tensor, staging: _Staging, copy: Span, span: Span, meter: Meter
    ) -> CudaPending:
        # A result's buffer is its own: the caller may hold the vectors longer than the staging is held.
        host = torch.empty(vectors.shape, dtype=torch.float32, pin_memory=True)
        began, done = _span()
        with torch.cuda.stream(self._down):
            self._down.wait_event(span[1])
            began.record(self._down)
            host.copy_(vectors, non_blocking=True)
            vectors.record_stream(self._down)
            done.record(self._down)
        staging.free_after(done)
        return CudaPending(host, copy, span, (began, done), meter)

    def _book_memory(self, meter: Meter) -> None:
        held = torch.cuda.memory_reserved(self._device)
        if held != self._held:
            meter.add(Counter.DEVICE_BYTES, held - self._held)
            self._held = held


@dataclass(frozen=True, slots=True)
class CudaPending:
    """A batch on the card."""

    host: Tensor
    copy: Span
    span: Span
    back: Span
    meter: Meter

    def vectors(self) -> Vectors:
        """float32 [rows, dim], once the card has copied them back."""
        with self.meter.doing(Activity.COPY):
            self.copy[1].synchronize()
        with self.meter.doing(Activity.FORWARD):
            self.span[1].synchronize()
        with self.meter.doing(Activity.COPY_BACK):
            self.back[1].synchronize()
        for counter, (began, ended) in (
            (Counter.COPY_NS, self.copy), (Counter.DEVICE_NS, self.span), (Counter.COPY_BACK_NS, self.back),
        ):
            self.meter.add(counter, int(began.elapsed_time(ended) * 1e6))
        result: Vectors = self.host.numpy()
        return result


class _Staging:
    """Pinned memory for the inputs of one batch, used again when the card has read it."""

    def __init__(self) -> None:
        self._ids = torch.empty(0, dtype=torch.int32)
        self._lengths = torch.empty(0, dtype=torch.int64)
        self._busy: torch.cuda.Event | None = None

    def wait_free(self) -> None:
        if self._busy is not None:
            self._busy.synchronize()
            self._busy = None

    def free_after(self, event: torch.cuda.Event) -> None:
        self._busy = event

    def inputs(self, tokens: int, rows: int) -> tuple[Tensor, Tensor]:
        """Pinned int32 [tokens] and int64 [rows]; grows in powers of two, since pinning is slow."""
        if len(self._ids) < tokens:
            self._ids = torch.empty(_power(tokens), dtype=torch.int32, pin_memory=True)
        if len(self._lengths) < rows:
            self._lengths = torch.empty(_power(rows), dtype=torch.int64, pin_memory=True)
        return self._ids[:tokens], self._lengths[:rows]


def _stream(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


def _span() -> Span:
    """Begin and end of some work on a stream.

    The end is what the host waits for, asleep (`blocking`): else it would burn a core the whole time, which tokenising
    needs and which looks like work.
    """
    began = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
    return began, torch.cuda.Event(enable_timing=True, blocking=True)  # type: ignore[no-untyped-call]


def _power(size: int) -> int:
    return 1 << max(size - 1, 1).bit_length()
