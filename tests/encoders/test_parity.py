"""Vectors equal those of sentence-transformers for the same folder, family by family."""

from __future__ import annotations

import numpy as np
import pytest

from tests.tiny_models import SENTENCES
from workbench.encoders.embed import Embedder

TEXTS = [
    *SENTENCES, "", "a", "gzip " * 100, "x" * 300, "Ünïcödé " * 7, "天地" * 60, "line one\nline two\t tab  ",
    *SENTENCES[:2],
]

CASES = [
    ("bert", {}),
    ("bert", {"pooling": "cls", "old_format": True}),
    ("bert", {"pooling": "max", "normalise": False}),
    ("bert", {"pooling": ["cls", "mean"], "dense": 24}),
    ("bert", {"pooling": "weightedmean"}),
    ("bert", {"pooling": "mean_sqrt_len_tokens", "normalise": False}),
    ("bert", {"lower": False, "lower_case": True}),
    ("bert", {"prompts": {"document": "passage: ", "query": "find: "}, "include_prompt": False}),
    ("roberta", {}),
    ("mpnet", {}),
    ("modernbert", {}),
    ("qwen3", {"prompts": {"query": "Instruct: find\nQuery:"}}),
    ("qwen3", {"pooling": "mean", "prompts": {"query": "find: "}, "include_prompt": False}),
]


def reference(folder, kind):
    from sentence_transformers import SentenceTransformer

    st = SentenceTransformer(str(folder), device="cpu")
    return st.encode_query(TEXTS) if kind == "query" else st.encode_document(TEXTS)


def cosines(a, b):
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


@pytest.mark.parametrize(("family", "options"), CASES, ids=lambda v: v if isinstance(v, str) else "-".join(map(str, v)))
@pytest.mark.parametrize("kind", ["document", "query"])
def test_same_vectors_as_sentence_transformers(model, family, options, kind):
    folder = model(family, **options)
    embedder = Embedder(str(folder), dtype="fp32", token_budget=256)
    ours, theirs = embedder.embed(TEXTS, kind), reference(folder, kind)
    assert ours.shape == theirs.shape == (len(TEXTS), embedder.spec.dim)
    assert cosines(ours, theirs).min() >= 0.99999
    np.testing.assert_allclose(ours, theirs, atol=2e-4, rtol=2e-4)


@pytest.mark.parametrize("family", ["bert", "roberta", "mpnet", "modernbert", "qwen3"])
def test_bf16_stays_close(model, family):
    folder = model(family)
    fp32 = Embedder(str(folder), dtype="fp32").embed(SENTENCES)
    bf16 = Embedder(str(folder), dtype="bf16").embed(SENTENCES)
    assert cosines(fp32, bf16).min() >= 0.999
    assert not np.array_equal(fp32, bf16)  # it really computed in another format


@pytest.mark.parametrize("family", ["bert", "mpnet", "qwen3"])
def test_vectors_do_not_depend_on_the_batch(model, family):
    embedder = Embedder(str(model(family)), dtype="fp32")
    together = embedder.embed(TEXTS)
    alone = np.concatenate([embedder.embed([text]) for text in TEXTS])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_general_path_equals_packed_path(model):
    """attention = sdpa leaves the padding-free path; both give the same vectors."""
    folder = str(model("bert"))
    packed, padded = Embedder(folder, dtype="fp32"), Embedder(folder, dtype="fp32", attention="sdpa")
    np.testing.assert_allclose(packed.embed(TEXTS), padded.embed(TEXTS), atol=1e-5)
