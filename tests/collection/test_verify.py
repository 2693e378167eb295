import random
import shutil

import pytest

from tests.collection.making import commit, compact_now, delete_rows, made, open_writer
from workbench.collection import text_build
from workbench.collection.export import export
from workbench.collection.jobs import rebuild_index
from workbench.collection.reader import Collection
from workbench.collection.repair import repair
from workbench.collection.seal import seal_folder
from workbench.collection.text_index import open_text_index
from workbench.collection.verify import verify
from workbench.core.errors import UsageError

KINDS = {
    "CURRENT": "pointer", "manifests/*": "old pointer", "shards/*.parquet": "shard", "shards/*.arrow": "shard",
    "rejects/*": "shard", "deletions/*": "shard", "ann/*": "derived", "runs/*/*": "record",
}


@pytest.fixture
def path(tmp_path):
    path = made(tmp_path / "c", units=4, rows=60)
    writer = open_writer(path)
    writer.delete({1: [3, 4]})
    writer.build_index("RaBitQ")
    writer.close()
    run = path / "runs" / "20250101-000000-abcd"
    run.mkdir()
    (run / "profile.toml").write_text("about = 'x'\n", encoding="utf-8")
    seal_folder(run)
    assert verify(path).whole
    return path


@pytest.mark.parametrize("pattern", KINDS)
def test_flips_and_truncations_are_found_and_named(path, pattern):
    rng = random.Random(pattern)
    for turn in range(12):
        file = rng.choice(sorted(path.glob(pattern)))
        data = file.read_bytes()
        changed = bytearray(data)
        changed[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        file.write_bytes(changed if turn % 2 else data[: rng.randrange(len(data))])
        problems = verify(path).problems
        assert problems, f"{file} turn {turn}"
        assert {problem.kind for problem in problems} <= set(KINDS[pattern].split())
        assert any(problem.file == file.relative_to(path).as_posix() for problem in problems)
        assert all(problem.remedy and problem.what for problem in problems)
        file.write_bytes(data)
    assert verify(path).whole


def text_indexed(path):
    """Build a text index; its folder."""
    writer = open_writer(path)
    text_build.update(writer)
    writer.close()
    (folder,) = (path / "text").iterdir()
    return folder


def test_a_text_index_that_is_gone_is_one_problem_and_built_again(path):
    folder = text_indexed(path)
    assert len(list(folder.iterdir())) > 2
    shutil.rmtree(folder)
    (problem,) = verify(path).problems
    assert (problem.kind, problem.file, problem.what) == ("derived", f"text/{folder.name}", "is missing")
    assert "builds the text index again" in problem.remedy
    assert repair(path, verify(path)) == ["built the text index again"]
    assert verify(path).whole
    with Collection.open(path) as collection:
        index = open_text_index(collection)
        assert index is not None and index.search("text", 5).ordinals.size


def test_a_damaged_file_of_the_text_index_is_named_and_mended(path):
    folder = text_indexed(path)
    file = max(folder.iterdir(), key=lambda one: one.stat().st_size)
    file.write_bytes(file.read_bytes()[:-3])
    (problem,) = verify(path).problems
    assert problem.file == f"text/{folder.name}/{file.name}"
    assert repair(path, verify(path)) == ["built the text index again"]
    assert verify(path).whole


def test_the_folder_of_the_index_may_be_gone_too(path):
    shutil.rmtree(path / "ann")
    assert repair(path, verify(path)) == ["built the FAISS index again"]
    shutil.rmtree(path / "ann")
    assert rebuild_index(path, "SQ8").now["kind"] == "SQ8"
    assert verify(path).whole


def test_a_damaged_index_is_built_again_from_the_shards(path):
    file = next((path / "ann").iterdir())
    file.write_bytes(file.read_bytes()[:-5])
    assert repair(path, verify(path)) == ["built the FAISS index again"]
    report = verify(path)
    assert report.whole and report.rows == 238


def test_a_damaged_shard_is_embedded_again_and_only_that(path):
    file = path / "shards" / "00000002.vectors.arrow"
    data = bytearray(file.read_bytes())
    data[-700] ^= 1
    file.write_bytes(data)
    report = verify(path)
    assert [(problem.kind, problem.unit) for problem in report.problems] == [("shard", (0, 2))]
    assert "unit 2 (60 chunks)" in report.problems[0].remedy
    repair(path, report)
    assert not verify(path).whole  # truth is not thrown away without being asked
    assert repair(path, report, drop=True) == ["took 1 damaged units out; the next run embeds them again"]
    writer = open_writer(path)
    assert writer.committed_units == {0, 1, 3}
    commit(writer, 2, 60)
    writer.close()
    assert verify(path).whole


@pytest.mark.parametrize("target", ["CURRENT", "manifest"])
def test_a_damaged_pointer_goes_back_and_is_never_silent(path, target):
    newest = max((path / "manifests").iterdir())
    file = path / "CURRENT" if target == "CURRENT" else newest
    file.write_bytes(file.read_bytes()[:-3])
    with Collection.open(path) as collection:
        assert "damaged" in collection.notes[0] and "instead" in collection.notes[0]
        assert collection.count == 238
    with pytest.raises(Exception, match=r"damaged.*verify --repair"):
        open_writer(path)
    done = repair(path, verify(path))
    assert any("went back to manifest" in line for line in done)
    assert verify(path).whole
    open_writer(path).close()


def test_ids_that_are_there_twice_are_counted_without_deleted_rows(tmp_path):
    writer = open_writer(tmp_path / "c")
    for unit in range(3):
        commit(writer, unit, 5, chunk_id=[f"c{row}" for row in range(unit, unit + 5)])
    writer.flush()
    assert verify(tmp_path / "c").notes == ("8 chunk ids occur more than once in the input",)
    writer.delete({0: [1, 2, 3, 4], 1: [1, 2, 3]})  # c1 … c4 of the first, c2 … c4 of the second
    assert verify(tmp_path / "c").notes == ("1 chunk ids occur more than once in the input",)
    writer.delete({1: [4]})
    assert verify(tmp_path / "c").notes == ()
    writer.close()


class Busy:
    """What `verify` tells its progress: at its first steps another process compacts the collection."""

    def __init__(self, path, times):
        self.path, self.times = path, times

    def __call__(self, what, done, total):
        if done == 1 and self.times:
            self.times -= 1
            delete_rows(self.path, [self.times])
            compact_now(self.path)


@pytest.mark.parametrize("times", [1, 2])
def test_files_that_compact_takes_away_meanwhile_are_no_damage(path, times):
    report = verify(path, Busy(path, times))
    assert report.whole and report.rows == 238 - times


def test_damage_beside_a_writer_is_still_told(path):
    file = path / "shards" / "00000002.vectors.arrow"
    file.write_bytes(file.read_bytes()[:-9])
    looks = []

    def grow(what, done, total):
        if done == 1:
            looks.append(done)
            writer = open_writer(path)
            commit(writer, 10 + len(looks), 5)
            writer.close()

    assert [problem.file for problem in verify(path, grow).problems] == [f"shards/{file.name}"]
    assert len(looks) == 3  # it does not look for ever


def test_sums_can_be_read_by_other_tools(path):
    lines = (path / "runs" / "20250101-000000-abcd" / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    assert lines[0].endswith("  profile.toml") and len(lines[0]) == 64 + 2 + 12


def test_own_columns_of_several_kinds_are_kept(tmp_path):
    writer = open_writer(tmp_path / "c")
    commit(writer, 0, 3, year=[1, 2, 3])
    commit(writer, 1, 2, year=["old", "new"], author=["Li", "Du"])
    commit(writer, 2, 2)
    writer.close()
    with Collection.open(tmp_path / "c") as collection:
        rows = collection.rows([4, 0, 6])
        assert rows.column("year").to_pylist() == ["new", "1", None]
        assert rows.column("author").to_pylist() == ["Du", None, None]
        assert rows.column("chunk_id").to_pylist() == ["u1-1", "u0-0", "u2-1"]
        assert "content_hash" not in rows.schema.names
        assert export(collection, tmp_path / "all.parquet") == 7
        with pytest.raises(UsageError, match=r"\.parquet or \.npy"):
            export(collection, tmp_path / "all.csv")
        with pytest.raises(UsageError, match="no such folder"):
            export(collection, tmp_path / "nowhere" / "all.npy")
        with pytest.raises(IndexError):
            collection.rows([7])
