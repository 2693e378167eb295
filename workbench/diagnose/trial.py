"""A short run into a temporary folder: what the pipeline does with some settings, and why."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from workbench.core.activity import Counter
from workbench.core.errors import WorkbenchError
from workbench.core.profile import Profile
from workbench.core.run import RunRequest
from workbench.diagnose.limits import Limit, Verdict
from workbench.diagnose.steady import total
from workbench.diagnose.verdict import diagnose
from workbench.engine.run import Run
from workbench.telemetry.sampler import KEPT
from workbench.telemetry.snapshot import Snapshot

#: Seconds a trial may take until its first batch.
_START = 180.0


@dataclass(frozen=True, slots=True)
class Trial:
    """A request and how long it may run after its first batch (s)."""

    request: RunRequest
    seconds: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a trial came to. `failure`: why it ended early, else "". `facts` of the machine are in the verdict."""

    tokens_per_second: float
    verdict: Verdict
    failure: str = ""


def run_trial(trial: Trial, keep: Path | None = None) -> Outcome:
    """Run for some seconds, throw the collection away (or leave it in `keep`), diagnose what was seen.

    A run that fails is an outcome with a rate of 0 and the reason; Ctrl+C ends the run and is raised.
    """
    with tempfile.TemporaryDirectory(prefix="workbench-trial-", ignore_cleanup_errors=True) as folder:
        into = Path(folder) / "c" if keep is None else keep
        run = Run(replace(trial.request, profile=_measured(trial.request.profile), into=into, fresh=True))
        run.start()
        try:
            _let_run(run, trial.seconds)
            run.wait(60.0)
            failure = ""
        except WorkbenchError as error:
            failure = str(error)
        except BaseException:
            run.stop(now=True)
            run.wait(20.0)
            raise
        snapshots, facts = run.window(KEPT), run.facts
        if facts is None:
            verdict = Verdict(Limit.UNKNOWN, headline=failure or "the run never began")
            return Outcome(0.0, verdict, failure or "the run never began")
        verdict = diagnose(facts, snapshots)
        rate = verdict.tokens_per_second or plain_rate(snapshots)
        return Outcome(0.0 if failure else rate, verdict, failure)


def plain_rate(snapshots: Sequence[Snapshot]) -> float:
    """Tokens/s between the first batch and the last: what can be said of an input too small for a verdict."""
    counts = [(s.time_ns, total(s, "encoder", Counter.TOKENS)) for s in snapshots]
    moving = [i for i in range(1, len(counts)) if counts[i][1] > counts[i - 1][1]]
    if len(moving) < 2:
        return 0.0
    (begin, before), (end, after) = counts[moving[0]], counts[moving[-1]]
    return (after - before) / ((end - begin) / 1e9)


def _measured(profile: Profile) -> Profile:
    """The profile with what a trial is for: samples, also where runs record none, but no trace and no index."""
    return replace(
        profile, index=replace(profile.index, kind="none"), pipeline=replace(profile.pipeline, telemetry="samples")
    )


def _let_run(run: Run, seconds: float) -> None:
    """Return when the run is over, or stop it `seconds` after its first batch."""
    asked, began = time.perf_counter(), 0.0
    while not run.done:
        time.sleep(0.1)
        window = run.window(1)
        now = time.perf_counter()
        if not began and window and window[-1].progress.phase == "running":
            began = now
        if (began and now - began >= seconds) or (not began and now - asked > _START):
            run.stop(now=True)
            return
