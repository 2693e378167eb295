"""Settings of one training run, read from a TOML file."""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:  # pragma: no cover - Python 3.10 only
    import tomli as tomllib


@dataclass(frozen=True)
class DataSettings:
    """Which text is read and how much each source counts."""

    pairs: str = "../shared/data/pairs"
    books: str = "../shared/data/books"
    poems: str = "../shared/data/tang-poems"
    peps: str = "../shared/data/peps"
    max_tokens: int = 256
    held_out: int = 2000
    books_cloze: int = 60_000
    poems_cloze: int = 4_000
    paraphrases: int = 20_000
    docstrings: bool = True
    word_drop: int = 30_000
    # Expected copies of a pair per epoch, by language group; a source's own weight comes on top.
    weight_en: float = 1.0
    weight_zh: float = 1.0
    weight_en_zh: float = 0.5
    weight_other: float = 0.12
    weights: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class TokenizerSettings:
    """A lower-cased WordPiece vocabulary; Chinese characters stand alone."""

    vocab_size: int = 25_600
    min_char_count: int = 15


@dataclass(frozen=True)
class ModelSettings:
    """A BERT encoder (see transformers.BertConfig)."""

    hidden: int = 320
    layers: int = 3
    heads: int = 10
    intermediate: int = 1280
    positions: int = 512


@dataclass(frozen=True)
class MlmSettings:
    """Masked-language pretraining on raw text; 0 steps skip the stage."""

    steps: int = 0
    batch: int = 256
    tokens: int = 96
    lr: float = 1e-3


@dataclass(frozen=True)
class StaticSettings:
    """Contrastive training of the word embeddings alone, as a mean-pooled bag."""

    epochs: float = 8.0
    batch: int = 4096
    tokens: int = 160
    lr: float = 0.01
    temperature: float = 0.05
    token_drop: float = 0.0


@dataclass(frozen=True)
class ContrastiveSettings:
    """Contrastive training of the whole encoder with in-batch negatives."""

    steps: int = 2000
    batch: int = 1024
    tokens_per_call: int = 16_384
    gradient_cache: bool = False
    query_tokens: int = 48
    tokens: int = 72
    long_tokens: int = 160
    long_from: float = 0.8
    lr: float = 7e-4
    embedding_lr: float = 2e-3
    warmup: int = 100
    weight_decay: float = 0.01
    temperature: float = 0.05
    matryoshka: tuple[int, ...] = (64, 128, 256)
    one_source_share: float = 0.3
    ema: float = 0.995
    blend: float = 1.0
    save_every_s: float = 300.0
    report_every: int = 10
    validate_every: int = 100


@dataclass(frozen=True)
class NegativeSettings:
    """Hard negatives mined with the model itself; 0 steps skip the stage."""

    steps: int = 0
    pool: int = 60_000
    per_query: int = 3
    depth: int = 20
    margin: float = 0.95
    tokens: int = 96
    lr: float = 2e-4


@dataclass(frozen=True)
class Settings:
    """Everything that determines a run; equal settings and text give equal weights up to threads."""

    run: str = "runs-training/cpu"
    seed: int = 20
    threads: int = 0
    device: str = "auto"
    bf16: bool = True
    data: DataSettings = field(default_factory=DataSettings)
    tokenizer: TokenizerSettings = field(default_factory=TokenizerSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    mlm: MlmSettings = field(default_factory=MlmSettings)
    static: StaticSettings = field(default_factory=StaticSettings)
    contrastive: ContrastiveSettings = field(default_factory=ContrastiveSettings)
    negatives: NegativeSettings = field(default_factory=NegativeSettings)

    @property
    def folder(self) -> Path:
        """Where this run keeps its stages' output."""
        return Path(self.run)


_SECTIONS: dict[str, type[Any]] = {
    "data": DataSettings,
    "tokenizer": TokenizerSettings,
    "model": ModelSettings,
    "mlm": MlmSettings,
    "static": StaticSettings,
    "contrastive": ContrastiveSettings,
    "negatives": NegativeSettings,
}


def _build(cls: type[Any], values: dict[str, Any], where: str) -> Any:
    known = {f.name for f in dataclasses.fields(cls)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise ValueError(f"{where}: unknown setting {unknown[0]!r}; known: {', '.join(sorted(known))}")
    if isinstance(values.get("matryoshka"), list):
        values = {**values, "matryoshka": tuple(values["matryoshka"])}
    return cls(**values)


def load_settings(path: Path) -> Settings:
    """Read a TOML file. Raises ValueError for an unknown setting, OSError if unreadable."""
    raw = tomllib.loads(path.read_text(encoding="utf-8"))
    built: dict[str, Any] = {}
    for key, value in raw.items():
        if key in _SECTIONS:
            built[key] = _build(_SECTIONS[key], value, f"{path} [{key}]")
        else:
            built[key] = value
    settings: Settings = _build(Settings, built, str(path))
    return settings
