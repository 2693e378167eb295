"""A function in a process of its own: result, progress, errors, death, silence."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import Any

import pytest

from workbench.core.apart import run_apart
from workbench.core.errors import RunFailed, UsageError


def add(a: int, b: int, progress: Any) -> tuple[int, int]:
    for step in range(3):
        progress("adding", step, 3)
    print("noise")
    os.write(2, b"noise")
    return a + b, os.getpid()


def refuse(progress: Any) -> None:
    raise UsageError("no", where="here", remedy="Do otherwise")


def stumble(progress: Any) -> None:
    raise KeyError("odd")


def die(progress: Any) -> None:
    os._exit(9)


def linger(path: str, progress: Any) -> None:
    progress("started", 0, 0)
    time.sleep(60)


def test_result_and_progress_come_back_from_another_process(capfd: pytest.CaptureFixture[str]) -> None:
    told: list[tuple[str, int, int]] = []
    total, pid = run_apart(add, 2, 3, progress=lambda *words: told.append(words))
    assert total == 5 and pid != os.getpid()
    assert told == [("adding", 0, 3), ("adding", 1, 3), ("adding", 2, 3)]
    assert capfd.readouterr() == ("", "")


def test_errors_come_back_as_they_are() -> None:
    with pytest.raises(UsageError) as caught:
        run_apart(refuse)
    assert str(caught.value) == "here: no. Do otherwise"
    with pytest.raises(RunFailed, match=r"test_apart\.py:\d+: KeyError: 'odd'"):
        run_apart(stumble)


def test_a_process_that_dies_is_told() -> None:
    with pytest.raises(RunFailed, match=r"the process for die died \(exit code 9\)"):
        run_apart(die)


def test_an_error_in_the_caller_ends_the_process() -> None:
    class Stop(Exception): ...

    def stop(*_: object) -> None:
        raise Stop

    import multiprocessing

    before = set(multiprocessing.active_children())  # other tests of this process may keep some warm
    with pytest.raises(Stop):
        run_apart(linger, "", progress=stop)
    assert set(multiprocessing.active_children()) <= before


def test_the_process_leaves_when_its_parent_is_killed() -> None:
    code = (
        "import os, multiprocessing\nfrom tests.core.test_apart import linger\n"
        "from workbench.core.apart import run_apart\n"
        "def told(*_):\n"
        "    print(multiprocessing.active_children()[0].pid, flush=True)\n"
        "if __name__ == '__main__': run_apart(linger, '', progress=told)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    import psutil

    if psutil.pid_exists(child):
        try:
            psutil.Process(child).wait(20)
        except psutil.NoSuchProcess:
            pass
    assert not psutil.pid_exists(child)
