"""Each process loads what it needs and nothing that is forbidden to it, proved in a subprocess."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = {"torch", "transformers", "faiss", "textual", "pandas", "sentence_transformers"}
CASES = [
    ("workbench.engine.worker", set()),
    ("workbench.engine.encoder", set()),  # torch comes with `load`, in the encoder's process only
    ("workbench.engine.writer", set()),
    ("workbench.engine.run", set()),
    ("workbench.cli.main", set()),
    ("workbench.cli.run", set()),
]


@pytest.mark.parametrize(("module", "allowed"), CASES)
def test_importing_a_module_loads_nothing_heavy(module, allowed):
    code = f"import json, sys, {module}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in json.loads(done.stdout)}
    assert loaded & HEAVY <= allowed
