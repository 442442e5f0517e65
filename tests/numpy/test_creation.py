"""Creation: what data becomes, and the functions that fill, count and draw grids."""

from __future__ import annotations

import array as python_array

import ml_dtypes
import numpy as np
import pytest

import rtfunc.numpy as rnp
from rtfunc.core.aval import Aval
from rtfunc.core.device import Device
from rtfunc.core.errors import ArgumentError, DtypeError, ShapeError, TracerError
from rtfunc.core.graph import evaluate
from rtfunc.core.staging import trace_to_graph
from rtfunc.transforms.vjp import grad
from rtfunc.transforms.vmap import vmap


def same(found, expected, dtype=None, weak=False):
    """Equal values and shape; the dtype and weakness are as said."""
    expected = np.asarray(expected)
    np.testing.assert_array_equal(np.asarray(found), expected)
    assert found.shape == expected.shape
    assert found.dtype == (expected.dtype if dtype is None else np.dtype(dtype))
    assert found.weak_type == weak


# asarray and array


@pytest.mark.parametrize(
    ("data", "dtype", "weak"),
    [
        (1, "int32", True),
        (True, "bool", False),
        (1.5, "float32", True),
        (2j, "complex64", True),
        (2**40, "int64", True),
        (2**63, "uint64", True),
        ([1, 2], "int32", False),
        ([True, False], "bool", False),
        ([True, 2], "int32", False),
        ([1, 2.5], "float32", False),
        ([1, 2.5j], "complex64", False),
        ([], "float32", False),
        ([[], []], "float32", False),
        ([1, 2**40], "int64", False),
        ([[1, 2], (3, 4)], "int32", False),
        (range(3), "int32", False),
        (np.float16(1.5), "float16", False),
        ([np.float64(1), 2], "float64", False),
        ([np.float16(1), 2.5], "float16", False),
        ([np.int64(1), 2], "int64", False),
        ([np.zeros(2, "int8"), np.zeros(2, "int16")], "int16", False),
        ([1.5, np.ones((), "bool")], "float32", False),
    ],
)
def test_data_becomes_arrays_of_the_default_or_own_dtype(data, dtype, weak):
    for make in (rnp.asarray, rnp.array):
        found = make(data)
        expected = np.array(data if not isinstance(data, range) else list(data))
        same(found, expected.astype(dtype), dtype, weak)


@pytest.mark.parametrize("dtype", ["int8", "uint64", "float16", "float64", "complex128", "bool"])
def test_numpy_arrays_keep_their_dtype(dtype):
    same(rnp.asarray(np.array([0, 1, 2]).astype(dtype)), np.array([0, 1, 2]).astype(dtype))


def test_bfloat16_and_float8_come_in():
    for dtype in (ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn):
        same(rnp.asarray(np.array([1, 2], dtype)), np.array([1, 2], dtype))


def test_other_byte_order_becomes_native():
    found = rnp.asarray(np.array([1, 256], ">i4"))
    same(found, [1, 256], "int32")
    assert found.dtype.isnative


def test_a_writeable_array_is_copied():
    for make in (rnp.asarray, rnp.array, lambda a: rnp.reshape(a, (1, 3)), rnp.ravel, rnp.positive):
        mine = np.array([1.0, 2.0, 3.0])
        theirs = make(mine)
        mine[0] = 9
        assert np.asarray(theirs).ravel()[0] == 1


def test_a_read_only_array_is_shared():
    mine = np.array([1.0, 2.0])
    mine.flags.writeable = False
    assert np.shares_memory(np.asarray(rnp.asarray(mine)), mine)
    assert not np.shares_memory(np.asarray(rnp.asarray(mine, copy=True)), mine)
    assert not np.shares_memory(np.asarray(rnp.array(mine)), mine)


def test_copy_false_refuses_to_copy():
    with pytest.raises(ArgumentError, match="a writeable NumPy array has to be copied"):
        rnp.asarray(np.zeros(2), copy=False)
    with pytest.raises(ArgumentError, match="float32 as int32 needs a copy"):
        rnp.asarray(rnp.zeros(2), "int32", copy=False)
    x = rnp.zeros(2)
    assert rnp.asarray(x, copy=False) is x


def test_arrays_pass_through():
    x = rnp.asarray(1.5)
    assert rnp.asarray(x) is x
    copied = rnp.array(x)
    same(copied, np.float32(1.5), weak=True)
    assert not np.shares_memory(np.asarray(x), np.asarray(copied))


def test_a_dtype_makes_scalars_strong():
    same(rnp.asarray(1, "float32"), np.float32(1))
    same(rnp.asarray(1.9, "int32"), np.int32(1))
    same(rnp.array([1, 2], float), np.array([1, 2], "float32"))
    same(rnp.array([1.5], complex), np.array([1.5], "complex64"))


def test_ndmin_puts_axes_in_front():
    assert rnp.array([1, 2], ndmin=3).shape == (1, 1, 2)


def test_lists_of_arrays_and_tracers_are_stacked():
    x = rnp.arange(3.0)
    same(rnp.asarray([x, x + 1]), np.array([[0, 1, 2], [1, 2, 3]], "float32"))
    same(rnp.asarray([x[0], 2, np.float32(3)]), np.array([0, 2, 3], "float32"))
    gradient = grad(lambda x: (rnp.asarray([x * x, 3.0, x]) * rnp.asarray([1.0, 1.0, 2.0])).sum())(
        2.0
    )
    assert float(gradient) == 6.0
    same(vmap(lambda x: rnp.array([[x, 1], [2, x]]))(x)[2], np.array([[2, 1], [2, 2]], "float32"))


class _WithArray:
    def __array__(self, dtype=None, copy=None):
        return np.array([1, 2], "int16")


def test_other_array_types_come_in():
    same(rnp.asarray(_WithArray()), np.array([1, 2], "int16"))
    same(rnp.asarray(python_array.array("d", [1, 2])), np.array([1.0, 2.0]))
    same(rnp.asarray(memoryview(b"ab")), np.array([97, 98], "uint8"))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("text", "An object of type str does not become an array"),
        (None, "An object of type NoneType"),
        ({1, 2}, "An object of type set"),
        ({"a": 1}, "An object of type dict"),
        (["a", 1], "the list holds int, str"),
        ([1, None], "the list holds NoneType, int"),
        (np.array(["a"]), "not strings"),
        (np.array([object()]), "not objects"),
        (np.array(["2020"], "datetime64[Y]"), "not dates"),
        ([2**70], "fit neither in int64 nor in uint64"),
        ([2**63, -1], "fit neither in int64 nor in uint64"),
        (object(), "An object of type object"),
    ],
)
def test_what_is_no_number_is_refused(data, message):
    with pytest.raises(DtypeError, match=message):
        rnp.asarray(data)


def test_ragged_lists_are_refused():
    with pytest.raises(ShapeError, match="elements of the list have different shapes"):
        rnp.asarray([[1, 2], [3]])
    with pytest.raises(ShapeError, match=r"different shapes: \(2,\), \(3,\)"):
        rnp.asarray([rnp.zeros(2), rnp.zeros(3)])


def test_integers_that_do_not_fit_are_refused():
    with pytest.raises(DtypeError, match="the integers 1 to 300 do not fit in int8"):
        rnp.asarray([1, 300], "int8")


def test_memory_order_is_refused():
    with pytest.raises(ArgumentError, match="order is 'F'"):
        rnp.asarray([1], order="F")


def test_device_is_accepted():
    for device in ("cpu", Device("cpu"), None):
        assert rnp.zeros(2, device=device).device == Device("cpu")
        assert rnp.asarray([1], device=device).device == Device("cpu")


def test_dlpack_and_buffers():
    mine = np.array([1.0, 2.0])
    theirs = rnp.from_dlpack(mine)
    mine[0] = 5
    same(theirs, [1.0, 2.0])
    assert np.shares_memory(np.asarray(rnp.from_dlpack(mine, copy=False)), mine)
    same(rnp.frombuffer(b"\x01\x00\x02\x00", "int16", offset=2), np.array([2], "int16"))
    with pytest.raises(DtypeError, match="from_dlpack takes objects with __dlpack__, not list"):
        rnp.from_dlpack([1])


# Filled


@pytest.mark.parametrize("shape", [(), 3, (2, 3), (0, 2), [1, 2], np.int64(2)])
def test_filled_arrays(shape):
    for make, reference in ((rnp.zeros, np.zeros), (rnp.ones, np.ones), (rnp.empty, np.zeros)):
        same(make(shape), reference(shape, "float32"))
        same(make(shape, int), reference(shape, "int32"))
        same(make(shape, "float64"), reference(shape))
    same(rnp.full(shape, 7, "int8"), np.full(shape, 7, "int8"))
    same(rnp.full(shape, 1.5), np.full(shape, 1.5, "float32"), weak=True)


def test_full_keeps_all_digits_of_a_python_number():
    assert float(rnp.full((), 0.1, "float64")) == 0.1
    assert float(rnp.full_like(np.zeros(()), 0.1)) == 0.1
    assert complex(rnp.full((), 0.1, "complex128")) == 0.1


def test_full_broadcasts_its_value():
    same(rnp.full((2, 3), np.arange(3)), np.full((2, 3), np.arange(3)))
    with pytest.raises(ShapeError, match=r"a value of shape \(3,\) does not fill the shape \(\)"):
        rnp.full((), np.arange(3))


def test_like():
    x = np.zeros((2, 3), "int16")
    same(rnp.zeros_like(x), np.zeros((2, 3), "int16"))
    same(rnp.ones_like(x, "float32"), np.ones((2, 3), "float32"))
    same(rnp.full_like(x, 2.5), np.full((2, 3), 2, "int16"))
    same(rnp.empty_like(x, shape=(1,)), np.zeros(1, "int16"))
    same(rnp.zeros_like(2.0), np.float32(0), weak=True)
    same(rnp.ones_like([1, 2]), np.ones(2, "int32"))


def test_negative_sizes_are_refused():
    with pytest.raises(ShapeError, match="not negative"):
        rnp.zeros((2, -1))
    with pytest.raises(DtypeError, match="A shape is an integer or a sequence of integers"):
        rnp.zeros(1.5)


# Counting


@pytest.mark.parametrize(
    "args",
    [
        (3,),
        (0,),
        (-2,),
        (1, 5),
        (1, 8, 3),
        (5, 0, -2),
        (3.0,),
        (0, 1, 0.25),
        (1.5, 4),
        (0.0, -2, -0.5),
    ],
)
def test_arange(args):
    dtype = "float32" if any(isinstance(a, float) for a in args) else "int32"
    same(rnp.arange(*args), np.arange(*args).astype(dtype))
    graph, captured = trace_to_graph(lambda: [rnp.arange(*args)], [])
    same(evaluate(graph, captured)[0], np.arange(*args).astype(dtype))


def test_arange_takes_the_dtype_of_its_arguments():
    same(rnp.arange(np.int8(3)), np.arange(3, dtype="int8"))
    same(rnp.arange(rnp.asarray(2, "int64")), np.arange(2))
    same(rnp.arange(3, dtype="float16"), np.arange(3, dtype="float16"))
    same(rnp.arange(0.5, 2, dtype="bfloat16"), np.array([0.5, 1.5], ml_dtypes.bfloat16))


def test_arange_refuses_traced_sizes_and_zero_steps():
    with pytest.raises(TracerError, match="its size follows from its arguments"):
        trace_to_graph(lambda n: [rnp.arange(n)], [Aval((), "int32")])
    with pytest.raises(ArgumentError, match="the step is 0"):
        rnp.arange(1, 2, 0)
    with pytest.raises(DtypeError, match="arange takes real scalars"):
        rnp.arange(np.ones(2))


@pytest.mark.parametrize("endpoint", [True, False])
@pytest.mark.parametrize("num", [0, 1, 2, 5])
def test_linspace(num, endpoint):
    for start, stop in ((0, 1), (-2.5, 7), (np.array([0.0, 1.0]), np.array([[2.0], [3.0]]))):
        expected = np.linspace(start, stop, num, endpoint)
        dtype = np.float64 if isinstance(start, np.ndarray) else np.float32
        found = rnp.linspace(start, stop, num, endpoint)
        same(found, expected.astype(dtype))
        # Traced ends go through start (1 - t) + stop t: within a few roundings.
        traced = (
            vmap(lambda a, b: rnp.linspace(a, b, num, endpoint))(
                np.asarray([start]), np.asarray([stop])
            )
            if np.ndim(start) == 0
            else None
        )
        if traced is not None:
            np.testing.assert_allclose(np.asarray(traced)[0], expected, rtol=1e-6, atol=1e-6)


def test_linspace_of_integers_rounds_down_and_returns_steps():
    same(rnp.linspace(0, 10, 4, dtype=int), np.array([0, 3, 6, 10], "int32"))
    _, step = rnp.linspace(0, 1, 5, retstep=True)
    assert float(step) == 0.25
    same(rnp.linspace(np.zeros(2), 1, 3, axis=1), np.linspace(np.zeros(2), 1, 3, axis=1))
    with pytest.raises(ArgumentError, match="the number of samples is -1"):
        rnp.linspace(0, 1, -1)


def test_logspace_and_geomspace():
    same(rnp.logspace(0, 3, 4, base=2), np.array([1, 2, 4, 8], "float32"))
    np.testing.assert_allclose(rnp.geomspace(-1, -1000, 4), [-1, -10, -100, -1000], rtol=1e-6)
    traced = vmap(lambda a: rnp.geomspace(a, 8 * a, 4))(np.array([2.0]))
    np.testing.assert_allclose(traced, [[2, 4, 8, 16]], rtol=1e-12)
    with pytest.raises(ArgumentError, match="must not be 0"):
        rnp.geomspace(0, 1)


def test_grids():
    a, b, c = np.arange(2), np.arange(3), np.arange(4)
    for options in ({}, {"indexing": "ij"}, {"sparse": True}, {"sparse": True, "indexing": "ij"}):
        for axes in ((a,), (a, b), (a, b, c)):
            for x, y in zip(rnp.meshgrid(*axes, **options), np.meshgrid(*axes, **options)):
                same(x, y)
    same(rnp.mgrid[0:2, 0:3], np.mgrid[0:2, 0:3].astype("int32"))
    same(rnp.mgrid[0:1:3j], np.mgrid[0:1:3j].astype("float32"))
    same(rnp.mgrid[0:2, 0:1:3j], np.mgrid[0:2, 0:1:3j].astype("float32"))
    for x, y in zip(rnp.ogrid[0:2, 0:3:2], np.ogrid[0:2, 0:3:2]):
        same(x, y, "int32")
    same(rnp.indices((2, 3)), np.indices((2, 3)).astype("int32"))
    same(
        rnp.fromfunction(lambda i, j: i * j, (2, 3)),
        np.fromfunction(lambda i, j: i * j, (2, 3)),
        "float32",
    )
    with pytest.raises(ArgumentError, match="indexing is 'xy' or 'ij', not 'yx'"):
        rnp.meshgrid(a, indexing="yx")
    with pytest.raises(ShapeError, match="meshgrid takes 1-d arrays"):
        rnp.meshgrid(np.ones((2, 2)))


# Matrices


@pytest.mark.parametrize("k", [-4, -1, 0, 2, 5])
def test_matrices(k):
    same(rnp.eye(3, 4, k), np.eye(3, 4, k, "float32"))
    same(rnp.tri(3, 4, k, int), np.tri(3, 4, k, "int32"))
    x = np.arange(24.0).reshape(2, 3, 4)
    same(rnp.tril(x, k), np.tril(x, k))
    same(rnp.triu(x, k), np.triu(x, k))
    same(rnp.diag(x[0], k), np.diag(x[0], k))
    same(rnp.diag(x[0, 0], k), np.diag(x[0, 0], k))
    same(rnp.diagflat(x[0, :2], k), np.diagflat(x[0, :2], k))
    for function in (lambda: rnp.eye(3, 4, k), lambda: rnp.tri(3, 4, k)):
        graph, captured = trace_to_graph(lambda f=function: [f()], [])
        same(evaluate(graph, captured)[0], function())


def test_identity_and_vandermonde():
    same(rnp.identity(2), np.identity(2, "float32"))
    x = np.array([1.0, 2.0, 3.0])
    same(rnp.vander(x), np.vander(x))
    same(rnp.vander(x, 2, increasing=True), np.vander(x, 2, increasing=True))
    assert rnp.vander(x, 0).shape == (3, 0)
    with pytest.raises(
        ShapeError, match=r"tril takes matrices \(two axes or more\), not shape \(3,\)"
    ):
        rnp.tril(x)
    with pytest.raises(ShapeError, match="diag takes one or two axes"):
        rnp.diag(np.zeros((2, 2, 2)))


@pytest.mark.parametrize(
    "make",
    [
        lambda value: rnp.full(2, value, "float64"),
        lambda value: rnp.full_like(np.ones(2), value),
        lambda value: rnp.astype(value, "float64"),
    ],
)
def test_filling_with_a_numpy_array_keeps_no_memory_of_it(make):
    value = np.array([1.0, 2.0])
    result = make(value)
    value[0] = 7.0
    np.testing.assert_array_equal(result, [1.0, 2.0])
