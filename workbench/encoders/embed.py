"""Embedding a list of texts in this process: for benchmarks, tests and notebooks. Runs use the pipeline."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np

from workbench.core.activity import Meter, NullMeter
from workbench.core.profile import EncoderSection
from workbench.encoders.base import Encoder, ModelSpec, Pending, TokenBatch, Vectors
from workbench.encoders.model import resolve_model
from workbench.encoders.registry import encoder_spec, open_encoder
from workbench.text.packing import Rows, pack
from workbench.text.tokenising import Tokeniser, Tokens

_MAX_ROWS = 4096


class Embedder:
    """A loaded model with its tokenizer, in this process.

    Args:
        model: `default`, a folder, or a hub id.
        overrides: any key of the profile's encoder section, such as `dtype="fp32"`.

    Raises:
        UsageError: no such model, or a setting it cannot be used with.
    """

    def __init__(self, model: str = "default", **overrides: Any) -> None:
        section = EncoderSection(model=model, **overrides)
        self.spec: ModelSpec = resolve_model(section)
        self.tokeniser = Tokeniser(self.spec, parallel=True)
        self.encoder: Encoder = open_encoder(encoder_spec(section, self.spec))
        self.info = self.encoder.load()

    def embed(self, texts: Sequence[str], kind: str = "document") -> Vectors:
        """float32 [texts, dim], in the order of the texts; `kind` is `document` or `query` (chooses the prefix)."""
        query = kind == "query"
        if not query and kind != "document":
            raise ValueError(f"kind {kind!r} is neither document nor query")
        prefix = self.spec.query_prefix if query else self.spec.document_prefix
        tokens = self.tokeniser.encode(texts, prefix)
        skip = self.spec.query_prompt_tokens if query else self.spec.document_prompt_tokens
        sent = self.tokeniser.kept(texts, tokens.lengths, prefix) if self.spec.payload == "text" else ()
        return self.encode_tokens(tokens, skip, texts=sent)

    def encode_tokens(
        self, tokens: Tokens, skip: int = 0, meter: Meter | None = None, texts: Sequence[str] = ()
    ) -> Vectors:
        """float32 [rows, dim] of rows that are tokenised already, in their order; `texts` where a server wants them."""
        batches = (
            pack(tokens.lengths, self.info.token_budget, _MAX_ROWS, pads=self.info.pads) if len(tokens.lengths) else []
        )
        found = np.empty((len(tokens.lengths), self.spec.dim), np.float32)
        flight: deque[tuple[Rows, Pending]] = deque()
        for rows in batches:
            batch = TokenBatch(*gather(tokens, rows), skip, tuple(texts[row] for row in rows.tolist()) if texts else ())
            flight.append((rows, self.encoder.submit(batch, meter or NullMeter())))
            if len(flight) >= self.encoder.depth:
                _take(flight, found)
        while flight:
            _take(flight, found)
        return found

    def close(self) -> None:
        """Give the device's memory back."""
        self.encoder.close()


def embed_texts(
    texts: Sequence[str], model: str = "default", kind: str = "document", **overrides: Any
) -> Vectors:
    """Load a model, embed texts, let the model go: float32 [texts, dim] in the order of the texts.

    See `Embedder`, which keeps the model for further texts.
    """
    embedder = Embedder(model, **overrides)
    try:
        return embedder.embed(texts, kind)
    finally:
        embedder.close()


def gather(tokens: Tokens, rows: Rows) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """ids int32 [tokens] and lengths int32 [rows] of some rows, in the order given."""
    lengths = tokens.lengths[rows]
    ends = np.cumsum(lengths, dtype=np.int64)
    index = np.arange(int(lengths.sum())) + np.repeat(tokens.offsets[rows] - (ends - lengths), lengths)
    return tokens.ids[index], lengths


def _take(flight: deque[tuple[Rows, Pending]], into: Vectors) -> None:
    rows, pending = flight.popleft()
    into[rows] = pending.vectors()
