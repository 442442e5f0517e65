"""Loops over pytrees: scan, map, while_loop and fori_loop, with JAX's signatures.

Depends on `traced`, `ops` and `transforms`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

from rtfunc.core import dtypes, pytree
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.aval import Aval
from rtfunc.core.errors import ArgumentError, DtypeError, ShapeError, TreeError, at_user_line
from rtfunc.core.trace import Tracer
from rtfunc.lax.traced import Function, check_structure, operands, trace, trace_step
from rtfunc.ops.arithmetic import add
from rtfunc.ops.comparison import lt
from rtfunc.ops.convert import as_array, convert
from rtfunc.ops.loop import while_p
from rtfunc.ops.pad_slice import concatenate, slice_in_dim
from rtfunc.ops.scan import scan_p
from rtfunc.ops.shape import reshape
from rtfunc.transforms.arguments import check_callable, function_name
from rtfunc.transforms.vmap import vmap


def scan(
    f: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
    unroll: int | bool = 1,
) -> tuple[Any, Any]:
    """Walk along the first axis of `xs`, carrying a value from step to step.

    Means

        def scan(f, init, xs):
            carry, ys = init, []
            for x in xs:
                carry, y = f(carry, x)
                ys.append(y)
            return carry, stack(ys)

    but `f` is traced once, whatever the length.

    Arguments:
      f: takes (carry, slice of xs) and returns (carry, y). The carry keeps its structure, shapes
        and dtypes; y is any pytree, None included.
      init: the initial carry, a pytree.
      xs: a pytree of arrays with equal first axes, or None.
      length: the number of steps; needed only where xs has no arrays.
      reverse: whether to walk from the last slice to the first; ys[i] still belongs to xs[i].
      unroll: how many steps a compiler may lay out one after the other; the result does not change.

    Returns the final carry and the stacked ys. Differentiable in both modes: reverse mode keeps
    what the steps need, in memory proportional to the length.

    Raises `TreeError`, `ShapeError` or `DtypeError` that name the leaf of a carry which changes,
    and `ShapeError` for lengths that differ.

    >>> import rtfunc as rf, rtfunc.numpy as rnp
    >>> rf.lax.scan(lambda total, x: (total + x, total * x), rnp.zeros(()), rnp.arange(4.0))
    (Array(6., dtype=float32), Array([0., 0., 2., 9.], dtype=float32))
    """
    return _scan("scan", f, init, xs, length, reverse, unroll)


def _scan(
    operation: str,
    f: Function,
    init: Any,
    xs: Any,
    length: int | None,
    reverse: bool,
    unroll: int | bool,
    paths: Callable[[], list[str]] | None = None,
) -> tuple[Any, Any]:
    check_callable(operation, f)
    name = function_name(f)
    carry, init_tree = operands(operation, init, "the initial carry ")
    arrays, x_tree = operands(operation, xs, "xs")
    steps = _length(operation, arrays, xs, length)
    n = len(carry)

    def step(*args: Any) -> Any:
        state, x = pytree.unflatten(init_tree, args[:n]), pytree.unflatten(x_tree, args[n:])
        result = f(state, x)
        if not isinstance(result, (tuple, list)) or len(result) != 2:
            found = f"a {type(result).__name__}"
            if isinstance(result, (tuple, list)):
                found += f" of {len(result)}"
            raise TreeError(
                at_user_line(
                    f"{operation}: {name} must return a pair (carry, y), but it returned {found}. "
                    "Where there is nothing to stack, return (carry, None)."
                )
            )
        return tuple(result)

    slices = [Aval(x.shape[1:], x.dtype, x.weak_type) for x in arrays]
    traced, carry = trace_step(
        operation,
        step,
        name,
        init,
        carry,
        slices=slices,
        carry_of=lambda out: out[0],
        paths=paths or (lambda: pytree.paths(init)),
    )
    results = scan_p.bind(
        *traced.captured,
        *carry,
        *arrays,
        body=traced.graph,
        constants=len(traced.captured),
        carry=n,
        length=steps,
        reverse=bool(reverse),
        unroll=_unroll(operation, unroll, steps),
    )
    return pytree.unflatten(traced.out_tree, results)


def _length(operation: str, arrays: Sequence[Array], xs: Any, length: int | None) -> int:
    given = None
    if length is not None:
        try:
            given = operator.index(length)
        except TypeError:
            raise DtypeError(
                at_user_line(
                    f"{operation}: length is a Python integer, not {type(length).__name__}."
                )
            ) from None
        if given < 0:
            raise ArgumentError(at_user_line(f"{operation}: length is {given}, below 0."))
    for x, path in zip(arrays, pytree.paths(xs)):
        if not x.ndim:
            raise ShapeError(
                at_user_line(
                    f"{operation}: xs{path} is a scalar, {x.aval}: it has no axis to walk along. "
                    "Close over values that are the same in every step."
                )
            )
    sizes = {x.shape[0] for x in arrays}
    if not sizes and given is None:
        raise ArgumentError(
            at_user_line(f"{operation}: xs holds no arrays, so give the number of steps as length.")
        )
    if len(sizes) > 1 or (given is not None and sizes and sizes != {given}):
        found = ", ".join(f"xs{p} has {x.shape[0]}" for x, p in zip(arrays, pytree.paths(xs)))
        asked = "" if given is None else f", and length is {given}"
        raise ShapeError(
            at_user_line(f"{operation}: the first axes of xs have different sizes: {found}{asked}.")
        )
    return sizes.pop() if sizes else given  # type: ignore[return-value]


def _unroll(operation: str, unroll: int | bool, length: int) -> int:
    if isinstance(unroll, bool):
        return max(length, 1) if unroll else 1
    if operator.index(unroll) < 1:
        raise ArgumentError(at_user_line(f"{operation}: unroll is {unroll}; it is 1 or more."))
    return operator.index(unroll)


def map(f: Callable[[Any], Any], xs: Any, *, batch_size: int | None = None) -> Any:
    """Apply `f` to each slice of `xs` along the first axis, in turn, and stack the results.

    As `vmap(f)(xs)`, in less memory: `batch_size` slices at a time go through `vmap`, one by
    default.

    >>> import rtfunc as rf, rtfunc.numpy as rnp
    >>> rf.lax.map(lambda x: x + 1, rnp.arange(3.0))
    Array([1., 2., 3.], dtype=float32)
    """
    check_callable("map", f)
    if batch_size is None:
        return _map(f, xs)
    if operator.index(batch_size) < 1:
        raise ArgumentError(at_user_line(f"map: batch_size is {batch_size}; it is 1 or more."))
    arrays, treedef = operands("map", xs, "xs")
    length = _length("map", arrays, xs, None)
    batches, rest = divmod(length, batch_size)
    if not batches:
        return vmap(f)(xs) if rest else _map(f, xs)

    def grouped(x: Array) -> Array:
        whole = slice_in_dim(x, 0, length - rest) if rest else x
        return reshape(whole, (batches, batch_size, *x.shape[1:]))

    groups = pytree.unflatten(treedef, [grouped(x) for x in arrays])
    out = _map(vmap(f), groups)
    out = pytree.map(lambda y: reshape(y, (batches * batch_size, *y.shape[2:])), out)
    if not rest:
        return out
    last = pytree.unflatten(treedef, [slice_in_dim(x, length - rest, length) for x in arrays])
    return pytree.map(lambda a, b: concatenate([a, b], 0), out, vmap(f)(last))


def _map(f: Function, xs: Any) -> Any:
    def step(carry: Any, x: Any) -> tuple[Any, Any]:
        return carry, f(x)

    step.__name__ = function_name(f)
    return _scan("map", step, (), xs, None, False, 1)[1]


# Loops


def while_loop(
    cond_fun: Callable[[Any], ArrayLike], body_fun: Callable[[Any], Any], init_val: Any
) -> Any:
    """Repeat `value = body_fun(value)` while `cond_fun(value)` is true.

    Arguments: cond_fun: returns a boolean scalar; body_fun: returns a value of the structure,
      shapes and dtypes of `init_val`, a pytree.

    Forward mode goes through; reverse mode raises `UnsupportedError`, since the number of steps is
    unknown: use `scan`, or `fori_loop` with Python integers. Raises `TreeError`, `ShapeError` or
    `DtypeError` that name the leaf which changes.

    >>> import rtfunc as rf
    >>> rf.lax.while_loop(lambda x: x < 100, lambda x: x * 2, 3)
    Array(192, dtype=int32, weak_type=True)
    """
    check_callable("while_loop", cond_fun)
    check_callable("while_loop", body_fun)
    return _while("while_loop", cond_fun, body_fun, init_val, lambda: pytree.paths(init_val))


def _while(
    operation: str,
    cond_fun: Function,
    body_fun: Function,
    init: Any,
    paths: Callable[[], list[str]],
) -> Any:
    carry, treedef = operands(operation, init, "the initial value ")

    def step(*args: Any) -> Any:
        return body_fun(pytree.unflatten(treedef, args))

    name = function_name(body_fun)
    body, carry = trace_step(operation, step, name, init, carry, paths=paths)

    def test(*args: Any) -> Any:
        return cond_fun(pytree.unflatten(treedef, args))

    condition = trace(operation, test, [x.aval for x in carry], function_name(cond_fun))
    outs = condition.graph.out_avals
    if len(outs) != 1 or outs[0].shape or outs[0].dtype != dtypes.bool_:
        found = ", ".join(str(a) for a in outs) or "nothing"
        raise (DtypeError if len(outs) == 1 and not outs[0].shape else ShapeError)(
            at_user_line(
                f"{operation}: {function_name(cond_fun)} must return a boolean scalar, but it "
                f"returned {found}. Compare, for example with x > 0, and reduce with .any() or "
                ".all()."
            )
        )
    results = while_p.bind(
        *condition.captured,
        *body.captured,
        *carry,
        condition=condition.graph,
        body=body.graph,
        condition_constants=len(condition.captured),
        body_constants=len(body.captured),
    )
    return pytree.unflatten(treedef, results)


def fori_loop(
    lower: ArrayLike,
    upper: ArrayLike,
    body_fun: Callable[[Any, Any], Any],
    init_val: Any,
    *,
    unroll: int | bool | None = None,
) -> Any:
    """Repeat `value = body_fun(i, value)` for i from `lower` to `upper - 1`.

    Where both bounds are known when the loop is traced (Python integers), it is a `scan`, and
    reverse mode goes through; else a `while_loop`. `unroll` is for the former only.

    >>> import rtfunc as rf
    >>> rf.lax.fori_loop(0, 5, lambda i, total: total + i, 0)
    Array(10, dtype=int32, weak_type=True)
    """
    check_callable("fori_loop", body_fun)
    low, high = (as_array("fori_loop", x) for x in (lower, upper))
    for which, x in (("lower", low), ("upper", high)):
        if x.shape or not dtypes.is_integer(x.dtype):
            raise DtypeError(
                at_user_line(f"fori_loop: {which} is an integer scalar, not {x.aval}.")
            )
    dtype, weak = dtypes.promote(low.dtype, low.weak_type, high.dtype, high.weak_type)
    first, last = (None if isinstance(x, Tracer) else int(x) for x in (low, high))
    start, stop = (convert(x, dtype, weak) for x in (low, high))
    name = function_name(body_fun)
    # The counter is a carry beside the user's value, and does not show in messages.
    arrays, treedef = operands("fori_loop", init_val, "the initial value ")
    # Python's numbers stay what they are: the step tells which dtype they take.
    leaves = zip(pytree.leaves(init_val), arrays)
    value = pytree.unflatten(
        treedef, [x if isinstance(x, (float, complex)) else a for x, a in leaves]
    )

    def paths() -> list[str]:
        return ["counter", *pytree.paths(init_val)]

    def advanced(i: Any, value: Any) -> Any:
        out = body_fun(i, value)
        check_structure("fori_loop", name, init_val, out)
        return out

    if first is not None and last is not None:

        def step(carry: Any, x: None) -> tuple[Any, None]:
            i, value = carry
            return (add(i, 1), advanced(i, value)), None

        step.__name__ = name
        steps = max(last - first, 0)
        init = (start, value)
        (_, out), _ = _scan("fori_loop", step, init, None, steps, False, unroll or 1, paths)
        return out
    if unroll is not None:
        raise ArgumentError(
            at_user_line("fori_loop: unroll needs bounds that are Python integers.")
        )

    def continues(carry: Any) -> Any:
        return lt(carry[0], stop)

    def advance(carry: Any) -> Any:
        i, value = carry
        return add(i, 1), advanced(i, value)

    advance.__name__ = name
    return _while("fori_loop", continues, advance, (start, value), paths)[1]
