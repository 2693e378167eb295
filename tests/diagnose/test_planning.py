"""How many workers feed which device."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.core.errors import UsageError
from workbench.core.profile import MOST_WORKERS
from workbench.diagnose.ceilings import Ceiling, summed_up, with_pipeline
from workbench.diagnose.planning import Feed, curve, feed_of, parse_speed, planned, worker_counts

FEED = Feed(((1, 1000.0), (2, 1900.0), (4, 3000.0)), worker_cpu=1e-3, other_cpu=1e-4, cores=4)


def test_workers_for_a_device():
    small, middle, large = planned(FEED, [("1 ×", 900.0), ("2 ×", 2000.0), ("8 ×", 9000.0)])
    assert (small.workers, middle.workers, large.workers) == (1, 3, None)
    assert small.reached == 900.0 and large.reached == pytest.approx(3000.0)


@given(st.floats(1.0, 1e5))
def test_the_answer_is_the_fewest_that_suffice(device):
    workers = FEED.workers_for(device)
    if workers is None:
        assert FEED.most < device
    else:
        assert FEED.fed_by(workers) >= device
        assert workers == 1 or FEED.fed_by(workers - 1) < device


def test_shared_cores_bound_the_feed():
    crowded = Feed(((1, 1000.0), (4, 4000.0)), worker_cpu=1e-3, other_cpu=1e-3, cores=4)
    assert crowded.most == pytest.approx(2000.0)


def feed(threads, cores=4, encoders=1):
    rates = [Ceiling("workers", n, 1000.0 * n, 1e-3) for n in (1, 2, 4)]
    stages = [
        Ceiling("workers", 1, 1000.0, 1e-3), Ceiling("encoder", encoders, 500.0, 2e-3, "", threads),
        Ceiling("writer", 1, 9000.0, 1e-4), Ceiling("CPU cores", cores, 900.0, 3e-3),
    ]
    return feed_of(stages, rates, cores)


def test_what_feeds_a_device_takes_of_the_cores_and_at_most_one_each():
    assert feed(threads=0, cores=2).shared == pytest.approx(max(2 / 3.1e-3, 1 / 1.1e-3))
    assert feed(threads=0, cores=1).shared == pytest.approx(1 / 3.1e-3)
    assert feed(threads=0, encoders=2).most == pytest.approx(2 / 1.1e-3)
    assert feed(threads=0, encoders=2).workers_for(1900.0) is None


def test_an_encoder_on_these_cores_is_no_measure_of_what_feeds_a_device():
    assert feed(threads=4).most == pytest.approx(4 / 1.1e-3)


@pytest.mark.parametrize(("word", "expected"), [
    ("4x", 400.0), ("0.5X", 50.0), ("2×", 200.0), ("500000", 5e5), ("500k", 5e5), ("1.5M", 1.5e6), (" 2x ", 200.0),
])
def test_speeds(word, expected):
    assert parse_speed(word, 100.0)[1] == expected


@pytest.mark.parametrize("word", ["", "x", "fast", "-1x", "0", "nan", "inf", "1e999", "4xx", "k"])
def test_nonsense_speeds(word):
    with pytest.raises(UsageError, match="device speed"):
        parse_speed(word, 100.0)


def test_a_factor_needs_a_base():
    with pytest.raises(UsageError):
        parse_speed("4x", None)


@pytest.mark.parametrize(("cores", "counts"), [(1, [1]), (2, [1, 2]), (6, [1, 2, 4, 6]), (8, [1, 2, 4, 8]),
    (128, [1, 2, 4, 8, 16, 32, MOST_WORKERS])])
def test_counts_worth_measuring(cores, counts):
    assert worker_counts(cores) == counts


def test_curve_has_a_line_per_number_of_workers():
    assert len(curve(FEED).splitlines()) == 4 and "3,000" in curve(FEED)


def test_efficiency_is_against_the_lowest_of_stages_and_cores(monkeypatch):
    monkeypatch.setattr("workbench.diagnose.ceilings.cores", lambda: (2, 2))
    stages = [
        Ceiling("read only", 1, 50.0, 0.0), Ceiling("workers", 1, 1000.0, 1e-3), Ceiling("encoder", 1, 900.0, 2e-3),
        Ceiling("writer", 1, 5000.0, 1e-4),
    ]
    found = with_pipeline(summed_up("t", stages), 580.0)
    assert found.lowest == "CPU cores" and found.bound == pytest.approx(2 / 3.1e-3)
    assert found.efficiency == pytest.approx(580.0 / found.bound)
