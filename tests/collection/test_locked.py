"""Work under the lock leaves nothing over, also on a full disk."""

import errno

import pytest

from tests.collection.making import commit, compact_now, indexed_with_deletions, open_writer
from workbench.collection import jobs
from workbench.collection.durable import Disk
from workbench.collection.lock import OWNER, WriterLock
from workbench.collection.locked import locked
from workbench.collection.store import Store
from workbench.collection.verify import verify
from workbench.core.errors import RunFailed, UsageError


@pytest.fixture
def path(tmp_path):
    return indexed_with_deletions(tmp_path / "c")


def files(path):
    return {file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file() and file.name != "lock"}


def test_leftovers_go_before_the_work_and_after_it_also_when_it_fails(path):
    before = files(path)
    for name in ("ann/99999999.faiss", "text/99999999-abc/segment", "shards/99999999.vectors.arrow"):
        (path / name).parent.mkdir(exist_ok=True)
        (path / name).write_bytes(b"left over from an attempt that filled the disk")
    with pytest.raises(ZeroDivisionError), locked(path) as store:
        assert files(path) == before | {OWNER}
        (path / "ann" / "00000099.faiss").write_bytes(b"half")
        assert store.load().rows // 0
    assert files(path) == before
    open_writer(path).close()  # the lock was given back


def test_what_raised_is_told_although_nothing_can_be_swept(path):
    with pytest.raises(ZeroDivisionError), locked(path):
        (path / "CURRENT").write_bytes(b"nonsense")
        assert len(path.name) // 0
    WriterLock(path).release()


@pytest.mark.parametrize("fills", [".faiss", ".vectors.arrow", "sync"])
def test_each_attempt_on_a_full_disk_takes_the_same_room(path, monkeypatch, fills):
    before = files(path)
    write, sync = Disk.write, Disk.sync_file

    def full(disk, file, *fill):
        if file.name.endswith(fills) or (fills == "sync" and file.parent.parent.name == "text"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(disk, file, *fill) if fill else sync(disk, file)

    monkeypatch.setattr(Disk, "write", full)
    monkeypatch.setattr(Disk, "sync_file", full)
    for _ in range(2):
        with pytest.raises(RunFailed, match="the disk is full"):
            compact_now(path)
        assert files(path) == before
    if fills == ".faiss":
        with pytest.raises(RunFailed, match="the disk is full"):
            jobs._index(path, "SQ8", 0, 0, 20, lambda *_: None)
        assert files(path) == before
    monkeypatch.undo()
    assert compact_now(path).rows == 3
    assert verify(path).whole


def test_a_full_disk_does_not_keep_the_lock_from_being_taken(path):
    (path / OWNER).mkdir()  # cannot be written, nor removed
    lock = WriterLock(path)
    with pytest.raises(UsageError, match="in use by another process"):
        WriterLock(path)
    lock.release()
    WriterLock(path).release()


def test_what_is_no_collection_gets_no_lock_file(tmp_path):
    with pytest.raises(UsageError, match="is no collection"), locked(tmp_path):
        raise AssertionError("not reached")
    assert not list(tmp_path.iterdir())


def test_a_collection_in_use_is_left_alone(path):
    writer = open_writer(path)
    with pytest.raises(UsageError, match="in use"), locked(path):
        raise AssertionError("not reached")
    commit(writer, 9, 5)
    writer.close()
    assert Store(path).load().rows == 237 + 5
