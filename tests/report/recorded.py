"""Recorded runs on disk, made from worlds on paper."""

import json

from tests.diagnose.scripted import World, facts, play
from workbench.telemetry.recorder import Recorder


def record(folder, world=None, *, result="done", seconds=20.0, **changes):
    """Write a run's folder as the engine does; `result=None`: it never finished."""
    world = world or World(workers=1)
    from dataclasses import replace

    made = replace(facts(world), **{"run": folder.name, "collection": str(folder.parent.parent), **changes})
    recorder = Recorder(folder, made)
    for snapshot in play(world, seconds):
        recorder.append(snapshot)
    recorder.close()
    if result is not None:
        content = {"outcome": result, "chunks": 10, "tokens": 1000, "seconds": 20.0, "rejects": 1,
                   "index": {"kind": "Flat", "recall_at_10": 1.0}, "encoder": {"dtype": "fp32"}}
        if result == "failed":
            content = {"outcome": result, "run": folder.name, "failure": {"message": "the disk <is> full"}}
        (folder / "result.json").write_text(json.dumps(content), encoding="utf-8")
    return folder
