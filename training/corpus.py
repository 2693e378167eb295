"""Reads the pair files and raw text, and adds the pairs made from raw text."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow.parquet as pq

from training.extra import Pair, cloze_pairs, docstring_pairs, paraphrases, synonyms, word_drop
from training.settings import DataSettings
from workbench.core.activity import NullMeter
from workbench.core.units import SourceSpec
from workbench.sources.registry import open_source

# Passages of these sources are long prose worth an inverse-cloze pair of their own.
_CLOZE_SOURCES = ("arxiv-abstracts", "openstax", "medquad", "britannica", "peps", "mitre-attack", "factbook")
_CLOZE_ZH = ("tidb-zh", "javaguide", "oi-wiki", "mindspore-zh", "tf-docs-zh", "d2l-zh", "trpl-zh", "howtocook")
_PIVOT_SOURCES = ("tatoeba-laser", "tatoeba-cmn", "tldr", "tf-docs-x")


def read_pairs(folder: Path) -> list[Pair]:
    """All rows of the pair files, in file order. Raises FileNotFoundError if there is none."""
    files = sorted(folder.glob("pairs-*.parquet"))
    if not files:
        raise FileNotFoundError(f"no pairs-*.parquet in {folder}; set [data] pairs in the settings")
    rows: list[Pair] = []
    for file in files:
        table = pq.read_table(file, columns=["query", "positive", "source", "lang"])
        columns = [table[name].to_pylist() for name in table.column_names]
        rows += [Pair(*values) for values in zip(*columns, strict=True)]
    return rows


def book_passages(folder: Path, limit: int, rng: random.Random) -> Iterator[str]:
    """Random passages of about 600 characters from the books (none when the folder is absent)."""
    if limit <= 0 or not (folder / "chunks.parquet").exists():
        return
    documents = pq.read_table(folder / "docs.parquet", columns=["doc_id", "text"])
    texts = dict(zip(documents["doc_id"].to_pylist(), documents["text"].to_pylist(), strict=True))
    chunks = pq.read_table(folder / "chunks.parquet", columns=["doc_id", "start", "end"])
    chosen = sorted(rng.sample(range(chunks.num_rows), min(limit, chunks.num_rows)))
    for row in chunks.take(chosen).to_pylist():
        yield re.sub(r"\s+", " ", texts[row["doc_id"]][row["start"] : row["end"]]).strip()


def poems(folder: Path, limit: int, rng: random.Random) -> list[tuple[str, str]]:
    """Random ``(title, poem)`` rows (none when the file is absent)."""
    file = folder / "poems.parquet"
    if limit <= 0 or not file.exists():
        return []
    table = pq.read_table(file, columns=["title", "text"])
    rows = list(zip(table["title"].to_pylist(), table["text"].to_pylist(), strict=True))
    return rng.sample(rows, min(limit, len(rows)))


def pep_sections(folder: Path) -> list[str]:
    """Paragraphs of the PEPs, whitespace folded."""
    found = []
    for file in sorted(folder.glob("*.rst")):
        for block in re.split(r"\n\s*\n(?=\S)", file.read_text(encoding="utf-8")):
            text = re.sub(r"\s+", " ", block).strip()
            if 200 <= len(text) <= 1500:
                found.append(text)
    return found


def stdlib_passages() -> Iterator[tuple[str, str]]:
    """``(qualified name, title + text)`` of the running Python's standard library, as the program reads it."""
    source = open_source(SourceSpec("stdlib", chunk_tokens=180), _word_spans)
    for unit in source.plan().units:
        chunks = source.read(unit, NullMeter()).chunks
        columns = (chunks[name].to_pylist() for name in ("doc_id", "title", "text"))
        for name, title, text in zip(*columns, strict=True):
            yield name, f"{title}\n{text}"


def _word_spans(texts: Sequence[str]) -> list[list[tuple[int, int]]]:
    return [[found.span() for found in re.finditer(r"\w+|[^\w\s]", text)] for text in texts]


def made_pairs(rows: list[Pair], settings: DataSettings, rng: random.Random) -> list[Pair]:
    """The pairs made from raw text (see training/extra.py)."""
    made: list[Pair] = []
    for source in _CLOZE_SOURCES:
        titled = source == "arxiv-abstracts"
        passages = [(r.query if titled else "", r.positive) for r in rows if r.source == source]
        made += cloze_pairs(passages, f"cloze-{source}", rng)
    zh = [("", r.positive) for r in rows if r.source in _CLOZE_ZH]
    made += cloze_pairs(zh, "cloze-zh", rng, zh=True)
    books = list(book_passages(Path(settings.books), settings.books_cloze, rng))
    made += cloze_pairs((("", text) for text in books), "cloze-books", rng)
    made += cloze_pairs((("", text) for text in pep_sections(Path(settings.peps))), "cloze-peps", rng)
    made += [Pair(t, p, "poems", "zh") for t, p in poems(Path(settings.poems), settings.poems_cloze, rng)]
    pivots = ((r.query, r.positive, r.lang) for r in rows if r.source in _PIVOT_SOURCES)
    made += paraphrases(pivots, settings.paraphrases, rng)
    english = [r.query if r.lang.startswith("en-") else r.positive for r in rows if r.source.startswith("tatoeba")]
    english += [r.positive for r in rows if r.source == "wordnet"]
    made += word_drop(rng.sample(english, min(settings.word_drop, len(english))), rng)
    if settings.docstrings:
        same = synonyms(r.query for r in rows if r.source == "wordnet")
        made += docstring_pairs(stdlib_passages(), same, rng)
    return made
