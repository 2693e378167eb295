"""How a source is cut into units."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from workbench.core.units import SourceSpec, UnitSpec

LEAST_UNITS = 64  # so that all workers have work even with a small input
LEAST_ROWS = 256  # but a unit has a price of its own, and batches never reach beyond it
#: Bytes of all columns of a unit: a worker holds them at once, and pictures may lie beside the text.
_WIDE, _WIDE_TIMES = 64_000_000, 8


@dataclass(frozen=True, slots=True)
class Stretch:
    """Consecutive rows that are stored together: a row group, a record batch, a file.

    Attributes:
        nbytes: bytes of text. whole: bytes of all columns, where they are read too.
    """

    rows: int
    nbytes: int
    whole: int = 0


def unit_rows(spec: SourceSpec, total: int) -> int:
    """Rows of a unit for a source of `total` rows."""
    return min(spec.unit_rows, max(LEAST_ROWS, -(-total // LEAST_UNITS)))


def cut(stretches: Sequence[Stretch], rows: int, nbytes: int) -> list[tuple[int, int, int]]:
    """Cut stretches into units of about `rows` rows or `nbytes` bytes of text: (start row, stop row, bytes of text).

    A large stretch is cut evenly, small neighbours are joined; a unit never mixes a part of a stretch with another.
    All columns of a unit have at most about 64 MB (8 times the text, if that is more).
    """
    units: list[tuple[int, int, int]] = []
    start = at = held = whole = 0
    most = max(_WIDE, _WIDE_TIMES * nbytes)
    for stretch in stretches:
        full = at - start + stretch.rows > rows or held + stretch.nbytes > nbytes or whole + stretch.whole > most
        if at > start and full:
            units.append((start, at, held))
            start, held, whole = at, 0, 0
        parts = max(-(-stretch.rows // rows), -(-stretch.nbytes // nbytes), -(-stretch.whole // most))
        parts = min(stretch.rows, parts)
        if parts > 1:
            edges = [at + stretch.rows * part // parts for part in range(parts + 1)]
            units += [(a, b, stretch.nbytes * (b - a) // stretch.rows) for a, b in pairwise(edges)]
            start = at = edges[-1]
        else:
            at, held, whole = at + stretch.rows, held + stretch.nbytes, whole + stretch.whole
    if at > start:
        units.append((start, at, held))
    return units


def joined(stretches: Sequence[Stretch], rows: int, nbytes: int) -> list[tuple[int, int]]:
    """Join neighbours to units of about `rows` rows or `nbytes` bytes without cutting any: (first, after last)."""
    units: list[tuple[int, int]] = []
    start = held_rows = held = 0
    for number, stretch in enumerate(stretches):
        if number > start and (held_rows + stretch.rows > rows or held + stretch.nbytes > nbytes):
            units.append((start, number))
            start, held_rows, held = number, 0, 0
        held_rows, held = held_rows + stretch.rows, held + stretch.nbytes
    if start < len(stretches):
        units.append((start, len(stretches)))
    return units


def limited(stretches: Iterable[Stretch], limit: int) -> list[Stretch]:
    """The first `limit` rows of the stretches (0: all)."""
    kept: list[Stretch] = []
    left = limit
    for stretch in stretches:
        if limit and stretch.rows >= left:
            if left:
                sizes = (size * left // stretch.rows for size in (stretch.nbytes, stretch.whole))
                kept.append(Stretch(left, *sizes))
            return kept
        kept.append(stretch)
        left -= stretch.rows
    return kept


def plan_hash(spec: SourceSpec, units: Iterable[UnitSpec]) -> str:
    """Fingerprint of how a source is cut: a resume must see the very same units and chunks."""
    digest = hashlib.sha256(repr((spec.columns, spec.chunk_tokens, spec.overlap_tokens)).encode("utf-8"))
    for unit in units:
        digest.update(f"\n{unit.extent}\0{unit.start}\0{unit.stop}".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:32]
