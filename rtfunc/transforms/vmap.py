"""`vmap`: a function over one example becomes a function over a batch. Depends on `core.batching`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rtfunc.core import pytree
from rtfunc.core.array import Array
from rtfunc.core.batching import batch_flat, to_axis
from rtfunc.core.errors import AxisError, ShapeError, TransformError, TreeError, at_user_line
from rtfunc.core.primitive import BatchAxis
from rtfunc.transforms.arguments import (
    argument_arrays,
    argument_path,
    check_callable,
    function_name,
    leaf_arrays,
    wraps,
)


def vmap(
    function: Callable[..., Any],
    in_axes: int | Sequence[Any] | None = 0,
    out_axes: Any = 0,
    axis_name: Any = None,
    axis_size: int | None = None,
) -> Callable[..., Any]:
    """A function that maps `function` over an axis of its arguments, all at once.

    Arguments:
      in_axes: which axis to map over: an integer for all arguments, or a sequence with an entry per
        positional argument, each an integer, None (not mapped) or a pytree prefix of the argument with
        such entries. Negative axes count from the end.
      out_axes: where the mapped axis goes in the outputs: an integer, None (for outputs that do not
        depend on the mapped arguments) or a pytree prefix of them.
      axis_name: a name under which collectives such as `lax.psum` refer to the axis.
      axis_size: the size of the axis, needed only when no argument is mapped.

    Arguments by keyword are mapped over axis 0. Raises `TreeError` for `in_axes` that do not fit the
    arguments, `AxisError` for an axis that an argument does not have and `ShapeError` for sizes that
    differ, naming the arguments.

    >>> import rtfunc as rf, rtfunc.numpy as rnp
    >>> rf.vmap(rnp.dot, in_axes=(0, None))(rnp.eye(2), rnp.arange(2.0))
    Array([0., 1.], dtype=float32)
    """
    check_callable("vmap", function)
    if isinstance(in_axes, list):
        in_axes = tuple(in_axes)

    @wraps(function, "vmap", "Batched form")
    def batched(*args: Any, **kwargs: Any) -> Any:
        leaves, treedef = pytree.flatten((args, kwargs))
        arrays = argument_arrays("vmap", leaves, args, kwargs)
        axes = _input_axes(in_axes, args, kwargs)
        for i, (x, axis) in enumerate(zip(arrays, axes)):
            axes[i] = _normalize(axis, x, lambda i=i: argument_path(args, None, i, kwargs))
        size = _common_size(arrays, axes, axis_size, args, kwargs)
        out_tree: Any = None
        result: Any = None

        def flat(*xs: Any) -> list[Any]:
            nonlocal out_tree, result
            inner_args, inner_kwargs = pytree.unflatten(treedef, xs)
            result = function(*inner_args, **inner_kwargs)
            outs, out_tree = pytree.flatten(result)
            return leaf_arrays(
                "vmap", outs, lambda: result, f"the output of {function_name(function)} "
            )

        outs, found_axes = batch_flat(flat, BatchAxis(size, axis_name), arrays, axes)
        wanted = _output_axes(out_axes, pytree.unflatten(out_tree, outs))
        placed = [
            _place(o, a, w, size, lambda i=i: pytree.paths(pytree.unflatten(out_tree, outs))[i])
            for i, (o, a, w) in enumerate(zip(outs, found_axes, wanted, strict=True))
        ]
        return pytree.unflatten(out_tree, placed)

    return batched


def _is_none(x: Any) -> bool:
    return x is None


def _prefix(operation: str, prefix: Any, tree: Any, what: str) -> list[Any]:
    """The entries of `prefix`, one per leaf of `tree`; entries are integers or None."""
    heads, treedef = pytree.flatten(prefix, _is_none)
    for head in heads:
        if head is not None and (isinstance(head, bool) or not isinstance(head, int)):
            raise TransformError(
                at_user_line(
                    f"vmap: {operation} has entries that are integers or None, not "
                    f"{type(head).__name__}."
                )
            )
    try:
        parts = treedef.flatten_up_to(tree)
    except (ValueError, TypeError, KeyError):
        raise TreeError(
            at_user_line(
                f"vmap: {operation}={prefix} does not fit {what}: "
                f"{pytree.difference(prefix, tree, (operation, what))}. Its entries are integers "
                "or None, or containers like those that they stand for."
            )
        ) from None
    return [head for head, part in zip(heads, parts, strict=True) for _ in pytree.leaves(part)]


def _input_axes(in_axes: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[int | None]:
    if isinstance(in_axes, tuple) and len(in_axes) != len(args):
        raise TreeError(
            at_user_line(
                f"vmap: in_axes has {len(in_axes)} entries, but the function was called with "
                f"{len(args)} positional argument{'s' * (len(args) != 1)}. Give one entry for each."
            )
        )
    axes = _prefix("in_axes", in_axes, args, "the arguments")
    return axes + [0] * len(pytree.leaves(kwargs))


def _normalize(axis: int | None, x: Array, name: Callable[[], str]) -> int | None:
    if axis is None:
        return None
    if not -x.ndim <= axis < x.ndim:
        raise AxisError(
            at_user_line(
                f"vmap: {name()} has shape {x.shape}, which has no axis {axis} to map over. "
                "Use None in in_axes for arguments that are not mapped."
            )
        )
    return axis % x.ndim


def _common_size(
    arrays: Sequence[Array],
    axes: Sequence[int | None],
    axis_size: int | None,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> int:
    sizes = [(i, x.shape[a]) for i, (x, a) in enumerate(zip(arrays, axes)) if a is not None]
    if axis_size is not None:
        sizes = [*sizes, (-1, axis_size)]
    if not sizes:
        raise TransformError(
            at_user_line(
                "vmap: no argument is mapped (in_axes is None for all of them, or there are none). "
                "Give in_axes an integer, or axis_size."
            )
        )
    if len({size for _, size in sizes}) > 1:
        listing = ", ".join(
            f"{argument_path(args, None, i, kwargs)} has {size} along axis {axes[i]}"
            if i >= 0
            else f"axis_size is {size}"
            for i, size in sizes
        )
        raise ShapeError(at_user_line(f"vmap: the mapped axes have different sizes: {listing}."))
    return sizes[0][1]


def _output_axes(out_axes: Any, out: Any) -> list[int | None]:
    if isinstance(out_axes, list):
        out_axes = tuple(out_axes)
    if isinstance(out_axes, tuple) and isinstance(out, list):
        out = tuple(out)
    return _prefix("out_axes", out_axes, out, "the outputs")


def _place(
    out: Any, axis: int | None, wanted: int | None, size: int, path: Callable[[], str]
) -> Any:
    if wanted is None:
        if axis is not None:
            raise TransformError(
                at_user_line(
                    f"vmap: out_axes is None for the output{path()}, but it depends on the mapped "
                    "arguments. Give it an integer."
                )
            )
        return out
    ndim = out.ndim + (axis is None)
    if not -ndim <= wanted < ndim:
        raise AxisError(
            at_user_line(
                f"vmap: out_axes is {wanted} for the output{path()}, which has {ndim} "
                f"{'axis' if ndim == 1 else 'axes'}."
            )
        )
    return to_axis(out, axis, wanted % ndim, size)
