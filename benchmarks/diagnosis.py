"""Known bottlenecks, injected through ordinary means, and what the verdict says of them.

    python benchmarks/diagnosis.py [--only NAME …] [--seconds 10] [--no-change] [--results FILE]

Every case is a real run (spawned workers, encoder, writer; real text) stopped after some seconds. The bottleneck
is made with ordinary settings, with a foreign process that burns a core, with a scripted NVML, or with an embedding
server of known speed; the verdict sees nothing but the recording. The cases are in `diagnosis_cases.py`. Where the
verdict's change is a profile key, it is made in a second run and the prediction compared with what is then
measured. `--results` appends one JSON line per case; `--table FILE` prints the summary of such a file. Needs the
corpora (WORKBENCH_DATA).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from common import REPOSITORY, mixed_texts, need_data, print_table, random_model
from diagnosis_cases import BASE, Case, Settings, cases, outside, served

sys.path.insert(0, str(REPOSITORY))


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
        window = run.window(480)  # type: ignore[attr-defined]
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
    with served(case.server) as named:
        with outside(case, cache):
            made = make(case, {**case.settings, **named}, cache, seconds)
        return _judged(case, made, cache, seconds, change, named)


def _judged(
    case: Case, made: Made, cache: Path, seconds: float, change: bool, named: Settings
) -> dict[str, object]:
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
        again = make(case, {**case.settings, **named, **undo}, cache, seconds)
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
