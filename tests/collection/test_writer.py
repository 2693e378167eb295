import errno
import multiprocessing
from pathlib import Path

import numpy as np
import pytest

from tests.collection.making import DIM, IDENTITY, SOURCE, chunk_table, commit, made, open_writer, vectors
from workbench.collection.durable import Disk
from workbench.collection.peek import peek
from workbench.collection.reader import Collection
from workbench.collection.shards import write_chunks
from workbench.collection.verify import verify
from workbench.collection.writer import CollectionWriter
from workbench.core.errors import RunFailed, UsageError


def test_units_are_there_after_closing(tmp_path):
    path = made(tmp_path / "ünï côde.collection", units=3)
    with Collection.open(path) as collection:
        assert collection.count == 120
        assert [shard.unit for shard in collection.shards] == [0, 1, 2]
        assert collection.manifest.rejects == 1
        assert np.array_equal(collection.vectors(1), vectors(1, 40))
    writer = open_writer(path)
    assert writer.committed_units == {0, 1, 2}
    writer.close()
    assert verify(path).whole


def test_commits_are_grouped_and_flush_makes_them_durable(tmp_path, monkeypatch):
    for name in ("_SPACING", "_LONGEST"):  # put off until it is asked for
        monkeypatch.setattr(f"workbench.collection.writer.{name}", 1e9)
    writer = open_writer(tmp_path / "c")
    assert commit(writer, 0) == (0,)
    assert commit(writer, 2) == ()
    assert commit(writer, 1) == ()
    assert writer.pending
    assert writer.committed_units == {0}
    assert Collection.open(tmp_path / "c").count == 40
    assert writer.flush() == (2, 1)
    assert writer.flush() == ()
    assert Collection.open(tmp_path / "c").count == 120
    writer.close()


def test_what_a_dead_run_left_is_removed(tmp_path, monkeypatch):
    for name in ("_SPACING", "_LONGEST"):  # put off until it is asked for
        monkeypatch.setattr(f"workbench.collection.writer.{name}", 1e9)
    path = tmp_path / "c"
    writer = open_writer(path)
    commit(writer, 0)
    commit(writer, 1)
    (writer.staging / "half.chunks.parquet").write_bytes(b"x")
    writer._lock.release()  # as if killed: unit 1 never reached a manifest
    again = open_writer(path)
    assert again.committed_units == {0}
    assert sorted(p.name for p in (path / "shards").iterdir()) == [
        "00000000.chunks.parquet", "00000000.vectors.arrow",
    ]
    assert not list(again.staging.iterdir())
    again.close()


def test_attach_leaves_staging_alone_and_reload_sees_its_commits(tmp_path):
    parent = open_writer(tmp_path / "c")
    (parent.staging / "of a worker").write_bytes(b"x")
    child = CollectionWriter.attach(tmp_path / "c")
    commit(child, 5)
    child.close()
    assert (parent.staging / "of a worker").exists()
    assert parent.committed_units == frozenset()
    parent.reload()
    assert parent.committed_units == {5}
    parent.close()


def test_another_encoder_is_refused_key_by_key(tmp_path):
    made(tmp_path / "c")
    with pytest.raises(UsageError, match=r"another encoder \(weights: abc, not xyz\).*--into.*--fresh"):
        open_writer(tmp_path / "c", identity={**IDENTITY, "weights": "xyz"})
    with pytest.raises(UsageError, match="dim: 32, not 64"):
        open_writer(tmp_path / "c", dim=64)
    open_writer(tmp_path / "c").close()  # the refusals gave the lock back


def test_other_input_is_refused_and_can_be_appended(tmp_path):
    path = made(tmp_path / "c", units=1)
    other = {**SOURCE, "size": "18"}
    with pytest.raises(UsageError, match=r"other input \('books', now 'more': size: 17, not 18\).*--into"):
        open_writer(path, source=other, source_title="more")
    writer = open_writer(path, source=other, source_title="more", append=True)
    assert writer.committed_units == frozenset()
    commit(writer, 0, 30)
    writer.close()
    back = open_writer(path)
    assert back.committed_units == {0}
    assert back.rows == 70
    back.close()


def test_fresh_empties_and_never_names_two_contents_alike(tmp_path):
    path = made(tmp_path / "c", units=2)
    writer = open_writer(path, fresh=True, identity={"model": "other"})
    assert writer.rows == 0
    assert not list((path / "shards").iterdir())
    commit(writer, 0)
    writer.close()
    assert [p.name for p in (path / "shards").glob("*.arrow")] == ["00000002.vectors.arrow"]


def test_fresh_works_on_a_ruined_collection(tmp_path):
    path = made(tmp_path / "c", units=2)
    (path / "CURRENT").write_bytes(b"rubbish")
    for manifest in (path / "manifests").iterdir():
        manifest.write_bytes(b"rubbish")
    open_writer(path, fresh=True).close()
    assert Collection.open(path).count == 0


def test_a_folder_with_other_things_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match=r"holds other things \(notes.txt\)"):
        open_writer(tmp_path)
    with pytest.raises(UsageError, match="is a file"):
        open_writer(tmp_path / "notes.txt")


def test_parts_that_do_not_fit_are_refused(tmp_path):
    writer = open_writer(tmp_path / "c")
    staged = writer.staging / "x.parquet"
    write_chunks(chunk_table(0, 4), staged)
    with pytest.raises(RunFailed, match="4 chunks but 5 vectors"):
        writer.commit(0, staged, vectors(0, 5), None, tokens=1)
    with pytest.raises(RunFailed, match="float32"):
        writer.commit(0, staged, vectors(0, 4, dtype="float32"), None, tokens=1)
    bad = vectors(0, 4)
    bad[2, 1] = np.inf
    with pytest.raises(RunFailed, match=r"row 2 is not finite.*fp32"):
        writer.commit(0, staged, bad, None, tokens=1)
    commit(writer, 0)
    with pytest.raises(RunFailed, match="committed already"):
        commit(writer, 0)
    writer.close()


class FullDisk(Disk):
    """Takes a number of writes, then is full."""

    left = 10**9

    def write(self, path, fill):
        self.left -= 1
        if self.left < 0:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return super().write(path, fill)


@pytest.mark.parametrize("left", [0, 1, 2])
def test_a_full_disk_loses_nothing_committed(tmp_path, left):
    disk = FullDisk()
    writer = open_writer(tmp_path / "c", disk=disk)
    commit(writer, 0)
    writer.flush()
    disk.left = left
    with pytest.raises(RunFailed, match=r"the disk is full.*resumes"):
        commit(writer, 1)
        writer.flush()
    writer._lock.release()
    assert verify(tmp_path / "c").whole
    again = open_writer(tmp_path / "c")
    assert again.committed_units == {0}
    commit(again, 1)
    again.close()
    assert verify(tmp_path / "c").rows == 80


def test_a_target_that_refuses_is_a_clear_error(tmp_path, monkeypatch):
    def refuse(self, *args, **kwargs):
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(UsageError, match=r"cannot be written: Permission denied.*--into"):
        open_writer(tmp_path / "c")


def test_thousands_of_units_write_few_manifests(tmp_path, monkeypatch):
    published = []
    for name in ("_SPACING", "_LONGEST"):  # put off until it is asked for
        monkeypatch.setattr(f"workbench.collection.writer.{name}", 1e9)
    writer = open_writer(tmp_path / "c")
    original = writer._store.publish
    monkeypatch.setattr(writer._store, "publish", lambda m: published.append(m.number) or original(m))
    for unit in range(60):
        commit(writer, unit, 2)
    writer.close()
    assert len(published) == 2
    assert len(list((tmp_path / "c" / "manifests").iterdir())) <= 9
    assert Collection.open(tmp_path / "c").count == 120


def test_old_manifests_are_pruned_but_never_the_current_one(tmp_path):
    writer = open_writer(tmp_path / "c")
    for unit in range(20):
        commit(writer, unit, 1)
        writer.flush()
    writer.close()
    names = sorted(p.name for p in (tmp_path / "c" / "manifests").iterdir())
    assert len(names) == 9
    assert Collection.open(tmp_path / "c").count == 20


def test_dropped_units_are_embedded_again(tmp_path):
    path = made(tmp_path / "c", units=3)
    writer = open_writer(path)
    assert writer.drop_units([1]) == 1
    assert writer.committed_units == {0, 2}
    commit(writer, 1)
    writer.close()
    assert verify(path).whole
    with Collection.open(path) as collection:
        assert [shard.unit for shard in collection.shards] == [0, 2, 1]


def test_deleted_rows_are_gone_and_stay_so(tmp_path):
    path = made(tmp_path / "c", units=2)
    writer = open_writer(path)
    assert writer.delete({0: [3, 1], 1: [39]}) == 3
    assert writer.delete({0: [3, 4]}) == 1
    with pytest.raises(IndexError):
        writer.delete({0: [40]})
    writer.close()
    open_writer(path).close()  # sweeps the list of deletions that a newer one replaced
    with Collection.open(path) as collection:
        assert collection.count == 76
        assert np.flatnonzero(~collection.alive()).tolist() == [1, 3, 4, 79]
    assert verify(path).whole


def test_peek_needs_no_arrow(tmp_path):
    path = made(tmp_path / "c", units=2)
    seen = peek(path)
    assert (seen["chunks"], seen["title"], seen["model"], seen["dim"]) == (80, "books", "m", DIM)
    assert seen["trouble"] == ""
    assert "no such collection" in peek(tmp_path / "nothing")["trouble"]


# ── the lock, between real processes ─────────────────────────────────────────────────────────────
def _hold(path, pipe):
    writer = open_writer(Path(path))
    pipe.send(True)
    pipe.recv()
    writer.close()


def test_a_second_writer_is_refused_until_the_first_is_dead(tmp_path):
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    holder = context.Process(target=_hold, args=(str(tmp_path / "c"), theirs))
    holder.start()
    try:
        assert ours.poll(60) and ours.recv()
        with pytest.raises(UsageError, match=r"in use by pid \d+ on .* since"):
            open_writer(tmp_path / "c")
        holder.kill()
        holder.join(60)
        open_writer(tmp_path / "c").close()
    finally:
        holder.kill()
        holder.join(60)
