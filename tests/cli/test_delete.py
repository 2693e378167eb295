"""`workbench delete --restore`: what was deleted can be had back, and is said to."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cli.made import make_collection
from workbench.cli.main import main
from workbench.collection.input_state import InputState, read_state, state_part
from workbench.collection.store import Store
from workbench.core import paths


@pytest.fixture
def collection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(paths.HOME_VARIABLE, str(tmp_path / "home"))
    return make_collection(tmp_path / "a.collection")


def test_restore_forgets_all_deletions_and_what_the_input_was(
    collection: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["delete", "--in", str(collection)]
    assert main([*words, "--restore"]) == 2
    assert "no run has completed" in capsys.readouterr().err
    store = Store(collection)
    manifest = store.load()
    part = state_part(store, manifest, InputState("content", "place", "how", {"d0": "x"}))
    store.publish(replace(manifest, number=manifest.number + 1, derived=(part,)))
    assert main([*words, "--doc", "d0", "--chunk", "0-2", "--yes"]) == 0
    assert main([*words, "--doc", "d1", "--yes"]) == 0
    capsys.readouterr()
    assert main([*words, "--restore"]) == 0
    assert "what the input still has of 6 deleted chunks" in capsys.readouterr().out
    state = read_state(store, store.load())
    assert state is not None and (state.identity, state.place, state.documents) == ("", "place", {})
    assert main([*words, "--restore", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["restored"] == 0
    assert store.load().rows == 9  # they come with the next run, not before


def test_restore_stands_alone(collection: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--doc", "d0"], ["--dry-run"], ["--where", "doc = 'd0'"]):
        assert main(["delete", "--in", str(collection), "--restore", *words]) == 2
        assert "--restore goes with no other option" in capsys.readouterr().err


def test_the_help_says_that_they_stay_away_and_how_they_come_back(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["delete", "--help"])
    out = capsys.readouterr().out
    assert "No later run brings them back" in out and "--restore" in out
