"""Pending batches that are done already, or are with another's help."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.encoders.base import Pending, TokenBatch, Vectors


@dataclass(frozen=True, slots=True)
class Done:
    """See `Pending`."""

    result: Vectors

    def vectors(self) -> Vectors:
        """float32 [rows, dim]."""
        return self.result


@dataclass(frozen=True, slots=True)
class WithEmpty:
    """A batch of which some rows have no token (a tokenizer without special tokens, an empty text).

    Attributes:
        full: bool [rows]: which have one. rest: these rows; None = there are none.
    """

    full: NDArray[np.bool_]
    dim: int
    rest: Pending | None

    def vectors(self) -> Vectors:
        """float32 [rows, dim]; a row without any token has the zero vector."""
        found = np.zeros((len(self.full), self.dim), np.float32)
        if self.rest is not None:
            found[self.full] = self.rest.vectors()
        return found


def with_empty(batch: TokenBatch, dim: int, submit: Callable[[TokenBatch], Pending]) -> WithEmpty:
    """Submit those rows of a batch that have a token."""
    full = batch.lengths > 0
    rest = TokenBatch(batch.ids, batch.lengths[full], batch.prompt_tokens)
    return WithEmpty(full, dim, submit(rest) if full.any() else None)
