"""`workbench search`, `eval`, `delete`, `compact` as a user types them."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from tests.search import making
from workbench.cli.eval import in_words
from workbench.cli.main import main
from workbench.cli.search import _balanced, _marked, _painted, read_batch
from workbench.core.errors import UsageError
from workbench.search import upkeep
from workbench.search.evaluation import compare
from workbench.search.values import Hit


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    model = making.model(folder / "tiny")
    path = making.make(folder / "c", making.embedder(model))
    upkeep.build_text_index(path)
    return path, model


@pytest.fixture
def search(place, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    path, model = place

    def run(*words: str, command: str = "search") -> tuple[int, str, str]:
        where = ["--in", str(path)] if command == "search" else [str(path)]
        code = main([command, *words, *where, "--model", str(model)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_json_has_the_documented_fields(search):
    code, out, _ = search("zlib compresses", "data in memory", "-k", "2", "--json", "--where", "year < 1905")
    found = json.loads(out)
    assert code == 0
    assert found["query"] == making.TEXTS[1] and found["mode"] == "hybrid" and len(found["hits"]) == 2
    hit = found["hits"][0]
    assert (hit["rank"], hit["chunk_id"], hit["doc_id"], hit["text"]) == (1, "c1", "d0", making.TEXTS[1])
    assert (hit["title"], hit["place"], hit["metadata"]) == ("", "notes/0.md:2", {"year": 1901})
    assert hit["snippet"][slice(*hit["marks"][0])] == "zlib"


def test_people_see_rank_bar_place_and_marks(search):
    code, out, _ = search("zlib data", "-k", "1", "--mode", "lexical")
    assert code == 0
    assert out.splitlines()[0].startswith(" 1. ██████████ ") or out.startswith("1. ██████████ ")
    assert "notes/0.md:2" in out and "*zlib* compresses *data*" in out


def test_a_batch_is_answered_in_one_object(search, tmp_path):
    file = tmp_path / "queries.jsonl"
    file.write_text('{"_id": "q1", "text": "rivers sea"}\n\n"birds dawn"\n{"query": "lazy dog"}\n', encoding="utf-8")
    _, out, _ = search("--batch", str(file), "--json", "--mode", "lexical", "-k", "1")
    found = json.loads(out)["queries"]
    assert [one["id"] for one in found] == ["q1", "3", "4"]
    assert [one["hits"][0]["chunk_id"] for one in found] == ["c2", "c9", "c3"]


@pytest.mark.parametrize(("words", "said"), [
    ((), "the query is empty"), (("x", "-k", "0"), "is not a whole number"),
    (("x", "--where", "a ="), "  a =\n     ^"),
    (("x", "--where", "year = 99999999999999999999"), "beyond those of year"),
    (("x", "--path", "[z-a]*"), "'[z-a]*' is no pattern"), (("x", "--like", "c1"), "a text and a chunk to be like"),
    (("x", "--where", "nope = 1"), "The fields are: chunk_id"), (("x", "--batch", "f"), "a query and --batch"),
])
def test_wrong_use_is_one_clear_complaint(search, words, said):
    code, out, err = search(*words)
    assert code == 2 and out == "" and said in err


def test_doc_path_and_where_all_hold(search):
    _, out, _ = search("x", "--doc", "d2", "--path", "notes/*", "--where", "year = 1904 or year = 1", "--json")
    assert [hit["chunk_id"] for hit in json.loads(out)["hits"]] == ["c4"]


@pytest.mark.parametrize(("content", "said"), [
    ("", "holds no query"), ("{", "line 1: is not JSON"), ('"a"\n[1]', "line 2: is neither text nor an object"),
    ('{"x": 1}', "has neither text nor query"), ('{"text": " "}', "the query is empty"),
])
def test_a_batch_that_cannot_be_read_names_the_line(tmp_path, content, said):
    file = tmp_path / "q.jsonl"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(UsageError, match=said):
        read_batch(file)


def test_a_mark_over_the_end_of_a_line_is_closed_and_opened_again():
    hit = Hit(1, 1.0, "c", "d", "", "", "", {}, "", "", 0, snippet="one two three", marks=((4, 13),))
    lines = _marked(hit).replace("two ", "two\n").split("\n")
    assert [_painted(line, colour=False) for line in _balanced(lines)] == ["one *two*", "*three*"]


def test_of_several_collections_each_hit_says_its_own(search, place, tmp_path):
    other = shutil.copytree(place[0], tmp_path / "other")
    _, out, _ = search("zlib data", "-k", "2", "--mode", "lexical", "--in", str(other), "--all")
    assert "notes/0.md:2  in other" in out and "notes/0.md:2  in c" in out


def test_eval_gives_the_fixed_keys_and_compares(search, tmp_path):
    queries, qrels = tmp_path / "queries.jsonl", tmp_path / "test.tsv"
    lines = [json.dumps({"_id": f"q{n}", "text": text}) for n, text in enumerate(making.TEXTS[:6])]
    queries.write_text("\n".join(lines), encoding="utf-8")
    rows = [f"q{n}\td{n // 2}\t1" for n in range(6)]
    qrels.write_text("\n".join(["query-id\tcorpus-id\tscore", *rows]), encoding="utf-8")
    files = ["--queries", str(queries), "--qrels", str(qrels)]
    _, out, _ = search(*files, "--json", "--mode", "dense", "--against-mode", "lexical", "--per-query", command="eval")
    found = json.loads(out)
    keys = {"ndcg@10", "recall@10", "recall@100", "mrr@10", "queries", "p50_ms", "p99_ms"}
    assert keys <= set(found)
    assert (found["ndcg@10"], found["queries"], found["mode"]) == (1.0, 6, "dense")
    assert found["against"]["mode"] == "lexical" and found["comparison"]["mrr@10"]["p"] > 0.05
    assert found["per_query"]["q3"]["mrr@10"] == 1.0
    _, out, _ = search(*files, "--json", "--mode", "dense", command="eval")
    assert set(json.loads(out)) == keys
    _, out, _ = search(*files, "--mode", "dense", "--against-mode", "dense", command="eval")
    assert "they are equal on every query" in out


def test_judgements_of_another_corpus_are_told(search, tmp_path):
    queries, qrels = tmp_path / "queries.jsonl", tmp_path / "test.tsv"
    queries.write_text(json.dumps({"_id": "q", "text": making.TEXTS[0]}), encoding="utf-8")
    qrels.write_text("query-id\tcorpus-id\tscore\nq\tsomewhere else\t1", encoding="utf-8")
    _, out, err = search("--queries", str(queries), "--qrels", str(qrels), "--json", command="eval")
    assert json.loads(out)["recall@100"] == 0 and "must be the doc_id" in err


def test_eval_takes_the_collection_with_in_as_other_commands_do(search, place, tmp_path):
    queries, qrels = tmp_path / "queries.jsonl", tmp_path / "test.tsv"
    queries.write_text(json.dumps({"_id": "q", "text": making.TEXTS[0]}), encoding="utf-8")
    qrels.write_text("query-id\tcorpus-id\tscore\nq\td0\t1", encoding="utf-8")
    words = ["--queries", str(queries), "--qrels", str(qrels), "--model", str(place[1]), "--mode", "lexical"]
    assert main(["eval", "--in", str(place[0]), *words]) == 0
    code, _, err = search("--in", str(place[0]), *words, command="eval")
    assert code == 2 and "the collection was given twice" in err


def test_a_comparison_in_words():
    rng = np.random.default_rng(0)
    one = rng.random(80)
    assert "the other is better by 0.200" in in_words(compare("ndcg@10", one, one + 0.2))
    assert "the other is worse by 0.200" in in_words(compare("ndcg@10", one, one - 0.2))
    assert "no difference is shown" in in_words(compare("ndcg@10", one, one + rng.normal(0, 0.05, 80)))
    assert "(p 1.000; 1 query better, 0 worse)" in in_words(compare("ndcg@10", one, [one[0] + 0.1, *one[1:]]))


def test_delete_asks_first_and_compact_gives_the_space_back(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    path = making.make(tmp_path / "c", making.embedder(making.model(tmp_path / "tiny")))
    assert main(["delete", "--in", str(path)]) == 2
    assert "nothing was named to delete" in capsys.readouterr().err
    assert main(["delete", "--in", str(path), "--doc", "d1"]) == 2
    assert "2 chunks would be deleted" in capsys.readouterr().err
    assert main(["delete", "--in", str(path), "--doc", "d1", "--chunk", "c2", "--yes", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["deleted"] == 1
    assert main(["compact", "--in", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 1
