"""Runs side by side."""

import json
import shutil

import pytest

from tests.cli.made import make_collection
from tests.diagnose.scripted import World
from tests.report.recorded import record
from tests.report.test_html import Page
from workbench.cli.main import main
from workbench.report.compare import compared, comparison, differing, facts_table


@pytest.fixture
def runs(tmp_path):
    one = record(tmp_path / "c" / "runs" / "20250101-a", World(workers=1))
    two = record(tmp_path / "c" / "runs" / "20250102-b", World(workers=2), result="stopped")
    (tmp_path / "c" / "CURRENT").write_text("x", encoding="utf-8")
    return tmp_path / "c", one, two


def test_settings_that_differ_and_rates_with_spread(runs):
    _, one, two = runs
    pair = [compared(one), compared(two)]
    assert differing(pair) == [("pipeline.workers", ["1", "2"])]
    shown = dict(facts_table(pair))
    assert shown["limit"] == ["too few workers", "device compute"]
    assert shown["against the fastest"] == ["80 %", "100 %"] and shown["outcome"] == ["done", "stopped"]
    assert pair[1].spread == pytest.approx(0.0, abs=0.02)


def test_the_page_is_whole(runs):
    _, one, two = runs
    page = Page(comparison([compared(one), compared(two)], [
        {"run": "b", "against": "a", "rows": 3, "cosine_mean": 0.9999, "cosine_min": 0.999, "note": ""},
    ]))
    assert page.fetched == [] and "cosine mean 0.99990" in page.text and "pipeline.workers" in page.text


def test_the_commands_find_runs_by_name_folder_and_collection(runs, capsys, tmp_path):
    collection, one, _ = runs
    assert main(["compare", "20250101", str(collection), "--in", str(collection), "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert [run["run"] for run in made["runs"]] == ["20250101-a", "20250102-b"]
    assert made["parity"][0]["note"].startswith("the same collection")
    assert main(["diagnose", str(one / "samples.jsonl"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["change"] == {
        "key": "pipeline.workers", "value": 2, "text": "more workers: 1 → 2",
    }
    assert main(["diagnose", "--in", str(collection)]) == 0
    assert "healthy" in capsys.readouterr().out
    assert main(["report", "20250102-b", "--in", str(collection), "--to", str(tmp_path / "o.html"), "--trace"]) == 0
    assert (tmp_path / "o.html").exists() and (collection / "runs" / "20250102-b" / "trace.json").exists()
    assert main(["compare", str(one), str(one), "--html", str(tmp_path / "c.html")]) == 0
    assert "throughput" in capsys.readouterr().out


@pytest.mark.parametrize("words", [
    ["diagnose", "nothing-like-it"], ["diagnose", "2025"], ["compare", "20250101-a"], ["report", "nothing"],
    ["diagnose", "CURRENT"],
])
def test_wrong_names_are_one_line_and_exit_code_2(runs, words, capsys, monkeypatch):
    collection, *_ = runs
    monkeypatch.chdir(collection)
    assert main([*words, "--in", str(collection)]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_a_run_that_was_killed_is_diagnosed_with_a_note(tmp_path, capsys):
    folder = record(tmp_path / "r", result=None)
    path = folder / "samples.jsonl"
    path.write_bytes(path.read_bytes()[:-40])
    assert main(["diagnose", str(folder)]) == 0
    out = capsys.readouterr().out
    assert "Too few workers" in out and "wrote no result" in out and "could not be read" in out


def test_a_run_that_failed_says_so_and_why(tmp_path, capsys):
    folder = str(record(tmp_path / "r", result="failed"))
    assert main(["diagnose", folder]) == 0
    assert "Note: the run failed: the disk <is> full" in capsys.readouterr().out
    assert main(["diagnose", folder, "--json"]) == 0
    assert "the run failed: the disk <is> full" in json.loads(capsys.readouterr().out)["notes"]


def test_collections_that_were_moved_or_copied_are_compared_where_they_are(tmp_path, capsys, monkeypatch):
    built = make_collection(tmp_path / "built")
    record(built / "runs" / "r")
    copied = shutil.copytree(built, tmp_path / "copied")
    moved = shutil.move(built, tmp_path / "moved")
    monkeypatch.chdir(tmp_path / "moved" / "runs" / "r")
    assert main(["compare", ".", str(copied), "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert [run["collection"] for run in made["runs"]] == [str(moved), str(copied)]
    assert made["parity"][0]["rows"] == 15 and made["parity"][0]["cosine_min"] == pytest.approx(1.0, abs=1e-5)


def test_a_run_outside_of_any_collection_names_the_one_it_built(tmp_path):
    folder = record(tmp_path / "runs" / "r", collection=str(tmp_path / "gone"))
    assert compared(folder).collection == str(tmp_path / "gone")
