"""Native cumulations and recurrences against the eager primitives."""

from __future__ import annotations

import numpy as np
import pytest

from tests.compiler.along_axis import (
    FLOATS,
    INTEGERS,
    eager,
    native,
    random_shape,
    random_values,
    same_on_one_and_two_threads,
)

# Sums of up to 150 terms in another order differ by some ten roundings of the largest partial sum;
# half precision rounds its float32 result once, to another neighbour where the sums differ.
TOLERANCE = {"float16": 2e-3, "bfloat16": 1.6e-2, "float32": 2e-6, "float64": 4e-15}
SPECS = [
    *(("cumsum", d) for d in (*INTEGERS, *FLOATS)),
    *(("cumprod", d) for d in ("int8", "uint32", "int64", *FLOATS)),
    *((name, d) for name in ("cummax", "cummin") for d in ("bool", *INTEGERS, *FLOATS)),
    *(("cumlogsumexp", d) for d in FLOATS),
    *(("linear_recurrence", d) for d in ("int16", "uint64", *FLOATS)),
]


def operands(rng, name, dtype, shape):
    if name in ("cummax", "cummin") or "float" not in dtype:
        x = random_values(rng, dtype, shape)
        return [x, x[::-1].copy()] if name == "linear_recurrence" else [x]
    x = rng.standard_normal(shape)
    if name == "cumprod":
        x = np.sign(x) * np.abs(x) ** 0.2
    if name == "linear_recurrence":
        return [np.tanh(x).astype(dtype), rng.standard_normal(shape).astype(dtype)]
    return [x.astype(dtype)]


def check(name, dtype, xs, **params):
    (actual,), (expected,) = native(name, xs, **params), eager(name, xs, **params)
    assert actual.dtype == expected.dtype
    assert actual.shape == expected.shape
    exact = "float" not in dtype or name in ("cummax", "cummin")
    if exact:
        np.testing.assert_array_equal(actual.astype("f8"), expected.astype("f8"))
        return
    wide = expected.astype("f8")
    scale = np.abs(wide).max()
    if name == "cumsum":
        scale += np.abs(xs[0].astype("f8")).sum(params["axis"]).max()
    np.testing.assert_allclose(actual.astype("f8"), wide, rtol=0, atol=TOLERANCE[dtype] * scale)


@pytest.mark.parametrize(("name", "dtype"), SPECS)
def test_cumulation_equals_the_eager_primitive(name, dtype):
    rng = np.random.default_rng(len(name) + len(dtype))
    shape = random_shape(rng, 4000)
    params = {"axis": int(rng.integers(len(shape))), "reverse": bool(rng.integers(2))}
    check(name, dtype, operands(rng, name, dtype, shape), **params)


@pytest.mark.parametrize("shape", [(3, 1), (1, 3), (5, 2, 16), (2, 9, 1030), (4, 67)])
def test_every_axis_and_direction(shape):
    rng = np.random.default_rng(0)
    x = rng.integers(-99, 99, shape).astype("int32")
    for axis in range(len(shape)):
        for reverse in (False, True):
            check("cumsum", "int32", [x], axis=axis, reverse=reverse)


def test_nothing_is_written_behind_half_precision_rows():
    # LLVM stores a lone last lane of a rounded vector at twice its width.
    x = np.arange(1, 18).astype("float32").astype(np.dtype("bfloat16"))
    check("cumsum", "bfloat16", [x], axis=0, reverse=True)
    check("cumsum", "bfloat16", [x.reshape(1, 17).repeat(3, 0)], axis=0, reverse=False)


def test_products_of_floats_do_not_leave_the_range_that_single_steps_keep():
    x = np.array([1e-30, 1e30, 1e30, 1e-30] * 5, "float32")
    check("cumprod", "float32", [x], axis=0, reverse=False)


def test_log_sum_exp_of_infinities():
    x = np.array([-np.inf, -np.inf, 0.3, -np.inf, np.inf, 1.0, np.nan, 2.0] * 3, "float32")
    np.testing.assert_allclose(
        native("cumlogsumexp", [x], axis=0, reverse=False)[0],
        eager("cumlogsumexp", [x], axis=0, reverse=False)[0],
        rtol=1e-6,  # log1p and exp are within 2 ulp each
    )


def test_zeros_keep_their_sign():
    x = np.array([-0.0, -0.0, 0.0], "float32")
    out = native("cumsum", [x], axis=0, reverse=False)[0]
    assert np.signbit(out).tolist() == [True, True, False]


@pytest.mark.parametrize(("shape", "axis"), [((40_000, 8), 1), ((100, 3000), 0), ((200, 2000), 1)])
def test_threads_do_not_change_the_result(shape, axis):
    rng = np.random.default_rng(1)
    x = rng.standard_normal(shape).astype("float32")
    for name in ("cumsum", "linear_recurrence"):
        xs = [np.tanh(x), x] if name == "linear_recurrence" else [x]
        same_on_one_and_two_threads(name, xs, axis=axis, reverse=False)
