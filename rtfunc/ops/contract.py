"""Contractions: `dot_general`, the one primitive behind matmul, tensordot and einsum.

`dot_general` multiplies two arrays and sums over pairs of contracted axes, for every index of the
paired batch axes: its result has the batch axes, then the free axes of the left operand, then
those of the right one. Its derivatives and batches are dot_generals again. On NumPy the work is
handed to BLAS through views; what the axes mean for an operation is worked out once (`_plan`).
Depends on `shape`.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.aval import Aval
from rtfunc.core.dtypes import DtypeLike
from rtfunc.core.errors import ArgumentError, AxisError, DtypeError, ShapeError, at_user_line
from rtfunc.core.primitive import Primitive, linear_jvp
from rtfunc.ops.convert import cast, check_same_dtype, convert, promote
from rtfunc.ops.shape import normalize_axes, transpose_p

#: ((lhs_contract, rhs_contract), (lhs_batch, rhs_batch)): paired axes, not negative.
DotDimensionNumbers: TypeAlias = tuple[
    tuple[tuple[int, ...], tuple[int, ...]], tuple[tuple[int, ...], tuple[int, ...]]
]


def dot_general(
    lhs: ArrayLike,
    rhs: ArrayLike,
    dimension_numbers: Any,
    preferred_element_type: DtypeLike | None = None,
) -> Array:
    """Sum of products over contracted axes, for each index of the batch axes.

    Arguments:
      lhs, rhs: arrays of any rank; they are promoted to a common dtype.
      dimension_numbers: ((lhs_contract, rhs_contract), (lhs_batch, rhs_batch)), sequences of axes
        paired in order, as in `jax.lax.dot_general`.
      preferred_element_type: dtype of the result and, at least, of the sums. float16 and bfloat16
        are always summed in float32.

    Returns an array with the axes (batch, free axes of lhs, free axes of rhs).
    Raises `ShapeError` when paired axes differ in size, `AxisError` for bad axes, `DtypeError` for
    a narrower preferred dtype.

    >>> x, y = np.ones((5, 2, 3), "float32"), np.ones((5, 3, 4), "float32")
    >>> dot_general(x, y, (((2,), (1,)), ((0,), (0,)))).shape
    (5, 2, 4)
    """
    lhs, rhs = promote("dot_general", lhs, rhs)
    try:
        (lhs_contract, rhs_contract), (lhs_batch, rhs_batch) = dimension_numbers
    except (TypeError, ValueError):
        raise ArgumentError(
            at_user_line(
                "dot_general takes dimension_numbers of the form ((lhs_contract, rhs_contract), "
                f"(lhs_batch, rhs_batch)), each a sequence of axes, not {dimension_numbers!r}."
            )
        ) from None
    numbers = (
        (_axes(lhs_contract, lhs.ndim), _axes(rhs_contract, rhs.ndim)),
        (_axes(lhs_batch, lhs.ndim), _axes(rhs_batch, rhs.ndim)),
    )
    return dot_general_p.bind(
        lhs,
        rhs,
        dimension_numbers=numbers,
        preferred_element_type=as_preferred_type(preferred_element_type),
    )


def _axes(axes: Any, ndim: int) -> tuple[int, ...]:
    return normalize_axes("dot_general", tuple(axes), ndim)


def as_preferred_type(dtype: DtypeLike | None) -> np.dtype | None:
    """The `preferred_element_type` argument as the param of primitives."""
    return None if dtype is None else dtypes.as_dtype(dtype)


def dot(
    lhs: ArrayLike, rhs: ArrayLike, *, preferred_element_type: DtypeLike | None = None
) -> Array:
    """The product of vectors and matrices: the last axis of `lhs` with the first of `rhs`.

    Raises `ShapeError` for operands that are not of rank 1 or 2, or whose sizes differ.

    >>> dot(np.ones(3, "float32"), np.ones(3, "float32"))
    Array(3., dtype=float32)
    """
    lhs, rhs = promote("dot", lhs, rhs)
    if not (1 <= lhs.ndim <= 2 and 1 <= rhs.ndim <= 2):
        raise ShapeError(
            at_user_line(
                f"dot takes vectors and matrices, but got shapes {lhs.shape} and {rhs.shape}. "
                "Use dot_general or rtfunc.numpy.matmul for more axes."
            )
        )
    return dot_general_p.bind(
        lhs,
        rhs,
        dimension_numbers=(((lhs.ndim - 1,), (0,)), ((), ())),
        preferred_element_type=as_preferred_type(preferred_element_type),
    )


# The meaning of the axes.


@dataclasses.dataclass(frozen=True, slots=True)
class _Plan:
    """What an operation on operands of given ranks does.

    Attributes:
      kind: "dot" (at most matrices, one contracted axis, no batch), "multiply" (nothing
        contracted), "merge" (a matrix product after merging axes), "batched".
      lhs_free, rhs_free: axes that are neither contracted nor batch.
      lhs_order, rhs_order: permutations for "dot" (None: as they are) and "multiply".
      orders: for the other kinds, permutations of lhs to (batch, free, contract) and of rhs to
        (batch, contract, free); first with the contracted axes in lhs's order, then in rhs's.
    """

    kind: str
    lhs_free: tuple[int, ...]
    rhs_free: tuple[int, ...]
    lhs_order: tuple[int, ...] | None
    rhs_order: tuple[int, ...] | None
    orders: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]


@functools.lru_cache(4096)
def _plan(numbers: DotDimensionNumbers, lhs_ndim: int, rhs_ndim: int) -> _Plan:
    (lhs_contract, rhs_contract), (lhs_batch, rhs_batch) = numbers
    for side, contract, batch, ndim in (
        ("lhs", lhs_contract, lhs_batch, lhs_ndim),
        ("rhs", rhs_contract, rhs_batch, rhs_ndim),
    ):
        axes = (*contract, *batch)
        if len(set(axes)) != len(axes) or any(not 0 <= a < ndim for a in axes):
            raise AxisError(
                at_user_line(
                    f"dot_general: the axes {contract} to contract and {batch} of the batch must "
                    f"be different axes of {side}, which has {ndim}."
                )
            )
    if len(lhs_contract) != len(rhs_contract) or len(lhs_batch) != len(rhs_batch):
        raise ArgumentError(
            at_user_line(
                "dot_general pairs the axes of its operands, but got "
                f"{lhs_contract} with {rhs_contract} to contract and {lhs_batch} with {rhs_batch} "
                "for the batch."
            )
        )
    lhs_free = tuple(i for i in range(lhs_ndim) if i not in lhs_contract and i not in lhs_batch)
    rhs_free = tuple(i for i in range(rhs_ndim) if i not in rhs_contract and i not in rhs_batch)
    lhs_order = rhs_order = None
    if not lhs_contract:
        kind = "multiply"
        lhs_order, rhs_order = (*lhs_batch, *lhs_free), (*rhs_batch, *rhs_free)
    elif lhs_batch:
        kind = "batched"
    elif len(lhs_contract) == 1 and len(lhs_free) <= 1 and len(rhs_free) <= 1:
        kind = "dot"
        lhs_order = (1, 0) if lhs_ndim == 2 and lhs_contract == (0,) else None
        rhs_order = (1, 0) if rhs_ndim == 2 and rhs_contract == (1,) else None
    else:
        kind = "merge"
    orders = []
    for key in (lhs_contract, rhs_contract):
        pairs = sorted(range(len(key)), key=key.__getitem__)
        orders.append(
            (
                (*lhs_batch, *lhs_free, *(lhs_contract[i] for i in pairs)),
                (*rhs_batch, *(rhs_contract[i] for i in pairs), *rhs_free),
            )
        )
    return _Plan(kind, lhs_free, rhs_free, lhs_order, rhs_order, tuple(orders))


def _infer(
    lhs: Aval, rhs: Aval, *, dimension_numbers: Any, preferred_element_type: np.dtype | None
) -> Aval:
    dtype = check_same_dtype("dot_general", (lhs, rhs))
    out_dtype = contraction_dtype("dot_general", dtype, preferred_element_type)
    plan = _plan(dimension_numbers, lhs.ndim, rhs.ndim)
    (lhs_contract, rhs_contract), (lhs_batch, rhs_batch) = dimension_numbers
    for what, pairs in (
        ("contracted", zip(lhs_contract, rhs_contract)),
        ("batch", zip(lhs_batch, rhs_batch)),
    ):
        for a, b in pairs:
            if lhs.shape[a] != rhs.shape[b]:
                raise ShapeError(
                    at_user_line(
                        f"A product of arrays of shapes {lhs.shape} and {rhs.shape} pairs axis {a} "
                        f"of the first (size {lhs.shape[a]}) with axis {b} of the second (size "
                        f"{rhs.shape[b]}) as {what} axes: their sizes must be equal. "
                        "Transpose or reshape one operand."
                    )
                )
    shape = (
        *(lhs.shape[a] for a in lhs_batch),
        *(lhs.shape[a] for a in plan.lhs_free),
        *(rhs.shape[a] for a in plan.rhs_free),
    )
    return Aval(shape, out_dtype)


def contraction_dtype(operation: str, dtype: np.dtype, preferred: np.dtype | None) -> np.dtype:
    """The dtype of a sum of products of `dtype` for which `preferred` was asked.

    Raises `DtypeError` where the preferred dtype would lose information (JAX's rules).
    """
    if dtype not in dtypes.everything:
        raise DtypeError(
            at_user_line(
                f"{operation} does not take {dtype}, which is for storage. "
                "Convert it first, for example with x.astype('float32')."
            )
        )
    if preferred is None or preferred == dtype:
        return dtype
    kind, wanted = dtypes.kind(dtype), dtypes.kind(preferred)
    compatible = wanted in {
        "bool": ("signed", "unsigned", "float"),
        "signed": ("signed", "float"),
        "unsigned": ("unsigned", "signed", "float"),
    }.get(kind, (kind,))
    if not compatible or preferred.itemsize < dtype.itemsize:
        raise DtypeError(
            at_user_line(
                f"{operation} of {dtype} with preferred_element_type={preferred}: it must be of "
                "the same kind as the operands (or float for integers) and not narrower. "
                "Convert the result instead."
            )
        )
    return preferred


@functools.cache
def accumulation_dtype(dtype: np.dtype, preferred: np.dtype | None) -> np.dtype:
    """The dtype in which sums of products of `dtype` are computed."""
    wide = dtypes.compute_dtype(dtype)
    if preferred is None or preferred == dtype:
        return wide
    return dtypes.promote(wide, False, dtypes.compute_dtype(preferred), False)[0]


# NumPy and CuPy.


def _impl(
    xp: Any, lhs: Any, rhs: Any, *, dimension_numbers: Any, preferred_element_type: Any
) -> Any:
    dtype = lhs.dtype
    if dtype != rhs.dtype:
        raise TypeError("dtypes differ")  # `infer` explains
    plan = _plan(dimension_numbers, lhs.ndim, rhs.ndim)
    if preferred_element_type is None and dtype.char in "fdFD":
        return _contract(xp, plan, dimension_numbers, lhs, rhs)
    out_dtype = contraction_dtype("dot_general", dtype, preferred_element_type)
    wide = accumulation_dtype(dtype, preferred_element_type)
    (lhs_contract, _), _ = dimension_numbers
    terms = math.prod([lhs.shape[a] for a in lhs_contract])
    if dtypes.is_integer(wide) or wide == dtypes.bool_:
        exact = _exact_float(dtype, terms)
        if exact is not None and lhs.size * rhs.size > 1 << 16 and plan.kind != "multiply":
            # NumPy's integer products are plain loops; BLAS computes small integers exactly.
            out = _contract(xp, plan, dimension_numbers, lhs.astype(exact), rhs.astype(exact))
            return out != 0 if wide == dtypes.bool_ else out.astype(np.int64).astype(out_dtype)
    if wide != dtype:
        lhs, rhs = cast(lhs, wide, xp), cast(rhs, wide, xp)
    out = _contract(xp, plan, dimension_numbers, lhs, rhs)
    return out if out.dtype == out_dtype else out.astype(out_dtype)


def _exact_float(dtype: np.dtype, terms: int) -> np.dtype | None:
    """A float dtype in which sums of `terms` products of the integer `dtype` have no rounding."""
    if dtype == dtypes.bool_:
        return dtypes.float32  # a sum of ones is never rounded to zero
    if dtype.itemsize > 2:
        return None
    largest = terms * 4 ** (8 * dtype.itemsize)
    return dtypes.float32 if largest <= 2**24 else dtypes.float64 if largest <= 2**53 else None


def _contract(xp: Any, plan: _Plan, numbers: DotDimensionNumbers, lhs: Any, rhs: Any) -> Any:
    """The product, in the operands' dtype."""
    if plan.kind == "dot":
        if plan.lhs_order is not None:
            lhs = lhs.transpose(1, 0)
        if plan.rhs_order is not None:
            rhs = rhs.transpose(1, 0)
        return lhs.dot(rhs)
    (lhs_contract, rhs_contract), (lhs_batch, rhs_batch) = numbers
    batch = tuple([lhs.shape[a] for a in lhs_batch])
    if batch != tuple([rhs.shape[a] for a in rhs_batch]):
        raise ValueError("batch sizes differ")  # `infer` explains
    lhs_free = tuple([lhs.shape[a] for a in plan.lhs_free])
    rhs_free = tuple([rhs.shape[a] for a in plan.rhs_free])
    if plan.kind == "multiply":
        lhs = lhs.transpose(plan.lhs_order).reshape(batch + lhs_free + (1,) * len(rhs_free))
        rhs = rhs.transpose(plan.rhs_order).reshape(batch + (1,) * len(lhs_free) + rhs_free)
        return xp.multiply(lhs, rhs)
    if [lhs.shape[a] for a in lhs_contract] != [rhs.shape[a] for a in rhs_contract]:
        raise ValueError("contracted sizes differ")  # `infer` explains
    # The larger operand keeps the order of its axes, which more often is a view.
    lhs_order, rhs_order = plan.orders[lhs.size < rhs.size]
    terms = math.prod([lhs.shape[a] for a in lhs_contract])
    lhs = lhs.transpose(lhs_order).reshape(*batch, math.prod(lhs_free), terms)
    rhs = rhs.transpose(rhs_order).reshape(*batch, terms, math.prod(rhs_free))
    if not batch:
        out = lhs.dot(rhs)
    else:
        out = xp.matmul(_for_blas(xp, lhs), _for_blas(xp, rhs))
    shape = batch + lhs_free + rhs_free
    return out if out.shape == shape else out.reshape(shape)


def _for_blas(xp: Any, matrices: Any) -> Any:
    """Matrices that BLAS can read: NumPy before 2.3 multiplies others in a plain loop."""
    size = matrices.itemsize
    if size in matrices.strides[-2:] or 1 in matrices.shape[-2:]:
        return matrices
    return xp.ascontiguousarray(matrices)


# Derivatives and batches.


@functools.lru_cache(4096)
def _transposed(numbers: DotDimensionNumbers, lhs_ndim: int, rhs_ndim: int) -> Any:
    """For each operand: (cotangent first?, dimension numbers, permutation or None).

    The cotangent of lhs is a product of the result's cotangent and rhs, in the order that spares a
    transposition if one does.
    """
    plan = _plan(numbers, lhs_ndim, rhs_ndim)
    (lhs_contract, rhs_contract), (lhs_batch, rhs_batch) = numbers
    n_batch, n_lhs, n_rhs = len(lhs_batch), len(plan.lhs_free), len(plan.rhs_free)
    of_batch = tuple(range(n_batch))
    of_lhs = tuple(range(n_batch, n_batch + n_lhs))
    of_rhs = tuple(range(n_batch + n_lhs, n_batch + n_lhs + n_rhs))

    def rule(
        other_free: Sequence[int],
        other_contract: Sequence[int],
        other_batch: tuple[int, ...],
        ct_contract: tuple[int, ...],
        free: tuple[int, ...],
        contract: Sequence[int],
        batch: tuple[int, ...],
    ) -> Any:
        # Contracted axes come out in the order in which the other operand has them.
        pairs = sorted(range(len(contract)), key=other_contract.__getitem__)
        summed = tuple(contract[i] for i in pairs)
        first = (*batch, *free, *summed)  # of ct times other
        second = (*batch, *summed, *free)  # of other times ct
        identity = tuple(range(len(first)))
        other_free = tuple(other_free)
        if second == identity and first != identity:
            return False, ((other_free, ct_contract), (other_batch, of_batch)), None
        permutation = tuple(first.index(i) for i in identity)
        return (
            True,
            ((ct_contract, other_free), (of_batch, other_batch)),
            None if permutation == identity else permutation,
        )

    return (
        rule(
            plan.rhs_free, rhs_contract, rhs_batch, of_rhs, plan.lhs_free, lhs_contract, lhs_batch
        ),
        rule(
            plan.lhs_free, lhs_contract, lhs_batch, of_lhs, plan.rhs_free, rhs_contract, rhs_batch
        ),
    )


def _vjp(
    primitive: Primitive,
    needed: Sequence[bool],
    operands: Sequence[Any],
    *,
    dimension_numbers: DotDimensionNumbers,
    preferred_element_type: np.dtype | None,
) -> Any:
    lhs, rhs = operands
    out = primitive.bind(
        lhs,
        rhs,
        dimension_numbers=dimension_numbers,
        preferred_element_type=preferred_element_type,
    )

    def pullback(ct: Any) -> list[Any]:
        rules = _transposed(dimension_numbers, lhs.ndim, rhs.ndim)
        return [
            _cotangent(ct, other, x.dtype, *rule) if n else None
            for n, x, other, rule in zip(needed, (lhs, rhs), (rhs, lhs), rules)
        ]

    return out, pullback


def _cotangent(
    ct: Any, other: Any, dtype: np.dtype, ct_first: bool, numbers: Any, permutation: Any
) -> Any:
    if other.dtype != ct.dtype:  # the sums were asked for in a wider dtype: keep to it
        other = convert(other, ct.dtype)
    pair = (ct, other) if ct_first else (other, ct)
    out = dot_general_p.bind(*pair, dimension_numbers=numbers, preferred_element_type=None)
    if permutation is not None:
        out = transpose_p.bind(out, permutation=permutation)
    return out if out.dtype == dtype else convert(out, dtype)


def _shift(axes: tuple[int, ...], batch_axis: int) -> tuple[int, ...]:
    return tuple(a + (a >= batch_axis) for a in axes)


def _batch(
    primitive: Primitive,
    batch: Any,
    operands: Sequence[Any],
    batch_axes: Sequence[int | None],
    *,
    dimension_numbers: DotDimensionNumbers,
    preferred_element_type: np.dtype | None,
) -> Any:
    (lhs_contract, rhs_contract), (lhs_batch, rhs_batch) = dimension_numbers
    lhs_axis, rhs_axis = batch_axes
    if lhs_axis is not None:
        lhs_contract, lhs_batch = _shift(lhs_contract, lhs_axis), _shift(lhs_batch, lhs_axis)
    if rhs_axis is not None:
        rhs_contract, rhs_batch = _shift(rhs_contract, rhs_axis), _shift(rhs_batch, rhs_axis)
    if lhs_axis is not None and rhs_axis is not None:
        lhs_batch, rhs_batch = (lhs_axis, *lhs_batch), (rhs_axis, *rhs_batch)
        out_axis = 0
    else:
        # Only one operand has the batch: there it is one more free axis.
        taken = (*lhs_contract, *lhs_batch)
        if lhs_axis is not None:
            out_axis = len(lhs_batch) + sum(i not in taken for i in range(lhs_axis))
        else:
            n_lhs = operands[0].ndim - len(taken)
            taken = (*rhs_contract, *rhs_batch)
            assert rhs_axis is not None
            out_axis = len(rhs_batch) + n_lhs + sum(i not in taken for i in range(rhs_axis))
    out = primitive.bind(
        *operands,
        dimension_numbers=((lhs_contract, rhs_contract), (lhs_batch, rhs_batch)),
        preferred_element_type=preferred_element_type,
    )
    return out, out_axis


dot_general_p = Primitive(
    "dot_general",
    infer=_infer,
    impl=_impl,
    jvp=linear_jvp(0, 1),
    vjp=_vjp,
    batch=_batch,
)
