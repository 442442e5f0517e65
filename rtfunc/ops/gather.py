"""gather and scatter: reading and writing windows at positions held in arrays.

These two express all indexing with arrays, and any batch of it. They are each other's transpose and
share one description of which axes correspond, `GatherDimensionNumbers`. For operand x, indices i
of shape (*B, K), b over B, and w over the window:

    gather:   out[b, w] = x[start(b) + w]
    scatter:  x[start(b) + w] = combine(x[start(b) + w], updates[b, w]),  b in row-major order

where (b, w) stand at the axes that the dimension numbers say, start(b) is i[b, k] on axis
`start_index_map[k]` of x, b's own index on batching axes, and 0 elsewhere. A window that is not
wholly inside x is, according to `mode`,

    "clip":                moved inside: start = min(max(start, 0), size - window size)
    "fill":                read as `fill_value`; an update there is dropped
    "promise_in_bounds":   promised not to occur; what happens is unspecified, but memory-safe

Negative indices are out of bounds here (the indexing of users adds the size first). With kind "set"
the last update of an element wins, on every device. The param `unique_indices` promises that no
element is selected twice, windows having been moved inside. Kernels are in `gather_kernels`.
Depends on `arithmetic` and `pad_slice`.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.aval import Aval
from rtfunc.core.batching import at_front
from rtfunc.core.errors import (
    ArgumentError,
    DtypeError,
    IndexingError,
    ShapeError,
    UnsupportedError,
    at_user_line,
)
from rtfunc.core.primitive import Primitive, add_tangents
from rtfunc.ops.arithmetic import div, mul, neg
from rtfunc.ops.comparison import bitwise_or, eq, ne
from rtfunc.ops.convert import as_array, check_same_dtype, convert, promote, scalar
from rtfunc.ops.gather_kernels import GatherDimensionNumbers, gather_impl, scatter_impl
from rtfunc.ops.iota import iota_p
from rtfunc.ops.pad_slice import filled
from rtfunc.ops.select import select
from rtfunc.ops.shape import broadcast_in_dim_p, reshape_p


@dataclasses.dataclass(frozen=True, slots=True)
class ScatterDimensionNumbers:
    """JAX's names for the fields of `GatherDimensionNumbers`, as `scatter` takes them."""

    update_window_dims: Sequence[int]
    inserted_window_dims: Sequence[int]
    scatter_dims_to_operand_dims: Sequence[int]
    operand_batching_dims: Sequence[int] = ()
    scatter_indices_batching_dims: Sequence[int] = ()


def _numbers(dimension_numbers: Any) -> GatherDimensionNumbers:
    """The dimension numbers as the primitives take them: with tuples."""
    names = [field.name for field in dataclasses.fields(dimension_numbers)]
    return GatherDimensionNumbers(*(tuple(getattr(dimension_numbers, name)) for name in names))


_modes = {"drop": "fill", None: "fill"}


def gather_mode(operation: str, mode: str | None) -> str:
    """`mode` under its one name; `ArgumentError` for an unknown one."""
    mode = _modes.get(mode, mode)
    if mode not in ("clip", "fill", "promise_in_bounds"):
        raise ArgumentError(
            at_user_line(
                f"{operation}: mode is 'clip', 'fill' (or 'drop') or 'promise_in_bounds', "
                f"not {mode!r}."
            )
        )
    return mode


def default_fill(dtype: np.dtype) -> Any:
    """What out-of-bounds reads give: NaN, lowest signed or highest unsigned integer, or True."""
    if dtypes.is_inexact(dtype):
        return math.nan
    if dtype == dtypes.bool_:
        return True
    limits = np.iinfo(dtype)
    return int(limits.min if dtype in dtypes.signed else limits.max)


# Shapes


@functools.lru_cache(maxsize=1024)
def _check_numbers(
    operation: str,
    operand: tuple[int, ...],
    indices: tuple[int, ...],
    numbers: GatherDimensionNumbers,
    slice_sizes: tuple[int, ...],
    mode: str,
) -> tuple[int, ...]:
    """The shape of the windows for all indices (a gather's output); raises if anything is amiss."""

    def require(condition: bool, problem: str) -> None:
        if not condition:
            raise ShapeError(
                at_user_line(
                    f"{operation} of an operand of shape {operand} at indices of shape {indices} "
                    f"with windows of shape {slice_sizes}: {problem}."
                )
            )

    n, dropped = numbers, numbers.collapsed_slice_dims + numbers.operand_batching_dims
    require(len(slice_sizes) == len(operand), "the window has one size per axis of the operand")
    require(bool(indices), "indices have a last axis, which holds the start positions")
    require(
        indices[-1] == len(n.start_index_map),
        f"the last axis of the indices has an entry for each of {n.start_index_map}",
    )
    for name in ("collapsed_slice_dims", "start_index_map", "operand_batching_dims"):
        axes = getattr(n, name)
        inside = all(0 <= d < len(operand) for d in axes)
        require(inside and len(set(axes)) == len(axes), f"{name} {axes} are distinct axes of it")
    require(
        len(set(dropped)) == len(dropped)
        and not set(n.operand_batching_dims) & set(n.start_index_map),
        "operand_batching_dims are apart from collapsed_slice_dims and start_index_map",
    )
    require(
        len(n.operand_batching_dims) == len(n.start_indices_batching_dims)
        and all(
            0 <= i < len(indices) - 1 and indices[i] == operand[d]
            for d, i in zip(n.operand_batching_dims, n.start_indices_batching_dims)
        ),
        "the batching axes of operand and indices agree in number and size",
    )
    out_ndim = len(indices) - 1 + len(operand) - len(dropped)
    require(
        len(n.offset_dims) == len(operand) - len(dropped)
        and list(n.offset_dims) == sorted(set(n.offset_dims))
        and all(0 <= a < out_ndim for a in n.offset_dims),
        f"offset_dims {n.offset_dims} are one increasing axis of the output for each window axis",
    )
    window = iter(slice_sizes[d] for d in n.window_axes(len(operand)))
    batch = iter(indices[:-1])
    shape = tuple(next(window if a in n.offset_dims else batch) for a in range(out_ndim))
    require(all(slice_sizes[d] == 1 for d in dropped), "axes without output have window size 1")
    # An axis of size 0 has no elements to select, which only matters if any are asked for.
    fits = all(0 <= k <= size for k, size in zip(slice_sizes, operand))
    if not fits and (mode != "fill" or any(k > max(s, 1) for k, s in zip(slice_sizes, operand))):
        if math.prod(shape) and all(k <= max(s, 1) for k, s in zip(slice_sizes, operand)):
            raise IndexingError(
                at_user_line(
                    f"{operation}: an axis of size 0 of shape {operand} has no elements to select."
                )
            )
        require(not math.prod(shape), "a window is not larger than the operand")
    return shape


def _check_indices(operation: str, indices: Aval) -> None:
    if not dtypes.is_integer(indices.dtype):
        raise DtypeError(at_user_line(f"{operation} takes integer indices, not {indices.dtype}."))


# gather


def gather(
    operand: ArrayLike,
    indices: ArrayLike,
    dimension_numbers: GatherDimensionNumbers,
    slice_sizes: Sequence[int],
    *,
    unique_indices: bool = False,
    indices_are_sorted: bool = False,
    mode: str | None = None,
    fill_value: Any = None,
) -> Array:
    """Windows of `operand` at the start positions `indices`: see the module for the formula.

    Arguments:
      slice_sizes: size of the window along each axis of the operand.
      unique_indices, indices_are_sorted: promises that allow for faster code.
      mode: "clip" (the default), "fill" (the default with `fill_value`) or "promise_in_bounds".
      fill_value: for "fill"; NaN, or the limit of an integer dtype, by default.

    >>> rows = GatherDimensionNumbers((1,), (0,), (0,))
    >>> gather(np.eye(3, dtype="int32"), np.array([[2], [0]]), rows, (1, 3))
    Array([[0, 0, 1],
           [1, 0, 0]], dtype=int32)
    """
    if mode is None:
        mode = "clip" if fill_value is None else "fill"
    operand, mode = as_array("gather", operand), gather_mode("gather", mode)
    return gather_p.bind(
        operand,
        as_array("gather", indices),
        dimension_numbers=_numbers(dimension_numbers),
        slice_sizes=tuple(map(int, slice_sizes)),
        mode=mode,
        fill_value=filling_value(operand.dtype, mode, fill_value),
        unique_indices=bool(unique_indices) and mode != "clip",
        indices_are_sorted=bool(indices_are_sorted),
    )


def filling_value(dtype: np.dtype, mode: str, fill_value: Any) -> Any:
    """The parameter `fill_value` of a gather: a Python number for mode "fill", otherwise None."""
    if mode != "fill":
        return None
    if fill_value is not None:
        return np.asarray(fill_value).item()
    # NaN + 0j has no literal; of the real NaN there is one object, which equals itself as a parameter.
    return None if dtypes.is_complex(dtype) else default_fill(dtype)


def _gather_infer(
    operand: Aval,
    indices: Aval,
    *,
    dimension_numbers: GatherDimensionNumbers,
    slice_sizes: tuple[int, ...],
    mode: str,
    fill_value: Any,
    unique_indices: bool,
    indices_are_sorted: bool,
) -> Aval:
    _check_indices("gather", indices)
    shape = _check_numbers(
        "gather", operand.shape, indices.shape, dimension_numbers, slice_sizes, mode
    )
    return Aval(shape, operand.dtype, operand.weak_type)


def _gather_impl(
    xp: Any,
    operand: Any,
    indices: Any,
    *,
    dimension_numbers: GatherDimensionNumbers,
    slice_sizes: tuple[int, ...],
    mode: str,
    fill_value: Any,
    **promises: bool,
) -> Any:
    # Before, since NumPy would read something for shapes that do not fit.
    _check_numbers("gather", operand.shape, indices.shape, dimension_numbers, slice_sizes, mode)
    fill = default_fill(operand.dtype) if fill_value is None else fill_value
    return gather_impl(
        xp,
        operand,
        indices,
        numbers=dimension_numbers,
        slice_sizes=slice_sizes,
        mode=mode,
        fill=np.asarray(fill).astype(operand.dtype),
    )


def _gather_jvp(primitive: Primitive, primals: Any, tangents: Any, **params: Any) -> Any:
    out = primitive.bind(*primals, **params)
    return out, primitive.bind(tangents[0], primals[1], **{**params, "fill_value": 0})


def _gather_vjp(primitive: Primitive, needed: Any, operands: Any, **params: Any) -> Any:
    operand, indices = operands

    def pullback(ct: Any) -> list[Any]:
        zeros = filled(operand.shape, 0, ct.dtype)
        into = scatter_p.bind(
            zeros,
            indices,
            ct,
            kind="add",
            dimension_numbers=params["dimension_numbers"],
            mode=params["mode"],
            unique_indices=params["unique_indices"],
            indices_are_sorted=params["indices_are_sorted"],
        )
        return [into, None]

    return primitive.bind(*operands, **params), pullback


def _shift(axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(a + 1 for a in axes)


def _batched_numbers(
    n: GatherDimensionNumbers, operand: bool, indices: bool
) -> GatherDimensionNumbers:
    """The dimension numbers with the batch as first axis of operand, indices or both."""
    if not indices:
        return GatherDimensionNumbers(
            offset_dims=(0, *_shift(n.offset_dims)),
            collapsed_slice_dims=_shift(n.collapsed_slice_dims),
            start_index_map=_shift(n.start_index_map),
            operand_batching_dims=_shift(n.operand_batching_dims),
            start_indices_batching_dims=n.start_indices_batching_dims,
        )
    if not operand:
        return dataclasses.replace(
            n,
            offset_dims=_shift(n.offset_dims),
            start_indices_batching_dims=_shift(n.start_indices_batching_dims),
        )
    return GatherDimensionNumbers(
        offset_dims=_shift(n.offset_dims),
        collapsed_slice_dims=_shift(n.collapsed_slice_dims),
        start_index_map=_shift(n.start_index_map),
        operand_batching_dims=(0, *_shift(n.operand_batching_dims)),
        start_indices_batching_dims=(0, *_shift(n.start_indices_batching_dims)),
    )


def _gather_batch(
    primitive: Primitive, batch: Any, operands: Any, batch_axes: Any, **params: Any
) -> Any:
    (operand, indices), (d, i) = operands, batch_axes
    numbers = _batched_numbers(params["dimension_numbers"], d is not None, i is not None)
    sizes = params["slice_sizes"]
    if d is not None:
        sizes = (batch.size if i is None else 1, *sizes)
    promises = {}
    if i is not None:
        promises = {
            "unique_indices": params["unique_indices"] and d is not None,
            "indices_are_sorted": False,
        }
    out = primitive.bind(
        at_front(operand, d),
        at_front(indices, i),
        **{**params, "dimension_numbers": numbers, "slice_sizes": sizes, **promises},
    )
    return out, 0


gather_p = Primitive(
    "gather",
    infer=_gather_infer,
    impl=_gather_impl,
    jvp=_gather_jvp,
    vjp=_gather_vjp,
    batch=_gather_batch,
    weak="explicit",
)


# scatter

#: How an update meets an element: "set" replaces it.
scatter_kinds = ("set", "add", "mul", "min", "max")


def _scatter(kind: str, operation: str, doc: str, example: int) -> Any:
    def function(
        operand: ArrayLike,
        indices: ArrayLike,
        updates: ArrayLike,
        dimension_numbers: ScatterDimensionNumbers | GatherDimensionNumbers,
        *,
        indices_are_sorted: bool = False,
        unique_indices: bool = False,
        mode: str | None = None,
    ) -> Array:
        x, y = promote(operation, operand, updates)
        if operation == "scatter_sub":
            y = neg(y)
        return scatter_p.bind(
            x,
            as_array(operation, indices),
            y,
            kind=kind,
            dimension_numbers=_numbers(dimension_numbers),
            mode=gather_mode(operation, mode),
            # Distinct windows may meet when they are moved inside.
            unique_indices=bool(unique_indices) and mode != "clip",
            indices_are_sorted=bool(indices_are_sorted),
        )

    text = np.array2string(np.array([1, example, 1]), separator=", ")
    function.__name__ = function.__qualname__ = operation
    function.__doc__ = f"""`operand` with its windows at `indices` {doc} `updates`.

    Updates go in row-major order of the indices; those out of bounds are dropped unless `mode` says
    "clip" or "promise_in_bounds". See the module for the formula.

    >>> numbers = ScatterDimensionNumbers((), (0,), (0,))
    >>> {operation}(np.ones(3, "int32"), np.array([[1]]), np.full(1, 5, "int32"), numbers)
    Array({text}, dtype=int32)
    """
    return function


scatter = _scatter("set", "scatter", "replaced by", 5)
scatter_add = _scatter("add", "scatter_add", "increased by", 6)
scatter_sub = _scatter("add", "scatter_sub", "decreased by", -4)
scatter_mul = _scatter("mul", "scatter_mul", "multiplied by", 5)
scatter_min = _scatter("min", "scatter_min", "limited from above by", 1)
scatter_max = _scatter("max", "scatter_max", "limited from below by", 5)


def window_sizes(
    operand: tuple[int, ...], updates: tuple[int, ...], numbers: GatherDimensionNumbers
) -> tuple[int, ...]:
    """The slice sizes of the gather that reads what a scatter of `updates` writes."""
    sizes = [1] * len(operand)
    for d, a in zip(numbers.window_axes(len(operand)), numbers.offset_dims):
        sizes[d] = updates[a] if a < len(updates) else -1
    return tuple(sizes)


def _scatter_infer(
    operand: Aval,
    indices: Aval,
    updates: Aval,
    *,
    kind: str,
    dimension_numbers: GatherDimensionNumbers,
    mode: str,
    unique_indices: bool,
    indices_are_sorted: bool,
) -> Aval:
    _check_indices("scatter", indices)
    dtype = check_same_dtype("scatter", (operand, updates))
    if kind in ("min", "max") and dtypes.is_complex(dtype):
        raise DtypeError(at_user_line(f"scatter with {kind} takes ordered values, not {dtype}."))
    sizes = window_sizes(operand.shape, updates.shape, dimension_numbers)
    shape = _check_numbers(
        "scatter", operand.shape, indices.shape, dimension_numbers, sizes, "fill"
    )
    if shape != updates.shape:
        raise ShapeError(
            at_user_line(
                f"scatter into {operand} at indices {indices} takes updates of shape {shape}, "
                f"got {updates}."
            )
        )
    return Aval(operand.shape, dtype, operand.weak_type and updates.weak_type)


def _scatter_impl(
    xp: Any,
    operand: Any,
    indices: Any,
    updates: Any,
    *,
    kind: str,
    dimension_numbers: GatherDimensionNumbers,
    mode: str,
    unique_indices: bool,
    indices_are_sorted: bool,
) -> Any:
    sizes = window_sizes(operand.shape, updates.shape, dimension_numbers)
    return scatter_impl(
        xp,
        operand,
        indices,
        updates,
        kind=kind,
        numbers=dimension_numbers,
        slice_sizes=sizes,
        mode=mode,
        unique_indices=unique_indices,
    )


class _Scattering:
    """One scatter's indices and params, and the operations on windows that its derivatives take."""

    def __init__(self, operand: Any, indices: Any, updates: Any, params: dict[str, Any]):
        self.operand, self.indices, self.updates, self.params = operand, indices, updates, params

    def put(self, kind: str, into: Any, updates: Any) -> Any:
        """`into` with `updates` scattered at the same places."""
        return scatter_p.bind(into, self.indices, updates, **{**self.params, "kind": kind})

    def read(self, x: Any, fill_value: Any = 0) -> Any:
        """The windows of `x` at the same places, in the shape of the updates."""
        params = {name: v for name, v in self.params.items() if name != "kind"}
        numbers = params["dimension_numbers"]
        sizes = window_sizes(self.operand.shape, self.updates.shape, numbers)
        return gather_p.bind(x, self.indices, slice_sizes=sizes, fill_value=fill_value, **params)

    def zeros(self, like: Any) -> Any:
        return filled(like.shape, 0, like.dtype)

    def winners(self) -> Any:
        """For each update, whether it is the last one of its element: shape of the updates."""
        count = math.prod(self.indices.shape[:-1])
        offset_dims = self.params["dimension_numbers"].offset_dims
        batch_axes = tuple(a for a in range(self.updates.ndim) if a not in offset_dims)
        turn = iota_p.bind(shape=(count,), dtype=dtypes.int32, axis=0)
        turn = reshape_p.bind(turn, shape=self.indices.shape[:-1])
        turns = broadcast_in_dim_p.bind(turn, shape=self.updates.shape, axes=batch_axes)
        last = self.put("set", filled(self.operand.shape, -1, dtypes.int32), turns)
        return eq(self.read(last, -1), turns)

    def shares(self, out: Any) -> tuple[Any, Any]:
        """For min and max: the share of each element and of each update in the result.

        All that equal the extremum share equally; NaN, which wins, counts as equal to itself.
        """
        dtype = out.dtype
        kept = convert(_same(self.operand, out), dtype)
        taken = convert(_same(self.updates, self.read(out)), dtype)
        count = self.put("add", kept, taken)
        return div(kept, count), div(taken, self.read(count, 1))

    def need_unique(self) -> None:
        if not self.params["unique_indices"]:
            raise UnsupportedError(
                at_user_line(
                    "The derivative of a multiplying scatter (x.at[i].multiply(y)) with respect to "
                    "the factors exists only for indices without duplicates. If there are none, "
                    "pass unique_indices=True."
                )
            )


def _same(x: Any, extremum: Any) -> Any:
    return bitwise_or(eq(x, extremum), ne(x, x))


def _scatter_jvp(primitive: Primitive, primals: Any, tangents: Any, **params: Any) -> Any:
    operand, indices, updates = primals
    t, _, u = tangents
    out = primitive.bind(*primals, **params)
    if t is None and u is None:
        return out, None
    at, kind = _Scattering(operand, indices, updates, params), params["kind"]
    if kind in ("set", "add"):
        t = at.zeros(operand) if t is None else t
        if u is None and kind == "add":
            return out, t
        return out, at.put(kind, t, at.zeros(updates) if u is None else u)
    total = None
    if kind == "mul":
        if t is not None:
            total = at.put("mul", t, updates)
        if u is not None:
            at.need_unique()
            total = add_tangents(total, at.put("add", at.zeros(operand), mul(u, at.read(operand))))
        return out, total
    of_operand, of_updates = at.shares(out)
    if t is not None:
        total = mul(t, of_operand)
    if u is not None:
        total = at.put("add", at.zeros(operand) if total is None else total, mul(u, of_updates))
    return out, total


def _scatter_vjp(primitive: Primitive, needed: Any, operands: Any, **params: Any) -> Any:
    operand, indices, updates = operands
    out = primitive.bind(*operands, **params)
    at, kind = _Scattering(operand, indices, updates, params), params["kind"]
    if kind == "mul" and needed[2]:
        at.need_unique()

    def pullback(ct: Any) -> list[Any]:
        into_operand = into_updates = None
        if kind == "add":
            into_operand = ct
            into_updates = at.read(ct) if needed[2] else None
        elif kind == "set":
            if needed[0]:
                into_operand = at.put("set", ct, at.zeros(updates))
            if needed[2]:
                into_updates = at.read(ct)
                if not params["unique_indices"]:
                    into_updates = select(at.winners(), into_updates, scalar(0, ct.dtype))
        elif kind == "mul":
            into_operand = at.put("mul", ct, updates) if needed[0] else None
            into_updates = mul(at.read(ct), at.read(operand)) if needed[2] else None
        else:
            of_operand, of_updates = at.shares(out)
            into_operand = mul(ct, of_operand) if needed[0] else None
            into_updates = mul(at.read(ct), of_updates) if needed[2] else None
        return [into_operand, None, into_updates]

    return out, pullback


def _scatter_batch(
    primitive: Primitive, batch: Any, operands: Any, batch_axes: Any, **params: Any
) -> Any:
    (operand, indices, updates), (d, i, u) = operands, batch_axes
    operand, updates = at_front(operand, d, batch.size), at_front(updates, u, batch.size)
    numbers = _batched_numbers(params["dimension_numbers"], True, i is not None)
    params = {**params, "dimension_numbers": numbers}
    if i is not None:
        params["indices_are_sorted"] = False
    return primitive.bind(operand, at_front(indices, i), updates, **params), 0


scatter_p = Primitive(
    "scatter",
    infer=_scatter_infer,
    impl=_scatter_impl,
    jvp=_scatter_jvp,
    vjp=_scatter_vjp,
    batch=_scatter_batch,
    weak="explicit",
)
