"""Collectives: what the members of a mapped axis compute together.

Under `vmap(f, axis_name="i")` the function `f` sees one member, and a collective over "i" combines
the values of all members: `psum` is their sum, `all_gather` all of them, `axis_index` a member's
own number. The batch rule for the axis that a collective names turns it into an operation along the
batch axis; any other batch axis is carried along. A collective over an axis that no `vmap` provides
is an error where it is called, so it never reaches a kernel.

Derivatives are those of the sum over all members: reverse mode of `psum` is `psum`, of `all_gather`
it is `psum_scatter`, and so on, as in JAX. Depends on `reduce`, `gather`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rtfunc.core import dtypes, pytree
from rtfunc.core.array import Array
from rtfunc.core.aval import Aval
from rtfunc.core.batching import at_front, move_axis, to_axis
from rtfunc.core.errors import (
    ArgumentError,
    DtypeError,
    ShapeError,
    UnboundAxisError,
    at_user_line,
)
from rtfunc.core.primitive import Primitive, linear_jvp, no_jvp, no_vjp, transposing
from rtfunc.core.trace import context
from rtfunc.ops.arithmetic import add, div, mul
from rtfunc.ops.comparison import eq
from rtfunc.ops.convert import as_array, convert, promote_inexact, scalar
from rtfunc.ops.gather import GatherDimensionNumbers, gather
from rtfunc.ops.iota import iota_p
from rtfunc.ops.reduce import reduce_max_p, reduce_min_p, reduce_sum_p
from rtfunc.ops.shape import normalize_axis, reshape_p


def _names(operation: str, axis_name: Any) -> tuple[Any, ...]:
    """The axis names as a tuple; raises where one is not bound."""
    names = tuple(axis_name) if isinstance(axis_name, (tuple, list)) else (axis_name,)
    for name in names:
        if name not in context.axis_sizes:
            raise _unbound(operation, name)
    if len(set(names)) != len(names):
        raise ArgumentError(at_user_line(f"{operation}: an axis name is given twice in {names}."))
    return names


def _unbound(operation: str, name: Any) -> UnboundAxisError:
    scope = ", ".join(map(repr, context.axis_sizes)) or "none"
    return UnboundAxisError(
        at_user_line(
            f"{operation}: no surrounding vmap provides an axis named {name!r} (names in scope: "
            f"{scope}). Give it one with rtfunc.vmap(..., axis_name={name!r})."
        )
    )


def _one_name(operation: str, axis_name: Any) -> tuple[tuple[Any], int]:
    """The one axis name, and the size of that axis."""
    names = _names(operation, axis_name)
    if len(names) != 1:
        raise ArgumentError(
            at_user_line(f"{operation} works over one axis at a time, not over {names}.")
        )
    return names, context.axis_sizes[names[0]]


def axis_size(axis_name: Any) -> int:
    """The number of members of the mapped axis (the product for several axes): a Python integer.

    Raises `UnboundAxisError` when no surrounding `vmap` has an axis of that name.
    """
    return math.prod(context.axis_sizes[name] for name in _names("axis_size", axis_name))


def _unbound_impl(name: str) -> Callable[..., Any]:
    def impl(xp: Any, *operands: Any, axis_names: tuple[Any, ...], **params: Any) -> Any:
        raise _unbound(name, axis_names[0])

    return impl


def _over_leaves(function: Callable[[Any], Any], tree: Any) -> Any:
    return pytree.map(function, tree)


# Reductions: psum, pmax, pmin


def psum(x: Any, axis_name: Any) -> Any:
    """The sum of `x` over all members of the mapped axis (or axes), the same for each member.

    Arguments:
      x: an array or a pytree of arrays. A Python number gives the number times the size of the
        axis, as a Python number.
      axis_name: name of the axis, or a tuple of names.

    Raises `UnboundAxisError` when no surrounding `vmap` has an axis of that name.

    >>> import rtfunc as rf, rtfunc.numpy as rnp
    >>> rf.vmap(lambda x: x / psum(x, "i"), axis_name="i")(rnp.array([1.0, 3.0]))
    Array([0.25, 0.75], dtype=float32)
    """
    names = _names("psum", axis_name)
    size = math.prod(context.axis_sizes[name] for name in names)

    def one(leaf: Any) -> Any:
        if type(leaf) in (bool, int, float, complex):
            return leaf * size
        leaf = as_array("psum", leaf)
        if leaf.dtype == dtypes.bool_:
            leaf = convert(leaf, dtypes.default_int)
        return psum_p.bind(leaf, axis_names=names) if names else leaf

    return _over_leaves(one, x)


def pmean(x: Any, axis_name: Any) -> Any:
    """The mean of `x` over all members of the mapped axis (or axes).

    Arguments and errors as for `psum`; integers become the default float.

    >>> import rtfunc as rf, rtfunc.numpy as rnp
    >>> rf.vmap(lambda x: x - pmean(x, "i"), axis_name="i")(rnp.array([1.0, 3.0]))
    Array([-1.,  1.], dtype=float32)
    """
    size = math.prod(context.axis_sizes[name] for name in _names("pmean", axis_name))

    def one(total: Any) -> Any:
        if not isinstance(total, Array):
            return total / size
        (total,) = promote_inexact("pmean", total)
        return div(total, size)

    return _over_leaves(one, psum(x, axis_name))


def pmax(x: Any, axis_name: Any) -> Any:
    """The maximum of `x` over all members of the mapped axis (or axes).

    Arguments and errors as for `psum`. Members that share the maximum share its derivative.

    >>> import rtfunc as rf, rtfunc.numpy as rnp
    >>> rf.vmap(lambda x: pmax(x, "i"), axis_name="i")(rnp.array([1, 3]))
    Array([3, 3], dtype=int32)
    """
    names = _names("pmax", axis_name)
    return _over_leaves(lambda a: pmax_p.bind(as_array("pmax", a), axis_names=names), x)


def pmin(x: Any, axis_name: Any) -> Any:
    """The minimum of `x` over all members of the mapped axis (or axes).

    Arguments and errors as for `psum`. Members that share the minimum share its derivative.

    >>> import rtfunc as rf, rtfunc.numpy as rnp
    >>> rf.vmap(lambda x: pmin(x, "i"), axis_name="i")(rnp.array([1, 3]))
    Array([1, 1], dtype=int32)
    """
    names = _names("pmin", axis_name)
    return _over_leaves(lambda a: pmin_p.bind(as_array("pmin", a), axis_names=names), x)


def _same_infer(name: str, over: Sequence[np.dtype]) -> Callable[..., Aval]:
    def infer(x: Aval, *, axis_names: tuple[Any, ...]) -> Aval:
        if x.dtype not in over:
            raise DtypeError(at_user_line(f"{name} does not take {x.dtype}."))
        return x

    return infer


def _reduction_batch(
    reduction: Primitive, unbatched: Callable[[Any, int], Any]
) -> Callable[..., Any]:
    """`unbatched(x, size)` is the reduction of `size` copies of x."""

    def batch_rule(
        primitive: Primitive, batch: Any, operands: Any, batch_axes: Any, *, axis_names: Any
    ) -> Any:
        (x,), (d,) = operands, batch_axes
        if batch.name is None or batch.name not in axis_names:
            return primitive.bind(x, axis_names=axis_names), d
        x = unbatched(x, batch.size) if d is None else reduction.bind(x, axes=(d,))
        others = tuple(name for name in axis_names if name != batch.name)
        return (primitive.bind(x, axis_names=others) if others else x), None

    return batch_rule


psum_p = Primitive(
    "psum",
    infer=_same_infer("psum", dtypes.numeric),
    impl=_unbound_impl("psum"),
    jvp=linear_jvp(0),
    vjp=transposing(lambda ct, x, *, axis_names: psum_p.bind(ct, axis_names=axis_names)),
    batch=_reduction_batch(reduce_sum_p, lambda x, size: mul(x, scalar(size, x.dtype))),
)


def _share(x: Any, out: Any, axis_names: Any) -> Any:
    """The part of each member in the extremum."""
    chosen = convert(eq(x, out), x.dtype)
    return div(chosen, psum_p.bind(chosen, axis_names=axis_names))


def _extremum_jvp(primitive: Primitive, primals: Any, tangents: Any, *, axis_names: Any) -> Any:
    (x,), (t,) = primals, tangents
    out = primitive.bind(x, axis_names=axis_names)
    return out, psum_p.bind(mul(t, _share(x, out, axis_names)), axis_names=axis_names)


def _extremum_vjp(primitive: Primitive, needed: Any, operands: Any, *, axis_names: Any) -> Any:
    (x,) = operands
    out = primitive.bind(x, axis_names=axis_names)

    def pullback(ct: Any) -> list[Any]:
        total = psum_p.bind(ct, axis_names=axis_names)
        return [mul(total, _share(x, out, axis_names))]

    return out, pullback


def _extremum(name: str, reduction: Primitive) -> Primitive:
    return Primitive(
        name,
        infer=_same_infer(name, dtypes.everything),
        impl=_unbound_impl(name),
        jvp=_extremum_jvp,
        vjp=_extremum_vjp,
        batch=_reduction_batch(reduction, lambda x, size: x),
    )


pmax_p = _extremum("pmax", reduce_max_p)
pmin_p = _extremum("pmin", reduce_min_p)


# axis_index


def axis_index(axis_name: Any) -> Array:
    """The number of this member along the mapped axis, an int32 scalar; row-major for several axes.

    Raises `UnboundAxisError` when no surrounding `vmap` has an axis of that name.

    >>> import rtfunc as rf, rtfunc.numpy as rnp
    >>> rf.vmap(lambda x: axis_index("i"), axis_name="i")(rnp.zeros(3))
    Array([0, 1, 2], dtype=int32)
    """
    index: Any = None
    for name in _names("axis_index", axis_name):
        own = axis_index_p.bind(axis_names=(name,))
        if index is None:
            index = own
        else:
            index = add(mul(index, scalar(context.axis_sizes[name], dtypes.int32)), own)
    return scalar(0, dtypes.int32) if index is None else index


def _axis_index_batch(
    primitive: Primitive, batch: Any, operands: Any, batch_axes: Any, *, axis_names: Any
) -> Any:
    return iota_p.bind(shape=(batch.size,), dtype=dtypes.int32, axis=0), 0


axis_index_p = Primitive(
    "axis_index",
    infer=lambda *, axis_names: Aval((), dtypes.int32),
    impl=_unbound_impl("axis_index"),
    jvp=no_jvp,
    vjp=no_vjp,
    batch=_axis_index_batch,
    weak="strong",
)


# Exchanges: all_gather, psum_scatter, all_to_all, ppermute. Each has the size of the named axis as
# a param, so that its shape rule needs no context.


def _carrying(rule: Callable[..., Any], axis_params: Sequence[str]) -> Callable[..., Any]:
    """A batch rule: `rule(x, d, **params)` for the named axis; another one is carried in front."""

    def batch_rule(
        primitive: Primitive,
        batch: Any,
        operands: Any,
        batch_axes: Any,
        *,
        axis_names: Any,
        **params: Any,
    ) -> Any:
        (x,), (d,) = operands, batch_axes
        if batch.name is not None and batch.name in axis_names:
            return rule(x, d, **params)
        for name in axis_params:
            params[name] += 1
        return primitive.bind(at_front(x, d), axis_names=axis_names, **params), 0

    return batch_rule


def _split_axis(x: Any, axis: int, size: int) -> Any:
    """Axis `axis` as two: `size` parts, and what each holds."""
    shape = (*x.shape[:axis], size, x.shape[axis] // size, *x.shape[axis + 1 :])
    return reshape_p.bind(x, shape=shape)


def _merge_axes(x: Any, axis: int) -> Any:
    """Axes `axis` and `axis + 1` as one."""
    shape = (*x.shape[:axis], x.shape[axis] * x.shape[axis + 1], *x.shape[axis + 2 :])
    return reshape_p.bind(x, shape=shape)


def all_gather(x: Any, axis_name: Any, *, axis: int = 0, tiled: bool = False) -> Any:
    """The values of all members along a new axis of the result, the same for each member.

    Arguments:
      x: an array or a pytree of arrays.
      axis_name: name of the mapped axis, or a tuple of names (row-major).
      axis: where the new axis stands in the result.
      tiled: join the values along the existing axis `axis` instead.

    Raises `UnboundAxisError` when no surrounding `vmap` has an axis of that name.

    >>> import rtfunc as rf, rtfunc.numpy as rnp
    >>> rf.vmap(lambda x: all_gather(x, "i"), axis_name="i")(rnp.array([1, 3]))
    Array([[1, 3],
           [1, 3]], dtype=int32)
    """
    names = _names("all_gather", axis_name)

    def one(leaf: Any) -> Any:
        leaf = as_array("all_gather", leaf)
        number = normalize_axis("all_gather", axis, leaf.ndim + (not tiled))
        for i, name in enumerate(reversed(names)):
            size = context.axis_sizes[name]
            leaf = all_gather_p.bind(leaf, axis_names=(name,), axis=number, tiled=tiled, size=size)
            if i and not tiled:
                leaf = _merge_axes(leaf, number)
        return leaf

    return _over_leaves(one, x)


def _all_gather_infer(x: Aval, *, axis_names: Any, axis: int, tiled: bool, size: int) -> Aval:
    number = normalize_axis("all_gather", axis, x.ndim + (not tiled))
    if tiled:
        shape = (*x.shape[:number], x.shape[number] * size, *x.shape[number + 1 :])
    else:
        shape = (*x.shape[:number], size, *x.shape[number:])
    return Aval(shape, x.dtype)


def _all_gather_over(x: Any, d: Any, *, axis: int, tiled: bool, size: int) -> Any:
    x = to_axis(x, d, axis, size)
    return (_merge_axes(x, axis) if tiled else x), None


all_gather_p = Primitive(
    "all_gather",
    infer=_all_gather_infer,
    impl=_unbound_impl("all_gather"),
    jvp=linear_jvp(0),
    vjp=transposing(lambda ct, x, **params: psum_scatter_p.bind(ct, **params)),
    batch=_carrying(_all_gather_over, ("axis",)),
)


def psum_scatter(x: Any, axis_name: Any, *, scatter_dimension: int = 0, tiled: bool = False) -> Any:
    """Each member's own part of the sum over all members: `psum`, then keep slice `axis_index`.

    Arguments:
      x: an array or a pytree of arrays.
      axis_name: name of the mapped axis.
      scatter_dimension: the axis of x that is divided; it has the size of the mapped axis and is
        dropped.
      tiled: divide the axis, of a multiple of that size, into equal parts instead.

    Raises `UnboundAxisError` for an unknown name and `ShapeError` for a size that does not fit.

    >>> import rtfunc as rf, rtfunc.numpy as rnp
    >>> rf.vmap(lambda x: psum_scatter(x, "i"), axis_name="i")(rnp.array([[1, 2], [3, 4]]))
    Array([4, 6], dtype=int32)
    """
    names, size = _one_name("psum_scatter", axis_name)

    def one(leaf: Any) -> Any:
        leaf = as_array("psum_scatter", leaf)
        axis = normalize_axis("psum_scatter", scatter_dimension, leaf.ndim)
        return psum_scatter_p.bind(leaf, axis_names=names, axis=axis, tiled=tiled, size=size)

    return _over_leaves(one, x)


def _check_divided(operation: str, x: Aval, axis: int, tiled: bool, size: int) -> None:
    n = x.shape[axis]
    if (n % size if tiled else n != size) if size else n:
        raise ShapeError(
            at_user_line(
                f"{operation}: axis {axis} of {x} has size {n}, which is not "
                f"{'a multiple of ' if tiled else ''}{size}, the size of the mapped axis."
            )
        )


def _psum_scatter_infer(x: Aval, *, axis_names: Any, axis: int, tiled: bool, size: int) -> Aval:
    if x.dtype not in dtypes.numeric:
        raise DtypeError(at_user_line(f"psum_scatter does not take {x.dtype}."))
    _check_divided("psum_scatter", x, axis, tiled, size)
    part = (x.shape[axis] // size,) if tiled else ()
    return Aval((*x.shape[:axis], *part, *x.shape[axis + 1 :]), x.dtype)


def _psum_scatter_over(x: Any, d: Any, *, axis: int, tiled: bool, size: int) -> Any:
    if d is None:
        x = mul(x, scalar(size, x.dtype))
    else:
        x = reduce_sum_p.bind(x, axes=(d,))
    _check_divided("psum_scatter", x.aval, axis, tiled, size)
    return (_split_axis(x, axis, size) if tiled else x), axis


psum_scatter_p = Primitive(
    "psum_scatter",
    infer=_psum_scatter_infer,
    impl=_unbound_impl("psum_scatter"),
    jvp=linear_jvp(0),
    vjp=transposing(lambda ct, x, **params: all_gather_p.bind(ct, **params)),
    batch=_carrying(_psum_scatter_over, ("axis",)),
)


def all_to_all(
    x: Any, axis_name: Any, split_axis: int, concat_axis: int, *, tiled: bool = False
) -> Any:
    """Exchange the mapped axis with an axis of `x`: part j of member i becomes part i of member j.

    Arguments:
      x: an array or a pytree of arrays.
      axis_name: name of the mapped axis.
      split_axis: the axis that is divided among the members; it has the size of the mapped axis.
      concat_axis: where the axis over the members that sent stands in the result.
      tiled: divide and join axes of any multiple of the size instead of dropping and adding them.

    Raises `UnboundAxisError` for an unknown name and `ShapeError` for a size that does not fit.

    >>> import rtfunc as rf, rtfunc.numpy as rnp
    >>> rf.vmap(lambda x: all_to_all(x, "i", 0, 0), axis_name="i")(rnp.array([[1, 2], [3, 4]]))
    Array([[1, 3],
           [2, 4]], dtype=int32)
    """
    names, size = _one_name("all_to_all", axis_name)

    def one(leaf: Any) -> Any:
        leaf = as_array("all_to_all", leaf)
        return all_to_all_p.bind(
            leaf,
            axis_names=names,
            split=normalize_axis("all_to_all", split_axis, leaf.ndim),
            concat=normalize_axis("all_to_all", concat_axis, leaf.ndim),
            tiled=tiled,
            size=size,
        )

    return _over_leaves(one, x)


def _all_to_all_infer(
    x: Aval, *, axis_names: Any, split: int, concat: int, tiled: bool, size: int
) -> Aval:
    _check_divided("all_to_all", x, split, tiled, size)
    shape = list(x.shape)
    if tiled:
        shape[split] //= size
        shape[concat] *= size
    else:
        del shape[split]
        shape.insert(concat, size)
    return Aval(tuple(shape), x.dtype)


def _all_to_all_over(x: Any, d: Any, *, split: int, concat: int, tiled: bool, size: int) -> Any:
    x = at_front(x, d, size)
    _check_divided("all_to_all", Aval(x.shape[1:], x.dtype), split, tiled, size)
    if tiled:
        x = _split_axis(x, split + 1, size)
    x = move_axis(move_axis(x, split + 1, 0), 1, concat + 1)
    return (_merge_axes(x, concat + 1) if tiled else x), 0


def _all_to_all_transpose(ct: Any, x: Any, *, split: int, concat: int, **params: Any) -> Any:
    return all_to_all_p.bind(ct, split=concat, concat=split, **params)


all_to_all_p = Primitive(
    "all_to_all",
    infer=_all_to_all_infer,
    impl=_unbound_impl("all_to_all"),
    jvp=linear_jvp(0),
    vjp=transposing(_all_to_all_transpose),
    batch=_carrying(_all_to_all_over, ("split", "concat")),
)


def ppermute(x: Any, axis_name: Any, perm: Sequence[tuple[int, int]]) -> Any:
    """Send `x` from member to member: `perm` has pairs (source, destination).

    A member that is no destination gets zeros. Raises `UnboundAxisError` for an unknown name and
    `ArgumentError` when a source or a destination is given twice or is not a member.

    >>> import rtfunc as rf, rtfunc.numpy as rnp
    >>> rf.vmap(lambda x: ppermute(x, "i", [(0, 1), (1, 2)]), axis_name="i")(rnp.array([1, 2, 3]))
    Array([0, 1, 2], dtype=int32)
    """
    names, size = _one_name("ppermute", axis_name)
    pairs = tuple((int(s), int(t)) for s, t in perm)
    for members in zip(*pairs):
        if len(set(members)) != len(members) or any(not 0 <= m < size for m in members):
            raise ArgumentError(
                at_user_line(
                    f"ppermute: sources and destinations are different numbers from 0 to "
                    f"{size - 1}, but perm is {pairs}."
                )
            )

    def one(leaf: Any) -> Any:
        leaf = as_array("ppermute", leaf)
        return ppermute_p.bind(leaf, axis_names=names, permutation=pairs, size=size)

    return _over_leaves(one, x)


def _ppermute_over(x: Any, d: Any, *, permutation: tuple[tuple[int, int], ...], size: int) -> Any:
    x = at_front(x, d, size)
    sources = np.full((size, 1), size, np.int32)  # out of bounds: read as zero
    for source, destination in permutation:
        sources[destination] = source
    numbers = GatherDimensionNumbers(tuple(range(1, x.ndim)), (0,), (0,))
    sizes = (min(size, 1), *x.shape[1:])
    return gather(x, sources, numbers, sizes, mode="fill", fill_value=0), 0


def _ppermute_transpose(ct: Any, x: Any, *, permutation: Any, **params: Any) -> Any:
    backward = tuple((destination, source) for source, destination in permutation)
    return ppermute_p.bind(ct, permutation=backward, **params)


ppermute_p = Primitive(
    "ppermute",
    infer=lambda x, *, axis_names, permutation, size: x,
    impl=_unbound_impl("ppermute"),
    jvp=linear_jvp(0),
    vjp=transposing(_ppermute_transpose),
    batch=_carrying(_ppermute_over, ()),
)
