"""The newcomer's first minutes: a fresh clone, set-up and first run, a search.

    python benchmarks/first_run.py

Clones this repository into a temporary folder, runs `./run.sh --profile fast` (run.bat on Windows) there with an
empty home of its own and without a hub (HF_HUB_OFFLINE), then searches. Packages come from wherever pip finds them;
what the run itself does touches no network.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import REPOSITORY, print_table

WANTED = ("gzip", "zlib", "bz2", "lzma")
ARCHIVES = ("shutil.make_archive", "shutil.unpack_archive", "shutil.register_archive_format")


def call(clone: Path, home: Path, *words: str) -> tuple[float, dict[str, object]]:
    """Seconds and the JSON object of a command of the clone."""
    script = "run.bat" if sys.platform == "win32" else "./run.sh"
    env = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "WORKBENCH_DEFAULT_MODEL")}
    began = time.perf_counter()
    done = subprocess.run(
        [script, *words, "--json"], cwd=clone, capture_output=True, text=True, encoding="utf-8",
        env={**env, "WORKBENCH_HOME": str(home), "HF_HUB_OFFLINE": "1"},
    )
    seconds = time.perf_counter() - began
    if done.returncode:
        sys.exit(f"{script} {' '.join(words)} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    return seconds, json.loads(done.stdout)


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        clone, home = Path(temporary) / "clone", Path(temporary) / "home"
        subprocess.run(["git", "clone", "-q", str(REPOSITORY), str(clone)], check=True)
        first, run = call(clone, home, "--profile", "fast")
        again, _ = call(clone, home, "--profile", "fast")
        search, found = call(clone, home, "search", "compress a file", "-k", "3")
    titles = [str(hit["title"]) for hit in found["hits"]]  # type: ignore[attr-defined,index]
    right = any(title.startswith(WANTED) or title in ARCHIVES for title in titles)
    print_table(
        ["set-up and first run, s", "chunks", "the same again, s", "search, s", "first three", "right"],
        [[f"{first:.0f}", f"{run['chunks']:,}", f"{again:.1f}", f"{search:.1f}", ", ".join(titles), str(right)]],
    )


if __name__ == "__main__":
    main()
