"""`workbench profiles`: lists, shows, explains, saves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from workbench.cli.main import main
from workbench.core import paths
from workbench.core.profile_io import explain, flat, load_profile


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(paths.HOME_VARIABLE, str(tmp_path))
    return tmp_path


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profiles"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:4]] == ["fast", "balanced", "quality", "debug"]
    assert main(["profiles", "--json"]) == 0
    assert [entry["name"] for entry in json.loads(capsys.readouterr().out)["profiles"]][:2] == ["fast", "balanced"]


def test_show_prints_every_key_and_what_differs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profiles", "quality", "--set", "pipeline.workers=3"]) == 0
    out = capsys.readouterr().out
    assert all(f"{info.key} = " in out for info in explain())
    assert 'encoder.dtype = "fp32"' in out and '(default: "auto")' in out
    assert "pipeline.workers = 3" in out
    assert 'encoder.template = "{title}\\n{text}"' in out  # one line, as it is written in TOML


def test_keys_are_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profiles", "--keys"]) == 0
    assert capsys.readouterr().out.count("allowed: ") == len(explain())
    assert main(["profiles", "--keys", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["keys"]) == len(explain())


def test_saved_profiles_are_found_again(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profiles", "fast", "--set", "encoder.model=a/b", "--save", "mine"]) == 0
    assert flat(load_profile("mine")) == {**flat(load_profile("fast")), "encoder.model": "a/b"}
    assert main(["profiles"]) == 0
    assert "mine" in capsys.readouterr().out
    assert main(["profiles", "--where"]) == 0
    assert capsys.readouterr().out.strip() == str(home / "profiles")


def test_a_profile_that_is_there_is_replaced_only_when_told_so(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = home / "profiles" / "mine.toml"
    mine.parent.mkdir()
    mine.write_text("# written by hand\n[pipeline]\nworkers = 3\n", encoding="utf-8")
    before = mine.read_bytes()
    assert main(["profiles", "fast", "--save", "mine"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err == f"workbench: {mine}: is there already. Add --yes to replace it\n"
    assert mine.read_bytes() == before
    assert main(["profiles", "fast", "--save", "mine", "--yes"]) == 0
    assert flat(load_profile("mine")) == flat(load_profile("fast"))


def test_help_names_the_program_as_it_was_started(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORKBENCH_COMMAND", "./run.sh")
    assert main(["profiles"]) == 0
    assert "`./run.sh profiles NAME`" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["profiles", "--help"])
    out = capsys.readouterr().out
    assert "`./run.sh profiles --where`" in out
    assert r"""--set 'encoder.template="{title}\n{text}"'""" in out
    assert r'''--set "encoder.template=\"{title}\n{text}\""''' in out


def test_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["fats"], ["fast", "--set", "x=1"], ["fast", "--save", "a/b"]):
        assert main(["profiles", *words]) == 2
        out, err = capsys.readouterr()
        assert out == "" and err.count("\n") == 1
