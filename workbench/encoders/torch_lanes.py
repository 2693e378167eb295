"""The forward of BERT's family on the CPU: one thread per core, each computing whole tiles of a batch alone.

Threads that share every product wait for each other at its end, dozens of times per layer; as soon as another
process takes one core, all stand still with it. Lanes meet only at the end of a batch, and with a second batch
submitted not even there: a lane that was held up simply takes fewer tiles.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from time import perf_counter_ns

import numpy as np
import torch

from workbench.core.activity import Activity, Counter, Meter
from workbench.core.errors import DeviceMemoryError
from workbench.encoders.base import EncoderSpec, Pending, TokenBatch, Vectors
from workbench.encoders.bert_weights import BertWeights
from workbench.encoders.done import Done
from workbench.encoders.packed_bert import PackedBert
from workbench.encoders.torch_host import out_of_memory
from workbench.encoders.torch_load import load_after
from workbench.encoders.torch_network import Finish

#: Bytes of the widest intermediate result: larger ones leave the cache, and the C library's allocator asks the
#: system for each anew (measured with benchmarks/encoder.py).
_TILE_BYTES = 12 << 20
#: Tokens per lane under which a batch (a query, mostly) is computed at once, with all threads in each product.
_SMALL = 128
#: Operations under which a batch (a query to a small model) is computed by one thread. Several would wait for one
#: another after each product, and on a busy machine each wait costs a time slice: 175 ms instead of 2.6.
_ALONE = 5e8


class LaneForward:
    """Computes up to `depth` batches with one thread per core."""

    depth = 2
    pads = False
    notes: tuple[str, ...] = ()

    def __init__(self, spec: EncoderSpec, device: torch.device, weights: BertWeights, bert: PackedBert) -> None:
        self._pooling, self._dim = spec.model.pooling, spec.model.dim
        widest = max(max(layer.up[0].shape[0], 3 * layer.up[0].shape[1]) for layer in weights.layers)
        self._tile = _TILE_BYTES // (widest * weights.words.dtype.itemsize)
        self._bert = bert
        self._finish = Finish(spec.model, load_after(spec, device))
        self._count = torch.get_num_threads()
        self._operations = spec.model.flops_per_token[0]
        self._lanes = ThreadPoolExecutor(self._count, "lane", initializer=torch.set_num_threads, initargs=(1,))

    def submit(self, batch: TokenBatch, meter: Meter) -> Pending:
        """Hand a batch to the lanes. A row without any token has the zero vector."""
        meter.add(Counter.LAUNCHES, 1)
        lengths: list[int] = batch.lengths[: np.count_nonzero(batch.lengths)].tolist()  # empty rows stand last
        ids = torch.from_numpy(batch.ids.astype(np.int32))
        found = np.zeros((len(batch.lengths), self._dim), np.float32)
        alone = 0 < len(ids) * self._operations <= _ALONE
        if len(ids) <= _SMALL * self._count and not alone:
            return self._at_once(ids, lengths, batch.prompt_tokens, found, meter)
        tiles = _tiles(lengths, self._tile if alone else min(self._tile, -(-len(ids) // self._count)))
        work: list[Future[int]] = []
        token = 0
        for begin, end, tokens in tiles:
            part = ids[token : token + tokens]
            work.append(self._lanes.submit(
                self._compute, part, lengths[begin:end], batch.prompt_tokens, found[begin:end]))
            token += tokens
        return LanePending(found, work, len(ids), 1 if alone else self._count, meter)

    def empty_cache(self) -> None:
        """Nothing is kept."""

    def close(self) -> None:
        """End the threads."""
        self._lanes.shutdown(wait=True, cancel_futures=True)

    def _at_once(
        self, ids: torch.Tensor, lengths: list[int], skip: int, found: Vectors, meter: Meter
    ) -> Done:
        if lengths:
            with meter.doing(Activity.FORWARD):
                meter.add(Counter.DEVICE_NS, self._compute(ids, lengths, skip, found[: len(lengths)]))
        return Done(found)

    def _compute(self, ids: torch.Tensor, lengths: list[int], skip: int, into: Vectors) -> int:
        """One tile; returns the nanoseconds it took."""
        began = perf_counter_ns()
        with torch.inference_mode():
            into[:] = self._finish(self._bert.pooled(ids, lengths, self._pooling, skip)).numpy()
        return perf_counter_ns() - began


@dataclass(frozen=True, slots=True)
class LanePending:
    """A batch on the lanes."""

    found: Vectors
    work: list[Future[int]]
    tokens: int
    lanes: int
    meter: Meter

    def vectors(self) -> Vectors:
        """float32 [rows, dim], once all its tiles are done. Raises DeviceMemoryError when memory was short."""
        with self.meter.doing(Activity.FORWARD):
            wait(self.work)
        try:
            took = sum(future.result() for future in self.work)
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            short = DeviceMemoryError(f"no memory for {self.tokens} tokens", where="cpu")
        else:
            self.meter.add(Counter.DEVICE_NS, took // self.lanes)
            return self.found
        raise short


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
