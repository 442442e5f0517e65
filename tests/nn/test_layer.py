"""The layer contract: own layers, functions as layers, specs, keys, errors with paths."""

import functools

import numpy as np
import pytest

from rtfunc import nn, random, tree
from rtfunc import numpy as rnp
from rtfunc.core.aval import Aval
from rtfunc.core.errors import (
    ArgumentError,
    DtypeError,
    IndexingError,
    ShapeError,
    TreeError,
)
from rtfunc.transforms.jit import jit
from rtfunc.transforms.vjp import grad
from rtfunc.transforms.vmap import vmap

KEY = random.key(0)


def counting_scale():
    """A user's layer with a parameter and a state."""

    def init(key, x):
        return {"scale": rnp.ones(nn.as_spec(x).shape[-1])}, {"calls": rnp.zeros((), "int32")}

    def apply(params, state, x, *, key=None, train=False):
        return x * params["scale"], {"calls": state["calls"] + 1}

    return nn.Layer(init, apply, name="counting_scale")


def test_a_users_pair_is_a_layer_among_the_others():
    model = nn.sequential(counting_scale(), nn.dense(2), counting_scale())
    params, state = model.init(KEY, (1, 3))
    out, state = model.apply(params, state, rnp.ones((4, 3)))
    out, state = model.apply(params, state, rnp.ones((4, 3)))
    assert out.shape == (4, 2)
    assert params["2"]["scale"].shape == (2,)
    assert tree.map(int, state) == {"0": {"calls": 2}, "2": {"calls": 2}}


def test_apply_works_under_jit_grad_and_vmap():
    model = nn.sequential(nn.dense(4), nn.tanh, nn.dense(1))
    params, state = model.init(KEY, (1, 3))
    x = rnp.array(np.random.default_rng(0).normal(size=(5, 3)), dtype="float32")

    def loss(params, x):
        return model.apply(params, state, x)[0].sum()

    whole = grad(loss)(params, x)
    compiled = jit(grad(loss))(params, x)
    each = vmap(grad(loss), in_axes=(None, 0))(params, x)
    for a, b, c in zip(tree.leaves(whole), tree.leaves(compiled), tree.leaves(each)):
        # Sums of five float32 numbers in another order.
        np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(c.sum(axis=0), a, rtol=1e-5, atol=1e-6)


def test_init_is_a_function_of_the_key():
    layer = nn.sequential(nn.dense(3), nn.dense(3))
    one, same, other = (layer.init(random.key(k), (1, 3))[0] for k in (0, 0, 1))
    assert np.array_equal(one["0"]["weight"], same["0"]["weight"])
    assert not np.array_equal(one["0"]["weight"], other["0"]["weight"])
    assert not np.array_equal(one["0"]["weight"], one["1"]["weight"])


def test_init_compiles():
    layer = nn.sequential(nn.dense(3), nn.batch_norm())
    eager = layer.init(KEY, (1, 2))
    compiled = jit(lambda key: layer.init(key, (1, 2)))(KEY)
    for a, b in zip(tree.leaves(eager), tree.leaves(compiled)):
        np.testing.assert_allclose(b, a, rtol=1e-6)


@pytest.mark.parametrize(
    "spec", [(2, 3), [2, 3], Aval((2, 3), "float32"), np.zeros((2, 3), "float32"), rnp.ones((2, 3))]
)
def test_a_spec_is_a_shape_or_has_one(spec):
    assert nn.as_spec(spec) == Aval((2, 3), "float32")
    assert nn.dense(4).init(KEY, spec)[0]["weight"].shape == (4, 3)


def test_a_spec_of_another_type_is_refused():
    with pytest.raises(
        DtypeError, match=r"An input spec is a shape such as \(32, 10\).* not a str"
    ):
        nn.as_spec("32,10")


def test_a_functions_name_is_the_layers():
    assert nn.from_function(nn.relu).name == "relu"
    assert (
        nn.from_function(functools.partial(nn.leaky_relu, negative_slope=0.2)).name == "leaky_relu"
    )
    assert nn.from_function(nn.relu, name="mine").name == "mine"


def test_repr_shows_the_parts():
    model = nn.sequential(nn.dense(8), nn.sequential({"act": nn.relu}))
    assert repr(model) == ("sequential(\n  0: dense(8)\n  1: sequential(\n    act: relu\n  )\n)")


def test_layers_are_hashable_static_arguments():
    layer = nn.dense(2)
    params, _ = layer.init(KEY, (1, 3))
    run = jit(lambda layer, params, x: layer.apply(params, {}, x)[0], static_argnums=0)
    assert run(layer, params, rnp.ones((4, 3))).shape == (4, 2)


# Errors


def test_an_error_begins_with_the_path_of_the_layer():
    inner = nn.sequential({"conv1": nn.dense(4), "act": nn.relu})
    model = nn.sequential(nn.dense(3), nn.relu, inner)
    params, state = model.init(KEY, (1, 5))
    params["2"]["conv1"]["weight"] = rnp.ones((4, 7))
    with pytest.raises(ShapeError, match=r"^In layer '2.conv1': linear: .*\(2, 3\).*\(4, 7\)") as e:
        model.apply(params, state, rnp.ones((2, 5)))
    assert __file__ in str(e.value)


def test_an_error_of_init_has_the_path_too():
    model = nn.sequential(nn.dense(3), nn.sequential(nn.relu, nn.group_norm(2)))
    with pytest.raises(ShapeError, match=r"^In layer '1.1': group_norm\(2\): 3 channels do not"):
        model.init(KEY, (1, 5))


def test_an_error_of_a_users_function_gets_a_note_with_the_path():
    def broken(x):
        raise KeyError("mine")

    model = nn.sequential(nn.relu, nn.sequential(broken))
    with pytest.raises(KeyError, match="mine") as e:
        model.apply({}, {}, rnp.ones(2))
    assert e.value.__notes__ == ["In layer '1.0'."]


def test_forgetting_to_call_a_layer_is_explained():
    with pytest.raises(ArgumentError, match=r"dropout makes a layer .* write dropout\(...\)"):
        nn.sequential(nn.dropout, nn.dense(2))
    model = nn.sequential(lambda x: nn.dense(2))
    with pytest.raises(ArgumentError, match="In layer '0': <lambda> makes a layer"):
        model.apply({}, {}, rnp.ones(2))


def test_calling_a_layer_is_explained():
    with pytest.raises(
        ArgumentError, match=r"is not called: write .*layer.apply\(params, state, x"
    ):
        nn.dense(2)(rnp.ones((1, 3)))


def test_leaving_out_the_state_is_explained():
    model = nn.sequential(nn.dense(2))
    params, _ = model.init(KEY, (1, 3))
    with pytest.raises(TreeError, match=r"\(params, state, \*inputs\), but state is a Array"):
        model.apply(params, rnp.ones((1, 3)))


def test_what_is_not_a_layer_is_named():
    with pytest.raises(
        DtypeError, match=r"sequential takes layers and functions of arrays.*int: 3"
    ):
        nn.sequential(3)


def test_a_layer_that_returns_no_pair_is_named():
    bad = nn.Layer(lambda key, x: ({}, {}), lambda p, s, x, key=None, train=False: x, name="bad")
    with pytest.raises(TreeError, match=r"In layer '0': The apply of bad returns a pair"):
        nn.sequential(bad).apply({}, {}, rnp.ones(2))
    bad = nn.Layer(lambda key, x: {}, bad.apply, name="bad")
    with pytest.raises(TreeError, match=r"In layer '0': The init of bad returns a pair"):
        nn.sequential(bad).init(KEY, (1,))


def test_two_inputs_for_a_layer_of_one_are_explained():
    model = nn.sequential(nn.branch(nn.relu, nn.tanh), nn.dense(2))
    with pytest.raises(
        ArgumentError, match=r"In layer '1': dense\(2\): init takes .* 1 input spec"
    ):
        model.init(KEY, (1, 3))
    with pytest.raises(ArgumentError, match=r"dense\(2\) takes one input, but got 2"):
        nn.dense(2).apply({}, {}, 1.0, 2.0)


def test_user_indexing_errors_keep_their_type():
    model = nn.sequential(lambda x: x[:, 9])
    with pytest.raises(IndexingError, match="In layer '0': "):
        model.apply({}, {}, rnp.ones((2, 3)))


@pytest.mark.parametrize("layer", [nn.dense(3), nn.sequential(nn.dense(3), nn.dense(2))])
def test_init_without_a_key_is_named(layer):
    with pytest.raises(ArgumentError, match=r"A random key comes first, .* but got \(32, 10\)"):
        layer.init((32, 10), (32, 10))
