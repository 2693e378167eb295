"""Why tantivy: BM25 of tantivy and of SQLite FTS5 over the same words, quality on judged sets and speed on the books.

    python benchmarks/lexical_engines.py [--books]

Both get the texts with Chinese as pairs of characters; both fold case and accents and stem English.
"""

from __future__ import annotations

import argparse
import csv
import json
import sqlite3
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from common import REPOSITORY, need_data, print_table

sys.path.insert(0, str(REPOSITORY))

import tantivy

from workbench.collection.text_index import analyser, open_folder
from workbench.search.evaluation import measure
from workbench.text.words import spread

_SETS = ("scifact", "xquad-en", "xquad-de", "cmrc2018-dev")
Ask = Callable[[str, int], list[int]]


def with_tantivy(folder: Path, texts: Sequence[str]) -> Ask:
    folder.mkdir()
    index = open_folder(folder)
    writer = index.writer(heap_size=128_000_000, num_threads=1)
    for row, text in enumerate(texts):
        document = tantivy.Document()
        document.add_text("body", spread(text))
        document.add_unsigned("key", row)
        writer.add_document(document)
    writer.commit()
    writer.wait_merging_threads()
    index.reload()
    searcher, words = index.searcher(), analyser()

    def ask(query: str, k: int) -> list[int]:
        terms = [
            (tantivy.Occur.Should, tantivy.Query.term_query(index.schema, "body", word, index_option="freq"))
            for word in words.analyze(spread(query))
        ]
        hits = searcher.search(tantivy.Query.boolean_query(terms), k, count=False).hits
        return searcher.fast_field_values("key", [address for _, address in hits]) if hits else []

    return ask


def with_fts5(folder: Path, texts: Sequence[str]) -> Ask:
    folder.mkdir()
    database = sqlite3.connect(folder / "fts.db")
    database.execute("pragma journal_mode = off")
    database.execute("pragma synchronous = off")
    tokenize = "porter unicode61 remove_diacritics 2"
    database.execute(f"create virtual table t using fts5(body, content = '', tokenize = '{tokenize}')")
    database.executemany("insert into t(rowid, body) values (?, ?)", ((n, spread(x)) for n, x in enumerate(texts)))
    database.execute("insert into t(t) values ('optimize')")
    database.commit()
    words = analyser()

    def ask(query: str, k: int) -> list[int]:
        terms = " OR ".join(f'"{word}"' for word in dict.fromkeys(words.analyze(spread(query))))
        found = database.execute("select rowid from t where t match ? order by rank limit ?", (terms, k))
        return [row for row, in found]

    return ask


_ENGINES = (("tantivy", with_tantivy), ("SQLite FTS5", with_fts5))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--books", action="store_true", help="speed over 366,669 chunks too")
    args = parser.parse_args()
    rows = []
    for name in _SETS:
        for label, make in _ENGINES:
            with tempfile.TemporaryDirectory() as folder:
                rows.append([name, label, *_judged(name, make, Path(folder) / "index")])
    if args.books:
        texts = _books()
        queries = [json.loads(line)["text"] for line in _lines("xquad-en", "queries.jsonl")[:100]]
        for label, make in _ENGINES:
            with tempfile.TemporaryDirectory() as folder:
                began = time.perf_counter()
                ask = make(Path(folder) / "index", texts)
                rows.append(["books", label, "", *_cost(Path(folder), began, ask, queries, len(texts))])
    print_table(["texts", "engine", "nDCG@10", "build s", "bytes per text", "p50 ms", "p99 ms"], rows)


def _judged(name: str, make: Callable[[Path, Sequence[str]], Ask], folder: Path) -> list[str]:
    documents = [json.loads(line) for line in _lines(name, "corpus.jsonl")]
    queries = {row["_id"]: row["text"] for row in map(json.loads, _lines(name, "queries.jsonl"))}
    judgements: dict[str, dict[str, int]] = defaultdict(dict)
    for query, document, score in list(csv.reader(_lines(name, "qrels/test.tsv"), delimiter="\t"))[1:]:
        judgements[query][document] = int(score)
    began = time.perf_counter()
    ask = make(folder, [f"{document.get('title', '')}\n{document['text']}" for document in documents])
    asked = [text for query, text in queries.items() if query in judgements]
    cost = _cost(folder.parent, began, ask, asked, len(documents))
    scores = [
        measure([documents[row]["_id"] for row in ask(text, 10)], judgements[query])["ndcg@10"]
        for query, text in queries.items() if query in judgements
    ]
    return [f"{np.mean(scores):.4f}", *cost]


def _cost(folder: Path, began: float, ask: Ask, queries: Sequence[str], count: int) -> list[str]:
    built = time.perf_counter() - began
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    times = []
    for query in queries:
        start = time.perf_counter()
        ask(query, 100)
        times.append((time.perf_counter() - start) * 1e3)
    p50, p99 = np.percentile(times, [50, 99])
    return [f"{built:.1f}", f"{size / count:,.0f}", f"{p50:.2f}", f"{p99:.2f}"]


def _books() -> list[str]:
    import pyarrow.parquet as pq

    documents = pq.read_table(need_data("books", "docs.parquet"), columns=["doc_id", "text"])
    texts = dict(zip(documents["doc_id"].to_pylist(), documents["text"].to_pylist(), strict=True))
    chunks = pq.read_table(need_data("books", "chunks.parquet")).to_pylist()
    return [f"{row['title'] or ''}\n{texts[row['doc_id']][row['start'] : row['end']]}" for row in chunks]


def _lines(name: str, file: str) -> list[str]:
    return need_data("beir", name, *file.split("/")).read_text(encoding="utf-8").splitlines()


if __name__ == "__main__":
    main()
