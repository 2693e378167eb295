"""One changed file among many: how long until what is new in it can be found, and what is embedded for it.

    python benchmarks/incremental.py --work FOLDER [--documents 509] [--chunk-tokens 160]

The books, one text file each, are embedded with the simulated encoder (no time for a model, as the figure asks);
then a sentence is added in the middle of one file and the same command is run again. Both are whole commands, from
typing to exit. The sentence is then looked for with `workbench search --mode lexical`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from common import REPOSITORY, need_data, print_table

_SENTENCE = "The quizzical xylophonist of Zanzibar catalogued nineteen vermilion armadillos."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--documents", type=int, default=0, help="0 = all")
    parser.add_argument("--chunk-tokens", type=int, default=160)
    args = parser.parse_args()
    books, collection = args.work.absolute() / "books", args.work.absolute() / "books.collection"
    if not books.exists():
        _write_books(books, args.documents)
    command = [
        "run", str(books), "--into", str(collection), "--json", "--set", "encoder.engine=simulated", "--set",
        "encoder.dim=320", "--set", f"source.chunk_tokens={args.chunk_tokens}",
    ]
    rows = [_row("first run", *_workbench(*command))]
    rows.append(_row("nothing changed", *_workbench(*command)))
    changed = sorted(books.iterdir())[7]
    text = changed.read_text(encoding="utf-8")
    middle = text.index("\n\n", len(text) // 2)
    for turn in range(3):
        sentence = _SENTENCE.replace("nineteen", f"{19 + turn}")
        changed.write_text(f"{text[:middle]}\n\n{sentence}{text[middle:]}", encoding="utf-8", newline="\n")
        rows.append(_row(f"one file of {len(list(books.iterdir()))} changed", *_workbench(*command)))
        found, _ = _workbench("search", sentence, "--mode", "lexical", "-k", "1", "--json", "--in", str(collection))
        assert sentence in found["hits"][0]["text"], "what is new cannot be found"
    changed.write_text(text, encoding="utf-8", newline="\n")
    header = ["run", "s", "chunks written", "unchanged", "vectors used again", "embedded", "removed", "tokens"]
    print_table(header, rows)


def _row(label: str, result: dict, seconds: float) -> list[str]:
    embedded = result["chunks"] - result["reused"]
    counts = (result["chunks"], result["unchanged"], result["reused"], embedded, result["removed"], result["tokens"])
    return [label, f"{seconds:.2f}", *(f"{count:,}" for count in counts)]


def _workbench(*words: str) -> tuple[dict, float]:
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "workbench", *words], cwd=REPOSITORY, capture_output=True, text=True, encoding="utf-8"
    )
    seconds = time.perf_counter() - began
    if done.returncode:
        sys.exit(f"workbench {' '.join(words)}:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout), seconds


def _write_books(folder: Path, count: int) -> None:
    import pyarrow.parquet as pq

    folder.mkdir(parents=True)
    table = pq.read_table(need_data("books", "docs.parquet"), columns=["text"])
    for number, text in enumerate(table["text"].to_pylist()[: count or None]):
        (folder / f"book{number:04d}.txt").write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
