"""Samples for `rtfunc.ops.special`."""

from __future__ import annotations

import numpy as np

from tests.ops.sample import Sample

HALF = ("float32", "float64", "float16", "bfloat16")
ALL_REGIONS = np.array([[0.1, -0.6, 0.95], [-1.1, 1.7, 3.1]])
INSIDE = np.array([[0.1, -0.6, 0.8], [-0.45, 0.9, -0.85]])
#: Around the poles and zeros of the gamma function and its relatives.
GAMMA = np.array([[0.3, 1.2, 2.9], [-0.4, 14.5, -2.6]])
GAMMA_ENDS = np.array([0.0, -0.0, -1.0, -2.0, np.inf, -np.inf, np.nan, 1e-300, 180.0, -190.5])
SHAPES = np.array([[0.3, 1.2, 2.9], [7.5, 14.5, 60.0]])
#: Near 0, in both tails, for each of `SHAPES`.
VARIATES = np.array([[0.6, 2.2, 1.9], [4.5, 19.0, 55.0]])
ENDS = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 7.0, -30.0])


def _unary(x: np.ndarray, ends: np.ndarray) -> list[Sample]:
    return [
        Sample((x,), dtypes=HALF),
        Sample((x[0, 0],), note="0-d"),
        Sample((x[::-1, ::-2],), note="negative strides"),
        Sample((np.zeros((0, 2)),), note="size 0"),
        Sample((ends,), check_derivatives=False, note="ends"),
    ]


def _binary(x: np.ndarray, y: np.ndarray, ends: tuple, **params: int) -> list[Sample]:
    column = np.asarray(y)[:, :1]
    return [
        Sample((x, y), params, dtypes=HALF),
        Sample((x[0, 1], y[0, 1]), params, note="0-d"),
        Sample((x[:, :1], y[:1]), params, note="broadcast"),
        Sample((x[0, 1], column), params, note="0-d beside an array"),
        Sample((np.zeros((0, 2)), np.ones((1, 2))), params, note="size 0"),
        Sample(ends, params, check_derivatives=False, note="ends"),
    ]


_INCOMPLETE_ENDS = (
    np.array([0.0, 0.0, 1.0, 2.0, np.inf, np.inf, -1.0, np.nan, 1e-9, 1e9, 0.5]),
    np.array([0.0, 1.0, 0.0, np.inf, 1.0, np.inf, 1.0, 1.0, 1e-9, 1e9, 800.0]),
)
_ZETA_ENDS = (
    np.array([1.0, 2.0, 2.0, 3.0, 0.5, 2.5, np.inf, 2.0, np.nan]),
    np.array([1.0, 0.0, -2.0, -2.5, 1.0, -0.5, 2.0, np.inf, 1.0]),
)


BETA_A = np.array([[0.3, 1.2, 2.9], [7.5, 0.4, 40.0]])
BETA_B = np.array([[1.3, 0.2, 2.9], [17.5, 0.6, 50.0]])
BETA_X = np.array([[0.1, 0.95, 0.55], [0.2, 0.5, 0.5]])
BESSEL = np.array([[0.3, -1.2, 2.9], [-7.5, 10.5, -40.0]])
BESSEL_ENDS = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-300, 900.0])


def _ternary(**params: tuple[int, int]) -> list[Sample]:
    ends = (
        np.array([0.0, 0.0, 1.0, 2.0, np.inf, np.inf, -1.0, np.nan, 1e-9, 1e9, 0.5, 2.0]),
        np.array([1.0, 0.0, 0.0, 2.0, 1.0, np.inf, 1.0, 1.0, 1e-9, 1e9, 0.5, 1.0]),
        np.array([0.5, 0.5, 0.5, 1.0, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.0, 1.5]),
    )
    return [
        Sample((BETA_A, BETA_B, BETA_X), params, dtypes=HALF),
        Sample((BETA_A[0, 2], BETA_B[0, 2], BETA_X[0, 2]), params, note="0-d"),
        Sample((BETA_A[:, 2:], BETA_B[0, 2], BETA_X[:1, ::2]), params, note="broadcast"),
        Sample((np.zeros((0, 2)), np.ones(2), np.ones(2) / 2), params, note="size 0"),
        Sample(ends, params, check_derivatives=False, note="ends"),
    ]


PLANE = np.array([[0.3 + 0.2j, -1.2 + 0.7j, 2.9 - 0.1j], [-4.5 - 0.5j, 0.1 + 8j, 12 + 0.01j]])
PLANE_ENDS = np.array([0j, 1e-30 - 0j, 1e9 + 1j, complex(np.inf, 0), complex(np.nan, 1), 3 - 5j])

SAMPLES = {
    "erf": _unary(ALL_REGIONS, ENDS),
    "erfc": _unary(ALL_REGIONS, ENDS),
    "erf_inv": _unary(INSIDE, np.array([1.5, np.nan, -0.0])),
    "normal_from_uniform": _unary(INSIDE, np.array([-0.99999994, 0.0, np.nan])),
    "lgamma": _unary(GAMMA, GAMMA_ENDS),
    "digamma": _unary(GAMMA, GAMMA_ENDS),
    "gamma": _unary(GAMMA / 2, GAMMA_ENDS),
    "zeta": _binary(SHAPES[:, ::-1] / 30 + 1.5, VARIATES, _ZETA_ENDS, order=0)
    + [Sample((SHAPES + 1, VARIATES), {"order": 1}, note="derivative in s")],
    "polygamma": [
        Sample((np.array([[1], [2]], "int32"), np.abs(GAMMA)), dtypes=HALF),
        Sample((np.int32(1), np.array([-0.4, -2.6])), note="negative"),
        Sample((np.array([1, 2, 3, 0], "int32"), np.float64(0.7)), note="orders"),
        Sample((np.int32(-1), np.float64(2.0)), check_derivatives=False, note="no order"),
        Sample((np.int64(3), np.zeros((0, 2))), note="size 0"),
        Sample((np.int32([[1], [2]]), GAMMA_ENDS), check_derivatives=False, note="ends"),
    ],
    "igamma": _binary(SHAPES, VARIATES, _INCOMPLETE_ENDS),
    "igammac": _binary(SHAPES, VARIATES, _INCOMPLETE_ENDS),
    "igamma_grad_x": _binary(SHAPES, VARIATES, _INCOMPLETE_ENDS),
    "igamma_grad_a": _binary(SHAPES, VARIATES, _INCOMPLETE_ENDS, order=1)
    + [Sample((SHAPES, VARIATES), {"order": 2}, note="second derivative")],
    "random_gamma_grad": _binary(SHAPES, VARIATES, _INCOMPLETE_ENDS, order=1),
    "betainc": _ternary(),
    "betainc_grad_x": _ternary(),
    "betainc_grad_ab": [
        Sample((BETA_A[0, :2], BETA_B[0, :2], BETA_X[0, :2]), {"orders": (1, 0)}, note="by a"),
        Sample((BETA_A[0, 2], BETA_B[0, 2], BETA_X[0, 2]), {"orders": (0, 1)}, note="by b, 0-d"),
        *_ternary(orders=(1, 0))[3:],
    ],
    "betaln": _binary(SHAPES, SHAPES[::-1, ::-1], _INCOMPLETE_ENDS),
    "ndtri": _unary(np.array([[0.5, 0.2, 0.9], [0.06, 0.94, 0.35]]), np.array([0.0, 1.0, 2.0])),
    "bessel_i0e": _unary(BESSEL, BESSEL_ENDS),
    "bessel_i1e": _unary(BESSEL, BESSEL_ENDS),
    "expi": _unary(GAMMA, BESSEL_ENDS),
    "expn": [
        Sample((np.array([[1], [3]], "int32"), np.abs(GAMMA)), dtypes=HALF),
        Sample((np.array([0, 1, 2, 30, -2], "int32"), np.float64(0.7)), note="orders"),
        Sample((np.int64(3), np.zeros((0, 2))), note="size 0"),
        Sample((np.int32([[1], [2]]), BESSEL_ENDS), check_derivatives=False, note="ends"),
    ],
    "bessel_j": [
        Sample((np.array([[1], [-2]], "int32"), BESSEL), dtypes=HALF),
        Sample((np.array([0, 3, 40, 61], "int32"), np.float64(52.0)), note="orders"),
        Sample((np.int64(3), np.zeros((0, 2))), note="size 0"),
        Sample((np.int32([[1], [2]]), BESSEL_ENDS), check_derivatives=False, note="ends"),
    ],
    "dawsn": _unary(BESSEL, BESSEL_ENDS),
    "fresnel_s": _unary(BESSEL / 4, BESSEL_ENDS),
    "fresnel_c": _unary(BESSEL / 4, BESSEL_ENDS),
    "sine_integral": _unary(BESSEL, BESSEL_ENDS),
    "cosine_integral": _unary(BESSEL, BESSEL_ENDS),
    "owens_t": _binary(ALL_REGIONS, ALL_REGIONS[::-1, ::-1], (ENDS, ENDS[::-1])),
    "wofz": [
        Sample((PLANE,), dtypes=("complex64", "complex128")),
        Sample((PLANE[0, 0],), note="0-d"),
        Sample((PLANE[::-1, ::-2],), note="negative strides"),
        Sample((np.zeros((0, 2), complex),), note="size 0"),
        Sample((PLANE_ENDS,), check_derivatives=False, note="ends"),
    ],
    "spence": _unary(np.array([[0.2, 0.7, 1.0], [1.05, 1.7, 6.0]]), BESSEL_ENDS),
    "erfcx": _unary(ALL_REGIONS, np.array([0.0, np.inf, -50.0, np.nan, 1e9])),
    "log_ndtr": _unary(2 * ALL_REGIONS, np.array([0.0, np.inf, -np.inf, -1e9, 1e9, np.nan])),
}
