"""`x.at[index]`: changed copies of immutable arrays.

An update of a slice becomes `dynamic_update_slice`, which compiled code does in place; one at
positions held in arrays becomes `scatter`; one under a boolean mask becomes `select`, so that masks
may be traced. Depends on `index_expressions`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.errors import ArgumentError, DtypeError, ShapeError, at_user_line
from rtfunc.core.trace import context
from rtfunc.numpy.creation import promote_data
from rtfunc.numpy.index_expressions import (
    Indexing,
    basic_types,
    cut_box,
    gather_params,
    numpy_index,
    parse,
    placed_with,
    read,
)
from rtfunc.numpy.positions import clipped, condition_array, index_array, wrapped
from rtfunc.ops.arithmetic import add, div, maximum, minimum, mul, neg, sub
from rtfunc.ops.convert import as_array, convert, scalar
from rtfunc.ops.cumulative import cumsum
from rtfunc.ops.dynamic_slice import dynamic_update_slice_p
from rtfunc.ops.elementwise import broadcast_to
from rtfunc.ops.exponential import power
from rtfunc.ops.gather import scatter_p
from rtfunc.ops.pad_slice import filled, pad_p
from rtfunc.ops.select import select
from rtfunc.ops.shape import reshape_p, rev_p

#: An array of a kind takes values of the same or a lower rank.
_rank = {"bool": 0, "unsigned": 1, "signed": 1, "float": 2, "complex": 3}


def _as_dtype_of(operation: str, x: Array, y: ArrayLike) -> Array:
    """`y` as the dtype of `x`; `DtypeError` where that loses a fraction or an imaginary part."""
    if type(y) in (bool, int, float, complex):
        given = np.asarray(y)
        if _rank[dtypes.kind(given.dtype)] <= _rank[dtypes.kind(x.dtype)]:
            try:
                return Array(np.asarray(y, x.dtype), x.weak_type)
            except OverflowError:
                raise ArgumentError(
                    at_user_line(f"{operation}: the value {y} does not fit in {x.dtype}.")
                ) from None
    y = as_array(operation, y)
    if y.dtype == x.dtype:
        return convert(y, y.dtype, y.weak_type and x.weak_type)
    if _rank.get(dtypes.kind(y.dtype), 4) > _rank.get(dtypes.kind(x.dtype), -1):
        raise DtypeError(
            at_user_line(
                f"{operation}: a value of dtype {y.dtype} does not go into an array of dtype "
                f"{x.dtype} without loss. Convert the array, x.astype({str(y.dtype)!r}), or the "
                "value."
            )
        )
    return convert(y, x.dtype, y.weak_type and x.weak_type)


def _fitted(operation: str, y: Array, shape: tuple[int, ...]) -> Array:
    """`y` broadcast to the shape of what is updated; leading axes of size 1 may be too many."""
    surplus = y.ndim - len(shape)
    if surplus > 0 and all(n == 1 for n in y.shape[:surplus]):
        y = reshape_p.bind(y, shape=y.shape[surplus:])
    try:
        fits = np.broadcast_shapes(y.shape, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise ShapeError(
            at_user_line(
                f"{operation}: a value of shape {y.shape} does not broadcast to the shape {shape} "
                "of the indexed part."
            )
        )
    return broadcast_to(y, shape)


_combine: dict[str, Callable[[Any, Any], Any]] = {
    "set": lambda current, y: y,
    "add": add,
    "mul": mul,
    "min": minimum,
    "max": maximum,
    "divide": div,
    "power": power,
}

# For concrete arrays: NumPy's functions, writing into their first argument.
_in_place: dict[str, np.ufunc] = {
    "add": np.add,
    "mul": np.multiply,
    "min": np.minimum,
    "max": np.maximum,
}


class IndexUpdater:
    """What `x.at` is: `x.at[index]` names the part that is updated.

    >>> x = Array(np.zeros(3, "float32"))
    >>> IndexUpdater(x)[1].set(5.0)
    Array([0., 5., 0.], dtype=float32)
    """

    __slots__ = ("_array",)

    def __init__(self, array: Array):
        self._array = array

    def __getitem__(self, index: Any) -> IndexedPart:
        return IndexedPart(self._array, index)

    def __repr__(self) -> str:
        return f"IndexUpdater({self._array!r})"


class IndexedPart:
    """A part of an array that is to be read, or replaced in a copy.

    Every method that updates takes the same options. `mode` says what becomes of positions in index
    arrays that are out of bounds: "drop" (the default; "fill" is the same) leaves them out, "clip"
    moves them inside, "promise_in_bounds" promises that there are none. `unique_indices` and
    `indices_are_sorted` are promises that allow for faster code. With `wrap_negative_indices=False`
    negative positions are out of bounds instead of counting from the end. Where an element is selected
    several times, `set` leaves the last value, the others combine all of them.
    """

    __slots__ = ("_array", "_index")

    def __init__(self, array: Array, index: Any):
        self._array = array
        self._index = index

    def __repr__(self) -> str:
        return f"IndexedPart({self._array!r}, {self._index!r})"

    def get(
        self,
        *,
        mode: str | None = None,
        fill_value: Any = None,
        unique_indices: bool = False,
        indices_are_sorted: bool = False,
        wrap_negative_indices: bool = True,
    ) -> Array:
        """`x[index]` with a choice of what is read out of bounds.

        `mode` is "clip" (the default), "fill", which reads `fill_value` (NaN, or the limit of an
        integer dtype, if not given), or "promise_in_bounds".

        >>> x = Array(np.arange(3, dtype="float32"))
        >>> IndexUpdater(x)[np.array([0, 9])].get(mode="fill")
        Array([ 0., nan], dtype=float32)
        """
        plan = parse(self._array.shape, self._index, wrap_negative_indices)
        return read(self._array, plan, mode, fill_value, unique_indices, indices_are_sorted)

    def set(self, value: ArrayLike, **options: Any) -> Array:
        """A copy in which the part is replaced by `value`, broadcast to its shape.

        >>> IndexUpdater(Array(np.zeros(3, "int32")))[1:].set(np.array([4, 5], "int32"))
        Array([0, 4, 5], dtype=int32)
        """
        return self._update("set", value, **options)

    def add(self, value: ArrayLike, **options: Any) -> Array:
        """A copy in which `value` is added to the part.

        >>> IndexUpdater(Array(np.zeros(3, "int32")))[np.array([1, 1])].add(2)
        Array([0, 4, 0], dtype=int32)
        """
        return self._update("add", value, **options)

    def subtract(self, value: ArrayLike, **options: Any) -> Array:
        """A copy in which `value` is subtracted from the part."""
        return self._update("subtract", value, **options)

    def multiply(self, value: ArrayLike, **options: Any) -> Array:
        """A copy in which the part is multiplied by `value`."""
        return self._update("mul", value, **options)

    mul = multiply

    def divide(self, value: ArrayLike, **options: Any) -> Array:
        """A copy in which the part is divided by `value`; for arrays of inexact dtype."""
        if not dtypes.is_inexact(self._array.dtype):
            raise DtypeError(
                at_user_line(
                    f"x.at[...].divide: quotients do not fit in {self._array.dtype}. "
                    "Convert the array first, for example with x.astype(float)."
                )
            )
        return self._update("divide", value, **options)

    def power(self, value: ArrayLike, **options: Any) -> Array:
        """A copy in which the part is raised to the power `value`."""
        return self._update("power", value, **options)

    def min(self, value: ArrayLike, **options: Any) -> Array:
        """A copy in which the part is the smaller of itself and `value`."""
        return self._update("min", value, **options)

    def max(self, value: ArrayLike, **options: Any) -> Array:
        """A copy in which the part is the larger of itself and `value`."""
        return self._update("max", value, **options)

    def apply(self, function: Callable[[Array], ArrayLike], **options: Any) -> Array:
        """A copy in which the part is `function` of itself, once even where it is selected twice.

        >>> IndexUpdater(Array(np.arange(3, dtype="int32")))[1:].apply(lambda part: part * 10)
        Array([ 0, 10, 20], dtype=int32)
        """
        return self.set(function(self.get()), **options)

    def _update(
        self,
        kind: str,
        value: ArrayLike,
        *,
        mode: str | None = None,
        unique_indices: bool = False,
        indices_are_sorted: bool = False,
        wrap_negative_indices: bool = True,
    ) -> Array:
        x, name = self._array, f"x.at[...].{_names.get(kind, kind)}"
        y = _as_dtype_of(name, x, value)
        if kind == "subtract":
            kind, y = "add", neg(y)
        if (
            context.trace is None
            and type(x) is Array
            and type(y) is Array
            and wrap_negative_indices
        ):
            found = _update_concrete(x, self._index, y, kind)
            if found is not None:
                return found
        mask = _single_mask(x, self._index)
        if mask is not None and y.ndim <= x.ndim - mask.ndim:
            return _update_masked(x, mask, y, kind)
        plan = parse(x.shape, self._index, wrap_negative_indices)
        if not plan.columns and not plan.has_arrays:
            y = _fitted(name, y, plan.shape)
            current = None if kind == "set" else read(x, plan)
            return _put_box(x, plan, _combine[kind](current, y))
        if kind in ("mul", "divide", "power") and not unique_indices:
            unique_indices = plan.is_unique()
        if kind in ("divide", "power"):
            if unique_indices:
                y = _combine[kind](read(x, plan, mode), y)
                kind = "set"
            else:
                # An element that is selected twice is divided twice.
                ones = filled(x.shape, 1, x.dtype)
                factors = _scatter(name, ones, plan, y, "mul", mode, False, indices_are_sorted)
                return _combine[kind](x, factors)
        return _scatter(name, x, plan, y, kind, mode, unique_indices, indices_are_sorted)


_names = {"mul": "multiply"}


def _update_concrete(x: Array, idx: Any, y: Array, kind: str) -> Array | None:
    """An update without transforms, by NumPy, where that means the same and is as fast; else None.

    NumPy refuses positions out of bounds, so that they are left to the general path.
    """
    kernel = _in_place.get(kind)
    if (kernel is None and kind != "set") or type(y._buffer) is not np.ndarray:
        return None
    found = numpy_index(x, idx)
    if found is None:
        return None
    # What integers, slices and a mask select, they select once.
    once = basic_types.issuperset(map(type, found)) or _single_mask(x, idx) is not None
    if not once:
        arrays = [i for i in found if type(i) not in basic_types]
        # NumPy goes through one index array in order; it does not say so of several. For many or
        # half-precision updates the kernel of scatter is better.
        if len(arrays) > 1 or np.ndim(arrays[0]) > 1 or x.dtype.itemsize < 4:
            return None
        if np.size(arrays[0]) * (x.size // max((1, *x.shape[:1]))) > 2048:
            return None
    out = x._buffer.copy()
    try:
        if kernel is None:
            out[found] = y._buffer
        elif once:
            out[found] = context.quiet(kernel, out[found], y._buffer)
        else:
            context.quiet(kernel.at, out, found, y._buffer)
    except (IndexError, ValueError):
        return None
    return Array(out, x._weak and y._weak)


def _single_mask(x: Array, idx: Any) -> Any:
    """The boolean mask, with at least one axis, that `idx` consists of, if it does."""
    if type(idx) is tuple and len(idx) == 1:
        idx = idx[0]
    if isinstance(idx, list):
        idx = np.asarray(idx) if idx and type(idx[0]) is bool else None
    if isinstance(idx, (Array, np.ndarray)) and idx.dtype == np.bool_ and idx.ndim:
        return idx if idx.shape == x.shape[: idx.ndim] else None
    return None


def _update_masked(x: Array, mask: Any, y: Array, kind: str) -> Array:
    mask = as_array("x.at[mask]", mask)
    if mask.ndim < x.ndim:
        mask = reshape_p.bind(mask, shape=mask.shape + (1,) * (x.ndim - mask.ndim))
    y = _fitted("x.at[mask]", y, x.shape)
    if kind in ("divide", "power"):
        y = select(mask, y, scalar(1, x.dtype))  # no NaN from where nothing is asked for
    return select(mask, _combine[kind](x, y), x)


def _scatter(
    name: str,
    x: Array,
    plan: Indexing,
    y: Array,
    kind: str,
    mode: str | None,
    unique: bool,
    are_sorted: bool,
) -> Array:
    updates = _fitted(name, y, plan.shape)
    if updates.shape != plan.gathered:
        updates = reshape_p.bind(updates, shape=plan.gathered)
    part = cut_box(x, plan)
    params = gather_params(plan, "fill" if mode is None else mode, unique, are_sorted)
    part = scatter_p.bind(part, placed_with(x, plan.indices()), updates, kind=kind, **params)
    return _put_box(x, plan, part)


def _put_box(x: Array, plan: Indexing, part: Any) -> Any:
    """`x` with `part`, whose axes are those of `plan.kept` and new ones, in place of its box."""
    if part.shape != plan.box:
        part = reshape_p.bind(part, shape=plan.box)
    if plan.reversed_axes:
        part = rev_p.bind(part, axes=plan.reversed_axes)
    if all(s == 1 for s in plan.stride):
        if plan.box == x.shape:
            return part
        starts = [scalar(i, dtypes.int32) for i in plan.start]
        return dynamic_update_slice_p.bind(x, part, *starts)
    # With gaps: a choice between x and the part spread out.
    spread = {
        "low": plan.start,
        "high": tuple(map(operator.sub, x.shape, plan.limit)),
        "interior": tuple(s - 1 for s in plan.stride),
    }
    part = pad_p.bind(part, scalar(0, part.dtype), **spread)
    inside = pad_p.bind(filled(plan.box, True, dtypes.bool_), scalar(False, dtypes.bool_), **spread)
    return select(inside, part, x)


# Updates under NumPy's names


def _copies_only(operation: str, inplace: bool) -> None:
    if inplace:
        raise ArgumentError(
            at_user_line(
                f"{operation}: arrays are immutable. Pass inplace=False and use the copy that it "
                "returns."
            )
        )


def _from_list(values: Any, x: Array) -> Any:
    """`values`, where they are a list an Array with the digits of `x`."""
    return promote_data("values", values, x)[0] if isinstance(values, (list, tuple)) else values


def fill_diagonal(
    a: ArrayLike, val: ArrayLike, wrap: bool = False, *, inplace: bool = True
) -> Array:
    """A copy of `a` with `val`, repeated where it is too short, on the main diagonal.

    `a` has two axes, or more of equal size; with `wrap`, the diagonal of a tall matrix starts again
    below its end. Raises `ArgumentError` for `inplace=True`, which is NumPy's default.

    >>> fill_diagonal(np.zeros((2, 2), "int32"), 5, inplace=False)
    Array([[5, 0],
           [0, 5]], dtype=int32)
    """
    _copies_only("fill_diagonal", inplace)
    x = as_array("fill_diagonal", a)
    if x.ndim < 2 or (x.ndim > 2 and len(set(x.shape)) != 1):
        raise ShapeError(
            at_user_line(
                f"fill_diagonal takes two axes, or more of one size, not the shape {x.shape}."
            )
        )
    places = np.zeros(x.shape, bool)
    np.fill_diagonal(places, True, wrap)
    found = np.nonzero(places)
    value = _from_list(val, x)
    if np.ndim(value):
        value = _cycled("fill_diagonal", as_array("fill_diagonal", value), len(found[0]))
    return IndexUpdater(x)[found].set(value)


def _cycled(operation: str, values: Array, count: int) -> Array:
    """The flattened `values`, from the start again at their end, `count` of them."""
    flat = reshape_p.bind(values, shape=(values.size,))
    if not flat.size and count:
        raise ShapeError(at_user_line(f"{operation}: there are no values to put in."))
    return flat[np.arange(count) % max(flat.size, 1)]


def put(
    a: ArrayLike,
    ind: ArrayLike,
    v: ArrayLike,
    mode: str | None = None,
    *,
    inplace: bool = True,
) -> Array:
    """A copy of `a` with the values `v`, repeated where too few, at flat indices `ind`.

    `mode` is "clip" (the default, as in JAX) or "wrap". Raises `ArgumentError` for `inplace=True`,
    which is NumPy's default.

    >>> put(np.zeros(3, "int32"), np.array([0, 2]), np.array([7, 8]), inplace=False)
    Array([7, 0, 8], dtype=int32)
    """
    _copies_only("put", inplace)
    x = as_array("put", a)
    places = index_array("put", ind)
    places = reshape_p.bind(places, shape=(places.size,))
    if mode not in (None, "clip", "wrap"):
        raise ArgumentError(at_user_line(f"put: mode is 'clip' or 'wrap', not {mode!r}."))
    if x.size:
        places = wrapped(places, x.size) if mode == "wrap" else clipped(places, x.size)
    values = _cycled("put", as_array("put", _from_list(v, x), x.dtype), places.size)
    flat = reshape_p.bind(x, shape=(x.size,))
    return reshape_p.bind(IndexUpdater(flat)[places].set(values), shape=x.shape)


def place(arr: ArrayLike, mask: ArrayLike, vals: ArrayLike, *, inplace: bool = True) -> Array:
    """A copy of `arr` in which the elements under `mask` are the `vals` in turn, repeated.

    Raises `ArgumentError` for `inplace=True`, which is NumPy's default.

    >>> place(np.arange(4), np.array([True, False, True, True]), np.array([7, 8]), inplace=False)
    Array([7, 1, 8, 7], dtype=int64)
    """
    _copies_only("place", inplace)
    x = as_array("place", arr)
    flags = condition_array("place", mask)
    if flags.size != x.size:
        raise ShapeError(
            at_user_line(f"place: a mask of shape {flags.shape} does not fit the shape {x.shape}.")
        )
    values = as_array("place", _from_list(vals, x), x.dtype)
    flat = reshape_p.bind(values, shape=(values.size,))
    if not flat.size:
        raise ShapeError(at_user_line("place: there are no values to put in."))
    flags = reshape_p.bind(flags, shape=x.shape)
    counted = cumsum(reshape_p.bind(convert(flags, dtypes.int32), shape=(x.size,)))
    turn = wrapped(sub(counted, scalar(1, dtypes.int32)), flat.size)
    return select(flags, reshape_p.bind(flat[turn], shape=x.shape), x)
