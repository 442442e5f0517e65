"""The optimizer protocol, and putting optimizers together.

An optimizer, or a link of one, is a pair of pure functions, as in optax:

    state = optimizer.init(params)
    updates, state = optimizer.update(grads, state, params)
    params = apply_updates(params, updates)

`updates` have the structure of `params`, and the last link of an optimizer turns them downhill
(`scale_by_learning_rate`). States are pytrees: they can be jitted, saved and restored. Everything
keeps the dtypes of the parameters.

A link of your own is two functions:

>>> from rtfunc import optim, tree
>>> def scale(factor):
...     def update(updates, state, params=None, **extra):
...         return tree.map(lambda u: u * factor, updates), state
...
...     return optim.GradientTransformation(lambda params: optim.EmptyState(), update)
>>> optimizer = optim.chain(scale(0.5), optim.sgd(1.0))
>>> updates, state = optimizer.update({"w": 1.0}, optimizer.init({"w": 3.0}), {"w": 3.0})
>>> float(updates["w"])
-0.5

Depends on `tree`.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from rtfunc import numpy as rnp
from rtfunc import tree
from rtfunc.core import dtypes, pytree
from rtfunc.core.array import Array
from rtfunc.core.errors import ArgumentError, ShapeError, TreeError, at_user_line
from rtfunc.ops.convert import as_array, convert

Updates: TypeAlias = Any
OptimizerState: TypeAlias = Any
#: A number, or a function from the step (0 at first) to a number.
ScalarOrSchedule: TypeAlias = Any


class GradientTransformation(NamedTuple):
    """A pair of pure functions: `init(params) -> state` and
    `update(updates, state, params=None, **extra) -> (updates, state)`.

    `extra` is for links that need more, such as the loss; the others ignore it.
    """

    init: Callable[[Any], OptimizerState]
    update: Callable[..., tuple[Updates, OptimizerState]]


class EmptyState(NamedTuple):
    """The state of a link that has none."""


def stateless(function: Callable[[Updates, Any], Updates]) -> GradientTransformation:
    """A link from a function `(updates, params) -> updates`.

    >>> from rtfunc import optim
    >>> flip = optim.stateless(lambda updates, params: -updates)
    >>> flip.update(1.0, flip.init(0.0))[0]
    -1.0
    """

    def update(
        updates: Updates, state: OptimizerState, params: Any = None, **extra: Any
    ) -> tuple[Updates, OptimizerState]:
        return function(updates, params), state

    return GradientTransformation(lambda params: EmptyState(), update)


def identity() -> GradientTransformation:
    """The link that changes nothing.

    >>> identity().update(1.0, identity().init(0.0))[0]
    1.0
    """
    return stateless(lambda updates, params: updates)


def chain(*links: GradientTransformation) -> GradientTransformation:
    """Links one after the other; the state is the tuple of theirs.

    >>> from rtfunc import optim
    >>> optimizer = optim.chain(optim.clip_by_global_norm(1.0), optim.adam(1e-3))
    >>> len(optimizer.init({"w": 0.0}))
    2
    """
    for i, link in enumerate(links):
        if not (hasattr(link, "init") and hasattr(link, "update")):
            raise ArgumentError(
                at_user_line(
                    f"chain takes optimizers or links (pairs of init and update), but argument {i} "
                    f"is a {type(link).__name__}. Call the function that makes it, as in "
                    "optim.adam(1e-3)."
                )
            )

    def init(params: Any) -> OptimizerState:
        return tuple(link.init(params) for link in links)

    def update(
        updates: Updates, state: OptimizerState, params: Any = None, **extra: Any
    ) -> tuple[Updates, OptimizerState]:
        if not isinstance(state, tuple) or len(state) != len(links):
            raise TreeError(
                at_user_line(
                    f"The state of a chain of {len(links)} links is a tuple of as many, not "
                    f"{type(state).__name__}. update takes (grads, state, params), with the state "
                    "that optimizer.init(params) or the last update returned."
                )
            )
        states = []
        for link, own in zip(links, state):
            updates, own = link.update(updates, own, params, **extra)
            states.append(own)
        return updates, tuple(states)

    return GradientTransformation(init, update)


def apply_updates(params: Any, updates: Updates) -> Any:
    """`params + updates`, leaf by leaf, in the dtypes of the parameters.

    Raises `TreeError` when the structures differ, and `ShapeError` when the shapes do.

    >>> apply_updates({"w": 1.0}, {"w": -0.25})
    {'w': Array(0.75, dtype=float32, weak_type=True)}
    """

    def add(p: Any, u: Any) -> Array:
        p, u = as_array("apply_updates", p), as_array("apply_updates", u)
        if p.shape != u.shape:
            raise ShapeError(
                at_user_line(
                    f"apply_updates: an update of shape {u.shape} meets a parameter of shape "
                    f"{p.shape}. Gradients and state are those of these parameters?"
                )
            )
        moved = p + u
        return moved if moved.dtype == p.dtype else convert(moved, p.dtype)

    return tree.map(add, params, updates)


def global_norm(updates: Updates) -> Array:
    """The 2-norm of all values of a pytree together.

    >>> global_norm({"a": 3.0, "b": 4.0})
    Array(5., dtype=float32)
    """
    squares = [_sum_of_squares(leaf) for leaf in tree.leaves(updates)]
    total = squares[0] if squares else rnp.zeros(())
    for square in squares[1:]:
        total = total + square
    return rnp.sqrt(total)


def _sum_of_squares(x: Any) -> Array:
    """In float32 at least, so that 16-bit gradients do not overflow."""
    x = as_array("global_norm", x)
    return rnp.sum(
        rnp.square(rnp.abs(convert(x, dtypes.compute_dtype(dtypes.to_inexact(x.dtype)))))
    )


def cast_like(value: Any, like: Any) -> Any:
    """A scalar in the dtype of `like`, so that multiplying by it keeps that dtype."""
    if isinstance(value, Array) and value.dtype != like.dtype:
        return convert(value, like.dtype)
    return value


def as_schedule(rate: ScalarOrSchedule) -> Callable[[Any], Any]:
    """A schedule: `rate` itself if it is one, else the function that always returns it."""
    return rate if callable(rate) else lambda step: rate


def needs_params(link: str, params: Any) -> None:
    """Raise `ArgumentError` when a link that looks at the parameters was not given them."""
    if params is None:
        raise ArgumentError(
            at_user_line(
                f"{link} needs the parameters: write "
                "`updates, state = optimizer.update(grads, state, params)`."
            )
        )


# Parts of a tree


def paths_matching(*patterns: str) -> Callable[[Any], Any]:
    """A mask: which leaves have a path that one of `patterns` matches.

    Paths are dotted ("layers.0.weight"), patterns as in a shell ("*.weight"); where one does not
    begin with "*" it must match from the start. The result is a function for `masked` and for the
    `mask` arguments of optimizers.

    >>> from rtfunc import optim
    >>> optim.paths_matching("*bias")({"0": {"weight": 1.0, "bias": 2.0}})
    {'0': {'weight': False, 'bias': True}}
    """

    def mask(params: Any) -> Any:
        return tree.map_with_path(
            lambda path, _: any(fnmatch.fnmatchcase(tree.keystr(path), p) for p in patterns), params
        )

    return mask


def labels_by_path(rules: Mapping[str, str], default: str) -> Callable[[Any], Any]:
    """Labels for `multi_transform`: of the first pattern in `rules` that matches a leaf's path.

    Patterns are those of `paths_matching`.

    >>> from rtfunc import optim
    >>> label = optim.labels_by_path({"0.*": "frozen"}, default="trained")
    >>> label({"0": {"weight": 1.0}, "1": {"weight": 2.0}})
    {'0': {'weight': 'frozen'}, '1': {'weight': 'trained'}}
    """

    def labels(params: Any) -> Any:
        def label(path: tuple[Any, ...], _: Any) -> str:
            text = tree.keystr(path)
            found = (name for pattern, name in rules.items() if fnmatch.fnmatchcase(text, pattern))
            return next(found, default)

        return tree.map_with_path(label, params)

    return labels


class MaskedNode(NamedTuple):
    """In place of a leaf that an inner optimizer does not see: a node without leaves."""


class MaskedState(NamedTuple):
    """The state of `masked`: that of the inner optimizer for the chosen leaves."""

    inner: OptimizerState


def masked(inner: GradientTransformation, mask: Any) -> GradientTransformation:
    """`inner` for some leaves only; the other updates pass unchanged.

    Arguments: mask: a pytree of booleans like the parameters (or a prefix of it), or a function
    from the parameters to one, such as `paths_matching("*.weight")`.

    >>> from rtfunc import optim
    >>> decay = optim.masked(optim.add_decayed_weights(0.1), {"w": True, "b": False})
    >>> params = {"w": 1.0, "b": 1.0}
    >>> updates, _ = decay.update({"w": 0.0, "b": 0.0}, decay.init(params), params)
    >>> round(float(updates["w"]), 3), updates["b"]
    (0.1, 0.0)
    """

    def flags(like: Any) -> Any:
        given = mask(like) if callable(mask) else mask
        return tree.unflatten(tree.structure(like), tree.broadcast_prefix(given, like))

    def chosen(chosen_leaves: Any, values: Any) -> Any:
        if values is None:
            return None
        return tree.map(lambda m, v: v if m else MaskedNode(), chosen_leaves, values)

    def init(params: Any) -> MaskedState:
        return MaskedState(inner.init(chosen(flags(params), params)))

    def update(
        updates: Updates, state: MaskedState, params: Any = None, **extra: Any
    ) -> tuple[Updates, MaskedState]:
        where = flags(updates)
        new, own = inner.update(chosen(where, updates), state.inner, chosen(where, params), **extra)
        merged = tree.map(lambda m, n, old: n if m else old, where, new, updates)
        return merged, MaskedState(own)

    return GradientTransformation(init, update)


class MultiTransformState(NamedTuple):
    """The state of `multi_transform`: those of its optimizers, by label."""

    inner: dict[str, OptimizerState]


def multi_transform(
    optimizers: Mapping[str, GradientTransformation], labels: Any
) -> GradientTransformation:
    """A different optimizer for each group of leaves (PyTorch's parameter groups).

    Arguments: optimizers: by label; labels: a pytree of labels like the parameters (or a prefix of
    it), or a function from the parameters to one, such as `labels_by_path`.

    Raises `ArgumentError` for a label that no optimizer has.

    >>> from rtfunc import optim
    >>> groups = {"trained": optim.sgd(1.0), "frozen": optim.set_to_zero()}
    >>> optimizer = optim.multi_transform(groups, {"w": "trained", "b": "frozen"})
    >>> params = {"w": 1.0, "b": 1.0}
    >>> updates, _ = optimizer.update({"w": 0.5, "b": 0.5}, optimizer.init(params), params)
    >>> float(updates["w"]), float(updates["b"])
    (-0.5, 0.0)
    """

    def mask_of(label: str) -> Callable[[Any], Any]:
        def mask(params: Any) -> Any:
            given = labels(params) if callable(labels) else labels
            flat = tree.broadcast_prefix(given, params)
            unknown = sorted({str(name) for name in flat} - set(optimizers))
            if unknown:
                raise ArgumentError(
                    at_user_line(
                        f"multi_transform: labels {', '.join(unknown)} have no optimizer; there "
                        f"are {', '.join(sorted(optimizers))}."
                    )
                )
            return tree.unflatten(tree.structure(params), [name == label for name in flat])

        return mask

    parts = {label: masked(link, mask_of(label)) for label, link in optimizers.items()}

    def init(params: Any) -> MultiTransformState:
        return MultiTransformState({label: part.init(params) for label, part in parts.items()})

    def update(
        updates: Updates, state: MultiTransformState, params: Any = None, **extra: Any
    ) -> tuple[Updates, MultiTransformState]:
        states = {}
        # The groups are disjoint, so that each sees the gradients of its own leaves.
        for label, part in parts.items():
            updates, states[label] = part.update(updates, state.inner[label], params, **extra)
        return updates, MultiTransformState(states)

    return GradientTransformation(init, update)


def set_to_zero() -> GradientTransformation:
    """Updates of zero: the parameters stay as they are.

    >>> float(set_to_zero().update(1.0, EmptyState())[0])
    0.0
    """
    return stateless(lambda updates, params: tree.map(rnp.zeros_like, updates))


# What links are made with


def as_leaf(x: Any) -> Array:
    """A leaf of parameters or updates, which may be a Python number, as an Array."""
    return as_array("The optimizer", x)


def step_count() -> Array:
    """The count of updates, 0."""
    return rnp.zeros((), dtypes.int32)


def zeros_like(params: Any) -> Any:
    """Zeros for every parameter."""
    return tree.map(rnp.zeros_like, params)


def widest_dtype(params: Any) -> np.dtype:
    """float64 if any parameter is, else float32: the dtype of scalars that many leaves share."""
    wide = any(leaf.dtype == dtypes.float64 for leaf in map(as_leaf, tree.leaves(params)))
    return dtypes.float64 if wide else dtypes.float32


def dot(a: Any, b: Any, dtype: np.dtype) -> Array:
    """The inner product of two trees of real leaves, in `dtype`.

    >>> float(dot({"x": 2.0, "y": 3.0}, {"x": 1.0, "y": 10.0}, dtypes.float32))
    32.0
    """
    total = rnp.zeros((), dtype)
    products = tree.map(
        lambda x, y: rnp.sum(convert(as_leaf(x), dtype) * convert(as_leaf(y), dtype)), a, b
    )
    for product in tree.leaves(products):
        total = total + product
    return total


def split_map(function: Callable[..., tuple[Any, ...]], parts: int, *trees: Any) -> list[Any]:
    """`function` of corresponding leaves, which returns a tuple, as a tree for each of its parts.

    >>> split_map(lambda x, y: (x + y, x - y), 2, {"a": 3}, {"a": 1})
    [{'a': 4}, {'a': 2}]
    """
    values, treedef = pytree.flatten(trees[0])
    others = [pytree.flatten_up_to(treedef, t, "optimizer.update", trees[0]) for t in trees[1:]]
    results = [function(*group) for group in zip(values, *others, strict=True)]
    return [pytree.unflatten(treedef, [r[i] for r in results]) for i in range(parts)]
