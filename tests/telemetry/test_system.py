"""What the system tells of CPUs and programs: only what can take something from the run."""

import os

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
def test_a_process_held_on_one_core_sees_that_core():
    me = psutil.Process(os.getpid())
    before = me.cpu_affinity()
    if len(before) < 2:
        pytest.skip("one core only: there is nothing to hold the process on")
    try:
        me.cpu_affinity(before[-1:])
        use = SystemReader().machine()
        assert cores() == (1, 1)
        assert use.cpu_system == pytest.approx(use.cpu_percent[before[-1]] / 100.0)
    finally:
        me.cpu_affinity(before)
