"""A pending batch whose vectors are there already."""

from __future__ import annotations

from dataclasses import dataclass

from workbench.encoders.base import Vectors


@dataclass(frozen=True, slots=True)
class Done:
    """See `Pending`."""

    result: Vectors

    def vectors(self) -> Vectors:
        """float32 [rows, dim]."""
        return self.result
