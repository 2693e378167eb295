"""Ceilings: each stage alone on the same data, the shared-core bound, and how close the pipeline comes."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from workbench.collection.writer import CollectionWriter
from workbench.core.errors import RunFailed, UsageError
from workbench.core.run import RunRequest
from workbench.core.units import Plan
from workbench.diagnose import alone
from workbench.diagnose.alone import Done, Replay, Share
from workbench.diagnose.prepared import Packing
from workbench.engine.children import CONTEXT, make_pipe
from workbench.engine.setting import Setting, resolve
from workbench.sources.registry import open_source
from workbench.telemetry.system import cores

#: Units prepared for encoder and writer to replay.
_KEPT_UNITS = 8
#: Seconds a stage may take to import, open and load.
_START = 180.0

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Ceiling:
    """A stage alone: tokens/s of all its processes, CPU seconds per token.

    `threads`: that compute the model on the CPU; 0 where a device does, or another stage is meant.
    """

    name: str
    processes: int
    tokens_per_second: float
    cpu_per_token: float
    note: str = ""
    threads: int = 0


@dataclass(frozen=True, slots=True)
class Ceilings:
    """All stages alone, what the cores allow together, and the pipeline beside them.

    Attributes:
        stages: tokens/s; the shared-core bound is among them as `CPU cores`.
        lowest: name of the lowest. end_to_end: tokens/s of the pipeline on the same data, None if not run.
        efficiency: end_to_end ÷ the lowest bound (stages that the pipeline passes through).
    """

    title: str
    stages: tuple[Ceiling, ...]
    lowest: str
    bound: float
    end_to_end: float | None = None
    efficiency: float | None = None

    def as_json(self) -> dict[str, Any]:
        """The object of `--json` and of `ceilings.json`."""
        return asdict(self)


def measure(request: RunRequest, seconds: float = 3.0, tell: Tell = lambda _: None) -> Ceilings:
    """Run each stage alone for about `seconds`. Writes only into a temporary folder.

    Raises UsageError for wrong input, RunFailed when a stage's process ends.
    """
    with tempfile.TemporaryDirectory(prefix="workbench-ceilings-", ignore_cleanup_errors=True) as folder:
        setting = resolve(replace(request, into=Path(folder) / "c", fresh=False))
        plan = open_source(setting.source).plan()
        if not plan.units:
            raise UsageError("there is nothing to read", where=plan.title)
        return _measure(setting, plan, Path(folder), seconds, tell)


def _measure(setting: Setting, plan: Plan, folder: Path, seconds: float, tell: Tell) -> Ceilings:
    kept = folder / "kept"
    kept.mkdir()
    collection = CollectionWriter.open(
        setting.into, setting.identity, setting.model.dim, setting.request.profile.collection.vectors,
        plan.identity, plan.title
    )
    try:
        tell("preparing batches")
        prepared = prepare(setting, plan, kept, 2.0 * seconds)
        per_row = prepared.tokens / prepared.rows
        workers = setting.workers
        stages = [_worker_stage(alone.read_only, "read only", setting, plan, workers, seconds, tell, per_row)]
        stages.append(_worker_stage(alone.tokenise_only, "tokenise only", setting, plan, workers, seconds, tell))
        stages.append(_worker_stage(alone.worker_only, "workers", setting, plan, workers, seconds, tell))
        tell("encoder replaying prepared batches")
        packing = Packing(setting.request.profile.pipeline.batching, setting.shape.rows)
        replay = Replay(seconds, setting.encoders[0], str(kept), packing, str(setting.into), setting.model.dim)
        replays = [replace(replay, encoder=spec) for spec in setting.encoders]  # all devices at once, as in a run
        stages.append(_ceiling("encoder", run_jobs([job(alone.encoder_only, one) for one in replays])))
        tell("writer fed with ready vectors")
        stages.append(_ceiling("writer", run_jobs([job(alone.writer_only, replay)])))
    finally:
        collection.reload()
        collection.close()
    return summed_up(plan.title, stages)


def summed_up(title: str, stages: Sequence[Ceiling]) -> Ceilings:
    """Add the shared-core bound and name the lowest of what the pipeline passes through."""
    passed = [stage for stage in stages if stage.name in ("workers", "encoder", "writer")]
    cpu = sum(stage.cpu_per_token for stage in passed)
    _, logical = cores()
    every = [*stages]
    if cpu > 0:
        every.append(Ceiling("CPU cores", logical, logical / cpu, cpu, "shared by workers, encoder and writer"))
    bounds = [stage for stage in every if stage.name in ("workers", "encoder", "writer", "CPU cores")]
    lowest = min(bounds, key=lambda stage: stage.tokens_per_second)
    return Ceilings(title, tuple(every), lowest.name, lowest.tokens_per_second)


def with_pipeline(ceilings: Ceilings, tokens_per_second: float) -> Ceilings:
    """The same with the pipeline's own throughput."""
    return replace(ceilings, end_to_end=tokens_per_second, efficiency=tokens_per_second / ceilings.bound)


def worker_rates(
    request: RunRequest, counts: Sequence[int], seconds: float = 3.0, tell: Tell = lambda _: None
) -> list[Ceiling]:
    """Workers alone, for several numbers of them. Raises as `measure`."""
    with tempfile.TemporaryDirectory(prefix="workbench-plan-", ignore_cleanup_errors=True) as folder:
        setting = resolve(replace(request, into=Path(folder) / "c", fresh=False))
        plan = open_source(setting.source).plan()
        if not plan.units:
            raise UsageError("there is nothing to read", where=plan.title)
        (setting.into / "staging").mkdir(parents=True)
        return [
            _worker_stage(alone.worker_only, "workers", setting, plan, count, seconds, tell) for count in counts
        ]


def _worker_stage(
    entry: Callable[[Share, Connection], None], name: str, setting: Setting, plan: Plan, workers: int,
    seconds: float, tell: Tell, tokens_per_row: float = 0.0,
) -> Ceiling:
    tell(f"{name}, {workers} process{'es' if workers > 1 else ''}")
    jobs = [job(entry, _share(setting, plan, i, workers, seconds)) for i in range(workers)]
    return _ceiling(name, run_jobs(jobs), tokens_per_row)


def prepare(setting: Setting, plan: Plan, keep: Path, seconds: float = 1.0) -> Done:
    """Prepare the first units once and keep them in a folder, for encoder and writer to replay.

    Raises UsageError when none of their rows can be embedded, RunFailed when the process ends.
    """
    done = run_jobs([job(alone.worker_only, _share(setting, plan, 0, 1, seconds, str(keep), _KEPT_UNITS))])[0]
    if not done.rows:
        raise UsageError(
            "none of the first rows can be embedded", where=plan.title, remedy="`run` says why, in the rejects"
        )
    return done


def _share(
    setting: Setting, plan: Plan, index: int, of: int, seconds: float, keep: str = "", most: int = 0
) -> Share:
    profile = setting.request.profile
    spec = setting.encoders[0]
    limit = setting.source.read_bytes_per_second
    return Share(
        index, of, seconds, plan.units[:most] if most else plan.units,
        replace(setting.source, read_bytes_per_second=-(-limit // of)), setting.model,
        str(setting.into / "staging"), profile.collection.compression, spec.token_budget or 8192,
        profile.pipeline.batching, profile.pipeline.batch_rows, setting.shape.rows, keep,
    )


def _ceiling(name: str, results: Sequence[Done], tokens_per_row: float = 0.0) -> Ceiling:
    def tokens(result: Done) -> float:
        return result.tokens or result.rows * tokens_per_row

    whole = sum(tokens(result) for result in results)
    rate = sum(tokens(result) / result.seconds for result in results if result.seconds > 0)
    cpu = sum(result.cpu_seconds for result in results) / whole if whole else 0.0
    notes = Counter(result.note for result in results)
    note = "; ".join(f"{count} × {text}" if text and count > 1 else text for text, count in notes.items())
    return Ceiling(name, len(results), rate, cpu, note, sum(result.threads for result in results))


Job = tuple[Callable[[Any, Connection], None], Any]


def job(entry: Callable[[Any, Connection], None], task: Any) -> Job:
    """A process to start: module-level entry point and what it is told."""
    return entry, task


def run_jobs(jobs: Sequence[Job]) -> list[Done]:
    """Start a process for each job, let all begin together, collect what they did."""
    started: list[tuple[BaseProcess, Connection]] = []
    try:
        for entry, task in jobs:
            ours, theirs = make_pipe()
            process = CONTEXT.Process(target=_guarded, args=(entry, task, theirs), daemon=True)
            process.start()
            theirs.close()
            started.append((process, ours))
        for child, pipe in started:
            _receive(child, pipe)
        for _, pipe in started:
            pipe.send("go")
        return [_receive(child, pipe) for child, pipe in started]
    finally:
        for child, pipe in started:
            pipe.close()
            child.join(5.0)
            if child.is_alive():
                child.terminate()


def _guarded(entry: Callable[[Any, Connection], None], task: Any, pipe: Connection) -> None:
    """A failure travels as data, like everywhere."""
    try:
        entry(task, pipe)
    except EOFError:
        return  # the parent is gone
    except Exception as error:
        known = isinstance(error, (UsageError, RunFailed))
        pipe.send(error if known else RunFailed(f"{type(error).__name__}: {error}"))


def _receive(process: BaseProcess, pipe: Connection) -> Any:
    if not pipe.poll(_START + 600.0):
        raise RunFailed("a stage did not answer in ten minutes", remedy="Try a smaller input or --seconds")
    try:
        answer = pipe.recv()
    except EOFError as error:
        process.join(2.0)
        raise RunFailed(f"a stage's process ended (exit code {process.exitcode})") from error
    if isinstance(answer, Exception):
        raise answer
    return answer
