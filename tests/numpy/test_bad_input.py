"""Wrong arguments give an error of ours that names the function, says what is wrong and where."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

import rtfunc as rf
import rtfunc.numpy as rnp
from rtfunc.core.errors import (
    ArgumentError,
    AxisError,
    DtypeError,
    IndexingError,
    RtfuncError,
    ShapeError,
    TracerError,
)
from tests.messages import raises
from tests.numpy.calls import CALLS

X = np.arange(6.0).reshape(2, 3)


def _calls_with(parameter: str) -> list[Any]:
    """A call of every function that has the parameter and takes an array first."""
    found = []
    for name, (call, *_) in CALLS.items():
        parameters = inspect.signature(getattr(rnp, name)).parameters
        if parameter in parameters and call.args and isinstance(call.args[0], np.ndarray):
            found.append(pytest.param(name, call, id=name))
    return found


@pytest.mark.parametrize(("name", "call"), _calls_with("axis"))
@pytest.mark.parametrize("axis", [7, -8])
def test_an_axis_that_there_is_not(name, call, axis):
    required = list(inspect.signature(getattr(rnp, name)).parameters.values())
    place = next(i for i, p in enumerate(required) if p.name == "axis")
    args = list(call.args)
    options = {k: v for k, v in call.options.items() if k != "axis"}
    if place < len(args):
        args[place] = axis
    else:
        options["axis"] = axis
    with pytest.raises(AxisError, match=r"axis|axes") as info:
        getattr(rnp, name)(*args, **options)
    message = str(info.value)
    assert f"{axis} is out of bounds" in message
    assert isinstance(info.value, (IndexError, ValueError))
    assert "test_bad_input.py" in message


@pytest.mark.parametrize(("name", "call"), _calls_with("out"))
def test_out_is_refused(name, call):
    with pytest.raises(ArgumentError, match="arrays are immutable, so out= is not supported"):
        getattr(rnp, name)(*call.args, out=np.zeros(1), **call.options)


_takes_anything = {
    "iterable", "isscalar", "shape", "ndim", "size", "broadcast_shapes", "indices", "full",
    "broadcast_to", "fromfunction", "piecewise", "apply_along_axis", "array_equal", "array_equiv",
    "iscomplexobj", "isrealobj", "index",
}  # fmt: skip


@pytest.mark.parametrize(
    "wrong", ["text", None, object(), {"a": 1}], ids=["str", "None", "object", "dict"]
)
@pytest.mark.parametrize("name", sorted(set(CALLS) - _takes_anything))
def test_what_is_no_array_is_refused(name, wrong):
    call = CALLS[name][0]
    if not call.args or not isinstance(call.args[0], np.ndarray):
        return
    with pytest.raises(RtfuncError) as info:
        getattr(rnp, name)(wrong, *call.args[1:], **call.options)
    assert "\n  at " in str(info.value)


CASES: list[tuple[Any, type[RtfuncError], str]] = [
    # shapes
    (lambda: rnp.reshape(X, (4, 2)), ShapeError, "reshape: an array of shape (2, 3) has 6 elements"),
    (lambda: rnp.reshape(X, (-1, -1)), ShapeError, "only one size may be -1"),
    (lambda: rnp.add(X, np.ones(2)), ShapeError, "add"),
    (lambda: X @ rnp.ones((2, 2)), ShapeError, "matmul"),
    (lambda: rnp.concatenate([X, np.ones((2, 3, 1))]), ShapeError, "concatenate"),
    (lambda: rnp.stack([X, X[0]]), ShapeError, "stack"),
    (lambda: rnp.broadcast_to(X, (3, 2)), ShapeError, "broadcast_to"),
    (lambda: rnp.squeeze(X, 0), ShapeError, "squeeze"),
    (lambda: rnp.split(X, 2, axis=1), ShapeError, "split"),
    (lambda: rnp.zeros((2, -1)), ShapeError, "-1"),
    (lambda: rnp.arange(0, 1, 0), ArgumentError, "arange"),
    (lambda: rnp.linspace(0, 1, -1), ArgumentError, "linspace"),
    (lambda: rnp.eye(-1), ShapeError, "-1"),
    (lambda: rnp.transpose(X, (0, 0)), AxisError, "transpose"),
    (lambda: rnp.moveaxis(X, (0, 1), 0), AxisError, "moveaxis takes as many places as axes"),
    (lambda: rnp.repeat(X, -1), ArgumentError, "repeats must not be negative"),
    (lambda: rnp.tile(X, -1), ShapeError, "Sizes of a shape are not negative, but got (-1,)"),
    (lambda: rnp.diag(np.ones((2, 2, 2))), ShapeError, "diag"),
    (lambda: rnp.cross(np.ones(4), np.ones(4)), ShapeError, "cross"),
    (lambda: rnp.matvec(X, np.ones(2)), ShapeError, "matvec: matrices of shape (2, 3)"),
    (lambda: rnp.vecmat(np.ones(3), X), ShapeError, "vecmat: matrices of shape (2, 3)"),
    (lambda: rnp.einsum("ij,jk", X, X), ShapeError, "einsum"),
    (lambda: rnp.convolve(X, np.ones(2)), ShapeError, "convolve takes signals with one axis"),
    (lambda: rnp.convolve(np.ones(0), np.ones(2)), ShapeError, "not empty"),
    (lambda: rnp.interp(1.0, np.ones(3), np.ones(2)), ShapeError, "interp takes coordinates"),
    (lambda: rnp.gradient(np.ones(1)), ShapeError, "axis 0 of size 1 is too small"),
    (lambda: rnp.gradient(X, 1.0, 1.0, 1.0), ArgumentError, "one for each of 2 axes, got 3"),
    (lambda: rnp.diff(np.float64(1)), ShapeError, "diff takes an array with at least one axis"),
    (lambda: rnp.take_along_axis(X, np.array([0]), 1), ShapeError, "the same number of axes"),
    (lambda: rnp.unwrap(np.float64(1)), ShapeError, "unwrap takes an array with at least one axis"),
    # reductions of nothing
    (lambda: rnp.max(np.zeros((0, 2))), ShapeError, "max of no elements"),
    (lambda: rnp.min(np.zeros((2, 0)), axis=1), ShapeError, "has no neutral value. Give initial="),
    (lambda: rnp.argmax(np.zeros(0)), ShapeError, "argmax"),
    (lambda: rnp.ptp(np.zeros(0)), ShapeError, "no elements"),
    # dtypes
    (lambda: rnp.bitwise_and(X, X), DtypeError, "takes booleans or integers, but got float64"),
    (lambda: rnp.gcd(X, X), DtypeError, "gcd takes integers, but got float64"),
    (lambda: rnp.lcm(X, X), DtypeError, "lcm takes integers, not float64"),
    (lambda: rnp.packbits(X), DtypeError, "packbits takes integers or booleans, not float64"),
    (lambda: rnp.unpackbits(np.ones(2, int)), DtypeError, "unpackbits takes uint8, not int64"),
    (lambda: rnp.i0(1j), DtypeError, "i0 takes real numbers, not complex64"),
    (lambda: rnp.unwrap(X + 1j), DtypeError, "unwrap takes real numbers, not complex128"),
    (lambda: rnp.floor(X + 1j), DtypeError, "floor"),
    (lambda: rnp.zeros(2, "U3"), DtypeError, "dtype"),
    (lambda: rnp.asarray(["a"]), DtypeError, "numbers"),
    (lambda: rnp.take(X, X), DtypeError, "take takes integer indices, not float64"),
    (lambda: rnp.power(np.array([2]), -1), DtypeError, "power"),
    (lambda: rnp.sum(X, where=X), DtypeError, "where= takes booleans, not float64"),
    (lambda: rnp.asarray([[1, 2], [3]]), ShapeError, "The elements of the list have different shapes"),
    # options
    (lambda: rnp.pad(X, 1, mode="mirror"), ArgumentError, "pad"),
    (lambda: rnp.searchsorted(X[0], X, side="middle"), ArgumentError, "'left' or 'right'"),
    (lambda: rnp.convolve(X[0], X[1], "half"), ArgumentError, "'full', 'same' or 'valid'"),
    (lambda: rnp.gradient(X, edge_order=3), ArgumentError, "edge_order is 1 or 2, not 3"),
    (lambda: rnp.interp(1.0, X[0], X[1], left="on"), ArgumentError, "or 'extrapolate', not 'on'"),
    (lambda: rnp.interp(1.0, X[0], X[1], left=1.0, period=2.0), ArgumentError, "no left and right"),
    (lambda: rnp.packbits(X > 1, bitorder="odd"), ArgumentError, "'big' or 'little', not 'odd'"),
    (lambda: rnp.diff(X, -1), ArgumentError, "n is not negative, got -1"),
    (lambda: rnp.hanning(-1), ArgumentError, "hanning: a size is not negative, got -1"),
    (lambda: rnp.sort(X, kind="bogo"), ArgumentError, "'bogo' is not a kind of sorting"),
    (lambda: rnp.meshgrid(X[0], indexing="ab"), ArgumentError, "meshgrid"),
    (lambda: rnp.take(X, [0], mode="raise"), ArgumentError, "mode is 'fill', 'clip' or 'wrap'"),
    (lambda: rnp.histogram(X, "best"), ArgumentError, "'best' is not a rule for bins. There are auto"),
    (lambda: rnp.trim_zeros(X[0], "x"), ArgumentError, "trim is 'f', 'b' or 'fb', not 'x'"),
    (lambda: rnp.fromfunction(X, (2,)), ArgumentError, "fromfunction takes a function, not ndarray"),
    (lambda: rnp.fromiter(["a"], int), ArgumentError, "fromiter takes an iterable of numbers"),
    (lambda: rnp.einsum_path("ij,jk", X), ArgumentError, "are for 2 operands, got 1"),
    # whole numbers and sequences
    (lambda: rnp.diag(X, 0.5), DtypeError, "diag: k is an integer, not 0.5"),
    (lambda: rnp.tril(X, None), DtypeError, "tril: k is an integer, not None"),
    (lambda: rnp.rot90(X, "a"), DtypeError, "rot90: k is an integer, not 'a'"),
    (lambda: rnp.round(X, X), DtypeError, "round: decimals is an integer, not float64[2, 3]"),
    (lambda: rnp.hanning("a"), DtypeError, "hanning: the number of samples is an integer, not 'a'"),
    (lambda: rnp.vander(X[0], -1), ArgumentError, "vander: N is not negative, got -1"),
    (lambda: rnp.split(X, 1.5), DtypeError, "split takes a sequence of places to cut at, or their"),
    (lambda: rnp.split(X, ["a"]), DtypeError, "split: a place to cut at is an integer, not 'a'"),
    (lambda: rnp.stack(None), DtypeError, "stack takes a sequence of arrays, not None"),
    (lambda: rnp.concatenate(1), DtypeError, "concatenate takes a sequence of arrays, not 1"),
    (lambda: rnp.select(None, [X]), DtypeError, "select takes a sequence of conditions, not None"),
    (lambda: rnp.linalg.multi_dot([]), ArgumentError, "multi_dot takes at least two arrays"),
    (lambda: rnp.transpose(X, 1.5), DtypeError, "transpose takes integers as axes, not float"),
    (lambda: rnp.reshape(X, "ab"), DtypeError, "A shape is an integer or a sequence of integers"),
    (lambda: rnp.expand_dims(X, 1.5), DtypeError, "expand_dims takes integers as axes, not float"),
    (lambda: rnp.linspace(X, np.ones(4)), ShapeError, "linspace got shapes that do not broadcast"),
    (lambda: rnp.logspace(0, 1, axis=2), AxisError, "logspace: axis 2 is out of bounds"),
    # indices
    (lambda: rnp.asarray(X)[2], IndexingError, "index 2 is out of bounds for axis 0 with size 2"),
    (lambda: rnp.asarray(X)[0, 0, 0], IndexingError, "3 indices for 2 axes"),
    (lambda: rnp.asarray(X)[1.0], IndexingError, "not of a float"),
    (lambda: rnp.delete(X, 5, axis=0), IndexingError, "delete"),
    (lambda: rnp.insert(X[0], 9, 1.0), IndexingError, "insert"),
    (lambda: rnp.asarray(X).at[np.array([0])].get(mode="wrap"), ArgumentError, "mode is 'clip', 'fill'"),
    (lambda: rnp.unravel_index(X, (2, 3)), DtypeError, "unravel_index takes integer indices"),
    (lambda: rnp.ravel_multi_index((np.array([5]),), (3,)), IndexingError, "out of bounds"),
]  # fmt: skip


@pytest.mark.parametrize(("attempt", "error", "text"), CASES, ids=[c[2] for c in CASES])
def test_the_error_says_what_is_wrong(attempt, error, text):
    with pytest.raises(error) as info:
        attempt()
    assert text in str(info.value)
    assert "test_bad_input.py" in str(info.value)


#: Arguments that fit few functions; those that they fit are welcome to them.
NONSENSE: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "axis 7": ((X,), {"axis": 7}),
    "axis of text": ((X,), {"axis": "a"}),
    "half an axis": ((X,), {"axis": 1.5}),
    "an axis twice": ((X,), {"axis": (0, 0)}),
    "text": (("abc",), {}),
    "None": ((None,), {}),
    "an object": ((object(),), {}),
    "texts": ((np.array(["a"]),), {}),
    "objects": ((np.array([object()]),), {}),
    "a scalar": ((np.float64(1),), {}),
    "negative": ((-3,), {}),
    "negative sizes": (((-1, 2),), {}),
    "no elements": ((np.zeros((0, 3)),), {}),
    "no elements along an axis": ((np.zeros((0, 3)),), {"axis": 0}),
    "two of no elements": ((np.zeros((0, 3)), np.zeros((0, 3))), {}),
    "booleans": ((np.ones(3, bool),), {}),
    "complex": ((np.ones((2, 2), complex),), {}),
    "shapes that do not fit": ((X, np.arange(4.0)), {}),
    "text beside": ((X, "spam"), {}),
    "None beside": ((X, None), {}),
    "negative beside": ((X, -1), {}),
    "large beside": ((X, 99), {}),
    "half beside": ((X, 1.5), {}),
    "a shape beside": ((X[0], (7, 3)), {}),
    "three": ((X, X[0], np.arange(4)), {}),
    "a dtype of text": ((X,), {"dtype": "spam"}),
    "keepdims of text": ((X,), {"keepdims": "a"}),
    "to be written to": ((X,), {"out": np.zeros(3)}),
}
FUNCTIONS = {
    f"{module.__name__.removeprefix('rtfunc.')}.{name}": getattr(module, name)
    for module, of_numpy in ((rnp, np), (rnp.linalg, np.linalg), (rnp.fft, np.fft))
    for name in dir(of_numpy)
    if inspect.isfunction(getattr(module, name, None))
    and name
    not in (
        "array_repr",
        "array_str",
        "frompyfunc",
        "load",
        "fromfile",
        "save",
        "savez",
        "frombuffer",
    )
    and "print" not in name
    and not name.startswith("_")
}


@pytest.mark.parametrize("nonsense", NONSENSE)
def test_whatever_is_given_the_error_is_one_of_ours(nonsense):
    """No function lets a mistake through to NumPy or to Python's operators, which name others."""
    args, options = NONSENSE[nonsense]
    assert len(FUNCTIONS) > 300
    for name, function in FUNCTIONS.items():
        try:
            inspect.signature(function).bind(*args, **options)
        except TypeError:
            continue
        try:
            function(*args, **options)
        except Exception as error:
            raised: Exception = error
        else:
            continue
        if "truth value" in str(raised):  # an array where a flag belongs: NumPy's own words
            continue
        what = f"{name} of {nonsense} raises {type(raised).__name__}: {raised}"
        assert isinstance(raised, RtfuncError), what
        assert "test_bad_input.py" in str(raised), what


def test_the_line_of_the_user_is_named():
    with raises(ShapeError, "reshape"):
        rnp.reshape(X, 5)


TRACED: dict[str, Any] = {
    "unique": rnp.unique,
    "nonzero": rnp.nonzero,
    "flatnonzero": rnp.flatnonzero,
    "argwhere": rnp.argwhere,
    "where": lambda x: rnp.where(x > 0),
    "extract": lambda x: rnp.extract(x > 0, x),
    "compress": lambda x: rnp.compress(x > 0, x),
    "union1d": lambda x: rnp.union1d(x, x),
    "intersect1d": lambda x: rnp.intersect1d(x, x),
    "setdiff1d": lambda x: rnp.setdiff1d(x, x),
    "setxor1d": lambda x: rnp.setxor1d(x, x),
    "bincount": lambda x: rnp.bincount(rnp.astype(x, int)),
    "repeat": lambda x: rnp.repeat(x, rnp.astype(x, int)),
    "mask": lambda x: x[x > 0],
    "slice": lambda x: x[: rnp.astype(x[0], int)],
    "trim_zeros": rnp.trim_zeros,
    "arange": lambda x: rnp.arange(x[0]),
    "zeros": lambda x: rnp.zeros(rnp.astype(x[0], int)),
    "linspace": lambda x: rnp.linspace(0, 1, rnp.astype(x[0], int)),
    "histogram": lambda x: rnp.histogram(x, bins="auto"),
    "float": float,
    "if": lambda x: 1 if x[0] else 2,
}


@pytest.mark.parametrize("name", TRACED)
def test_shapes_that_depend_on_traced_values_are_refused_with_advice(name):
    with pytest.raises(TracerError) as info:
        rf.jit(TRACED[name])(rnp.ones(3))
    message = str(info.value)
    assert any(
        advice in message
        for advice in (
            "size=",
            "length=",
            "where(",
            "static",
            "dynamic_slice",
            "outside",
            "bins.",
            "lax.cond",
        )
    ), message
    assert "test_bad_input.py" in message


@pytest.mark.parametrize(
    ("function", "wanted"),
    [
        (lambda x, i: x[i], [2, 0, 2]),
        (lambda x, i: x.at[i].get(mode="fill"), [np.nan, np.nan, 2]),
        (lambda x, i: x.at[i].get(mode="fill", fill_value=-5), [-5, -5, 2]),
        (lambda x, i: rnp.take(x, i), [np.nan, np.nan, 2]),
        (lambda x, i: rnp.take(x, i, mode="clip"), [2, 0, 0]),
        (lambda x, i: rnp.take(x, i, mode="wrap"), [1, 2, 2]),
        (lambda x, i: rnp.take_along_axis(x, i, 0), [np.nan, np.nan, 2]),
        (lambda x, i: x.at[i].set(9.0), [0, 1, 9]),
        (lambda x, i: x.at[i].set(9.0, mode="clip"), [9, 1, 9]),
    ],
)
def test_indices_out_of_bounds_are_as_documented(function, wanted):
    x, i = rnp.arange(3.0), rnp.asarray([7, -4, -1])
    np.testing.assert_array_equal(function(x, i), wanted)
    np.testing.assert_array_equal(rf.jit(function)(x, i), wanted)
