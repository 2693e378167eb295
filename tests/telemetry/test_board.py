"""Counters of several writers read by one reader, over plain bytes and over a spawned process."""

import multiprocessing
from multiprocessing import shared_memory
from time import perf_counter_ns

from workbench.core.activity import Activity, Counter
from workbench.telemetry.board import ROW_BYTES, Board


def test_wall_time_is_complete_and_nested_use_returns_to_the_outer_state():
    board = Board(bytearray(ROW_BYTES), 1)
    began = perf_counter_ns()
    row = board.row(0, 77)
    with row.doing(Activity.READ):
        with row.doing(Activity.TOKENISE):
            sum(range(200_000))
        assert board.read(0).state is Activity.READ
    reading = board.read(0)
    ended = perf_counter_ns()
    assert reading.pid == 77 and reading.state is Activity.STARTING
    assert reading.activity_ns[Activity.TOKENISE] > 0
    assert 0 <= (ended - began) - sum(reading.activity_ns) < 50_000_000


def test_cpu_time_tells_working_from_waiting():
    board = Board(bytearray(ROW_BYTES), 1)
    row = board.row(0, 1)
    waiter = multiprocessing.get_context("spawn").Event()
    with row.doing(Activity.READ):
        waiter.wait(0.1)
    with row.doing(Activity.TOKENISE):
        sum(range(3_000_000))
    reading = board.read(0)
    assert reading.activity_cpu_ns[Activity.READ] < 0.5 * reading.activity_ns[Activity.READ]
    assert reading.activity_cpu_ns[Activity.TOKENISE] > 10_000_000
    row.close()


def test_a_row_not_taken_reads_as_none_and_a_new_process_goes_on_counting():
    board = Board(bytearray(2 * ROW_BYTES), 2)
    assert board.read(1) is None
    board.row(1, 5).add(Counter.TOKENS, 3)
    second = board.row(1, 6)
    second.add(Counter.TOKENS, 4)
    second.put(Counter.BUDGET, 9)
    reading = board.read(1)
    assert (reading.pid, reading.counters[Counter.TOKENS], reading.counters[Counter.BUDGET]) == (6, 7, 9)
    assert second.value(Counter.TOKENS) == 7


def _write(name: str, row: int) -> None:
    memory = shared_memory.SharedMemory(name)
    board = Board(memory.buf, 3)
    writer = board.row(row, 100 + row)
    for _ in range(1000):
        with writer.doing(Activity.PACK):
            writer.add(Counter.TOKENS, row + 1)
    writer.close()
    board.release()
    memory.close()


def test_spawned_writers_do_not_disturb_each_other():
    memory = shared_memory.SharedMemory(create=True, size=3 * ROW_BYTES)
    board = Board(memory.buf, 3)
    context = multiprocessing.get_context("spawn")
    children = [context.Process(target=_write, args=(memory.name, row)) for row in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    readings = [board.read(row) for row in range(3)]
    assert [r.counters[Counter.TOKENS] for r in readings] == [1000, 2000, 3000]
    assert all(r.state is Activity.ENDED for r in readings)
    board.release()
    memory.close()
    memory.unlink()
