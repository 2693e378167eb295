"""The process that embeds queries; torch, never faiss or textual."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from workbench.core.activity import NullMeter
from workbench.core.profile import EncoderSection
from workbench.encoders.base import EncoderInfo, ModelSpec, TokenBatch
from workbench.encoders.registry import encoder_spec, open_encoder
from workbench.search import wire
from workbench.search.model import query_model
from workbench.search.processes import Handler, QueryEncoderSpec
from workbench.search.rerank import Reranker
from workbench.text.packing import pack
from workbench.text.tokenising import Tokeniser, Tokens

#: A model of fewer operations per token answers on the CPU before a card is even set up (a second or more).
_FOR_A_CARD = 4e8


def opened(spec: QueryEncoderSpec) -> tuple[wire.Ready, Handler]:
    encoder = QueryEncoder(spec)
    info = encoder.info
    return wire.Ready(0.0, info.device, info.dtype, info.notes), encoder.handle


class QueryEncoder:
    """A loaded model that embeds queries with the model's query prefix."""

    def __init__(self, spec: QueryEncoderSpec) -> None:
        section, self._model = query_model(Path(spec.collection), spec.identity, spec.model)
        section = _for_queries(section, self._model, spec.device)
        self._tokeniser = Tokeniser(self._model, parallel=False)
        self._encoder = open_encoder(encoder_spec(section, self._model))
        self._reranker: Reranker | None = None
        self.info: EncoderInfo = self._encoder.load()

    def handle(self, body: object) -> object:
        match body:
            case wire.Encode(texts):
                return self.encode(texts)
            case wire.Rerank(model, query, texts):
                if self._reranker is None or self._reranker.name != model:
                    self._reranker = Reranker(model, self.info.device if self.info.engine == "torch" else "cpu")
                return wire.Reranked(self._reranker.scores(query, texts))
        raise TypeError(f"unknown request {type(body).__name__}")

    def encode(self, texts: tuple[str, ...]) -> wire.Encoded:
        prefix = self._model.query_prefix
        tokens = self._tokeniser.encode(texts, prefix)
        sent = self._tokeniser.kept(texts, tokens.lengths, prefix) if self._model.payload == "text" else []
        found = np.empty((len(texts), self._model.dim), np.float32)
        for rows in pack(tokens.lengths, self.info.token_budget, len(texts), pads=self.info.pads):
            lengths = tokens.lengths[rows]
            ids = np.concatenate([_row(tokens, row) for row in rows])
            batch = TokenBatch(
                ids, lengths, self._model.query_prompt_tokens, tuple(sent[row] for row in rows.tolist()) if sent else ()
            )
            found[rows] = self._encoder.submit(batch, NullMeter()).vectors()
        notes = tuple(
            self._note(text) if length >= self._model.max_tokens else ""
            for text, length in zip(texts, tokens.lengths, strict=True)
        )
        return wire.Encoded(tuple(vector.tobytes() for vector in found), notes)

    def _note(self, text: str) -> str:
        count = int(self._tokeniser.count([self._model.query_prefix + text])[0])
        if count <= self._model.max_tokens - 2:
            return ""
        return f"the query has {count} tokens, the model takes {self._model.max_tokens}: it was cut for the vectors"


def _row(tokens: Tokens, row: int) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    begin = int(tokens.offsets[row])
    return tokens.ids[begin : begin + int(tokens.lengths[row])]


def _for_queries(section: EncoderSection, model: ModelSpec, device: str) -> EncoderSection:
    """Device and number format for a few short texts: small models stay on the CPU, in fp32; int8 stays int8."""
    if section.dtype == "int8":
        return replace(section, device="cpu" if device == "auto" else device)
    if device == "auto" and model.flops_per_token[0] < _FOR_A_CARD:
        device = "cpu"
    return replace(section, device=device, dtype="fp32" if device == "cpu" else "auto")
