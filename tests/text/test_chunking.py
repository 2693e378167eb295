"""Chunks of real tokenizers: never too long, nothing lost, ends where a reader would end them."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from workbench.text.chunking import Passage, chunk_passages

ENGLISH = (
    "The quick brown fox jumps over the lazy dog. It was e.g. not amused! Was it? "
    "Dr. Strangelove said so, 3.14 times.\n\nA new paragraph begins here. It goes on and on; and on.\n- one\n- two\n"
)
CHINESE = "床前明月光，疑是地上霜。舉頭望明月，低頭思故鄉。「你好嗎？」他說。"


def _wordpiece() -> Tokenizer:
    made = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=100))
    made.normalizer = normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.train_from_iterator([ENGLISH, CHINESE], trainers.WordPieceTrainer(vocab_size=300, special_tokens=["[UNK]"]))
    return made


def _byte_level() -> Tokenizer:
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=400, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    made.train_from_iterator([ENGLISH] * 3, trainer)
    return made


def _unigram() -> Tokenizer:
    made = Tokenizer(models.Unigram())
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=200, special_tokens=["<unk>"], unk_token="<unk>")
    made.train_from_iterator([ENGLISH, CHINESE], trainer)
    return made


TOKENIZERS = {"wordpiece": _wordpiece(), "byte-level": _byte_level(), "unigram": _unigram()}


class Spans:
    """Token boundaries of a tokenizer; remembers how much it was asked."""

    def __init__(self, name: str) -> None:
        self.tokenizer = TOKENIZERS[name]
        self.calls = self.characters = 0

    def __call__(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        self.calls += 1
        self.characters += sum(map(len, texts))
        return [found.offsets for found in self.tokenizer.encode_batch(list(texts), add_special_tokens=False)]


def words(text: str) -> str:
    return re.sub(r"\s+", "", text)


def test_a_part_of_an_unknown_word_is_counted_as_it_is() -> None:
    text, spans = "x" * 500, Spans("wordpiece")  # as a whole one unknown token, in parts one token per character
    [ranges] = chunk_passages([Passage("", text)], 5, 0, spans)
    assert max(len(found) for found in spans([text[a:b] for a, b in ranges])) <= 5
    assert "".join(text[a:b] for a, b in ranges) == text


PIECES = st.sampled_from(
    [ENGLISH, CHINESE, "word ", "\n", "\n\n", "x" * 500, "。", "😀" * 40, "\t", "a.b.c ", "  indented\n", "中" * 30]
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(PIECES, min_size=1, max_size=25), st.sampled_from(sorted(TOKENIZERS)),
    st.integers(8, 60), st.integers(0, 12), st.booleans(),
)
def test_never_too_long_and_nothing_lost(parts: list[str], name: str, limit: int, overlap: int, code: bool) -> None:
    text, spans = "".join(parts), Spans(name)
    title = "A title"
    [ranges] = chunk_passages([Passage(title, text, code)], limit, min(overlap, limit // 2), spans)
    counts = [len(found) for found in spans([title, *(text[a:b] for a, b in ranges)])]
    room = limit - min(counts[0], limit // 2)
    assert max(counts[1:], default=0) <= room
    covered = 0
    for start, stop in ranges:
        assert words(text[covered:start]) == "", "text between chunks was lost"
        assert stop > covered, "a chunk adds nothing"
        covered = stop
    assert words(text[covered:]) == ""
    starts = [start for start, _ in ranges]
    assert starts == sorted(set(starts))


def test_ends_at_sentences_english_and_chinese() -> None:
    spans = Spans("wordpiece")
    for sentence in ("This is one sentence about foxes. ", "床前明月光，疑是地上霜。"):
        text = sentence * 60
        [ranges] = chunk_passages([Passage("", text)], 120, 0, spans)
        assert len(ranges) > 3
        assert all(text[a:b].endswith((".", "。")) for a, b in ranges)
        assert all(text[a:b].startswith(sentence[:3]) for a, b in ranges)


def test_ends_at_a_paragraph_rather_than_a_sentence() -> None:
    text = ("One sentence. Two sentences here. Three.\n\n" * 30).strip()
    [ranges] = chunk_passages([Passage("", text)], 100, 0, Spans("wordpiece"))
    assert len(ranges) > 2
    assert all(text[b : b + 2] in ("\n\n", "") for _, b in ranges)


def test_neighbours_share_the_overlap() -> None:
    text = "This is one sentence about foxes. " * 80
    spans = Spans("wordpiece")
    [ranges] = chunk_passages([Passage("", text)], 100, 25, spans)
    shared = [text[start:stop] for (start, _), (_, stop) in zip(ranges[1:], ranges[:-1], strict=True)]
    counts = [len(found) for found in spans(shared)]
    assert all(0 < count <= 25 for count in counts)
    assert all(part.startswith("This") for part in shared)


def test_code_keeps_its_indentation() -> None:
    text = "class A:\n" + "".join(f"    def method_{i}(self):\n        return {i}\n\n" for i in range(40))
    [ranges] = chunk_passages([Passage("", text, code=True)], 100, 0, Spans("byte-level"))
    assert len(ranges) > 3
    assert all(text[a:b].startswith(("class A", "    def")) for a, b in ranges)


@pytest.mark.parametrize(
    "text", ["lorem ipsum " * 40_000, "x" * 500_000, "中文字" * 100_000], ids=["words", "run", "chinese"]
)
def test_a_single_huge_line_is_tokenised_in_proportion(text: str) -> None:
    spans = Spans("wordpiece")
    [ranges] = chunk_passages([Passage("t", text)], 256, 32, spans)
    assert spans.characters < 3 * len(text)
    assert max(stop - start for start, stop in ranges) <= 256 * 16
    assert ranges[-1][1] == len(text.rstrip())


def test_many_passages_share_calls() -> None:
    spans = Spans("wordpiece")
    passages = [Passage(f"title {i % 7}", ENGLISH * 5) for i in range(200)]
    cut = chunk_passages(passages, 64, 8, spans)
    assert spans.calls <= 4
    assert len(cut) == 200
    assert all(ranges == cut[0] for ranges in cut[::7])


def test_white_space_gives_no_chunk() -> None:
    assert chunk_passages([Passage("t", " \n\n "), Passage("t", "")], 64, 8, Spans("wordpiece")) == [[], []]
