"""ceilings, tune and plan as a user types them, on a small real input and a simulated device."""

import json

import pytest

from tests.engine.harness import corpus
from tests.tiny_models import tiny_bert
from workbench.cli.main import main


@pytest.fixture
def words(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    tiny_bert(tmp_path / "m")
    settings = ["encoder.engine=simulated", f"encoder.model={tmp_path / 'm'}", "encoder.tokens_per_second=30000",
                "encoder.token_budget=2048", "pipeline.workers=1"]
    return [str(corpus(tmp_path / "c.jsonl", 1200)), *[w for s in settings for w in ("--set", s)]]


def test_plan_says_how_many_workers(words, capsys):
    assert main(["plan", *words, "--device-speed", "1x", "1k", "900M", "--seconds", "0.1", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    same, slow, monster = made["devices"]
    assert slow["workers"] == 1 and slow["reached"] == 1000.0
    assert monster["workers"] is None and monster["reached"] == pytest.approx(made["most_tokens_per_second"])
    assert same["device"] == made["device_tokens_per_second"]


def test_ceilings_are_shown_with_bars(words, capsys):
    assert main(["ceilings", *words, "--seconds", "0.1", "--no-run"]) == 0
    shown = capsys.readouterr().out
    assert "encoder" in shown and "CPU cores" in shown and "◀ lowest" in shown and "█" in shown


def test_tune_writes_a_profile_that_profile_takes(words, capsys):
    assert main(["tune", *words, "--trials", "2", "--seconds", "2.5", "--save", "mine", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["tokens_per_second"] > 0 and 1 <= len(made["trials"]) <= 2
    assert main(["profiles", "mine"]) == 0
    assert "simulated" in capsys.readouterr().out


@pytest.mark.parametrize("wrong", [
    ["plan", "--device-speed", "fast"], ["ceilings", "--seconds", "0"], ["tune", "--trials", "0"],
    ["tune", "--floor", "2"], ["tune", "--save", "a/b"], ["plan", "gone.jsonl"], ["ceilings", "--chunks", "x"],
])
def test_wrong_words_are_one_line_and_exit_code_2(wrong, capsys):
    assert main(wrong) == 2
    err = [line for line in capsys.readouterr().err.splitlines() if line.startswith("workbench:")]
    assert len(err) == 1
