"""How soon a run has its first vectors, beyond what the model alone takes.

    python benchmarks/first_vector.py [--rows 20000] [--shape default] [--turns 5] [--default-input]

A run over a JSONL file of texts of mixed length (or over the default input), and a bare process that imports torch,
loads the model by the workbench's own means and computes one batch like the run's first; turn about, medians.
Both count from the moment the process is started, by the clock that all processes share. The run is the command
line's own, watched on its board every 2 ms and stopped when it has its first vectors. The steps of both are printed,
so that the difference can be found.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter_ns

from common import REPOSITORY, print_table, random_model
from texts import sample

sys.path.insert(0, str(REPOSITORY))

#: The bare process: import, load, one batch; tells `perf_counter_ns` after each step.
BARE = """
import json, sys
from time import perf_counter_ns
told = {"interpreter": perf_counter_ns()}
import torch
told["import torch"] = perf_counter_ns()
import numpy as np
from workbench.core.activity import NullMeter
from workbench.core.profile import EncoderSection
from workbench.encoders.base import TokenBatch
from workbench.encoders.model import resolve_model
from workbench.encoders.registry import encoder_spec, open_encoder
section = EncoderSection(model=sys.argv[1])
encoder = open_encoder(encoder_spec(section, resolve_model(section)))
encoder.load()
told["load"] = perf_counter_ns()
lengths = np.asarray(json.loads(sys.stdin.read()), np.int32)
batch = TokenBatch(np.full(int(lengths.sum()), 1000, np.int32), lengths, 0, ())
began = perf_counter_ns()
encoder.submit(batch, NullMeter()).vectors()
told["forward"] = told["load"] + perf_counter_ns() - began
print(json.dumps(told))
"""


#: `workbench run` with a thread that looks at the board of its processes; tells `perf_counter_ns` of each step.
WATCHED = """
import json, sys, threading, time
told = {"interpreter": time.perf_counter_ns()}
import workbench.cli.run as command  # as light as the command itself: nothing of the engine before its time
watch_run, runs = command._watch, []

def started(run, bar):
    told["command begins"] = time.perf_counter_ns()
    runs.append(run)
    return watch_run(run, bar)

def look(supervisor):
    from workbench.core.activity import Activity, Counter
    for child in supervisor.pipeline.all:
        row = supervisor.board.read(child.row)
        if row is not None:
            now, done = time.perf_counter_ns(), row.counters
            loaded = child.stage == "encoder" and row.state not in (Activity.STARTING, Activity.LOAD_MODEL)
            seen = {
                f"{child.stage} begins": True, "model loaded": loaded,
                "first unit tokenised": done[Counter.PREPARED_TOKENS], "first batch sent": done[Counter.BATCHES],
                "first vectors": child.stage == "encoder" and done[Counter.BATCHES],
            }
            for name in (name for name, happened in seen.items() if happened):
                told.setdefault(name, now)

def watch():
    while not runs or runs[0]._session.supervisor is None:
        time.sleep(0.002)
    told["planned"] = time.perf_counter_ns()
    while "first vectors" not in told:
        look(runs[0]._session.supervisor)
        time.sleep(0.002)
    runs[0].stop(now=True)

command._watch = started
threading.Thread(target=watch, daemon=True).start()
from workbench.cli.main import main
code = main(["run", *sys.argv[1:]])
print("\\n" + json.dumps(told))
sys.exit(code)
"""


def first_batch(model: str, texts: list[str]) -> list[int]:
    """Lengths of the rows of the batch that a run computes first: the longest of the first unit."""
    from workbench.core.profile import EncoderSection
    from workbench.encoders.model import resolve_model
    from workbench.text.tokenising import Tokeniser

    lengths = sorted(Tokeniser(resolve_model(EncoderSection(model=model))).encode(texts).lengths.tolist(), reverse=True)
    kept: list[int] = []
    while lengths and sum(kept) + lengths[0] <= 8192:  # the CPU's token budget; nothing is padded
        kept.append(lengths.pop(0))
    return kept


def bare(model: str, lengths: list[int]) -> dict[str, float]:
    """Seconds from the start of a process to the end of each step."""
    began = perf_counter_ns()
    done = subprocess.run(
        [sys.executable, "-c", BARE, model], input=json.dumps(lengths), capture_output=True, text=True,
        encoding="utf-8", cwd=REPOSITORY, check=True,
    )
    return {name: (at - began) / 1e9 for name, at in json.loads(done.stdout).items()}


def whole(folder: Path, model: str, inputs: list[str], turn: int) -> dict[str, float]:
    """Seconds from the start of `workbench run` to the steps of its processes up to the first vectors."""
    began = perf_counter_ns()
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, *inputs, "--into", str(folder / f"{turn}.collection"),
         "--set", f"encoder.model={model}"],
        capture_output=True, text=True, encoding="utf-8", cwd=REPOSITORY, check=True,
    )
    told = json.loads(done.stdout.strip().splitlines()[-1])
    return {name: (at - began) / 1e9 for name, at in sorted(told.items(), key=lambda item: item[1])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--shape", default="default", help="default, or a folder name below DATA/tokenizers")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--default-input", action="store_true", help="embed the standard library's documentation")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        model = "default" if args.shape == "default" else str(random_model(args.shape, folder / "model"))
        texts = sample(args.rows)
        file = folder / "texts.jsonl"
        file.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8", newline="\n")
        lengths = first_batch(model, texts[: max(256, args.rows // 64)])
        inputs = [] if args.default_input else [str(file)]
        bare(model, lengths)
        whole(folder, model, inputs, 0)  # files and caches warm
        runs, bares = [], []
        for turn in range(args.turns):
            bares.append(bare(model, lengths))
            runs.append(whole(folder, model, inputs, turn + 1))
            beyond = runs[-1]["first vectors"] - bares[-1]["forward"]
            print(f"turn {turn}: {beyond:+.2f} s", file=sys.stderr, flush=True)
    print_table(["bare process", "s (median)"], _rows(bares))
    print_table(["run", "s (median)"], _rows(runs))
    all_beyond = [run["first vectors"] - alone["forward"] for run, alone in zip(runs, bares, strict=True)]
    print(f"first vectors beyond importing torch, loading and one forward of {sum(lengths):,} tokens: "
          f"{statistics.median(all_beyond):.2f} s (median of {args.turns}; "
          f"{min(all_beyond):.2f} to {max(all_beyond):.2f})")


def _rows(found: list[dict[str, float]]) -> list[list[str]]:
    return [[name, f"{statistics.median(one[name] for one in found):.2f}"] for name in found[0]]


if __name__ == "__main__":
    main()
