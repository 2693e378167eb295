"""Real texts of known lengths in two languages, for the benchmarks (books and questions; Chinese: cmrc2018, poems)."""

from __future__ import annotations

import json
import random

from common import need_data

#: Characters of a text by kind. English has about 4.5 characters a token, Chinese one: `chunks` are 128–256 tokens,
#: `long` ones reach 512, `short` are like queries.
ENGLISH = {"short": (20, 120), "chunks": (580, 1150), "long": (2300, 3200), "middle": (200, 700), "large": (900, 2400)}
CHINESE = {"short": (6, 40), "chunks": (130, 255), "long": (500, 800), "middle": (40, 150), "large": (200, 600)}
KINDS = ("mix", "short", "chunks", "long")
#: Tokens at which texts of a kind are cut.
MAX_TOKENS = {"mix": 256, "short": 256, "chunks": 256, "long": 512}


def sample(rows: int, kind: str = "mix", language: str = "en", seed: int = 0) -> list[str]:
    """`rows` stretches of real text, shuffled; a mix holds equal shares of short, middle and large ones."""
    text = _english() if language == "en" else _chinese()
    sizes = ENGLISH if language == "en" else CHINESE
    names = ("short", "middle", "large") if kind == "mix" else (kind,)
    rng = random.Random(seed)
    found = []
    for number in range(rows):
        low, high = sizes[names[number % len(names)]]
        begin = rng.randrange(len(text) - high)
        found.append(" ".join(text[begin : begin + rng.randint(low, high)].split()) or "empty")
    rng.shuffle(found)
    return found


def _english() -> str:
    import pyarrow.parquet as pq

    return "\n".join(pq.read_table(need_data("books", "docs.parquet"), columns=["text"])["text"][:40].to_pylist())


def _chinese() -> str:
    import pyarrow.parquet as pq

    with need_data("beir", "cmrc2018-dev", "corpus.jsonl").open(encoding="utf-8") as file:
        prose = [json.loads(line)["text"] for line in file]
    poems = pq.read_table(need_data("tang-poems", "poems.parquet"), columns=["text"])["text"][:5000].to_pylist()
    return "\n".join([*prose, *(poem for poem in poems if poem)])
