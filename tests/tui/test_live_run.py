"""A real run, started from the screen, on real files, through spawn, with a worker killed under it; its replay."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from textual.widgets import Input

from tests.tui.conftest import until
from workbench.core.profile import Profile
from workbench.core.profile_io import apply_overrides, own_profile_path, save_profile
from workbench.tui.app import WorkbenchApp
from workbench.tui.live import LiveWorkbench
from workbench.tui.rooms.replay import ReplayRoom
from workbench.tui.settings import Settings
from workbench.tui.widgets.panels import RatePanel
from workbench.tui.widgets.table import LineTable
from workbench.tui.widgets.tables import LogPanel


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    """A model folder with a tokenizer of words, for the simulated device."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "[PAD]": 3, **{f"w{n}": n + 4 for n in range(200)}}
    made = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    folder = tmp_path / "model"
    folder.mkdir()
    made.save(str(folder / "tokenizer.json"))
    (folder / "config.json").write_text(
        json.dumps({"model_type": "bert", "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
                    "intermediate_size": 64, "vocab_size": len(words), "max_position_embeddings": 128}),
        encoding="utf-8",
    )
    return folder


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """4,000 rows of JSON lines."""
    file = tmp_path / "notes ü.jsonl"
    with file.open("w", encoding="utf-8", newline="\n") as out:
        for n in range(4000):
            text = " ".join(f"w{(n * 7 + i) % 200}" for i in range(20 + n % 60))
            out.write(json.dumps({"chunk_id": f"c{n}", "title": f"Notiz {n}", "text": text}) + "\n")
    return file


def profile(model: Path, **settings: object) -> Profile:
    changes = {"encoder.engine": "simulated", "encoder.model": str(model), "encoder.dim": 32, "pipeline.workers": 2,
               "source.unit_rows": 100, **settings}
    return apply_overrides(Profile(name="test"), [f"{key}={value}" for key, value in changes.items()])


async def test_a_run_survives_the_kill_of_a_worker_and_is_replayed(tmp_path, tokenizer, rows):
    save_profile(profile(tokenizer, **{"encoder.tokens_per_second": 45000}), own_profile_path("slowed"))
    bench = LiveWorkbench()
    app = WorkbenchApp(bench, Settings(profile="slowed", refresh=0.25), keep=tmp_path / "screen.json")
    async with app.run_test(size=(160, 50)) as pilot:
        await pilot.pause()
        app.screen.query_one("#input", Input).value = str(rows)
        app.screen.query_one("#into", Input).value = str(tmp_path / "c.collection")
        await pilot.press("ctrl+s")
        control = app.run_room.control
        picture = app.run_room.picture
        await until(pilot, lambda: control.done() or (picture.frame and picture.frame.rows_done > 200), tries=2000)
        assert not control.done(), control.error()
        victim = control.engine().children("worker")[0]
        os.kill(victim.pid, 9)
        await until(pilot, lambda: control.done(), tries=4000)
        assert control.error() is None
        assert control.result().chunks == 4000
        await until(pilot, lambda: app.run_room._told_end, tries=500)
        assert "ended unexpectedly" in " ".join(app.screen.query_one(LogPanel).plain().split())
        assert "100 %" in app.screen.query_one(RatePanel).plain()
        assert picture.facts.settings["profile"] == "slowed"
        await replay(app, pilot)
    bench.close()


async def replay(app: WorkbenchApp, pilot) -> None:
    """The recording of the run that has just ended shows it again."""
    app.action_room("runs")
    await until(pilot, lambda: app.screen.ROOM == "runs" and app.screen.query_one("#list", LineTable).rows, tries=500)
    assert (app.screen.card().outcome, app.screen.card().profile) == ("done", "slowed")
    await pilot.press("enter")
    await until(pilot, lambda: isinstance(app.screen, ReplayRoom), tries=500)
    app.screen.action_latest()
    assert "a recording holds no log" in app.screen.query_one(LogPanel).plain()
    assert app.screen.picture.frame.rows_done == 4000
    room = app.screen
    await until(pilot, lambda: room._whole is not None, tries=500)
    assert "done" in room.query_one(RatePanel).plain() and "took" in room.query_one(RatePanel).plain()
    assert room.picture.verdict == room._whole[0]
    room.action_earliest()
    assert not room.picture.verdict.known and "arming up" in room.picture.verdict.headline
    room.action_latest()
    assert any(process.restarts for process in app.screen.picture.frame.processes)


async def test_a_wrong_input_ends_with_a_clear_line(tmp_path, tokenizer):
    save_profile(profile(tokenizer), own_profile_path("quick"))
    bench = LiveWorkbench()
    app = WorkbenchApp(bench, Settings(profile="quick", refresh=0.25), keep=tmp_path / "screen.json")
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        app.screen.query_one("#input", Input).value = str(tmp_path / "missing.jsonl")
        await pilot.press("ctrl+s")
        control = app.run_room.control
        await until(pilot, lambda: control.done(), tries=2000)
        assert "there is no such file" in control.error()
        await until(pilot, lambda: any("no such file" in n.message for n in app._notifications), tries=500)
    bench.close()
