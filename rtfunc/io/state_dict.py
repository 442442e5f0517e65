"""Names of parameters as PyTorch has them: nested dicts to flat ones with dotted names, and back.

A PyTorch `state_dict` holds parameters and buffers together; here they are `params` and `state`.
`rtfunc.nn` offers both functions too. Depends on `core`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from rtfunc.core import dtypes
from rtfunc.core.array import Array
from rtfunc.core.errors import DtypeError, ShapeError, TreeError, at_user_line


def state_dict(
    params: Any, state: Any = None, *, tied: Mapping[str, str] | None = None
) -> dict[str, Array]:
    """Parameters and state of a model under the names of PyTorch's `state_dict`: "0.weight".

    Arguments: tied: names to add, each for a parameter that PyTorch has under two, as in
    {"lm_head.weight": "transformer.wte.weight"}.

    Raises `TreeError` for a name that is in both.

    >>> from rtfunc import nn, random
    >>> model = nn.sequential(nn.dense(2), nn.batch_norm())
    >>> list(nn.state_dict(*model.init(random.key(0), (1, 3))))[:4]
    ['0.weight', '0.bias', '1.weight', '1.bias']
    """
    flat: dict[str, Array] = {}
    for tree in (params, state or {}):
        for name, leaf in _flat(tree, ""):
            if name in flat:
                raise TreeError(
                    at_user_line(f"state_dict: {name!r} is in both the parameters and the state.")
                )
            flat[name] = leaf
    return flat | {name: flat[own] for name, own in (tied or {}).items()}


def _flat(tree: Any, prefix: str) -> list[tuple[str, Any]]:
    if isinstance(tree, Mapping):
        items = [(str(key), child) for key, child in tree.items()]
    elif isinstance(tree, (list, tuple)):
        items = [(str(i), child) for i, child in enumerate(tree)]
    else:
        return [(prefix, tree)]
    dot = "." if prefix else ""
    return [pair for key, child in items for pair in _flat(child, f"{prefix}{dot}{key}")]


def load_state_dict(
    flat: Mapping[str, Any],
    params: Any,
    state: Any = None,
    *,
    strict: bool = True,
    tied: Mapping[str, str] | None = None,
) -> tuple[Any, Any]:
    """Parameters and state with the values of a flat `state_dict`, such as `load_torch` returns.

    Arguments:
      flat: arrays by PyTorch's names.
      params, state: what `model.init` returned, or the ShapeDtypeStructs of it: the structure,
        shapes and dtypes to fill. Values are converted to these dtypes.
      strict: whether all names must match; otherwise what is missing in `flat` keeps its value and
        what the model does not have is ignored.
      tied: names under which a file repeats another parameter, as for `state_dict`.

    Returns new `params` and `state`. Raises `TreeError` that lists missing, unexpected and mis-
    shaped names, or tied ones with different values, `ShapeError` where only shapes differ (also if
    not `strict`), and `DtypeError` for values that a conversion would spoil: complex to real,
    fractions to integers.

    >>> from rtfunc import nn, random
    >>> params, state = nn.dense(2).init(random.key(0), (1, 3))
    >>> loaded, _ = nn.load_state_dict(nn.state_dict(params), params)
    >>> bool((loaded["weight"] == params["weight"]).all())
    True
    """
    if not isinstance(flat, Mapping):
        raise TreeError(
            at_user_line(f"load_state_dict takes a dict of arrays, not a {type(flat).__name__}.")
        )
    state = {} if state is None else state
    flat = _without_tied(flat, tied or {})
    wanted = state_dict(params, state)
    missing = [name for name in wanted if name not in flat]
    unexpected = [name for name in flat if name not in wanted]
    shared = [name for name in wanted if name in flat]
    nested = [name for name in shared if not hasattr(flat[name], "shape")]
    if nested:
        raise DtypeError(
            at_user_line(
                f"load_state_dict: {nested[0]!r} is a {type(flat[nested[0]]).__name__}, not an array."
            )
        )
    wrong = [
        f"{name} has shape {tuple(flat[name].shape)}, the model's has {tuple(wanted[name].shape)}"
        for name in shared
        if tuple(flat[name].shape) != tuple(wanted[name].shape)
    ]
    if strict and (missing or unexpected):
        parts = [
            f"{len(names)} {'name is' if len(names) == 1 else 'names are'} {what} ({_listed(names)})"
            for names, what in (
                (missing, "missing"),
                (unexpected, "not in the model"),
            )
            if names
        ]
        text = " and ".join(parts) + (f"; {_shapes(wrong)}" if wrong else "")
        raise TreeError(
            at_user_line(
                f"load_state_dict: {text}. {_hint(missing, flat)}Pass strict=False to load what fits."
            )
        )
    if wrong:
        raise ShapeError(at_user_line(f"load_state_dict: {_shapes(wrong)}."))

    def filled(tree: Any, prefix: str) -> Any:
        dot = "." if prefix else ""
        if isinstance(tree, Mapping):
            return {key: filled(child, f"{prefix}{dot}{key}") for key, child in tree.items()}
        if isinstance(tree, (list, tuple)):
            made = [filled(child, f"{prefix}{dot}{i}") for i, child in enumerate(tree)]
            return type(tree)(*made) if hasattr(tree, "_fields") else type(tree)(made)
        return _value(prefix, flat[prefix], tree.dtype) if prefix in flat else tree

    return filled(params, ""), filled(state, "")


def _without_tied(flat: Mapping[str, Any], tied: Mapping[str, str]) -> Mapping[str, Any]:
    """`flat` without the names that repeat others; a parameter found under them alone is renamed."""
    rest = {name: value for name, value in flat.items() if name not in tied}
    for name, own in tied.items():
        if name not in flat:
            continue
        value = rest.setdefault(own, flat[name])
        if value is not flat[name] and not np.array_equal(
            np.asarray(value), np.asarray(flat[name]), equal_nan=True
        ):
            raise TreeError(
                at_user_line(
                    f"load_state_dict: {name} and {own} are one parameter of the model, but have "
                    "different values."
                )
            )
    return rest


def _listed(names: list[str]) -> str:
    return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")


def _shapes(wrong: list[str]) -> str:
    return "; ".join(wrong[:8]) + (f"; and {len(wrong) - 8} more" if len(wrong) > 8 else "")


def _hint(missing: list[str], flat: Mapping[str, Any]) -> str:
    """What to do where the names differ by a prefix, or stand one dict deeper."""
    inner = [name for name, value in flat.items() if isinstance(value, Mapping)]
    if inner:
        return f"The file holds dicts: did you mean its entry {inner[0]!r}? "
    for name in flat:
        prefix = name.removesuffix(missing[0]) if missing else name
        if prefix and prefix != name and all(other.startswith(prefix) for other in flat):
            return (
                f"All names begin with {prefix!r}: take it away with "
                f"{{name.removeprefix({prefix!r}): x for name, x in flat.items()}}. "
            )
    return ""


def _value(name: str, value: Any, dtype: np.dtype) -> Array:
    array = np.asarray(value)
    spoilt = dtypes.is_complex(array.dtype) and not dtypes.is_complex(dtype)
    if not spoilt:
        with np.errstate(invalid="ignore"):  # of NaN to an integer, which the comparison notices
            made = array.astype(dtype, copy=not isinstance(value, Array))
        if dtypes.is_inexact(dtype) or np.array_equal(made, array):
            return Array(made)
    raise DtypeError(
        at_user_line(
            f"load_state_dict: {name} has dtype {array.dtype}, whose values cannot become the "
            f"model's {dtype}."
        )
    )
