"""What a started process does first: its output goes where it is told, and it leaves with its parent."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil

from workbench.core.child_process import leave_with_parent, redirect_output

_PARENT = """
    import multiprocessing, os, sys, time
    from tests.core.test_child_process import stay

    if __name__ == "__main__":
        child = multiprocessing.get_context("spawn").Process(target=stay, args=(sys.argv[1],))
        child.start()
        while not os.path.exists(sys.argv[1]) or "C" not in open(sys.argv[1], encoding="utf-8").read():
            time.sleep(0.01)
        os._exit(0)
"""


def stay(log: str) -> None:
    """A child that would never end by itself."""
    import time

    redirect_output(Path(log))
    leave_with_parent()
    print("Grüße", os.getpid())
    os.write(2, b"from C\n")
    while True:
        time.sleep(1)


def test_output_goes_to_the_file_and_the_child_leaves_with_its_parent(tmp_path):
    script, log = tmp_path / "parent.py", tmp_path / "log"
    script.write_text(textwrap.dedent(_PARENT), encoding="utf-8")
    root = Path(__file__).parents[2]
    subprocess.run(
        [sys.executable, str(script), str(log)], cwd=root, env={**os.environ, "PYTHONPATH": str(root)}, check=True,
        timeout=60,
    )
    first, *_ = log.read_text(encoding="utf-8").splitlines()
    name, pid = first.split()
    assert name == "Grüße"
    psutil.wait_procs([psutil.Process(int(pid))] if psutil.pid_exists(int(pid)) else [], timeout=30)
    assert not psutil.pid_exists(int(pid)) or psutil.Process(int(pid)).status() == psutil.STATUS_ZOMBIE
    assert "from C" in log.read_text(encoding="utf-8")


def test_without_a_parent_nothing_is_watched():
    done = subprocess.run(
        [sys.executable, "-c", "from workbench.core.child_process import leave_with_parent as leave\n"
         "import threading; leave(); print(threading.active_count())"],
        capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2],
    )
    assert done.stdout.strip() == "1"
