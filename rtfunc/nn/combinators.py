"""Layers made of layers: sequential, residual, parallel, branch, repeat.

Each takes layers or plain functions. The parameters and the state of a part stand under its key
("0", "1", ... or the names of a mapping), as in PyTorch's containers; parts that have none are left
out. A tuple that a layer returns becomes several inputs of the next one. Keys for random numbers
are split, one for each part. The module to imitate for a combinator of your own. Depends on
`layer`.
"""

from __future__ import annotations

from typing import Any

from rtfunc.core.errors import ArgumentError, ShapeError, at_user_line
from rtfunc.nn.layer import (
    InputSpec,
    Layer,
    Params,
    State,
    add_to_path,
    apply_child,
    as_children,
    as_inputs,
    as_layer,
    check_mappings,
    init_child,
    output_specs,
    put,
    split_keys,
)


def identity(x: Any) -> Any:
    """`x` itself.

    >>> identity(3)
    3
    """
    return x


def sequential(*layers: Any) -> Layer:
    """One layer after the other, as `torch.nn.Sequential`.

    Arguments: layers: layers or functions; or one mapping of keys to them.

    Parameters stand under "0", "1", ... or under the mapping's keys.

    >>> from rtfunc import nn, random, tree
    >>> model = nn.sequential(nn.dense(5), nn.relu, nn.dense(2))
    >>> params, state = model.init(random.key(0), (1, 3))
    >>> tree.map(lambda p: p.shape, params)["2"]["weight"]
    (2, 5)
    """
    children = as_children("sequential", layers)

    def init(key: Any, *specs: InputSpec) -> tuple[Params, State]:
        params: dict[str, Any] = {}
        state: dict[str, Any] = {}
        for i, ((name, layer), k) in enumerate(zip(children, split_keys(key, len(children)))):
            p, s = init_child(name, layer, k, specs)
            put(params, name, p)
            put(state, name, s)
            if i + 1 < len(children):
                try:
                    specs = output_specs(layer, p, s, specs)
                except Exception as error:
                    add_to_path(error, name)
                    raise
        return params, state

    def apply(
        params: Params, state: State, *inputs: Any, key: Any = None, train: bool = False
    ) -> tuple[Any, State]:
        check_mappings("sequential", params, state)
        new_state: dict[str, Any] = {}
        for (name, layer), k in zip(children, split_keys(key, len(children))):
            out, s = apply_child(name, layer, params, state, inputs, k, train)
            inputs = as_inputs(out)
            put(new_state, name, s)
        return (inputs[0] if len(inputs) == 1 else inputs), new_state

    return Layer(init, apply, "sequential", children)


def repeat(layer: Any, times: int) -> Layer:
    """`times` layers like `layer` in sequence, each with parameters of its own ("0", "1", ...).

    >>> from rtfunc import nn, random
    >>> deep = nn.repeat(nn.sequential(nn.dense(4), nn.tanh), 3)
    >>> sorted(deep.init(random.key(0), (1, 4))[0])
    ['0', '1', '2']
    """
    if times < 0:
        raise ArgumentError(at_user_line(f"repeat: times is not negative, but got {times}."))
    return sequential([as_layer("repeat", layer)] * times)


def residual(layer: Any, shortcut: Any = identity, *, shortcut_key: str = "downsample") -> Layer:
    """`layer(x) + shortcut(x)`.

    Arguments: layer: what is added; shortcut: how the input gets to the sum, itself by default;
    shortcut_key: where the shortcut's parameters stand, beside those of `layer`, as in
    torchvision's ResNet.

    Raises `ShapeError` when the two outputs differ in shape.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn, random
    >>> block = nn.residual(nn.dense(3), shortcut=nn.dense(3, bias=False))
    >>> params, state = block.init(random.key(0), (1, 3))
    >>> sorted(params)
    ['bias', 'downsample', 'weight']
    """
    body, way = as_layer("residual", layer), as_layer("residual", shortcut)

    def init(key: Any, *specs: InputSpec) -> tuple[Params, State]:
        first, second = split_keys(key, 2)
        params, state = map(dict, body.init(first, *specs))
        p, s = init_child(shortcut_key, way, second, specs)
        for own, other in ((params, p), (state, s)):
            if shortcut_key in own:
                raise ArgumentError(
                    at_user_line(
                        f"residual: the layer has parameters under {shortcut_key!r} already. "
                        "Choose another shortcut_key."
                    )
                )
            put(own, shortcut_key, other)
        return params, state

    def apply(
        params: Params, state: State, *inputs: Any, key: Any = None, train: bool = False
    ) -> tuple[Any, State]:
        check_mappings("residual", params, state)
        first, second = split_keys(key, 2)
        own_params, own_state = (
            {k: v for k, v in t.items() if k != shortcut_key} for t in (params, state)
        )
        out, new_state = body.apply(own_params, own_state, *inputs, key=first, train=train)
        passed, s = apply_child(shortcut_key, way, params, state, inputs, second, train)
        new_state = dict(new_state)
        put(new_state, shortcut_key, s)
        if out.shape != passed.shape:
            raise ShapeError(
                at_user_line(
                    f"residual adds outputs of one shape, but the layer returned {out.shape} and "
                    f"the shortcut {passed.shape}. Give a shortcut that changes the shape alike, "
                    "for example nn.dense(features, bias=False)."
                )
            )
        return out + passed, new_state

    children = body.children or (("layer", body),)
    return Layer(init, apply, "residual", (*children, (shortcut_key, way)))


def branch(*layers: Any) -> Layer:
    """Every layer applied to the same inputs; returns the tuple of outputs.

    Follow it by a function of as many arguments to merge them.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn, random
    >>> both = nn.branch(nn.dense(2), nn.identity)
    >>> both = nn.sequential(both, lambda a, b: rnp.sum(a) + rnp.sum(b))
    >>> params, state = both.init(random.key(0), (1, 3))
    >>> both.apply(params, state, rnp.ones((4, 3)))[0].shape
    ()
    """
    return _side_by_side("branch", layers, shared=True)


def parallel(*layers: Any) -> Layer:
    """The first layer applied to the first input, the second to the second, ...; returns a tuple.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn, random
    >>> towers = nn.parallel(nn.dense(2), nn.relu)
    >>> params, state = towers.init(random.key(0), (1, 3), (1, 5))
    >>> [y.shape for y in towers.apply(params, state, rnp.ones((4, 3)), rnp.ones((4, 5)))[0]]
    [(4, 2), (4, 5)]
    """
    return _side_by_side("parallel", layers, shared=False)


def _side_by_side(combinator: str, layers: Any, *, shared: bool) -> Layer:
    children = as_children(combinator, layers)

    def given(values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        """The inputs (or specs) of each part."""
        if shared:
            return [values] * len(children)
        if len(values) != len(children):
            raise ArgumentError(
                at_user_line(
                    f"parallel of {len(children)} layers takes as many inputs, "
                    f"but got {len(values)}."
                )
            )
        return [(value,) for value in values]

    def init(key: Any, *specs: InputSpec) -> tuple[Params, State]:
        params: dict[str, Any] = {}
        state: dict[str, Any] = {}
        keys = split_keys(key, len(children))
        for (name, layer), k, own in zip(children, keys, given(specs)):
            p, s = init_child(name, layer, k, own)
            put(params, name, p)
            put(state, name, s)
        return params, state

    def apply(
        params: Params, state: State, *inputs: Any, key: Any = None, train: bool = False
    ) -> tuple[Any, State]:
        check_mappings(combinator, params, state)
        outs = []
        new_state: dict[str, Any] = {}
        keys = split_keys(key, len(children))
        for (name, layer), k, own in zip(children, keys, given(inputs)):
            out, s = apply_child(name, layer, params, state, own, k, train)
            outs.append(out)
            put(new_state, name, s)
        return tuple(outs), new_state

    return Layer(init, apply, combinator, children)
