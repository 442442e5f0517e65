"""Parametrizations: layers whose weight is computed from other parameters.

`weight_norm` learns length and direction of a weight apart, `spectral_norm` divides it by its
largest singular value, `orthogonal` keeps it orthogonal. All wrap any layer that has a parameter of
the given name; names of parameters and state are those of torch.nn.utils.parametrizations, so that
its files load. The layer beneath sees only the weight that comes out. `parametrized` is the
mechanism, for one of your own. Depends on `layer`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from rtfunc import numpy as rnp
from rtfunc import random
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.errors import ArgumentError, ShapeError, at_user_line
from rtfunc.nn.arguments import check_positive
from rtfunc.nn.layer import (
    InputSpec,
    Layer,
    Params,
    State,
    as_layer,
    check_mappings,
    parameter,
    split_keys,
)
from rtfunc.ops.convert import as_array
from rtfunc.ops.shape import normalize_axis
from rtfunc.transforms.custom import stop_gradient


@dataclasses.dataclass(frozen=True)
class Parametrization:
    """How a weight is computed from parameters.

    Attributes:
      split: `(key, weight)` to `(originals, state)`: dicts of the parameters from which the weight
        is computed, and of arrays that training changes besides.
      join: `(originals, state, train)` to `(weight, new state)`.
    """

    split: Callable[[Any, Array], tuple[dict[str, Any], dict[str, Any]]]
    join: Callable[[Any, Any, bool], tuple[Array, dict[str, Any]]]


def parametrized(layer: Any, parametrization: Parametrization, parameter_name: str) -> Layer:
    """`layer` with its parameter of the given name computed by `parametrization`.

    Its originals stand under "parametrizations.NAME", and its state under "parametrizations.NAME.0"
    as in PyTorch, in the place of the parameter itself.

    Raises `ArgumentError` at `init` where the layer has no such parameter.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn, random
    >>> positive = nn.Parametrization(
    ...     lambda key, weight: ({"original": rnp.log(rnp.abs(weight))}, {}),
    ...     lambda originals, state, train: (rnp.exp(originals["original"]), state),
    ... )
    >>> layer = nn.parametrized(nn.dense(2, bias=False), positive, "weight")
    >>> params, state = layer.init(random.key(0), (1, 3))
    >>> list(nn.state_dict(params))
    ['parametrizations.weight.original']
    """
    inner, name = as_layer("parametrized", layer), parameter_name

    def init(key: Any, *specs: InputSpec) -> tuple[Params, State]:
        layer_key, own_key = split_keys(key, 2)
        params, state = map(dict, inner.init(layer_key, *specs))
        if isinstance(params.get(name, {}), Mapping):
            raise ArgumentError(
                at_user_line(
                    f"{inner.name} has no parameter {name!r} to compute from others; its parameters "
                    f"are {sorted(params) or 'none'}."
                )
            )
        originals, own = parametrization.split(own_key, params.pop(name))
        params["parametrizations"] = {**params.get("parametrizations", {}), name: originals}
        if own:
            owns = {**state.get("parametrizations", {}), name: {"0": own}}
            state["parametrizations"] = owns
        return params, state

    def apply(
        params: Params, state: State, *inputs: Any, key: Any = None, train: bool = False
    ) -> tuple[Any, State]:
        check_mappings(inner.name, params, state)
        originals = parameter(inner.name, parameter(inner.name, params, "parametrizations"), name)
        own = state.get("parametrizations", {}).get(name, {}).get("0", {})
        weight, own = parametrization.join(originals, own, train)
        out, new_state = inner.apply(
            {**_without(params, name), name: weight},
            _without(state, name),
            *inputs,
            key=key,
            train=train,
        )
        if own:
            owns = {**new_state.get("parametrizations", {}), name: {"0": own}}
            new_state = {**new_state, "parametrizations": owns}
        return out, new_state

    return Layer(init, apply, inner.name, inner.children)


def _without(tree: Mapping[str, Any], name: str) -> dict[str, Any]:
    """`tree` without what stands under "parametrizations.NAME"."""
    rest = {k: v for k, v in tree.get("parametrizations", {}).items() if k != name}
    others = {k: v for k, v in tree.items() if k != "parametrizations"}
    return {**others, "parametrizations": rest} if rest else others


def weight_norm(layer: Any, name: str = "weight", axis: int | None = 0) -> Layer:
    """`layer` with its weight as length times direction, g v / |v|: PyTorch's `weight_norm`.

    Arguments: name: of the parameter; axis: the one whose slices have a length each (0: one for
    each output), or None for one length of the whole.

    Parameters: "parametrizations.weight.original0" (g) and "parametrizations.weight.original1" (v)
    in the place of "weight", which at first has the value that the layer gave it.

    Salimans and Kingma 2016, https://arxiv.org/abs/1602.07868.

    >>> from rtfunc import nn, random
    >>> layer = nn.weight_norm(nn.dense(2))
    >>> params, state = layer.init(random.key(0), (1, 3))
    >>> {name: value.shape for name, value in nn.state_dict(params).items()}  # doctest: +ELLIPSIS
    {'bias': (2,), 'parametrizations.weight.original0': (2, 1), '...original1': (2, 3)}
    """

    def split(key: Any, weight: Array) -> tuple[dict[str, Any], dict[str, Any]]:
        return {"original0": _lengths(weight, axis), "original1": weight}, {}

    def join(originals: Any, state: Any, train: bool) -> tuple[Array, dict[str, Any]]:
        lengths, directions = (
            as_array("weight_norm", parameter("weight_norm", originals, part))
            for part in ("original0", "original1")
        )
        return directions * (lengths / _lengths(directions, axis)), state

    return parametrized(layer, Parametrization(split, join), name)


def _lengths(weight: Array, axis: int | None) -> Array:
    if axis is None:
        return rnp.sqrt(rnp.sum(rnp.square(weight)))
    kept = normalize_axis("weight_norm", axis, weight.ndim)
    others = tuple(i for i in range(weight.ndim) if i != kept)
    return rnp.sqrt(rnp.sum(rnp.square(weight), axis=others, keepdims=True))


def spectral_norm(
    layer: Any,
    name: str = "weight",
    *,
    power_iterations: int = 1,
    epsilon: float = 1e-12,
    axis: int = 0,
) -> Layer:
    """`layer` with its weight divided by its largest singular value: PyTorch's `spectral_norm`.

    The weight counts as a matrix of `axis` by all others. The singular value is found by power
    iterations, whose vectors are state: each application with `train=True` makes
    `power_iterations` more of them, and returns the new vectors; in evaluation they stay.

    Arguments: epsilon: least length by which vectors are divided; axis: that of the outputs, 0; for
    `conv_transpose` it is 1.

    Parameter: "parametrizations.weight.original" in the place of "weight". State:
    "parametrizations.weight.0._u" and "parametrizations.weight.0._v".

    Miyato et al. 2018, https://arxiv.org/abs/1802.05957.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn, random
    >>> layer = nn.spectral_norm(nn.conv(8, 3))
    >>> params, state = layer.init(random.key(0), (1, 4, 9, 9))
    >>> list(nn.state_dict({}, state))
    ['parametrizations.weight.0._u', 'parametrizations.weight.0._v']
    """
    check_positive("spectral_norm", "power_iterations", power_iterations)

    def matrix(weight: Array) -> Array:
        if weight.ndim < 2:
            return weight
        return rnp.moveaxis(weight, axis, 0).reshape((weight.shape[axis], -1))

    def unit(vector: Array) -> Array:
        length = rnp.sqrt(rnp.sum(rnp.square(vector)))
        return vector / rnp.maximum(length, epsilon)

    def iterated(m: Array, u: Array, v: Array, times: int) -> tuple[Array, Array]:
        for _ in range(times):
            u = unit(rnp.matmul(m, v))
            v = unit(rnp.matmul(m.T, u))
        return u, v

    def split(key: Any, weight: Array) -> tuple[dict[str, Any], dict[str, Any]]:
        if not weight.ndim:
            raise ShapeError(at_user_line(f"spectral_norm: the parameter {name!r} has no axes."))
        m = matrix(weight)
        if m.ndim < 2:
            return {"original": weight}, {}
        keys = split_keys(key, 2)
        u, v = (unit(random.normal(k, (n,), weight.dtype)) for k, n in zip(keys, m.shape))
        # PyTorch begins with as many, so that the first steps are near the truth.
        u, v = iterated(m, u, v, 15)
        return {"original": weight}, {"_u": u, "_v": v}

    def join(originals: Any, state: Any, train: bool) -> tuple[Array, dict[str, Any]]:
        weight: ArrayLike = parameter("spectral_norm", originals, "original")
        weight = as_array("spectral_norm", weight)
        m = matrix(weight)
        if m.ndim < 2:
            return unit(weight), state
        u, v = (parameter("spectral_norm", state, part) for part in ("_u", "_v"))
        if train:
            u, v = iterated(stop_gradient(m), u, v, power_iterations)
            state = {"_u": u, "_v": v}
        sigma = rnp.dot(u, rnp.matmul(m, v))
        return weight / sigma, state

    return parametrized(layer, Parametrization(split, join), name)


def orthogonal(layer: Any, name: str = "weight", orthogonal_map: str | None = None) -> Layer:
    """`layer` with an orthogonal weight, whatever an optimizer does: PyTorch's `orthogonal`.

    A weight (..., n, k) has orthonormal columns, or rows where n < k: Q[:, :k] of an orthogonal
    matrix Q = base @ map(original). At first it is the orthogonal factor of what the layer made.

    Arguments: orthogonal_map: "matrix_exp" or "cayley", of original - original.T (below the
    diagonal), or "householder", a product of k reflections; "matrix_exp" by default where n = k,
    else "householder".

    Parameter: "parametrizations.weight.original" in the place of "weight". State:
    "parametrizations.weight.0.base".

    Lezcano-Casado 2019, https://arxiv.org/abs/1909.09501.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn, random
    >>> layer = nn.orthogonal(nn.dense(2, bias=False))
    >>> params, state = layer.init(random.key(0), (1, 3))
    >>> rows, _ = layer.apply(params, state, rnp.eye(3))  # the weight, transposed
    >>> bool(rnp.allclose(rows.T @ rows, rnp.eye(2), atol=1e-6))
    True
    """
    if orthogonal_map not in (None, *_ORTHOGONAL_MAPS):
        raise ArgumentError(
            at_user_line(
                f"orthogonal: orthogonal_map is {', '.join(map(repr, _ORTHOGONAL_MAPS))} or None, "
                f"not {orthogonal_map!r}."
            )
        )

    def split(key: Any, weight: Array) -> tuple[dict[str, Any], dict[str, Any]]:
        if weight.ndim < 2:
            raise ShapeError(
                at_user_line(
                    f"orthogonal takes a parameter with two axes or more, but {name!r} has the "
                    f"shape {weight.shape}."
                )
            )
        tall = _tall(weight)
        *lead, n, k = tall.shape
        if n > k:
            more = random.normal(key, (*lead, n, n - k), weight.dtype)
            tall = rnp.concatenate([tall, more], axis=-1)
        base, triangle = rnp.linalg.qr(tall)
        base = base * rnp.sign(rnp.diagonal(triangle, axis1=-2, axis2=-1))[..., None, :]
        # The reflections of minus the identity, and the exponential of 0, are the identity.
        start = rnp.broadcast_to(-rnp.eye(*weight.shape[-2:], dtype=weight.dtype), weight.shape)
        return {"original": start}, {"base": base}

    def join(originals: Any, state: Any, train: bool) -> tuple[Array, dict[str, Any]]:
        original = as_array("orthogonal", parameter("orthogonal", originals, "original"))
        x = _tall(original)
        n, k = x.shape[-2:]
        which = orthogonal_map or ("matrix_exp" if n == k else "householder")
        q = rnp.matmul(parameter("orthogonal", state, "base"), _ORTHOGONAL_MAPS[which](x))
        return rnp.swapaxes(q, -1, -2) if original.shape[-2] < original.shape[-1] else q, state

    return parametrized(layer, Parametrization(split, join), name)


def _tall(x: Array) -> Array:
    return rnp.swapaxes(x, -1, -2) if x.shape[-2] < x.shape[-1] else x


def _skew(x: Array) -> Array:
    """The skew-symmetric matrix (..., n, n) with what x (..., n, k) has below its diagonal."""
    n, k = x.shape[-2:]
    lower = rnp.pad(rnp.tril(x), [(0, 0)] * (x.ndim - 1) + [(0, n - k)])
    return lower - rnp.swapaxes(lower, -1, -2)


def _exponential(x: Array) -> Array:
    return rnp.linalg.expm(_skew(x))[..., : x.shape[-1]]


def _cayley(x: Array) -> Array:
    half, unit = _skew(x) / 2, rnp.eye(x.shape[-2], dtype=x.dtype)
    return rnp.linalg.solve(unit - half, unit + half)[..., : x.shape[-1]]


def _reflections(x: Array) -> Array:
    """The first k columns of H_1 H_2 ... H_k, where H_i = 1 - 2 v v.T / (v.T v) and v is column i of
    x below the diagonal, with 1 on it.

    As 1 - V T V.T with an upper triangular T: Schreiber and Van Loan 1989,
    https://doi.org/10.1137/0910005. The diagonal of x, of 1 and -1, is the columns' sign.
    """
    n, k = x.shape[-2:]
    unit = rnp.eye(n, k, dtype=x.dtype)
    v = rnp.tril(x, -1) + unit
    products = rnp.matmul(rnp.swapaxes(v, -1, -2), v)
    inverse = rnp.triu(products) - rnp.eye(k, dtype=x.dtype) * products / 2
    q = unit - rnp.matmul(v, rnp.linalg.solve(inverse, rnp.swapaxes(v[..., :k, :], -1, -2)))
    signs = stop_gradient(rnp.trunc(rnp.diagonal(x, axis1=-2, axis2=-1)))
    return q * signs[..., None, :]


_ORTHOGONAL_MAPS: dict[str, Callable[[Array], Array]] = {
    "matrix_exp": _exponential,
    "cayley": _cayley,
    "householder": _reflections,
}
