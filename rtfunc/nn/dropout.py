"""Dropout layers: they act in training only, and then need a key. Depends on `functional`."""

from __future__ import annotations

from typing import Any

from rtfunc.core.errors import ArgumentError, ShapeError, at_user_line
from rtfunc.nn import functional
from rtfunc.nn.layer import InputSpec, Layer, Params, State, single_input
from rtfunc.ops.convert import as_array


def dropout(rate: float = 0.5) -> Layer:
    """Elements set to 0 with probability `rate` and the others divided by 1 - rate, in training.

    Input and output of any shape. `apply` needs a key with `train=True`, and raises `ArgumentError`
    without; in evaluation the input is returned as it is.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn, random
    >>> layer = nn.dropout(0.5)
    >>> layer.apply({}, {}, rnp.ones(2))[0]
    Array([1., 1.], dtype=float32)
    >>> sorted(set(layer.apply({}, {}, rnp.ones(99), key=random.key(0), train=True)[0].tolist()))
    [0.0, 2.0]
    """
    return _dropout(f"dropout({rate})", rate, spatial=False)


def spatial_dropout(rate: float = 0.5) -> Layer:
    """Dropout of whole channels: PyTorch's `Dropout1d`, `Dropout2d` and `Dropout3d`.

    Input and output (N, C, ...); see `dropout`.

    Tompson et al. 2015, https://arxiv.org/abs/1411.4280.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn, random
    >>> out, _ = nn.spatial_dropout(0.5).apply(
    ...     {}, {}, rnp.ones((1, 8, 2)), key=random.key(0), train=True
    ... )
    >>> bool((out[..., 0] == out[..., 1]).all())
    True
    """
    return _dropout(f"spatial_dropout({rate})", rate, spatial=True)


def alpha_dropout(rate: float = 0.5, *, spatial: bool = False) -> Layer:
    """Dropout for networks of `selu`, which keeps mean 0 and variance 1: PyTorch's `AlphaDropout`.

    Input and output of any shape; see `dropout`.

    Arguments: spatial: whether whole channels of an input (N, C, ...) are dropped, as by
    `FeatureAlphaDropout`.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn
    >>> nn.alpha_dropout(0.5).apply({}, {}, rnp.ones(2))[0]
    Array([1., 1.], dtype=float32)
    """
    return _dropout(f"alpha_dropout({rate})", rate, spatial=spatial, alpha=True)


def _dropout(name: str, rate: float, *, spatial: bool, alpha: bool = False) -> Layer:
    if not 0 <= rate <= 1:
        raise ArgumentError(at_user_line(f"{name}: the rate is from 0 to 1."))

    def init(key: Any, *specs: InputSpec) -> tuple[Params, State]:
        return {}, {}

    def apply(
        params: Params, state: State, *inputs: Any, key: Any = None, train: bool = False
    ) -> tuple[Any, State]:
        x = single_input(name, inputs)
        if not train or rate == 0:
            return x, state
        if key is None:
            raise ArgumentError(
                at_user_line(
                    f"{name} draws random numbers in training: pass a key, as in "
                    "model.apply(params, state, x, key=key, train=True), a new one for each step "
                    "(rtfunc.random.split)."
                )
            )
        x = as_array(name, x)
        if spatial and x.ndim < 3:
            raise ShapeError(at_user_line(f"{name} takes an input (N, C, ...), not {x.shape}."))
        together = tuple(range(2, x.ndim)) if spatial else ()
        function = functional.alpha_dropout if alpha else functional.dropout
        return function(x, rate, key, broadcast_axes=together), state

    return Layer(init, apply, name)
