"""Token ids equal transformers' own, texts of any length are cut exactly, offsets point into the text."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests import tiny_models
from workbench.core.errors import UsageError
from workbench.text.pieces import pieces
from workbench.text.tokenising import Tokeniser, TokeniserFile

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "tokenizers"
TEXTS = [*tiny_models.SENTENCES, "", " ", "a", "gzip " * 500, "x" * 3000, "天地" * 400,
         "\u200b\x00 naïve ﬁ\t\n[SEP] [PAD]", "😀 emoji 👩‍👩‍👧 and \ud7ff"]


@pytest.fixture(scope="module", params=["word piece", "byte level"])
def folder(request, tmp_path_factory):
    made = tmp_path_factory.mktemp("tokenizer")
    if request.param == "word piece":
        tiny_models.word_piece(made)
    else:
        tiny_models.byte_level(made)
    return made


def expected(folder, texts, max_tokens, side="right"):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(folder), truncation_side=side)
    return tokenizer(texts, truncation=True, max_length=max_tokens, padding=False)["input_ids"]


def rows(tokens):
    assert tokens.ids.dtype == np.int32
    assert tokens.lengths.dtype == np.int32
    return [list(tokens.ids[o : o + n]) for o, n in zip(tokens.offsets, tokens.lengths, strict=True)]


@pytest.mark.parametrize("max_tokens", [8, 64, 4000])
@pytest.mark.parametrize("side", ["right", "left"])
def test_equal_to_transformers(folder, max_tokens, side):
    spec = TokeniserFile(str(folder / "tokenizer.json"), max_tokens, truncation_side=side)
    assert rows(Tokeniser(spec).encode(TEXTS)) == expected(folder, TEXTS, max_tokens, side)


@pytest.mark.parametrize("name", ["all-MiniLM-L6-v2", "gte-small", "all-mpnet-base-v2", "bge-small-zh-v1.5"])
def test_real_tokenizers_equal_to_transformers(name):
    if not (SHARED / name).is_dir():
        pytest.skip("the real tokenizers are not here")
    spec = TokeniserFile(str(SHARED / name / "tokenizer.json"), 256)
    assert rows(Tokeniser(spec).encode(TEXTS)) == expected(SHARED / name, TEXTS, 256)


def test_prefix_and_many_rows(folder):
    spec = TokeniserFile(str(folder / "tokenizer.json"), 32)
    texts = [f"{sentence} {number}" for number in range(120) for sentence in tiny_models.SENTENCES]
    assert rows(Tokeniser(spec).encode(texts, "query: ")) == expected(folder, [f"query: {t}" for t in texts], 32)
    assert len(Tokeniser(spec).encode([]).lengths) == 0


@pytest.mark.parametrize("text", [
    "compress a file " * 20_000, "天地玄黄" * 30_000, "y" * 200_000, " " * 200_000 + "gzip zlib " * 50,
    "\n".join(["word"] * 10) + " " * 200_000 + "zlib " * 200,
], ids=["words", "cjk", "one word", "space first", "hole"])
@pytest.mark.parametrize("side", ["right", "left"])
def test_very_long_text_is_cut_exactly(text, side, tmp_path):
    """The tokens kept are those of the whole text, although most of it is never read."""
    tiny_models.word_piece(tmp_path)
    spec = TokeniserFile(str(tmp_path / "tokenizer.json"), 16, truncation_side=side)
    assert rows(Tokeniser(spec).encode(["short", text]))[1] == expected(tmp_path, [text], 16, side)[0]


@pytest.mark.parametrize("side", ["right", "left"])
def test_kept_text_has_the_tokens_that_were_kept(side, tmp_path):
    tiny_models.word_piece(tmp_path)
    tokeniser = Tokeniser(TokeniserFile(str(tmp_path / "tokenizer.json"), 12, truncation_side=side))
    texts = ["short one", "The quick brown fox. " * 30, "天地玄黄宇宙洪荒 " * 9, ""]
    tokens = tokeniser.encode(texts, "fox: ")
    kept = tokeniser.kept(texts, tokens.lengths, "fox: ")
    assert kept[0] == "fox: short one" and kept[3] == "fox: "
    assert all(text in "fox: " + whole for text, whole in zip(kept, texts, strict=True))
    again = tokeniser.encode(kept)
    np.testing.assert_array_equal(again.ids, tokens.ids)


def test_lower_case_goes_before_the_model_s_own_rules(tmp_path):
    tiny_models.word_piece(tmp_path, lower=False)
    plain, lower = (TokeniserFile(str(tmp_path / "tokenizer.json"), 64, low) for low in (False, True))
    text = "Embedding A Corpus"
    assert rows(Tokeniser(lower).encode([text])) == rows(Tokeniser(plain).encode([text.lower()]))
    assert rows(Tokeniser(lower).encode([text])) != rows(Tokeniser(plain).encode([text]))


def test_spans_point_into_the_text(folder):
    tokeniser = Tokeniser(TokeniserFile(str(folder / "tokenizer.json"), 8))
    long = "How do I compress a file? " * 8000  # several pieces
    for text, spans in zip([TEXTS[1], long], tokeniser.spans([TEXTS[1], long]), strict=True):
        assert all(0 <= a <= b <= len(text) for a, b in spans)
        assert [a for a, _ in spans] == sorted(a for a, _ in spans)
        kept = "".join(text[a:b] for a, b in spans)
        assert kept.replace(" ", "") == text.replace(" ", "")
    assert list(tokeniser.count([long])) == [len(tokeniser.spans([long])[0])]
    # asking for spans leaves the cutting of `encode` on
    assert list(tokeniser.encode([long]).lengths) == [8]


def test_prompt_tokens(folder):
    tokeniser = Tokeniser(TokeniserFile(str(folder / "tokenizer.json"), 64))
    whole, alone = tokeniser.encode(["file"], "find a ").lengths[0], tokeniser.encode(["file"]).lengths[0]
    opening = int(tokeniser.encode([""]).lengths[0]) - 1
    assert tokeniser.prompt_tokens("") == 0
    assert tokeniser.prompt_tokens("find a ") >= whole - alone + opening


def test_broken_or_missing_file_is_one_clear_line(tmp_path):
    with pytest.raises(UsageError, match=r"tokenizer\.json"):
        Tokeniser(TokeniserFile(str(tmp_path / "tokenizer.json")))
    (tmp_path / "tokenizer.json").write_text("{}", encoding="utf-8")
    with pytest.raises(UsageError, match="no tokenizer"):
        Tokeniser(TokeniserFile(str(tmp_path / "tokenizer.json")))


def test_pieces_make_up_the_whole():
    for text in ("a b c " * 50, "x" * 100, "", "\n\n\n", "天" * 33 + " 地"):
        found = list(pieces(text, 32))
        assert "".join(text[a:b] for a, b in found) == text
        assert all(0 < b - a <= 32 for a, b in found)


def test_a_worker_loads_nothing_heavy(tmp_path):
    tiny_models.word_piece(tmp_path)
    code = (
        "import sys; from workbench.text.tokenising import Tokeniser, TokeniserFile\n"
        "import workbench.text.joining, workbench.text.packing, workbench.encoders.base\n"
        "Tokeniser(TokeniserFile(sys.argv[1])).encode(['a'])\n"
        "print(sorted({'torch','transformers','faiss','textual','huggingface_hub'} & set(sys.modules)))"
    )
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", code, str(tmp_path / "tokenizer.json")]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(root)},
                          check=True, timeout=120)
    assert done.stdout.strip() == "[]"
