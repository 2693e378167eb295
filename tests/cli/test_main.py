"""The command line: what is a run, what is a mistake, exit codes, one line for an error, light imports."""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import sys
from typing import Any

import pytest

from workbench.cli import main as cli
from workbench.core.errors import RunFailed

HEAVY = {"torch", "faiss", "transformers", "pyarrow", "numpy", "textual", "pandas"}


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Word lists that reached a command, instead of executing it."""
    seen: list[list[str]] = []

    def note(_: str, words: list[str]) -> int:
        seen.append(words)
        return 0

    monkeypatch.setattr(cli, "_execute", note)
    return seen


@pytest.mark.parametrize(
    "words",
    [["--profile", "fast"], ["--profile", "fast", "my_docs/"], ["missing.jsonl"], ["--set", "a.b=1"], ["."]],
)
def test_words_without_a_command_are_a_run(executed: list[list[str]], words: list[str]) -> None:
    assert cli.main(words) == 0
    assert executed == [["run", *words]]


def test_debug_counts_anywhere_but_not_as_an_argument(executed: list[list[str]]) -> None:
    cli.main(["info", "--debug", "--json"])
    cli.main(["search", "--", "--debug"])
    assert executed == [["info", "--json"], ["search", "--", "--debug"]]


def test_a_mistyped_command_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["serach"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "Did you mean search?" in err and err.count("\n") == 1


def test_a_mistyped_option_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["profiles", "--jsno"]) == 2
    err = capsys.readouterr().err
    assert "did you mean --json?" in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (RunFailed("disk full", where="/x", remedy="Free some"), 1, "workbench: /x: disk full. Free some"),
        (KeyboardInterrupt(), 130, "stopped with Ctrl+C"),
        (ValueError("odd"), 1, "internal error: ValueError: odd. Run again with --debug"),
        (ModuleNotFoundError("no", name="faiss"), 1, "'faiss' is missing. Start with run.sh"),
    ],
)
def test_an_error_is_one_line_and_a_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException, code: int, said: str
) -> None:
    def fail(*_: object) -> int:
        raise error

    monkeypatch.setattr(cli, "_execute", fail)
    assert cli.main(["info"]) == code
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1
    assert cli.main(["info", "--debug"]) == code
    assert "Traceback" in capsys.readouterr().err


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([], ["--help"], ["help"]):
        assert cli.main(words) == 0
        out = capsys.readouterr().out
        assert all(f"\n  {name} " in out for name in cli.COMMANDS)
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("workbench 0.")


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_has_help(name: str) -> None:
    module: Any = importlib.import_module(f"workbench.cli.{name}")
    subparsers = argparse.ArgumentParser().add_subparsers()
    module.add_parser(subparsers)
    assert len(subparsers.choices[name].format_help()) > 100
    assert callable(module.execute)


@pytest.mark.parametrize("words", [["--help"], ["profiles"], ["profiles", "--keys"], ["run", "--help"]])
def test_light_commands_import_nothing_heavy(words: list[str]) -> None:
    code = f"import sys; from workbench.cli.main import main\ntry: main({words!r})\nexcept SystemExit: pass\n"
    code += "print('\\n' + ' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True)
    assert not HEAVY & set(done.stdout.splitlines()[-1].split())


def test_output_is_utf8_whatever_the_locale_says() -> None:
    words = [sys.executable, "-m", "workbench", "profiles", "--keys"]
    done = subprocess.run(words, capture_output=True, env={"PYTHONIOENCODING": "cp1252", "PATH": ""}, check=True)
    assert "−" in done.stdout.decode("utf-8")


def test_a_reader_that_goes_away_is_no_error_message() -> None:
    words = [sys.executable, "-m", "workbench", "profiles", "--keys"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 1


def test_json_is_one_object() -> None:
    words = [sys.executable, "-m", "workbench", "profiles", "fast", "--json", "--set", "pipeline.workers=2"]
    done = subprocess.run(words, capture_output=True, encoding="utf-8", check=True)
    assert json.loads(done.stdout)["keys"]["pipeline.workers"] == 2
