"""What is read from a model folder, and every complaint about one that cannot be used."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests import tiny_models
from workbench.core.errors import UsageError
from workbench.core.profile import EncoderSection
from workbench.encoders.embed import embed_texts
from workbench.encoders.fingerprint import file_sha256, files_sha256
from workbench.encoders.model import resolve_model
from workbench.encoders.shapes import flops_per_token, position_limit


def resolve(folder, **keys):
    return resolve_model(EncoderSection(model=str(folder), **keys))


def copied(folder, target):
    return Path(shutil.copytree(folder, target))


def edit(file, **changes):
    content = json.loads(file.read_text(encoding="utf-8"))
    content = {k: v for k, v in {**content, **changes}.items() if v is not None}
    file.write_text(json.dumps(content), encoding="utf-8")


def test_sentence_transformers_files_are_read(model):
    spec = resolve(model("bert", pooling=["cls", "mean"], dense=24, normalise=False, max_length=48,
                         prompts={"query": "q: ", "passage": "p: "}, include_prompt=False))
    assert (spec.pooling, spec.dim, spec.normalise, spec.max_tokens) == ("cls+mean", 24, False, 48)
    assert (spec.query_prefix, spec.document_prefix, spec.include_prompt) == ("q: ", "p: ", False)
    assert spec.query_prompt_tokens > 0
    assert spec.notes == ()


def test_old_and_new_pooling_format_say_the_same(model):
    new, old = model("bert", pooling=["cls", "max"]), model("bert", pooling=["cls", "max"], old_format=True)
    assert resolve(new).pooling == resolve(old).pooling == "cls+max"


def test_plain_folder_gets_mean_pooling_and_says_so(model):
    spec = resolve(model("bert", st=False))
    assert (spec.pooling, spec.normalise, spec.max_tokens) == ("mean", True, 64)
    assert "mean pooling" in spec.notes[0]


def test_settings_of_the_profile_win(model):
    folder = model("bert", prompts={"query": "q: "})
    spec = resolve(folder, pooling="cls", normalise="no", query_prefix="find ", document_prefix="doc ", max_tokens=100,
                   template="{text}")
    assert (spec.pooling, spec.normalise, spec.query_prefix, spec.document_prefix) == ("cls", False, "find ", "doc ")
    assert (spec.max_tokens, spec.template) == (100, "{text}")
    assert resolve(folder, query_prefix="").query_prefix == ""


@pytest.mark.parametrize(("family", "positions"), [("roberta", 64), ("mpnet", 64), ("bert", 128)])
def test_positions_bound_the_length(model, family, positions, tmp_path):
    folder = copied(model(family, st=False), tmp_path / "m")
    edit(folder / "tokenizer_config.json", model_max_length=10**30)
    assert resolve(folder).max_tokens == positions
    with pytest.raises(UsageError, match=f"at most {positions} tokens"):
        resolve(folder, max_tokens=positions + 1)


def test_position_limit_of_families_without_one():
    assert position_limit({"model_type": "t5", "n_positions": 512}) is None
    assert position_limit({"model_type": "xlm-roberta", "max_position_embeddings": 8194, "pad_token_id": 1}) == 8192


def test_identity_changes_with_everything_that_changes_vectors(model, tmp_path):
    folder = model("bert")
    base = resolve(folder)
    for keys in ({"pooling": "cls"}, {"normalise": "no"}, {"document_prefix": "x"}, {"query_prefix": "x"},
                 {"max_tokens": 32}, {"template": "{text}"}, {"engine": "simulated"}):
        assert resolve(folder, **keys).identity != base.identity, keys
    assert resolve(copied(folder, tmp_path / folder.name)).identity == base.identity  # a folder may be moved
    other = copied(folder, tmp_path / "other" / folder.name)
    weights = other / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert resolve(other).identity["weights"] != base.identity["weights"]
    vocabulary = other / "tokenizer.json"
    vocabulary.write_text(vocabulary.read_text(encoding="utf-8") + " ", encoding="utf-8")
    assert resolve(other).identity["tokenizer"] != base.identity["tokenizer"]


def test_remembered_hash_follows_the_file(tmp_path):
    file = tmp_path / "weights.safetensors"
    file.write_bytes(b"one")
    assert files_sha256([file], tmp_path) == files_sha256([file], tmp_path) == file_sha256(file)
    file.write_bytes(b"three")
    assert files_sha256([file], tmp_path) == file_sha256(file)


def test_simulated_takes_the_folder_s_tokenizer_and_its_own_dimension(model):
    spec = resolve(model("bert"), engine="simulated", dim=96)
    assert spec.dim == 96
    assert spec.identity["engine"] == "simulated"
    assert spec.identity["weights"] == "none"


def test_default_model_by_variable(model, monkeypatch):
    monkeypatch.setenv("WORKBENCH_DEFAULT_MODEL", str(model("bert")))
    spec = resolve_model(EncoderSection())
    assert (spec.name, spec.dim, spec.identity["model"]) == ("default", 32, "default")
    monkeypatch.setenv("WORKBENCH_DEFAULT_MODEL", "nowhere")
    with pytest.raises(UsageError, match="default model is not there"):
        resolve_model(EncoderSection())


def test_operations_of_a_token(model):
    """BERT: 2 · (4·h² + 2·h·4h) per layer, and 4 · h per layer and key."""
    spec = resolve(model("bert"))
    assert spec.flops_per_token == (2 * 2 * (4 * 32**2 + 2 * 32 * 128), 4 * 32 * 2)
    assert flops_per_token({}, []) == (0.0, 0.0)


@pytest.mark.parametrize(("family", "keys"), [("bert", {}), ("qwen3", {})])
def test_older_tokenizer_files_are_converted(model, family, keys, tmp_path, monkeypatch):
    folder = copied(model(family), tmp_path / "m")
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    if family == "bert":
        words = sorted(tokenizer["model"]["vocab"], key=tokenizer["model"]["vocab"].get)
        (folder / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
        (folder / "tokenizer.json").unlink()
        before = embed_texts(tiny_models.SENTENCES, str(model(family)), dtype="fp32")
        after = embed_texts(tiny_models.SENTENCES, str(folder), dtype="fp32")
        assert (before == after).all()
        assert not (folder / "tokenizer.json").exists()  # the model's folder is left as it was
    else:
        (folder / "vocab.json").write_text(json.dumps(tokenizer["model"]["vocab"]), encoding="utf-8")
        merges = [" ".join(pair) if isinstance(pair, list) else pair for pair in tokenizer["model"]["merges"]]
        (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n", encoding="utf-8")
        (folder / "tokenizer.json").unlink()
        edit(folder / "tokenizer_config.json", tokenizer_class="Qwen2Tokenizer")
        (tmp_path / "transformers.py").write_text("raise SystemExit('taken from the user')", encoding="utf-8")
        monkeypatch.chdir(tmp_path)  # a file there is not taken for the library
        monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
        spec = resolve(folder)
        assert Path(spec.tokenizer_file).is_file()


def breakages():
    def gone(name):
        return lambda f: (f / name).unlink()

    def text(name, content):
        return lambda f: (f / name).write_text(content, encoding="utf-8")

    def module(kind):
        return text("modules.json", json.dumps([
            {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
            {"idx": 1, "name": "1", "path": "1_Pooling", "type": f"sentence_transformers.models.{kind}"},
        ]))

    return {
        "model folder without tokenizer": gone("tokenizer.json"),
        "no weights": gone("model.safetensors"),
        "no config.json": gone("config.json"),
        "cannot be read": text("config.json", "{not json"),
        "module\\(s\\) LSTM": module("LSTM"),
        "unknown pooling": text("1_Pooling/config.json", '{"pooling_mode": "median"}'),
        "hidden size": text("config.json", '{"model_type": "bert"}'),
        "no readable safetensors": text("model.safetensors", "short"),
    }


@pytest.mark.parametrize("message", list(breakages()))
def test_broken_folder_is_one_clear_line(model, message, tmp_path):
    folder = copied(model("bert"), tmp_path / "m")
    breakages()[message](folder)
    with pytest.raises(UsageError, match=message) as caught:
        resolve(folder)
    assert caught.value.remedy
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["./nowhere", "/no/such/folder", "C:\\models\\x", "a/b/c"])
def test_folder_that_is_not_there(name):
    with pytest.raises(UsageError, match="no such model folder"):
        resolve(name)


def test_hub_model_without_network(monkeypatch, tmp_path):
    """A child process: the hub's library reads its settings when it is imported."""
    code = (
        "from workbench.core.profile import EncoderSection\nfrom workbench.encoders.model import resolve_model\n"
        "try: resolve_model(EncoderSection(model='no-such-owner/no-such-model'))\n"
        "except Exception as e: print(type(e).__name__, e)"
    )
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=True, timeout=120)
    assert done.stdout.startswith("UsageError no-such-owner/no-such-model: the model is not in the local cache")


def test_hub_model_from_the_local_cache(model, tmp_path, monkeypatch):
    """What an earlier download left behind is used without a network."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    repo = tmp_path / "hub" / "models--owner--tiny"
    (repo / "refs").mkdir(parents=True)
    (repo / "refs" / "main").write_text(commit, encoding="utf-8")
    copied(model("bert"), repo / "snapshots" / commit)
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    spec = resolve("owner/tiny")
    assert (spec.name, spec.revision, spec.dim) == ("owner/tiny", commit, 32)
    assert spec.identity["model"] == "owner/tiny"


def test_truncated_vectors_are_the_beginning_scaled_again(model):
    folder = model("bert")
    whole, short = resolve(folder), resolve(folder, truncate_dim=8)
    assert short.dim == 8 and short.identity["dim"] == "8" != whole.identity["dim"]
    texts = ["rivers run to the sea", "a lazy dog"]
    vectors = embed_texts(texts, str(folder), dtype="fp32")[:, :8]
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    assert np.allclose(embed_texts(texts, str(folder), dtype="fp32", truncate_dim=8), vectors, atol=1e-6)
    assert resolve(folder, truncate_dim=whole.dim).identity == whole.identity
    with pytest.raises(UsageError, match=f"the model's vectors have {whole.dim} values"):
        resolve(folder, truncate_dim=whole.dim + 1)


def test_truncation_says_whether_the_card_knows_of_it(model, tmp_path):
    folder = copied(model("bert"), tmp_path / "m")
    assert "does not say" in resolve(folder, truncate_dim=8).notes[-1]
    (folder / "README.md").write_text("Trained with MatryoshkaLoss.", encoding="utf-8")
    assert resolve(folder, truncate_dim=8).notes[-1].endswith("are kept")
