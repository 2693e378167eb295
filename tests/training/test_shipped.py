"""The model inside the package: small, loadable by everyone without a special case, and sensible."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from workbench.encoders.embed import embed_texts
from workbench.encoders.model import default_model_folder

FOLDER = Path(__file__).resolve().parents[2] / "workbench" / "models" / "default"
TEXTS = [
    "how to delete a folder",
    "shutil.rmtree\nRecursively delete a directory tree.",
    "A long text is cut. " * 200,
    "你好，世界",
]


@pytest.fixture(scope="module")
def vectors():
    return embed_texts(TEXTS, str(FOLDER), dtype="fp32")


def test_it_is_the_default_and_at_most_25_mb():
    assert default_model_folder() == FOLDER
    assert sum(f.stat().st_size for f in FOLDER.rglob("*") if f.is_file()) <= 25_000_000
    config = json.loads((FOLDER / "config.json").read_text(encoding="utf-8"))
    assert config["model_type"] == "bert" and config["dtype"] in ("float16", "bfloat16")


def test_vectors_are_finite_and_normalised(vectors):
    assert vectors.dtype == np.float32 and np.isfinite(vectors).all()
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


def test_sentence_transformers_and_transformers_give_the_same_vectors(vectors):
    from sentence_transformers import SentenceTransformer
    from transformers import AutoModel, AutoTokenizer

    theirs = SentenceTransformer(str(FOLDER), device="cpu", model_kwargs={"dtype": torch.float32}).encode(TEXTS)
    np.testing.assert_allclose(theirs, vectors, atol=1e-4)
    tokenizer = AutoTokenizer.from_pretrained(FOLDER)
    model = AutoModel.from_pretrained(FOLDER, dtype=torch.float32).eval()
    given = tokenizer(TEXTS, padding=True, truncation=True, return_tensors="pt")
    assert given["input_ids"].shape[1] == 256
    with torch.no_grad():
        hidden = model(input_ids=given["input_ids"], attention_mask=given["attention_mask"]).last_hidden_state
    mask = given["attention_mask"].unsqueeze(2)
    plain = torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=1).numpy()
    np.testing.assert_allclose(plain, vectors, atol=1e-4)


def test_the_right_passage_comes_first_also_by_the_leading_dimensions():
    queries = ["removing files and folders", "kidney disease treatment", "如何做面包"]
    passages = [
        "Delete a directory and all its files.",
        "Therapy for people whose kidneys fail: dialysis or a transplant.",
        "面包的做法：面粉、水、酵母，揉面后烤四十分钟。",
        "The orbit of a planet around its star.",
    ]
    a, b = (embed_texts(t, str(FOLDER), kind=k) for t, k in ((queries, "query"), (passages, "document")))
    for width in (a.shape[1], 256, 128, 64):
        lengths = np.linalg.norm(b[:, :width], axis=1)
        assert ((a[:, :width] @ b[:, :width].T) / lengths).argmax(1).tolist() == [0, 1, 2]


def test_the_card_names_every_part_it_must():
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    for needed in ("CC BY-SA 4.0", "BAAI/bge-m3", "BAAI/bge-small-en-v1.5", "intfloat/multilingual-e5-small"):
        assert needed in card
    assert "--set encoder.model=" in card and "benchmarks/quality.py" in card and "{" not in card.split("```")[2]
