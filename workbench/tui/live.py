"""The real parts behind the screen: engine, search, collections, and the program's own commands."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from workbench.core.run import RunRequest
from workbench.telemetry.snapshot import RunFacts, Snapshot
from workbench.tui import outcomes
from workbench.tui.bridge import (
    CollectionCard,
    Estimate,
    Job,
    Outcome,
    RunCard,
    RunControl,
    RunEnd,
    SearchControl,
    Told,
    VerdictView,
)
from workbench.tui.calls import Call
from workbench.tui.jobs import Command


class LiveWorkbench:
    """`bridge.Workbench` over the program itself."""

    def __init__(self) -> None:
        """Make it before the app runs."""
        if sys.platform != "win32":
            # Inside a running Textual app spawn cannot start its tracker any more: "bad value(s) in fds_to_keep".
            from multiprocessing import resource_tracker

            resource_tracker.ensure_running()
        self._searches: list[SearchControl] = []
        self._jobs: list[Job] = []

    # ── runs ─────────────────────────────────────────────────────────────────────────────────────
    def start_run(self, request: RunRequest) -> RunControl:
        from workbench.tui.liverun import LiveRun

        return LiveRun(request)

    def estimate(self, request: RunRequest, told: Callable[[Estimate], None]) -> Job:
        return Call(
            "workbench.tui.estimate", "estimate", (request,),
            lambda kind, value: told(value if kind == "done" else Estimate(problem=str(value))),
        )

    def replay(self, folder: Path) -> Any:
        from workbench.telemetry.recorder import Recording

        return Recording.load(folder)

    def judge(self, facts: RunFacts, snapshots: Sequence[Snapshot]) -> VerdictView:
        """The verdict over a recording; takes a second, call in a thread."""
        from workbench.diagnose.verdict import diagnose
        from workbench.tui.liverun import view_of

        return view_of(diagnose(facts, snapshots))

    def course(self, facts: RunFacts, snapshots: Sequence[Snapshot]) -> Iterable[tuple[float, VerdictView]]:
        from workbench.diagnose.verdict import course
        from workbench.tui.liverun import view_of

        return ((wall, view_of(verdict)) for wall, verdict in course(facts, snapshots))

    def ending(self, run: Path) -> RunEnd | None:
        from workbench.tui import known

        return known.ending(run)

    # ── search and collections ───────────────────────────────────────────────────────────────────
    def search(self) -> SearchControl:
        from workbench.tui.livesearch import LiveSearch

        self._searches.append(LiveSearch())
        return self._searches[-1]

    def collections(self) -> list[CollectionCard]:
        from workbench.tui import known

        return known.collections()

    def runs(self) -> list[RunCard]:
        from workbench.tui import known

        return known.runs()

    def describe(self, collection: Path) -> list[tuple[str, str]]:
        from workbench.tui import known

        return known.describe(collection)

    # ── jobs ─────────────────────────────────────────────────────────────────────────────────────
    def _keep(self, job: Job) -> Job:
        self._jobs.append(job)
        return job

    def verify(self, collection: Path, told: Told) -> Job:
        return self._keep(Command(["verify", "--in", str(collection)], outcomes.verified, told))

    def rebuild(self, collection: Path, kind: str, told: Told) -> Job:
        return self._keep(Command(["index", "--in", str(collection), "--kind", kind], outcomes.rebuilt, told))

    def export(self, collection: Path, file: Path, told: Told) -> Job:
        return self._keep(Command(["export", "--in", str(collection), "--to", str(file)], outcomes.exported, told))

    def doctor(self, told: Told) -> Job:
        return self._keep(Command(["doctor"], outcomes.findings, told))

    def report(self, run: Path, told: Told) -> Job:
        def done(kind: str, value: Any) -> None:
            told(Outcome((f"written to {value}",), value=Path(value)) if kind == "done" else Outcome(problem=value))

        return self._keep(Call("workbench.report.html", "write_report", (run,), done))

    def compare(self, runs: Sequence[Path], told: Told) -> Job:
        def done(kind: str, value: Any) -> None:
            told(Outcome(value=value) if kind == "done" else Outcome(problem=value))

        return self._keep(Call("workbench.tui.comparing", "gather", (tuple(runs),), done))

    def trace(self, run: Path, told: Told) -> Job:
        def done(kind: str, value: Any) -> None:
            lines = (f"{value}", "Open it in ui.perfetto.dev or chrome://tracing.")
            told(Outcome(lines, value=value) if kind == "done" else Outcome(problem=value))

        return self._keep(Call("workbench.telemetry.trace", "write_trace", (run,), done))

    def close(self) -> None:
        for job in self._jobs:
            job.cancel()
        for search in self._searches:
            search.close()
