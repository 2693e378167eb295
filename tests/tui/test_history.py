import math

from hypothesis import given
from hypothesis import strategies as st

from tests.tui.script import WALL, snapshot
from workbench.tui.history import Readings, Series


def test_a_steady_value_stays_what_it_is_at_any_width():
    series = Series()
    for second in range(300):
        series.add(WALL + second, {"gpu": 99.0})
    for count in (1, 7, 80, 160, 240):
        shown = series.columns("gpu", WALL + 299, 120, count)
        assert len(shown) == count
        assert all(value is not None and abs(value - 99.0) < 1e-3 for value in shown)


def test_missing_readings_are_gaps_not_zeros():
    series = Series()
    for second in range(60):
        series.add(WALL + second, {"gpu": None if 20 <= second < 40 else 50.0})
    shown = series.columns("gpu", WALL + 59, 60, 60)
    assert shown.count(None) == 20
    assert 0.0 not in shown
    assert series.columns("never heard of", WALL, 60, 5) == [None] * 5


def test_a_column_that_appears_late_has_a_gap_before_it():
    series = Series()
    series.add(WALL, {"a": 1.0})
    series.add(WALL + 1, {"a": 1.0, "b": 2.0})
    assert series.columns("b", WALL + 1, 2, 2) in ([None, 2.0], [2.0, None])


@given(st.integers(10, 5000))
def test_memory_is_bounded_and_the_whole_run_stays(points):
    series = Series(points=64)
    for second in range(points):
        series.add(float(second), {"x": 50.0})
    assert series.points <= 130
    assert (series.first, series.last) == (0.0, points - 1.0)
    whole = series.columns("x", points - 1.0, float(points), 8)
    assert all(value is not None and math.isclose(value, 50.0) for value in whole)


def test_the_newest_part_stays_fine_when_the_run_is_long():
    series = Series(points=64)
    for second in range(1000):
        series.add(float(second), {"x": 100.0 if second % 2 else 0.0})
    assert set(series.columns("x", 999.0, 20.0, 20)) == {0.0, 100.0}


def test_merging_keeps_the_mean():
    series = Series(points=8)
    for second in range(100):
        series.add(float(second), {"x": 10.0 if second % 2 else 30.0})
    assert all(math.isclose(v or 0.0, 20.0) for v in series.columns("x", 90.0, 90.0, 3))


def test_time_never_runs_backwards():
    series = Series()
    series.add(5.0, {"x": 1.0})
    series.add(5.0, {"x": 2.0})
    series.add(4.0, {"x": 3.0})
    assert (series.points, series.columns("x", 5.0, 1.0, 1)) == (2, [1.0])


def test_readings_come_back_as_they_were():
    readings = Readings()
    shots = [snapshot(second) for second in range(1, 40)]
    for shot in shots:
        readings.add(shot)
    got = readings.at(WALL + 20, back=3)
    assert [round(shot.wall - WALL) for shot in got] == [17, 18, 19, 20]
    assert got[-1].progress == shots[19].progress
    assert got[-1].processes[0].counters == shots[19].processes[0].counters


def test_readings_are_thinned_but_reach_back_to_the_beginning():
    readings = Readings(limit=16)
    for second in range(1, 400):
        readings.add(snapshot(float(second)))
    assert len(readings) <= 33
    assert (readings.first, readings.last) == (WALL + 1, WALL + 399)
    assert readings.at(0.0)[-1].wall == WALL + 1
    assert [shot.wall - WALL for shot in readings.at(WALL + 399)] == [396, 397, 398, 399]
    middle = readings.at(WALL + 200)[-1].wall - WALL
    assert 100 < middle <= 200
