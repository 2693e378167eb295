"""Exports: complete or not there, and never vectors beside the ids of others."""

import json
import multiprocessing
import os

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.collection.making import compact_now, delete_rows, made, open_writer
from workbench.collection import export as exporting
from workbench.collection.durable import Disk
from workbench.collection.export import export, export_newest
from workbench.collection.reader import Collection, ShardUnreadable
from workbench.core.errors import RunFailed, UsageError


@pytest.fixture
def path(tmp_path):
    path = made(tmp_path / "c", units=4, rows=60)
    delete_rows(path, [3, 4])
    return path


def ids_of(target):
    return [json.loads(line) for line in target.with_suffix(".ids.jsonl").read_text(encoding="utf-8").splitlines()]


def test_export_to_parquet_and_npy(path, tmp_path):
    with Collection.open(path) as collection:
        assert export(collection, tmp_path / "out.parquet") == 238
        assert export(collection, tmp_path / "out.npy") == 238
        alive = np.flatnonzero(collection.alive())
        expected = collection.gather(alive)
        ids = collection.rows(alive).column("chunk_id").to_pylist()
    table = pq.read_table(tmp_path / "out.parquet")
    assert table.schema.names == ["chunk_id", "doc_id", "title", "text", "vector", "place"]
    assert table.column("chunk_id").to_pylist() == ids
    assert np.array_equal(np.array(table.column("vector").to_pylist(), np.float32), expected)
    assert np.array_equal(np.load(tmp_path / "out.npy").astype(np.float32), expected)
    with (tmp_path / "out.ids.jsonl").open(encoding="utf-8") as file:
        assert [json.loads(line) for line in file] == ids


class Dying(Disk):
    """Ends the process before one of its steps."""

    def __init__(self, steps):
        self.steps = steps

    def step(self):
        self.steps -= 1
        if self.steps < 0:
            os._exit(9)

    def sync_file(self, path):
        self.step()
        super().sync_file(path)

    def replace(self, source, target):
        self.step()
        super().replace(source, target)

    def sync_folder(self, path):
        self.step()
        super().sync_folder(path)


def _export_and_die(path, target, steps):
    exporting.Disk = lambda: Dying(steps)
    with Collection.open(path) as collection:
        export(collection, target)


@pytest.mark.parametrize("steps", range(6))
def test_a_kill_leaves_no_vectors_beside_the_ids_of_others(path, tmp_path, steps):
    target = tmp_path / "v.npy"
    assert export_newest(path, target).rows == 238
    old = ids_of(target)
    delete_rows(path, [5, 6, 7])
    spawn = multiprocessing.get_context("spawn")
    process = spawn.Process(target=_export_and_die, args=(path, target, steps))
    process.start()
    process.join(60)
    assert process.exitcode == (9 if steps < 5 else 0)
    if target.exists():
        assert len(np.load(target)) == len(ids_of(target)) == (238 if steps < 2 else 235)
    assert steps in (2, 3) or target.exists()
    if steps < 2:
        assert ids_of(target) == old
    assert export_newest(path, target).rows == 235
    assert sorted(file.name for file in tmp_path.iterdir()) == ["c", "v.ids.jsonl", "v.npy"]


def test_a_full_disk_leaves_the_export_before(path, tmp_path, monkeypatch):
    target = tmp_path / "v.npy"
    export_newest(path, target)
    before = {file.name: file.read_bytes() for file in tmp_path.glob("v.*")}
    delete_rows(path, [5])
    calls = []

    def full(disk, file):
        calls.append(file)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Disk, "sync_file", full)
    with pytest.raises(RunFailed, match="the disk is full"):
        export_newest(path, target)
    assert calls and {file.name: file.read_bytes() for file in tmp_path.glob("v.*")} == before


def test_a_deletion_meanwhile_changes_nothing(path, tmp_path):
    with Collection.open(path) as collection:
        assert export(collection, tmp_path / "v.npy", lambda done, total: done or delete_rows(path, [9])) == 238
    assert len(ids_of(tmp_path / "v.npy")) == 238


def test_a_list_of_deleted_rows_that_is_gone_is_one_line(path, tmp_path):
    with Collection.open(path) as collection:
        delete_rows(path, [9])  # takes the list away that this collection names
        with pytest.raises(ShardUnreadable, match="cannot be read"):
            export(collection, tmp_path / "v.npy")
        with pytest.raises(ShardUnreadable):
            collection.deleted_rows(3)


def test_an_export_beside_compact_begins_again(path, tmp_path):
    compacted = []

    def beside(done, total):
        if done == 1 and not compacted:
            compacted.append(compact_now(path))

    done = export_newest(path, tmp_path / "v.npy", beside)
    assert compacted[0].shards == 1
    assert done.rows == len(np.load(tmp_path / "v.npy")) == len(set(ids_of(tmp_path / "v.npy"))) == 238
    assert done.nbytes == sum(file.stat().st_size for file in done.files)


def test_a_collection_without_chunks_is_told_so(tmp_path):
    open_writer(tmp_path / "c").close()
    for name in ("v.npy", "v.parquet"):
        with pytest.raises(UsageError, match="holds no chunks yet"):
            export_newest(tmp_path / "c", tmp_path / name)
    assert [file.name for file in tmp_path.iterdir()] == ["c"]
