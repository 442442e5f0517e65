"""Samples for `rtfunc.ops.window`."""

from __future__ import annotations

import dataclasses

import numpy as np

from rtfunc.ops.window import reduce_window_sum
from tests.ops.sample import Sample

HALF = ("float32", "float64", "float16", "bfloat16")
_rng = np.random.default_rng(0)


def _params(window, strides=None, padding=None, base=None, apart=None):
    n = len(window)
    return {
        "window_dimensions": tuple(window),
        "window_strides": tuple(strides or (1,) * n),
        "padding": tuple(padding or ((0, 0),) * n),
        "base_dilation": tuple(base or (1,) * n),
        "window_dilation": tuple(apart or (1,) * n),
    }


def _distinct(shape):
    """Values whose differences are large beside the finite differences' step."""
    return _rng.permutation(int(np.prod(shape))).reshape(shape) * 0.1 - 1.0


GEOMETRIES = [
    ("pooling", (1, 4, 6), _params((1, 2, 3), (1, 2, 3))),
    ("overlapping, padded", (5, 4), _params((3, 2), (2, 1), ((1, 1), (0, 1)))),
    ("dilated", (5, 3), _params((2, 2), (2, 1), None, (2, 1), (1, 2))),
    (
        "dilated, some windows empty",
        (5, 3),
        _params((2, 2), (2, 1), ((1, 2), (1, 0)), (2, 3), (3, 1)),
    ),
    ("negative padding", (7,), _params((3,), (2,), ((-1, 2),))),
    ("long window", (14,), _params((11,), None, ((4, 3),))),
    ("window of 1", (3, 2), _params((1, 1))),
    ("0-d", (), _params(())),
    ("no window fits", (2, 3), _params((3, 1))),
    ("size 0", (0, 3), _params((1, 2))),
    ("only padding", (2,), _params((2,), (2,), ((4, 0),))),
]
TIES = np.array([[1.0, 2.0, 2.0], [2.0, 1.0, 2.0]])
SPECIAL = np.array([1.0, np.nan, 2.0, -np.inf, -np.inf, np.inf, 0.0])
WINDOW_2 = _params((2,), None, ((1, 1),))


def _out_shape(x, params):
    ones = [1] * x.ndim
    return reduce_window_sum(
        np.ones(x.shape),
        params["window_dimensions"] or ones,
        params["window_strides"],
        params["padding"],
        params["base_dilation"],
        params["window_dilation"],
    ).shape


SUM = [
    *(Sample((_distinct(s),), p, note=note, dtypes=HALF) for note, s, p in GEOMETRIES),
    Sample((SPECIAL,), WINDOW_2, check_derivatives=False, note="special"),
    Sample((np.array([100, 50, -7], "int8"),), WINDOW_2, note="int8 wraps"),
]
#: Of these an extremum is infinite, which finite differences cannot follow.
EMPTY_WINDOWS = ("dilated, some windows empty", "only padding")
EXTREMUM = [
    *(
        dataclasses.replace(
            s, check_derivatives=s.check_derivatives and s.note not in EMPTY_WINDOWS
        )
        for s in SUM[:-1]
    ),
    Sample((TIES,), _params((2, 2)), check_derivatives=False, note="ties"),
    Sample((np.array([3, -1, 4, 1], "int8"),), WINDOW_2, note="int8"),
    Sample((np.array([True, False, False]),), WINDOW_2, note="booleans"),
]


def _selected(scatter):
    for select in ("max", "min"):
        cases = [(note, _distinct(s), p) for note, s, p in GEOMETRIES]
        cases += [("ties", TIES, _params((2, 2))), ("special", SPECIAL, WINDOW_2)]
        for note, x, params in cases:
            shape = _out_shape(x, params) if scatter else x.shape
            yield Sample(
                (np.asarray(_rng.normal(size=shape)), x),
                {"select": select, **params},
                check_derivatives=note not in ("ties", "special"),
                note=f"{select} {note}",
            )


SUM_OF_COMPLEX = Sample((_distinct((4,)) * (1 + 1j),), WINDOW_2, note="complex")
SAMPLES = {
    "reduce_window_sum": [*SUM, SUM_OF_COMPLEX],
    "reduce_window_max": EXTREMUM,
    "reduce_window_min": EXTREMUM,
    "select_and_scatter_add": list(_selected(True)),
    "select_and_gather_add": list(_selected(False)),
}
