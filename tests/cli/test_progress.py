"""The line that shows how far a run is."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from workbench.cli.common import Steps
from workbench.cli.progress import describe
from workbench.telemetry.snapshot import Progress


def reading(second: float, unit_seconds: float, unit_rows: int = 5000) -> SimpleNamespace:
    """A run that embeds 100 tokens a row without a pause, and commits a unit every `unit_seconds`."""
    rows = int(second // unit_seconds) * unit_rows
    tokens = int(second / unit_seconds * unit_rows * 100)
    progress = Progress("running", 40, rows // unit_rows, 0, 200_000, rows, tokens, 0, 0, 0)
    return SimpleNamespace(time_ns=int(second * 1e9), progress=progress)


@pytest.mark.parametrize("now", [64.0, 74.0, 89.0, 103.0])
def test_units_longer_than_the_window_of_the_speed_do_not_shorten_the_time_left(now):
    line = describe([reading(tick / 4, 15.0) for tick in range(int(now * 4))])
    rows = int((now - 0.25) // 15) * 5000
    minutes, _, seconds = line.rpartition("about ")[2].removesuffix(" s left").partition(" min ")
    assert int(minutes) * 60 + int(seconds) == pytest.approx((200_000 - rows) / 5000 * 15, rel=0.02)
    assert "33,333 tokens/s" in line


def test_before_anything_is_committed_it_is_starting():
    assert describe([reading(tick / 4, 15.0) for tick in range(20)]).endswith("starting")


def test_steps_are_told_to_a_reader_who_asks_for_them_and_to_nobody_else(monkeypatch, capsys):
    monkeypatch.delenv("WORKBENCH_STEPS", raising=False)
    with Steps() as steps:
        steps("shards/a", 1, 4)
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("WORKBENCH_STEPS", "1")
    with Steps() as steps:
        steps("shards/ä", 1, 4)
    assert capsys.readouterr().err == "step:  25% shards/ä\n"
    with Steps() as steps:
        steps("measuring", 0, 0)
    assert capsys.readouterr().err == "step: measuring\n"
