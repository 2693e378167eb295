"""What the screen knows of earlier runs."""

from __future__ import annotations

from dataclasses import replace

from tests.tui.fakes import WALL
from workbench.tui import known
from workbench.tui.known import RunCard


def test_the_rate_of_a_few_texts_tells_nothing_of_the_next_run(tmp_path, monkeypatch):
    long = RunCard(tmp_path / "a", "books", "books", WALL, "done", 27_000.0, 8_000, 20.0, "balanced", "default")
    short = replace(long, folder=tmp_path / "b", started=WALL + 60, tokens_per_second=6.4, rows=1, seconds=2.0)
    monkeypatch.setattr(known, "runs", lambda: [short, long])
    found = known.last_rate("default")
    assert found is not None and found[0] == 27_000.0
    monkeypatch.setattr(known, "runs", lambda: [short])
    assert known.last_rate("default") is None
