"""Array: operators, methods, interoperation, immutability, printing."""

from __future__ import annotations

import copy
import math
import operator
import pickle

import ml_dtypes
import numpy as np
import pytest

import rtfunc.numpy as rnp
from rtfunc.core.array import Array
from rtfunc.core.device import Device
from rtfunc.core.errors import (
    DeviceError,
    DtypeError,
    ImmutableArrayError,
    MissingDependencyError,
    ShapeError,
    UnhashableError,
)

X = np.array([[1.5, -2.0, 3.0], [0.5, 4.0, -1.0]])
I = np.array([[7, -7, 3], [1, 2, -5]], "int32")

BINARY = [
    operator.add,
    operator.sub,
    operator.mul,
    operator.truediv,
    operator.floordiv,
    operator.mod,
    operator.eq,
    operator.ne,
    operator.lt,
    operator.le,
    operator.gt,
    operator.ge,
]
BITS = [operator.and_, operator.or_, operator.xor]


# Operators


@pytest.mark.parametrize("op", BINARY, ids=lambda f: f.__name__)
@pytest.mark.parametrize(
    "other", [2, 2.5, True, np.array([1.0, -2.0, 4.0]), np.float64(2)], ids=str
)
def test_arithmetic_operators_on_both_sides(op, other):
    x = rnp.asarray(X)
    for found, expected in ((op(x, other), op(X, other)), (op(other, x), op(other, X))):
        assert isinstance(found, Array)
        np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-15)
    assert isinstance(op(x, x), Array)


@pytest.mark.parametrize("op", [*BITS, operator.lshift, operator.rshift], ids=lambda f: f.__name__)
def test_bit_operators_on_both_sides(op):
    x = rnp.asarray(np.abs(I))
    for other in (3, np.int32(2), np.array([1, 2, 3], "int32")):
        np.testing.assert_array_equal(op(x, other), op(np.abs(I), other), strict=True)
        np.testing.assert_array_equal(op(other, x), op(other, np.abs(I)))


def test_unary_operators():
    x = rnp.asarray(X)
    for op in (operator.neg, operator.pos, abs):
        np.testing.assert_array_equal(op(x), op(X), strict=True)
    np.testing.assert_array_equal(~rnp.asarray(I), ~I, strict=True)
    np.testing.assert_array_equal(round(rnp.asarray(X * 1.37), 1), np.round(X * 1.37, 1))


def test_power_and_divmod_and_matmul():
    x = rnp.asarray(X)
    np.testing.assert_allclose(x**2, X**2)
    np.testing.assert_allclose(2**x, 2**X)
    np.testing.assert_allclose(abs(x) ** X, abs(X) ** X)
    for found, expected in zip(divmod(x, 2.0), divmod(X, 2.0)):
        np.testing.assert_allclose(found, expected)
    for found, expected in zip(divmod(2.0, x), divmod(2.0, X)):
        np.testing.assert_allclose(found, expected)
    np.testing.assert_allclose(x @ X.T, X @ X.T)
    np.testing.assert_allclose(X.T @ x, X.T @ X)


def test_lists_and_strings_are_refused_by_operators():
    x = rnp.asarray(X)
    with pytest.raises(
        TypeError, match="takes arrays and numbers, but the other operand is of type"
    ):
        x + [1, 2, 3]
    with pytest.raises(
        TypeError, match="takes arrays and numbers, but the other operand is of type"
    ):
        x * "text"
    assert (x == "text") is False
    assert (x != None) is True  # noqa: E711


# Methods


METHODS = [
    ("sum", (), {}),
    ("sum", (), {"axis": 1, "keepdims": True}),
    ("prod", (), {"axis": 0}),
    ("mean", (1,), {}),
    ("var", (), {"ddof": 1}),
    ("std", (), {"axis": 0}),
    ("max", (), {"axis": 1}),
    ("min", (), {}),
    ("argmax", (), {"axis": 1}),
    ("argmin", (), {}),
    ("all", (), {"axis": 0}),
    ("any", (), {}),
    ("cumsum", (), {"axis": 1}),
    ("cumprod", (1,), {}),
    ("reshape", (3, 2), {}),
    ("reshape", ((3, -1),), {}),
    ("reshape", (6,), {"order": "F"}),
    ("ravel", (), {}),
    ("flatten", ("F",), {}),
    ("squeeze", (), {}),
    ("transpose", (), {}),
    ("transpose", (1, 0), {}),
    ("transpose", ((1, 0),), {}),
    ("swapaxes", (0, 1), {}),
    ("repeat", (2,), {"axis": 1}),
    ("take", (np.array([1, 0]),), {"axis": 1}),
    ("dot", (X.T,), {}),
    ("clip", (0, 2), {}),
    ("round", (), {}),
    ("argsort", (), {}),
    ("diagonal", (), {}),
    ("trace", (1,), {}),
    ("conj", (), {}),
    ("conjugate", (), {}),
    ("astype", ("int32",), {}),
    ("copy", (), {}),
    ("item", (1, 2), {}),
    ("tolist", (), {}),
    ("view", ("int64",), {}),
]


@pytest.mark.parametrize(
    ("name", "args", "options"), METHODS, ids=lambda v: v if isinstance(v, str) else ""
)
def test_methods_are_numpys(name, args, options):
    found = getattr(rnp.asarray(X), name)(*args, **options)
    expected = getattr(X.copy(), name)(*args, **options)
    np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-14)


def test_methods_numpy_lacks_or_calls_with_out():
    x = rnp.asarray(X)
    assert float(x.ptp()) == 6
    np.testing.assert_array_equal(x.nonzero()[0], X.nonzero()[0])
    np.testing.assert_array_equal(x.sort(axis=0), np.sort(X, axis=0))
    assert int(rnp.asarray([1, 3]).searchsorted(2)) == 1
    for name in ("sum", "mean", "max", "all", "any", "std", "argmax", "cumsum", "clip"):
        args = (0, 1) if name == "clip" else ()
        np.testing.assert_allclose(getattr(np, name)(x, *args), getattr(np, name)(X, *args))


def test_properties():
    x = rnp.asarray(X + 1j)
    assert (x.shape, x.ndim, x.size, x.itemsize, x.nbytes) == ((2, 3), 2, 6, 16, 96)
    np.testing.assert_array_equal(x.T, (X + 1j).T)
    np.testing.assert_array_equal(x.mT, (X + 1j).T)
    np.testing.assert_array_equal(x.real, X)
    np.testing.assert_array_equal(x.imag, np.ones_like(X))
    np.testing.assert_array_equal(x.flat, (X + 1j).ravel())
    assert x.device == Device("cpu")
    assert x.devices() == {Device("cpu")}
    assert x.block_until_ready() is x
    assert str(x.aval) == "complex128[2,3]"


# Python's protocols


def test_scalars_convert():
    assert float(rnp.asarray(1.5)) == 1.5
    assert int(rnp.asarray(2.7)) == 2
    assert complex(rnp.asarray(1j)) == 1j
    assert bool(rnp.asarray([1]))
    assert [10, 20, 30][rnp.asarray(1)] == 20
    assert math.sqrt(rnp.asarray(4.0)) == 2
    assert f"{rnp.asarray(1.23456):.2f}" == "1.23"
    assert f"{rnp.asarray([1.0])}" == "[1.]"


def test_conversions_refuse_several_elements():
    x = rnp.asarray(X)
    with pytest.raises(ShapeError, match=r"truth value of an array of shape \(2, 3\) is ambiguous"):
        bool(x)
    with pytest.raises(DtypeError, match=r"float\(\) takes an array with one element and no axes"):
        float(x)
    with pytest.raises(DtypeError, match="Only integer arrays are indices"):
        operator.index(rnp.asarray(1.0))


def test_iteration_and_length():
    x = rnp.asarray(X)
    assert len(x) == 2
    np.testing.assert_array_equal(np.stack(list(x)), X)
    np.testing.assert_array_equal(np.stack(list(reversed(x))), X[::-1])
    assert 1.5 in x
    assert 9.0 not in x
    with pytest.raises(DtypeError, match=r"len\(\) of an array without axes"):
        len(rnp.asarray(1))
    with pytest.raises(DtypeError, match="Iteration over an array without axes"):
        iter(rnp.asarray(1))


def test_hash_is_refused():
    with pytest.raises(
        UnhashableError, match=r"Arrays are not hashable .*float64.*static argument"
    ):
        hash(rnp.asarray(X))


def test_changing_in_place_is_refused():
    x = rnp.asarray(X)
    with pytest.raises(ImmutableArrayError, match=r"Write x = x\.at\[i\]\.set\(v\)"):
        x[0] = 1
    with pytest.raises(ImmutableArrayError, match=r"Use rtfunc\.numpy\.delete"):
        del x[0]
    y = x
    y += 1  # makes a new array
    assert y is not x
    np.testing.assert_array_equal(x, X)
    changed = x.at[0, 1].set(9.0)
    assert float(changed[0, 1]) == 9
    assert float(x[0, 1]) == -2


def test_copies_and_pickles():
    x = rnp.asarray(X)
    for made in (copy.copy(x), copy.deepcopy(x), pickle.loads(pickle.dumps(x)), x.copy()):
        np.testing.assert_array_equal(made, X, strict=True)
    weak = rnp.asarray(1.0)
    assert pickle.loads(pickle.dumps(weak)).weak_type
    half = rnp.asarray([1.0], "bfloat16")
    assert pickle.loads(pickle.dumps(half)).dtype == ml_dtypes.bfloat16


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "Array(1, dtype=int32, weak_type=True)"),
        ([1.5, 2], "Array([1.5, 2. ], dtype=float32)"),
        ([[1], [2]], "Array([[1],\n       [2]], dtype=int32)"),
        ([], "Array([], dtype=float32)"),
        (np.zeros((0, 2)), "Array([], shape=(0, 2), dtype=float64)"),
        (np.array([True]), "Array([ True], dtype=bool)"),
        (np.array([1.5], ml_dtypes.bfloat16), "Array([1.5], dtype=bfloat16)"),
    ],
)
def test_repr(value, text):
    assert repr(rnp.asarray(value)) == text


# Interoperation


def test_numpy_sees_a_read_only_view():
    x = rnp.asarray(X)
    view = np.asarray(x)
    assert np.shares_memory(view, np.asarray(x))
    assert not view.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        view[0] = 1
    mine = np.array(x)
    mine[0] = 1  # a copy of one's own
    assert np.asarray(x, "float32").dtype == np.float32
    with pytest.raises(ShapeError, match="without a copy is not possible"):
        np.asarray(x, "float32", copy=False)


def test_numpy_operators_defer_to_arrays():
    found = np.ones(3) + rnp.asarray(X)
    assert isinstance(found, Array)
    found = np.float64(2) * rnp.asarray(X)
    assert isinstance(found, Array)


def test_dlpack_with_numpy():
    x = rnp.asarray(X)
    taken = np.from_dlpack(x)
    np.testing.assert_array_equal(taken, X)
    taken_writeable = np.array(taken)
    taken_writeable[0] = 5
    np.testing.assert_array_equal(x, X)


@pytest.mark.oracle
def test_dlpack_with_torch():
    torch = pytest.importorskip("torch")
    x = rnp.asarray(X)
    tensor = torch.from_dlpack(x)
    np.testing.assert_array_equal(tensor.numpy(), X)
    assert tensor.data_ptr() == np.asarray(x).ctypes.data  # shared: it must not be written to
    theirs = torch.arange(3.0)
    mine = rnp.from_dlpack(theirs)
    again = rnp.asarray(theirs)
    theirs[0] = 99.0
    np.testing.assert_array_equal(mine, [0, 1, 2])
    np.testing.assert_array_equal(again, [0, 1, 2])
    assert mine.dtype == np.float32


@pytest.mark.oracle
def test_jax_arrays_come_in_and_go_out():
    jax = pytest.importorskip("jax")
    np.testing.assert_array_equal(rnp.asarray(jax.numpy.arange(3)), [0, 1, 2])
    np.testing.assert_array_equal(jax.numpy.asarray(rnp.arange(3)), [0, 1, 2])
    assert rnp.asarray(jax.numpy.ones(1, "bfloat16")).dtype == ml_dtypes.bfloat16


def test_namespace():
    x = rnp.asarray(X)
    assert x.__array_namespace__() is rnp
    assert x.__array_namespace__(api_version="2024.12") is rnp
    with pytest.raises(DtypeError, match=r"follows array API 2024\.12, not 2099\.12"):
        x.__array_namespace__(api_version="2099.12")


def test_devices():
    x = rnp.asarray(X)
    assert x.to_device("cpu").device == Device("cpu")
    with pytest.raises((DeviceError, MissingDependencyError), match=r"cuda13x|no device|no GPU"):
        x.to_device("gpu:99")
    with pytest.raises(DeviceError, match="'tpu' is not a device"):
        x.to_device("tpu")


# Weak types


@pytest.mark.parametrize(
    "dtype", ["int8", "float16", "bfloat16", "float32", "float64", "complex128"]
)
def test_python_scalars_take_the_dtype_of_arrays(dtype):
    x = rnp.ones(2, dtype)
    for found in (x + 1, 1 - x, x * 2, x + True):
        assert found.dtype == x.dtype
        assert not found.weak_type
    expected = np.dtype("float32") if dtype == "int8" else x.dtype
    assert (x + 1.5).dtype == expected
    assert rnp.asarray(1.0).dtype == np.float32
    assert (rnp.asarray(1.0) + x).dtype == expected


def test_weakness_follows_jax():
    weak = rnp.asarray(1) + 1
    assert weak.weak_type
    assert (rnp.arange(2) + 2.5).weak_type  # integers and a float: a weak float32
    assert (rnp.arange(2) + 2.5 + np.float16(1)).dtype == np.float16
    assert not (rnp.arange(2) + 2).weak_type
    assert (rnp.ones(2, "float64") * np.float32(2)).dtype == np.float64


def test_literals_are_exact_beside_float64():
    assert float(rnp.ones((), "float64") * 0.1) == 0.1
    assert float(rnp.ones((), "float64") * 1e300) == 1e300
    assert float(rnp.ones((), "float32") * 1e300) == math.inf
