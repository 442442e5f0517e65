"""Python numbers beside float64: 0.1 is the double 0.1, not by way of float32."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import rtfunc as rf
import rtfunc.numpy as rnp
from rtfunc import lax, nn, optim, random
from rtfunc.core.array import Array

X = np.array([0.3, 0.7, 0.9, 0.2])
M = X.reshape(2, 2)
NUMBERS = [0.1, 1 / 3]  # that float32 rounds by 1e-8 of their size
CLOSE = 2e-15  # some roundings of float64; functions differ from NumPy's in the order of operations

# Of (the namespace, a float64 array, the number), what NumPy computes as well.
CALLS = {
    "append": lambda np, x, v: np.append(x, v),
    "block": lambda np, x, v: np.block([x, v]),
    "clip": lambda np, x, v: np.clip(x, v, 1 - v),
    "column_stack": lambda np, x, v: np.column_stack([x, [v] * 4]),
    "concatenate": lambda np, x, v: np.concatenate([x, [v, 0.7]]),
    "convolve": lambda np, x, v: np.convolve(x, v),
    "cov": lambda np, x, v: np.cov(x, [v, 0.2, 0.3, 0.7]),
    "diff": lambda np, x, v: np.diff(x, prepend=v, append=v),
    "ediff1d": lambda np, x, v: np.ediff1d(x, to_begin=v, to_end=v),
    "geomspace": lambda np, x, v: np.geomspace(v, x[0], 3),
    "gradient": lambda np, x, v: np.gradient(x, v),
    "heaviside": lambda np, x, v: np.heaviside(x - x, v),
    "hstack": lambda np, x, v: np.hstack([x, v]),
    "insert": lambda np, x, v: np.insert(x, 1, v),
    "interp": lambda np, x, v: np.interp(x + 0.3, np.sort(x), x, left=v, right=v),
    "linspace": lambda np, x, v: np.linspace(v, x[0], 3),
    "logspace": lambda np, x, v: np.logspace(v, x[0], 3, base=2.7),
    "max": lambda np, x, v: np.max(x - 2, initial=v),
    "min": lambda np, x, v: np.min(x + 2, initial=v),
    "multiply": lambda np, x, v: np.multiply(v, x),
    "nan_to_num": lambda np, x, v: np.nan_to_num(np.log(x - x) * 0 + x[:1], nan=v),
    "nanmax": lambda np, x, v: np.nanmax(x - 2, initial=v),
    "nansum": lambda np, x, v: np.nansum(x, initial=v),
    "outer": lambda np, x, v: np.outer(x, v),
    "pad": lambda np, x, v: np.pad(x, 1, constant_values=v),
    "pad with pairs": lambda np, x, v: np.pad(x, 1, constant_values=(v, 0.7)),
    "pad with a ramp": lambda np, x, v: np.pad(x, 2, mode="linear_ramp", end_values=v),
    "piecewise": lambda np, x, v: np.piecewise(x, [x > 0.5], [v, 0.7]),
    "polyadd": lambda np, x, v: np.polyadd(x, [v, 0.7]),
    "polyint": lambda np, x, v: np.polyint(x, k=v),
    "polymul": lambda np, x, v: np.polymul([v, 0.7], x),
    "polyval": lambda np, x, v: np.polyval([v, 0.7], x),
    "polyval at": lambda np, x, v: np.polyval(x, v),
    "prod": lambda np, x, v: np.prod(x, initial=v),
    "quantile": lambda np, x, v: np.quantile(x, v),
    "quantiles": lambda np, x, v: np.quantile(x, [v, 0.7]),
    "r_": lambda np, x, v: np.r_[x, v],
    "select": lambda np, x, v: np.select([x > 0.5], [x], v),
    "stack": lambda np, x, v: np.stack([x[0], v]),
    "std": lambda np, x, v: np.std(x, mean=np.array([v], "float64")),
    "sum": lambda np, x, v: np.sum(x, initial=v),
    "trapezoid": lambda np, x, v: np.trapezoid(x, dx=v),
    "unwrap": lambda np, x, v: np.unwrap(x * 9, discont=v, period=1 + v),
    "where": lambda np, x, v: np.where(x > 0.5, x, v),
}

# Of a number alone or of values that are known, with an explicit dtype where it has one.
EAGER_CALLS = {
    "arange": lambda np, v: np.arange(v, 2.0, 0.3, dtype="float64"),
    "arange counted": lambda np, v: np.arange(0, 3 * v, v, dtype="float64"),
    "array": lambda np, v: np.array([X[0], v], "float64"),
    "array of both": lambda np, v: np.array([np.asarray(X[0], "float64"), v]),
    "asarray": lambda np, v: np.asarray(v, "float64"),
    "bincount": lambda np, v: np.bincount(np.array([0, 1]), np.array([v, v], "float64")),
    "cumprod": lambda np, v: np.cumprod(v, dtype="float64"),
    "fill_diagonal": lambda np, v: _filled_diagonal(np, v),
    "full": lambda np, v: np.full(2, v, "float64"),
    "full_like": lambda np, v: np.full_like(X, v),
    "geomspace": lambda np, v: np.geomspace(v, 0.7, 3, dtype="float64"),
    "histogram": lambda np, v: np.histogram(X, 3, range=(v, 0.8))[1],
    "histogram edges": lambda np, v: np.histogram(X, [v, 0.5, 0.8])[1],
    "linspace": lambda np, v: np.linspace(v, 0.7, 3, dtype="float64"),
    "linspace's step": lambda np, v: np.linspace(v, 0.7, 3, retstep=True, dtype="float64")[1],
    "logspace": lambda np, v: np.logspace(v, 0.7, 3, base=2.7, dtype="float64"),
    "mean": lambda np, v: np.mean(v, dtype="float64"),
    "prod": lambda np, v: np.prod(v, dtype="float64"),
    "setdiff1d": lambda np, v: np.setdiff1d(X, [v, 0.3, 0.7]),
    "sum": lambda np, v: np.sum(v, dtype="float64"),
    "union1d": lambda np, v: np.union1d(X, [v, 0.7]),
    "interp": lambda np, v: np.interp(v, X - 0.3, X),
    "isin": lambda np, v: np.isin([v, 0.3], np.array([v, 0.3], "float64")),
    "searchsorted": lambda np, v: np.searchsorted(np.array([v, 0.5], "float64"), [v, 0.5]),
}


def _filled_diagonal(namespace, v):
    if namespace is rnp:
        return rnp.fill_diagonal(M, v, inplace=False)
    copy = M.copy()
    np.fill_diagonal(copy, v)
    return copy


def assert_equal(found, expected):
    found, expected = (
        [np.asarray(leaf) for leaf in rf.tree.leaves(tree)] for tree in (found, expected)
    )
    assert len(found) == len(expected)
    for a, b in zip(found, expected):
        assert a.dtype == b.dtype or a.dtype.kind in "ib"
        np.testing.assert_allclose(a, b, rtol=CLOSE, atol=CLOSE / 10)


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("name", CALLS)
def test_a_number_beside_float64_is_a_double_as_in_numpy(name, number):
    with np.errstate(all="ignore"):
        expected = CALLS[name](np, X, number)
    assert_equal(CALLS[name](rnp, rnp.asarray(X), number), expected)
    assert_equal(rf.jit(lambda x: CALLS[name](rnp, x, number))(X), expected)


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("name", EAGER_CALLS)
def test_a_number_as_float64_is_a_double_as_in_numpy(name, number):
    expected = EAGER_CALLS[name](np, number)
    assert_equal(EAGER_CALLS[name](rnp, number), expected)
    if name not in ("setdiff1d", "union1d"):  # the values decide their shape
        assert_equal(rf.jit(lambda: EAGER_CALLS[name](rnp, number))(), expected)


KEY = random.key(0)

# What NumPy lacks: a Python float gives the same as the float64 scalar.
OTHER_CALLS = {
    "at": lambda x, v: x.at[1].set(v),
    "cond": lambda x, v: lax.cond(x[0] > 0, lambda a: v, lambda a: a, x[1]),
    "beta": lambda x, v: random.beta(KEY, v, 0.7, (3,), "float64"),
    "celu": lambda x, v: nn.celu(-x, v),
    "clamp": lambda x, v: lax.clamp(v, x, 0.8),
    "clip_by_global_norm": lambda x, v: _updates(optim.clip_by_global_norm(v), x),
    "adam": lambda x, v: _updates(optim.adam(v, epsilon=v / 7), x),
    "convert_element_type": lambda x, v: lax.convert_element_type(v, "float64"),
    "dynamic_update_index_in_dim": lambda x, v: lax.dynamic_update_index_in_dim(x, v, 1, 0),
    "fori_loop": lambda x, v: lax.fori_loop(0, 3, lambda i, c: c + x[0], v),
    "full": lambda x, v: lax.full((2,), v, "float64"),
    "gamma": lambda x, v: random.gamma(KEY, v, (3,), "float64"),
    "leaky_relu": lambda x, v: nn.leaky_relu(-x, v),
    "pad": lambda x, v: lax.pad(x, v, [(1, 1, 0)]),
    "pos_weight": lambda x, v: nn.binary_cross_entropy_with_logits(x, x, pos_weight=v),
    "put": lambda x, v: rnp.put(x, np.array([1]), v, inplace=False),
    "put_along_axis": lambda x, v: rnp.put_along_axis(x, np.array([1]), v, 0, inplace=False),
    "reduce_window": lambda x, v: lax.reduce_window(x, v, lax.add, (2,), (1,), "VALID"),
    "scan": lambda x, v: lax.scan(lambda c, y: (c + y, c), v, x),
    "schedule": lambda x, v: _updates(optim.sgd(lambda step: v), x),
    "sgd": lambda x, v: _updates(optim.sgd(v, momentum=v), x),
    "softplus": lambda x, v: nn.softplus(x, v),
    "switch": lambda x, v: lax.switch(rnp.int32(x[0]), [lambda a: v, lambda a: a], x[1]),
    "truncated_normal": lambda x, v: random.truncated_normal(KEY, v, 2.0, (3,), "float64"),
    "uniform": lambda x, v: random.uniform(KEY, (3,), "float64", v, 2.0),
    "while_loop": lambda x, v: lax.while_loop(lambda c: c < 2, lambda c: c + x[0], v),
    "xlogy": lambda x, v: rf.scipy.special.xlogy(v, x),
    "zeta": lambda x, v: rf.scipy.special.zeta(x + 2, v),
}


def _updates(optimizer, x):
    state, updates = optimizer.init(x), x
    for _ in range(3):
        updates, state = optimizer.update(x, state, x)
    return updates


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("name", OTHER_CALLS)
def test_a_number_beside_float64_is_the_scalar_of_float64(name, number):
    call = OTHER_CALLS[name]
    expected = call(rnp.asarray(X), np.float64(number))
    assert_equal(call(rnp.asarray(X), number), expected)
    assert_equal(rf.jit(lambda x: call(x, number))(X), expected)


SWEPT = [rnp, rnp.linalg, lax, nn, nn.functional, rf.scipy.special, rf.scipy.linalg]
# Arrays by contract (biases, weights of classes): that a scalar passes is not meant.
NOT_SCALARS = {("rnn_cell", "bias_ih"), ("rnn_cell", "bias_hh"), ("cross_entropy", "weight")}
NOT_SCALARS |= {
    ("triplet_margin_with_distance_loss", n) for n in ("anchor", "positive", "negative")
}
WRITES = ("save", "load", "callback", "fromfile", "print", "while_loop")


@pytest.mark.parametrize("namespace", SWEPT, ids=lambda m: m.__name__)
def test_every_function_takes_a_float_as_float64_beside_float64(namespace):
    """Every argument in turn is a Python float, in calls that work so; the others are float64."""
    wrong, compared = [], 0
    for name in dir(namespace):
        function = getattr(namespace, name)
        if name.startswith("_") or not callable(function) or any(w in name for w in WRITES):
            continue
        for argument, call in _calls_with_a_number(function):
            try:
                found, expected = call(1 / 3), call(np.float64(1 / 3))
            except Exception:
                continue  # not a call of this function
            compared += 1
            pairs = zip(_floats(found), _floats(expected))
            if (name, argument) not in NOT_SCALARS and not all(
                a.dtype != b.dtype or np.allclose(a, b, rtol=CLOSE, atol=0, equal_nan=True)
                for a, b in pairs
            ):
                wrong.append((name, argument))
    assert not wrong
    assert compared > 5


def _calls_with_a_number(function):
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except ValueError:
        return
    needed = [p for p in parameters if p.default is p.empty and p.kind < p.VAR_POSITIONAL]
    for operand in (X, M):
        for i, p in enumerate(needed):
            if len(needed) > 1:
                before, after = [operand] * i, [operand] * (len(needed) - i - 1)
                yield p.name, lambda v, b=before, a=after: function(*b, v, *a)
        for p in parameters:
            if p.default is not p.empty and p.kind > p.POSITIONAL_ONLY:
                args = [operand] * len(needed)
                yield p.name, lambda v, args=args, key=p.name: function(*args, **{key: v})


def _floats(tree):
    leaves = [np.asarray(x) for x in rf.tree.leaves(tree) if isinstance(x, Array)]
    return [x for x in leaves if x.dtype.kind in "fc"]
