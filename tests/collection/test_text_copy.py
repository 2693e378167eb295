"""A text index that lies where one may read, or not even that, but not write."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.collection.test_text_index import TEXTS, build
from tests.search import making
from workbench.collection import text_build

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def maker(tmp_path):
    return making.embedder(making.model(tmp_path / "tiny"))


posix = pytest.mark.skipif(os.name == "nt", reason="Windows keeps no such permissions in a file's mode")


@posix
def test_who_may_read_the_shards_may_read_the_index(tmp_path, maker):
    path = making.make(tmp_path / "c", maker, TEXTS)
    build(path)
    expected = next((path / "shards").iterdir()).stat().st_mode & 0o777
    files = [file for file in (path / "text").rglob("*") if file.is_file() and file.suffix != ".lock"]
    assert len(files) > 5
    assert {file.name: file.stat().st_mode & 0o777 for file in files} == {file.name: expected for file in files}


OF_ANOTHER = """
import os, sys
from pathlib import Path
from workbench.collection.reader import Collection
from workbench.collection.text_index import open_text_index
if os.geteuid() == 0:
    os.seteuid(65534)
try:
    print(sorted(open_text_index(Collection.open(Path(sys.argv[1]))).search("whale", 5).ordinals.tolist()))
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.fixture
def open_as_another(maker):
    """A collection and a home in a folder that everybody may enter; a function that opens its index as a user who may
    not write there (root becomes another; anybody else finds the folders closed)."""
    with tempfile.TemporaryDirectory() as shared:
        path, home = making.make(Path(shared) / "c", maker, TEXTS), Path(shared) / "home"
        home.mkdir()
        home.chmod(0o777)
        Path(shared).chmod(0o755)

        def opened_there() -> str:
            for lock in path.rglob("*.lock"):
                lock.unlink()
            folders = [path, *(folder for folder in path.rglob("*") if folder.is_dir())]
            for folder in folders:
                folder.chmod(0o555)
            try:
                done = subprocess.run(
                    [sys.executable, "-c", OF_ANOTHER, str(path)], capture_output=True, text=True, timeout=120,
                    env={**os.environ, "WORKBENCH_HOME": str(home), "PYTHONPATH": str(REPOSITORY)}, cwd=REPOSITORY,
                )
            finally:
                for folder in folders:
                    folder.chmod(0o755)
            assert done.returncode == 0, done.stderr
            return done.stdout

        yield path, home, opened_there


@posix
def test_an_index_where_one_may_not_write_is_copied_and_opened(open_as_another, maker):
    path, home, opened_there = open_as_another
    build(path)
    assert opened_there() == "[0, 1]\n"
    assert not list(path.rglob("*.lock"))
    (copy,) = (home / "cache" / "text").glob("*/*")
    assert opened_there() == "[0, 1]\n"
    victim = next(copy.glob("*.idx"))
    victim.unlink()  # a copy that is not whole is made again
    assert opened_there() == "[0, 1]\n" and victim.is_file()
    writer = making.open_writer(path, maker)
    making.add_unit(writer, 77, making.table(["a whale, new"], 50), maker.embed(["a whale, new"]))
    text_build.update(writer)
    writer.close()
    assert opened_there() == "[0, 1, 10]\n"
    (newer,) = (home / "cache" / "text").glob("*/*")
    assert newer != copy


@posix
def test_an_index_that_may_not_be_read_is_not_called_damaged(open_as_another):
    path, _, opened_there = open_as_another
    build(path)
    file = next((path / "text").rglob("meta.json"))
    file.chmod(0o000)
    said = opened_there()
    assert "CollectionDamaged" in said and "cannot be opened (Permission denied)" in said and str(file) in said
    assert "the text index is damaged" not in said
