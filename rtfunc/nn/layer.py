"""The layer contract: a pair of pure functions, and what combinators need to build on it.

    params, state = layer.init(key, *input_specs)
    out, state = layer.apply(params, state, *inputs, key=None, train=False)

`params` are what an optimizer changes, `state` what the layer itself changes in training (running
statistics). Both are nested dicts with the keys and layouts of PyTorch's `state_dict`; a layer that
has none uses an empty dict. Input specs are shapes, `ShapeDtypeStruct`s or example arrays, batch
axis included; a shape alone means float32, and the dtype of the spec becomes the parameters' dtype.

A layer of your own is two functions and a `Layer` around them:

>>> import rtfunc.numpy as rnp
>>> from rtfunc import nn, random
>>> def scale():
...     def init(key, x):
...         return {"weight": rnp.ones(nn.as_spec(x).shape[-1])}, {}
...
...     def apply(params, state, x, *, key=None, train=False):
...         return x * params["weight"], state
...
...     return nn.Layer(init, apply, name="scale")
>>> model = nn.sequential(scale(), rnp.sin, nn.dense(2))
>>> params, state = model.init(random.key(0), (1, 3))
>>> model.apply(params, state, rnp.ones((5, 3)))[0].shape
(5, 2)

Depends on `transforms.stage` for output shapes.
"""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from rtfunc import random
from rtfunc.core import dtypes
from rtfunc.core.array import Array
from rtfunc.core.aval import Aval, as_shape
from rtfunc.core.dtypes import DtypeLike
from rtfunc.core.errors import (
    ArgumentError,
    DtypeError,
    RtfuncError,
    TreeError,
    at_user_line,
)
from rtfunc.transforms.stage import eval_shape

#: Trees of Arrays: nested dicts for the layers of this package.
Params: TypeAlias = Any
State: TypeAlias = Any
#: A shape, a ShapeDtypeStruct, or an array.
InputSpec: TypeAlias = Any


@dataclasses.dataclass(frozen=True)
class Layer:
    """A pair of pure functions `(init, apply)`; see the module's docstring for their signatures.

    Arguments: name: what messages and `nn.summary` call it; children: key and layer of each part,
    for combinators, shown by `repr` (parameters of a part stand under its key).

    >>> from rtfunc import nn
    >>> nn.sequential(nn.dense(8), nn.relu)
    sequential(
      0: dense(8)
      1: relu
    )
    """

    init: Callable[..., tuple[Params, State]]
    apply: Callable[..., tuple[Any, State]]
    name: str = "layer"
    children: tuple[tuple[str, Layer], ...] = ()

    def __repr__(self) -> str:
        if not self.children:
            return self.name
        lines = [f"{key}: {child!r}".replace("\n", "\n  ") for key, child in self.children]
        return f"{self.name}(\n  " + "\n  ".join(lines) + "\n)"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Raises `ArgumentError` that says how layers are applied."""
        raise ArgumentError(
            at_user_line(
                f"A layer holds no parameters and is not called: write "
                f"`params, state = layer.init(key, input_shape)` once, then "
                f"`out, state = layer.apply(params, state, x)` (this layer is {self.name})."
            )
        )


def from_function(function: Callable[..., Any], name: str | None = None) -> Layer:
    """A layer without parameters from a plain function of its inputs.

    Combinators do this to every function they are given, so `nn.sequential(nn.dense(8), nn.relu)`
    needs it only to set a name.

    >>> from rtfunc import nn
    >>> double = nn.from_function(lambda x: 2 * x, name="double")
    >>> double.apply({}, {}, 3)
    (6, {})
    """
    if name is None:
        inner = getattr(function, "func", function)  # of a functools.partial
        name = str(getattr(inner, "__name__", type(inner).__name__))

    def init(key: Any, *specs: InputSpec) -> tuple[Params, State]:
        return {}, {}

    def apply(
        params: Params, state: State, *inputs: Any, key: Any = None, train: bool = False
    ) -> tuple[Any, State]:
        out = function(*inputs)
        if isinstance(out, Layer):
            raise _not_called(name)
        return out, state

    return Layer(init, apply, name)


def of_one_input(name: str, function: Callable[[Any], Any]) -> Layer:
    """As `from_function`, for a function of one array: other numbers of inputs are explained.

    >>> of_one_input("double", lambda x: 2 * x).apply({}, {}, 3)
    (6, {})
    """
    return from_function(lambda *inputs: function(single_input(name, inputs)), name)


def _not_called(name: str) -> ArgumentError:
    return ArgumentError(
        at_user_line(
            f"{name} makes a layer and was given in the place of one: write {name}(...) with its "
            "arguments."
        )
    )


def as_layer(combinator: str, layer: Any) -> Layer:
    """`layer` itself, or a layer from a function. Raises `DtypeError` for anything else, and
    `ArgumentError` for a function that makes layers, such as `nn.dense`, given without a call.
    """
    if isinstance(layer, Layer):
        return layer
    if callable(layer):
        if getattr(layer, "__annotations__", {}).get("return") in ("Layer", Layer):
            raise _not_called(layer.__name__)
        return from_function(layer)
    raise DtypeError(
        at_user_line(
            f"{combinator} takes layers and functions of arrays, but got a {type(layer).__name__}: "
            f"{layer!r:.60}. A layer is nn.Layer(init, apply) or made by a function such as "
            "nn.dense(10)."
        )
    )


def as_spec(spec: InputSpec) -> Aval:
    """Shape and dtype of an input: of an array, a `ShapeDtypeStruct`, or a shape (float32).

    >>> as_spec((32, 10))
    Aval(float32[32,10])
    """
    if isinstance(spec, Aval):
        return spec
    if isinstance(spec, (tuple, list, int)):
        return Aval(as_shape(spec), dtypes.default_float)
    if hasattr(spec, "shape") and hasattr(spec, "dtype"):
        return Aval(tuple(spec.shape), spec.dtype)
    raise DtypeError(
        at_user_line(
            f"An input spec is a shape such as (32, 10), a ShapeDtypeStruct or an array, "
            f"not a {type(spec).__name__}."
        )
    )


def input_specs(layer: str, specs: Sequence[InputSpec], count: int = 1) -> list[Aval]:
    """The specs given to `init` as Avals; `ArgumentError` unless there are `count`."""
    if len(specs) != count:
        raise ArgumentError(
            at_user_line(
                f"{layer}: init takes a key and {count} input spec{'s' * (count != 1)}, "
                f"but got {len(specs)}. A spec is the shape of an input, batch axis included: "
                "layer.init(key, (32, 10))."
            )
        )
    return [as_spec(spec) for spec in specs]


def single_input(layer: str, inputs: Sequence[Any]) -> Any:
    """The one input of a layer; `ArgumentError` when there are others."""
    if len(inputs) != 1:
        raise ArgumentError(
            at_user_line(
                f"{layer} takes one input, but got {len(inputs)}. apply takes "
                "(params, state, *inputs); inside nn.sequential a tuple that a layer returns "
                "becomes several inputs of the next."
            )
        )
    return inputs[0]


def parameter_dtype(spec: Aval, dtype: DtypeLike | None = None) -> Any:
    """The dtype of parameters: `dtype`, else the input's if it is a float, else float32."""
    if dtype is not None:
        return dtypes.as_dtype(dtype)
    return spec.dtype if dtypes.is_inexact(spec.dtype) else dtypes.default_float


def parameter(layer: str, params: Params, name: str) -> Array:
    """`params[name]`; `TreeError` that says what is there instead when it is missing."""
    try:
        return params[name]
    except (KeyError, TypeError, IndexError):
        pass
    found = sorted(map(str, params)) if isinstance(params, Mapping) else type(params).__name__
    raise TreeError(
        at_user_line(
            f"{layer} found no {name!r} in its parameters or state, which hold "
            f"{found or 'nothing'}. Pass what this layer's init returned: "
            "apply(params, state, *inputs)."
        )
    )


# What combinators need: children under keys, and errors that name the way to a layer.


def as_children(combinator: str, layers: Sequence[Any]) -> tuple[tuple[str, Layer], ...]:
    """Keys and layers from a combinator's arguments: layers, or one mapping of keys to layers."""
    if len(layers) == 1 and isinstance(layers[0], Mapping):
        items = [(str(key), layer) for key, layer in layers[0].items()]
    elif len(layers) == 1 and isinstance(layers[0], (list, tuple)):
        items = [(str(i), layer) for i, layer in enumerate(layers[0])]
    else:
        items = [(str(i), layer) for i, layer in enumerate(layers)]
    for key, _ in items:
        if not key or "." in key:
            raise ArgumentError(
                at_user_line(
                    f"{combinator}: the key {key!r} is empty or holds a dot, which separates keys "
                    "in the names of parameters."
                )
            )
    return tuple((key, as_layer(combinator, layer)) for key, layer in items)


def split_keys(key: Any, count: int) -> Sequence[Any]:
    """`count` keys for the parts of a layer; all None when there is no key."""
    if isinstance(key, (tuple, list, int)):
        raise ArgumentError(
            at_user_line(
                f"A random key comes first, as in layer.init(rtfunc.random.key(0), (32, 10)), but "
                f"got {key!r:.60}."
            )
        )
    if key is None or not count:
        return [None] * count
    if count == 1:
        return [key]
    keys = random.split(key, count)
    return [keys[i] for i in range(count)]


def init_child(
    key: str, layer: Layer, random_key: Any, specs: Sequence[InputSpec]
) -> tuple[Any, Any]:
    """Parameters and state of a part; errors get `key` in their path."""
    try:
        made = layer.init(random_key, *specs)
        if not isinstance(made, tuple) or len(made) != 2:
            raise TreeError(
                at_user_line(
                    f"The init of {layer.name} returns a pair (params, state), "
                    f"not {type(made).__name__}."
                )
            )
    except Exception as error:
        add_to_path(error, key)
        raise
    return made


def apply_child(
    child: str,
    layer: Layer,
    params: Mapping[str, Any],
    state: Mapping[str, Any],
    inputs: Sequence[Any],
    key: Any,
    train: bool,
) -> tuple[Any, State]:
    """Output and new state of a part, whose parameters stand in `params[child]`.

    A part without parameters may be missing there. Errors get `child` in their path.
    """
    try:
        call = _interceptor.get() or _call
        made = call(child, layer, params.get(child, {}), state.get(child, {}), inputs, key, train)
        if not isinstance(made, tuple) or len(made) != 2:
            raise TreeError(
                at_user_line(
                    f"The apply of {layer.name} returns a pair (output, state), "
                    f"not {type(made).__name__}."
                )
            )
    except Exception as error:
        add_to_path(error, child)
        raise
    return made


def _call(
    child: str, layer: Layer, params: Any, state: Any, inputs: Sequence[Any], key: Any, train: bool
) -> tuple[Any, State]:
    return layer.apply(params, state, *inputs, key=key, train=train)


def check_mappings(layer: str, params: Any, state: Any) -> None:
    """Raise `TreeError` unless the arguments of a combinator's `apply` can be what `init` gave."""
    for name, value in (("params", params), ("state", state)):
        if not isinstance(value, Mapping):
            raise TreeError(
                at_user_line(
                    f"{layer}: apply takes (params, state, *inputs), but {name} is a "
                    f"{type(value).__name__} and not a dict. Pass what init returned: "
                    "`params, state = model.init(key, spec)`, then `model.apply(params, state, x)`."
                )
            )


def put(tree: dict[str, Any], key: str, value: Any) -> None:
    """Set `tree[key]`, unless `value` is an empty dict: PyTorch has no entries for such layers."""
    if not (isinstance(value, Mapping) and not value):
        tree[key] = value


def as_inputs(out: Any) -> tuple[Any, ...]:
    """What a layer returned as the inputs of the next: a tuple is several inputs."""
    return tuple(out) if isinstance(out, tuple) else (out,)


def output_specs(
    layer: Layer, params: Params, state: State, specs: Sequence[Any]
) -> tuple[Any, ...]:
    """Specs of what `layer` returns for inputs of `specs`, without computing it."""
    given = [as_spec(s) if isinstance(s, (tuple, list, int)) else s for s in specs]
    out, _ = eval_shape(lambda p, s, *xs: layer.apply(p, s, *xs), params, state, *given)
    return as_inputs(out)


def add_to_path(error: Exception, key: str) -> None:
    """Put `key` in front of the layer path that the message of `error` begins with."""
    path = [key, *getattr(error, "layer_path", ())]
    text = f"In layer {'.'.join(path)!r}: "
    if isinstance(error, RtfuncError):
        if len(path) == 1:
            error.layer_message = str(error)  # type: ignore[attr-defined]
        error.args = (text + error.layer_message,)  # type: ignore[attr-defined]
    else:
        notes = getattr(error, "__notes__", [])
        if len(path) > 1:
            notes.pop()
        error.add_note(text[:-2] + ".")
    with contextlib.suppress(AttributeError):
        error.layer_path = path  # type: ignore[attr-defined]


#: `(key, layer, params, state, inputs, random key, train)` to what the layer's apply returns.
Interceptor: TypeAlias = Callable[[str, Layer, Any, Any, Sequence[Any], Any, bool], Any]
_interceptor: contextvars.ContextVar[Interceptor | None] = contextvars.ContextVar(
    "interceptor", default=None
)


@contextlib.contextmanager
def intercepting(interceptor: Interceptor) -> Iterator[None]:
    """Let `interceptor` apply the parts of combinators: to watch them, as `nn.summary` does."""
    token = _interceptor.set(interceptor)
    try:
        yield
    finally:
        _interceptor.reset(token)
