from dataclasses import replace

import pytest

from tests.tui.conftest import look, show_run, until
from tests.tui.script import FACTS, VERDICT, WALL, FakeRun, snapshot
from workbench.core.profile import Profile
from workbench.core.run import Failure, LogLine, RunRequest
from workbench.telemetry.snapshot import RingReading
from workbench.tui.bridge import VerdictView
from workbench.tui.frames import build
from workbench.tui.glyphs import ASCII
from workbench.tui.rooms.dialogs import Question, Reading
from workbench.tui.widgets.meters import CpuPanel, GpuPanel, RateGraph
from workbench.tui.widgets.panels import PipelinePanel, RatePanel, VerdictPanel, rate_lines, wide_pipeline
from workbench.tui.widgets.tables import LogPanel, ProcessPanel

WIDE, SMALL = (160, 50), (80, 24)


def text(app, kind) -> str:
    return app.screen.query_one(kind).plain()


async def test_the_three_things_that_matter_are_seen(make_app):
    app = make_app()
    async with app.run_test(size=WIDE) as pilot:
        await show_run(app, pilot, 20)
        assert "412 k tokens/s" in text(app, RatePanel)
        assert "of 366,669" in text(app, RatePanel)
        assert "Tokenising limits the run" in text(app, VerdictPanel)
        assert "pipeline.workers 4 → 7" in text(app, VerdictPanel)
        assert "655 k tokens/s (+59 %), then device compute binds" in text(app, VerdictPanel)
        pipeline = text(app, PipelinePanel)
        assert "workers ×4" in pipeline
        assert "97 % ▲ limits" in pipeline
        assert "38 % ◀ waits" in pipeline
        assert "1/8" in pipeline


@pytest.mark.parametrize("size", [WIDE, (100, 30), SMALL])
async def test_kernels_and_mfu_stand_together_at_every_size(make_app, size):
    app = make_app(view="gpu")
    async with app.run_test(size=size) as pilot:
        await show_run(app, pilot)
        gpu = text(app, GpuPanel)
        assert "kernels  99 %" in gpu
        assert "MFU      21 %" in gpu
        assert "W" in gpu


async def test_what_cannot_be_read_is_na_and_never_zero(make_app):
    app = make_app()
    async with app.run_test(size=WIDE) as pilot:
        await show_run(app, pilot, run=FakeRun(gpus=0))
        gpu = text(app, GpuPanel)
        assert "kernels   n/a" in gpu
        assert "MFU" in gpu
        assert "0 %" not in gpu.splitlines()[0]


async def test_a_steady_hundred_percent_looks_full(make_app):
    app = make_app(view="gpu", span=30)
    async with app.run_test(size=WIDE) as pilot:
        await show_run(app, pilot, 32)
        first = text(app, GpuPanel).splitlines()[0]
        assert "⣿" * 20 in first


async def test_history_survives_resizing(make_app):
    app = make_app(span=30)
    async with app.run_test(size=WIDE) as pilot:
        await show_run(app, pilot, 31)
        before = text(app, RateGraph)
        await pilot.resize_terminal(81, 25)
        await pilot.pause()
        await pilot.resize_terminal(*WIDE)
        await pilot.pause()
        assert text(app, RateGraph) == before
        assert "⣿" in before


async def test_the_picture_can_be_held_and_time_gone_back(make_app):
    app = make_app()
    async with app.run_test(size=WIDE) as pilot:
        run = await show_run(app, pilot, 40)
        await pilot.press("space")
        held = text(app, RatePanel)
        run.advance(10)
        await look(app, pilot)
        assert text(app, RatePanel) == held
        assert len(run.shots) == 51 * 4 + 0 if len(run.shots) > 600 else run.second == 51
        await pilot.press("left", "left", "left")
        earlier = app.run_room.picture.frame
        assert earlier is not None
        assert earlier.wall < WALL + 41
        assert earlier.rows_done < 41 * 3240
        await pilot.press("home")
        assert app.run_room.picture.frame is not None
        assert app.run_room.picture.frame.wall == WALL + 1
        await pilot.press("space")
        assert app.run_room.picture.frame is not None
        assert app.run_room.picture.frame.wall == WALL + 51
        assert run.calls == []  # the run itself was left alone


async def test_the_verdict_of_an_earlier_moment_is_the_one_shown_then(make_app):
    app = make_app()
    async with app.run_test(size=WIDE) as pilot:
        run = FakeRun()
        run.now_verdict = VerdictView(False, "warming up (starting)")
        await show_run(app, pilot, 5, run)
        run.now_verdict = VERDICT
        run.advance(10)
        await look(app, pilot)
        assert "Tokenising" in text(app, VerdictPanel)
        await pilot.press("home")
        assert "warming up" in text(app, VerdictPanel)


async def test_pause_resume_and_stop_ask_the_run(make_app):
    app = make_app()
    async with app.run_test(size=WIDE) as pilot:
        run = await show_run(app, pilot)
        await pilot.press("p")
        run.advance(1)
        await look(app, pilot)
        assert run.calls == ["pause"]
        assert app.state_words()[0].startswith("‖ paused")
        await pilot.press("p")
        assert run.calls == ["pause", "resume"]
        await pilot.press("s")
        await pilot.pause()
        assert isinstance(app.screen, Question)
        await pilot.press("escape")
        assert run.calls == ["pause", "resume"]  # asked, and left with Esc: nothing happens
        await pilot.press("s")
        await pilot.pause()
        await pilot.press("enter")
        await pilot.pause()
        assert run.calls[-1] == "stop"


async def test_the_suggested_change_restarts_from_what_is_committed(make_app):
    app = make_app()
    async with app.run_test(size=WIDE) as pilot:
        request = RunRequest(Profile(name="balanced"), fresh=True)
        run = await show_run(app, pilot, run=FakeRun(request))
        await pilot.press("a")
        await pilot.pause()
        assert isinstance(app.screen, Question)
        await pilot.press("enter")
        await pilot.pause()
        assert run.calls == ["stop"]
        await look(app, pilot)
        await until(pilot, lambda: app.workbench.runs_started)
        again = app.workbench.runs_started[0].request()
        assert again.profile.pipeline.workers == 7
        assert not again.fresh  # what is committed stays


async def test_a_failed_child_shows_with_its_remedy(make_app):
    app = make_app()
    async with app.run_test(size=WIDE) as pilot:
        run = await show_run(app, pilot, run=FakeRun(dead=1))
        run.told.append(LogLine(WALL + 2, "error", "worker 2 ended unexpectedly (exit code -9); starting it again"))
        run.told.append(Failure("encoder", 77, 12, "OSError", "no memory", "a smaller encoder.token_budget helps"))
        run.advance(1)
        await look(app, pilot)
        shown = " ".join(text(app, LogPanel).split())
        assert "worker 2 ended unexpectedly" in shown
        assert "encoder (unit 000012): no memory" in shown
        assert "token_budget helps" in shown
        assert "(1 gone)" in text(app, PipelinePanel)


async def test_the_end_is_told_with_the_problem_or_the_result(make_app):
    app = make_app()
    async with app.run_test(size=WIDE) as pilot:
        run = await show_run(app, pilot)
        run.failure = "the run gave up: encoder ended 3 times. The same command resumes"
        await look(app, pilot)
        assert app.state_words() == ("✖ failed", "bad")
        assert any("ended 3 times" in note.message for note in app._notifications)
        assert "✖ failed" in text(app, RatePanel) and "took 6 s" in text(app, RatePanel)


@pytest.mark.parametrize("size", [WIDE, SMALL])
@pytest.mark.parametrize(("outcome", "sign"), [("done", "✔ done"), ("stopped", "■ stopped")])
async def test_a_run_that_is_over_says_what_it_took_and_waits_for_nothing(make_app, size, outcome, sign):
    app = make_app()
    async with app.run_test(size=size) as pilot:
        run = await show_run(app, pilot, 20)
        assert "left" in text(app, RatePanel) and "◀" in text(app, PipelinePanel)
        run.end(outcome)
        await look(app, pilot)
        said = text(app, RatePanel)
        assert sign in said and "took 1 min 53 s" in said and "left" not in said
        assert "◀" not in text(app, PipelinePanel)
        app.run_room.move(-5)  # back in time: as it was then
        assert "left" in text(app, RatePanel) and "◀" in text(app, PipelinePanel)
        app.run_room.action_latest()
        assert "took 1 min 53 s" in text(app, RatePanel)


@pytest.mark.parametrize("width", [106, 120, 154])
def test_full_rings_of_many_slots_leave_room_for_the_stage_behind(width):
    shot = replace(snapshot(30.0), batches=RingReading(16, 16, 0), vectors=RingReading(8, 8, 0))
    chain, busy, *_ = (line.plain() for line in wide_pipeline(build(FACTS, [snapshot(29.0), shot]), "", width, ASCII))
    assert "16/16 -> encoder" in chain and "8/8   -> writer" in chain and len(chain) <= width
    assert busy.index("busy", 20) == chain.index("encoder")


@pytest.mark.parametrize("phase", ["stopping", "indexing"])
def test_after_the_input_no_remaining_time_is_claimed(phase):
    shot = snapshot(30.0)
    frame = build(FACTS, [snapshot(29.0), replace(shot, progress=replace(shot.progress, phase=phase))], snapshot(1.0))
    said = "\n".join(line.plain() for line in rate_lines(frame, 76, ASCII))
    assert f"{phase} …" in said and "left" not in said
    assert max(len(line) for line in said.splitlines()) <= 76


async def test_processes_sort_and_filter_by_keys(make_app):
    app = make_app()
    async with app.run_test(size=WIDE) as pilot:
        await show_run(app, pilot)
        table = app.screen.query_one(ProcessPanel)
        assert [p.name for p in table.rows][:2] == ["worker 1", "worker 2"]
        await pilot.press("o", "o", "O")
        assert table.sort == "-cpu"
        assert [p.cpu_percent for p in table.rows] == sorted((p.cpu_percent for p in table.rows), reverse=True)
        assert app.settings.sort == "-cpu"
        await pilot.press("slash", *"enco")
        await pilot.pause()
        assert [p.name for p in table.rows] == ["encoder 1"]
        await pilot.press("escape")
        await pilot.pause()
        assert len(table.rows) == 7


async def test_a_heading_sorts_by_a_click(make_app):
    app = make_app()
    async with app.run_test(size=WIDE) as pilot:
        await show_run(app, pilot)
        table = app.screen.query_one(ProcessPanel)
        await pilot.click(ProcessPanel, offset=(18, 1))
        assert table.sort == "pid"
        await pilot.click(ProcessPanel, offset=(18, 1))
        assert table.sort == "-pid"


async def test_any_panel_takes_the_whole_screen_and_gives_it_back(make_app):
    app = make_app()
    async with app.run_test(size=WIDE) as pilot:
        await show_run(app, pilot)
        for panel in (VerdictPanel, PipelinePanel, GpuPanel, CpuPanel, ProcessPanel, LogPanel):
            widget = app.screen.query_one(panel)
            app.screen.set_focus(widget)
            await pilot.press("e")
            await pilot.pause()
            assert app.screen.maximized is widget
            await pilot.press("escape")
            await pilot.pause()
            assert app.screen.maximized is None


async def test_a_small_terminal_shows_one_view_after_another(make_app):
    app = make_app()
    async with app.run_test(size=SMALL) as pilot:
        await show_run(app, pilot)
        seen = []
        for _ in range(5):
            kinds = (RateGraph, GpuPanel, CpuPanel, ProcessPanel, LogPanel)
            seen.append([kind.__name__ for kind in kinds if app.screen.query_one(kind).region])
            await pilot.press("g")
            await pilot.pause()
        assert seen == [["RateGraph"], ["GpuPanel"], ["CpuPanel"], ["ProcessPanel"], ["LogPanel"]]
        assert app.settings.view == "rate"


@pytest.mark.parametrize("size", [WIDE, (131, 40), (100, 30), SMALL, (60, 20)])
async def test_nothing_is_cut_off_without_a_mark(make_app, size):
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await show_run(app, pilot, 30)
        for panel in app.screen.query("RatePanel, PipelinePanel, ProcessPanel, VerdictPanel"):
            if panel.region and panel.display:
                for line in panel._lines:
                    assert line.used <= panel.size.width or size[0] < 80, (type(panel).__name__, line.plain())


async def test_why_shows_evidence_and_method_and_copies(make_app):
    app = make_app()
    async with app.run_test(size=WIDE) as pilot:
        await show_run(app, pilot)
        await pilot.press("w")
        await pilot.pause()
        assert isinstance(app.screen, Reading)
        assert "4 workers are busy 97 %" in app.screen._body
        assert "Denning" in app.screen._body
        await pilot.press("escape", "c")
        await pilot.pause()
        assert "pipeline.workers = 7 (now 4)" in app.clipboard


async def test_graphs_show_longer_and_shorter_times(make_app):
    app = make_app(span=120)
    async with app.run_test(size=WIDE) as pilot:
        await show_run(app, pilot)
        await pilot.press("minus", "minus")
        assert app.settings.span == 600
        await pilot.press("plus")
        assert app.settings.span == 300


async def test_many_workers_and_cores_still_fit(make_app):
    app = make_app()
    async with app.run_test(size=WIDE) as pilot:
        await show_run(app, pilot, run=FakeRun(workers=40, cores=128, gpus=2))
        assert "2 GPUs" in app.screen.query_one(GpuPanel).border_title
        assert text(app, GpuPanel).count("MFU") == 2
        assert text(app, CpuPanel).count("█") == 64  # every core has its sign; half of them are busy
        app.screen.query_one(ProcessPanel).focus()
        for _ in range(45):
            app.screen.query_one(ProcessPanel).action_cursor(1)
        assert app.screen.query_one(ProcessPanel).current.name == "screen"
        assert "screen" in text(app, ProcessPanel)


async def test_a_repaint_touches_only_lines_that_changed(make_app):
    app = make_app()
    async with app.run_test(size=WIDE) as pilot:
        await show_run(app, pilot, 20)
        panel = app.screen.query_one(VerdictPanel)
        strips = list(panel._strips)
        app.run_room.paint()
        assert all(a is b for a, b in zip(panel._strips, strips, strict=True))
