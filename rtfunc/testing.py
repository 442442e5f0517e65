"""Checking derivatives by finite differences, for users' tests of their own functions and rules.

`check_grads` compares what the transforms compute with central differences along random directions.
Depends on `core`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rtfunc.core import dtypes, pytree
from rtfunc.core.array import Array
from rtfunc.core.errors import ArgumentError, at_user_line
from rtfunc.core.forward import jvp_flat
from rtfunc.core.reverse import vjp_flat
from rtfunc.ops.convert import as_array

#: By the narrowest dtype among inputs and outputs: the step of the differences, and the tolerance
#: relative to the terms that are summed. The stencil is of fourth order, so that its error is
#: about step**4; the rounding error is about the dtype's eps / step.
_steps = {"float64": 1e-3, "float32": 3e-2, "float16": 0.2, "bfloat16": 0.3}
_tolerances = {"float64": 1e-7, "float32": 2e-3, "float16": 0.1, "bfloat16": 0.2}

_Flat = Callable[..., Sequence[Any]]


def check_grads(
    f: Callable[..., Any],
    args: Sequence[Any],
    order: int = 2,
    modes: Sequence[str] = ("fwd", "rev"),
    atol: float | None = None,
    rtol: float | None = None,
    eps: float | None = None,
) -> None:
    """Compare the derivatives of `f` at `args` with finite differences.

    Every floating-point leaf of `args` is moved by itself along a random direction (the same in
    every run), and the derivative of a random combination of the outputs is compared: forward mode
    by `jvp`, reverse mode by `vjp`, then the derivatives of those, up to `order`. Pass float64
    arrays for a sharp test: with float32 only two or three digits can be compared. The function
    must be smooth within a few steps `eps` around `args`.

    Arguments:
      f: a function of pytrees of arrays to a pytree of arrays.
      args: its positional arguments, as a tuple or list.
      order: how often to differentiate.
      modes: "fwd", "rev" or both. A `custom_vjp` function has "rev" only.
      atol, rtol: absolute tolerance, and tolerance relative to the sum of the absolute values of
        the terms; by default what the dtype allows.
      eps: step of the differences; by default 1e-3 for float64 and 3e-2 for float32.

    Raises `AssertionError` that names the argument and both numbers.

    >>> import numpy as np
    >>> import rtfunc.numpy as rnp
    >>> check_grads(lambda p: rnp.sin(p["w"]) * p["b"], ({"w": np.ones(3), "b": np.array(2.0)},))
    """
    unknown = [m for m in modes if m not in ("fwd", "rev")]
    if unknown or isinstance(modes, str):
        raise ArgumentError(
            at_user_line(f"check_grads: modes is a sequence of 'fwd' and 'rev', not {modes!r}.")
        )
    if not isinstance(args, (tuple, list)):
        raise ArgumentError(
            at_user_line(
                "check_grads takes the arguments as a tuple or list: check_grads(f, (x, y)), "
                f"not {type(args).__name__}."
            )
        )
    leaves, treedef = pytree.flatten(tuple(args))
    arrays = [as_array("check_grads", leaf) for leaf in leaves]
    names = [f"args{path}" for path in pytree.paths(tuple(args))]

    def flat(*xs: Any) -> list[Any]:
        outs = pytree.leaves(f(*pytree.unflatten(treedef, xs)))
        return [o for o in (as_array("check_grads", o) for o in outs) if dtypes.is_inexact(o.dtype)]

    if not any(dtypes.is_inexact(a.dtype) for a in arrays):
        raise ArgumentError(
            at_user_line(
                "check_grads: no argument is floating-point or complex, so there is nothing to "
                f"differentiate by; got {', '.join(str(a.aval) for a in arrays) or 'no arrays'}."
            )
        )
    generator = np.random.default_rng(0)
    _check(flat, arrays, names, order, modes, (atol, rtol, eps), generator, "")


def _check(
    f: _Flat,
    args: Sequence[Array],
    names: Sequence[str],
    order: int,
    modes: Sequence[str],
    options: tuple[float | None, float | None, float | None],
    generator: np.random.Generator,
    described: str,
) -> None:
    if order < 1:
        return
    outs = f(*args)
    tangents = [_direction(generator, a) for a in args]
    weights = [_direction(generator, o) for o in outs]
    for mode in modes:
        name = f"{mode} of {described}" if described else mode
        for i in range(len(args)):
            if tangents[i] is not None:
                alone = [t if i == j else None for j, t in enumerate(tangents)]
                _compare(f, args, alone, outs, weights, options, names[i], mode, name)
        if order > 1:
            derivative = _pushed(f, tangents) if mode == "fwd" else _pulled(f, weights, len(args))
            _check(derivative, args, names, order - 1, modes, options, generator, name)


def _pushed(f: _Flat, tangents: Sequence[Any]) -> _Flat:
    return lambda *xs: [t for t in jvp_flat(f, xs, tangents)[1] if t is not None]


def _pulled(f: _Flat, weights: Sequence[Any], count: int) -> _Flat:
    def derivative(*xs: Any) -> list[Any]:
        _, pullback = vjp_flat(f, xs, [True] * count)
        return [ct for ct in pullback(weights) if ct is not None]

    return derivative


def _direction(generator: np.random.Generator, like: Any) -> Array | None:
    if not dtypes.is_inexact(like.dtype):
        return None
    value = generator.normal(size=like.shape)
    if dtypes.is_complex(like.dtype):
        value = value + 1j * generator.normal(size=like.shape)
    return Array(np.asarray(value).astype(like.dtype))


def _compare(
    f: _Flat,
    args: Sequence[Array],
    tangents: Sequence[Any],
    outs: Sequence[Any],
    weights: Sequence[Any],
    options: tuple[float | None, float | None, float | None],
    argument: str,
    mode: str,
    described: str,
) -> None:
    (moved,) = (i for i, t in enumerate(tangents) if t is not None)
    involved = [args[moved].dtype, *(o.dtype for o in outs)]
    narrowest = max((dtypes.real_of(d) for d in involved), key=lambda d: float(dtypes.finfo(d).eps))
    atol, rtol, eps = options
    step = _steps[narrowest.name] if eps is None else eps
    tolerance = _tolerances[narrowest.name]
    atol = tolerance if atol is None else atol
    rtol = tolerance if rtol is None else rtol

    differences = _differences(f, args, tangents, step)
    terms = [_real_product(w, d) for w, d in zip(weights, differences)]
    expected = sum(float(np.sum(term)) for term in terms)
    size = sum(float(np.sum(np.abs(term))) for term in terms)
    # What rounding alone may do to the differences, where the function is large but flat.
    eps_of = float(dtypes.finfo(narrowest).eps)
    noise = sum(float(np.sum(np.abs(_real_product(w, o)))) for w, o in zip(weights, outs))
    bound = atol + rtol * size + 4 * eps_of / step * noise
    if mode == "fwd":
        _, pushed = jvp_flat(f, args, tangents)
        found = sum(
            float(np.sum(_real_product(w, t))) for w, t in zip(weights, pushed) if t is not None
        )
    else:
        _, pullback = vjp_flat(f, args, [t is not None for t in tangents])
        cotangent = pullback(weights)[moved]
        if cotangent is not None and cotangent.shape != args[moved].shape:
            raise AssertionError(
                f"check_grads ({described}): the cotangent of {argument} has shape "
                f"{cotangent.shape}, the argument {args[moved].shape}."
            )
        found = (
            0.0 if cotangent is None else float(np.sum(_real_product(cotangent, tangents[moved])))
        )
    if not abs(found - expected) <= bound:  # NaN fails too
        raise AssertionError(
            f"check_grads ({described}): along a random direction of {argument}, "
            f"{args[moved].aval}, the derivative is {found:.9g}, but finite differences give "
            f"{expected:.9g} (step {step:g}, tolerance {bound:.3g})."
        )


def _real_product(a: Any, b: Any) -> np.ndarray:
    return np.real(_wide(a) * _wide(b))


def _wide(x: Any) -> np.ndarray:
    value = np.asarray(x)
    return value.astype(np.complex128 if dtypes.is_complex(value.dtype) else np.float64)


def _differences(
    f: _Flat, args: Sequence[Array], tangents: Sequence[Any], step: float
) -> list[np.ndarray]:
    """The derivative of `f` along `tangents` (None: zero) by the fourth-order central stencil."""

    def at(distance: float) -> list[np.ndarray]:
        moved = [
            a if t is None else Array(np.asarray(_wide(a) + distance * _wide(t), a.dtype))
            for a, t in zip(args, tangents)
        ]
        return [_wide(o) for o in f(*moved)]

    return [
        (a - 8 * b + 8 * c - d) / (12 * step)
        for a, b, c, d in zip(at(-2 * step), at(-step), at(step), at(2 * step))
    ]
