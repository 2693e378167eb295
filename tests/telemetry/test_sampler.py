"""The sampler over a run that is only a board: what is read, how it is kept, what may go wrong."""

import multiprocessing
import os
import subprocess
import sys
import threading
from dataclasses import dataclass, field

import psutil
import pytest

from workbench.core.activity import Activity, Counter
from workbench.telemetry.board import ROW_BYTES, Board
from workbench.telemetry.fake_nvml import FakeNvml, Step, card
from workbench.telemetry.nvml import NoCards
from workbench.telemetry.recorder import Recorder, Recording
from workbench.telemetry.sampler import ProcessSlot, Sampler
from workbench.telemetry.snapshot import Progress, RingReading, RunFacts
from workbench.telemetry.system import QUIET, SystemReader


@dataclass
class Paper:
    """A run without processes of its own: this process stands for the worker."""

    rows: Board = field(default_factory=lambda: Board(bytearray(ROW_BYTES), 1))
    broken: bool = False

    def processes(self):
        if self.broken:
            raise OSError("torn down")
        return ProcessSlot("worker", 0, 0, os.getpid(), True), ProcessSlot("writer", 0, None, 2**22 + 17, False)

    def board(self):
        return self.rows

    def batches_ring(self):
        return RingReading(8, 3, 5)

    def vectors_ring(self):
        return RingReading(4, 0, 4)

    def progress(self):
        return Progress("running", 4, 1, 0, 40, 10, 1000, 0, 4000, 1000)

    def paused(self):
        return False


FACTS = RunFacts("r1", "t", "c", 1.0, "0.1", "Linux", 2, 2, {"pipeline.workers": 1})


def test_a_snapshot_holds_board_rings_system_and_cards():
    run = Paper()
    row = run.rows.row(0, os.getpid())
    row.add(Counter.TOKENS, 42)
    row.enter(Activity.TOKENISE)
    sampler = Sampler(run, gpus=FakeNvml([Step(0, (card(utilisation=97.0),))]))
    sampler.sample()
    snapshot = sampler.sample()
    worker, gone = snapshot.processes
    assert worker.counters[Counter.TOKENS] == 42 and worker.state is Activity.TOKENISE
    assert worker.rss_bytes > 10**6 and worker.cpu_seconds > 0
    assert gone.cpu_seconds is None and gone.rss_bytes is None and gone.counters == ()
    assert snapshot.batches.filled == 3 and snapshot.gpus[0].utilisation == 97.0
    assert snapshot.gpus[0].power is None
    assert len(snapshot.cpu_percent) >= 1 and snapshot.memory_total > 0


def test_sampling_goes_on_when_a_listener_or_the_run_fails():
    run, seen, enough = Paper(), [], threading.Event()

    def listen(snapshot):
        seen.append(snapshot)
        if len(seen) == 3:
            enough.set()
            raise ValueError("a bug of the screen")

    sampler = Sampler(run, interval=0.01, gpus=NoCards(), listener=listen)
    sampler.start()
    assert enough.wait(10)
    count = len(sampler.window(10_000))
    run.broken = True
    while not isinstance(sampler.failure, OSError):
        enough.wait(0.01)
    run.broken = False
    while len(sampler.window(10_000)) <= count:
        enough.wait(0.01)
    sampler.stop()
    sampler.stop()
    assert len(seen) == 3 and len(sampler.window(10_000)) > 3
    times = [s.time_ns for s in sampler.window(10_000)]
    assert times == sorted(times) and sampler.latest().time_ns == times[-1]


def test_the_ring_is_fixed_and_newest_last():
    sampler = Sampler(Paper(), gpus=NoCards(), kept=5)
    taken = [sampler.sample() for _ in range(9)]
    assert sampler.window(100) == tuple(taken[-5:]) and sampler.window(2) == tuple(taken[-2:])
    assert sampler.window(0) == ()


def test_a_recorded_run_is_loaded_as_it_was(tmp_path):
    run = Paper()
    row = run.rows.row(0, os.getpid())
    sampler = Sampler(
        run, recorder=Recorder(tmp_path / "é", FACTS), gpus=FakeNvml([Step(0, (card(throttle=("thermal",)),))]),
        interval=60.0,
    )
    for tokens in (10, 20, 30):
        row.add(Counter.TOKENS, tokens)
        sampler.sample()
    sampler.stop()
    recording = Recording.load(tmp_path / "é")
    assert recording.facts == FACTS
    kept = sampler.window(100)
    assert len(recording.snapshots) == len(kept)
    for loaded, original in zip(recording.snapshots, kept, strict=True):
        assert loaded.time_ns == original.time_ns and loaded.gpus == original.gpus
        assert loaded.progress == original.progress and loaded.batches == original.batches
        assert loaded.processes[0].counters == original.processes[0].counters
        assert loaded.processes[0].activity_ns == original.processes[0].activity_ns
    assert any("another machine" in note for note in recording.notes)


def _burn():
    while True:
        sum(range(10_000))


def test_foreign_programs_are_named_and_lower_priority_gives_way():
    reader = SystemReader()
    assert reader.foreign([os.getpid()], 0.1) == QUIET
    burner = multiprocessing.get_context("spawn").Process(target=_burn, daemon=True)
    burner.start()
    try:
        polite = psutil.Process(burner.pid)
        named = _look_until(reader, lambda use: any(one.pid == burner.pid for one in use.readings))
        assert all(one.pid != os.getpid() for one in named.readings)
        polite.nice(19 if not psutil.WINDOWS else psutil.IDLE_PRIORITY_CLASS)
        gone = _look_until(
            reader, lambda use: use.yielding > 0 and all(one.pid != burner.pid for one in use.readings)
        )
        assert burner.pid not in {one.pid for one in gone.readings}
    finally:
        burner.terminate()
        burner.join()


def _start_a_burner(pids):
    """A job of the screen: it starts the process that computes, and waits."""
    worker = subprocess.Popen([sys.executable, "-c", "while True: sum(range(10_000))"])
    pids.put(worker.pid)
    worker.wait()


def test_what_the_screen_itself_started_is_no_other_program():
    spawn = multiprocessing.get_context("spawn")
    pids = spawn.Queue()
    search, job = spawn.Process(target=_burn, daemon=True), spawn.Process(target=_start_a_burner, args=(pids,))
    sampler = Sampler(Paper(), gpus=NoCards())
    search.start()
    job.start()
    try:
        ours = {search.pid, job.pid, below := pids.get(timeout=60)}
        seen = [_sample_until(sampler, lambda snapshot: (snapshot.cpu_beside or 0.0) > 0.3)]
        assert ours <= sampler._system.kin
        sampler._system._foreign_at = float("-inf")  # the reader's own pause between looks is skipped
        seen += [_sample_until(sampler, lambda snapshot: (snapshot.cpu_beside or 0.0) > 0.3) for _ in range(4)]
        assert all(one.pid not in ours for snapshot in seen for one in snapshot.foreign)
        assert all(snapshot.cpu_beside <= snapshot.cpu_system for snapshot in seen)
        run = {os.getpid(), search.pid}
        sampler._system.beside(run, 9.0)
        assert search.pid not in sampler._system.kin  # the run's own processes are counted with the run
    finally:
        psutil.Process(below).kill()
        for process in (search, job):
            process.terminate()
            process.join()
    _sample_until(sampler, lambda snapshot: not snapshot.cpu_beside and not sampler._system.kin & ours)


def _sample_until(sampler, wanted):
    for _ in range(300):
        snapshot = sampler.sample()
        if wanted(snapshot):
            return snapshot
        threading.Event().wait(0.25)
    raise AssertionError("never came")


def _look_until(reader, wanted):
    """Look again until the answer is as wanted; the reader's own pause between looks is skipped."""
    for _ in range(300):
        reader._foreign_at = float("-inf")
        use = reader.foreign([os.getpid()], 1.0)
        if use.yielding is not None and wanted(use):
            return use
        threading.Event().wait(0.3)
    raise AssertionError("never came")


@pytest.mark.parametrize("seconds", [0.0, -1.0])
def test_a_fake_card_without_steps_or_time_says_its_last_word(seconds):
    assert FakeNvml([]).read() == ()
    assert FakeNvml([Step(seconds, ()), Step(0, (card(power=3.0),))]).read()[0].power == 3.0
