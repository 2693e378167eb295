"""Known bottlenecks, injected through ordinary means, and what the verdict says of them.

    python benchmarks/diagnosis.py [--only NAME …] [--seconds 10] [--no-change] [--results FILE]

Every case is a real run (spawned workers, encoder, writer; real text) stopped after some seconds. The bottleneck
is made with ordinary settings, with a foreign process that burns a core, or with a scripted NVML; the verdict
sees nothing but the recording. Where the verdict's change is a profile key, it is made in a second run and the
prediction compared with what is then measured. `--results` appends one JSON line per case; `--table FILE` prints
the summary of such a file. Needs the corpora (WORKBENCH_DATA).
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from common import REPOSITORY, mixed_texts, need_data, print_table, random_model

sys.path.insert(0, str(REPOSITORY))

Settings = dict[str, object]

#: What all cases share unless they say otherwise.
BASE: Settings = {
    "encoder.engine": "simulated", "encoder.tokens_per_second": 250_000, "pipeline.workers": 1, "index.kind": "none",
}
FAST = 20_000_000


@dataclass(frozen=True)
class Case:
    """A run whose limit is known. `limits`: every right answer (two names may be right for one cause)."""

    name: str
    limits: tuple[str, ...]
    settings: Settings = field(default_factory=dict)
    burners: int = 0
    card: dict[str, object] | None = None
    undo: Settings = field(default_factory=dict)  # outside change: what the change would make of the run
    data: str = "books"
    model: str = "stopgap"
    limit: int = 60_000
    healthy: bool = False
    whole: bool = False  # let the run end by itself


def card(clock: int, reason: str, **more: object) -> dict[str, object]:
    known = {"name": "Scripted card", "utilisation": 99.0, "sm_clock": clock, "sm_clock_max": 1900}
    return {**known, "throttle": [reason] if reason else [], **more}


def both(name: str, limits: tuple[str, ...], one: Settings, two: Settings, **more: object) -> list[Case]:
    return [Case(f"{name} 1", limits, one, **more), Case(f"{name} 2", limits, two, **more)]  # type: ignore[arg-type]


def cases() -> list[Case]:
    """At least fifteen kinds in two strengths, and healthy runs."""
    speed = "encoder.tokens_per_second"
    return [
        *both("read", ("read",), {"source.read_bytes_per_second": 600_000}, {"source.read_bytes_per_second": 250_000}),
        *both("read, 2 workers", ("read",),
              {"source.read_bytes_per_second": 500_000, "pipeline.workers": 2},
              {"source.read_bytes_per_second": 300_000, "pipeline.workers": 2, speed: FAST}),
        *both("tokenise", ("tokenise",), {"pipeline.workers": 2, speed: FAST},
              {"pipeline.workers": 2, speed: 5_000_000}),
        *both("workers", ("workers",), {speed: FAST}, {speed: 3_000_000}),
        *both("oversubscribed", ("oversubscribed",), {"pipeline.workers": 5, speed: FAST},
              {"pipeline.workers": 10, speed: FAST}),
        *both("encoder threads", ("oversubscribed",), {"encoder.engine": "torch", "encoder.threads": 6},
              {"encoder.engine": "torch", "encoder.threads": 16}, model="all-MiniLM-L6-v2"),
        Case("foreign load 1", ("foreign",), {"pipeline.workers": 2, speed: FAST}, burners=2),
        Case("foreign load 2", ("foreign",), {"pipeline.workers": 1, speed: FAST}, burners=4),
        *both("ring", ("ring",), {"pipeline.slots": 1, speed: 700_000}, {"pipeline.slots": 1, speed: 500_000}),
        *both("copy", ("copy",),
              {"encoder.copy_bytes_per_second": 500_000, "encoder.dim": 16},
              {"encoder.copy_bytes_per_second": 250_000, "encoder.dim": 16}),
        *both("copy back", ("copy back",),
              {"encoder.copy_bytes_per_second": 3_000_000, "encoder.dim": 1024},
              {"encoder.copy_bytes_per_second": 1_500_000, "encoder.dim": 1024}),
        *both("launch", ("launch",),
              {"encoder.launch_seconds": 0.02, "encoder.token_budget": 1024},
              {"encoder.launch_seconds": 0.01, "encoder.token_budget": 2048}),
        *both("launch, fixed rows", ("launch",),
              {"encoder.launch_seconds": 0.02, "pipeline.batching": "rows", "pipeline.batch_rows": 8},
              {"encoder.launch_seconds": 0.05, "pipeline.batching": "rows", "pipeline.batch_rows": 16}),
        *both("padding", ("padding",), {"pipeline.batching": "rows", "pipeline.batch_rows": 64},
              {"pipeline.batching": "rows", "pipeline.batch_rows": 16}, data="mixed"),
        *both("memory", ("memory",),
              {"encoder.memory_tokens": 2000, "encoder.launch_seconds": 0.01},
              {"encoder.memory_tokens": 1000, "encoder.launch_seconds": 0.01}),
        Case("power 1", ("power",), card=card(1200, "power cap", power=199, power_limit=200),
             undo={speed: 250_000 * 1900 / 1200}),
        Case("power 2", ("power",), card=card(1600, "power cap", power=198, power_limit=200),
             undo={speed: 250_000 * 1900 / 1600}),
        Case("heat 1", ("power",), card=card(900, "thermal", temperature=93), undo={speed: 250_000 * 1900 / 900}),
        Case("heat 2", ("power",), card=card(1400, "thermal", temperature=90), undo={speed: 250_000 * 1900 / 1400}),
        *both("write", ("write",), {"pipeline.write_bytes_per_second": 700_000},
              {"pipeline.write_bytes_per_second": 350_000}),
        *both("index", ("index",), {"index.kind": "HNSW32", speed: FAST, "pipeline.workers": 2},
              {"index.kind": "HNSW64", speed: 2_000_000, "pipeline.workers": 2}, limit=25_000, whole=True),
        *both("compute", ("compute",), {}, {speed: 100_000}, healthy=True),
        Case("healthy: torch on CPU, MiniLM", ("compute",), {"encoder.engine": "torch"}, model="all-MiniLM-L6-v2",
             healthy=True),
        Case("healthy: torch on CPU, bf16", ("compute",), {"encoder.engine": "torch", "encoder.dtype": "bf16"},
             model="gte-small", healthy=True),
        Case("healthy: card that is cool", ("compute",), card=card(1880, "", power=120, power_limit=200), healthy=True),
        Case("healthy: two workers", ("compute",), {"pipeline.workers": 2}, healthy=True),
        Case("healthy: one foreign program", ("compute",), {}, burners=1, healthy=True),
        Case("healthy: half the workers' rate", ("compute",), {speed: 400_000}, healthy=True),
        Case("healthy: short texts", ("compute",), {speed: 60_000}, data="mixed", healthy=True),
        Case("healthy: launch that does not matter", ("compute",), {"encoder.launch_seconds": 0.002}, healthy=True),
        Case("healthy: remote disk, slow device", ("compute",), {"source.read_bytes_per_second": 4_000_000},
             healthy=True),
    ]


def burn() -> None:
    """A foreign program."""
    while True:
        sum(range(10_000))


@contextmanager
def outside(case: Case, folder: Path) -> Iterator[None]:
    """Foreign programs and scripted cards, for the time of a run."""
    context = multiprocessing.get_context("spawn")
    burners = [context.Process(target=burn, daemon=True) for _ in range(case.burners)]
    for burner in burners:
        burner.start()
    if case.card is not None:
        script = folder / "card.json"
        script.write_text(json.dumps([{"seconds": 1, "cards": [case.card]}]), encoding="utf-8")
        os.environ["WORKBENCH_FAKE_NVML"] = str(script)
    try:
        yield
    finally:
        os.environ.pop("WORKBENCH_FAKE_NVML", None)
        for burner in burners:
            burner.terminate()


@dataclass(frozen=True)
class Made:
    """What came of a run: verdict over the recording, live verdict's delay (s after the first batch).

    `whole`: tokens/s from the first batch to the end, index included.
    """

    verdict: object
    live_seconds: float | None
    whole: float


def make(case: Case, settings: Settings, cache: Path, seconds: float) -> Made:
    """Run a case and diagnose its recording; the live verdict is asked once a second meanwhile."""
    from workbench.core.profile_io import apply_overrides, load_profile
    from workbench.core.run import RunRequest
    from workbench.diagnose.verdict import diagnose
    from workbench.engine.run import Run
    from workbench.telemetry.recorder import Recording
    from workbench.telemetry.runs import find_run

    words = [f"{key}={value}" for key, value in {**BASE, **model_of(case, cache), **settings}.items()]
    profile = apply_overrides(load_profile("balanced"), words)
    with tempfile.TemporaryDirectory() as temporary:
        into = Path(temporary) / "c"
        inputs, docs = data_of(case, cache)
        run = Run(RunRequest(profile, inputs, docs, into, case.limit))
        run.start()
        live = watch(run, case, seconds)
        recording = Recording.load(find_run(None, into) if (into / "CURRENT").exists() else find_run(str(into)))
        verdict = diagnose(recording.facts, recording.snapshots, recording.notes)
        return Made(verdict, live, whole_rate(recording.snapshots))


def whole_rate(snapshots: object) -> float:
    """Tokens/s from the first batch to the last snapshot."""
    from workbench.core.activity import Counter
    from workbench.diagnose.steady import total

    begun = [s for s in snapshots if total(s, "encoder", Counter.BATCHES)]  # type: ignore[attr-defined]
    if len(begun) < 2:
        return 0.0
    return total(begun[-1], "encoder", Counter.TOKENS) / ((begun[-1].time_ns - begun[0].time_ns) / 1e9)


def watch(run: object, case: Case, seconds: float) -> float | None:
    """Let a run go for some seconds after its first batch; when the live verdict was right for good."""
    from workbench.core.errors import RunFailed
    from workbench.diagnose.verdict import LiveVerdict

    live, began, right = None, None, None
    while not run.done:  # type: ignore[attr-defined]
        time.sleep(0.5)
        window = run.window(60)  # type: ignore[attr-defined]
        if not window or window[-1].progress.phase not in ("running", "indexing"):
            continue
        if case.whole and window[-1].progress.phase == "running":
            continue  # such a limit shows only when the index is built
        began = began or time.perf_counter()
        at = time.perf_counter() - began
        live = live or LiveVerdict(run.facts)  # type: ignore[attr-defined]
        shown = live.update(window)
        if str(shown.limit) not in case.limits:
            right = None
        elif right is None:
            right = at
        if at > seconds and not case.whole:
            run.stop(now=True)  # type: ignore[attr-defined]
            break
    try:
        run.wait(60)  # type: ignore[attr-defined]
    except RunFailed as error:
        print(f"  {error}", file=sys.stderr)
    return right


def model_of(case: Case, cache: Path) -> Settings:
    if case.model == "stopgap":
        return {"encoder.model": str(need_data("stopgap-model"))}
    return {"encoder.model": str(random_model(case.model, cache / case.model))}


def data_of(case: Case, cache: Path) -> tuple[tuple[Path, ...], Path | None]:
    if case.data == "books":
        return (need_data("books", "chunks.parquet"),), need_data("books", "docs.parquet")
    path = cache / "mixed.parquet"
    if not path.exists():
        import pyarrow as pa
        import pyarrow.parquet as pq

        texts = mixed_texts(40_000)
        pq.write_table(pa.table({"id": [str(i) for i in range(len(texts))], "text": texts}), path)
    return (path,), None


def judge(case: Case, cache: Path, seconds: float, change: bool) -> dict[str, object]:
    """One case: is the verdict right, does the prediction hold?"""
    with outside(case, cache):
        made = make(case, case.settings, cache, seconds)
    verdict = made.verdict.as_json()  # type: ignore[attr-defined]
    right = verdict["limit"] in case.limits and verdict["healthy"] == case.healthy
    line: dict[str, object] = {
        "case": case.name, "right": right, "limit": verdict["limit"], "expected": case.limits,
        "stage": verdict["stage"],
        "tokens_per_second": verdict["tokens_per_second"], "predicted": verdict["predicted_tokens_per_second"],
        "next": verdict["next_limit"], "confidence": verdict["confidence"], "live_seconds": made.live_seconds,
        "change": verdict["change"], "foreign": verdict["utilisation"]["foreign"], "bounds": verdict["bounds"],
        "evidence": verdict["evidence"],
    }
    undo = changed(case, verdict)
    if change and right and undo is not None and verdict["predicted_tokens_per_second"]:
        again = make(case, {**case.settings, **undo}, cache, seconds)
        after = again.verdict.as_json()  # type: ignore[attr-defined]
        line["measured"] = again.whole if case.whole else after["tokens_per_second"]
        line["after_limit"] = after["limit"]
        line["error"] = verdict["predicted_tokens_per_second"] / line["measured"] - 1.0
    return line


def changed(case: Case, verdict: dict[str, object]) -> Settings | None:
    """The verdict's change as settings; outside changes as what they amount to."""
    change = verdict["change"]
    if change is None or case.healthy:
        return None
    if change["key"]:  # type: ignore[index]
        return {change["key"]: change["value"]}  # type: ignore[index]
    if case.burners:
        return {}
    return case.undo or None


def _row(line: dict) -> list[str]:  # type: ignore[type-arg]
    error = line.get("error")
    made = ["", "", ""]
    if error is not None:
        made = [f"{line['predicted']:,.0f}", f"{line['measured']:,.0f}", f"{100 * error:+.0f} %"]
    return [
        line["case"], line["limit"], "yes" if line["right"] else f"NO ({', '.join(line['expected'])})",
        f"{line['tokens_per_second']:,.0f}", *made,
        "" if line["live_seconds"] is None else f"{line['live_seconds']:.1f} s", f"{line['confidence']:.2f}",
    ]


def summary(lines: list[dict[str, object]]) -> None:
    rows = [_row(line) for line in lines]
    print_table(["case", "verdict", "right", "tokens/s", "predicted", "measured", "error", "live", "confidence"], rows)
    errors = [abs(float(line["error"])) for line in lines if line.get("error") is not None]  # type: ignore[arg-type]
    lives = [float(line["live_seconds"]) for line in lines if line["live_seconds"] is not None]  # type: ignore[arg-type]
    right = sum(bool(line["right"]) for line in lines)
    print(f"\nright: {right} of {len(lines)} ({100 * right / max(1, len(lines)):.0f} %)")
    if errors:
        print(f"prediction error: median {100 * statistics.median(errors):.1f} %, largest {100 * max(errors):.1f} %"
              f" over {len(errors)} changes made")
    if lives:
        print(f"live verdict right after: median {statistics.median(lives):.1f} s, largest {max(lives):.1f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=[], help="cases whose names begin so")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each run after its first batch")
    parser.add_argument("--no-change", action="store_true", help="do not make the suggested change")
    parser.add_argument("--results", type=Path, help="append one JSON line per case")
    parser.add_argument("--table", type=Path, help="print the summary of a results file and end")
    parser.add_argument("--list", action="store_true", help="print the names of the cases and end")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "workbench-diagnosis")
    args = parser.parse_args()
    if args.list:
        print("\n".join(case.name for case in cases()))
        return
    if args.table:
        known = {}
        for text in args.table.read_text(encoding="utf-8").splitlines():
            line = json.loads(text)
            known[line["case"]] = line  # the last one counts
        summary(list(known.values()))
        return
    args.cache.mkdir(parents=True, exist_ok=True)
    os.environ["WORKBENCH_HOME"] = str(args.cache / "home")
    lines = []
    for case in cases():
        if args.only and not any(case.name.startswith(name) for name in args.only):
            continue
        line = judge(case, args.cache, args.seconds, not args.no_change)
        print(f"{'ok ' if line['right'] else 'NO '} {case.name}: {line['limit']}", file=sys.stderr)
        lines.append(line)
        if args.results:
            with args.results.open("a", encoding="utf-8", newline="\n") as file:
                file.write(json.dumps(line) + "\n")
    summary(lines)


if __name__ == "__main__":
    main()
