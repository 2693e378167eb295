"""Hybrid search, folding, neighbours, more-like-this, damage: the searcher in this process."""

from __future__ import annotations

import numpy as np
import pytest

from tests.search import making
from workbench.collection import text_build
from workbench.core.errors import RunFailed, UsageError
from workbench.search.searcher import Searcher
from workbench.search.values import Answer, Query


def with_text(path, maker):
    writer = making.open_writer(path, maker)
    text_build.update(writer)
    writer.close()
    return path


@pytest.fixture
def ask(tmp_path, maker):
    path = with_text(making.make(tmp_path / "c", maker), maker)
    searcher = Searcher([path], threads=1)

    def ask(text: str = "", **options: object) -> Answer:
        vector = maker.embed([text], "query")[0].astype(np.float32).tobytes() if text else b""
        return searcher.answer(Query(text, vector=vector, **options))

    return ask


def ids(answer: Answer) -> list[str]:
    return [hit.chunk_id for hit in answer]


def test_hybrid_is_the_default_and_says_why(ask):
    answer = ask(making.TEXTS[0], k=3)
    assert answer.mode == "hybrid"
    assert ids(answer)[0] == "c0"
    hit = answer[0]
    assert hit.dense is not None and hit.lexical is not None and hit.lexical > 0
    assert hit.snippet == making.TEXTS[0]
    assert [hit.snippet[a:b] for a, b in hit.marks] == ["gzip", "compresses", "a", "file"]


@pytest.mark.parametrize("fusion", ["coverage", "reciprocal"])
def test_both_fusions_find_what_both_searches_put_first(ask, fusion):
    assert ids(ask(making.TEXTS[2], k=1, fusion=fusion)) == ["c2"]


def test_hybrid_returns_k_even_when_no_word_matches(ask):
    assert len(ask("zzz qqq", k=7)) == 7


def test_lexical_alone(ask):
    answer = ask("zlib data", mode="lexical", k=5)
    assert ids(answer) == ["c1"] and answer[0].dense is None


@pytest.mark.parametrize("mode", ["hybrid", "dense", "lexical"])
@pytest.mark.parametrize(
    ("where", "left"), [("year = 1907", ["c7"]), ("year < 1900", []), ("doc in ('d0','d3')", None)]
)
def test_filters_act_before_the_search_in_every_mode(ask, mode, where, left):
    answer = ask("the Fuchs compresses rivers to open birds", mode=mode, where=where, k=4)
    expected = ["c0", "c1", "c6", "c7"] if left is None else left
    found = set(ids(answer))
    assert found <= set(expected)
    if mode != "lexical":
        assert found == set(expected)
    assert ("the filter lets no chunk through" in answer.notes) == (not expected)


def test_a_deleted_chunk_is_found_by_no_mode(tmp_path, maker):
    path = with_text(making.make(tmp_path / "c", maker), maker)
    writer = making.open_writer(path, maker)
    writer.delete({0: [2]})
    writer.close()
    searcher = Searcher([path])
    vector = maker.embed([making.TEXTS[2]])[0].astype(np.float32).tobytes()
    for mode in ("hybrid", "dense", "lexical"):
        assert "c2" not in ids(searcher.answer(Query(making.TEXTS[2], k=10, mode=mode, vector=vector)))


def test_chunks_of_equal_content_are_folded_and_still_k_come_back(tmp_path, maker):
    texts = ["again and again"] * 5 + making.TEXTS[:5]
    path = with_text(making.make(tmp_path / "c", maker, texts), maker)
    searcher = Searcher([path])
    vector = maker.embed(["again and again"])[0].astype(np.float32).tobytes()
    query = Query("again and again", k=3, vector=vector)
    folded = searcher.answer(query)
    assert len(folded) == 3 and len({hit.text for hit in folded}) == 3
    assert folded[0].duplicates == ("c1", "c2", "c3", "c4")
    everything = searcher.answer(Query("again and again", k=10, vector=vector))
    assert len(everything) == 10  # more than are distinct: the others fill up
    assert not any(hit.duplicates for hit in everything)  # and are not named a second time
    plain = searcher.answer(Query("again and again", k=3, vector=vector, fold=False))
    assert {hit.text for hit in plain} == {"again and again"}


def test_more_like_this_leaves_the_chunk_itself_out(ask):
    for mode in ("", "hybrid", "lexical"):
        answer = ask(like="c4", k=3, mode=mode)
        assert "c4" not in ids(answer)
    assert len(ask(like="c4", k=20)) == len(making.TEXTS) - 1
    with pytest.raises(UsageError, match="no chunk 'nope'"):
        ask(like="nope")


def test_like_takes_the_chunk_as_it_is_now(tmp_path, maker):
    """A chunk whose text was changed is written again under its id, and its old row is deleted."""
    path = making.make(tmp_path / "c", maker)
    writer = making.open_writer(path, maker)
    for unit, text in ((50, "changed once"), (51, making.TEXTS[8])):
        making.add_unit(writer, unit, making.table([text], 2), maker.embed([text]))
    writer.delete({0: [2], 3: [0]})
    writer.close()
    searcher = Searcher([path])
    answer = searcher.answer(Query(like="c2", k=1, fold=False))
    assert ids(answer) == ["c8"]  # of the same text as c2 now
    writer = making.open_writer(path, maker)
    writer.delete({4: [0]})
    writer.close()
    searcher._refresh()
    with pytest.raises(UsageError, match="no chunk 'c2'"):
        searcher.answer(Query(like="c2"))


def test_a_threshold_leaves_out_what_scores_less(ask):
    every = ask(making.TEXTS[0], k=10, mode="dense")
    least = every[3].score
    assert [hit.score >= least for hit in ask(making.TEXTS[0], k=10, mode="dense", min_score=least)] == [True] * 4
    nothing = ask(making.TEXTS[0], k=10, mode="dense", min_score=9.0)
    assert len(nothing) == 0 and f"the best has {every[0].score:.3f}" in nothing.notes[-1]


def test_without_a_text_index_hybrid_is_dense_and_lexical_explains(tmp_path, maker):
    searcher = Searcher([making.make(tmp_path / "c", maker)])
    vector = maker.embed(["x"])[0].astype(np.float32).tobytes()
    answer = searcher.answer(Query("x", vector=vector))
    assert answer.mode == "dense" and any("no text index yet" in note for note in answer.notes)
    with pytest.raises(UsageError, match="index --text"):
        searcher.answer(Query("x", mode="lexical"))


def test_while_a_run_adds_chunks_words_still_find_the_others(tmp_path, maker):
    """A run commits shards that the text index holds only when it has ended."""
    path = with_text(making.make(tmp_path / "c", maker), maker)
    writer = making.open_writer(path, maker)
    new = "zlib in the newest chunk"
    making.add_unit(writer, 9, making.table([new], 90), maker.embed([new]))
    writer.close()
    searcher = Searcher([path], threads=1)

    def ask(text, **options):
        return searcher.answer(Query(text, vector=maker.embed([text])[0].astype(np.float32).tobytes(), **options))

    lexical = ask("zlib", mode="lexical")
    assert ids(lexical) == ["c1"]
    hybrid = ask(new, k=11)
    assert hybrid.mode == "hybrid" and len(hybrid) == 11
    scores = {hit.chunk_id: hit.lexical for hit in hybrid}
    assert scores["c1"] > 0 and scores["c0"] == 0 and scores["c90"] is None
    for answer in (lexical, hybrid, ask("zlib", fusion="reciprocal")):
        assert [note for note in answer.notes if "the newest chunk is searched by vectors only" in note]
    assert ask("zlib", mode="dense").notes == ()
    assert ids(ask("zlib", where="chunk = 'c90'")) == ["c90"]
    assert ids(ask("zlib", mode="lexical", where="chunk = 'c90'")) == []
    assert ids(searcher.answer(Query(like="c90", k=1, mode="lexical"))) == ["c1"]
    with_text(path, maker)
    searcher._refresh()
    assert set(ids(ask("zlib", mode="lexical"))) == {"c1", "c90"}
    assert ask("zlib").notes == ()


def test_a_lost_text_index_is_one_note(tmp_path, maker):
    path = with_text(making.make(tmp_path / "c", maker), maker)
    next((path / "text").rglob("*.idx")).unlink()
    vector = maker.embed(["x"])[0].astype(np.float32).tobytes()
    answer = Searcher([path]).answer(Query("x", vector=vector))
    (note,) = answer.notes
    assert answer.mode == "dense" and ".idx" in note and "searched by vectors alone" in note
    assert Searcher([path]).answer(Query("x", vector=vector, mode="dense")).notes == ()


def test_a_damaged_shard_is_named_and_the_rest_stays_searchable(tmp_path, maker):
    path = making.make(tmp_path / "c", maker)
    victim = path / "shards" / "00000001.chunks.parquet"
    data = bytearray(victim.read_bytes())
    data[8:200] = bytes(192)  # of the right size: only reading shows it
    victim.write_bytes(data)
    (path / "shards" / "00000002.vectors.arrow").write_bytes(b"cut")
    searcher = Searcher([path])
    vector = maker.embed(["anything"])[0].astype(np.float32).tobytes()
    answer = searcher.answer(Query("anything", vector=vector, k=10))
    assert {"c0", "c1", "c2", "c3"} == set(ids(answer))
    assert any("00000001.chunks.parquet" in note for note in answer.notes)
    assert any("00000002.vectors.arrow is cut short" in note for note in answer.notes)


def overwritten(file, begin, end):
    data = bytearray(file.read_bytes())
    data[begin:end] = bytes(len(data[begin:end]))  # of the right size: only reading shows it
    file.write_bytes(data)


@pytest.mark.parametrize(("kind", "begin", "end"), [
    ("chunks.parquet", 8, 200), ("chunks.parquet", -300, None),
    ("vectors.arrow", 0, 400), ("vectors.arrow", -200, None),
])
@pytest.mark.parametrize("options", [
    {}, {"mode": "dense"}, {"mode": "lexical"}, {"where": "year >= 1900"}, {"ids_only": True}, {"like": "c0"},
    {"fold": False}, {"neighbours": 2},
])
def test_whatever_is_asked_a_damaged_shard_hides_only_its_own_chunks(tmp_path, maker, kind, begin, end, options):
    path = with_text(making.make(tmp_path / "c", maker), maker)
    overwritten(path / "shards" / f"00000001.{kind}", begin, end)
    searcher = Searcher([path], threads=1)
    text = making.TEXTS[0]
    vector = b"" if "like" in options else maker.embed([text])[0].astype(np.float32).tobytes()
    # More than the other shards hold, so that the damaged one is asked too, wherever its rows rank.
    answer = searcher.answer(Query("" if "like" in options else text, k=7, vector=vector, **options))
    lexical = options.get("mode") == "lexical"
    others = {"c0", "c1", "c2", "c3", "c8", "c9"} - {options.get("like")}
    if lexical and kind == "vectors.arrow":
        others |= {f"c{n}" for n in range(10)}  # words need no vectors
        assert "c0" in ids(answer)
    elif lexical:
        assert set(ids(answer)) <= others and "c0" in ids(answer)
    else:
        assert set(ids(answer)) == others
        assert sum(f"00000001.{kind}" in note for note in answer.notes) == 1


def test_damaged_deletions_hide_the_shard_rather_than_bring_rows_back(tmp_path, maker):
    path = making.make(tmp_path / "c", maker)
    writer = making.open_writer(path, maker)
    writer.delete({0: [2]})
    writer.close()
    (file,) = (path / "deletions").iterdir()
    overwritten(file, 0, 1)
    answer = Searcher([path]).answer(Query(vector=maker.embed(["x"])[0].astype(np.float32).tobytes(), k=10))
    assert set(ids(answer)) == {f"c{n}" for n in range(4, 10)}
    assert any("deletions/" in note and "SHA-256" in note for note in answer.notes)


def test_nothing_readable_is_an_error(tmp_path, maker):
    path = making.make(tmp_path / "c", maker, making.TEXTS[:3])
    overwritten(path / "shards" / "00000000.chunks.parquet", 8, 200)
    with pytest.raises(RunFailed, match=r"00000000\.chunks\.parquet: cannot be read"):
        Searcher([path]).answer(Query(vector=maker.embed(["x"])[0].astype(np.float32).tobytes()))


def test_ids_alone(ask):
    answer = ask(making.TEXTS[5], k=4, ids_only=True)
    assert answer[0].chunk_id == "c5" and answer[0].doc_id == "d2" and answer[0].text == ""
