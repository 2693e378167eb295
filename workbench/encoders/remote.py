"""The remote engine: vectors come from a server over HTTP; several requests are under way at once."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import pairwise
from time import perf_counter_ns

import numpy as np

from workbench.core.activity import Activity, Counter, Meter
from workbench.core.errors import UsageError
from workbench.encoders.base import EncoderInfo, EncoderSpec, Pending, TokenBatch, Vectors
from workbench.encoders.endpoint_client import EndpointClient

_BUDGET = 8192
_PROBE = "a"

Inputs = Sequence[str] | Sequence[Sequence[int]]


class RemoteEncoder:
    """Splits batches into requests and keeps `encoder.requests` of them under way; see `Encoder`.

    A batch's device time is that of its requests ÷ requests allowed at once: by the utilisation law it makes up
    the whole time exactly when there are always as many under way as may be.
    """

    def __init__(self, spec: EncoderSpec) -> None:
        if spec.endpoint is None:
            raise UsageError("no server is named", where="encoder.endpoint", remedy="Set it to the server's address")
        self._spec, self._endpoint = spec, spec.endpoint
        self._client: EndpointClient | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._failures: list[Exception] = []
        self._alone = True
        self.depth = self._endpoint.requests + 1

    def load(self) -> EncoderInfo:
        """Ask for one vector. Raises UsageError when its length is not the expected one, RunFailed as the client."""
        model, endpoint = self._spec.model, self._endpoint
        self._client = EndpointClient(endpoint)
        served = self._client.vectors([[1]] if endpoint.tokens else [_PROBE]).shape[1]
        if served < model.dim:
            raise UsageError(f"the server's vectors have {served} values, not {model.dim}", where=endpoint.url,
                             remedy="Is it another model now? Start again with --fresh")
        self._pool = ThreadPoolExecutor(endpoint.requests, "request")
        return EncoderInfo(
            engine="remote", device="remote",
            device_name=f"{model.name} at {endpoint.host}, {endpoint.requests} requests at once",
            dtype="as served", model=model.name, dim=model.dim, token_budget=self._spec.token_budget or _BUDGET,
            notes=model.notes, pads=False,
        )

    def submit(self, batch: TokenBatch, meter: Meter) -> Pending:
        """Send a batch on its way. Raises RunFailed from `vectors` when the server does not answer."""
        assert self._pool is not None, "load first"
        inputs = _inputs(batch, self._endpoint.tokens)
        count = -(-len(inputs) // self._endpoint.rows)
        edges = [round(i * len(inputs) / max(1, count)) for i in range(count + 1)]
        work: list[Future[tuple[Vectors, int]]] = []
        for begin, end in pairwise(edges):
            work.append(self._pool.submit(self._one, inputs[begin:end]))
            if self._alone:
                self._time_alone(work[0], meter)
        meter.add(Counter.LAUNCHES, count)
        return RemotePending(work, self._spec.model.dim, self._spec.model.normalise, self._endpoint.requests, meter)

    def _time_alone(self, first: Future[tuple[Vectors, int]], meter: Meter) -> None:
        """What the first request takes with the server to itself tells later whether more at once would help."""
        self._alone = False
        with meter.doing(Activity.FORWARD):
            wait([first])
        if first.exception() is None:
            meter.add(Counter.LONE_US, first.result()[1] // 1000)

    def close(self) -> None:
        """Break off what is under way."""
        if self._client is not None:
            self._client.close()
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def _one(self, inputs: Inputs) -> tuple[Vectors, int]:
        assert self._client is not None
        began = perf_counter_ns()
        try:
            return self._client.vectors(inputs), perf_counter_ns() - began
        except Exception as error:
            self._failures.append(error)
            self._client.close()  # the others would only try on and hold the process back
            raise self._failures[0] from error


@dataclass(frozen=True, slots=True)
class RemotePending:
    """A batch that is under way."""

    work: list[Future[tuple[Vectors, int]]]
    dim: int
    normalise: bool
    requests: int
    meter: Meter

    def done(self) -> bool:
        """Whether `vectors` would return at once."""
        return all(future.done() for future in self.work)

    def vectors(self) -> Vectors:
        """float32 [rows, dim]. Raises RunFailed when the server did not answer as it should."""
        with self.meter.doing(Activity.FORWARD):
            wait(self.work)
        answers = [future.result() for future in self.work]
        self.meter.add(Counter.DEVICE_NS, sum(took for _, took in answers) // self.requests)
        if not answers:
            return np.zeros((0, self.dim), np.float32)
        found = np.concatenate([vectors[:, : self.dim] for vectors, _ in answers])
        if self.normalise:
            found /= np.maximum(np.linalg.norm(found, axis=1, keepdims=True), np.float32(1e-12))
        return found


def _inputs(batch: TokenBatch, tokens: bool) -> list[str] | list[list[int]]:
    if not tokens:
        return [text or " " for text in batch.texts]  # servers refuse an empty text
    ends = np.cumsum(batch.lengths, dtype=np.int64)
    return [batch.ids[end - length : end].tolist() for end, length in zip(ends, batch.lengths, strict=True)]
