"""What the system tells of CPUs and programs: only what can take something from the run."""

import os
from types import SimpleNamespace

import psutil
import pytest

from workbench.telemetry.system import SystemReader, cores, in_use


def test_cores_of_other_programs_alone_are_not_counted():
    percent = (100.0, 100.0, 50.0, 20.0)
    assert in_use(percent, (2, 3)) == pytest.approx(0.7)
    assert in_use(percent, ()) == pytest.approx(2.7)  # macOS names none
    assert in_use(percent, (0, 9)) == pytest.approx(2.7)  # cores are switched off: places are not numbers
    assert in_use((), (0,)) is None


@pytest.mark.skipif(not hasattr(psutil.Process, "cpu_affinity"), reason="this system has no affinity")
def test_a_process_held_on_one_core_sees_that_core(monkeypatch):
    me = psutil.Process(os.getpid())
    before = me.cpu_affinity()
    if len(before) < 2:
        pytest.skip("one core only: there is nothing to hold the process on")
    busy = [10.0 * (number + 1) for number in range(max(before) + 1)]
    monkeypatch.setattr(psutil, "cpu_percent", lambda percpu: busy)
    try:
        me.cpu_affinity(before[-1:])
        use = SystemReader().machine()
        assert cores() == (1, 1)
        assert use.cpu_percent == tuple(busy)
        assert use.cpu_system == pytest.approx(busy[before[-1]] / 100.0)
    finally:
        me.cpu_affinity(before)


class Program:
    """What `psutil.process_iter` yields: a program that takes a whole core, or one that may not be asked."""

    def __init__(self, pid: int, name: str, *, told: bool = True) -> None:
        self.pid, self._told, self.looks = pid, told, 0
        self.info = {"name": name, "nice": None, "cpu_times": None}

    def look(self):
        self.looks += 1
        if self._told:
            self.info["cpu_times"] = SimpleNamespace(user=1e6 * self.looks, system=0.0)
        return self


def test_time_in_which_nobody_computes_is_no_program(monkeypatch):
    programs = [Program(0, "System Idle Process"), Program(4, "System", told=False), Program(2**22 + 5, "game")]
    monkeypatch.setattr(psutil, "process_iter", lambda _: [program.look() for program in programs])
    reader = SystemReader()
    reader.foreign([os.getpid()], 2.0)
    reader._foreign_at = float("-inf")  # the reader's own pause between looks is skipped
    use = reader.foreign([os.getpid()], 2.0)
    assert [one.name for one in use.readings] == ["game"]
    assert use.yielding == 0.0
