"""A folder of notes, a table, and a collection of each: embedded once, copied for each test."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.engine.harness import go
from tests.engine.notes import asked, table, write


class First:
    """Input at a place that stays the same, since a collection knows it, and what a first run made of it."""

    def __init__(self, folder: Path, source: Path) -> None:
        self._folder, self._source = folder, source
        assert go(asked(folder, source, "c")).outcome == "done"
        _copy(source, folder / "kept")

    def source(self) -> Path:
        """The input as it was embedded, times of files included."""
        if self._source.is_dir():
            shutil.rmtree(self._source)
        return _copy(self._folder / "kept", self._source)

    def collection(self, to: Path) -> None:
        _copy(self._folder / "c", to)


def _copy(one: Path, to: Path) -> Path:
    return Path(shutil.copytree(one, to) if one.is_dir() else shutil.copy2(one, to))


@pytest.fixture(scope="session")
def _notes(tmp_path_factory: pytest.TempPathFactory) -> First:
    folder = tmp_path_factory.mktemp("notes")
    return First(folder, write(folder / "notes"))


@pytest.fixture(scope="session")
def _table(tmp_path_factory: pytest.TempPathFactory) -> First:
    folder = tmp_path_factory.mktemp("table")
    return First(folder, table(folder / "t.jsonl", 12))


@pytest.fixture
def notes(_notes: First) -> Path:
    """A folder of notes."""
    return _notes.source()


@pytest.fixture
def embedded(_notes: First, tmp_path: Path) -> None:
    """`c` in the test's folder is the collection of a first run over `notes`."""
    _notes.collection(tmp_path / "c")


@pytest.fixture
def listed(_table: First, tmp_path: Path) -> Path:
    """A table of twelve rows; `c` in the test's folder is the collection of a first run over it."""
    _table.collection(tmp_path / "c")
    return _table.source()
