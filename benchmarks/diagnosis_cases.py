"""The cases of `diagnosis`: bottlenecks made with ordinary settings or from outside, and healthy runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from common import REPOSITORY

Settings = dict[str, object]

#: What all cases share unless they say otherwise.
BASE: Settings = {
    "encoder.engine": "simulated", "encoder.tokens_per_second": 250_000, "pipeline.workers": 1, "index.kind": "none",
}
FAST = 20_000_000
REMOTE: Settings = {"encoder.engine": "remote", "encoder.endpoint_model": "made-up"}


@dataclass(frozen=True)
class Case:
    """A run whose limit is known. `limits`: every right answer (two names may be right for one cause)."""

    name: str
    limits: tuple[str, ...]
    settings: Settings = field(default_factory=dict)
    burners: int = 0
    card: dict[str, object] | None = None
    server: dict[str, float] | None = None  # an embedding server: latency (s), rows_per_second
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
        Case("remote end, far 1", ("remote",), REMOTE, server={"latency": 0.4}),
        Case("remote end, far 2", ("remote",), REMOTE, server={"latency": 1.0}),
        Case("remote end, busy 1", ("remote",), REMOTE, server={"latency": 0.05, "rows_per_second": 300}),
        Case("remote end, busy 2", ("remote",), REMOTE, server={"latency": 0.05, "rows_per_second": 120}),
        Case("remote end that does not bind", ("read",), {**REMOTE, "source.read_bytes_per_second": 150_000},
             server={"latency": 0.1}),
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


#: A foreign program; it ends with the benchmark.
_BURN = """
import sys, time
import psutil
while psutil.pid_exists(int(sys.argv[1])):
    until = time.monotonic() + 1
    while time.monotonic() < until:
        sum(range(10_000))
"""
#: Starts one and leaves: what the benchmark itself had started would belong to it, and not be foreign.
_LAUNCH = (
    "import subprocess, sys\n"
    "print(subprocess.Popen([sys.executable, '-c', *sys.argv[1:]], stdout=subprocess.DEVNULL).pid)"
)


def burner() -> psutil.Process:
    """Start a foreign program that burns a core."""
    command = [sys.executable, "-c", _LAUNCH, _BURN, str(os.getpid())]
    started = subprocess.run(command, stdout=subprocess.PIPE, text=True, encoding="utf-8", check=True)
    return psutil.Process(int(started.stdout))


@contextmanager
def served(server: dict[str, float] | None) -> Iterator[Settings]:
    """An embedding server in a process of its own; the settings that name it."""
    if server is None:
        yield {}
        return
    words = [f"--{name.replace('_', '-')}={value}" for name, value in server.items()]
    command = [sys.executable, "-m", "tests.embedding_server", "--dim=64", *words]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, encoding="utf-8") as process:
        assert process.stdout is not None
        try:
            yield {"encoder.endpoint": f"http://127.0.0.1:{int(process.stdout.readline())}"}
        finally:
            process.terminate()


@contextmanager
def outside(case: Case, folder: Path) -> Iterator[None]:
    """Foreign programs and scripted cards, for the time of a run."""
    burners = [burner() for _ in range(case.burners)]
    if case.card is not None:
        script = folder / "card.json"
        script.write_text(json.dumps([{"seconds": 1, "cards": [case.card]}]), encoding="utf-8")
        os.environ["WORKBENCH_FAKE_NVML"] = str(script)
    try:
        yield
    finally:
        os.environ.pop("WORKBENCH_FAKE_NVML", None)
        for one in burners:
            one.kill()
