"""The lexical index: what it finds, extending it, damage; compaction."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.search import making
from workbench.collection import text_build
from workbench.collection.compact import compacted
from workbench.collection.manifest import CollectionDamaged
from workbench.collection.reader import Collection
from workbench.collection.store import Store
from workbench.collection.text_index import TextIndex, is_current, open_text_index
from workbench.text.words import spread

TEXTS = [
    "The whale surfaced near the ship", "Whales sing in the deep sea", "A ship sails over the sea", "the the the the",
    "床前明月光疑是地上霜", "舉頭望明月", "Füchse jagen nachts", "zebra " * 30, "the sea the ship", "the end",
]


@pytest.fixture
def maker(tmp_path):
    return making.embedder(making.model(tmp_path / "tiny"))


@pytest.fixture
def path(tmp_path, maker) -> Path:
    return making.make(tmp_path / "c", maker, TEXTS)


def build(path: Path, **options: bool) -> dict[str, object]:
    from workbench.collection.writer import CollectionWriter

    store = Store(path)
    facts = text_build.update(CollectionWriter(store, store.load(), None), **options)
    store.sweep(store.load(), staging=False)
    return facts


def opened(path: Path) -> TextIndex:
    index = open_text_index(Collection.open(path))
    assert index is not None
    return index


def find(path: Path, text: str, k: int = 10, **options: object) -> list[int]:
    return opened(path).search(text, k, **options).ordinals.tolist()


def test_words_are_found_in_any_form_and_script(path):
    facts = build(path)
    assert facts["documents"] == len(TEXTS)
    assert set(find(path, "whale")) == {0, 1}  # stems
    assert find(path, "fuchse") == [6]  # folded
    assert set(find(path, "明月")) == {4, 5}
    assert find(path, "月光") == [4]
    assert find(path, "") == [] and find(path, "?!") == [] and find(path, "unicorn") == []
    assert find(path, "the end")[0] == 9
    assert len(find(path, "the")) == 6  # a word in most chunks is left out only when there are others


def test_scores_fall_and_equal_those_of_single_rows(path):
    build(path)
    index = opened(path)
    found = index.search("ship sea", 10)
    assert (np.diff(found.scores) <= 0).all()
    assert index.scores("ship sea", found.ordinals) == pytest.approx(found.scores)
    assert index.scores("ship sea", np.array([7])) == pytest.approx([0.0])


@pytest.mark.parametrize("hits_per_key", [0, 1_000_000])
def test_a_filter_acts_before_the_search(path, monkeypatch, hits_per_key):
    """Both ways: looking rows up by key, and asking for more hits until there are enough."""
    monkeypatch.setattr("workbench.collection.text_index._HITS_PER_KEY", hits_per_key)
    build(path)
    allowed = np.zeros(len(TEXTS), np.bool_)
    allowed[[2, 7]] = True
    assert find(path, "ship sea zebra whale", k=2, allowed=allowed) and set(
        find(path, "ship sea zebra whale", k=2, allowed=allowed)) == {2, 7}
    assert find(path, "sea", k=1, allowed=allowed) == [2]
    assert find(path, "sea", allowed=np.zeros(len(TEXTS), np.bool_)) == []


def test_extending_indexes_only_what_is_new_and_leaves_the_old_generation_alone(path, maker):
    build(path)
    old = Collection.open(path)
    before = {f: f.read_bytes() for f in (path / "text").rglob("*") if f.is_file() and f.suffix != ".lock"}
    reader = open_text_index(old)
    writer = making.open_writer(path, maker)
    making.add_unit(writer, 77, making.table(["a narwhal appears"], 50), maker.embed(["a narwhal appears"]))
    facts = text_build.update(writer)
    assert not is_current(old.manifest) or writer.manifest.number > old.manifest.number
    assert (facts["documents"], facts["added"]) == (len(TEXTS) + 1, 1)
    assert {f: f.read_bytes() for f in before} == before
    assert reader is not None and reader.search("whale", 5).ordinals.tolist()
    writer.close()
    assert find(path, "narwhal") == [len(TEXTS)]
    assert set(find(path, "whale")) == {0, 1}
    assert text_build.update(making.open_writer(path, maker))["added"] == 1  # nothing to do: kept as it is


@pytest.mark.parametrize("hits_per_key", [0, 1_000_000])
def test_an_index_that_does_not_cover_every_shard_finds_what_it_has(path, maker, monkeypatch, hits_per_key):
    monkeypatch.setattr("workbench.collection.text_index._HITS_PER_KEY", hits_per_key)
    build(path)
    assert opened(path).missing == 0
    writer = making.open_writer(path, maker)
    new = ["a whale again", "another whale"]
    making.add_unit(writer, 77, making.table(new, 50), maker.embed(new))
    writer.delete({3: [1]})
    writer.close()
    index = opened(path)
    assert index.missing == 1  # what can be found
    assert index.holds(np.arange(len(TEXTS) + 2)).tolist() == [True] * len(TEXTS) + [False] * 2
    assert set(index.search("whale", 10).ordinals.tolist()) == {0, 1}
    allowed = np.ones(len(TEXTS) + 2, np.bool_)
    allowed[0] = False
    assert index.search("whale", 10, allowed).ordinals.tolist() == [1]
    allowed[: len(TEXTS)] = False
    found = index.search("whale", 10, allowed)
    assert found.complete and not len(found.ordinals)
    assert index.scores("whale", np.array([1, len(TEXTS)])).tolist() == pytest.approx(
        [float(index.search("whale", 2).scores[-1]), 0.0])
    assert text_build.update(making.open_writer(path, maker))["added"] == 2


def test_an_index_of_nothing_that_is_left_is_none(path, maker):
    build(path)
    writer = making.open_writer(path, maker)
    making.add_unit(writer, 77, making.table(["new"], 50), maker.embed(["new"]))
    writer.drop_units([0, 1, 2])
    writer.close()
    assert open_text_index(Collection.open(path)) is None


def test_documents_of_shards_that_are_gone_take_no_place_among_the_hits(tmp_path, maker):
    """The dead score best, and an extended generation keeps them."""
    texts = ["gull gull gull"] * 30 + ["a line that stays"] + ["one gull and much else besides"] * 10 + ["other"] * 80
    path = making.make(tmp_path / "gulls", maker, texts, unit_rows=31)
    build(path)
    writer = making.open_writer(path, maker)
    writer.delete({0: range(30)})
    writer.close()
    store = Store(path)
    store.publish(compacted(store, store.load(), lambda *_: None)[0])
    facts = build(path)
    assert (facts["documents"], facts["added"]) == (len(texts) + 1, 1)  # the dead are still in it
    index = opened(path)
    alive = set(range(1, 11))
    for k in (1, 5, 10, 50):
        found = index.search("gull", k)
        assert len(found.ordinals) == min(k, 10) and set(found.ordinals.tolist()) <= alive
        assert found.complete == (k >= 10)
    among = np.ones(len(texts) - 30, np.bool_)
    among[:6] = False
    assert set(index.search("gull", 10, among).ordinals.tolist()) == set(range(6, 11))


@pytest.mark.parametrize("k", [10**9, 10**30])
def test_any_k_is_answered(path, k):
    build(path)
    every = np.ones(len(TEXTS), np.bool_)
    for allowed in (None, every):
        assert set(find(path, "whale", k=k, allowed=allowed)) == {0, 1}
    assert len(find(path, "the", k=k)) == 6


def test_a_damaged_generation_is_noticed_and_never_copied_on(path, maker):
    build(path)
    victim = next((path / "text").rglob("*.idx"))
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 4
    victim.write_bytes(data)
    writer = making.open_writer(path, maker)
    making.add_unit(writer, 77, making.table(["new"], 50), maker.embed(["new"]))
    assert text_build.update(writer)["added"] == len(TEXTS) + 1  # built anew from the shards
    part = writer.manifest.derivative("text")
    writer.close()
    (path / next(entry.name for entry in part.files if entry.name.endswith(".term"))).write_bytes(b"short")
    with pytest.raises(CollectionDamaged, match="text index is damaged"):
        open_text_index(Collection.open(path))


def test_compaction_keeps_exactly_the_rows_that_are_left(path, maker):
    writer = making.open_writer(path, maker)
    writer.delete({0: [1, 3], 2: [0, 1]})
    writer.close()
    with Collection.open(path) as collection:
        alive = np.flatnonzero(collection.alive())
        rows = collection.rows(alive).to_pylist()
        vectors = collection.gather(alive)
    store = Store(path)
    manifest, done = compacted(store, store.load(), lambda *_: None)
    store.publish(manifest)
    assert (done.shards, done.rows) == (2, 4) and done.after < done.before
    with Collection.open(path) as collection:
        assert collection.ordinals == collection.count == len(rows) == 6
        assert collection.rows(np.arange(6)).to_pylist() == rows
        np.testing.assert_array_equal(collection.gather(np.arange(6)), vectors)
        assert collection.manifest.units(0) == {0, 1, 2}  # nothing is embedded again


def test_spread():
    assert spread("plain ASCII") == "plain ASCII"
    assert spread("漢字x").split() == ["漢字", "x"]
    assert spread("三個字").split() == ["三個", "個字"]
    assert spread("Ｆｕｌｌ字") == "Full 字 "
