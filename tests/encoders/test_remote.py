"""The remote engine against a real HTTP server in this process."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from tests.embedding_server import serve, vector
from workbench.core.activity import NullMeter
from workbench.core.errors import RunFailed, UsageError
from workbench.core.profile import EncoderSection
from workbench.encoders import endpoint_client
from workbench.encoders.base import Distant, TokenBatch
from workbench.encoders.embed import Embedder
from workbench.encoders.endpoint import endpoint_of
from workbench.encoders.model import resolve_model

TEXTS = ["Rivers run", "", "天地玄黄 😀", "a", "Ä long one " * 40]


def unit(row):
    found = np.array(vector(row), np.float32)
    return found / np.linalg.norm(found)


def embedder(model, address, **more):
    known = {"engine": "remote", "endpoint": address, "endpoint_model": "served", "template": "{text}", **more}
    return Embedder(str(model("bert")), **known)


@pytest.fixture
def quick(monkeypatch):
    """Pauses between tries too short to wait for."""
    monkeypatch.setattr(endpoint_client, "_FIRST_PAUSE", 0.01)


@pytest.mark.parametrize("path", ["/v1", "/embed"])
def test_texts_are_sent_as_they_are_and_vectors_come_back_in_order(model, path):
    with serve() as (address, how):
        made = embedder(model, address + path, request_rows=2)
        found = made.embed(TEXTS)
        made.close()
    kept = how.seen[2:]  # after one probe to learn the length and one when it was loaded
    sent = [row for body in kept for row in body.get("inputs", body.get("input"))]
    assert len(kept) == 3 and set(sent) >= {"Rivers run", " ", "天地玄黄 😀", "a"}
    long = max(sent, key=len)
    assert len(long) < len(TEXTS[4]) and TEXTS[4].startswith(long)  # cut where the model stops reading
    for row, text in enumerate(TEXTS[:4]):
        np.testing.assert_allclose(found[row], unit(text or " "), atol=1e-6)
    assert ("model" in kept[0]) == (path == "/v1")


def test_token_ids_can_be_sent_instead(model):
    with serve() as (address, how):
        made = embedder(model, address, payload="tokens")
        found = made.embed(["Rivers run"])
        ids = made.tokeniser.encode(["Rivers run"]).ids.tolist()
        made.close()
    assert how.seen[-1]["input"] == [ids]
    np.testing.assert_allclose(found[0], unit(ids), atol=1e-6)


def test_several_requests_are_under_way_at_once(model):
    with serve(latency=0.05) as (address, how):
        made = embedder(model, address, requests=3, request_rows=1, token_budget=64)
        made.embed([f"text {n}" for n in range(24)])
        made.close()
    assert how.most_at_once == 3


def test_pending_batches_say_when_they_are_there(model):
    with serve() as (address, how):
        made = embedder(model, address)
        made.embed(["the first request goes alone and is waited for"])
        tokens = made.tokeniser.encode(["a"])
        how.latency = 0.5
        pending = made.encoder.submit(TokenBatch(tokens.ids, tokens.lengths, 0, ("a",)), NullMeter())
        assert isinstance(pending, Distant) and not pending.done()
        pending.vectors()
        assert pending.done()
        made.close()


@pytest.mark.parametrize("trouble", [[503, 429, 500], [0], [0, 502]])
def test_what_passes_is_tried_again(model, quick, trouble):
    with serve() as (address, how):
        made = embedder(model, address)
        how.trouble = list(trouble)
        np.testing.assert_allclose(made.embed(["a"])[0], unit("a"), atol=1e-6)
        made.close()
    assert how.trouble == []


@pytest.mark.parametrize(("trouble", "said"), [
    ([503] * 9, r"no answer in 3 tries \(HTTP 503\)"), ([400], "HTTP 400, trouble 400"), ([301], "HTTP 301"),
])
def test_what_does_not_pass_ends_with_one_line(model, quick, trouble, said):
    with serve() as (address, how):
        made = embedder(model, address, retries=2)
        how.trouble = trouble
        with pytest.raises(RunFailed, match=said) as failed:
            made.embed(["a", "b"])
        made.close()
    assert address in str(failed.value) and "\n" not in str(failed.value)


def test_a_server_that_is_not_there_is_named(model, quick):
    with serve() as (address, _):
        pass
    with pytest.raises(RunFailed, match="no answer in 3 tries"):
        embedder(model, address)


def test_a_server_that_never_answers_does_not_hold_the_process(model, quick):
    with serve() as (address, how):
        made = embedder(model, address, timeout_seconds=0.2, retries=1)
        how.latency = 1.5
        with pytest.raises(RunFailed, match=r"nothing came within 0\.2 s"):
            made.embed(["a"])
        made.close()


@pytest.mark.parametrize("answer", [b"no json", b"[]", b'{"data": []}', b'{"data": [{"index": 0, "embedding": "x"}]}',
                                    b'{"data": [{"index": 0, "embedding": [1e999]}]}'])
def test_nonsense_is_refused(model, answer):
    with serve() as (address, how):
        made = embedder(model, address)
        how.answer = answer
        with pytest.raises(RunFailed, match="answered with"):
            made.embed(["a"])
        made.close()


def test_the_key_comes_from_the_environment_and_is_kept_nowhere(model, monkeypatch):
    monkeypatch.setenv("SOME_KEY", "s3cret")
    with serve(key="s3cret") as (address, _):
        made = embedder(model, address, key_variable="SOME_KEY")
        assert made.embed(["a"]).shape == (1, 16)
        assert "s3cret" not in repr(made.spec) + repr(made.info)
        made.close()
        with pytest.raises(RunFailed, match="HTTP 401, no key"):
            embedder(model, address)
        monkeypatch.delenv("SOME_KEY")
        with pytest.raises(UsageError, match="SOME_KEY: holds no API key"):
            embedder(model, address, key_variable="SOME_KEY")


def test_identity_is_that_of_the_served_model(model):
    with serve() as (address, how):
        section = EncoderSection(model=str(model("bert")), engine="remote", endpoint=address + "/embed")
        spec = resolve_model(section)
        assert (spec.dim, spec.name, spec.identity["model"], spec.payload) == (16, *["acme/served@abc123"] * 2, "text")
        assert spec.identity["engine"] == "remote" and "127.0.0.1" not in repr(spec.identity)
        how.dim = 24
        assert resolve_model(section).identity["dim"] == "24"


@pytest.mark.parametrize(("keys", "said"), [
    ({"endpoint": ""}, "is no address"), ({"endpoint": "ftp://x/embed"}, "is no address"),
    ({"endpoint": "http://x:99999/embed"}, "is no address"),
    ({"endpoint": "https://me:pw@x/embed"}, "would be kept with the collection"),
    ({"endpoint": "http://x/v1"}, "must be told which model"),
])
def test_wrong_settings_are_refused(keys, said):
    with pytest.raises(UsageError, match=said) as refused:
        endpoint_of(EncoderSection(engine="remote", **keys))
    assert "pw" not in str(refused.value)


@pytest.mark.parametrize(("address", "protocol", "url"), [
    ("http://h:1", "auto", "http://h:1/v1/embeddings"), ("http://h/v1/", "auto", "http://h/v1/embeddings"),
    ("http://h/x/embeddings", "auto", "http://h/x/embeddings"), ("http://h", "tei", "http://h/embed"),
    ("http://h/p/embed", "auto", "http://h/p/embed"), ("https://h/v1?api-version=2", "openai",
                                                       "https://h/v1/embeddings?api-version=2"),
])
def test_addresses(address, protocol, url):
    section = EncoderSection(engine="remote", endpoint=address, protocol=protocol, endpoint_model="m")
    assert endpoint_of(section).url == url


def test_torch_is_not_loaded(model):
    with serve() as (address, _):
        code = (
            "import sys\nfrom workbench.encoders.embed import embed_texts\n"
            f"print(embed_texts(['a'], {str(model('bert'))!r}, engine='remote', endpoint={address!r},"
            " endpoint_model='m').shape)\nassert 'torch' not in sys.modules and 'transformers' not in sys.modules\n"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["(1,", "16)"]
