"""Dropout: what it does in training and evaluation, its key, and its distribution."""

import numpy as np
import pytest

from rtfunc import nn, random
from rtfunc import numpy as rnp
from rtfunc.core.errors import ArgumentError, ShapeError
from rtfunc.transforms.jit import jit
from rtfunc.transforms.vjp import grad

KEY = random.key(0)
X = rnp.ones((100, 100))


def test_evaluation_leaves_the_input_alone():
    out, _ = nn.dropout(0.5).apply({}, {}, X)
    assert out is X


def test_training_drops_the_share_asked_for_and_keeps_the_mean():
    out = np.asarray(nn.dropout(0.2).apply({}, {}, X, key=KEY, train=True)[0])
    assert set(np.unique(out).tolist()) == {0.0, 1.25}
    # 10,000 draws: the standard deviation of the share is 0.004.
    assert abs((out == 0).mean() - 0.2) < 0.02


def test_the_same_key_drops_the_same_elements():
    layer = nn.dropout(0.5)
    one, same, other = (
        np.asarray(layer.apply({}, {}, X, key=random.key(k), train=True)[0]) for k in (0, 0, 1)
    )
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_the_gradient_flows_through_what_is_kept():
    layer = nn.dropout(0.5)

    def loss(x):
        return layer.apply({}, {}, x, key=KEY, train=True)[0].sum()

    np.testing.assert_array_equal(grad(loss)(X), layer.apply({}, {}, X, key=KEY, train=True)[0])


def test_spatial_dropout_drops_channels():
    x = rnp.ones((8, 16, 3, 3))
    out = np.asarray(nn.spatial_dropout(0.5).apply({}, {}, x, key=KEY, train=True)[0])
    channels = out.reshape(8, 16, 9)
    assert (channels == channels[:, :, :1]).all()
    assert 0 < (channels == 0).mean() < 1


@pytest.mark.oracle
@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_alpha_dropout_is_pytorchs_but_for_the_mask(rate):
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).normal(size=(50, 40)).astype("float32")
    out = np.asarray(nn.alpha_dropout(rate).apply({}, {}, x, key=KEY, train=True)[0])
    theirs = torch.nn.functional.alpha_dropout(torch.tensor(x), rate, training=True).numpy()
    # Where both keep or both drop an element they agree.
    same = np.isclose(out, theirs, rtol=1e-5, atol=1e-5)
    expected = rate**2 + (1 - rate) ** 2
    # 2,000 draws: the standard deviation of the share is 0.011.
    assert abs(same.mean() - expected) < 0.06


def test_alpha_dropout_keeps_mean_and_variance():
    x = random.normal(random.key(1), (200, 200))
    out = np.asarray(nn.alpha_dropout(0.2).apply({}, {}, x, key=KEY, train=True)[0])
    # 40,000 numbers: the standard deviation of the mean is 0.005, of the variance 0.007.
    assert abs(out.mean()) < 0.03
    assert abs(out.var() - 1) < 0.05


def test_spatial_alpha_dropout_drops_channels():
    x = rnp.ones((8, 16, 3, 3))
    layer = nn.alpha_dropout(0.5, spatial=True)
    out = np.asarray(layer.apply({}, {}, x, key=KEY, train=True)[0]).reshape(8, 16, 9)
    assert (out == out[:, :, :1]).all()
    assert len(np.unique(out)) == 2


@pytest.mark.parametrize(("rate", "value"), [(0.0, 1.0), (1.0, 0.0)])
@pytest.mark.parametrize("layer", [nn.dropout, nn.alpha_dropout])
def test_extreme_rates(layer, rate, value):
    out, _ = layer(rate).apply({}, {}, X, key=KEY, train=True)
    assert (np.asarray(out) == value).all()


def test_dropout_compiles_with_the_key_as_an_argument():
    layer = nn.dropout(0.5)
    run = jit(lambda key, x: layer.apply({}, {}, x, key=key, train=True)[0])
    eager = layer.apply({}, {}, X, key=KEY, train=True)[0]
    np.testing.assert_array_equal(run(KEY, X), eager)


def test_half_precision_is_kept():
    x = rnp.ones(10, dtype="bfloat16")
    assert nn.dropout(0.5).apply({}, {}, x, key=KEY, train=True)[0].dtype == x.dtype


def test_training_without_a_key_is_explained_with_the_path():
    model = nn.sequential(nn.relu, nn.dropout(0.5))
    with pytest.raises(ArgumentError, match=r"In layer '1': dropout\(0.5\) draws random numbers"):
        model.apply({}, {}, X, train=True)


def test_a_rate_is_a_probability():
    with pytest.raises(ArgumentError, match=r"dropout\(1.5\): the rate is from 0 to 1"):
        nn.dropout(1.5)


def test_spatial_dropout_refuses_an_input_without_places():
    with pytest.raises(ShapeError, match=r"takes an input \(N, C, ...\), not \(100, 100\)"):
        nn.spatial_dropout(0.5).apply({}, {}, X, key=KEY, train=True)
