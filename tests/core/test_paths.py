"""Where collections go, and which were built last."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from workbench.core import paths
from workbench.core.errors import UsageError
from workbench.core.profile import Profile
from workbench.core.run import RunRequest


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(paths.HOME_VARIABLE, str(tmp_path / "höme"))
    return tmp_path / "höme"


def collection(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "CURRENT").write_text("00000001.json\n", encoding="utf-8")
    return folder


def name(*inputs: str, docs: str | None = None) -> str:
    request = RunRequest(Profile(), tuple(map(Path, inputs)), docs=Path(docs) if docs else None)
    return paths.default_collection(request).name


def test_the_same_inputs_find_the_same_collection_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").mkdir()
    monkeypatch.chdir(tmp_path)
    above = name("a/notes.jsonl")
    monkeypatch.chdir(tmp_path / "a")
    assert name("notes.jsonl") == above == name("../a/notes.jsonl")
    assert re.fullmatch(r"notes-[0-9a-f]{6}\.collection", above)


def test_different_inputs_do_not_meet() -> None:
    names = [name("a/notes.jsonl"), name("b/notes.jsonl"), name("a/notes.jsonl", "b/notes.jsonl"), name()]
    names += [name("a/notes.jsonl", docs="d.parquet"), name("a/notes.jsonl", docs="e.parquet")]
    assert len(set(names)) == len(names)
    assert name() == "stdlib.collection"


@pytest.mark.parametrize("word", ["aux", "語り", "a b.c d", "x" * 300, "..", "CON.txt"])
def test_names_are_short_ascii_and_allowed_everywhere(word: str) -> None:
    made = name(f"/in/{word}")
    assert re.fullmatch(r"[A-Za-z0-9-]+-[0-9a-f]{6}\.collection", made) and len(made) < 64
    assert made.partition(".")[0].lower() not in ("aux", "con")


def test_recent_collections_newest_first_once_and_only_those_that_are_there(tmp_path: Path) -> None:
    assert paths.recent_collections() == []
    first, second = collection(tmp_path / "eins"), collection(tmp_path / "zwei 二")
    for path in (first, second, tmp_path / "gone", first):
        paths.remember_collection(path)
    assert paths.recent_collections() == [first, second]
    assert paths.chosen_collection(None) == first
    assert paths.chosen_collection(second) == second


def test_a_damaged_list_is_no_error(home: Path, tmp_path: Path) -> None:
    home.mkdir()
    for text in ("{", "[]", '{"collections": 3}', '{"collections": [1, null]}'):
        (home / paths.RECENT_FILE).write_text(text, encoding="utf-8")
        assert paths.recent_collections() == []
    paths.remember_collection(collection(tmp_path / "c"))
    assert paths.recent_collections() == [tmp_path / "c"]


def test_no_collection_is_said_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no collection yet"):
        paths.chosen_collection(None)
    with pytest.raises(UsageError, match="there is no such collection"):
        paths.chosen_collection(tmp_path / "nothing")
    paths.remember_collection(collection(tmp_path / "c"))
    with pytest.raises(UsageError, match=r"is no collection .* Built last: .*c"):
        paths.chosen_collection(tmp_path)
