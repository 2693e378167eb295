"""Storage that fails for a moment, and storage that goes on failing."""

from __future__ import annotations

import errno
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.sources.helpers import read_all, spec, word_spans
from workbench.core.activity import NullMeter
from workbench.core.errors import RunFailed
from workbench.sources import folder_files, parquet, storage
from workbench.sources.registry import open_source

AWAY = OSError(errno.EIO, "Input/output error")


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "_PAUSES", (0.0, 0.0, 0.0))


class Trouble:
    """Fails the next `left` times it is asked."""

    def __init__(self, left: int = 0) -> None:
        self.left, self.raised = left, 0

    def check(self) -> None:
        if self.left > 0:
            self.left -= 1
            self.raised += 1
            raise AWAY


class Shaky(io.FileIO):
    """A file on storage that fails."""

    def __init__(self, path: str, trouble: Trouble) -> None:
        super().__init__(path, "rb")
        self._trouble = trouble

    def read(self, size: int | None = -1, /) -> bytes:
        self._trouble.check()
        return super().read(-1 if size is None else size)


@pytest.fixture
def trouble(monkeypatch: pytest.MonkeyPatch) -> Iterator[Trouble]:
    """Parquet files and documents lie on storage that fails as often as the test says."""
    made, parquet_file, path_open = Trouble(), pq.ParquetFile, Path.open

    def opened(path: Path, **more: Any) -> pq.ParquetFile:
        return parquet_file(Shaky(str(path), made), **more)

    def open_path(path: Path, *args: Any, **more: Any) -> Any:
        if path.suffix in (".md", ".jsonl"):
            made.check()
        return path_open(path, *args, **more)

    monkeypatch.setattr(pq, "ParquetFile", opened)
    monkeypatch.setattr(Path, "open", open_path)
    yield made
    assert made.raised


def table(tmp_path: Path, rows: int = 3000) -> Path:
    data = pa.table({"id": [f"r{n}" for n in range(rows)], "text": [f"text {n} " + "x" * 100 for n in range(rows)]})
    pq.write_table(data, tmp_path / "t.parquet", row_group_size=rows // 2)
    return tmp_path / "t.parquet"


@pytest.mark.parametrize("fails", [1, 3])
def test_a_table_on_storage_that_fails_for_a_moment_is_read_whole(
    tmp_path: Path, trouble: Trouble, fails: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "_BATCH_BYTES", 1 << 14)  # many batches, so that the stream is in the midst of a group
    wanted = spec(tmp_path, table(tmp_path))
    plan = open_source(wanted).plan()
    worker = open_source(wanted)
    ids: list[str] = []
    for unit in plan.units:
        trouble.left = fails
        ids += worker.read(unit, NullMeter()).chunks.column("chunk_id").to_pylist()
    assert ids == [f"r{n}" for n in range(3000)]


def test_a_table_on_storage_that_goes_on_failing_ends_the_run(tmp_path: Path, trouble: Trouble) -> None:
    wanted = spec(tmp_path, table(tmp_path))
    plan = open_source(wanted).plan()
    worker = open_source(wanted)
    trouble.left = 1000
    with pytest.raises(RunFailed, match=r"t\.parquet: cannot be read: Input/output error\. .*resumes"):
        worker.read(plan.units[0], NullMeter())
    trouble.left = 0
    assert worker.read(plan.units[0], NullMeter()).chunks.num_rows == plan.units[0].rows


def test_lines_on_storage_that_fails_for_a_moment_are_read(tmp_path: Path, trouble: Trouble) -> None:
    path = tmp_path / "n.jsonl"
    path.write_text('{"text": "one"}\n{"text": "two"}\n', encoding="utf-8")
    wanted = spec(tmp_path, path)
    plan = open_source(wanted).plan()
    trouble.left = 2
    chunks, rejects = read_all(wanted, plan)
    assert ([chunk["text"] for chunk in chunks], rejects) == (["one", "two"], [])


def documents(tmp_path: Path) -> Path:
    (tmp_path / "docs").mkdir()
    for name in "abc":
        (tmp_path / "docs" / f"{name}.md").write_text(f"text {name}", encoding="utf-8")
    return tmp_path / "docs"


def test_a_document_is_no_reject_because_its_drive_is_away(tmp_path: Path, trouble: Trouble) -> None:
    wanted = spec(tmp_path, documents(tmp_path))
    plan = open_source(wanted).plan()
    trouble.left = 3
    chunks, rejects = read_all(wanted, plan)
    assert ([chunk["text"] for chunk in chunks], rejects) == (["text a", "text b", "text c"], [])
    trouble.left = 4
    with pytest.raises(RunFailed, match=r"a\.md: cannot be read: Input/output error"):
        read_all(wanted, plan)


def test_a_size_that_cannot_be_told_at_once_is_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = documents(tmp_path) / "a.md"
    trouble, stat = Trouble(2), Path.stat

    def shaky(one: Path, **more: Any) -> Any:
        trouble.check()
        return stat(one, **more)

    monkeypatch.setattr(Path, "stat", shaky)
    assert [piece.stop for piece in folder_files.pieces([(path, "a.md")])] == [6]
    assert trouble.raised == 2


def test_a_folder_that_is_gone_as_a_whole_makes_no_rejects(tmp_path: Path) -> None:
    folder = documents(tmp_path)
    wanted = spec(tmp_path, folder)
    plan = open_source(wanted).plan()
    worker = open_source(wanted, word_spans)
    folder.rename(tmp_path / "away")
    with pytest.raises(RunFailed, match="cannot be read"):
        worker.read(plan.units[0], NullMeter())
    (tmp_path / "away").rename(folder)
    (folder / "b.md").unlink()
    rows = worker.read(plan.units[0], NullMeter())
    assert rows.rejects.column("reason").to_pylist() == ["file cannot be read"]


def test_a_row_group_that_ends_early_is_no_end_of_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = parquet.ForwardReader(table(tmp_path))
    monkeypatch.setattr(parquet.ForwardReader, "batches", lambda *_: iter([]))
    with pytest.raises(OSError, match=r"t\.parquet: row group 1 has fewer rows than its footer says"):
        reader.read(2000, 2100)


@pytest.mark.parametrize(
    ("error", "storage_fails"),
    [
        (OSError(errno.EIO, "x"), True), (OSError(errno.ENXIO, "x"), True), (OSError(errno.EINVAL, "x"), True),
        (OSError(errno.ENOSPC, "x"), True), (OSError("corrupt page"), False), (OSError(errno.ENAMETOOLONG, "x"), False),
        (FileNotFoundError(errno.ENOENT, "x"), False), (PermissionError(errno.EACCES, "x"), False),
        (IsADirectoryError(errno.EISDIR, "x"), False),
    ],
)
def test_what_is_the_storages_fault(error: OSError, storage_fails: bool) -> None:
    assert storage.failing(error) is storage_fails


def test_a_drive_that_windows_calls_forbidden_or_missing_is_away() -> None:
    not_ready = PermissionError(errno.EACCES, "The device is not ready")
    not_ready.winerror = 21
    assert storage.failing(not_ready)
    in_use = PermissionError(errno.EACCES, "used by another process")
    in_use.winerror = 32
    assert not storage.failing(in_use)
