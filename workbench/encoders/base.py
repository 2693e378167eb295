"""What every encoder offers. Adding one is a new file here and one line in the table of `open_encoder`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from workbench.core.activity import Meter
from workbench.encoders.endpoint import Endpoint

Int32 = NDArray[np.int32]
Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model folder, read without importing torch.

    Attributes:
        name: as the user gave it (`default`, a hub id, a folder).
        folder: local folder with config.json, tokenizer.json, weights.
        revision: commit of a hub model, else "".
        pooling: `mean`, `cls`, `last`, `max`, `mean_sqrt_len` or `weightedmean` (several joined by "+": their
            vectors one after another, as sentence-transformers does).
        normalise: vectors are scaled to length 1.
        query_prefix, document_prefix: put before the text (sentence-transformers prompts).
        include_prompt: False when the prompt's tokens are left out of the pooling.
        max_tokens: special tokens included.
        lower_case: text is lower-cased before tokenising (sentence-transformers' do_lower_case).
        dim: length of a vector.
        template: joins title and text, e.g. "{title}\\n{text}".
        identity: what must be equal for vectors to be comparable (names → values, hashes included).
        flops_per_token: (a, b): one token of a row of n tokens costs a + b·n operations; (0, 0) if unknown.
        tokenizer_file: tokenizer.json, in the folder or, converted from an older format, in the user's cache.
        truncation_side: `right` keeps the beginning of a long text, `left` its end.
        document_prompt_tokens, query_prompt_tokens: leading tokens of a row that belong to the prefix and
            stay out of the pooling; 0 when include_prompt. They go into `TokenBatch.prompt_tokens`.
        payload: what a batch must carry: `tokens`, or `text` too for a server that tokenises itself.
        notes: what a person should know about how the model was read.
    """

    name: str
    folder: str
    revision: str
    pooling: str
    normalise: bool
    query_prefix: str
    document_prefix: str
    include_prompt: bool
    max_tokens: int
    lower_case: bool
    dim: int
    template: str
    identity: Mapping[str, str]
    flops_per_token: tuple[float, float] = (0.0, 0.0)
    tokenizer_file: str = ""
    truncation_side: str = "right"
    document_prompt_tokens: int = 0
    query_prompt_tokens: int = 0
    payload: str = "tokens"
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EncoderSpec:
    """Everything an encoder process needs to start; picklable."""

    engine: str
    model: ModelSpec
    device: str = "auto"
    dtype: str = "auto"
    token_budget: int = 0
    attention: str = "auto"
    threads: int = 0
    options: Mapping[str, float] = field(default_factory=dict)
    endpoint: Endpoint | None = None


@dataclass(frozen=True, slots=True)
class EncoderInfo:
    """What an encoder became after loading."""

    engine: str
    device: str
    device_name: str
    dtype: str
    model: str
    dim: int
    token_budget: int
    memory_bytes: int | None = None
    notes: tuple[str, ...] = ()
    threads: int = 0  # CPU threads that compute; 0: it does not compute on the CPU
    pads: bool = True  # rows of a batch are computed up to the longest one's length
    matrix_flops: float | None = None  # measured rate of matrix products in this dtype (operations/s)
    device_uuid: str = ""  # of a CUDA card

    @property
    def told(self) -> dict[str, str]:
        """What a run's facts say of the encoder once it is loaded."""
        card = {"device_uuid": self.device_uuid} if self.device_uuid else {}
        return {"device": self.device, "device_name": self.device_name, "dtype": self.dtype, **card}


@dataclass(frozen=True, slots=True)
class TokenBatch:
    """One batch without padding.

    Attributes:
        ids: int32 [tokens]: the token ids of all rows, one after another (special tokens included).
        lengths: int32 [rows]: tokens of each row; sums to len(ids). Rows are sorted by length, longest first.
        prompt_tokens: leading tokens that belong to the prompt (0 unless pooling leaves them out).
        texts: of the rows, where the model's payload is `text`; else empty.
    """

    ids: Int32
    lengths: Int32
    prompt_tokens: int = 0
    texts: tuple[str, ...] = ()

    def halves(self) -> tuple[TokenBatch, TokenBatch]:
        """The first rows and the rest, of a batch of at least two."""
        half = len(self.lengths) // 2
        end = int(self.lengths[:half].sum())
        return (
            TokenBatch(self.ids[:end], self.lengths[:half], self.prompt_tokens, self.texts[:half]),
            TokenBatch(self.ids[end:], self.lengths[half:], self.prompt_tokens, self.texts[half:]),
        )


class Pending(Protocol):
    """A batch handed to the device."""

    def vectors(self) -> Vectors:
        """Wait for and return float32 [rows, dim], in the order of the batch's rows.

        Raises DeviceMemoryError when the device had no memory for the batch.
        """


@runtime_checkable
class Distant(Protocol):
    """A pending batch that takes long because it is far away: more batches may be sent after it meanwhile."""

    def done(self) -> bool:
        """Whether `vectors` would return at once."""


class Encoder(Protocol):
    """Turns token batches into vectors; lives in one process."""

    depth: int  # batches that may be submitted before the first one's vectors are asked for (1 on CPU)

    def load(self) -> EncoderInfo:
        """Load the model. Raises UsageError when the model cannot be used, with the remedy."""

    def submit(self, batch: TokenBatch, meter: Meter) -> Pending:
        """Start computing a batch. Raises DeviceMemoryError when it does not fit."""

    def close(self) -> None:
        """Give the device's memory back."""
