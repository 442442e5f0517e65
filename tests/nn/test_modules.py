"""`nn.module`: names, keys and states of parts, and what it says about mistakes."""

import numpy as np
import pytest

from rtfunc import nn, random
from rtfunc import numpy as rnp
from rtfunc.core.errors import ArgumentError, ShapeError
from rtfunc.transforms.jit import jit

KEY = random.key(0)


def counter():
    """A layer that counts its applications and returns its key."""

    def init(key, *specs):
        return {}, {"count": rnp.zeros((), int)}

    def apply(params, state, x, *, key=None, train=False):
        return (x, key), {"count": state["count"] + 1}

    return nn.Layer(init, apply, "counter")


def test_groups_give_dotted_names():
    parts = {"embed": nn.dense(4), "h": [{"mlp": nn.dense(4)}, {"mlp": nn.dense(4)}]}

    def forward(part, x):
        x = part.embed(x)
        for block in part.h:
            x = block.mlp(x)
        return part["h"][1]["mlp"](x)

    model = nn.module(parts, forward)
    params, state = model.init(KEY, (1, 3))
    assert list(nn.state_dict(params, state)) == [
        f"{n}.{w}" for n in ("embed", "h.0.mlp", "h.1.mlp") for w in ("weight", "bias")
    ]
    assert params["embed"]["weight"].shape == (4, 3)
    x = rnp.ones((2, 3))
    by_hand = nn.linear(x, **params["embed"])
    for i in ("0", "1", "1"):
        by_hand = nn.linear(by_hand, **params["h"][i]["mlp"])
    np.testing.assert_array_equal(model.apply(params, state, x)[0], by_hand)


def test_own_parameters_are_attributes():
    model = nn.module(
        {},
        lambda part, x: x * part.scale,
        parameters={"scale": (nn.initializers.constant(3.0), lambda x: (x.shape[-1],))},
    )
    params, state = model.init(KEY, (1, 2))
    np.testing.assert_array_equal(params["scale"], [3.0, 3.0])
    np.testing.assert_array_equal(model.apply(params, state, rnp.ones(2))[0], [3.0, 3.0])


def test_a_part_called_twice_keeps_its_state_and_gets_two_keys():
    def forward(part, x):
        x, first = part.a(x)
        x, second = part.a(x)
        return first, second

    model = nn.module(
        {"a": counter(), "b": nn.batch_norm()}, lambda part, x: forward(part, part.b(x))
    )
    params, state = model.init(KEY, (2, 3))
    (first, second), new = model.apply(params, state, rnp.ones((2, 3)), key=KEY)
    assert int(new["a"]["count"]) == 2
    assert not np.array_equal(first, second)
    assert set(new) == {"a", "b"}


def test_a_part_left_out_of_a_call_keeps_its_state():
    def forward(part, x, skip=False):
        return x if skip else part.norm(x)

    model = nn.module({"norm": nn.batch_norm()}, forward)
    params, state = model.init(KEY, (2, 3))
    _, new = model.apply(params, state, rnp.ones((2, 3)), skip=True, train=True)
    assert int(new["norm"]["num_batches_tracked"]) == 0


def test_arguments_reach_the_parts():
    inner = nn.module({}, lambda part, x, *, factor=1.0: x * factor)
    outer = nn.module({"inner": inner}, lambda part, x, *, factor=1.0: part.inner(x, factor=factor))
    out, _ = jit(lambda x: outer.apply({}, {}, x, factor=2.0))(rnp.ones(2))
    np.testing.assert_array_equal(out, [2.0, 2.0])


def test_training_is_known_inside():
    model = nn.module({}, lambda part, x: x * (2 if part.train else 1))
    assert float(model.apply({}, {}, rnp.asarray(1.0), train=True)[0]) == 2
    assert float(model.apply({}, {}, rnp.asarray(1.0))[0]) == 1


def test_mistakes_are_named():
    with pytest.raises(ArgumentError, match=r"forward did not call the part 'a\.0'"):
        nn.module({"a": [nn.dense(2)]}, lambda part, x: x).init(KEY, (1, 3))
    with pytest.raises(ArgumentError, match="net has no part 'b'; there are a"):
        nn.module({"a": nn.dense(2)}, lambda part, x: part.b(x), name="net").init(KEY, (1, 3))
    with pytest.raises(ArgumentError, match=r"the key 'a\.b' is empty or holds a dot"):
        nn.module({"a.b": nn.relu}, lambda part, x: x)
    with pytest.raises(ArgumentError, match="w are names of parts and of parameters"):
        nn.module({"w": nn.relu}, lambda part, x: x, parameters={"w": (nn.initializers.ones, (1,))})
    model = nn.module({"h": [nn.dense(2)]}, lambda part, x: part.h[0](x))
    params, state = model.init(KEY, (1, 3))
    with pytest.raises(ShapeError, match=r"In layer 'h\.0': linear: the input has shape \(1, 5\)"):
        model.apply(params, state, rnp.ones((1, 5)))


def test_the_initial_state_is_that_of_init():
    model = nn.sequential(nn.dense(3), nn.batch_norm())
    state = nn.initial_state(model, (1, 2))
    expected = model.init(KEY, (1, 2))[1]
    assert nn.state_dict(state).keys() == nn.state_dict(expected).keys()
    np.testing.assert_array_equal(state["1"]["running_var"], expected["1"]["running_var"])
