"""Layers from named parts and a function that says how they work together, as `torch.nn.Module`.

For what `sequential` and its like cannot say: several inputs, skips, masks, parameters of one's
own. The parts are a nested mapping, whose keys are the names of parameters; the function is given
them, bound to their parameters, and the inputs. Depends on `layer`.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from rtfunc import random
from rtfunc.core import dtypes
from rtfunc.core.array import Array
from rtfunc.core.errors import ArgumentError, TreeError, at_user_line
from rtfunc.nn.initializers import Initializer
from rtfunc.nn.layer import (
    InputSpec,
    Layer,
    Params,
    State,
    apply_child,
    as_layer,
    as_spec,
    check_mappings,
    init_child,
    parameter,
    put,
    split_keys,
)
from rtfunc.transforms.jit import jit
from rtfunc.transforms.stage import eval_shape

Path = tuple[str, ...]


class Parts:
    """The parts of a module inside its function: `part.conv1(x)`, `part.layers[0](x)`.

    A part is called with inputs, and keyword arguments for its own `apply`, and returns its output.
    Groups of parts are got by attribute or by key, and can be walked through; a parameter of the
    module's own is an attribute too. `train` says whether the module is applied in training, and
    `random_key` is a key for what it draws itself, None where `apply` got none.
    """

    def __init__(self, call: _Call, table: Mapping[str, Any], path: Path = ()) -> None:
        self._call, self._table, self._path = call, table, path

    @property
    def train(self) -> bool:
        """Whether the module is applied in training."""
        return self._call.train

    @property
    def random_key(self) -> Any:
        """A key for random numbers of the module's own."""
        return self._call.random_key

    def parameters(self, name: str) -> Params:
        """The parameters of the part `name` ("a.b" for one in a group), to use them elsewhere too.

        In the function, after the part was called.
        """
        found = _at(self._call.params, (*self._path, *name.split(".")))
        if isinstance(found, Mapping) and not found:
            raise ArgumentError(
                at_user_line(
                    f"{self._call.name}: the part {name!r} has no parameters, or forward did not "
                    "call it before."
                )
            )
        return found

    def __getitem__(self, name: str | int) -> Any:
        name = str(name)
        if name in self._table:
            entry, path = self._table[name], (*self._path, name)
            if isinstance(entry, Mapping):
                return Parts(self._call, entry, path)
            return functools.partial(self._call.part, path, entry)
        if not self._path and name in self._call.own:
            return parameter(self._call.name, self._call.params, name)
        raise ArgumentError(
            at_user_line(
                f"{self._call.name} has no part {'.'.join((*self._path, name))!r}; there are "
                f"{', '.join([*self._table, *self._call.own]) or 'none'}."
            )
        )

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self[name]

    def __iter__(self) -> Iterator[Any]:
        return (self[name] for name in self._table)

    def __len__(self) -> int:
        return len(self._table)


@dataclasses.dataclass
class _Call:
    """One application of a module: where the parts find parameters and leave their state."""

    name: str
    params: Any
    state: Any
    own: Mapping[str, Any]
    keys: Mapping[Path, Any]
    train: bool
    random_key: Any = None
    new_state: dict[str, Any] = dataclasses.field(default_factory=dict)
    calls: dict[Path, int] = dataclasses.field(default_factory=dict)

    def part(self, path: Path, layer: Layer, *inputs: Any, **arguments: Any) -> Any:
        name = ".".join(path)
        # A part called again continues with the state that it left, and with another key.
        before = self.calls.get(path, 0)
        self.calls[path] = before + 1
        key = self.keys.get(path)
        if before and key is not None:
            key = random.fold_in(key, before)
        if arguments:
            bound = functools.partial(layer.apply, **arguments)
            layer = dataclasses.replace(layer, apply=bound)
        own = _at(self.params, path)
        state = _at(self.new_state if before else self.state, path)
        out, new = apply_child(name, layer, {name: own}, {name: state}, inputs, key, self.train)
        _put_at(self.new_state, path, new)
        return out


def module(
    parts: Mapping[str, Any],
    forward: Callable[..., Any],
    *,
    parameters: Mapping[str, tuple[Initializer, Any]] | None = None,
    name: str = "module",
) -> Layer:
    """A layer of named parts, and `forward(part, *inputs)` that calls them.

    Arguments:
      parts: layers or functions by name; a nested mapping or a list groups them under a name, as
        PyTorch's `ModuleDict` and `ModuleList` do.
      forward: takes the parts (`Parts`) and the inputs, with any keyword arguments that the layer
        shall take (with defaults, since `init` gives none), and returns the output. For the inputs
        of `init` it calls every part, or its parameters could not be made.
      parameters: parameters of the module itself: an initializer and a shape (or a function of the
        input specs to one) by name.

    Raises, on `init`, `ArgumentError` for a part that `forward` did not call.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn, random
    >>> def forward(part, x, scale=1.0):
    ...     for layer in part.layers:
    ...         x = x + nn.relu(layer(x))
    ...     return part.head(x) * scale
    >>> model = nn.module({"layers": [nn.dense(4), nn.dense(4)], "head": nn.dense(2)}, forward)
    >>> params, state = model.init(random.key(0), (1, 4))
    >>> list(nn.state_dict(params))[::2]
    ['layers.0.weight', 'layers.1.weight', 'head.weight']
    >>> model.apply(params, state, rnp.ones((3, 4)), scale=2.0)[0].shape
    (3, 2)
    """
    table = _table(name, parts)
    children = dict(_flat(table))
    own = dict(parameters or {})
    taken = sorted(set(own) & set(table))
    if taken:
        raise ArgumentError(
            at_user_line(f"{name}: {', '.join(taken)} are names of parts and of parameters.")
        )

    def init(key: Any, *specs: InputSpec) -> tuple[Params, State]:
        inputs = [as_spec(spec) for spec in specs]
        own_key, *keys = split_keys(key, len(children) + 1)
        params: dict[str, Any] = {}
        floats = (x.dtype for x in inputs if dtypes.is_inexact(x.dtype))
        kind = next(floats, dtypes.default_float)
        for (what, (initializer, shape)), k in zip(own.items(), split_keys(own_key, len(own))):
            size: Any = shape(*inputs) if callable(shape) else shape
            params[what] = initializer(k, tuple(size), kind)
        state: dict[str, Any] = {}
        called = _record(name, table, own, params, forward, inputs)
        for (path, layer), k in zip(children.items(), keys):
            if path not in called:
                raise ArgumentError(
                    at_user_line(
                        f"{name}: forward did not call the part {'.'.join(path)!r}, so the shape "
                        "of its input is not known. Leave it out, or call it for every input."
                    )
                )
            p, s = init_child(".".join(path), layer, k, called[path])
            _put_at(params, path, p)
            _put_at(state, path, s)
        return params, state

    def apply(
        params: Params,
        state: State,
        *inputs: Any,
        key: Any = None,
        train: bool = False,
        **arguments: Any,
    ) -> tuple[Any, State]:
        check_mappings(name, params, state)
        own_key, *keys = split_keys(key, len(children) + 1)
        call = _Call(name, params, state, own, dict(zip(children, keys)), train, own_key)
        out = forward(Parts(call, table), *inputs, **arguments)
        for path in children.keys() - call.calls.keys():
            _put_at(call.new_state, path, _at(state, path))
        return out, call.new_state

    return Layer(init, apply, name, tuple((".".join(p), layer) for p, layer in children.items()))


def _record(
    name: str,
    table: Mapping[str, Any],
    own: Mapping[str, Any],
    params: Params,
    forward: Callable[..., Any],
    specs: Sequence[Any],
) -> dict[Path, tuple[Any, ...]]:
    """The specs of the inputs with which `forward` calls each part first."""
    called: dict[Path, tuple[Any, ...]] = {}

    class Recording(_Call):
        def part(self, path: Path, layer: Layer, *inputs: Any, **arguments: Any) -> Any:
            label = ".".join(path)
            given = tuple(as_spec(x) for x in inputs if x is not None)
            called.setdefault(path, given)
            p, s = init_child(label, layer, random.key(0), given)
            _put_at(self.params, path, p)
            if arguments:
                bound = functools.partial(layer.apply, **arguments)
                layer = dataclasses.replace(layer, apply=bound)
            return apply_child(label, layer, {label: p}, {label: s}, inputs, None, False)[0]

    def run(own_params: Params, *inputs: Any) -> Any:
        call = Recording(name, dict(own_params), {}, own, {}, False)
        return forward(Parts(call, table), *inputs)

    eval_shape(run, params, *specs)
    return called


def _table(name: str, parts: Any) -> dict[str, Any]:
    """`parts` as nested dicts of layers."""
    items = parts.items() if isinstance(parts, Mapping) else enumerate(parts)
    table: dict[str, Any] = {}
    for key, value in items:
        key = str(key)
        if not key or "." in key:
            raise ArgumentError(
                at_user_line(
                    f"{name}: the key {key!r} is empty or holds a dot, which separates keys in the "
                    "names of parameters."
                )
            )
        grouped = isinstance(value, (Mapping, list, tuple))
        table[key] = _table(name, value) if grouped else as_layer(name, value)
    return table


def _flat(table: Mapping[str, Any], path: Path = ()) -> Iterator[tuple[Path, Layer]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, (*path, key))
        else:
            yield (*path, key), value


def _at(tree: Any, path: Path) -> Any:
    """What stands in `tree` at `path`; an empty dict where there is nothing."""
    for key in path:
        if not isinstance(tree, Mapping):
            raise TreeError(
                at_user_line(
                    f"Parameters or state at {'.'.join(path)!r} are in a {type(tree).__name__} "
                    "instead of a dict. Pass what init returned."
                )
            )
        tree = tree.get(key, {})
    return tree


def _put_at(tree: dict[str, Any], path: Path, value: Any) -> None:
    if isinstance(value, Mapping) and not value:
        return
    for key in path[:-1]:
        tree = tree.setdefault(key, {})
    put(tree, path[-1], value)


def initial_state(layer: Layer, *specs: InputSpec, key: Array | None = None) -> State:
    """The state that `layer.init` makes, without its parameters: running statistics, empty caches.

    For a state of another batch size than the parameters were made with.

    >>> from rtfunc import nn
    >>> nn.initial_state(nn.batch_norm(), (1, 3))["running_mean"]
    Array([0., 0., 0.], dtype=float32)
    """
    given = random.key(0) if key is None else key
    avals = [as_spec(spec) for spec in specs]
    # What makes the parameters is dead code in the compiled function.
    return jit(lambda k: layer.init(k, *avals)[1])(given)
