"""A call of every public function of `rtfunc.numpy`, for the walk in `test_walk.py`.

Arrays among the arguments are operands, which transforms trace; all else is part of the call.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np


@dataclasses.dataclass
class Call:
    """One call, and which of the walk's checks it is for.

    Attributes:
      args, options: of the call. NumPy arrays, also within lists, are operands.
      traced: whether it may be staged and batched; False where values decide the shape.
      smooth: whether derivatives exist at the operands.
      oracle: NumPy's way to the same result; by default the function of the same name.
      only_numpy: options that NumPy's function lacks.
    """

    args: tuple[Any, ...]
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    traced: bool = True
    smooth: bool = True
    oracle: Callable[..., Any] | None = None


def call(
    *args: Any, traced: bool = True, smooth: bool = True, oracle: Any = None, **options: Any
) -> Call:
    return Call(args, options, traced, smooth, oracle)


# Away from ties, kinks and poles.
X = np.array([[0.7, -1.3, 2.1], [0.4, 1.9, -0.9]])
Y = np.array([[1.1, 0.6, -0.8], [2.3, -1.7, 1.4]])
U = np.array([[0.2, 0.55, 0.9], [0.45, 0.1, 0.7]])  # between 0 and 1
V = np.array([0.3, -0.8, 1.7])
W = np.array([1.9, 0.4, -1.1])
M = np.array([[2.0, 0.3, -0.4], [0.1, 1.5, 0.6], [-0.7, 0.2, 1.8]])
C = np.array([0.7 + 0.4j, -1.2 + 0.9j, 0.3 - 1.1j])
I = np.array([[3, -1, 4], [1, -5, 9]], "int32")
J = np.array([[2, 7, 1], [8, 2, 8]], "int32")
K = np.array([2, 0, 1, 2, 5, 0], "int32")
B = np.array([[True, False, True], [False, False, True]])
S = np.array([-1.0, 0.5, 2.0, 3.5])  # sorted
NAN = np.array([[0.7, np.nan, 2.1], [np.nan, 1.9, -0.9], [-1.6, 0.3, np.nan]])


def _unary(*names: str, at: Any = X, **options: Any) -> dict[str, list[Call]]:
    return {name: [call(at, **options)] for name in names}


def _binary(*names: str, at: Any = (X, Y), **options: Any) -> dict[str, list[Call]]:
    return {name: [call(*at, **options)] for name in names}


def _stacked(name: str, args: Any) -> Any:
    return getattr(np, name)(np.asarray(args))


def _reductions(*names: str, at: Any = X, **options: Any) -> dict[str, list[Call]]:
    return {
        n: [
            call(at, **options),
            call(at, axis=1, **options),
            call(at, axis=-2, keepdims=True, **options),
        ]
        for n in names
    }


CALLS: dict[str, list[Call]] = {
    # elementwise
    **_unary("sin", "cos", "tan", "sinh", "cosh", "tanh", "arcsinh", "arctan", "asinh", "atan"),
    **_unary("exp", "exp2", "expm1", "square", "negative", "positive", "conj", "conjugate", "real"),
    **_unary("abs", "absolute", "fabs", "cbrt", "reciprocal", "deg2rad", "rad2deg", "degrees"),
    **_unary("radians", "sinc", "i0"),
    **_unary("arcsin", "arccos", "arctanh", "asin", "acos", "atanh", at=U),
    **_unary("log", "log2", "log10", "log1p", "sqrt", at=U),
    **_unary("arccosh", "acosh", at=U + 1),
    **_unary("floor", "ceil", "rint", "trunc", "fix", "round", "around", "sign", smooth=False),
    **_unary("isnan", "isinf", "isfinite", "isneginf", "isposinf", at=NAN, smooth=False),
    **_unary("iscomplex", "isreal", "signbit", "spacing", smooth=False),
    **_unary("imag", "angle", at=C, smooth=False),
    "modf": [call(X, smooth=False)],
    "frexp": [call(X, smooth=False)],
    "ldexp": [call(X, J)],
    "nan_to_num": [call(X), call(NAN, nan=7.0, smooth=False)],
    **_binary("add", "subtract", "multiply", "divide", "true_divide", "maximum", "minimum"),
    **_binary("fmax", "fmin", "arctan2", "atan2", "hypot", "copysign", "logaddexp", "logaddexp2"),
    **_binary("remainder", "mod", "fmod"),
    **_binary("floor_divide", "heaviside", "nextafter", smooth=False),
    "divmod": [call(I, J, smooth=False)],
    **_binary("power", "pow", "float_power", at=(U, Y)),
    "clip": [call(X, -1.0, 1.0), call(X, None, V), call(I, 0, 4)],
    **_binary("equal", "not_equal", "less", "less_equal", "greater", "greater_equal"),
    **_binary("logical_and", "logical_or", "logical_xor", at=(B, B[::-1])),
    "logical_not": [call(B)],
    **_binary("bitwise_and", "bitwise_or", "bitwise_xor", "gcd", "lcm", at=(I, J)),
    **_binary("left_shift", "right_shift", at=(J, np.array([1, 0, 2], "int32"))),
    **_binary("bitwise_left_shift", "bitwise_right_shift", at=(J, np.array([1, 0, 2], "int32"))),
    **_unary("bitwise_not", "invert", "bitwise_invert", at=I),
    "bitwise_count": [call(J)],
    **_binary("isclose", "allclose", "array_equal", "array_equiv", at=(X, X + 1e-9), smooth=False),
    # reductions
    **_reductions("sum", "prod", "mean", "std", "var", "max", "min", "amax", "amin", "ptp"),
    **_reductions("all", "any", at=B),
    **_reductions("argmax", "argmin", smooth=False),
    **_reductions("median", "count_nonzero"),
    **_reductions("nansum", "nanprod", "nanmean", "nanstd", "nanvar", "nanmax", "nanmin", at=NAN),
    **_reductions("nanmedian", at=NAN),
    **_reductions("nanargmax", "nanargmin", at=NAN, smooth=False),
    "logsumexp": [
        call(X, axis=1, oracle=lambda x, axis: np.log(np.sum(np.exp(x), axis))),
    ],
    "average": [call(X), call(X, axis=1, weights=V)],
    **{
        name: [call(X, whole * 0.3), call(X, whole * U[0], axis=1), call(X, whole / 2, axis=0)]
        for name, whole in (("quantile", 1), ("percentile", 100))
    },
    **{
        name: [call(NAN, whole * 0.3), call(NAN, whole * U[0, :2], axis=1, keepdims=True)]
        for name, whole in (("nanquantile", 1), ("nanpercentile", 100))
    },
    "cov": [
        call(X),
        call(X, Y, rowvar=False, bias=True),
        call(X, fweights=np.array([1, 2, 1]), aweights=U[0]),
    ],
    "corrcoef": [call(X), call(M, rowvar=False)],
    **{
        name: [call(X), call(X, axis=1)]
        for name in ("cumsum", "cumprod", "nancumsum", "nancumprod")
    },
    **{
        name: [call(V), call(X, axis=1, include_initial=True)]
        for name in ("cumulative_sum", "cumulative_prod")
    },
    # shapes
    "reshape": [call(X, (3, 2)), call(X, -1), call(X, (3, -1), order="F")],
    "ravel": [call(X), call(X, "F")],
    **_unary("transpose", "matrix_transpose", "flip", "flipud", "fliplr", "rot90"),
    "permute_dims": [call(X, (1, 0))],
    "swapaxes": [call(X, 0, -1)],
    "moveaxis": [call(X[None], 0, -1), call(X[None], (0, 1), (2, 0))],
    "rollaxis": [call(X[None], 2)],
    "squeeze": [call(X[None]), call(X[:, None], 1)],
    "expand_dims": [call(X, 1), call(X, (0, -1))],
    "broadcast_to": [call(V, (2, 3))],
    "broadcast_arrays": [call(X, V)],
    "atleast_1d": [call(np.array(2.0))],
    "atleast_2d": [call(V)],
    "atleast_3d": [call(X)],
    "roll": [call(X, 1), call(X, (1, -2), (0, 1))],
    "tile": [call(X, 2), call(V, (2, 2))],
    "repeat": [call(X, 2), call(X, 3, axis=1)],
    "resize": [call(X, (4, 2))],
    "unstack": [call(X), call(X, axis=1)],
    "pad": [call(X, 1), call(X, ((0, 1), (2, 0)), mode="edge"), call(V, 2, mode="reflect")],
    # joining
    **{
        name: [call([X, Y])]
        for name in ("concatenate", "concat", "stack", "vstack", "hstack", "dstack", "column_stack")
    },
    "block": [call([[X, Y], [Y, X]])],
    "append": [call(X, Y), call(X, Y, axis=0)],
    "split": [call(X, 3, axis=1)],
    "array_split": [call(V, 2)],
    "hsplit": [call(X, 3)],
    "vsplit": [call(X, 2)],
    "dsplit": [call(X[None], 3)],
    "delete": [call(X, 1, axis=1), call(V, [0, 2])],
    "insert": [call(V, 1, 5.0), call(X, 1, W, axis=0)],
    # creation
    **{
        name: [call(X, oracle=np.array)]
        for name in ("array", "asarray", "copy", "ascontiguousarray")
    },
    "astype": [call(X, "float32", oracle=lambda x, d: x.astype(d))],
    "view": [call(I, "uint32", oracle=lambda x, d: x.view(d))],
    **_unary("zeros_like", "ones_like"),
    "empty_like": [call(X, oracle=lambda x: np.zeros(x.shape))],
    "full_like": [call(X, 2.5)],
    "zeros": [call((2, 3))],
    "ones": [call(3)],
    "empty": [call(3, oracle=np.zeros)],
    "full": [call((2, 2), 7.0)],
    "eye": [call(3, 4, 1)],
    "identity": [call(2)],
    "tri": [call(3, 4, -1)],
    "arange": [call(5), call(1, 9, 3), call(0.5, 3.0)],
    "linspace": [call(0.0, 1.0, 5), call(V, W, 4, axis=-1)],
    "logspace": [call(0.0, 2.0, 3)],
    "geomspace": [call(1.0, 8.0, 4)],
    "meshgrid": [call(V, S), call(V, S, indexing="ij", sparse=True)],
    "indices": [call((2, 3))],
    "fromfunction": [call(lambda i, j: i * 2 + j, (2, 3))],
    "diag": [call(V), call(M, 1)],
    "diagflat": [call(X, -1)],
    "diagonal": [call(M), call(M, 1)],
    "tril": [call(M), call(X, 1)],
    "triu": [call(M, -1)],
    "vander": [call(V), call(V, 2, True)],
    # windows: the default float is float32
    **{
        name: [call(7), call(1), call(0)] for name in ("bartlett", "blackman", "hamming", "hanning")
    },
    "kaiser": [call(7, 2.5), call(6, np.array(3.0))],
    # positions and selection
    "where": [call(B, X, Y)],
    "select": [call([X > 1, X > 0], [X, Y], -1.0)],
    "choose": [call(np.array([1, 0, 1]), [V, W], mode="clip")],
    "take": [call(X, [2, 0]), call(X, np.array([[1], [0]]), axis=1)],
    "take_along_axis": [call(X, np.array([[2, 0], [1, 1]]), axis=1)],
    "put_along_axis": [
        call(
            X, np.array([[2], [0]]), np.array([[9.0], [8.0]]), 1, oracle=lambda *a: _put_along(*a)
        ),
    ],
    "fill_diagonal": [
        call(M, V, inplace=False, oracle=lambda a, v, inplace: _changed(np.fill_diagonal, a, v)),
        call(
            np.ones((7, 3)),
            2.0,
            True,
            inplace=False,
            oracle=lambda a, v, w, inplace: _changed(np.fill_diagonal, a, v, w),
        ),
    ],
    "put": [
        call(
            X,
            np.array([5, 0, 2]),
            V,
            inplace=False,
            oracle=lambda a, i, v, **_: _changed(np.put, a, i, v),
        ),
        call(
            X,
            np.array([5, -7, 8]),
            W[:2],
            "wrap",
            inplace=False,
            oracle=lambda a, i, v, m, **_: _changed(np.put, a, i, v, m),
        ),
    ],
    "place": [
        call(X, B, W[:2], inplace=False, oracle=lambda a, m, v, **_: _changed(np.place, a, m, v)),
    ],
    "compress": [call(np.array([True, False, True]), X, axis=1, traced=False)],
    "extract": [call(B, X, traced=False)],
    "nonzero": [call(I, traced=False)],
    "flatnonzero": [call(B, traced=False)],
    "argwhere": [call(B, traced=False)],
    "ix_": [call(K, np.array([1, 3], "int32"))],
    "unravel_index": [call(K, (2, 3))],
    "ravel_multi_index": [call((np.array([1, 0]), np.array([2, 1])), (2, 3), mode="clip")],
    "index": [call(X, (0, slice(None, None, -1)), oracle=lambda x, i: x[i])],
    **{name: [call(3), call(4, 1), call(3, -1, 5)] for name in ("tril_indices", "triu_indices")},
    **{name: [call(X), call(M, -1)] for name in ("tril_indices_from", "triu_indices_from")},
    "diag_indices": [call(3), call(2, 3)],
    "diag_indices_from": [call(M)],
    "mask_indices": [call(3, np.triu, 1)],
    # contraction
    **_binary("dot", "matmul", at=(X, M)),
    **_binary("inner", "outer", "vdot", "vecdot", "cross", "kron", at=(V, W)),
    "tensordot": [call(X, M, 1)],
    "trace": [call(M), call(M, 1)],
    "einsum": [call("ij,kj->ik", X, Y), call("ii->i", M), call("...j,j", X, V)],
    "matvec": [call(X, V), call(M[None], X)],
    "vecmat": [call(V, M), call(X, M)],
    "convolve": [call(S, V), call(V, S, "same"), call(S, V, "valid"), call(I[0], J[0])],
    "correlate": [
        call(S, V),
        call(V, S, "full"),
        call(V, S, "same"),
        call(S, V, "same"),
        call(W[:2], V, "same"),
        call(V, W[:2], "same"),
        call(V, S, "valid"),
        call(C, C[:2], "full"),
        call(C[:2], C, "same"),
    ],
    # sorting and searching
    **{name: [call(X), call(X, 0), call(X, None)] for name in ("sort", "argsort")},
    "lexsort": [call((K, K[::-1].copy()), oracle=np.lexsort)],
    "partition": [call(V, 1, oracle=lambda x, k: np.sort(x))],
    "argpartition": [call(V, 1, oracle=lambda x, k: np.argsort(x))],
    "sort_complex": [call(V)],
    "searchsorted": [call(S, X, smooth=False), call(S, V, side="right", smooth=False)],
    "digitize": [call(X, S, smooth=False)],
    # sets
    "unique": [
        call(K, traced=False),
        call(K, size=6, fill_value=9, oracle=lambda x, **_: _padded(np.unique(x))),
    ],
    "unique_values": [call(K, traced=False, oracle=np.unique)],
    "unique_counts": [call(K, traced=False)],
    "unique_inverse": [call(K, traced=False)],
    "unique_all": [call(K, traced=False)],
    "isin": [call(I, J)],
    "union1d": [call(K, I, traced=False)],
    "intersect1d": [
        call(K, J, traced=False),
        call(K, np.array([5, 2, 2, 8]), return_indices=True, traced=False),
        call(K, J, size=6, fill_value=9, oracle=lambda a, b, **_: _padded(np.intersect1d(a, b))),
    ],
    "setdiff1d": [
        call(K, J, traced=False),
        call(K, J, assume_unique=True, traced=False),
        call(K, J, size=6, fill_value=9, oracle=lambda a, b, **_: _padded(np.setdiff1d(a, b))),
    ],
    "setxor1d": [
        call(K, J, traced=False),
        call(V, np.array([0.3, 5.0]), traced=False),
        call(K, J, size=6, fill_value=9, oracle=lambda a, b, **_: _padded(np.setxor1d(a, b))),
    ],
    # calculus
    "diff": [call(X), call(X, 2, axis=-1), call(V, prepend=0.0, append=W), call(B), call(X, 0)],
    "ediff1d": [call(X), call(V, to_begin=W, to_end=7.0)],
    "gradient": [
        call(V),
        call(M),
        call(S, 0.5, edge_order=2),
        call(M, V**2 * np.array([1, 2, 3]), axis=0, edge_order=2),
        call(X, 0.5, W, axis=(0, 1)),
    ],
    "trapezoid": [call(X), call(X, V), call(X, dx=0.5, axis=0), call(X, Y, axis=1)],
    "unwrap": [call(V * 5), call(X * 9, axis=0, period=4.0), call(V * 5, 4.0), call(I, period=4)],
    "interp": [
        call(X, S, np.array([1.0, 3.0, -2.0, 0.5])),
        call(X * 3, S, np.array([1.0, 3.0, -2.0, 0.5]), left=-1.0, right=7.0),
        call(X * 3, S[::-1].copy(), np.array([1.0, 3.0, -2.0, 0.5]), period=5.0),
        call(X, S, np.array([1.0, 3.0 + 1j, -2.0, 0.5j]), smooth=False),
    ],
    # counting
    "bincount": [
        call(K, traced=False),
        call(K, np.arange(6.0), 9, traced=False),
        call(K, length=4, oracle=lambda x, length: np.bincount(x)[:length]),
    ],
    "histogram": [
        call(X, 3, smooth=False),
        call(X, S, smooth=False),
        call(X, 3, (-1.0, 1.0), density=True, smooth=False),
        call(X, 3, weights=Y, smooth=False),
    ],
    "histogram_bin_edges": [call(X, 4), call(X, "sturges", traced=False), call(V, 2, (0.0, 3.0))],
    "histogram2d": [call(V, W, 2, smooth=False), call(V, W, [2, S], density=True, smooth=False)],
    "histogramdd": [call(X.T.copy(), 2, smooth=False), call(X, [2, 3, S], smooth=False)],
    # polynomials
    "polyval": [call(V, X), call(V, 2.0)],
    "polyadd": [call(V, S)],
    "polysub": [call(S, V)],
    "polymul": [call(V, S)],
    "polydiv": [
        call(S, V[:2], oracle=lambda u, v: (np.polydiv(u, v)[0], _front(np.polydiv(u, v)[1], 4))),
    ],
    "polyder": [call(S), call(S, 2)],
    "polyint": [call(V), call(V, 2), call(V, 2, W[:2])],
    "poly": [call(V)],
    "trim_zeros": [call(np.array([0, 1, 0, 2, 0]), traced=False), call(V, "f", traced=False)],
    # bits
    "packbits": [call(B), call(I, axis=1), call(B, axis=0, bitorder="little")],
    "unpackbits": [
        call(np.array([[3, 200]], "uint8")),
        call(np.array([[3, 200]], "uint8"), axis=1, count=11, bitorder="little"),
        call(np.array([7], "uint8"), count=-3),
        call(np.array([7], "uint8"), count=12),
    ],
    # functions of functions
    "apply_along_axis": [
        call(lambda v: v.sum() * v, 0, X),
        call(lambda v: v[:2] * v[-1], 1, np.stack([X, Y])),
    ],
    "apply_over_axes": [call(lambda a, axis: a.sum(axis), X, (0, 1))],
    "piecewise": [call(X, [X < 0, X > 1], [lambda v: v * v, 3.0, lambda v: v + 1])],
    # questions
    "shape": [call(X)],
    "ndim": [call(X)],
    "size": [call(X), call(X, 1)],
    "iterable": [call(X)],
    "iscomplexobj": [call(C)],
    "isrealobj": [call(C)],
    "isscalar": [call(2.0), call(None)],
    "broadcast_shapes": [call((2, 1), (3,))],
    "array_str": [call(X)],
}

#: Functions that the walk leaves out, and where they are tested.
ELSEWHERE = {
    "install_namespace": "no function for users",
    "vectorize": "test_mapping",
    "frompyfunc": "test_mapping",
    "printoptions": "NumPy's own",
    "get_printoptions": "NumPy's own",
    "set_printoptions": "NumPy's own",
    "array_repr": "test_files",
    **dict.fromkeys(("save", "savez", "load", "fromfile", "fromstring", "fromiter"), "test_files"),
    "frombuffer": "test_creation",
    "from_dlpack": "test_array_api",
    **dict.fromkeys(("roots", "polyfit"), "test_polynomials"),
    "einsum_path": "test_contraction",
    **dict.fromkeys(
        ("finfo", "iinfo", "can_cast", "isdtype", "issubdtype", "promote_types", "result_type"),
        "test_dtypes",
    ),
}


def _put_along(x: Any, i: Any, v: Any, axis: int) -> Any:
    x = x.copy()
    np.put_along_axis(x, i, v, axis)
    return x


def _changed(function: Any, x: Any, *args: Any) -> Any:
    x = x.copy()
    function(x, *args)
    return x


def _padded(x: Any) -> Any:
    return np.concatenate([x, np.full(6 - len(x), 9)])


def _front(x: Any, size: int) -> Any:
    return np.concatenate([np.zeros(size - len(x)), x])
