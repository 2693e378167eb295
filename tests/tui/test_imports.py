"""What the screen's process has loaded when the first picture is painted."""

from __future__ import annotations

import os
import subprocess
import sys

_SCRIPT = """
import asyncio, sys
from workbench.tui.app import WorkbenchApp
from workbench.tui.live import LiveWorkbench
def probe(app):
    heavy = [n for n in ("torch", "faiss", "transformers", "pyarrow", "numpy", "tokenizers") if n in sys.modules]
    print("HEAVY", heavy, file=sys.__stdout__)
    app.exit(0)
WorkbenchApp.on_ready = probe
bench = LiveWorkbench()
asyncio.run(WorkbenchApp(bench).run_async(headless=True))
bench.close()
print("DONE")
"""


def test_first_paint_loads_nothing_heavy(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT], capture_output=True, text=True, encoding="utf-8", timeout=60,
        env={**os.environ, "WORKBENCH_HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert "DONE" in done.stdout, done.stderr
    assert "HEAVY []" in done.stdout, done.stdout
