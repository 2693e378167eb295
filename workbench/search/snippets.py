"""Which sentences of a chunk carry the match, and where its words are."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

#: Characters a snippet aims at; a single longer sentence is cut around its first match.
LENGTH = 320
_SENTENCE = re.compile(r"[^.!?。！？\n]*(?:[.!?]+(?=\s|$)|[。！？]+|\n+|$|[.!?])", re.DOTALL)
_HAN = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uac00-\ud7af"
_WORD = re.compile(rf"[{_HAN}]+|[^\W_{_HAN}]+")
_IS_HAN, _PLAIN = re.compile(f"[{_HAN}]"), re.compile(rf"[^\W_{_HAN}]")
_MOST_KNOWN = 200_000  # words whose stems are remembered

Span = tuple[int, int]


class Stems:
    """Words seen in texts and their stems, kept from query to query; `stem` makes those of a text."""

    def __init__(self, stem: Callable[[str], Sequence[str]]) -> None:
        self._stem = stem
        self._known: dict[str, str] = {}
        self._forms: dict[str, set[str]] = {}

    def of(self, text: str) -> list[str]:
        """The stems of a text's words, in their order."""
        return [str(stem) for stem in self._stem(text)]

    def learn(self, words: set[str]) -> None:
        """Words without Han signs; all at once, as long as each gives exactly one stem (very long ones give none)."""
        new = [word for word in words.difference(self._known) if not _IS_HAN.match(word)]
        if not new:
            return
        if len(self._known) > _MOST_KNOWN:
            self._known.clear()
            self._forms.clear()
            new = [word for word in words if not _IS_HAN.match(word)]
        stems = self.of(" ".join(new))
        if len(stems) != len(new):
            stems = [next(iter(self.of(word)), "") for word in new]
        for word, stem in zip(new, stems, strict=True):
            self._known[word] = stem
            self._forms.setdefault(stem, set()).add(word)

    def matching(self, words: set[str], stems: Iterable[str]) -> Iterator[tuple[str, str]]:
        """(stem, word) for each of the words learnt that has one of the stems."""
        for stem in stems:
            for word in words & self._forms.get(stem, set()):
                yield stem, word


@dataclass(frozen=True, slots=True)
class Snippet:
    """Part of a text, and (begin, end) of the matched words in it."""

    text: str
    marks: tuple[Span, ...]


class Snippets:
    """Makes snippets for one query.

    Args:
        words: the query's words as the text index makes them (stems, pairs of Han signs).
        weights: how much each tells; words without one count 1.
        stems: of words seen before; more are learnt.
    """

    def __init__(self, words: Sequence[str], weights: Mapping[str, float], stems: Stems) -> None:
        self._weights = {word: weights.get(word, 1.0) for word in words}
        self._pairs = {word for word in self._weights if _IS_HAN.match(word)}
        self._stems = stems

    def of(self, text: str) -> Snippet:
        """The sentences that hold the most of the query's information; the beginning when none does."""
        found = self._matches(text)
        sentences = _sentences(text)
        worth = [self._worth(found, span) for span in sentences]
        best = max(range(len(sentences)), key=lambda n: (worth[n], -n), default=None)
        if best is None:
            return Snippet("", ())
        begin, end = _grown(sentences, worth, best)
        if end - begin > LENGTH:
            begin, end = _around(text, begin, end, next((at for _, at, _ in found if begin <= at < end), begin))
        begin, end = _stripped(text, begin, end)
        marks = [(a - begin, b - begin) for _, a, b in found if begin <= a and b <= end]
        return Snippet(text[begin:end], tuple(_merged(marks)))

    def _matches(self, text: str) -> list[tuple[str, int, int]]:
        """(word, begin, end) of every query word in a text."""
        runs = set(_WORD.findall(text))
        self._stems.learn(runs)
        found = [
            (stem, at, at + len(run))
            for stem, run in self._stems.matching(runs, self._weights) for at in _places(text, run, _PLAIN)
        ]
        for run in filter(_IS_HAN.match, runs) if self._pairs else ():
            size = min(2, len(run))
            pairs = [(run[i : i + size], i) for i in range(len(run) - size + 1)]
            told = [(pair, i) for pair, i in pairs if pair in self._pairs]
            if told:
                found += [(pair, at + i, at + i + size) for at in _places(text, run, _IS_HAN) for pair, i in told]
        return sorted(found, key=lambda one: one[1])

    def _worth(self, found: list[tuple[str, int, int]], span: Span) -> float:
        here = {word for word, at, _ in found if span[0] <= at < span[1]}
        return sum(self._weights[word] for word in here)


def _places(text: str, run: str, inside: re.Pattern[str]) -> Iterator[int]:
    """Where a run of characters of one kind begins in a text, longer runs that hold it left out."""
    at = text.find(run)
    while at >= 0:
        end = at + len(run)
        if not (at and inside.match(text, at - 1)) and not inside.match(text, end):
            yield at
        at = text.find(run, at + 1)


def _sentences(text: str) -> list[Span]:
    return [match.span() for match in _SENTENCE.finditer(text) if match[0].strip()]


def _grown(sentences: list[Span], worth: list[float], best: int) -> Span:
    """The best sentence and neighbours, the worthier side first, as long as they fit."""
    first = last = best
    while True:
        sides = [(worth[first - 1], first - 1)] if first else []
        sides += [(worth[last + 1], last + 1)] if last + 1 < len(sentences) else []
        # of equal worth the sentence that follows: it continues the thought
        sides.sort(key=lambda side: (side[0], side[1]), reverse=True)
        fitting = [
            n for _, n in sides
            if sentences[max(last, n)][1] - sentences[min(first, n)][0] <= LENGTH
        ]
        if not fitting:
            return sentences[first][0], sentences[last][1]
        first, last = min(first, fitting[0]), max(last, fitting[0])


def _around(text: str, begin: int, end: int, match: int) -> Span:
    """A window of LENGTH characters inside a long sentence, with the first match in its first third."""
    start = max(begin, min(match - LENGTH // 3, end - LENGTH))
    stop = min(end, start + LENGTH)
    if start > begin and (gap := text.find(" ", start, min(start + 24, match))) >= 0:
        start = gap + 1
    if stop < end and (gap := text.rfind(" ", max(stop - 24, match + 1), stop)) >= 0:
        stop = gap
    return start, stop


def _stripped(text: str, begin: int, end: int) -> Span:
    piece = text[begin:end]
    return begin + len(piece) - len(piece.lstrip()), end - (len(piece) - len(piece.rstrip()))


def _merged(marks: list[Span]) -> list[Span]:
    """Overlapping or touching marks (pairs of Han signs) as one."""
    merged: list[Span] = []
    for begin, end in sorted(marks):
        if merged and begin <= merged[-1][1] and end >= merged[-1][1] and begin < merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((begin, end))
    return merged
