"""The whole recipe on a handful of texts: every stage runs, restarts, and gives a loadable folder."""

import dataclasses
import itertools
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from training.__main__ import run
from training.batches import pair_batches
from training.contrastive import Embedder, blend, step_gradients, train_contrastive
from training.data import load_split
from training.model import new_encoder
from training.negatives import grouped_batches, neighbours
from training.settings import (
    ContrastiveSettings,
    DataSettings,
    MlmSettings,
    ModelSettings,
    NegativeSettings,
    Settings,
    StaticSettings,
    TokenizerSettings,
    load_settings,
)

TOPICS = ["river", "engine", "python", "kidney", "planet", "music", "law", "bread"]


def tiny(folder):
    pairs = folder / "pairs"
    pairs.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    rows = []
    for i in range(240):
        topic = TOPICS[i % len(TOPICS)]
        words = " ".join(rng.choice(TOPICS, 3))
        rows.append({"query": f"what about the {topic} number {i}", "lang": "en", "source": "openstax"})
        rows[-1]["positive"] = f"The {topic} is number {i}. It has some {words} too. Nobody knows the {topic} well."
        rows[-1]["licence"] = "CC0-1.0"
    pq.write_table(pa.Table.from_pylist(rows), pairs / "pairs-openstax.parquet")
    none = str(folder / "none")
    return Settings(
        run=str(folder / "run"),
        threads=1,
        bf16=False,
        data=DataSettings(pairs=str(pairs), books=none, poems=none, peps=none, held_out=20, docstrings=False),
        tokenizer=TokenizerSettings(vocab_size=300, min_char_count=1),
        model=ModelSettings(hidden=32, layers=1, heads=4, intermediate=64, positions=256),
        mlm=MlmSettings(steps=2, batch=8),
        static=StaticSettings(epochs=2.0, batch=32),
        contrastive=ContrastiveSettings(steps=6, batch=32, tokens_per_call=512, warmup=2, matryoshka=(8,)),
        negatives=NegativeSettings(steps=3, pool=100, depth=5),
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("training")
    settings = tiny(folder)
    run(settings, folder / "model")
    return settings, folder / "model"


def test_the_recipe_ends_with_a_model_that_every_library_loads_alike(finished):
    from sentence_transformers import SentenceTransformer
    from transformers import AutoModel, AutoTokenizer

    _, folder = finished
    texts = ["The river is number 3.", "engine"]
    vectors = SentenceTransformer(str(folder), device="cpu").encode(texts)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder).float().eval()
    given = tokenizer(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        hidden = model(input_ids=given["input_ids"], attention_mask=given["attention_mask"]).last_hidden_state
    mask = given["attention_mask"].unsqueeze(2)
    plain = torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=1)
    np.testing.assert_allclose(vectors, plain.numpy(), atol=2e-3)
    assert json.loads((folder / "config.json").read_text(encoding="utf-8"))["dtype"] == "float16"


def test_a_second_run_finds_every_stage_done(finished, capsys):
    settings, folder = finished
    before = (folder / "model.safetensors").read_bytes()
    run(settings, folder)
    assert "step" not in capsys.readouterr().out
    assert (folder / "model.safetensors").read_bytes() == before


def test_held_out_passages_are_in_no_training_pair(finished):
    settings, _ = finished
    data = settings.folder / "data"
    train, held = load_split(data / "train"), load_split(data / "held-out")
    assert len(held) == 20
    assert not set(held.positives.keys.tolist()) & set(train.positives.keys.tolist())


def embedder_for(settings, train):
    torch.manual_seed(0)
    model = new_encoder(settings.model, 300)
    return Embedder(model, (2, 3), torch.device("cpu"), False, 256)


def test_gradient_caching_gives_the_same_gradients(finished):
    settings, _ = finished
    train = load_split(settings.folder / "data" / "train")
    rows = np.arange(24, dtype=np.int64)
    found = []
    for cached in (False, True):
        embedder = embedder_for(settings, train)
        chosen = dataclasses.replace(settings.contrastive, gradient_cache=cached)
        loss = step_gradients(embedder, train, rows, (32, 64), chosen, 8)
        found.append((loss, [p.grad for p in embedder.model.parameters() if p.grad is not None]))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-5)
    for a, b in zip(found[0][1], found[1][1], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)


def test_a_restart_from_a_checkpoint_ends_with_the_same_weights(finished, tmp_path):
    settings, _ = finished
    data = settings.folder / "data"
    splits = load_split(data / "train"), load_split(data / "held-out")

    class StoppedError(Exception):
        pass

    def batches(stop):
        made = pair_batches(splits[0], 32, 0.3, 5)
        for number, rows in enumerate(made):
            if number == stop:
                raise StoppedError
            yield rows

    chosen = dataclasses.replace(settings.contrastive, save_every_s=0.0)
    whole = embedder_for(settings, splits[0])
    train_contrastive(whole, batches(None), splits, chosen, 5, tmp_path / "whole")
    with pytest.raises(StoppedError):
        train_contrastive(embedder_for(settings, splits[0]), batches(3), splits, chosen, 5, tmp_path / "cut")
    again = embedder_for(settings, splits[0])
    train_contrastive(again, batches(None), splits, chosen, 5, tmp_path / "cut")
    for a, b in zip(whole.model.parameters(), again.model.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_blending_goes_part_of_the_way():
    model = torch.nn.Linear(2, 1)
    start = {name: torch.zeros_like(value) for name, value in model.named_parameters()}
    trained = model.weight.detach().clone()
    blend(model, start, 0.25)
    torch.testing.assert_close(model.weight.detach(), trained * 0.25)


def test_neighbours_leave_out_the_own_passage_and_likely_answers():
    queries = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    positives = torch.tensor([[1.0, 0.1, 0.0], [0.99, 0.1, 0.0], [0.5, 0.0, 1.0]])
    near = neighbours(queries, positives, 2, 0.95)
    # The second passage scores like the first query's own, so only the third one is a negative for it.
    assert near[0].tolist() == [2, -1]
    assert 0 in near[2] and 1 in near[2]


def test_grouped_batches_bring_neighbours_together():
    near = np.array([[(i + 1) % 50] for i in range(50)], dtype=np.int64)
    pool = np.arange(100, 150, dtype=np.int64)
    for rows in itertools.islice(grouped_batches(near, pool, 10, 1, seed=0), 5):
        assert len(rows) == len(set(rows.tolist())) == 10
        members = set(rows.tolist())
        assert sum((r - 100 + 1) % 50 + 100 in members for r in members) >= 5


def test_an_unknown_setting_is_named(tmp_path):
    file = tmp_path / "x.toml"
    file.write_text("[static]\nepoch = 3\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"\[static\].*unknown setting 'epoch'"):
        load_settings(file)
