"""The digits: what they look like and how they are split."""

import numpy as np
import pytest

from rtfunc.core.errors import ArgumentError
from rtfunc.data import digits


def test_digits_are_1797_small_images_from_0_to_1():
    images, labels = digits().arrays
    assert (images.shape, images.dtype) == ((1797, 8, 8), np.float32)
    assert (labels.shape, labels.dtype) == ((1797,), np.int32)
    assert (images.min(), images.max()) == (0.0, 1.0)
    np.testing.assert_array_equal(np.unique(images * 16), np.arange(17))
    np.testing.assert_array_equal(labels[:10], np.arange(10))


def test_the_parts_are_a_fifth_of_every_class_and_the_rest():
    train, test = digits("train"), digits("test")
    assert (len(train), len(test)) == (1442, 355)
    for label in range(10):
        held_out = np.count_nonzero(test.arrays[1] == label)
        both = held_out + np.count_nonzero(train.arrays[1] == label)
        assert held_out == both // 5
    rows = {image.tobytes() for image in train.arrays[0]}
    assert not any(image.tobytes() in rows for image in test.arrays[0])


def test_the_images_are_those_of_scikit_learn():
    datasets = pytest.importorskip("sklearn.datasets")
    expected = datasets.load_digits()
    images, labels = digits().arrays
    np.testing.assert_array_equal(images * 16, expected.images)
    np.testing.assert_array_equal(labels, expected.target)


def test_the_arrays_cannot_be_changed_for_others():
    with pytest.raises(ValueError, match="read-only"):
        digits().arrays[0][0] = 1


def test_an_unknown_part_is_refused():
    with pytest.raises(ArgumentError, match="part is 'all', 'train' or 'test', but got 'valid'"):
        digits("valid")
