"""Names of parameters as PyTorch has them: nested dicts to flat ones with dotted names, and back.

A PyTorch `state_dict` holds parameters and buffers together; here they are `params` and `state`.
Depends on `layer`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from rtfunc import numpy as rnp
from rtfunc.core.array import Array
from rtfunc.core.errors import ShapeError, TreeError, at_user_line
from rtfunc.nn.layer import Params, State


def state_dict(
    params: Params, state: State | None = None, *, tied: Mapping[str, str] | None = None
) -> dict[str, Array]:
    """Parameters and state of a model under the names of PyTorch's `state_dict`: "0.weight".

    Arguments: tied: names to add, each for a parameter that PyTorch has under two, as in
    {"lm_head.weight": "transformer.wte.weight"}.

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
    params: Params,
    state: State | None = None,
    *,
    strict: bool = True,
    tied: Mapping[str, str] | None = None,
) -> tuple[Params, State]:
    """`params` and `state` with the values of a `state_dict`, converted to the dtypes they had.

    Arguments: flat: arrays (NumPy's, or any with `__array__`) by name; params, state: as `init`
    gives them; strict: whether names must agree on both sides. Otherwise those that are missing
    keep their values and those that are unknown are left out; tied: names under which a file
    repeats another parameter, as for `state_dict`.

    Raises `TreeError` that lists missing and unknown names, or tied ones with different values, and
    `ShapeError` for another shape.

    >>> from rtfunc import nn, random
    >>> params, state = nn.dense(2).init(random.key(0), (1, 3))
    >>> loaded, _ = nn.load_state_dict(nn.state_dict(params), params)
    >>> bool((loaded["weight"] == params["weight"]).all())
    True
    """
    state = {} if state is None else state
    flat = _without_tied(flat, tied or {})
    wanted = state_dict(params, state)
    missing = [name for name in wanted if name not in flat]
    unknown = [name for name in flat if name not in wanted]
    if strict and (missing or unknown):
        raise TreeError(
            at_user_line(
                "load_state_dict: "
                + " and ".join(
                    f"{len(names)} {what} ({', '.join(names[:8])}{', ...' * (len(names) > 8)})"
                    for names, what in (
                        (missing, "names are missing"),
                        (unknown, "names are not in the model"),
                    )
                    if names
                )
                + ". Pass strict=False to load what fits."
            )
        )
    wrong = [
        f"{name} has shape {tuple(flat[name].shape)}, the model's has {tuple(old.shape)}"
        for name, old in wanted.items()
        if name in flat and tuple(flat[name].shape) != tuple(old.shape)
    ]
    if wrong:
        raise ShapeError(at_user_line("load_state_dict: " + "; ".join(wrong[:8]) + "."))

    def filled(tree: Any, prefix: str) -> Any:
        dot = "." if prefix else ""
        if isinstance(tree, Mapping):
            return {key: filled(child, f"{prefix}{dot}{key}") for key, child in tree.items()}
        if isinstance(tree, (list, tuple)):
            made = [filled(child, f"{prefix}{dot}{i}") for i, child in enumerate(tree)]
            return type(tree)(*made) if hasattr(tree, "_fields") else type(tree)(made)
        if prefix not in flat:
            return tree
        value = flat[prefix]
        return rnp.asarray(
            value if isinstance(value, Array) else value.__array__(), dtype=tree.dtype
        )

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
