"""Multilayer perceptron, torchvision's `ops.MLP`. Depends on `rtfunc.nn`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rtfunc import nn


def mlp(
    features: Sequence[int],
    *,
    norm: Callable[[], nn.Layer] | None = None,
    activation: Callable[[Any], Any] | None = None,
    dropout: float = 0.0,
    bias: bool = True,
) -> nn.Layer:
    """Dense layers with an activation between them, of torchvision's `ops.MLP`.

    Input (..., in), output (..., features[-1]). Parameters: "0", "3", ... of the dense layers,
    three apart, or four with norms ("1", "5", ...).

    Arguments: features: of the layers, the last one's being the output's; norm: makes a norm for
    each hidden layer, before its activation, such as `nn.layer_norm`; activation: `nn.relu` by
    default; dropout: rate after every layer.

    >>> from rtfunc import nn, random
    >>> params, state = nn.models.mlp([16, 16, 2]).init(random.key(0), (1, 4))
    >>> list(params)
    ['0', '3', '6']
    """
    *hidden, out = features
    layers: list[Any] = []
    for size in hidden:
        layers.append(nn.dense(size, bias=bias))
        if norm is not None:
            layers.append(norm())
        layers += [nn.relu if activation is None else activation, nn.dropout(dropout)]
    return nn.sequential([*layers, nn.dense(out, bias=bias), nn.dropout(dropout)])
