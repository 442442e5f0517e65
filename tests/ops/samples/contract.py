"""Samples for `rtfunc.ops.contract`."""

from __future__ import annotations

import numpy as np

from tests.ops.sample import Sample

HALF = ("float32", "float64", "float16", "bfloat16")
_rng = np.random.default_rng(0)
MATRIX, OTHER = _rng.normal(size=(2, 3)), _rng.normal(size=(3, 4))
STACK, OTHERS = _rng.normal(size=(2, 3, 4)), _rng.normal(size=(4, 2, 5))


def _sample(lhs, rhs, contract, batch=((), ()), note="", **options):
    params = {"dimension_numbers": (contract, batch), "preferred_element_type": None}
    return Sample((lhs, rhs), {**params, **options.pop("params", {})}, note=note, **options)


SAMPLES = {
    "dot_general": [
        _sample(MATRIX, OTHER, ((1,), (0,)), note="matrices", dtypes=HALF),
        _sample(MATRIX.T, OTHER, ((0,), (0,)), note="transposed lhs"),
        _sample(MATRIX, OTHER.T, ((1,), (1,)), note="transposed rhs"),
        _sample(MATRIX.T, OTHER.T, ((0,), (1,)), note="both transposed"),
        _sample(MATRIX[0], OTHER, ((0,), (0,)), note="vector and matrix"),
        _sample(MATRIX, OTHER[:, 0], ((1,), (0,)), note="matrix and vector, strided"),
        _sample(MATRIX[0], MATRIX[1, ::-1], ((0,), (0,)), note="vectors, negative stride"),
        _sample(MATRIX[0], OTHER[0], ((), ()), note="outer product", dtypes=HALF),
        _sample(np.array(2.0), MATRIX, ((), ()), note="0-d and matrix"),
        _sample(np.array(2.0), np.array(-1.5), ((), ()), note="0-d"),
        _sample(STACK, OTHERS, ((2,), (0,)), ((0,), (1,)), note="batch", dtypes=HALF),
        _sample(STACK, OTHERS, ((2,), (0,)), note="several free axes"),
        _sample(STACK, OTHERS, ((2, 0), (0, 1)), note="two contracted, crossed"),
        _sample(STACK, OTHERS, ((), ()), ((2, 0), (0, 1)), note="batch only, crossed"),
        _sample(STACK, STACK, ((0, 1, 2), (0, 1, 2)), note="everything contracted"),
        _sample(STACK, OTHERS[..., 0], ((2,), (0,)), ((0,), (1,)), note="batch of vectors"),
        _sample(
            _rng.normal(size=(2, 3, 2, 3)),
            _rng.normal(size=(2, 3, 3, 2)),
            ((3, 1), (2, 1)),
            ((2,), (0,)),
            note="everything at once",
        ),
        _sample(np.zeros((2, 0)), np.zeros((0, 3)), ((1,), (0,)), note="sum of nothing"),
        _sample(np.zeros((0, 2)), MATRIX, ((1,), (0,)), note="size 0"),
        _sample(np.zeros((0, 2)), np.zeros((0, 2)), ((1,), (1,)), ((0,), (0,)), note="no batch"),
        _sample(MATRIX + 1j, OTHER - 2j, ((1,), (0,)), note="complex"),
        _sample(
            MATRIX,
            OTHER,
            ((1,), (0,)),
            params={"preferred_element_type": np.dtype("float64")},
            note="preferred float64",
        ),
        _sample(
            np.array([[100, -3]], "int8"),
            np.array([[100], [7]], "int8"),
            ((1,), (0,)),
            note="int8 wraps",
        ),
        _sample(
            np.array([[True, False]]),
            np.array([[True], [True]]),
            ((1,), (0,)),
            note="booleans",
        ),
    ]
}
