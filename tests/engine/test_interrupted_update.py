"""An update that is not completed, after which the input is put back to what it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine import harness
from tests.engine.harness import go
from tests.engine.notes import asked, paragraphs, rows
from workbench.collection.reader import Collection
from workbench.core.errors import RunFailed
from workbench.core.run import RunRequest
from workbench.engine import update as updating


def count(path: Path) -> int:
    with Collection.open(path) as collection:
        return collection.count


def interrupted(monkeypatch, request: RunRequest) -> None:
    """An update that ends when all its units are committed, and nothing is deleted and remembered yet."""

    def cut(*_: object) -> None:
        raise RunFailed("cut")

    with monkeypatch.context() as patch:
        patch.setattr("workbench.engine.update.finish", cut)
        with pytest.raises(RunFailed, match="cut"):
            go(request)


@pytest.mark.usefixtures("embedded")
def test_a_folder_put_back_after_an_interrupted_update_is_as_it_was(tmp_path, notes, monkeypatch):
    first = rows(tmp_path / "c")
    kept = {name: (notes / f"{name}.md").read_text(encoding="utf-8") for name in ("a", "d")}
    (notes / "a.md").write_text(f"# a\n\n{paragraphs('something else', 3)}", encoding="utf-8")
    (notes / "d.md").unlink()
    (notes / "e.md").write_text(f"# e\n\n{paragraphs('e', 3)}", encoding="utf-8")
    interrupted(monkeypatch, asked(tmp_path, notes, "c"))
    assert count(tmp_path / "c") > len(first)  # rows of both states
    for name, text in kept.items():
        (notes / f"{name}.md").write_text(text, encoding="utf-8")
    (notes / "e.md").unlink()
    again = go(asked(tmp_path, notes, "c"))
    assert rows(tmp_path / "c") == first and again.tokens == 0
    assert go(asked(tmp_path, notes, "c")).removed == 0


def test_a_table_put_back_after_an_interrupted_update_is_as_it_was(tmp_path, monkeypatch):
    source = harness.corpus(tmp_path / "rows.jsonl", 60)
    go(harness.request(tmp_path, source, into="c"))
    first, text = rows(tmp_path / "c"), source.read_text(encoding="utf-8")
    harness.corpus(source, 80, seed=1)
    interrupted(monkeypatch, harness.request(tmp_path, source, into="c"))
    source.write_text(text, encoding="utf-8", newline="\n")
    again = go(harness.request(tmp_path, source, into="c"))
    assert rows(tmp_path / "c") == first and again.tokens == 0


@pytest.mark.usefixtures("embedded")
def test_settings_put_back_after_an_interrupted_update_cut_as_before(tmp_path, notes, monkeypatch):
    first = rows(tmp_path / "c")
    interrupted(monkeypatch, harness.request(tmp_path, notes, "source.chunk_tokens=48", into="c"))
    assert count(tmp_path / "c") > len(first)
    go(asked(tmp_path, notes, "c"))
    assert rows(tmp_path / "c") == first


@pytest.mark.usefixtures("embedded")
def test_a_removal_cut_short_is_made_good_when_the_document_is_back(tmp_path, notes, monkeypatch):
    first, text = rows(tmp_path / "c"), (notes / "d.md").read_text(encoding="utf-8")
    (notes / "d.md").unlink()
    with monkeypatch.context() as patch:
        remember = updating.remember
        told: list[str] = []

        def cut(collection, state):
            told.append(state.identity)
            if state.identity:  # the last step of all
                raise RunFailed("cut")
            remember(collection, state)

        patch.setattr("workbench.engine.update.remember", cut)
        with pytest.raises(RunFailed, match="cut"):
            go(asked(tmp_path, notes, "c"))
    assert len(told) == 2 and len(rows(tmp_path / "c")) < len(first)
    (notes / "d.md").write_text(text, encoding="utf-8")
    go(asked(tmp_path, notes, "c"))
    assert rows(tmp_path / "c") == first
