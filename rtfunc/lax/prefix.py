"""associative_scan: the running combination of elements under any associative operation.

Depends on `ops` and `transforms`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rtfunc.core import pytree
from rtfunc.core.array import Array
from rtfunc.core.errors import ArgumentError, ShapeError, TreeError, at_user_line
from rtfunc.ops.pad_slice import concatenate, slice_in_dim
from rtfunc.ops.shape import expand_dims, normalize_axis, reshape, rev
from rtfunc.transforms.arguments import check_callable, function_name, leaf_arrays


def associative_scan(
    fn: Callable[[Any, Any], Any], elems: Any, reverse: bool = False, axis: int = 0
) -> Any:
    """All prefixes of `elems` along `axis`, combined by `fn`, in about log2(n) rounds.

    Result i is `fn(... fn(fn(elems[0], elems[1]), elems[2]) ..., elems[i])` with other brackets:
    `fn` must be associative. It is given slices along `axis` of any length, and combines them
    element by element.

    Arguments:
      fn: takes two pytrees like `elems` and returns one like them.
      elems: a pytree of arrays of equal size along `axis`.
      reverse: combine from the last element to the first.

    Raises `ShapeError` for sizes that differ and `TreeError` if fn changes the structure.

    Source: G. Blelloch, Prefix Sums and Their Applications, 1990.

    >>> import rtfunc as rf, rtfunc.numpy as rnp
    >>> rf.lax.associative_scan(rnp.add, rnp.arange(5.0))
    Array([ 0.,  1.,  3.,  6., 10.], dtype=float32)
    """
    check_callable("associative_scan", fn)
    leaves, treedef = pytree.flatten(elems)
    arrays = leaf_arrays("associative_scan", leaves, lambda: elems, "elems")
    if not arrays:
        raise ArgumentError(at_user_line("associative_scan: elems holds no arrays."))
    axes = [normalize_axis("associative_scan", axis, x.ndim) for x in arrays]
    sizes = [x.shape[a] for x, a in zip(arrays, axes)]
    if len(set(sizes)) > 1:
        found = ", ".join(f"elems{p} has {n}" for p, n in zip(pytree.paths(elems), sizes))
        raise ShapeError(
            at_user_line(f"associative_scan: the sizes along axis {axis} are different: {found}.")
        )

    def combine(left: Sequence[Array], right: Sequence[Array]) -> list[Array]:
        result = fn(pytree.unflatten(treedef, left), pytree.unflatten(treedef, right))
        if pytree.structure(result) != treedef:
            raise TreeError(
                at_user_line(
                    f"associative_scan: {function_name(fn)} must return the structure of elems: "
                    f"{pytree.difference(elems, result)}."
                )
            )
        outs = leaf_arrays("associative_scan", pytree.leaves(result), lambda: result, "the output ")
        for path, out, x in zip(pytree.paths(elems), outs, left):
            if out.shape != x.shape:
                raise ShapeError(
                    at_user_line(
                        f"associative_scan: {function_name(fn)} was given elems{path} of shape "
                        f"{x.shape} and returned {out.shape}. It combines slices along axis {axis} "
                        "element by element."
                    )
                )
        return outs

    if reverse:
        arrays = [rev(x, (a,)) for x, a in zip(arrays, axes)]
    results = _prefixes(combine, arrays, axes)
    if reverse:
        results = [rev(x, (a,)) for x, a in zip(results, axes)]
    return pytree.unflatten(treedef, results)


def _prefixes(
    combine: Callable[[Sequence[Array], Sequence[Array]], list[Array]],
    arrays: list[Array],
    axes: Sequence[int],
) -> list[Array]:
    """Combine neighbours, take the prefixes of the half as many results, and fill in between."""

    def cut(xs: Sequence[Array], start: int, limit: int, stride: int = 1) -> list[Array]:
        return [slice_in_dim(x, start, limit, stride, a) for x, a in zip(xs, axes)]

    size = arrays[0].shape[axes[0]]
    if size < 2:
        return arrays
    pairs = combine(cut(arrays, 0, size - 1, 2), cut(arrays, 1, size, 2))
    odd = _prefixes(combine, pairs, axes)
    count = (size - 1) // 2  # elements 2, 4, ... follow the prefix that ends just before them
    first = cut(arrays, 0, 1)
    if not count:
        even = first
    else:
        even = combine(cut(odd, 0, count), cut(arrays, 2, size, 2))
        even = [concatenate([a, b], axis) for a, b, axis in zip(first, even, axes)]
    return [_interleave(a, b, axis) for a, b, axis in zip(even, odd, axes)]


def _interleave(even: Array, odd: Array, axis: int) -> Array:
    """Elements of `even` and `odd` by turns; `even` may have one more."""
    size = odd.shape[axis]
    paired = [expand_dims(slice_in_dim(x, 0, size, 1, axis), (axis + 1,)) for x in (even, odd)]
    shape = (*odd.shape[:axis], 2 * size, *odd.shape[axis + 1 :])
    both = reshape(concatenate(paired, axis + 1), shape)
    if even.shape[axis] == size:
        return both
    return concatenate([both, slice_in_dim(even, size, size + 1, 1, axis)], axis)
