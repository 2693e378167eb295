"""Training pairs as token ids on disk: flat arrays with offsets, read by memory map."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from training.corpus import made_pairs, read_pairs
from training.extra import Pair
from training.settings import DataSettings, Settings

# Held-out pairs come from retrieval-like sources: what the model is for.
_HELD_OUT = ("openstax", "medquad", "arxiv-abstracts", "ms-win32", "peps", "britannica", "factbook", "tidb-zh")
_BLOCK = 20_000


@dataclass(frozen=True)
class Ragged:
    """Sequences of token ids: ``flat`` uint16, ``offsets`` int64 of length n + 1, ``keys`` int64 hashes."""

    flat: npt.NDArray[np.uint16]
    offsets: npt.NDArray[np.int64]
    keys: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Tokens per sequence, int64 of shape (n,)."""
        return np.diff(self.offsets)

    def row(self, index: int) -> npt.NDArray[np.uint16]:
        """The ids of one sequence."""
        return self.flat[self.offsets[index] : self.offsets[index + 1]]

    def gather(self, rows: npt.NDArray[np.int64], limit: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Ids of several rows, each cut to ``limit``: flat int64 ids and offsets of length len(rows) + 1."""
        starts = self.offsets[rows]
        lengths = np.minimum(self.offsets[rows + 1] - starts, limit)
        offsets = np.zeros(len(rows) + 1, dtype=np.int64)
        np.cumsum(lengths, out=offsets[1:])
        index = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], lengths)
        return self.flat[index].astype(np.int64), offsets


@dataclass(frozen=True)
class PairSet:
    """Queries and positives with their source number and expected copies per epoch."""

    queries: Ragged
    positives: Ragged
    source: npt.NDArray[np.int16]
    weight: npt.NDArray[np.float32]
    names: list[str]

    def __len__(self) -> int:
        return len(self.source)


def _tokenise(tokenizer: Tokenizer, texts: Sequence[str], limit: int) -> Ragged:
    parts: list[npt.NDArray[np.uint16]] = []
    keys: list[int] = []
    for start in range(0, len(texts), _BLOCK):
        # Characters beyond this cannot reach the token limit in any text seen here.
        block = [text[: limit * 8] for text in texts[start : start + _BLOCK]]
        for encoding in tokenizer.encode_batch_fast(block, add_special_tokens=False):
            ids = np.array(encoding.ids[:limit], dtype=np.uint16)
            parts.append(ids)
            digest = hashlib.blake2b(ids.tobytes(), digest_size=8).digest()
            keys.append(int.from_bytes(digest, "little", signed=True))
    offsets = np.zeros(len(parts) + 1, dtype=np.int64)
    np.cumsum([len(p) for p in parts], out=offsets[1:])
    return Ragged(np.concatenate(parts), offsets, np.array(keys, dtype=np.int64))


def pair_weight(pair: Pair, settings: DataSettings) -> float:
    """Expected copies of a pair per epoch: its language group's weight times its source's."""
    if pair.lang == "en":
        base = settings.weight_en
    elif pair.lang == "zh":
        base = settings.weight_zh
    elif set(pair.lang.split("-")) == {"en", "zh"}:
        base = settings.weight_en_zh
    else:
        base = settings.weight_other
    return base * settings.weights.get(pair.source, 1.0)


def _save(folder: Path, name: str, ragged: Ragged) -> None:
    for part in ("flat", "offsets", "keys"):
        np.save(folder / f"{name}.{part}.npy", getattr(ragged, part))


def _load(folder: Path, name: str) -> Ragged:
    parts: list[Any] = [np.load(folder / f"{name}.{p}.npy", mmap_mode="r") for p in ("flat", "offsets", "keys")]
    return Ragged(*parts)


def write_split(folder: Path, pairs: list[Pair], tokenizer: Tokenizer, settings: DataSettings) -> None:
    """Tokenise pairs and write them as one split (``load_split`` reads it back)."""
    folder.mkdir(parents=True, exist_ok=True)
    names = sorted({p.source for p in pairs})
    number = {name: i for i, name in enumerate(names)}
    _save(folder, "queries", _tokenise(tokenizer, [p.query for p in pairs], settings.max_tokens))
    _save(folder, "positives", _tokenise(tokenizer, [p.positive for p in pairs], settings.max_tokens))
    np.save(folder / "source.npy", np.array([number[p.source] for p in pairs], dtype=np.int16))
    np.save(folder / "weight.npy", np.array([pair_weight(p, settings) for p in pairs], dtype=np.float32))
    (folder / "names.json").write_text(json.dumps(names), encoding="utf-8")


def load_split(folder: Path) -> PairSet:
    """Read what ``write_split`` wrote."""
    names = json.loads((folder / "names.json").read_text(encoding="utf-8"))
    return PairSet(
        _load(folder, "queries"),
        _load(folder, "positives"),
        np.load(folder / "source.npy"),
        np.load(folder / "weight.npy"),
        names,
    )


def all_pairs(settings: Settings) -> tuple[list[Pair], list[Pair]]:
    """Training and held-out pairs. A held-out pair's passage is in no training pair, made ones included."""
    rng = random.Random(settings.seed)
    rows = read_pairs(Path(settings.data.pairs))
    candidates = [i for i, r in enumerate(rows) if r.source in _HELD_OUT]
    chosen = set(rng.sample(candidates, min(settings.data.held_out, len(candidates) // 10)))
    held = [rows[i] for i in sorted(chosen)]
    passages = {r.positive for r in held}
    train = [r for r in rows if r.positive not in passages]
    return train + made_pairs(train, settings.data, rng), held


def run_data(settings: Settings, tokenizer: Tokenizer) -> None:
    """The data stage: writes ``data/train`` and ``data/held-out`` in the run's folder."""
    done = settings.folder / "data" / "done"
    if done.exists():
        return
    train, held = all_pairs(settings)
    write_split(settings.folder / "data" / "train", train, tokenizer, settings.data)
    write_split(settings.folder / "data" / "held-out", held, tokenizer, settings.data)
    counts: dict[str, int] = {}
    for pair in train:
        counts[pair.source] = counts.get(pair.source, 0) + 1
    done.write_text(json.dumps({"train": len(train), "held_out": len(held), "sources": counts}, indent=1), "utf-8")
