"""`workbench index --tune`: what is tried, shown, picked and built."""

from __future__ import annotations

import json

import pytest

from tests.cli.made import make_collection
from workbench.cli.main import main
from workbench.cli.tuning import pick, plot
from workbench.collection.index_tune import Trial
from workbench.core import paths

TRIALS = [
    Trial("Flat", 1000, 1.0, 1.0, 4.0, 5.0, 0.0, 640.0),
    Trial("SQ8", 1000, 0.999, 0.98, 2.0, 3.0, 0.5, 320.0),
    Trial("RaBitQ", 1000, 0.991, 0.7, 1.0, 2.0, 0.5, 64.0),
    Trial("PQ", 1000, 0.9, 0.5, 0.5, 1.0, 0.5, 80.0),
    Trial("IVF", 1000, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, "too few vectors"),
]


@pytest.mark.parametrize(("target", "prefer", "kind"), [
    (0.99, "fastest", "RaBitQ"), (0.995, "fastest", "SQ8"), (0.995, "smallest", "SQ8"), (1.0, "smallest", "Flat"),
    (0.8, "fastest", "PQ"), (0.8, "smallest", "RaBitQ"),
])
def test_the_target_picks(target, prefer, kind):
    assert pick(TRIALS, target, prefer).kind == kind


def test_nothing_is_picked_that_misses_the_target():
    assert pick(TRIALS[2:], 0.999, "fastest") is None


def test_the_plot_has_recall_upwards_and_time_to_the_right():
    lines = plot(TRIALS)
    place = {sign: (n, line.index(sign)) for n, line in enumerate(lines[1:-2]) for sign in "ABCD" if sign in line}
    assert place["A"][0] <= place["B"][0] < place["D"][0]  # recall 1, 0.999, 0.9
    assert place["D"][1] < place["C"][1] < place["B"][1] < place["A"][1]  # 0.5, 1, 2, 4 ms
    assert "E" not in "".join(lines[1:-2])  # could not be built
    assert lines[1].startswith("1.0000") and "0.9000" in lines[-3]
    assert "0.50 ms" in lines[-1] and "4.00 ms" in lines[-1]


def test_kinds_at_one_place_are_all_seen():
    twins = [Trial(name, 10, 1.0, 1.0, 1.0, 1.0, 0.0, 1.0) for name in ("a", "b", "c")]
    assert "ABC" in "".join(plot(twins))


def test_table_plot_choice_and_index(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv(paths.HOME_VARIABLE, str(tmp_path / "home"))
    collection = make_collection(tmp_path / "c.collection", rows=60)
    words = ["index", "--in", str(collection), "--tune", "--kinds", "Flat,SQ8,Matryoshka", "--target", "0.9"]
    picture = tmp_path / "plot.svg"
    assert main([*words, "--plot", str(picture)]) == 0
    out = capsys.readouterr().out
    for title in ("recall@10", "alone", "p50", "p99", "built in", "a vector"):
        assert title in out
    assert "Matryoshka-" in out and "└──" in out and "recall@10 ≥ 0.9, fastest: " in out
    assert picture.read_bytes().lstrip().startswith(b"<?xml")
    assert main([*words, "--prefer", "smallest", "--apply", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["prefer"] == "smallest" and found["index"]["kind"] == found["chosen"]
    assert {"recall_alone", "p99_ms", "build_seconds", "bytes_per_vector"} <= found["trials"][0].keys()
