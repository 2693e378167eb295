"""Extra training pairs made from raw text: inverse cloze, paraphrases through a pivot, docstrings."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple


class Pair(NamedTuple):
    """One training pair; ``lang`` as in the pair files ("en", "zh", "en-zh", …)."""

    query: str
    positive: str
    source: str
    lang: str


_EN_END = re.compile(r"(?<=[.!?])[\"'”’)]*\s+(?=[\"'“‘(]?[A-Z0-9])")
_ZH_END = re.compile(r"(?<=[。！？；])")


def sentences(text: str, zh: bool) -> list[str]:
    """Split prose into sentences by its end marks."""
    return [s.strip() for s in (_ZH_END if zh else _EN_END).split(text) if s.strip()]


def cloze(passage: str, rng: random.Random, *, zh: bool, keep: float) -> tuple[str, str] | None:
    """A sentence of the passage and the rest of it (Lee et al. 2019, inverse cloze task).

    With probability ``keep`` the sentence stays in the passage, so that exact words keep counting.
    """
    parts = sentences(passage, zh)
    fit = [i for i, s in enumerate(parts) if (8 <= len(s) <= 60 if zh else 5 <= s.count(" ") <= 40)]
    if len(parts) < 3 or not fit:
        return None
    chosen = rng.choice(fit)
    rest = parts if rng.random() < keep else parts[:chosen] + parts[chosen + 1 :]
    return parts[chosen], ("" if zh else " ").join(rest)


def cloze_pairs(
    rows: Iterable[tuple[str, str]], source: str, rng: random.Random, *, zh: bool = False, keep: float = 0.25
) -> Iterator[Pair]:
    """Inverse-cloze pairs of ``(title, passage)`` rows; a title is put before the passage."""
    for title, passage in rows:
        made = cloze(passage, rng, zh=zh, keep=keep)
        if made is not None:
            text = f"{title} {made[1]}" if title else made[1]
            yield Pair(made[0], text, source, "zh" if zh else "en")


def paraphrases(rows: Iterable[tuple[str, str, str]], limit: int, rng: random.Random) -> list[Pair]:
    """English sentences that share a translation: ``(query, positive, lang)`` rows → English pairs."""
    by_pivot: dict[str, set[str]] = defaultdict(set)
    for query, positive, lang in rows:
        left, _, right = lang.partition("-")
        if left == "en" and right:
            by_pivot[positive].add(query)
        elif right == "en":
            by_pivot[query].add(positive)
    made: list[Pair] = []
    for pivot in sorted(by_pivot):
        group = sorted(by_pivot[pivot])
        if 2 <= len(group) <= 12:
            rng.shuffle(group)
            made += [Pair(a, b, "paraphrase", "en") for a, b in zip(group[::2], group[1::2], strict=False)]
    rng.shuffle(made)
    return made[:limit]


def word_drop(texts: Iterable[str], rng: random.Random, share: float = 0.2) -> Iterator[Pair]:
    """Two copies of a sentence that each lost some words: they must still find one another."""
    for text in texts:
        words = text.split()
        if len(words) >= 5:
            one, two = ([w for w in words if rng.random() > share] for _ in range(2))
            if one and two and one != two:
                yield Pair(" ".join(one), " ".join(two), "word-drop", "en")


def synonyms(lemmas: Iterable[str]) -> dict[str, list[str]]:
    """Single words that WordNet names together, from queries such as "tag, label, mark"."""
    found: dict[str, set[str]] = defaultdict(set)
    for line in lemmas:
        words = [w.strip().lower() for w in re.sub(r"\(.*?\)", "", line).split(",")]
        words = [w for w in words if re.fullmatch(r"[a-z]{4,}", w)]
        for word in words:
            found[word].update(w for w in words if w != word)
    return {word: sorted(others) for word, others in found.items() if others}


def reworded(text: str, same: dict[str, list[str]], rng: random.Random) -> str:
    """A sentence as a person might ask it: some words dropped, some replaced by a synonym."""
    made = []
    for word in text.split():
        if rng.random() < 0.2:
            continue
        others = same.get(word.lower(), [])
        made.append(rng.choice(others) if others and rng.random() < 0.25 else word)
    return " ".join(made)


def _words(name: str) -> str:
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name.replace("_", " "))
    return " ".join(spaced.split(".")).lower()


def docstring_pairs(
    passages: Iterable[tuple[str, str]], same: dict[str, list[str]], rng: random.Random
) -> Iterator[Pair]:
    """Pairs of ``(qualified name, passage)`` rows of the standard library's documentation.

    Name → passage; summary → the rest; summary, reworded → the whole passage, so that the first line
    counts most; a later sentence → the whole passage.
    """
    prefixes = ["", "", "how to ", "how do I ", "python "]
    for name, passage in passages:
        yield Pair(_words(name), passage, "stdlib", "en")
        title, _, text = passage.partition("\n")
        blocks = [" ".join(block.split()) for block in text.split("\n\n")]
        if len(blocks) > 1 and "(" in blocks[0] and not blocks[0].endswith("."):
            del blocks[0]  # the signature
        summary = sentences(blocks[0], zh=False)[0] if blocks and blocks[0] else ""
        if not 12 <= len(summary) <= 250:
            continue
        asked = summary[0].lower() + summary[1:].rstrip(".")
        yield Pair(rng.choice(prefixes) + reworded(asked, same, rng), passage, "stdlib-summary", "en")
        rest = " ".join(blocks)[len(summary) :].strip()
        if len(rest) > 60:
            yield Pair(rng.choice(prefixes) + asked, f"{title} {rest}", "stdlib", "en")
            later = [s for s in sentences(rest, zh=False) if 4 <= s.count(" ") <= 30]
            if later:
                yield Pair(reworded(rng.choice(later), same, rng), passage, "stdlib", "en")
