"""The program's own commands in a process of their own."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from tests.cli.made import make_collection
from workbench.tui import outcomes
from workbench.tui.bridge import Outcome, Step
from workbench.tui.jobs import Command, step_of


def ended(words: list[str], read: Any) -> Outcome:
    """The outcome of a real command."""
    return all_told(words, read)[-1]


def all_told(words: list[str], read: Any) -> list[Any]:
    """What a real command tells: its steps, then its outcome."""
    told: list[Any] = []
    over = threading.Event()

    def tell(event: Any) -> None:
        told.append(event)
        if isinstance(event, Outcome):
            over.set()

    Command(words, read, tell)
    assert over.wait(120)
    return told


def test_a_wrong_use_becomes_the_problem_in_one_line(tmp_path):
    outcome = ended(["verify", "--in", str(tmp_path / "nowhere")], lambda content: Outcome(value=content))
    assert "nowhere" in outcome.problem
    assert "\n" not in outcome.problem


def test_an_answer_of_another_form_ends_the_job_with_a_message(tmp_path):
    outcome = ended(["profiles"], lambda content: Outcome((content[0]["no such field"],)))
    assert "internal error" in outcome.problem


@pytest.mark.parametrize(("line", "share"), [("adding vectors 40 %", 0.4), ("training", None), ("or 100.0% so", 1.0)])
def test_a_percentage_in_a_line_is_the_share(line, share):
    assert step_of(line) == Step(share, line)


def test_a_percentage_at_the_beginning_is_not_said_twice():
    assert step_of("  42% adding vectors") == Step(0.42, "adding vectors")


@pytest.mark.parametrize("command", ["verify", "index", "export"])
def test_a_long_command_tells_its_steps_with_their_share(tmp_path: Path, command):
    collection = make_collection(tmp_path / "bücher.collection", units=6, rows=20)
    words, read = {
        "verify": ([], outcomes.verified), "index": (["--kind", "HNSW8"], outcomes.rebuilt),
        "export": (["--to", str(tmp_path / "out.npy")], outcomes.exported),
    }[command]
    *steps, outcome = all_told([command, "--in", str(collection), *words], read)
    assert isinstance(outcome, Outcome) and outcome.lines and not outcome.problem
    assert steps and all(isinstance(step, Step) and step.text for step in steps)
    assert any(step.share is not None for step in steps)


def test_a_step_is_not_taken_for_the_problem(tmp_path: Path):
    """A command that fails in the middle: the message is the problem, whatever was told of its progress."""
    collection = make_collection(tmp_path / "c.collection", units=6, rows=20)
    for shard in (collection / "shards").glob("*.vectors.arrow"):
        shard.write_bytes(b"")
    words = ["export", "--in", str(collection), "--to", str(tmp_path / "out.npy")]
    *steps, outcome = all_told(words, outcomes.exported)
    assert outcome.problem and "step" not in outcome.problem and "exporting" not in outcome.problem
    assert all("vectors" not in step.text for step in steps)
