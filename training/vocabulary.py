"""The tokenizer stage: a lower-cased WordPiece vocabulary trained on the same text."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from training.corpus import book_passages, read_pairs
from training.data import pair_weight
from training.settings import Settings

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def new_tokenizer() -> Tokenizer:
    """An untrained tokenizer with BERT's normaliser: lower case, no accents, Chinese split by character."""
    tokenizer = Tokenizer(models.WordPiece(vocab={}, unk_token="[UNK]", max_input_chars_per_word=64))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True, strip_accents=True, handle_chinese_chars=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    return tokenizer


def training_texts(settings: Settings) -> Iterator[str]:
    """Text of the pairs, each source by its weight, and a sample of the books."""
    rng = random.Random(settings.seed)
    for pair in read_pairs(Path(settings.data.pairs)):
        if rng.random() < pair_weight(pair, settings.data):
            yield pair.query
            yield pair.positive
    yield from book_passages(Path(settings.data.books), settings.data.books_cloze, rng)


def _alphabet(texts: list[str], tokenizer: Tokenizer, least: int) -> list[str]:
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(text)
    kept: set[str] = set()
    for char, count in counts.items():
        if count >= least:
            kept.update(tokenizer.normalizer.normalize_str(char).replace(" ", ""))
    return sorted(kept)


def train_tokenizer(texts: list[str], vocab_size: int, min_char_count: int) -> Tokenizer:
    """Train on texts; characters seen fewer than ``min_char_count`` times become [UNK]."""
    tokenizer = new_tokenizer()
    alphabet = _alphabet(texts, tokenizer, min_char_count)
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocab_size,
        special_tokens=SPECIAL,
        limit_alphabet=len(alphabet),
        initial_alphabet=alphabet,
        continuing_subword_prefix="##",
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    ids = {name: tokenizer.token_to_id(name) for name in SPECIAL}
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])],
    )
    return tokenizer


def run_tokenizer(settings: Settings) -> Tokenizer:
    """The tokenizer stage: trains once, then reads ``tokenizer.json`` in the run's folder."""
    file = settings.folder / "tokenizer.json"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        texts = list(training_texts(settings))
        tokenizer = train_tokenizer(texts, settings.tokenizer.vocab_size, settings.tokenizer.min_char_count)
        tokenizer.save(str(file), pretty=False)
    return Tokenizer.from_file(str(file))
