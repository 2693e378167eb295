"""Texts become token ids with the model's own Rust tokenizer; no torch, no transformers.

One `Tokeniser` uses one core unless asked otherwise: there is one in every worker, and they share the machine.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from struct import Struct
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer, normalizers

from workbench.core.errors import UsageError
from workbench.text.pieces import cut_before, pieces

#: Rows handed to the tokenizer at once: enough to make the call cheap, few enough that the encodings of a
#: call (some 300 bytes per token) stay in the cache of one core.
BATCH_ROWS = 256
#: A text is first cut to this many characters per token it may have. English has about 4.5, CJK under 2;
#: whether the cut was generous enough is checked on the result, so this is about speed only.
CHARS_PER_TOKEN = 16
#: A cut text must have given this many tokens more than the model takes: then what the cut did to its last
#: word, or its last Viterbi path, is beyond the tokens that are kept.
_MARGIN = 64
#: Characters tokenised at once for offsets; bounds the memory for a document of any size.
_SPAN_PIECE = 1 << 16

Int32 = NDArray[np.int32]


@dataclass(frozen=True)
class Tokens:
    """Tokens of many rows without padding.

    Attributes:
        ids: int32 [tokens]: ids of all rows, one after another, special tokens included.
        lengths: int32 [rows]: tokens of each row.
    """

    ids: Int32
    lengths: Int32

    @cached_property
    def offsets(self) -> NDArray[np.int64]:
        """int64 [rows]: where each row begins in `ids`."""
        return np.cumsum(self.lengths, dtype=np.int64) - self.lengths


class TokeniserSpec(Protocol):
    """The part of a model's description that the tokenizer needs (see `encoders.base.ModelSpec`)."""

    @property
    def tokenizer_file(self) -> str: ...

    @property
    def max_tokens(self) -> int: ...

    @property
    def lower_case(self) -> bool: ...

    @property
    def truncation_side(self) -> str: ...


@dataclass(frozen=True, slots=True)
class TokeniserFile:
    """A `TokeniserSpec` for a tokenizer.json alone."""

    tokenizer_file: str
    max_tokens: int = 512
    lower_case: bool = False
    truncation_side: str = "right"


class Tokeniser:
    """The tokenizer of a model.

    Args:
        spec: tokenizer.json of the model, and how texts are cut: before the special tokens, which are kept,
            as transformers does.
        parallel: use all cores (for one process alone; workers leave it off).

    Raises:
        UsageError: there is no such file, or it is not a tokenizer.
    """

    def __init__(self, spec: TokeniserSpec, *, parallel: bool = False) -> None:
        # Read by the Rust side at every call; also silences its warning after a fork elsewhere.
        os.environ["TOKENIZERS_PARALLELISM"] = "true" if parallel else "false"
        self._tokenizer = _load(Path(spec.tokenizer_file))
        if spec.lower_case:
            self._tokenizer.normalizer = _lower_first(self._tokenizer.normalizer)
        self._tokenizer.no_padding()  # tokenizer.json may hard-code padding and truncation
        self._max_tokens = spec.max_tokens
        self._side = spec.truncation_side
        self._truncation(True)
        self._chars = spec.max_tokens * CHARS_PER_TOKEN + 1024

    def encode(self, texts: Sequence[str], prefix: str = "") -> Tokens:
        """Token ids of each text with `prefix` put before it; special tokens in, cut at `max_tokens`."""
        ids: list[Int32] = []
        lengths: list[int] = []
        for start in range(0, len(texts), BATCH_ROWS):
            batch = list(texts[start : start + BATCH_ROWS])
            if prefix:
                batch = [prefix + text for text in batch]
            rows = self._encode(batch)
            lengths.extend(map(len, rows))
            # `struct` turns lists of numbers into bytes in half the time that NumPy takes for it.
            ids.append(np.frombuffer(b"".join([_packer(len(row)).pack(*row) for row in rows]), np.int32))
        flat = np.concatenate(ids) if ids else np.zeros(0, np.int32)
        return Tokens(flat, np.asarray(lengths, np.int32))

    def spans(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        """(begin, end) in characters of every token of each text; no special tokens, nothing cut off."""
        self._truncation(False)
        try:
            return [self._spans(text) for text in texts]
        finally:
            self._truncation(True)

    def count(self, texts: Sequence[str]) -> Int32:
        """int32 [rows]: tokens of each whole text, special tokens left out."""
        self._truncation(False)
        try:
            return np.asarray([self._count(text) for text in texts], np.int32)
        finally:
            self._truncation(True)

    def kept(self, texts: Sequence[str], lengths: Int32, prefix: str = "") -> list[str]:
        """Each text with `prefix` before it, cut where `encode`, which gave these `lengths`, stopped reading it."""
        whole = [prefix + text for text in texts] if prefix else list(texts)
        return [
            self._kept(text) if length >= self._max_tokens else text
            for text, length in zip(whole, lengths.tolist(), strict=True)
        ]

    def _kept(self, text: str) -> str:
        encoding = self._tokenizer.encode(text)
        special = encoding.special_tokens_mask
        inside = [span for span, outside in zip(encoding.offsets, special, strict=True) if not outside]
        if not inside:
            return text
        if self._side == "left":
            return text[min(begin for begin, _ in inside) :]
        return text[: max(end for _, end in inside)]

    def prompt_tokens(self, prefix: str) -> int:
        """Tokens that a prefix takes at the beginning of a row, leading special tokens included.

        Counted as sentence-transformers counts them: the prefix alone, less one trailing special token.
        """
        if not prefix:
            return 0
        encoding = self._tokenizer.encode(prefix)
        ends_special = bool(encoding.special_tokens_mask[-1])
        return len(encoding.ids) - ends_special

    def _encode(self, texts: list[str]) -> list[list[int]]:
        if max(map(len, texts)) <= self._chars:
            return [encoding.ids for encoding in self._tokenizer.encode_batch_fast(texts)]
        short = [text if len(text) <= self._chars else "" for text in texts]
        encoded = [encoding.ids for encoding in self._tokenizer.encode_batch_fast(short)]
        return [
            ids if len(text) <= self._chars else self._encode_long(text)
            for text, ids in zip(texts, encoded, strict=True)
        ]

    def _encode_long(self, text: str) -> list[int]:
        """A long text, reading no more of it than its first (or last) `max_tokens` tokens need."""
        chars = self._chars
        while chars < len(text):
            encoding = self._tokenizer.encode_batch_fast([self._cut(text, chars)])[0]
            if sum(len(rest.ids) for rest in encoding.overflowing) >= _MARGIN:
                return list(encoding.ids)
            chars *= 8
        return list(self._tokenizer.encode_batch_fast([text])[0].ids)

    def _cut(self, text: str, chars: int) -> str:
        if self._side == "left":
            return text[len(text) - chars :].lstrip()
        return text[: cut_before(text, 0, chars)]

    def _spans(self, text: str) -> list[tuple[int, int]]:
        found: list[tuple[int, int]] = []
        for begin, end in pieces(text, _SPAN_PIECE):
            encoding: Encoding = self._tokenizer.encode(text[begin:end], add_special_tokens=False)
            if begin:
                found.extend((begin + a, begin + b) for a, b in encoding.offsets)
            else:
                found.extend(encoding.offsets)
        return found

    def _count(self, text: str) -> int:
        parts = [text[begin:end] for begin, end in pieces(text, _SPAN_PIECE)]
        return sum(
            len(self._tokenizer.encode_batch_fast([part], add_special_tokens=False)[0]) for part in parts
        )

    def _truncation(self, on: bool) -> None:
        if on:
            self._tokenizer.enable_truncation(self._max_tokens, direction=self._side)
        else:
            self._tokenizer.no_truncation()


@cache
def _packer(numbers: int) -> Struct:
    return Struct(f"{numbers}i")


def _load(file: Path) -> Tokenizer:
    if not file.is_file():
        raise UsageError("the model folder has no tokenizer.json", where=str(file.parent))
    try:
        # From memory: Rust opens files by UTF-8 name, which a Windows path with lone surrogates is not.
        return Tokenizer.from_buffer(file.read_bytes())
    except Exception as error:  # the Rust side raises plain Exception
        raise UsageError(f"is no tokenizer ({error})", where=str(file)) from error


def _lower_first(normalizer: Any) -> Any:
    """Put lower-casing before a normalizer, unless it has it, the way sentence-transformers does."""
    if normalizer is None:
        return normalizers.Lowercase()
    sequence = isinstance(normalizer, normalizers.Sequence)
    parts: list[Any] = list(cast("Any", normalizer)) if sequence else [normalizer]
    if any(isinstance(part, normalizers.Lowercase) for part in parts):
        return normalizer
    return normalizers.Sequence([normalizers.Lowercase(), *parts])
