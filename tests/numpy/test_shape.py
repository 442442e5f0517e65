"""Shape functions and padding, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

import rtfunc.numpy as rnp
from rtfunc.core.errors import ArgumentError, AxisError, DtypeError, ShapeError, TracerError
from rtfunc.testing import check_grads
from rtfunc.transforms.jvp import jvp
from rtfunc.transforms.vmap import vmap

X = np.arange(24.0).reshape(2, 3, 4)
V = np.array([1.0, 2.0, 4.0])

#: name, arguments after the array.
CASES = [
    ("reshape", ((4, 6),)),
    ("reshape", (-1,)),
    ("reshape", ((3, -1), "F")),
    ("ravel", ()),
    ("ravel", ("F",)),
    ("transpose", ()),
    ("transpose", ((1, 2, 0),)),
    ("permute_dims", ((2, 0, 1),)),
    ("matrix_transpose", ()),
    ("swapaxes", (0, -1)),
    ("moveaxis", (0, -1)),
    ("moveaxis", ((0, 2), (1, 0))),
    ("rollaxis", (2,)),
    ("rollaxis", (0, 3)),
    ("rollaxis", (1, 2)),
    ("expand_dims", (1,)),
    ("expand_dims", ((0, -1),)),
    ("broadcast_to", ((5, 2, 3, 4),)),
    ("flip", ()),
    ("flip", (1,)),
    ("flip", ((0, 2),)),
    ("flipud", ()),
    ("fliplr", ()),
    *(("rot90", (k,)) for k in range(-1, 5)),
    ("rot90", (1, (2, 1))),
    ("roll", (2,)),
    ("roll", (-5, 1)),
    ("roll", ((1, 2), (0, 2))),
    ("roll", (1, (0, 2))),
    ("roll", ((1, 2), 1)),
    ("roll", (100,)),
    ("tile", (2,)),
    ("tile", ((2, 1, 3),)),
    ("tile", ((2, 1, 1, 1),)),
    ("tile", ((0, 1, 1),)),
    ("repeat", (2,)),
    ("repeat", (3, 1)),
    ("repeat", ([1, 0, 2], 1)),
    ("repeat", ([2], 0)),
    ("resize", ((3, 5),)),
    ("resize", ((7, 7),)),
    ("atleast_1d", ()),
    ("atleast_2d", ()),
    ("atleast_3d", ()),
]
ids = [f"{name}{args}" for name, args in CASES]


@pytest.mark.parametrize(("name", "args"), CASES, ids=ids)
def test_shape_functions_are_numpys(name, args):
    for x in (X, X.astype("int8"), X > 5, X[:, ::-1]):
        found, expected = getattr(rnp, name)(x, *args), getattr(np, name)(x, *args)
        np.testing.assert_array_equal(found, expected, strict=True)


@pytest.mark.parametrize(("name", "args"), CASES, ids=ids)
def test_shape_functions_are_linear(name, args):
    function = getattr(rnp, name)
    t = np.cos(X)
    np.testing.assert_array_equal(
        jvp(lambda x: function(x, *args), (X,), (t,))[1], function(t, *args)
    )
    check_grads(lambda x: function(x, *args), (X / 10,), order=1, modes=["rev"])


@pytest.mark.parametrize(("name", "args"), CASES, ids=ids)
def test_shape_functions_batch(name, args):
    function = getattr(rnp, name)
    batch = np.stack([X, 2 * X, -X], 1)
    expected = np.stack([function(batch[:, i], *args) for i in range(3)])
    np.testing.assert_array_equal(vmap(lambda x: function(x, *args), in_axes=1)(batch), expected)


def test_empty_and_0d():
    assert rnp.reshape(np.zeros((0, 3)), (3, 0)).shape == (3, 0)
    assert rnp.ravel(3.0).shape == (1,)
    assert rnp.flip(3.0).shape == ()
    assert rnp.roll(np.zeros((0, 2)), 1, 0).shape == (0, 2)
    assert rnp.tile(np.zeros((0,)), 2).shape == (0,)
    assert rnp.resize(np.zeros((0,)), (0, 2)).shape == (0, 2)


def test_squeeze():
    x = np.zeros((1, 3, 1))
    assert rnp.squeeze(x).shape == (3,)
    assert rnp.squeeze(x, 0).shape == (3, 1)
    assert rnp.squeeze(x, (0, -1)).shape == (3,)
    with pytest.raises(ShapeError, match=r"squeeze: axis 1 of shape \(1, 3, 1\) has size 3, not 1"):
        rnp.squeeze(x, 1)


def test_broadcasting():
    assert rnp.broadcast_shapes((2, 1), (3,), 1) == (2, 3)
    assert rnp.broadcast_shapes() == ()
    for a, b in zip(rnp.broadcast_arrays(V, V[:, None]), np.broadcast_arrays(V, V[:, None])):
        np.testing.assert_array_equal(a, b, strict=True)
    with pytest.raises(ShapeError, match=r"broadcast_to: shape \(3,\) does not spread to \(2,\)"):
        rnp.broadcast_to(V, 2)
    with pytest.raises(ShapeError, match=r"does not spread to \(\)"):
        rnp.broadcast_to(V, ())


def test_atleast():
    assert [x.shape for x in rnp.atleast_2d(1.0, V)] == [(1, 1), (1, 3)]
    for value in (1.0, V, X[0]):
        assert rnp.atleast_3d(value).shape == np.atleast_3d(value).shape


def test_unstack():
    parts = rnp.unstack(X, axis=1)
    assert len(parts) == 3
    np.testing.assert_array_equal(parts[2], X[:, 2], strict=True)
    with pytest.raises(ShapeError, match="unstack takes one axis or more"):
        rnp.unstack(1.0)


def test_traced_shifts_and_repeats():
    rolled = vmap(lambda n: rnp.roll(V, n))(np.array([-1, 0, 1, 5]))
    np.testing.assert_array_equal(rolled, [np.roll(V, n) for n in (-1, 0, 1, 5)])
    counts = np.array([[1, 0, 2], [3, 0, 0], [0, 0, 1]])
    repeated = vmap(lambda n: rnp.repeat(V, n, total_repeat_length=3))(counts)
    np.testing.assert_array_equal(repeated, [[1, 4, 4], [1, 1, 1], [4, 4, 4]])
    np.testing.assert_array_equal(
        rnp.repeat(V, np.array([0, 0, 1]), total_repeat_length=3), [4, 4, 4]
    )


def test_methods_of_the_array_are_the_functions():
    x = rnp.asarray(np.array([3, 1, 2]))
    assert x.tobytes() == np.array([3, 1, 2]).tobytes()
    np.testing.assert_array_equal(x.argpartition(1), [1, 2, 0])
    np.testing.assert_array_equal(x.compress(x > 1), [3, 2])
    np.testing.assert_array_equal((x - 1).choose([x, x * 2, x * 3]), [9, 1, 4])
    assert rnp.transpose(np.zeros((2, 3, 4)), axes=(2, 0, 1)).shape == (4, 2, 3)


def test_errors():
    with pytest.raises(ShapeError, match=r"reshape: an array of shape .* has 24 elements"):
        rnp.reshape(X, (5, 5))
    with pytest.raises(ShapeError, match="only one size may be -1"):
        rnp.reshape(X, (-1, -1))
    with pytest.raises(ArgumentError, match="reshape: order is 'C' or 'F', not 'Z'"):
        rnp.reshape(X, 24, order="Z")
    with pytest.raises(AxisError, match="swapaxes: axis 5 is out of bounds"):
        rnp.swapaxes(X, 0, 5)
    with pytest.raises(AxisError, match="moveaxis takes as many places as axes, not 2 and 1"):
        rnp.moveaxis(X, (0, 1), 0)
    with pytest.raises(ShapeError, match="matrix_transpose takes two axes or more"):
        rnp.matrix_transpose(V)
    with pytest.raises(ArgumentError, match="repeats must not be negative"):
        rnp.repeat(V, -1)
    with pytest.raises(
        ShapeError, match=r"repeats of shape \(2,\) do not fit axis 0 of shape \(3,\)"
    ):
        rnp.repeat(V, [1, 2])
    with pytest.raises(DtypeError, match="repeat takes integers as repeats"):
        rnp.repeat(V, 1.5)
    with pytest.raises(TracerError, match="Pass total_repeat_length"):
        vmap(lambda n: rnp.repeat(V, n))(np.ones((2, 3), int))


# Padding

WIDTHS = [0, 2, (1, 3), ((1, 2), (0, 4))]
MODES = [
    ("constant", {}),
    ("constant", {"constant_values": 7}),
    ("constant", {"constant_values": ((1, 2), (3, 4))}),
    ("edge", {}),
    ("reflect", {}),
    ("reflect", {"reflect_type": "odd"}),
    ("symmetric", {}),
    ("symmetric", {"reflect_type": "odd"}),
    ("wrap", {}),
    ("linear_ramp", {"end_values": (5, -3)}),
    ("maximum", {}),
    ("minimum", {"stat_length": 2}),
    ("mean", {}),
    ("mean", {"stat_length": ((2, 1), (1, 2))}),
    ("median", {}),
]


@pytest.mark.parametrize("width", WIDTHS, ids=str)
@pytest.mark.parametrize(("mode", "options"), MODES, ids=str)
def test_pad_is_numpys(width, mode, options):
    for x in (X[0], np.array([[3, 1], [2, 9]], "int32"), X[0, :1]):
        expected = np.pad(x, width, mode, **options)
        found = rnp.pad(x, width, mode, **options)
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, rtol=1e-14)


@pytest.mark.parametrize(("mode", "options"), MODES, ids=str)
def test_pad_is_differentiable_and_batches(mode, options):
    x = np.sin(X[0] * 3)
    check_grads(lambda x: rnp.pad(x, ((1, 3), (4, 0)), mode, **options), (x,))
    batch = np.stack([x, -x])
    expected = np.stack([rnp.pad(b, 2, mode, **options) for b in batch])
    found = vmap(lambda b: rnp.pad(b, 2, mode, **options))(batch)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_pad_by_a_function():
    def fill(vector, width, axis, options):
        before = rnp.full((width[0],), options["value"])
        inside = vector[width[0] : vector.shape[0] - width[1]]
        return rnp.concatenate([before, inside, rnp.full((width[1],), options["value"])])

    found = rnp.pad(X[0], ((1, 2), (0, 1)), fill, value=9.0)
    np.testing.assert_array_equal(found, np.pad(X[0], ((1, 2), (0, 1)), constant_values=9.0))


def test_pad_accepts_a_dict_of_axes():
    np.testing.assert_array_equal(rnp.pad(X[0], {-1: (1, 2)}), np.pad(X[0], ((0, 0), (1, 2))))


def test_pad_refuses():
    with pytest.raises(ArgumentError, match="pad: 'mirror' is not a mode; modes are"):
        rnp.pad(V, 1, "mirror")
    with pytest.raises(ArgumentError, match="pad in mode 'edge' does not take end_values"):
        rnp.pad(V, 1, "edge", end_values=0)
    with pytest.raises(ArgumentError, match="pad_width must not be negative"):
        rnp.pad(V, -1)
    with pytest.raises(ShapeError, match=r"pad_width .* does not fit 1 axes"):
        rnp.pad(V, ((1, 2), (3, 4)))
    with pytest.raises(DtypeError, match="pad takes integers as pad_width"):
        rnp.pad(V, 1.5)
    with pytest.raises(ShapeError, match="cannot extend the empty axis 0"):
        rnp.pad(np.zeros(0), 1, "edge")
