"""SIGKILL at random moments: worker, encoder, writer, parent, each N times; then resumed and compared.

    python benchmarks/kills.py [--times 25] [--rows 3000] [--seed 0] [--stage NAME …]

A run over a JSONL corpus with the simulated engine is killed somewhere between its first commit and its end. A
child that is killed must be replaced within the same run; a killed parent's run is started again. Afterwards ids
and vectors must equal those of an uninterrupted run, no process may be left, and no more may have been computed
than the corpus and the units in flight.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from common import REPOSITORY, print_table

sys.path.insert(0, str(REPOSITORY))
STAGES = ("worker", "encoder", "writer", "parent")
_TARGET = """
import json, sys, threading, time
from pathlib import Path
if __name__ == "__main__":
    from tests.engine.harness import request
    from workbench.engine.run import Run
    folder, source, into = map(Path, sys.argv[1:4])
    run = Run(request(folder, source, "encoder.tokens_per_second=60000", "pipeline.workers=2", into=into.name))
    run.start()
    told = False
    while (result := run.wait(0.02)) is None:
        shot = run.snapshot()
        if not told and shot is not None and shot.progress.units_done > shot.progress.units_resumed:
            told = True
            pids = {stage: run.children(stage)[0].pid for stage in ("worker", "encoder", "writer")}
            print(json.dumps(pids), flush=True)
    print(json.dumps({"outcome": result.outcome, "chunks": result.chunks, "resumed": result.resumed,
                      "units": result.units, "tokens": result.tokens}), flush=True)
"""


def start(folder: Path, source: Path, into: Path) -> subprocess.Popen[str]:
    """The target program as its own process."""
    script = folder / "target.py"
    script.write_text(_TARGET, encoding="utf-8")
    command = [sys.executable, str(script), str(folder), str(source), str(into)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY, env=_environment(), encoding="utf-8"
    )


def _environment() -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": str(REPOSITORY)}


def finish(process: subprocess.Popen[str]) -> dict[str, object]:
    out, _ = process.communicate(timeout=120)
    lines = [json.loads(line) for line in out.splitlines()]
    return next(line for line in lines if "outcome" in line)


def one(folder: Path, source: Path, stage: str, number: int, rng: random.Random, seconds: float) -> tuple[int, int]:
    """Kill once and resume; returns (tokens computed in all, processes left behind)."""
    into = folder / f"{stage}-{number}.collection"
    process = start(folder, source, into)
    assert process.stdout is not None
    pids = json.loads(process.stdout.readline())
    family = psutil.Process(process.pid).children(recursive=True)
    time.sleep(rng.uniform(0.0, seconds))
    computed = 0
    if stage == "parent":
        process.kill()
        process.wait()
        process.stdout.close()
    else:
        try:
            psutil.Process(pids[stage]).kill()
        except psutil.NoSuchProcess:
            pass  # the run was over before: counted as a run that was not hit
        result = finish(process)
        assert result["outcome"] == "done", result
        computed = int(str(result["tokens"]))
    from workbench.collection.reader import Collection

    _, left = psutil.wait_procs(family, timeout=20)
    for process in left:
        print(f"left behind: {process.pid} {process.status()} {process.cmdline()}", file=sys.stderr)
    if stage == "parent":
        kept = Collection.open(into).manifest.tokens  # what was committed must not be computed again
        result = finish(start(folder, source, into))
        assert result["outcome"] == "done", result
        computed = kept + int(str(result["tokens"]))
    return computed, len(left)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=25)
    parser.add_argument("--rows", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--stage", nargs="*", choices=STAGES, default=STAGES)
    args = parser.parse_args()
    from tests.engine.harness import assert_same, corpus

    rng = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        source = corpus(folder / "notes.jsonl", args.rows)
        began = time.perf_counter()
        whole = finish(start(folder, source, folder / "whole.collection"))
        lasted = time.perf_counter() - began
        tokens = int(str(whole["tokens"]))
        rows = []
        for stage in args.stage:
            again, left = [], 0
            for number in range(args.times):
                computed, behind = one(folder, source, stage, number, rng, tokens / 60_000)
                assert_same(folder / "whole.collection", folder / f"{stage}-{number}.collection")
                again.append(max(0, computed - tokens) / tokens)
                left += behind
                print(f"{stage} {number + 1}/{args.times}", file=sys.stderr, flush=True)
            rows.append([stage, str(args.times), str(args.times), f"{max(again):.1%}", str(left)])
    print(f"{args.rows} rows, {tokens:,} tokens, {whole['units']} units; an uninterrupted run takes {lasted:.1f} s")
    print_table(["killed", "times", "equal afterwards", "most computed twice (of the corpus)", "left behind"], rows)


if __name__ == "__main__":
    main()
