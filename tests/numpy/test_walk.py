"""Every public function of `rtfunc.numpy` on the calls of `calls.py`: against NumPy, staged against
eager, batched against a loop, and its derivatives against finite differences."""

from __future__ import annotations

import types
from typing import Any

import numpy as np
import pytest

import rtfunc as rf
import rtfunc.numpy as rnp
from rtfunc.core import pytree
from rtfunc.numpy.dtypes import ScalarType
from rtfunc.testing import check_grads
from tests.numpy.calls import CALLS, ELSEWHERE, Call

cases = [
    pytest.param(name, call, id=f"{name}-{i}")
    for name, calls in CALLS.items()
    for i, call in enumerate(calls)
]
traced = [case for case in cases if case.values[1].traced]


def _is_operand(x: Any) -> bool:
    return isinstance(x, np.ndarray)


def _operands(call: Call) -> tuple[list[np.ndarray], Any]:
    """The arrays of a call, and how to make the call with others in their place."""
    found: list[np.ndarray] = []

    def take(value: Any) -> None:
        if _is_operand(value):
            found.append(value)
        elif isinstance(value, (list, tuple)):
            for v in value:
                take(v)
        elif isinstance(value, dict):
            take(list(value.values()))

    take([call.args, call.options])

    def rebuilt(arrays: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        rest = iter(arrays)

        def put(value: Any) -> Any:
            if _is_operand(value):
                return next(rest)
            if isinstance(value, (list, tuple)):
                return type(value)(put(v) for v in value)
            if isinstance(value, dict):
                return dict(zip(value, put(list(value.values()))))
            return value

        args, options = put([call.args, call.options])
        return args, options

    return found, rebuilt


def _function(name: str, rebuilt: Any) -> Any:
    def function(*arrays: Any) -> Any:
        args, options = rebuilt(arrays)
        found = getattr(rnp, name)(*args, **options)
        return tuple(found) if isinstance(found, (list, tuple)) else found

    return function


def _leaves(result: Any) -> list[np.ndarray]:
    if isinstance(result, (list, tuple)):
        return [leaf for part in result for leaf in _leaves(part)]
    return [np.asarray(result)]


def _agree(found: Any, wanted: Any) -> None:
    found, wanted = _leaves(found), _leaves(wanted)
    assert len(found) == len(wanted)
    for f, w in zip(found, wanted):
        assert f.shape == w.shape
        if f.dtype.kind in "SU":
            assert f == w
            continue
        # New arrays are float32; in float64 sums of a few terms are in another order than NumPy's.
        narrow = f.dtype in (np.float32, np.complex64)
        np.testing.assert_allclose(
            f, w, rtol=5e-6 if narrow else 1e-12, atol=1e-6 if narrow else 1e-14
        )
        assert f.dtype.kind == w.dtype.kind or f.dtype.kind + w.dtype.kind in ("fi", "iu", "ui")


def test_every_public_function_has_a_call_or_its_own_tests():
    public = {
        name
        for name, value in vars(rnp).items()
        if not name.startswith("_")
        and callable(value)
        and not isinstance(value, (type, types.ModuleType, ScalarType))
    }
    assert public == set(CALLS) | set(ELSEWHERE)


@pytest.mark.parametrize(("name", "call"), cases)
def test_results_are_numpys(name, call):
    arrays, rebuilt = _operands(call)
    found = _function(name, rebuilt)(*map(rnp.asarray, arrays))
    oracle = call.oracle or getattr(np, name)
    _agree(found, oracle(*call.args, **call.options))


@pytest.mark.parametrize(("name", "call"), traced)
def test_compiled_as_eager(name, call):
    arrays, rebuilt = _operands(call)
    function = _function(name, rebuilt)
    eager = function(*map(rnp.asarray, arrays))
    if any(not hasattr(leaf, "dtype") for leaf in pytree.flatten(eager)[0]):
        return  # an answer about types, of Python's
    compiled = rf.jit(function)(*arrays)
    for c, e in zip(pytree.flatten(compiled)[0], pytree.flatten(eager)[0], strict=True):
        assert (c.shape, c.dtype, c.weak_type) == (e.shape, e.dtype, e.weak_type)
        # Compiled maths is correct to a few ulp, where sums cancel to more.
        narrow = c.dtype in (np.float32, np.complex64)
        np.testing.assert_allclose(
            c, e, rtol=5e-6 if narrow else 1e-12, atol=1e-7 if narrow else 1e-14
        )


@pytest.mark.parametrize(("name", "call"), traced)
def test_batched_as_a_loop(name, call):
    arrays, rebuilt = _operands(call)
    function = _function(name, rebuilt)
    if not arrays:
        return
    outs = pytree.flatten(function(*map(rnp.asarray, arrays)))[0]
    if any(not hasattr(o, "dtype") for o in outs):
        return
    # A second example: the same numbers in another order, so that they stay in the domain.
    if name in ("searchsorted", "digitize", "interp", "histogram", "histogram2d", "histogramdd"):
        axes = [None if np.array_equal(np.sort(a, None), np.ravel(a)) else 0 for a in arrays]
        if all(a is None for a in axes):
            return
    else:
        axes = [0] * len(arrays)
    others = [a if d is None else np.flip(a).copy() for a, d in zip(arrays, axes)]
    stacked = [a if d is None else np.stack([a, b]) for a, b, d in zip(arrays, others, axes)]
    batched = _leaves(rf.vmap(function, in_axes=tuple(axes))(*stacked))
    for i, example in enumerate((arrays, others)):
        wanted = _leaves(function(*map(rnp.asarray, example)))
        assert len(batched) == len(wanted)
        for b, w in zip(batched, wanted):
            assert b.dtype == w.dtype
            # The same operations, with sums possibly in another order.
            narrow = b.dtype in (np.float32, np.complex64)
            np.testing.assert_allclose(b[i], w, rtol=2e-6 if narrow else 1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("name", "call"), [c for c in traced if c.values[1].smooth and c.values[1].args]
)
def test_derivatives_are_finite_differences(name, call):
    arrays, rebuilt = _operands(call)
    function = _function(name, rebuilt)
    places = [i for i, a in enumerate(arrays) if a.dtype == np.float64]
    if not places:
        return
    outs = _leaves(function(*map(rnp.asarray, arrays)))
    if not any(o.dtype.kind in "fc" for o in outs):
        return

    def moved(*floats: Any) -> Any:
        full = list(arrays)
        for i, x in zip(places, floats):
            full[i] = x
        found = function(*full)
        return [f for f in pytree.flatten(found)[0] if f.dtype.kind in "fc"]

    check_grads(moved, [arrays[i] for i in places], order=1)
