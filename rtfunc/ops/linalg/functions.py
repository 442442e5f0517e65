"""Functions of matrices: the exponential and the square root.

They share one derivative, which holds for every function that is analytic at the eigenvalues:
f([[a, t], [0, a]]) = [[f(a), l], [0, f(a)]], where l is the derivative of f at a along t; its adjoint
is the derivative at a^H. Source: N. Higham, Functions of Matrices, 2008, theorems 3.6 and 3.9.
Depends on `matrices`, `lapack`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rtfunc.core import dtypes
from rtfunc.core.aval import Aval
from rtfunc.core.errors import DtypeError, at_user_line
from rtfunc.core.primitive import Primitive
from rtfunc.ops.convert import scalar
from rtfunc.ops.elementwise import broadcast_to
from rtfunc.ops.linalg import lapack
from rtfunc.ops.linalg import matrices as mx
from rtfunc.ops.pad_slice import concatenate_p, slice_

#: Padé approximants of exp: coefficients of the numerator, and the 1-norm up to which the error is
#: below 2**-53. N. Higham, The scaling and squaring method for the matrix exponential revisited,
#: SIAM J. Matrix Anal. Appl. 26, 2005, table 2.3.
_approximants = (
    (1.495585217958292e-2, (120.0, 60.0, 12.0, 1.0)),
    (2.539398330063230e-1, (30240.0, 15120.0, 3360.0, 420.0, 30.0, 1.0)),
    (
        9.504178996162932e-1,
        (17297280.0, 8648640.0, 1995840.0, 277200.0, 25200.0, 1512.0, 56.0, 1.0),
    ),
    (
        2.097847961257068e0,
        (
            *(17643225600.0, 8821612800.0, 2075673600.0, 302702400.0, 30270240.0),
            *(2162160.0, 110880.0, 3960.0, 90.0, 1.0),
        ),
    ),
    (
        5.371920351148152e0,
        (
            *(64764752532480000.0, 32382376266240000.0, 7771770303897600.0, 1187353796428800.0),
            *(129060195264000.0, 10559470521600.0, 670442572800.0, 33522128640.0, 1323241920.0),
            *(40840800.0, 960960.0, 16380.0, 182.0, 1.0),
        ),
    ),
)


def _exponential(a: np.ndarray) -> np.ndarray:
    """exp of one matrix: a Padé approximant at a / 2**s, squared s times."""
    norm = float(np.abs(a).sum(axis=0).max(initial=0))
    if not math.isfinite(norm):
        return np.full_like(a, lapack.nan(a.dtype))
    bound, coefficients = next((x for x in _approximants if norm <= x[0]), _approximants[-1])
    squarings = max(0, math.ceil(math.log2(norm / bound))) if norm > bound else 0
    a = a * a.dtype.type(2.0**-squarings)
    square = a @ a
    power = np.eye(len(a), dtype=a.dtype)
    odd, even = np.zeros_like(a), np.zeros_like(a)
    for i in range(0, len(coefficients), 2):
        even += a.dtype.type(coefficients[i]) * power
        odd += a.dtype.type(coefficients[i + 1]) * power
        if i + 2 < len(coefficients):
            power = power @ square
    odd = a @ odd
    (out,) = mx.or_nan(np.linalg.solve, even - odd, even + odd)
    for _ in range(squarings):
        out = out @ out
    return out


def _square_root(a: np.ndarray) -> np.ndarray:
    """The principal square root of one complex matrix, from its Schur form.

    Å. Björck and S. Hammarling, A Schur method for the square root of a matrix, 1983.
    """
    t, q = lapack.gees(a, True)
    r = np.zeros_like(t)
    for j, value in enumerate(np.sqrt(np.diagonal(t))):
        r[j, j] = value
        for i in range(j - 1, -1, -1):
            rest = t[i, j] - r[i, i + 1 : j] @ r[i + 1 : j, j]
            total = r[i, i] + value
            # Two zero eigenvalues: where rest is 0 too, 0 is a solution.
            r[i, j] = rest / total if total or rest else 0
    return q @ r @ q.conj().T


_kernels = {"expm": _exponential, "sqrtm": _square_root}


def _infer(x: Aval, *, function: str) -> Aval:
    mx.check_matrices(function, x, square=True)
    if function == "sqrtm" and not dtypes.is_complex(x.dtype):
        raise DtypeError(at_user_line("The square root of a real matrix may be complex."))
    return Aval(x.shape, x.dtype)


def _kernel(x: np.ndarray, *, function: str) -> list[np.ndarray]:
    _infer(Aval(x.shape, x.dtype), function=function)
    out = np.empty_like(x, order="C")
    results = lapack.stacked(out)
    for i, matrix in enumerate(lapack.stacked(x)):
        results[i] = _kernels[function](matrix)
    return [out]


def _derivative(primitive: Primitive, x: Any, t: Any, function: str) -> tuple[Any, Any]:
    """f(x), and its derivative along t."""
    n, last = x.shape[-1], x.ndim - 1
    zero = broadcast_to(scalar(0, x.dtype), x.shape)
    top = concatenate_p.bind(x, t, axis=last)
    bottom = concatenate_p.bind(zero, x, axis=last)
    out = primitive.bind(concatenate_p.bind(top, bottom, axis=last - 1), function=function)
    lead = (0,) * (x.ndim - 2)
    f = slice_(out, (*lead, 0, 0), (*x.shape[:-2], n, n))
    return f, slice_(out, (*lead, 0, n), (*x.shape[:-2], n, 2 * n))


def _jvp(primitive: Primitive, primals: Any, tangents: Any, *, function: str) -> Any:
    return _derivative(primitive, primals[0], tangents[0], function)


def _vjp(primitive: Primitive, needed: Any, operands: Any, *, function: str) -> Any:
    (x,) = operands

    def pullback(ct: Any) -> list[Any]:
        # Cotangents pair without a conjugate: the transpose is the derivative at x^T.
        return [_derivative(primitive, mx.swap(x), ct, function)[1]]

    return primitive.bind(x, function=function), pullback


matrix_function_p = Primitive(
    "matrix_function",
    infer=_infer,
    impl=lambda xp, x, *, function: mx.on_host(_kernel)(xp, x, function=function)[0],
    jvp=_jvp,
    vjp=_vjp,
    batch=mx.batch_stack,
    weak="strong",
)
