"""Samples for `rtfunc.ops.linalg`.

The factors that eigenvectors and singular vectors of complex matrices are multiplied with are not a
smooth choice of LAPACK's (`eigh`, `svd`): finite differences of them mean nothing, and
tests/ops/test_linalg.py checks functions that do not depend on them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rtfunc.ops.linalg import lapack
from tests.ops.sample import Sample

RNG = np.random.default_rng(7)


def real(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape)


def complex_(*shape: int) -> np.ndarray:
    return real(*shape) + 1j * real(*shape)


def spread(n: int, *lead: int) -> np.ndarray:
    """Matrices near diag(1, 2, ... n): well conditioned, with well separated values."""
    return np.diag(np.arange(1.0, n + 1)) + 0.3 * real(*lead, n, n)


def positive(x: np.ndarray) -> np.ndarray:
    return x @ x.conj().swapaxes(-1, -2) + np.eye(x.shape[-1])


def solving(left_side: bool, lower: bool, op: str = "", unit_diagonal: bool = False) -> Any:
    return {
        "left_side": left_side,
        "lower": lower,
        "transpose_a": "T" in op,
        "conjugate_a": "C" in op,
        "unit_diagonal": unit_diagonal,
    }


def factored(a: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    factors, pivots = lapack.getrf(a)
    order = np.arange(len(a), dtype=np.int32)
    for i, j in enumerate(pivots):
        order[[i, j]] = order[[j, i]]
    return a, np.ascontiguousarray(factors), order


S, Z = spread(3), spread(3) + 0.3j * real(3, 3)
BATCH = spread(3, 2)
GENERAL = np.array([[0.3, 1.7, -0.4], [-0.9, 0.2, 0.8], [0.5, -0.6, 1.9]])
SQUARE = [
    (S, ""),
    (Z, "complex"),
    (BATCH, "stack"),
    (real(1, 1), "one element"),
    (np.zeros((0, 0)), "size 0"),
    (np.zeros((0, 2, 2)), "empty stack"),
]
RECTANGULAR = [
    *SQUARE,
    (real(4, 2), "tall"),
    (real(2, 4), "wide"),
    (complex_(4, 2), "complex tall"),
    (complex_(2, 3), "complex wide"),
    (real(2, 3, 2), "tall stack"),
    (np.zeros((0, 3)), "no rows"),
    (np.zeros((3, 0)), "no columns"),
]


def is_complex(x: np.ndarray) -> bool:
    return x.dtype.kind == "c"


SAMPLES = {
    "cholesky": [
        *(Sample((positive(x),), note=note) for x, note in SQUARE),
        Sample((positive(S) + np.triu(real(3, 3), 1),), note="another upper triangle"),
        Sample((-positive(S),), check_derivatives=False, note="not positive definite"),
    ],
    "triangular_solve": [
        Sample((S, real(3, 2)), solving(True, True)),
        Sample((S, real(3, 4)), solving(True, False, "T")),
        Sample((S, real(2, 3)), solving(False, False)),
        Sample((S, real(2, 3)), solving(False, True, "T", True), note="unit diagonal"),
        Sample((Z, complex_(3, 2)), solving(True, True, "TC"), note="complex"),
        Sample((Z, complex_(2, 3)), solving(False, False, "C"), note="complex conjugate"),
        Sample((BATCH, real(2, 3, 2)), solving(True, True), note="stack"),
        Sample((BATCH, real(2, 2, 3)), solving(False, True), note="stack from the right"),
        Sample((np.zeros((0, 0)), np.zeros((0, 2))), solving(True, True), note="size 0"),
        Sample((S, np.zeros((3, 0))), solving(True, True), note="no right-hand side"),
        Sample((np.zeros((0, 2, 2)), np.zeros((0, 2, 1))), solving(True, True), note="empty stack"),
        Sample((np.zeros((2, 2)), real(2, 1)), solving(True, True), False, note="singular"),
    ],
    "lu": [
        *(Sample((x,), note=note) for x, note in RECTANGULAR),
        Sample((GENERAL,), note="rows exchanged"),
        Sample((np.stack([GENERAL, GENERAL[::-1]]),), note="stack with rows exchanged"),
        Sample((np.zeros((2, 2)),), check_derivatives=False, note="singular"),
    ],
    "lu_pivots_to_permutation": [
        Sample((np.array([2, 2, 2], np.int32),), {"permutation_size": 3}),
        Sample((np.array([[1, 1], [3, 1]], np.int32),), {"permutation_size": 4}, note="stack"),
        Sample((np.zeros(0, np.int32),), {"permutation_size": 0}, note="size 0"),
    ],
    # The factors are those of the matrix and not variables of their own: no finite differences.
    "factored_solve": [
        Sample((*factored(GENERAL), real(3, 2)), {"transpose": False}, False),
        Sample((*factored(GENERAL), real(3, 2)), {"transpose": True}, False, note="transposed"),
        Sample((*factored(Z), complex_(3, 2)), {"transpose": True}, False, note="complex"),
        Sample(
            tuple(np.stack([x, x]) for x in (*factored(GENERAL), real(3, 2))),
            {"transpose": False},
            False,
            note="stack",
        ),
        Sample(
            (*factored(np.zeros((0, 0))), np.zeros((0, 1))), {"transpose": False}, note="size 0"
        ),
    ],
    "solve": [
        Sample((GENERAL, real(3, 2))),
        Sample((Z, complex_(3, 2)), note="complex"),
        Sample((BATCH, real(2, 3, 1)), note="stack"),
        Sample((np.zeros((0, 0)), np.zeros((0, 2))), note="size 0"),
        Sample((np.zeros((0, 2, 2)), np.zeros((0, 2, 1))), note="empty stack"),
        Sample((np.ones((2, 2)), np.ones((2, 1))), check_derivatives=False, note="singular"),
    ],
    "qr": [
        *(Sample((x,), {"full_matrices": False}, note=note) for x, note in RECTANGULAR),
        *(
            Sample((x,), {"full_matrices": True}, note=f"full {note}")
            for x, note in RECTANGULAR
            if x.size
        ),
        Sample((np.zeros((3, 0)),), {"full_matrices": True}, note="full, no columns"),
    ],
    "svd": [
        *(
            Sample((x,), {"full_matrices": False, "compute_uv": True}, not is_complex(x), note=note)
            for x, note in RECTANGULAR
        ),
        *(
            Sample((x,), {"full_matrices": False, "compute_uv": False}, note=f"values {note}")
            for x, note in RECTANGULAR
        ),
    ],
    "eigh": [
        *(
            Sample((x,), {"lower": lower, "compute_vectors": True}, not is_complex(x), note=note)
            for x, note in SQUARE
            for lower in (True, False)
        ),
        *(
            Sample((x,), {"lower": True, "compute_vectors": False}, note=f"values {note}")
            for x, note in SQUARE
        ),
    ],
    "eig": [
        Sample(
            (x,),
            {"compute_left_eigenvectors": left, "compute_right_eigenvectors": right},
            note=note,
        )
        for x, note in [*SQUARE, (GENERAL, "complex pair"), (np.stack([S, GENERAL]), "mixed stack")]
        for left, right in ((True, True), (False, True), (False, False))
    ],
    "schur": [
        Sample((x,), {"compute_schur_vectors": vectors}, note=note)
        for x, note in [*SQUARE, (GENERAL, "complex pair")]
        for vectors in (True, False)
    ],
    "determinant": [
        *(Sample((x,), note=note) for x, note in SQUARE),
        *(Sample((x,), note="another size") for x in (real(2, 2), complex_(4, 4))),
        Sample((np.outer(real(3), real(3)),), note="rank 1 of 3"),
    ],
    "adjugate": [
        *(Sample((x,), note=note) for x, note in SQUARE),
        *(Sample((x,), note="another size") for x in (spread(4), spread(4) + 0.2j * real(4, 4))),
        Sample((np.outer(real(4), real(4)),), check_derivatives=False, note="singular"),
    ],
    "adjugate_derivative": [
        *(Sample((x, np.cos(x)), note=note) for x, note in SQUARE),
        Sample((spread(4), real(4, 4)), note="another size"),
    ],
    "slogdet": [
        *(Sample((x,), note=note) for x, note in SQUARE),
        Sample((np.zeros((2, 2)),), check_derivatives=False, note="singular"),
    ],
    "pinv": [
        *(Sample((x, np.zeros(x.shape[:-2])), note=note) for x, note in RECTANGULAR),
        Sample(
            (np.outer(real(3), real(4)), np.array(1e-9)), check_derivatives=False, note="rank 1"
        ),
    ],
    "matrix_function": [
        *(Sample((x,), {"function": "expm"}, note=note) for x, note in SQUARE),
        Sample((20 * GENERAL,), {"function": "expm"}, False, note="squarings"),
        *(
            Sample((positive(x).astype(complex),), {"function": "sqrtm"}, note=f"sqrtm {note}")
            for x, note in SQUARE
        ),
        Sample((np.zeros((2, 2), complex),), {"function": "sqrtm"}, False, note="sqrtm of zero"),
    ],
}
