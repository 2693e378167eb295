"""From sections of documents to the rows of a unit, for the sources that cut documents into chunks."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from workbench.core.units import SourceSpec
from workbench.sources.base import TokenSpans, UnitRows
from workbench.sources.rows import Rejects, unit_rows
from workbench.text.chunking import Passage, chunk_passages
from workbench.text.documents import Section


@dataclass(frozen=True, slots=True)
class Part:
    """A section of a document, to be cut.

    Attributes:
        row: number of the document in the source. doc_id: its id. stem: what its chunk ids start with.
        title: what stands before every chunk. place: file for people; the line is added unless it is 0.
        bare: a document of a single chunk has its own id as chunk id.
    """

    row: int
    doc_id: str
    stem: str
    title: str
    place: str
    section: Section
    bare: bool = False


def cut_rows(
    parts: Sequence[Part], spec: SourceSpec, spans: TokenSpans, rejects: Rejects, skip: Sequence[int], nbytes: int
) -> UnitRows:
    """Cut parts into chunks of `spec.chunk_tokens`, number the chunks of each document from 1, and tell the lines."""
    passages = [Passage(part.title, part.section.text, part.section.code) for part in parts]
    cut = chunk_passages(passages, spec.chunk_tokens, spec.overlap_tokens, spans)
    totals: Counter[str] = Counter()
    for part, ranges in zip(parts, cut, strict=True):
        totals[part.stem] += len(ranges)
    rows: list[tuple[str, str, str, str, str]] = []
    numbers: list[int] = []
    count: Counter[str] = Counter()
    for part, ranges in zip(parts, cut, strict=True):
        for (start, stop), line in zip(ranges, _lines(part.section, ranges), strict=True):
            count[part.stem] += 1
            single = part.bare and totals[part.stem] == 1
            chunk_id = part.doc_id if single else f"{part.stem}{count[part.stem]}"
            place = f"{part.place}:{line}" if part.section.line else part.place
            rows.append((chunk_id, part.doc_id, part.title, part.section.text[start:stop], place))
            numbers.append(part.row)
    types = [pa.string(), pa.string(), pa.string(), pa.large_string(), pa.string()]
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(types)
    ours = [pa.array(values, kind) for values, kind in zip(columns, types, strict=True)]
    return unit_rows(ours, {}, np.array(numbers, dtype=np.int64), rejects, skip, nbytes)


def _lines(section: Section, ranges: Sequence[tuple[int, int]]) -> list[int]:
    """Line of the file in which each chunk starts; chunks ascend."""
    if section.lines:
        marks = [character for character, _ in section.lines]
        return [section.lines[max(0, bisect_right(marks, start) - 1)][1] for start, _ in ranges]
    lines: list[int] = []
    at, line = 0, section.line
    for start, _ in ranges:
        line += section.text.count("\n", at, start)
        at = start
        lines.append(line)
    return lines
