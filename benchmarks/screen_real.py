"""The screen over real runs of the embedded default: what it costs a run, and the pictures of the README.

Used by `python -m benchmarks.screen paired` and `… screenshots`.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from workbench.core.profile_io import load_profile
from workbench.core.run import RunRequest
from workbench.tui import app as app_module
from workbench.tui.app import WorkbenchApp
from workbench.tui.live import LiveWorkbench
from workbench.tui.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
PICTURES = Path(__file__).resolve().parent / "screens"
_SCREEN = """
import sys
from pathlib import Path
from benchmarks.screen_real import watched
watched(*map(Path, sys.argv[1:]))
"""


# ── what the screen costs a run ──────────────────────────────────────────────────────────────────
def paired(pairs: int = 5, limit: int = 3000) -> dict[str, Any]:
    """Tokens/s of the same run without and with the screen on a terminal of 80 × 24, by turns; the median of the
    ratios of neighbours. `limit`: documents."""
    os.environ["WORKBENCH_BENCH_LIMIT"] = str(limit)
    found: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ["WORKBENCH_HOME"] = folder
        for number in range(pairs):
            order = (_headless, _on_terminal) if number % 2 == 0 else (_on_terminal, _headless)
            rates = {run: run(Path(folder) / f"{number}-{run.__name__}", limit) for run in order}
            found.append((rates[_headless], rates[_on_terminal]))
    ratios = [screen / plain for plain, screen in found]
    return {"paired": {"ratio": statistics.median(ratios), "least": min(ratios), "most": max(ratios),
                       "tokens_per_second": found}}


def _headless(into: Path, limit: int) -> float:
    done = subprocess.run(
        [sys.executable, "-m", "workbench", "run", "--profile", "fast", "--limit", str(limit), "--into", str(into),
         "--json"], cwd=ROOT, capture_output=True, check=True,
    )
    return float(json.loads(done.stdout)["tokens_per_second"])


def _on_terminal(into: Path, limit: int) -> float:
    """The run with the screen painting to a pseudo terminal that is read as fast as it is written."""
    if sys.platform == "win32":
        raise SystemExit("paired needs a pseudo terminal, which Python does not have on Windows")
    import fcntl
    import pty
    import struct
    import termios

    answer = into.with_suffix(".json")
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    child = subprocess.Popen(
        [sys.executable, "-c", _SCREEN, str(into), str(answer)], stdin=slave, stdout=slave, stderr=slave, cwd=ROOT,
        env={**os.environ, "TERM": "xterm-256color"}, start_new_session=True,
    )
    os.close(slave)
    try:
        while os.read(master, 65536):
            continue
    except OSError:  # the program has closed its end
        child.wait()
    os.close(master)
    if not answer.exists():
        raise SystemExit("the run with the screen came to no result")
    return float(json.loads(answer.read_text(encoding="utf-8"))["tokens_per_second"])


def watched(into: Path, answer: Path) -> None:
    """Run the default with the screen, write its rate to `answer`, leave."""
    request = RunRequest(load_profile("fast"), into=into, limit=int(os.environ["WORKBENCH_BENCH_LIMIT"]))

    class Watched(WorkbenchApp):
        CSS_PATH = Path(app_module.__file__).with_name("workbench.tcss")  # a subclass looks beside its own file

        def on_ready(self) -> None:
            self.start(request)

        def run_ended(self) -> None:
            control = self.run_room.control
            result = control.result() if control is not None else None
            answer.write_text(json.dumps({"tokens_per_second": result.tokens_per_second if result else 0}), "utf-8")
            self.exit(0)

    Watched(LiveWorkbench(), Settings(refresh=1.0), keep=answer.with_name("screen.json")).run()


# ── pictures ─────────────────────────────────────────────────────────────────────────────────────
def screenshots(share: float = 0.75) -> dict[str, Any]:
    """Write the README's pictures: a run of the embedded default at `share` of its way, and a search in it."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["WORKBENCH_HOME"] = folder
        asyncio.run(_pictures(Path(folder), share))
    return {"written": [str(PICTURES / name) for name in ("run.svg", "search.svg")]}


async def _pictures(folder: Path, share: float) -> None:
    bench = LiveWorkbench()
    app = WorkbenchApp(bench, Settings(glyphs="braille", refresh=1.0, span=30), keep=folder / "screen.json")
    into = folder / "stdlib.collection"
    try:
        async with app.run_test(size=(140, 44)) as pilot:
            app.start(RunRequest(load_profile("fast"), into=into))
            room = app.run_room
            await _until(lambda: ((room.picture.live and room.picture.live.share) or 0.0) >= share)
            await pilot.pause(1.0)
            app.clear_notifications()
            await pilot.pause()
            app.save_screenshot("run.svg", path=str(PICTURES))
            assert room.control is not None
            await _until(room.control.done)
        await _search_picture(bench, folder, into)
    finally:
        bench.close()


async def _search_picture(bench: LiveWorkbench, folder: Path, collection: Path) -> None:
    from textual.widgets import Input

    app = WorkbenchApp(bench, Settings(glyphs="braille"), keep=folder / "screen.json")
    async with app.run_test(size=(140, 30)) as pilot:
        app.search_in(collection)
        await pilot.pause(0.5)
        room: Any = app.screen
        await _until(lambda: room.control and room.control.state().startswith("ready"))
        for text in ("compress", "how do I compress a file"):  # the second one finds everything warm
            field = room.query_one("#query", Input)
            field.cursor_blink, field.value, field.cursor_position = False, text, len(text)
            await _until(lambda text=text: room.answer and room.answer.query == text)  # type: ignore[misc]
        await pilot.pause(1.0)
        app.save_screenshot("search.svg", path=str(PICTURES))


async def _until(condition: Callable[[], Any], seconds: float = 300.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise SystemExit("it took too long")
        await asyncio.sleep(0.1)
