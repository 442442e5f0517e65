"""Combinators: how parameters are named, inputs are passed on, keys are split and states return."""

import numpy as np
import pytest

from rtfunc import nn, random
from rtfunc import numpy as rnp
from rtfunc.core.errors import ArgumentError, ShapeError

KEY = random.key(0)


def key_reader():
    """A layer that returns its key (or -1) in its state."""

    def init(key, *specs):
        return {}, {"key": rnp.zeros(2, "uint32")}

    def apply(params, state, x, *, key=None, train=False):
        return x, {"key": key}

    return nn.Layer(init, apply, name="key_reader")


def test_sequential_names_parts_by_number_or_by_mapping():
    by_number = nn.sequential(nn.dense(4), nn.relu, nn.dense(2))
    assert list(by_number.init(KEY, (1, 3))[0]) == ["0", "2"]
    by_name = nn.sequential({"fc1": nn.dense(4), "act": nn.relu, "fc2": nn.dense(2)})
    assert list(by_name.init(KEY, (1, 3))[0]) == ["fc1", "fc2"]


def test_sequential_takes_a_list():
    model = nn.sequential([nn.dense(2), nn.relu])
    assert list(model.init(KEY, (1, 3))[0]) == ["0"]


@pytest.mark.oracle
def test_nested_parameters_have_pytorchs_names():
    torch = pytest.importorskip("torch")
    theirs = torch.nn.Sequential(
        torch.nn.Linear(3, 4),
        torch.nn.Sequential(torch.nn.BatchNorm1d(4), torch.nn.ReLU()),
        torch.nn.Linear(4, 2),
    )
    ours = nn.sequential(nn.dense(4), nn.sequential(nn.batch_norm(), nn.relu), nn.dense(2))
    flat = nn.state_dict(*ours.init(KEY, (1, 3)))
    assert sorted(flat) == sorted(theirs.state_dict())


def test_sequential_of_nothing_is_the_identity():
    model = nn.sequential()
    assert model.init(KEY, (1,)) == ({}, {})
    assert model.apply({}, {}, 3)[0] == 3


def test_a_tuple_becomes_several_inputs():
    model = nn.sequential(nn.branch(nn.identity, nn.relu), lambda a, b: a - b)
    out, _ = model.apply({}, {}, rnp.array([-2.0, 3.0]))
    np.testing.assert_array_equal(out, [-2.0, 0.0])


def test_parallel_takes_an_input_for_each_part():
    model = nn.sequential(nn.parallel({"a": nn.dense(2), "b": nn.dense(2)}), rnp.add)
    params, state = model.init(KEY, (1, 3), (1, 5))
    assert params["0"]["a"]["weight"].shape == (2, 3)
    assert params["0"]["b"]["weight"].shape == (2, 5)
    assert model.apply(params, state, rnp.ones((4, 3)), rnp.ones((4, 5)))[0].shape == (4, 2)


def test_parallel_names_a_wrong_number_of_inputs():
    with pytest.raises(ArgumentError, match="parallel of 2 layers takes as many inputs, but got 1"):
        nn.parallel(nn.relu, nn.relu).apply({}, {}, 1.0)


def test_repeat_has_parameters_for_each_time():
    model = nn.repeat(nn.dense(3), 2)
    params, state = model.init(KEY, (1, 3))
    assert not np.array_equal(params["0"]["weight"], params["1"]["weight"])
    x = rnp.ones((2, 3))
    by_hand = nn.linear(nn.linear(x, **params["0"]), **params["1"])
    np.testing.assert_array_equal(model.apply(params, state, x)[0], by_hand)


def test_residual_adds_the_input():
    out, _ = nn.residual(nn.relu).apply({}, {}, rnp.array([-2.0, 3.0]))
    np.testing.assert_array_equal(out, [-2.0, 6.0])


@pytest.mark.oracle
def test_residual_block_has_torchvisions_names():
    # The names of a torchvision BasicBlock, with dense layers in the place of convolutions.
    block = nn.residual(
        nn.sequential({"conv1": nn.dense(4), "bn1": nn.batch_norm(), "conv2": nn.dense(4)}),
        shortcut=nn.sequential(nn.dense(4, bias=False), nn.batch_norm()),
    )
    params, state = block.init(KEY, (1, 3))
    assert set(params) == {"conv1", "bn1", "conv2", "downsample"}
    assert set(params["downsample"]) == {"0", "1"}
    assert set(state) == {"bn1", "downsample"}
    out, new = block.apply(params, state, rnp.ones((5, 3)), train=True)
    assert out.shape == (5, 4)
    assert int(new["downsample"]["1"]["num_batches_tracked"]) == 1
    assert int(new["bn1"]["num_batches_tracked"]) == 1


def test_residual_refuses_a_broadcast():
    block = nn.residual(nn.dense(1))
    params, state = block.init(KEY, (1, 3))
    with pytest.raises(ShapeError, match=r"the layer returned \(2, 1\) and the shortcut \(2, 3\)"):
        block.apply(params, state, rnp.ones((2, 3)))


def test_residual_refuses_a_key_that_is_taken():
    block = nn.residual(nn.dense(3), nn.dense(3), shortcut_key="weight")
    with pytest.raises(ArgumentError, match="has parameters under 'weight' already"):
        block.init(KEY, (1, 3))


def test_every_part_gets_a_key_of_its_own():
    model = nn.sequential(key_reader(), nn.branch(key_reader(), key_reader()), lambda a, b: a)
    _, state = model.init(KEY, (1,))
    _, state = model.apply({}, state, rnp.ones(1), key=KEY, train=True)
    keys = [state["0"]["key"], state["1"]["0"]["key"], state["1"]["1"]["key"]]
    assert len({tuple(k.tolist()) for k in keys}) == 3
    _, state = model.apply({}, state, rnp.ones(1))
    assert state["0"]["key"] is None


def test_a_key_with_a_dot_is_refused():
    with pytest.raises(ArgumentError, match=r"the key 'a\.b' is empty or holds a dot"):
        nn.sequential({"a.b": nn.relu})
