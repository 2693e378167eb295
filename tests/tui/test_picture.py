"""What the picture of a run keeps."""

from __future__ import annotations

import time

from tests.tui.script import WALL, snapshot
from workbench.core.run import Failure
from workbench.tui.frames import build
from workbench.tui.picture import Picture

FAILURE = Failure("source", 3, None, "OSError", "cannot be read", "see that the disk is there")


def test_a_failure_before_the_first_reading_has_the_time_of_now():
    picture, before = Picture(), time.time()
    picture.tell([FAILURE])
    assert [line.text for line in picture.log] == ["source: cannot be read", "see that the disk is there"]
    assert all(before <= line.wall <= time.time() for line in picture.log)


def test_a_failure_has_the_time_of_the_newest_reading():
    picture, shot = Picture(), snapshot(30.0)
    picture.feed(None, [(shot, build(None, [shot]))], picture.verdict)
    picture.tell([FAILURE])
    assert picture.log[0].wall == WALL + 30
