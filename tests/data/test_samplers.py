import numpy as np
import pytest

from rtfunc.core.errors import ArgumentError, DtypeError, ShapeError
from rtfunc.data import (
    BatchSampler,
    BucketSampler,
    RandomSampler,
    SequentialSampler,
    WeightedSampler,
)
from rtfunc.random import fold_in, key, permutation


def test_random_sampler_is_the_permutation_of_the_folded_key():
    sampler = RandomSampler(100, key(5))
    for epoch in (0, 1, 7):
        expected = np.asarray(permutation(fold_in(key(5), epoch), 100))
        assert np.array_equal(sampler.indices(epoch), expected)
    assert len(sampler) == 100
    assert len(RandomSampler(0, key(5)).indices(0)) == 0


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("length", [0, 1, 3, 4, 7, 8])
@pytest.mark.parametrize("kind", [list, iter, SequentialSampler, np.arange])
def test_batch_sampler_covers_all_indices(length, drop_last, kind):
    source = length if kind in (SequentialSampler, np.arange) else range(length)
    sampler = BatchSampler(kind(source), 4, drop_last)
    batches = [list(batch) for batch in sampler.batches(0)]
    full = length - length % 4 if drop_last else length
    assert [i for batch in batches for i in batch] == list(range(full))
    assert all(len(batch) == 4 for batch in batches[:-1])
    if kind is not iter:
        assert len(sampler) == len(batches)


def test_weighted_sampler_draws_in_proportion():
    weights = np.array([0.0, 1.0, 3.0, 0.0])
    draws = WeightedSampler(weights, 20000, key(0)).indices(0)
    counts = np.bincount(draws, minlength=4)
    assert counts[0] == counts[3] == 0
    # Five standard deviations of a binomial with 20000 draws of 1/4.
    assert abs(counts[1] - 5000) < 5 * np.sqrt(20000 * 0.25 * 0.75)
    assert np.array_equal(draws, WeightedSampler(weights, 20000, key(0)).indices(0))
    assert not np.array_equal(draws, WeightedSampler(weights, 20000, key(0)).indices(1))


def test_weighted_sampler_without_replacement():
    sampler = WeightedSampler([1, 0, 2, 5, 0], 3, key(0), replacement=False)
    for epoch in range(5):
        assert sorted(sampler.indices(epoch)) == [0, 2, 3]
    # The first drawn has the probability of its weight: 5/8 here, within five standard deviations.
    first = [sampler.indices(epoch)[0] for epoch in range(400)]
    assert abs(first.count(3) - 250) < 5 * np.sqrt(400 * 5 / 8 * 3 / 8)


def test_weighted_sampler_refuses_bad_weights():
    for weights in ([-1.0, 2.0], [0.0, 0.0], [np.nan], [np.inf], []):
        with pytest.raises(ArgumentError, match="finite, not negative and not all zero"):
            WeightedSampler(weights, 1, key(0))
    with pytest.raises(ArgumentError, match="only 1 have a weight above zero"):
        WeightedSampler([0, 1], 2, key(0), replacement=False)
    with pytest.raises(ShapeError, match="one weight per item"):
        WeightedSampler([[1.0]], 1, key(0))


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("length", [0, 1, 64, 103])
def test_bucket_sampler_covers_all_items_in_batches_of_like_length(length, drop_last):
    lengths = np.random.default_rng(0).integers(1, 1000, length)
    sampler = BucketSampler(lengths, 8, key(3), drop_last=drop_last, pool=4)
    batches = list(sampler.batches(0))
    assert len(batches) == len(sampler)
    assert all(len(b) == 8 for b in batches) or not drop_last
    indices = np.concatenate(batches or [np.zeros(0, int)])
    assert len(np.unique(indices)) == len(indices) == (length // 8 * 8 if drop_last else length)
    if length == 103:
        spread = np.mean([np.ptp(lengths[b]) for b in batches])
        assert spread < 0.5 * np.ptp(lengths)  # batches of random items would have nearly all of it
        assert any(len(a) != len(b) or (a != b).any() for a, b in zip(batches, sampler.batches(1)))
        again = list(sampler.batches(0))
        assert all(np.array_equal(a, b) for a, b in zip(batches, again))


def test_counts_and_types_are_checked():
    with pytest.raises(ArgumentError, match="batch_size must be an integer of at least 1, not 0"):
        BatchSampler(SequentialSampler(3), 0)
    with pytest.raises(ArgumentError, match=r"length must be an integer of at least 0, not 2\.5"):
        SequentialSampler(2.5)
    with pytest.raises(ArgumentError, match=r"RandomSampler takes a key of type uint32\[2\]"):
        RandomSampler(3, np.zeros(2))
    with pytest.raises(DtypeError, match=r"indices\(epoch\).*int is neither"):
        BatchSampler(3, 2)
