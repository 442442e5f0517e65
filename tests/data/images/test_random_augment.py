"""RandAugment: its operations against Pillow, and how they are drawn."""

import numpy as np
import pytest
from pictures import Image, as_array, as_pillow, picture

import rtfunc as rf
from rtfunc.core.errors import ArgumentError
from rtfunc.data import images
from rtfunc.data.images.random_augment import operations_of
from rtfunc.random import key

BATCH = np.stack([picture(12, 14, seed=i) for i in range(3)]).astype("f4") / np.float32(255)


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_moves_are_those_of_the_paper(sign):
    image = picture(33, 41)
    table = operations_of(33, 41, 15, 0.0)
    shear, columns, rows = 0.15, int(150 / 331 * 41 / 2), int(150 / 331 * 33 / 2)
    pillow = as_pillow(image)
    expected = {
        "shear_x": (1, shear * sign, 0, 0, 1, 0),
        "shear_y": (1, 0, 0, shear * sign, 1, 0),
        "translate_x": (1, 0, columns * sign, 0, 1, 0),
        "translate_y": (1, 0, 0, 0, 1, rows * sign),
    }
    for name, data in expected.items():
        moved = as_array(pillow.transform(pillow.size, Image.Transform.AFFINE, data))
        result = np.asarray(table[name](rf.numpy.asarray(image.astype("f4")), sign))
        # A coordinate on the edge of a pixel may be rounded to either side.
        assert (result != moved).mean() < 0.01, name
    turned = as_array(pillow.rotate(15 * sign))
    result = np.asarray(table["rotate"](rf.numpy.asarray(image.astype("f4")), sign))
    assert (result != turned).mean() < 0.01


def test_operations_are_drawn_for_each_image():
    table = operations_of(12, 14, 9, 0.0)
    batch = np.broadcast_to(BATCH[0], (120, *BATCH[0].shape))
    result = np.asarray(images.rand_augment(key(0), batch, operations=1))
    outcomes = {
        (name, sign): np.asarray(f(rf.numpy.asarray(BATCH[0]), rf.numpy.float32(sign)))
        for name, f in table.items()
        for sign in (-1, 1)
    }
    seen = set()
    for image in result:
        found = [name for (name, _), x in outcomes.items() if np.abs(x - image).max() < 1e-5]
        assert found
        seen.update(found)
    assert seen == set(
        table
    )  # the chance to miss one of 14 in 120 draws is 14 * (13/14)**120 = 0.2 %


def test_it_depends_on_the_key_and_stays_in_range():
    one, same, other = (images.rand_augment(key(k), BATCH) for k in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    strongest = np.asarray(images.rand_augment(key(3), BATCH, 3, 30))
    assert strongest.min() >= 0
    assert strongest.max() <= 1 + 1e-6
    assert np.asarray(images.rand_augment(key(3), BATCH[:0])).shape == (0, 3, 12, 14)


def test_jit_gives_the_same():
    eager = images.rand_augment(key(5), BATCH)
    jitted = rf.jit(images.rand_augment)(key(5), BATCH)
    # Equal but for rounding, which the operations in steps may turn into one level of 255.
    np.testing.assert_allclose(jitted, eager, atol=1.01 / 255)


def test_a_wrong_magnitude_is_refused():
    with pytest.raises(ArgumentError, match="magnitude is an integer from 0 to 30, not 31"):
        images.rand_augment(key(0), BATCH, magnitude=31)
