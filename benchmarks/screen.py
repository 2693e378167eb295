"""What the screen costs and how quick it is: `python -m benchmarks.screen [PART …] [--json]`.

Parts: first-paint, cost, keys, memory, search, paired, screenshots. Figures are of this machine, now; `cost` and
`keys` use the scripted run of the tests, so that nothing but the screen is measured; `search` needs a collection
(`--in FOLDER`). `paired` compares real runs with and without the screen; `screenshots` writes the two pictures of
the README from a real run of the embedded default and a search in what it made.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import tracemalloc
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
_PAINT = """
import sys, time
begun = float(sys.argv[1])
from workbench.tui.app import WorkbenchApp
ready = WorkbenchApp.on_ready
def painted(app):
    ready(app)
    app.call_after_refresh(lambda: (print("PAINT", time.time() - begun, file=sys.__stderr__), app.exit(0)))
WorkbenchApp.on_ready = painted
from workbench.cli.main import main
import workbench.tui.live as live
bench = live.LiveWorkbench()
import asyncio
asyncio.run(WorkbenchApp(bench).run_async(headless=True, size=(80, 24)))
"""


def first_paint(repeats: int = 7) -> dict[str, Any]:
    """Seconds from the start of Python to the first painted screen (headless driver, disk warm)."""
    times = []
    for _ in range(repeats):
        done = subprocess.run(
            [sys.executable, "-c", _PAINT, str(time.time())], capture_output=True, text=True, cwd=ROOT, timeout=60,
            encoding="utf-8", env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        times += [float(line.split()[1]) for line in done.stderr.splitlines() if line.startswith("PAINT")]
    return {"first_paint_s": {"median": statistics.median(times), "worst": max(times), "runs": len(times)}}


async def _with_run(size: tuple[int, int], use: Any, **settings: Any) -> Any:
    """Call `use(app, pilot, run)` with the scripted run in the Run room."""
    from tests.tui.fakes import FakeWorkbench
    from tests.tui.script import FakeRun
    from workbench.tui.app import WorkbenchApp
    from workbench.tui.settings import Settings

    with tempfile.TemporaryDirectory() as folder:
        app = WorkbenchApp(FakeWorkbench(), Settings(**settings), keep=Path(folder) / "screen.json")
        async with app.run_test(size=size) as pilot:
            run = FakeRun()
            run.advance(30)
            app.run_room.attach(run)
            app.action_room("run")
            await pilot.pause(0.5)
            return await use(app, pilot, run)


def cost(seconds: int = 30) -> dict[str, Any]:
    """CPU of the process in percent of a core while a run is painted at 1 Hz, 80 × 24 and 160 × 50."""

    async def measure(app: Any, pilot: Any, run: Any) -> float:
        before, begun = _cpu(), time.perf_counter()
        for _ in range(seconds):
            run.advance(1)
            await asyncio.sleep(1.0)
        return 100.0 * (_cpu() - before) / (time.perf_counter() - begun)

    scripted = _script_cost(seconds)
    found: dict[str, Any] = {}
    for size in ((80, 24), (160, 50)):
        whole = asyncio.run(_with_run(size, measure, refresh=1.0, glyphs="braille"))
        found[f"cost_percent_{size[0]}x{size[1]}"] = whole - scripted
    return found


def _cpu() -> float:
    used = os.times()
    return used.user + used.system


def _script_cost(seconds: int) -> float:
    """What making the scripted readings takes, in percent of a core: not the screen's."""
    from tests.tui.script import FakeRun

    run, before = FakeRun(), _cpu()
    for _ in range(seconds):
        run.advance(1)
    return 100.0 * (_cpu() - before) / seconds


def keys(presses: int = 120) -> dict[str, Any]:
    """Milliseconds from a key to the repainted line, while all cores compute."""
    stop = tempfile.NamedTemporaryFile(delete=False)
    stop.close()
    burners = [
        subprocess.Popen(
            [sys.executable, "-c", f"import os\nwhile os.path.exists({stop.name!r}):\n  sum(range(200000))"]
        )
        for _ in range(os.cpu_count() or 2)
    ]

    async def measure(app: Any, pilot: Any, run: Any) -> list[float]:
        times, picture = [], app.run_room.picture
        for _ in range(presses):
            run.advance(1)
            held, painted = picture.held, asyncio.Event()
            begun = time.perf_counter()
            app.post_message(_key("space"))
            while picture.held == held:
                await asyncio.sleep(0)
            app.screen.call_after_refresh(painted.set)
            await painted.wait()
            times.append(1000.0 * (time.perf_counter() - begun))
            await asyncio.sleep(0.05)
        return times

    try:
        times = sorted(asyncio.run(_with_run((160, 50), measure, refresh=1.0, glyphs="braille")))
    finally:
        Path(stop.name).unlink()
        for burner in burners:
            burner.wait()
    return {"key_ms": {"p50": times[len(times) // 2], "p95": times[int(0.95 * len(times))], "worst": times[-1]}}


def _key(name: str) -> Any:
    from textual.events import Key

    return Key(name, " ")


def memory(hours: float = 1.0) -> dict[str, Any]:
    """Growth of the screen's memory over a run of an hour, sampled at 4 Hz and painted at 1 Hz, in fast motion.

    `heap`: Python objects (tracemalloc); `rss`: the whole process, tracemalloc's own tables included. The scripted
    run keeps its newest 600 readings. The first five minutes fill them and are left out.
    """
    import psutil

    async def measure(app: Any, pilot: Any, run: Any) -> dict[str, float]:
        feed = app.run_room.feed
        feed.stop()

        async def minutes(count: int) -> None:
            for _ in range(count * 60):
                run.advance(1)
                feed.look()
                await asyncio.sleep(0)
            await pilot.pause()

        tracemalloc.start()  # from the beginning: what the scripted run replaces must be known, to be let go
        await minutes(5)
        heap, rss = tracemalloc.get_traced_memory()[0], psutil.Process().memory_info().rss
        await minutes(int(60 * hours))
        after = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        return {"heap_mb": (after - heap) / 1e6, "rss_mb": (psutil.Process().memory_info().rss - rss) / 1e6}

    return {"growth_1h": asyncio.run(_with_run((80, 24), measure, refresh=5.0, glyphs="braille"))}


def search(collection: Path, queries: int = 60) -> dict[str, Any]:
    """Milliseconds from the last key to the painted hits, over a real collection, processes warm."""
    from textual.widgets import Input

    from workbench.tui.app import WorkbenchApp
    from workbench.tui.live import LiveWorkbench
    from workbench.tui.rooms.search import HitTable

    words = "how to compress a file|read lines from a socket|parse dates|sort a list by key|run a process|open a url"
    asked = [f"{words.split('|')[n % 6]} {n}" for n in range(queries)]

    async def measure() -> list[float]:
        bench = LiveWorkbench()
        app = WorkbenchApp(bench)
        times: list[float] = []
        async with app.run_test(size=(160, 50)) as pilot:
            app.search_in(collection)
            await pilot.pause(0.5)
            room = app.screen
            while not room.control or not room.control.state().startswith("ready"):
                await asyncio.sleep(0.1)
            for text in asked:
                room.query_one("#query", Input).value = text
                begun = time.perf_counter()
                while room.answer is None or room.answer.query != text:
                    await asyncio.sleep(0.002)
                painted = asyncio.Event()
                room.query_one(HitTable).call_after_refresh(painted.set)
                await painted.wait()
                times.append(1000.0 * (time.perf_counter() - begun))
        bench.close()
        return times[5:]

    times = sorted(asyncio.run(measure()))
    return {"search_ms": {"p50": times[len(times) // 2], "p95": times[int(0.95 * len(times))], "worst": times[-1]}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=["first-paint", "cost", "keys", "memory"])
    parser.add_argument("--in", dest="collection", type=Path, help="collection for `search`")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    known = {"first-paint": first_paint, "cost": cost, "keys": keys, "memory": memory}
    found: dict[str, Any] = {}
    for part in args.parts:
        if part == "search":
            if args.collection is None:
                parser.error("search needs --in FOLDER")
            found |= search(args.collection)
        elif part in ("paired", "screenshots"):
            from benchmarks import screen_real

            found |= getattr(screen_real, part)()
        elif part in known:
            found |= known[part]()
        else:
            names = ", ".join([*known, "search", "paired", "screenshots"])
            parser.error(f"there is no part {part!r}; there are: {names}")
    print(json.dumps(found, indent=None if args.json else 1, default=lambda value: round(value, 2)))


if __name__ == "__main__":
    threading.current_thread().name = "main"
    main()
