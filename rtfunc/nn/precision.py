"""Mixed precision: parameters in one dtype, the computation in a shorter one.

The layer stays as it is; `mixed_precision` casts what goes in and what comes out. Gradients pass
through the casts, and so have the dtype of the parameters. Norms and softmax compute in float32 by
themselves, and losses do so on the float32 output. For float16, whose smallest numbers are not far
away, `optim.dynamic_loss_scale` keeps gradients from vanishing. Depends on `layer`.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from rtfunc import tree
from rtfunc.core import dtypes
from rtfunc.core.aval import Aval
from rtfunc.core.dtypes import DtypeLike
from rtfunc.core.errors import DtypeError, at_user_line
from rtfunc.nn.layer import InputSpec, Layer, Params, State, as_layer, as_spec
from rtfunc.ops.convert import as_array, convert


@dataclasses.dataclass(frozen=True)
class Policy:
    """Which dtypes a layer's parameters, computation and output have.

    Arguments: params: of parameters, and of the gradients with respect to them; compute: to which
    parameters and inputs are cast; output: to which outputs are cast. Only real floating-point
    arrays are cast.

    Raises `DtypeError` for dtypes that are no floats.

    Micikevicius et al. 2018, https://arxiv.org/abs/1710.03740.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn
    >>> nn.Policy(compute="float16").to_compute({"x": rnp.ones(2), "labels": rnp.arange(2)})
    {'x': Array([1., 1.], dtype=float16), 'labels': Array([0, 1], dtype=int32)}
    """

    params: DtypeLike = "float32"
    compute: DtypeLike = "bfloat16"
    output: DtypeLike = "float32"

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            dtype = dtypes.as_dtype(getattr(self, field.name))
            if not dtypes.is_float(dtype):
                raise DtypeError(
                    at_user_line(f"Policy: {field.name} is a floating-point dtype, not {dtype}.")
                )
            object.__setattr__(self, field.name, dtype)

    def to_params(self, values: Any) -> Any:
        """A pytree with its floats in the dtype of the parameters."""
        return _cast(values, self.params)

    def to_compute(self, values: Any) -> Any:
        """A pytree with its floats in the dtype of the computation."""
        return _cast(values, self.compute)

    def to_output(self, values: Any) -> Any:
        """A pytree with its floats in the dtype of the output."""
        return _cast(values, self.output)


def mixed_precision(layer: Any, policy: Policy | None = None) -> Layer:
    """`layer` computed in another dtype than its parameters have.

    Parameters, state and arguments are those of `layer`; `init` makes the parameters in
    `policy.params`, `apply` casts them and the inputs to `policy.compute`, and the output to
    `policy.output`. The state, such as the running statistics of a norm, keeps its dtypes.

    Arguments: policy: `Policy()` by default, that is bfloat16 between float32.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn, random
    >>> model = nn.mixed_precision(nn.sequential(nn.dense(8), nn.relu, nn.dense(2)))
    >>> params, state = model.init(random.key(0), (1, 4))
    >>> out, state = model.apply(params, state, rnp.ones((3, 4)))
    >>> str(params["0"]["weight"].dtype), str(out.dtype)
    ('float32', 'float32')
    """
    inner = as_layer("mixed_precision", layer)
    dtypes_of = Policy() if policy is None else policy

    def init(key: Any, *specs: InputSpec) -> tuple[Params, State]:
        given = [as_spec(spec) for spec in specs]
        given = [Aval(s.shape, dtypes_of.params) if dtypes.is_float(s.dtype) else s for s in given]
        params, state = inner.init(key, *given)
        return dtypes_of.to_params(params), state

    def apply(
        params: Params,
        state: State,
        *inputs: Any,
        key: Any = None,
        train: bool = False,
        **arguments: Any,
    ) -> tuple[Any, State]:
        out, new = inner.apply(
            dtypes_of.to_compute(params),
            state,
            *dtypes_of.to_compute(inputs),
            key=key,
            train=train,
            **dtypes_of.to_compute(arguments),
        )
        return dtypes_of.to_output(out), _like(state, new)

    return Layer(init, apply, f"mixed_precision({inner.name})", inner.children)


def _cast(values: Any, dtype: Any) -> Any:
    def cast(x: Any) -> Any:
        # Python's numbers and flags take the dtype of what they meet.
        if not hasattr(x, "dtype"):
            return x
        x = as_array("mixed_precision", x)
        return convert(x, dtype) if dtypes.is_float(x.dtype) and x.dtype != dtype else x

    return tree.map(cast, values)


def _like(old: State, new: State) -> State:
    """The new state in the dtypes of the old one."""
    if tree.structure(old) != tree.structure(new):
        return new
    return tree.map(lambda a, b: b if a.dtype == b.dtype else convert(b, a.dtype), old, new)
