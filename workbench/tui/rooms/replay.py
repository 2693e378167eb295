"""The Run room over a recording: play, speed, scrub."""

from __future__ import annotations

import time
from bisect import bisect_right
from typing import Any

from workbench.core.run import LogLine
from workbench.tui import text as t
from workbench.tui.actions import bindings_of
from workbench.tui.bridge import WARMING_UP, RunEnd, VerdictView
from workbench.tui.frames import build
from workbench.tui.picture import over
from workbench.tui.rooms.picture import PictureRoom

#: Repaints per second while playing.
_RATE = 4.0
#: Snapshots that a repaint brings into the graphs at most (about 0.1 s): a far jump fills them over some repaints.
_AT_ONCE = 600
_READING = VerdictView(False, "the recording is being read: what limited the run is known in a moment")


class ReplayRoom(PictureRoom):
    """Plays a recording (`telemetry.recorder.Recording`): at every moment what was known then, as it was live.

    The verdicts of all moments are found again in a thread, from the snapshots; the last moment shows that of the
    whole run, and what the run came to.
    """

    ROOM = "runs"
    KEYS = "replay"
    BINDINGS = bindings_of("replay")

    def __init__(self, recording: Any) -> None:
        super().__init__()
        self.recording = recording
        self._verdicts: list[tuple[float, VerdictView]] = []
        self._whole: tuple[VerdictView, RunEnd | None] | None = None
        self.picture.steers, self.picture.active = False, True
        self.speed, self.playing = 1.0, True
        self._shown = 0
        self._at: float | None = None
        self._clock = time.perf_counter()

    def on_mount(self) -> None:
        recording = self.recording
        self.picture.facts = recording.facts
        self.picture.tell([LogLine(recording.facts.started, "warning", note) for note in recording.notes])
        if recording.snapshots:
            self._at = recording.snapshots[0].wall
            self.set_interval(1.0 / _RATE, self._beat)
            self.bench.in_thread(self._think)
        self.paint()

    def _think(self) -> None:
        workbench, recording = self.bench.workbench, self.recording
        whole = workbench.judge(recording.facts, recording.snapshots), workbench.ending(recording.path.parent)
        self.bench.hand_over(self._judged, whole, list(workbench.course(recording.facts, recording.snapshots)))

    def _judged(self, whole: tuple[VerdictView, RunEnd | None], verdicts: list[tuple[float, VerdictView]]) -> None:
        self._whole, self._verdicts = whole, verdicts
        if self._at is not None:
            self._show(self._at)

    def _verdict(self, wall: float) -> VerdictView:
        """What was known at a moment; at the last one, what the whole run says."""
        if self._whole is None:
            return _READING
        if wall >= self.recording.snapshots[-1].wall:
            return self._whole[0]
        before = bisect_right(self._verdicts, wall + 1e-6, key=lambda entry: entry[0])
        return self._verdicts[before - 1][1] if before else WARMING_UP

    def mark(self) -> tuple[str, str]:
        sign = self.bench.glyphs.play if self.playing else self.bench.glyphs.pause
        first, last = self.recording.snapshots[0].wall, self.recording.snapshots[-1].wall
        at = (self._at or first) - first
        share = f"{100 * at / (last - first):.0f} %" if last > first else "100 %"
        return f"{sign} replay ×{self.speed:g}  {share} of {t.duration(last - first)}", "accent"

    # ── playing ──────────────────────────────────────────────────────────────────────────────────
    def _beat(self) -> None:
        now = time.perf_counter()
        passed, self._clock = now - self._clock, now
        if self.playing and self._at is not None:
            self.seek(self._at + passed * self.speed)
        elif self._at is not None and self._shown <= self._index(self._at):
            self.seek(self._at)  # the graphs still fill

    def seek(self, wall: float) -> None:
        """Show the recording at a moment."""
        snapshots = self.recording.snapshots
        if not snapshots:
            return
        last = snapshots[-1].wall
        self._at = max(snapshots[0].wall, min(wall, last))
        upto = self._shown
        while upto < min(len(snapshots), self._shown + _AT_ONCE) and snapshots[upto].wall <= self._at + 1e-6:
            upto += 1
        self._feed(upto)
        if self._at >= last:
            self.playing = False
        self._show(self._at)

    def _show(self, wall: float) -> None:
        """Bring the frame and the verdict of a moment into the picture."""
        snapshots, picture = self.recording.snapshots, self.picture
        position = max(0, self._index(wall))
        picture.at, picture.verdict = wall, self._verdict(wall)
        picture.frame = build(self.recording.facts, snapshots[max(0, position - 13) : position + 1], snapshots[0])
        if wall >= snapshots[-1].wall and self._whole is not None and self._whole[1] is not None:
            picture.frame = over(picture.frame, self._whole[1])
        self.paint()

    def _feed(self, upto: int) -> None:
        """Bring everything before `upto` into the series; only what is new."""
        snapshots, facts = self.recording.snapshots, self.recording.facts
        points = [
            (snapshots[i], build(facts, snapshots[max(0, i - 13) : i + 1], snapshots[0]))
            for i in range(self._shown, upto)
        ]
        self._shown = upto
        if points:
            self.picture.feed(facts, points, self.picture._live_verdict)

    def _index(self, wall: float) -> int:
        """Number of the last snapshot at or before a moment."""
        return bisect_right(self.recording.snapshots, wall + 1e-6, key=lambda snapshot: snapshot.wall) - 1

    # ── actions ──────────────────────────────────────────────────────────────────────────────────
    def action_play(self) -> None:
        last = self.recording.snapshots[-1].wall if self.recording.snapshots else 0.0
        if not self.playing and self._at is not None and self._at >= last:
            self._at = self.recording.snapshots[0].wall
        self.playing = not self.playing
        self._clock = time.perf_counter()
        self.paint()

    def action_faster(self) -> None:
        self.speed = min(64.0, self.speed * 2)
        self.paint()

    def action_slower(self) -> None:
        self.speed = max(0.25, self.speed / 2)
        self.paint()

    def move(self, columns: float) -> None:
        self.playing = False
        if self._at is not None:
            self.seek(self._at + columns * self.step)

    def action_earliest(self) -> None:
        self.playing = False
        self.seek(0.0)

    def action_latest(self) -> None:
        if self.recording.snapshots:
            self.seek(self.recording.snapshots[-1].wall)

    def go_back(self) -> bool:
        if not super().go_back():
            self.app.pop_screen()
        return True
