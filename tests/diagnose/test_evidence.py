"""What a batch costs before its first token: found where batches tell it, and not read out of noise."""

import numpy as np
import pytest

from workbench.core.activity import Counter
from workbench.diagnose.evidence import fit_batches


def moments(sizes, seconds):
    us = np.rint(np.asarray(seconds) * 1e6).astype(int).tolist()
    sizes = [int(size) for size in sizes]
    counts = [0] * len(Counter)
    counts[Counter.FIT_COUNT], counts[Counter.FIT_PADDED], counts[Counter.FIT_US] = len(sizes), sum(sizes), sum(us)
    counts[Counter.FIT_SQUARES] = sum(size * size for size in sizes)
    counts[Counter.FIT_CROSS] = sum(size * t for size, t in zip(sizes, us, strict=True))
    counts[Counter.FIT_US_SQUARES] = sum(t * t for t in us)
    return counts


@pytest.mark.parametrize("seed", range(20))
def test_a_real_fixed_cost_is_found_through_noise(seed):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1000, 4000, 200)
    fit = fit_batches(moments(sizes, (0.004 + 2e-6 * sizes) * rng.normal(1.0, 0.05, 200)))
    assert fit.launch == pytest.approx(0.004, rel=0.25) and fit.per_token == pytest.approx(2e-6, rel=0.15)


@pytest.mark.parametrize("seed", range(20))
def test_few_batches_of_nearly_one_size_show_no_fixed_cost(seed):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1850, 2048, 14)  # a large model on a CPU: a second a batch, and noise
    seconds = 5e-4 * sizes * rng.normal(1.0, 0.06, 14)
    fit = fit_batches(moments(sizes, seconds))
    assert fit.launch == 0.0 and fit.per_token == pytest.approx(seconds.sum() / sizes.sum(), rel=1e-3)


def test_recordings_from_before_the_squares_of_times_are_taken_as_exact():
    sizes = np.array([1000, 2000] * 10)
    counts = moments(sizes, 0.002 + 1e-6 * sizes)
    assert fit_batches(counts).launch == pytest.approx(0.002, rel=0.01)
    counts[Counter.FIT_US_SQUARES] = 0
    assert fit_batches(counts).launch == pytest.approx(0.002, rel=0.01)


def test_batches_of_one_size_tell_nothing():
    assert fit_batches(moments([1000] * 20, [0.01] * 20)) is None
