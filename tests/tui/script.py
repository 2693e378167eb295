"""A scripted run with a frozen clock: 412 k tokens/s, four workers, one card. No process, no disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from workbench.core.activity import Activity, Counter
from workbench.core.run import Failure, LogLine, RunRequest, RunResult
from workbench.telemetry.recorder import Recording
from workbench.telemetry.snapshot import (
    GpuReading,
    ProcessReading,
    Progress,
    RingReading,
    RunFacts,
    Snapshot,
)
from workbench.tui.bridge import VerdictView

_CORES = (98.0, 97.0, 99.0, 96.0, 41.0, 22.0, 11.0, 9.0)
WALL = 1_790_000_000.0
ROWS = 366_669

FACTS = RunFacts(
    run="20260921-140000-abcd", title="books", collection="/data/books.collection", started=WALL,
    workbench="0.0.0", platform="Test", cores_physical=4, cores_logical=8,
    settings={"pipeline.workers": 4, "encoder.threads": 0},
    encoder={"engine": "torch", "model": "bge-small-en", "device": "cuda:0", "device_name": "RTX 4070",
             "dtype": "fp16"},
    flops_per_token=(4.2e7, 1.8e4), matrix_flops=8.0e13,
)
VERDICT = VerdictView(
    True, "Tokenising limits the run", "worker",
    ("the encoder waits 38 % of the time for batches", "4 workers are busy 97 %", "cores free: 6"),
    ("pipeline.workers", "7"), "4", "start three more workers", 412_000.0, 655_000.0, "device compute", 0.93,
)


def _activity(seconds: float, shares: dict[Activity, float]) -> tuple[int, ...]:
    return tuple(int(seconds * shares.get(activity, 0.0) * 1e9) for activity in Activity)


def _counters(**values: int) -> tuple[int, ...]:
    return tuple(values.get(counter.name.lower(), 0) for counter in Counter)


_SHARES = {
    "worker": {Activity.READ: 0.10, Activity.SLICE: 0.12, Activity.TOKENISE: 0.70, Activity.PACK: 0.05,
               Activity.WAIT_INPUT: 0.02, Activity.WAIT_OUTPUT: 0.01},
    "encoder": {Activity.FORWARD: 0.55, Activity.COPY: 0.07, Activity.WAIT_INPUT: 0.38},
    "writer": {Activity.ASSEMBLE: 0.03, Activity.COMMIT: 0.06, Activity.WAIT_INPUT: 0.91},
}


def snapshot(second: float, *, workers: int = 4, cores: int = 8, gpus: int = 1, dead: int = -1) -> Snapshot:
    """The reading `second` seconds into the scripted run: 412 k tokens/s, 3,240 chunks/s, wobbling a little."""
    wobble = 1.0 + 0.04 * ((int(second * 4) * 7) % 5 - 2) / 2
    tokens, rows = int(412_000 * second), min(ROWS, int(3_240 * second))
    processes = [
        ProcessReading(
            "worker", i, 4711 + i, i != dead, Activity.TOKENISE, _activity(second, _SHARES["worker"]),
            _counters(rows=rows // workers, tokens=tokens // workers, current_unit=200 + i, batches=int(second * 9)),
            second, 97.0 + i % 3, 81_000_000 + i * 1_000_000, 1 if i == dead else 0,
        )
        for i in range(workers)
    ]
    processes.append(ProcessReading(
        "encoder", 0, 4720, True, Activity.FORWARD, _activity(second, _SHARES["encoder"]),
        _counters(rows=rows, tokens=tokens, padded_tokens=int(tokens * 1.0183), batches=int(second * 36),
                  flops=int(tokens * 41)), second * 0.4, 41.0, 1_240_000_000,
    ))
    processes.append(ProcessReading(
        "writer", 0, 4721, True, Activity.WAIT_INPUT, _activity(second, _SHARES["writer"]),
        _counters(rows=rows, tokens=tokens, units=rows // 8192), second * 0.09, 9.0, 160_000_000,
    ))
    processes.append(ProcessReading("parent", 0, 4700, True, Activity.STARTING, (), (), second * 0.05, 5.0, 92_000_000))
    cpu = tuple(min(100.0, max(0.0, _CORES[i % 8] * wobble)) for i in range(cores))
    cards = tuple(
        GpuReading(i, "RTX 4070", 99.0, 3_100_000_000, 12_000_000_000, 138.0 * wobble, 200.0, 2475, 2610, 61, (),
                   None, None)
        for i in range(gpus)
    )
    return Snapshot(
        time_ns=int(second * 1e9), wall=WALL + second, processes=tuple(processes),
        batches=RingReading(8, 1, 7), vectors=RingReading(4, 0, 4), cpu_percent=cpu, cpu_system=sum(cpu) / 100,
        memory_used=4_200_000_000, memory_total=32_000_000_000, gpus=cards,
        progress=Progress("running", 45, rows // 8192, 0, ROWS, rows, tokens, 12, 10**9, rows * 2700),
    )


def recording(seconds: int = 60) -> Recording:
    """A recorded run of the same script."""
    shots = tuple(snapshot(i / 4) for i in range(1, seconds * 4 + 1))
    return Recording(Path("samples.jsonl"), FACTS, shots, ("recorded on another machine (Test)",))


class FakeRun:
    """A run whose clock is moved by hand: `advance(seconds)` makes readings at 4 Hz."""

    def __init__(self, request: RunRequest | None = None, **shape: Any) -> None:
        self._request, self.shape = request, shape
        self.shots: list[Snapshot] = []
        self.told: list[LogLine | Failure] = []
        self.calls: list[str] = []
        self.now_verdict = VERDICT
        self.second = 0.0
        self.over: RunResult | None = None
        self.failure: str | None = None
        self.lingers = False
        self._paused = False

    def advance(self, seconds: float) -> None:
        for _ in range(int(seconds * 4)):
            self.second += 0.25
            self.shots.append(replace(snapshot(self.second, **self.shape), paused=self._paused))
        del self.shots[:-600]

    def end(self, outcome: str = "done") -> None:
        self.over = RunResult(
            outcome, "/data/books.collection", FACTS.run, 366_669, 0, 12, 45, 46_600_000, 113.0, 412_000.0, 0.018,
            index={"kind": "RaBitQ", "recall_at_10": 0.997},
        )

    # ── RunControl ───────────────────────────────────────────────────────────────────────────────
    def facts(self) -> RunFacts | None:
        return FACTS if self.shots else None

    def window(self, n: int) -> tuple[Snapshot, ...]:
        return tuple(self.shots[-n:])

    def events(self, since: int) -> Sequence[LogLine | Failure]:
        return self.told[since:]

    def verdict(self) -> VerdictView:
        return self.now_verdict

    def pause(self) -> None:
        self.calls.append("pause")
        self._paused = True

    def resume(self) -> None:
        self.calls.append("resume")
        self._paused = False

    def paused(self) -> bool:
        return self._paused

    def stop(self, *, now: bool = False) -> None:
        """At once, unless it is to linger over its units in flight."""
        self.calls.append("stop now" if now else "stop")
        if now or not self.lingers:
            self.end("stopped")

    def done(self) -> bool:
        return self.over is not None or self.failure is not None

    def result(self) -> RunResult | None:
        return self.over

    def error(self) -> str | None:
        return self.failure

    def request(self) -> RunRequest | None:
        return self._request
