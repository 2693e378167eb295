from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len

from tests.tui.script import FACTS, snapshot
from workbench.telemetry.recorder import Recorder
from workbench.tui.comparing import SideBySide, gather, lines


@pytest.mark.parametrize("width", [60, 92])
def test_long_values_go_on_below_themselves(width):
    limit = ("other programs on this machine limit it", "唐诗三百首 device compute")
    found = SideBySide(("a very long title, 20261121-141445-e6d2", "b"), (("limit", limit),),
                       (("encoder.threads", ("2", "1")),), ("a: it is healthy " * 9,), ("no chunk id is in both",))
    shown = lines(found, width)
    assert all(cell_len(line) <= width for line in shown)
    text = " ".join(" ".join(shown).split())
    for word in (*limit[0].split(), "唐诗三百首", "encoder.threads", "20261121-141445-e6d2"):
        assert word in text


def test_recorded_runs_are_gathered(tmp_path):
    folders = []
    for name, workers in (("20260921-140000-aaaa", 4), ("20260921-150000-bbbb", 2)):
        folder = tmp_path / f"{name}.collection" / "runs" / name
        folder.mkdir(parents=True)
        recorder = Recorder(folder, replace(FACTS, run=name))
        for second in range(1, 30):
            recorder.append(snapshot(float(second), workers=workers))
        recorder.close()
        folders.append(Path(folder))
    found = gather(folders)
    assert found.names == tuple(f"books, {folder.name}" for folder in folders)
    assert dict(found.figures)["throughput"] == ("412 k tokens/s", "412 k tokens/s")
    assert len(found.verdicts) == 2 and len(found.parity) == 1
