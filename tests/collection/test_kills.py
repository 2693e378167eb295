"""Kills between any two steps on the disk, and readers beside a writer."""

import itertools
import multiprocessing
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.collection.making import DIM, commit, open_writer, vectors
from workbench.collection.durable import Disk
from workbench.collection.reader import Collection
from workbench.collection.verify import verify
from workbench.core.errors import UsageError


class Killed(BaseException):
    """The process ends here."""


class DyingDisk(Disk):
    """Ends the process at a step, and then loses what was not flushed, as a power cut does."""

    def __init__(self) -> None:
        self.steps_left = 10**9
        self.unsynced_renames: list[tuple[Path, Path, bytes | None]] = []
        self.random = random.Random(0)

    def write(self, path, fill):
        if self._dies():
            path.write_bytes(b"torn")
            raise Killed
        return super().write(path, fill)

    def replace(self, source, target):
        if self._dies():
            raise Killed
        before = target.read_bytes() if target.exists() else None
        super().replace(source, target)
        self.unsynced_renames.append((source, target, before))

    def sync_folder(self, path):
        if self._dies():
            raise Killed
        super().sync_folder(path)
        self.unsynced_renames = [entry for entry in self.unsynced_renames if entry[1].parent != path]

    def sync_file(self, path):
        if self._dies():
            raise Killed
        super().sync_file(path)

    def remove(self, path):
        if self._dies():
            raise Killed
        super().remove(path)

    def lose_power(self):
        """Undo some of the renames whose folder was not flushed."""
        for source, target, before in reversed(self.unsynced_renames):
            if self.random.random() < 0.5 and target.exists():
                target.replace(source)
                if before is not None:
                    target.write_bytes(before)
        self.unsynced_renames.clear()

    def _dies(self):
        self.steps_left -= 1
        return self.steps_left < 0


class CommitsAndKills(RuleBasedStateMachine):
    """However a writer dies, the collection is whole and holds every unit that was said to be durable."""

    root: Path
    numbers = itertools.count()

    @initialize(seed=st.integers(0, 2**16))
    def begin(self, seed):
        self.path = self.root / str(next(self.numbers))
        self.disk = DyingDisk()
        self.disk.random = random.Random(seed)
        self.writer = open_writer(self.path, disk=self.disk)
        self.durable: set[int] = set()
        self.maybe: set[int] = set()

    def _guarded(self, action):
        """Do it; when the process dies inside, come back as the next one."""
        try:
            action()
        except Killed:
            self.writer._lock.release()
            self.disk.lose_power()
            self.disk.steps_left = 10**9
            self.check()
            self.writer = open_writer(self.path, disk=self.disk)
            held = set(self.writer.committed_units)
            assert self.durable <= held <= self.durable | self.maybe
            self.durable, self.maybe = held, set()

    @rule(unit=st.integers(0, 30), rows=st.integers(0, 5), kill_at=st.none() | st.integers(0, 14))
    def commit(self, unit, rows, kill_at):
        if unit in self.durable | self.maybe:
            return
        self.disk.steps_left = 10**9 if kill_at is None else kill_at

        def action():
            self.maybe.add(unit)
            self._told(commit(self.writer, unit, rows, rejects=unit % 2))

        self._guarded(action)
        self.disk.steps_left = 10**9

    @rule(kill_at=st.none() | st.integers(0, 8))
    def flush(self, kill_at):
        self.disk.steps_left = 10**9 if kill_at is None else kill_at
        self._guarded(lambda: self._told(self.writer.flush()))
        self.disk.steps_left = 10**9

    @rule(hold=st.booleans())
    def group(self, hold):
        self.writer._took = 1e6 if hold else 0.0

    def _told(self, units):
        self.durable |= set(units)
        self.maybe -= set(units)

    @invariant()
    def check(self):
        with Collection.open(self.path) as collection:
            assert not collection.notes
            units = {shard.unit for shard in collection.shards}
            assert self.durable <= units <= self.durable | self.maybe
            for position, shard in enumerate(collection.shards):
                assert np.array_equal(collection.vectors(position), vectors(shard.unit, shard.rows))

    def teardown(self):
        if hasattr(self, "writer"):
            self.writer.close()
            self.check()
            assert verify(self.path).whole


def test_commits_and_kills(tmp_path):
    CommitsAndKills.root = tmp_path
    checked = settings(
        max_examples=20, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck)
    )
    machine = CommitsAndKills.TestCase
    machine.settings = checked
    machine().runTest()


def test_a_killed_fresh_leaves_the_old_or_the_new(tmp_path):
    for steps in range(12):
        path = tmp_path / str(steps)
        writer = open_writer(path)
        commit(writer, 0)
        writer.close()
        disk = DyingDisk()
        disk.steps_left = steps
        try:
            open_writer(path, fresh=True, disk=disk).close()
        except Killed:
            disk.lose_power()
        with Collection.open(path) as collection:
            assert collection.notes == []
            assert collection.count in (0, 40)


# ── a reader beside a writer, in two processes ───────────────────────────────────────────────────
def _write_many(path, units):
    writer = open_writer(Path(path))
    writer._took = 0.0
    for unit in range(units):
        commit(writer, unit, 20)
        writer.flush()
    writer.close()


def test_a_reader_beside_a_writer_sees_whole_generations(tmp_path):
    path = tmp_path / "c"
    process = multiprocessing.get_context("spawn").Process(target=_write_many, args=(str(path), 60))
    process.start()
    seen = set()
    try:
        while process.is_alive() or not seen:
            try:
                collection = Collection.open(path)
            except UsageError:
                continue  # not yet there
            with collection:
                assert not collection.notes
                units = [shard.unit for shard in collection.shards]
                assert units == list(range(len(units)))
                if units:
                    last = len(units) - 1
                    assert np.array_equal(collection.vectors(last), vectors(units[-1], 20, DIM))
                    ids = collection.rows([collection.ordinals - 1]).column("chunk_id").to_pylist()
                    assert ids == [f"u{units[-1]}-19"]
                seen.add(len(units))
    finally:
        process.join(60)
        process.kill()
    assert process.exitcode == 0
    assert len(seen) > 1
    assert Collection.open(path).count == 1200


def test_a_second_close_is_harmless(tmp_path):
    writer = open_writer(tmp_path / "c")
    writer.close()
    writer.close()
    with pytest.raises(UsageError, match="no such collection"):
        Collection.open(tmp_path / "other")
