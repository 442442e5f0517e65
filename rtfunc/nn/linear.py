"""Linear layers and their relatives: dense, bilinear, embedding, prelu, rrelu, and flatten.

The module to imitate for a new layer: check the spec, make the parameters in PyTorch's layout,
apply the function of `functional`. Depends on `functional`, `initializers`.
"""

from __future__ import annotations

import math
from typing import Any

from rtfunc import numpy as rnp
from rtfunc import random
from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.dtypes import DtypeLike
from rtfunc.core.errors import ArgumentError, ShapeError, at_user_line
from rtfunc.nn import functional, initializers
from rtfunc.nn.arguments import check_positive
from rtfunc.nn.functional import linear as linear
from rtfunc.nn.initializers import Initializer
from rtfunc.nn.layer import (
    InputSpec,
    Layer,
    Params,
    State,
    input_specs,
    parameter,
    parameter_dtype,
    single_input,
    split_keys,
)
from rtfunc.ops.convert import as_array, promote_inexact
from rtfunc.ops.shape import normalize_axis


def dense(
    features: int,
    *,
    bias: bool = True,
    weight_init: Initializer = initializers.default_weight,
    bias_init: Initializer | None = None,
    dtype: DtypeLike | None = None,
) -> Layer:
    """x @ weight.T + bias on the last axis: PyTorch's `Linear`, the input size taken from the spec.

    Input (..., in), output (..., features). Parameters: "weight" (features, in), "bias"
    (features,).

    Arguments: weight_init, bias_init: PyTorch's defaults unless given; dtype: of the parameters, by
    default that of the input.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn, random
    >>> layer = nn.dense(4)
    >>> params, state = layer.init(random.key(0), (1, 3))
    >>> params["weight"].shape, layer.apply(params, state, rnp.ones((5, 3)))[0].shape
    ((4, 3), (5, 4))
    """
    check_positive("dense", "features", features)
    name = f"dense({features})"

    def init(key: Any, *specs: InputSpec) -> tuple[Params, State]:
        (x,) = input_specs(name, specs)
        if not x.ndim:
            raise ShapeError(at_user_line(f"{name} takes an input (..., in), not a scalar."))
        fan_in, kind = x.shape[-1], parameter_dtype(x, dtype)
        weight_key, bias_key = split_keys(key, 2)
        params = {"weight": weight_init(weight_key, (features, fan_in), kind)}
        if bias:
            initializer = bias_init or initializers.default_bias(fan_in)
            params["bias"] = initializer(bias_key, (features,), kind)
        return params, {}

    def apply(
        params: Params, state: State, *inputs: Any, key: Any = None, train: bool = False
    ) -> tuple[Any, State]:
        x = single_input(name, inputs)
        weight = parameter(name, params, "weight")
        return functional.linear(
            x, weight, parameter(name, params, "bias") if bias else None
        ), state

    return Layer(init, apply, name)


def bilinear(
    features: int,
    *,
    bias: bool = True,
    dtype: DtypeLike | None = None,
) -> Layer:
    """x^T weight[k] y + bias[k] of two inputs: PyTorch's `Bilinear`.

    Inputs (..., in1) and (..., in2), output (..., features). Parameters: "weight"
    (features, in1, in2), "bias" (features,).

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn, random
    >>> layer = nn.bilinear(4)
    >>> params, state = layer.init(random.key(0), (1, 3), (1, 2))
    >>> layer.apply(params, state, rnp.ones((5, 3)), rnp.ones((5, 2)))[0].shape
    (5, 4)
    """
    check_positive("bilinear", "features", features)
    name = f"bilinear({features})"

    def init(key: Any, *specs: InputSpec) -> tuple[Params, State]:
        x, y = input_specs(name, specs, 2)
        kind = parameter_dtype(x, dtype)
        bound = 1 / math.sqrt(max(x.shape[-1], 1))
        within = initializers.uniform(-bound, bound)
        weight_key, bias_key = split_keys(key, 2)
        params = {"weight": within(weight_key, (features, x.shape[-1], y.shape[-1]), kind)}
        if bias:
            params["bias"] = within(bias_key, (features,), kind)
        return params, {}

    def apply(
        params: Params, state: State, *inputs: Any, key: Any = None, train: bool = False
    ) -> tuple[Any, State]:
        if len(inputs) != 2:
            raise ArgumentError(at_user_line(f"{name} takes two inputs, but got {len(inputs)}."))
        weight = parameter(name, params, "weight")
        b = parameter(name, params, "bias") if bias else None
        return functional.bilinear(*inputs, weight, b), state

    return Layer(init, apply, name)


def embedding(
    num_embeddings: int,
    features: int,
    *,
    padding_index: int | None = None,
    weight_init: Initializer | None = None,
    dtype: DtypeLike = dtypes.float32,
) -> Layer:
    """A table of vectors looked up by integers: PyTorch's `Embedding`.

    Input (...) of integers, output (..., features). Parameter: "weight" (num_embeddings, features),
    standard normal by default.

    Arguments: padding_index: a row that begins as zeros and gets no gradient.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn, random
    >>> layer = nn.embedding(10, 4)
    >>> params, state = layer.init(random.key(0), (1, 3))
    >>> layer.apply(params, state, rnp.zeros((2, 3), int))[0].shape
    (2, 3, 4)
    """
    check_positive("embedding", "num_embeddings", num_embeddings)
    check_positive("embedding", "features", features)
    if padding_index is not None and not -num_embeddings <= padding_index < num_embeddings:
        raise ArgumentError(
            at_user_line(
                f"embedding: padding_index {padding_index} is not a row of {num_embeddings}."
            )
        )
    name = f"embedding({num_embeddings}, {features})"

    def init(key: Any, *specs: InputSpec) -> tuple[Params, State]:
        input_specs(name, specs)
        initializer = weight_init or initializers.normal()
        weight = initializer(key, (num_embeddings, features), dtypes.as_dtype(dtype))
        if padding_index is not None:
            weight = weight.at[padding_index].set(0)
        return {"weight": weight}, {}

    def apply(
        params: Params, state: State, *inputs: Any, key: Any = None, train: bool = False
    ) -> tuple[Any, State]:
        indices = single_input(name, inputs)
        return functional.embedding(
            indices, parameter(name, params, "weight"), padding_index
        ), state

    return Layer(init, apply, name)


def prelu(
    num_parameters: int = 1, *, initial: float = 0.25, dtype: DtypeLike | None = None
) -> Layer:
    """x where x > 0, else weight * x: PyTorch's `PReLU`.

    Input (N, C, ...), output of its shape. Parameter: "weight" (num_parameters,), one for all
    channels or one for each.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn, random
    >>> layer = nn.prelu()
    >>> params, state = layer.init(random.key(0), (1, 2))
    >>> layer.apply(params, state, rnp.array([[-1.0, 1.0]]))[0]
    Array([[-0.25,  1.  ]], dtype=float32)
    """
    check_positive("prelu", "num_parameters", num_parameters)

    def init(key: Any, *specs: InputSpec) -> tuple[Params, State]:
        (x,) = input_specs("prelu", specs)
        return {"weight": rnp.full((num_parameters,), initial, parameter_dtype(x, dtype))}, {}

    def apply(
        params: Params, state: State, *inputs: Any, key: Any = None, train: bool = False
    ) -> tuple[Any, State]:
        x = single_input("prelu", inputs)
        return functional.prelu(x, parameter("prelu", params, "weight")), state

    return Layer(init, apply, "prelu")


def rrelu(low: float = 1 / 8, high: float = 1 / 3) -> Layer:
    """x where x >= 0, else x times a number drawn from `low` to `high`: PyTorch's `RReLU`.

    Input and output of any shape. In training each element has a number of its own, for which
    `apply` needs a key; in evaluation it is the mean of the two.

    Xu et al. 2015, https://arxiv.org/abs/1505.00853.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn
    >>> nn.rrelu(0.25, 0.75).apply({}, {}, rnp.array([-1.0, 1.0]))[0]
    Array([-0.5,  1. ], dtype=float32)
    """
    name = f"rrelu({low:g}, {high:g})"
    if not low <= high:
        raise ArgumentError(at_user_line(f"{name}: low is not above high."))

    def init(key: Any, *specs: InputSpec) -> tuple[Params, State]:
        return {}, {}

    def apply(
        params: Params, state: State, *inputs: Any, key: Any = None, train: bool = False
    ) -> tuple[Any, State]:
        (x,) = promote_inexact(name, single_input(name, inputs))
        if train and key is None:
            raise ArgumentError(
                at_user_line(
                    f"{name} draws random numbers in training: pass a key, as in "
                    "model.apply(params, state, x, key=key, train=True)."
                )
            )
        slope = random.uniform(key, x.shape, x.dtype, low, high) if train else (low + high) / 2
        return rnp.where(x > 0, x, x * slope), state

    return Layer(init, apply, name)


def flatten(x: ArrayLike, start_axis: int = 1, end_axis: int = -1) -> Array:
    """x with the axes from `start_axis` to `end_axis` made one: PyTorch's `Flatten`.

    >>> import rtfunc.numpy as rnp
    >>> flatten(rnp.zeros((5, 2, 3, 4))).shape
    (5, 24)
    """
    x = as_array("flatten", x)
    first = normalize_axis("flatten", start_axis, max(x.ndim, 1))
    last = normalize_axis("flatten", end_axis, max(x.ndim, 1))
    if first > last:
        raise ArgumentError(
            at_user_line(
                f"flatten: start_axis {start_axis} comes after end_axis {end_axis} in shape "
                f"{x.shape}."
            )
        )
    together = math.prod(x.shape[first : last + 1])
    return rnp.reshape(x, (*x.shape[:first], together, *x.shape[last + 1 :]))
