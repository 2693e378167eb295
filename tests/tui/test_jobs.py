"""The program's own commands in a process of their own."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from workbench.tui.bridge import Outcome, Step
from workbench.tui.jobs import Command, step_of


def ended(words: list[str], read: Any) -> Outcome:
    """The outcome of a real command."""
    told: list[Any] = []
    over = threading.Event()

    def tell(event: Any) -> None:
        told.append(event)
        if isinstance(event, Outcome):
            over.set()

    Command(words, read, tell)
    assert over.wait(60)
    return told[-1]


def test_a_wrong_use_becomes_the_problem_in_one_line(tmp_path):
    outcome = ended(["verify", "--in", str(tmp_path / "nowhere")], lambda content: Outcome(value=content))
    assert "nowhere" in outcome.problem
    assert "\n" not in outcome.problem


def test_an_answer_of_another_form_ends_the_job_with_a_message(tmp_path):
    outcome = ended(["profiles"], lambda content: Outcome((content[0]["no such field"],)))
    assert "internal error" in outcome.problem


@pytest.mark.parametrize(("line", "share"), [("adding vectors 40 %", 0.4), ("training", None), ("100.0% of it", 1.0)])
def test_a_percentage_in_a_line_is_the_share(line, share):
    assert step_of(line) == Step(share, line)
