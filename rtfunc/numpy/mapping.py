"""Functions of functions: `vectorize`, `apply_along_axis`, `piecewise`, and ufuncs of Python functions.

They call the user's function once, on tracers of `vmap`, rather than once for each element. Depends
on `transforms.vmap` and `indexing`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np

from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.aval import broadcast_shapes
from rtfunc.core.errors import ArgumentError, ShapeError, at_user_line
from rtfunc.numpy.creation import asarray
from rtfunc.numpy.indexing import where
from rtfunc.numpy.shape import broadcast_to, moveaxis, squeeze
from rtfunc.ops.convert import as_array
from rtfunc.ops.shape import expand_dims, normalize_axis, reshape
from rtfunc.transforms.arguments import check_callable, wraps
from rtfunc.transforms.vmap import vmap

_NAMES = r"\s*(?:\w+(?:\s*,\s*\w+)*\s*,?)?\s*"
_GROUPS = rf"\s*\({_NAMES}\)(?:\s*,\s*\({_NAMES}\))*\s*"
_SIGNATURE = re.compile(rf"^(?P<inputs>{_GROUPS})?->(?P<outputs>{_GROUPS})$")


def _parsed(signature: str) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    """Names of the core axes of inputs and outputs."""
    found = _SIGNATURE.match(signature)
    if found is None:
        raise ArgumentError(
            at_user_line(
                f"vectorize: {signature!r} is not a signature; an example is '(n,m),(m)->(n)'."
            )
        )
    groups = []
    for part in (found["inputs"] or "", found["outputs"]):
        inside = re.findall(r"\(([^)]*)\)", part)
        groups.append([tuple(re.findall(r"\w+", names)) for names in inside])
    return groups[0], groups[1]


def vectorize(
    pyfunc: Callable[..., Any],
    *,
    excluded: Collection[int | str] = (),
    signature: str | None = None,
) -> Callable[..., Any]:
    """A function of scalars (or of arrays with core axes) made to broadcast over all others.

    `vmap` with NumPy's broadcasting instead of explicit axes.

    Arguments:
      excluded: positions and names of arguments that are passed on as they are.
      signature: the core axes of arguments and results, such as "(n),(n)->()"; scalars by default.

    Calling the result raises `ShapeError` for arguments that do not fit the signature.

    >>> import rtfunc.numpy as rnp
    >>> dots = vectorize(rnp.dot, signature="(n),(n)->()")
    >>> dots(rnp.ones((2, 1, 3)), rnp.ones((4, 3))).shape
    (2, 4)
    """
    check_callable("vectorize", pyfunc)
    for e in excluded:
        if not isinstance(e, (int, str)) or (isinstance(e, int) and e < 0):
            raise ArgumentError(
                at_user_line(f"vectorize: excluded has positions and names, not {e!r}.")
            )
    inputs, outputs = (None, None) if signature is None else _parsed(signature)

    @wraps(pyfunc, "vectorize", "Vectorized form")
    def vectorized(*args: Any, **kwargs: Any) -> Any:
        fixed_names = {k for k in kwargs if k in excluded}
        named = [k for k in kwargs if k not in fixed_names]
        places = [i for i in range(len(args)) if i not in excluded]
        operands = [as_array("vectorize", _data(args[i])) for i in places]
        operands += [as_array("vectorize", _data(kwargs[k])) for k in named]

        def core(*values: Any) -> Any:
            full = list(args)
            for i, v in zip(places, values):
                full[i] = v
            given = {k: kwargs[k] for k in fixed_names}
            given.update(zip(named, values[len(places) :]))
            return pyfunc(*full, **given)

        if inputs is None:
            axes: list[tuple[str, ...]] = [()] * len(operands)
        else:
            axes = inputs
            if len(axes) != len(operands):
                raise ArgumentError(
                    at_user_line(
                        f"vectorize: the signature {signature!r} has {len(axes)} arguments, but "
                        f"{len(operands)} were given."
                    )
                )
        return _mapped(core, operands, axes, outputs, signature)

    return vectorized


def _data(x: Any) -> Any:
    return asarray(x) if isinstance(x, (list, tuple)) else x


def _mapped(
    core: Callable[..., Any],
    operands: list[Array],
    axes: list[tuple[str, ...]],
    outputs: list[tuple[str, ...]] | None,
    signature: str | None,
) -> Any:
    sizes: dict[str, int] = {}
    outer = []
    for x, names in zip(operands, axes):
        if x.ndim < len(names):
            raise ShapeError(
                at_user_line(
                    f"vectorize: an argument of shape {x.shape} has fewer axes than "
                    f"({','.join(names)}) in the signature {signature!r}."
                )
            )
        first = x.ndim - len(names)
        outer.append(x.shape[:first])
        for name, n in zip(names, x.shape[first:]):
            if int(name) != n if name.isdigit() else sizes.setdefault(name, n) != n:
                raise ShapeError(
                    at_user_line(
                        f"vectorize: core axis {name} of the signature {signature!r} has the sizes "
                        f"{sizes.get(name, name)} and {n}."
                    )
                )
    batch = broadcast_shapes("vectorize", *outer)
    function = _checked_outputs(core, outputs, signature, sizes)
    # From the innermost batch axis to the outermost: an argument takes part where it has the axis.
    for back in range(1, len(batch) + 1):
        in_axes = []
        for shape in outer:
            has = len(shape) >= back
            in_axes.append(0 if has and (shape[-back] != 1 or batch[-back] == 1) else None)
        function = vmap(function, in_axes=tuple(in_axes), axis_size=batch[-back])
    squeezed = []
    for x, shape in zip(operands, outer):
        lead = len(batch) - len(shape)
        ones = tuple(a for a, n in enumerate(shape) if n == 1 and batch[lead + a] != 1)
        squeezed.append(squeeze(x, ones) if ones else x)
    return function(*squeezed)


def _checked_outputs(
    core: Callable[..., Any],
    outputs: list[tuple[str, ...]] | None,
    signature: str | None,
    sizes: dict[str, int],
) -> Callable[..., Any]:
    if outputs is None:
        return core

    def checked(*values: Any) -> Any:
        found = core(*values)
        several = found if isinstance(found, tuple) else (found,)
        if len(several) != len(outputs):
            raise ArgumentError(
                at_user_line(
                    f"vectorize: the function returned {len(several)} results, but the signature "
                    f"{signature!r} has {len(outputs)}."
                )
            )
        known = dict(sizes)
        for out, names in zip(several, outputs):
            shape = np.shape(out)
            fits = len(shape) == len(names) and all(
                int(name) == n if name.isdigit() else known.setdefault(name, n) == n
                for name, n in zip(names, shape)
            )
            if not fits:
                raise ShapeError(
                    at_user_line(
                        f"vectorize: the function returned the shape {shape}, which does not fit "
                        f"({','.join(names)}) in the signature {signature!r}."
                    )
                )
        return found

    return checked


def apply_along_axis(
    func1d: Callable[..., Any], axis: int, arr: ArrayLike, *args: Any, **kwargs: Any
) -> Array:
    """`func1d` of every one-dimensional slice of `arr` along `axis`, all at once.

    The axes of its result stand where `axis` was; `args` and `kwargs` are passed on.

    >>> import rtfunc.numpy as rnp
    >>> apply_along_axis(rnp.sum, 1, np.array([[1, 2], [3, 4]], "int32"))
    Array([3, 7], dtype=int32)
    """
    x = as_array("apply_along_axis", _data(arr))
    axis = normalize_axis("apply_along_axis", axis, x.ndim)

    def function(row: Any) -> Any:
        return func1d(row, *args, **kwargs)

    for behind in range(1, x.ndim - axis):  # axes behind, which end up behind
        function = vmap(function, in_axes=behind, out_axes=-1)
    for _ in range(axis):
        function = vmap(function)
    return function(x)


def apply_over_axes(func: Callable[..., Any], a: ArrayLike, axes: int | Sequence[int]) -> Array:
    """`func(x, axis)` for each of `axes` in turn, axes that it takes away being kept with size 1.

    >>> import rtfunc.numpy as rnp
    >>> apply_over_axes(rnp.sum, np.ones((2, 3), "int32"), (0, 1))
    Array([[6]], dtype=int32)
    """
    x = as_array("apply_over_axes", a)
    for axis in axes if isinstance(axes, (tuple, list)) else (axes,):
        number = normalize_axis("apply_over_axes", axis, x.ndim)
        found = func(x, number)
        if found.ndim == x.ndim - 1:
            found = expand_dims(found, (number,))
        if found.ndim != x.ndim:
            raise ShapeError(
                at_user_line(
                    f"apply_over_axes: the function made {found.ndim} axes of {x.ndim}; it keeps "
                    "their number, or takes one away."
                )
            )
        x = found
    return x


def piecewise(
    x: ArrayLike, condlist: Any, funclist: Sequence[Any], *args: Any, **kwargs: Any
) -> Array:
    """For each element, the function (or number) in `funclist` of the last condition that holds.

    Arguments:
      condlist: a boolean array, or a list of them, with the shape of `x`.
      funclist: as many functions of arrays or numbers, and possibly one more for the rest, which
        is 0 otherwise. The result has the dtype of `x`.

    All functions are computed for all elements.

    >>> x = np.array([-2.0, 3.0], "float32")
    >>> piecewise(x, [x < 0, x >= 0], [lambda v: -v, 10.0])
    Array([ 2., 10.], dtype=float32)
    """
    x = as_array("piecewise", _data(x))
    single = isinstance(condlist, (Array, np.ndarray, bool)) and np.ndim(condlist) <= x.ndim  # type: ignore[arg-type]
    flat = isinstance(condlist, (list, tuple)) and condlist and isinstance(condlist[0], bool)
    conditions = [_data(condlist)] if single or (flat and x.ndim) else list(condlist)  # type: ignore[arg-type]
    functions = list(funclist)
    if len(functions) not in (len(conditions), len(conditions) + 1):
        raise ArgumentError(
            at_user_line(
                f"piecewise takes {len(conditions)} functions for as many conditions, or one more, "
                f"got {len(functions)}."
            )
        )
    other = functions.pop() if len(functions) > len(conditions) else 0

    def value(function: Any) -> Array:
        found: Any = function(x, *args, **kwargs) if callable(function) else function
        return broadcast_to(as_array("piecewise", found, x.dtype), x.shape)

    result = value(other)
    for condition, function in zip(conditions, functions):
        result = where(as_array("piecewise", _data(condition)), value(function), result)
    return result


class ufunc:
    """A Python function of scalars as a function of arrays with NumPy's ufunc methods.

    Made by `frompyfunc`. `reduce`, `accumulate` and `outer` are for functions of two arguments.
    """

    def __init__(self, function: Callable[..., Any], nin: int, nout: int, identity: Any = None):
        self._function = vectorize(function)
        self.__name__ = getattr(function, "__name__", "function")
        self.nin, self.nout, self.identity = nin, nout, identity

    @property
    def nargs(self) -> int:
        """Number of arguments and results."""
        return self.nin + self.nout

    def __repr__(self) -> str:
        return f"<ufunc {self.__name__!r}>"

    def __call__(self, *args: ArrayLike) -> Any:
        """The function of each element, its arguments broadcast together."""
        if len(args) != self.nin:
            raise ArgumentError(
                at_user_line(f"{self.__name__} takes {self.nin} arguments, got {len(args)}.")
            )
        return self._function(*args)

    def _binary(self, method: str) -> None:
        if (self.nin, self.nout) != (2, 1):
            raise ArgumentError(
                at_user_line(
                    f"{self.__name__}.{method} is for functions of two arguments with one result."
                )
            )

    def reduce(
        self,
        a: ArrayLike,
        axis: int | None = 0,
        dtype: Any = None,
        keepdims: bool = False,
        initial: ArrayLike | None = None,
    ) -> Array:
        """The function applied along `axis` from the first element to the last."""
        self._binary("reduce")
        x = asarray(a, dtype=dtype)
        if axis is None:
            kept = (1,) * x.ndim
            x, axis = reshape(x, (-1,)), 0
        else:
            axis = normalize_axis("reduce", axis, x.ndim)
            kept = (*x.shape[:axis], 1, *x.shape[axis + 1 :])
        rows = moveaxis(x, axis, 0)
        start = self.identity if initial is None else initial
        if rows.shape[0] == 0 and start is None:
            raise ShapeError(at_user_line(f"{self.__name__}.reduce of no elements needs initial=."))
        total = None if start is None else broadcast_to(asarray(start, rows.dtype), rows.shape[1:])
        for k in range(rows.shape[0]):
            total = rows[k] if total is None else self(total, rows[k])
        assert total is not None
        return reshape(total, kept) if keepdims else total

    def accumulate(self, a: ArrayLike, axis: int = 0, dtype: Any = None) -> Array:
        """All intermediate results of `reduce` along `axis`."""
        self._binary("accumulate")
        x = asarray(a, dtype=dtype)
        axis = normalize_axis("accumulate", axis, x.ndim)
        rows = moveaxis(x, axis, 0)
        found: list[Array] = []
        for k in range(rows.shape[0]):
            found.append(rows[k] if not found else self(found[-1], rows[k]))
        return moveaxis(asarray(found), 0, axis) if found else x

    def outer(self, a: ArrayLike, b: ArrayLike) -> Array:
        """The function of every pair of elements."""
        self._binary("outer")
        x, y = asarray(a), asarray(b)
        return self(reshape(x, (*x.shape, *(1,) * y.ndim)), y)


def frompyfunc(func: Callable[..., Any], /, nin: int, nout: int, *, identity: Any = None) -> ufunc:
    """A `ufunc` of a Python function of `nin` scalars with `nout` results.

    >>> add = frompyfunc(lambda x, y: x + y, 2, 1, identity=0)
    >>> add.reduce(np.array([1, 2, 3], "int32"))
    Array(6, dtype=int32)
    """
    return ufunc(func, nin, nout, identity)
