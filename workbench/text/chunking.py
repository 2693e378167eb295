"""Cutting passages into chunks of at most so many tokens, at the ends of paragraphs, sentences, lines or words.

A chunk ends at the best place in the second half of what fits: the last end of a paragraph there, else of a
sentence (English and Chinese), else of a line, else of a word; only where there is none, between two tokens. The
next chunk starts up to `overlap` tokens earlier, at a sentence or a word.

Tokens are counted on stretches of up to 4,000 characters, many stretches at once. A tokenizer may count a few more
where a chunk starts or stretches meet, so every chunk close to the limit is counted again as it is, and halved
when it is too long: no chunk exceeds the limit. Time is linear in the text, whatever its lines are like.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

Spans = Callable[[Sequence[str]], "list[list[tuple[int, int]]]"]
Ints = NDArray[np.int64]
Range = tuple[int, int]

_STRETCH = 4000  # characters tokenised as one
_GROUP = 1 << 20  # characters tokenised in one call: about 250,000 tokens
_WIDTH = 16  # a chunk has at most so many characters per token allowed (a run of 5 MB can be one unknown token)
_MARGIN = 4  # tokens a start or a seam may cost more than counted
_BREAKS = {
    "paragraph": re.compile(r"\n\s*\n"),
    "sentence": re.compile(
        r"[.!?…][\"'”’)\]]*\s+(?=[^\sa-z])|[。！？；][”’」』）)]*|\n(?=[ \t]*(?:[-*+•]|\d{1,3}[.)])\s)"
    ),
    "line": re.compile(r"\n"),
    "word": re.compile(r"\s+"),
}
_PROSE = ("paragraph", "sentence", "line", "word")
_CODE = ("paragraph", "line", "word")


@dataclass(frozen=True, slots=True)
class Passage:
    """Text under one heading. `title` is what will stand before it and counts towards the limit."""

    title: str
    text: str
    code: bool = False


def chunk_passages(passages: Sequence[Passage], limit: int, overlap: int, spans: Spans) -> list[list[Range]]:
    """Cut passages into chunks.

    Args:
        limit: tokens of title and text together; a title takes at most half of it.
        overlap: tokens that neighbouring chunks of a passage share, less than half of the limit.
        spans: token boundaries of texts, special tokens left out.

    Returns:
        For each passage its chunks as [start, stop) in characters, white space around them left out.
    """
    result: list[list[Range]] = []
    for group in _groups(passages):
        titles = list(dict.fromkeys(passage.title for passage in group))
        taken = dict(zip(titles, (len(found) for found in spans(titles)), strict=True)) if any(titles) else {}
        rooms = [max(1, limit - min(taken.get(passage.title, 0), limit // 2)) for passage in group]
        result += _chunk_group(group, rooms, overlap, spans)
    return result


def _groups(passages: Sequence[Passage]) -> Iterator[list[Passage]]:
    """Neighbours that are tokenised together."""
    group: list[Passage] = []
    size = 0
    for passage in passages:
        if group and size + len(passage.text) > _GROUP:
            yield group
            group, size = [], 0
        group.append(passage)
        size += len(passage.text)
    if group:
        yield group


def _chunk_group(group: Sequence[Passage], rooms: Sequence[int], overlap: int, spans: Spans) -> list[list[Range]]:
    cut: list[list[Range]] = [[] for _ in group]
    unsure: list[tuple[int, int]] = []  # passage and chunk that may exceed the limit
    long = [number for number, passage in enumerate(group) if not _surely_fits(passage.text, rooms[number])]
    stretches = [stretches_of(group[number].text) for number in long]
    for number, edges, tokens in zip(long, stretches, _tokens(group, long, stretches, spans), strict=True):
        cutter = _Cutter(group[number], tokens, edges, rooms[number], min(overlap, rooms[number] // 2))
        for chunk, sure in cutter.chunks():
            if not sure:
                unsure.append((number, len(cut[number])))
            cut[number].append(chunk)
    for number in set(range(len(group))) - set(long):
        cut[number] = [(0, len(group[number].text))]
    _halve_too_long(group, rooms, cut, unsure, spans)
    return [_trimmed(passage, chunks) for passage, chunks in zip(group, cut, strict=True)]


def _surely_fits(text: str, room: int) -> bool:
    """A token takes at least one character of ASCII; two to spare for what a tokenizer puts before a text."""
    return len(text) + 2 <= room and text.isascii()


def stretches_of(text: str) -> list[Range]:
    """Cut a text into stretches of up to 4,000 characters at a paragraph, line, sentence or word where there is one."""
    edges: list[Range] = []
    start = 0
    while len(text) - start > _STRETCH:
        stop = _last_break(text, start + _STRETCH // 4, start + _STRETCH, _PROSE) or start + _STRETCH
        edges.append((start, stop))
        start = stop
    edges.append((start, len(text)))
    return edges


def _last_break(text: str, low: int, high: int, kinds: Sequence[str]) -> int | None:
    """Last place in (low, high] where something ends, the first kind that has one."""
    for kind in kinds:
        # two characters more: what a sentence end looks ahead at
        ends = [found.end() for found in _BREAKS[kind].finditer(text, low, min(len(text), high + 2))]
        while ends and ends[-1] > high:
            ends.pop()
        if ends and ends[-1] > low:
            return ends[-1]
    return None


def _first_break(text: str, low: int, high: int, kinds: Sequence[str]) -> int | None:
    """First place in [low, high) where something starts, the first kind that has one."""
    for kind in kinds:
        for found in _BREAKS[kind].finditer(text, max(0, low - 1), high):
            if low <= found.end() < high:
                return found.end()
    return None


def _tokens(
    group: Sequence[Passage], long: Sequence[int], stretches: Sequence[Sequence[Range]], spans: Spans
) -> Iterator[tuple[Ints, Ints]]:
    """Begins and ends of all tokens of each long passage, in characters of the passage."""
    texts = [group[n].text[a:b] for n, edges in zip(long, stretches, strict=True) for a, b in edges]
    at = 0
    calls = iter(_in_calls(texts, spans))
    for edges in stretches:
        pieces = []
        for start, _ in edges:
            found = next(calls)
            flat = np.fromiter(chain.from_iterable(found), dtype=np.int64, count=2 * len(found))
            pieces.append(flat.reshape(-1, 2) + start)
        at += len(edges)
        both = np.concatenate(pieces)
        yield np.ascontiguousarray(both[:, 0]), np.ascontiguousarray(both[:, 1])


def _in_calls(texts: Sequence[str], spans: Spans) -> Iterator[list[tuple[int, int]]]:
    """Spans of all texts, about 1 MB in a call."""
    first = size = 0
    for number, text in enumerate(texts):
        size += len(text)
        if size >= _GROUP:
            yield from spans(texts[first : number + 1])
            first, size = number + 1, 0
    if first < len(texts):
        yield from spans(texts[first:])


class _Cutter:
    """Cuts one passage, with its tokens at hand."""

    def __init__(
        self, passage: Passage, tokens: tuple[Ints, Ints], edges: Sequence[Range], room: int, overlap: int
    ) -> None:
        self._text, self._kinds = passage.text, _CODE if passage.code else _PROSE
        self._begins, self._ends = tokens
        self._seams = np.array([stop for _, stop in edges[:-1]], dtype=np.int64)
        self._room, self._overlap = room, overlap

    def chunks(self) -> Iterator[tuple[Range, bool]]:
        """Chunks, and whether the counted tokens leave no doubt that they fit."""
        start, size = 0, len(self._text)
        while start < size:
            first = int(np.searchsorted(self._ends, start, side="right"))
            if len(self._begins) - first <= self._room and size - start <= self._room * _WIDTH:
                yield (start, size), self._sure(start, size, len(self._begins) - first)
                return
            stop = self._stop(start, first)
            after = int(np.searchsorted(self._begins, stop))
            yield (start, stop), self._sure(start, stop, after - first)
            start = self._next_start(start, first, stop, after)

    def _sure(self, start: int, stop: int, count: int) -> bool:
        """Whether `count` tokens of the whole text are few enough for the chunk taken alone.

        A part of a word may have any number of tokens (where the whole word is one unknown token, for instance);
        anything else costs a few more at most.
        """
        seams = self._seams[np.searchsorted(self._seams, start, side="right") : np.searchsorted(self._seams, stop)]
        if any(self._in_word(edge) for edge in (start, stop, *seams.tolist())):
            return False
        return count + _MARGIN * ((start > 0) + len(seams) + (stop < len(self._text))) <= self._room

    def _in_word(self, at: int) -> bool:
        if not 0 < at < len(self._text):
            return False
        token = int(np.searchsorted(self._ends, at, side="right"))
        cut = token < len(self._begins) and int(self._begins[token]) < at
        return cut or (self._text[at - 1].isalnum() and self._text[at].isalnum())

    def _stop(self, start: int, first: int) -> int:
        """Where the chunk that starts at `start` ends."""
        count = len(self._begins)
        high = min(len(self._text), start + self._room * _WIDTH)
        if first + self._room < count:
            high = min(high, int(self._begins[first + self._room]))
        middle = min(first + max(self._room // 2, self._overlap + 1), count - 1)
        low = max(start, min(int(self._begins[middle]) if count else start, start + (high - start) // 2))
        found = _last_break(self._text, low, high, self._kinds)
        # between two tokens; never before the first character, even if that has more tokens than there is room
        return found if found is not None else max(high, start + 1)

    def _next_start(self, start: int, first: int, stop: int, after: int) -> int:
        earliest = after - self._overlap
        if self._overlap == 0 or earliest <= first:
            return stop
        low = max(start + 1, int(self._begins[earliest]))
        kinds = ("paragraph", "line", "word") if self._kinds is _CODE else ("paragraph", "sentence", "word")
        found = _first_break(self._text, low, stop, kinds)
        return low if found is None else found


def _halve_too_long(
    group: Sequence[Passage], rooms: Sequence[int], cut: list[list[Range]], unsure: Sequence[tuple[int, int]],
    spans: Spans,
) -> None:
    """Count unsure chunks as they are; put two halves in the place of those that are too long, until all fit."""
    split: dict[tuple[int, int], list[Range]] = {}
    todo = [(key, cut[key[0]][key[1]]) for key in unsure]
    while todo:
        texts = [group[key[0]].text[slice(*trim(group[key[0]], chunk))] for key, chunk in todo]
        again: list[tuple[tuple[int, int], Range]] = []
        for (key, (start, stop)), found in zip(todo, _in_calls(texts, spans), strict=True):
            if len(found) > rooms[key[0]] and stop - start > 1:
                text, middle = group[key[0]].text, (start + stop) // 2
                edge = _last_break(text, start, middle, ("sentence", "word")) or middle
                halves: list[Range] = [(start, edge), (edge, stop)]
                chunks = split.setdefault(key, [cut[key[0]][key[1]]])
                place = chunks.index((start, stop))
                chunks[place : place + 1] = halves
                again += [(key, half) for half in halves]
        todo = again
    for (number, place), chunks in sorted(split.items(), reverse=True):
        cut[number][place : place + 1] = chunks


def _trimmed(passage: Passage, chunks: Sequence[Range]) -> list[Range]:
    """Chunks without white space around them; one that is white space or lies within a neighbour is dropped."""
    kept: list[Range] = []
    for chunk in chunks:
        start, stop = trim(passage, chunk)
        if start < stop and (not kept or stop > kept[-1][1]):
            while kept and start <= kept[-1][0]:
                kept.pop()
            kept.append((start, stop))
    return kept


def trim(passage: Passage, chunk: Range) -> Range:
    """Leave white space at both ends out; the first line of code keeps its indentation."""
    start, stop = chunk
    body = passage.text[start:stop]
    stripped = body.lstrip()
    start += len(body) - len(stripped)
    stop = start + len(stripped.rstrip())
    if passage.code and start < stop:
        line = passage.text.rfind("\n", chunk[0], start) + 1
        start = max(line, chunk[0]) if not passage.text[max(line, chunk[0]) : start].strip() else start
    return start, stop
