"""Images and labels blended: by formula, and the distribution of the shares."""

import math

import numpy as np
import pytest

import rtfunc as rf
from rtfunc.core.errors import ArgumentError, DtypeError, ShapeError
from rtfunc.data import images
from rtfunc.random import key, split

BATCH = np.random.default_rng(0).random((6, 3, 12, 16)).astype("f4")
LABELS = np.eye(6, dtype="f4")


def test_mixup_blends_neighbours():
    mixed, labels = images.mixup(key(3), BATCH, LABELS, alpha=1.0)
    share = float(labels[0, 0])
    assert 0 < share < 1
    expected = share * BATCH + (1 - share) * np.roll(BATCH, 1, axis=0)
    np.testing.assert_allclose(mixed, expected, atol=1e-6)
    np.testing.assert_allclose(
        labels, share * LABELS + (1 - share) * np.roll(LABELS, 1, axis=0), atol=1e-6
    )


def test_cutmix_replaces_a_rectangle_and_counts_its_area():
    shares = set()
    for seed in range(8):
        mixed, labels = images.cutmix(key(seed), BATCH, LABELS)
        other = np.asarray(mixed) == np.roll(BATCH, 1, axis=0)
        assert (other | (np.asarray(mixed) == BATCH)).all()
        inside = other[0, 0]
        assert (other == inside).all()
        rows, columns = inside.any(1), inside.any(0)
        assert np.array_equal(inside, rows[:, None] & columns)
        for line in (rows, columns):  # one stretch
            assert np.abs(np.diff(line.astype(int))).sum() <= 2
        share = 1 - inside.mean()
        shares.add(round(float(share), 3))
        np.testing.assert_allclose(
            labels, share * LABELS + (1 - share) * np.roll(LABELS, 1, axis=0), atol=1e-6
        )
    assert len(shares) > 3


@pytest.mark.parametrize("alpha", [0.1, 0.5, 3.0])
def test_shares_have_the_variance_of_the_beta_distribution(alpha):
    """Labels of a batch of two are the share itself and the rest."""
    count = 2000
    pair, one_hot = BATCH[:2], np.eye(2, dtype="float32")
    mixed = rf.jit(rf.vmap(lambda k: images.mixup(k, pair, one_hot, alpha)[1][0, 0]))
    draws = np.asarray(mixed(split(key(0), count)))
    variance = 1 / (4 * (2 * alpha + 1))
    # Five standard errors of the mean and, by the fourth moment (at most 1/16), of the variance.
    assert abs(draws.mean() - 0.5) < 5 * math.sqrt(variance / count)
    assert abs(draws.var() - variance) < 5 * math.sqrt((1 / 16 - variance**2) / count)


def test_jit_gives_the_same():
    for function in (images.mixup, images.cutmix):
        for eager, jitted in zip(
            function(key(1), BATCH, LABELS), rf.jit(function)(key(1), BATCH, LABELS)
        ):
            np.testing.assert_allclose(jitted, eager, atol=1e-6)
            assert jitted.dtype == np.float32


def test_what_does_not_fit_is_refused():
    with pytest.raises(
        ShapeError, match=r"labels \[n, classes\].*\(6,\). Make labels with nn.one_hot"
    ):
        images.mixup(key(0), BATCH, np.zeros(6))
    with pytest.raises(DtypeError, match="labels of floating-point numbers, not int64"):
        images.cutmix(key(0), BATCH, np.eye(6, dtype="int64"))
    with pytest.raises(ArgumentError, match="alpha must be above 0, not 0"):
        images.mixup(key(0), BATCH, LABELS, alpha=0)
