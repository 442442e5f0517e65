"""Flat names of parameters, and loading them back."""

import numpy as np
import pytest

import rtfunc as rf
from rtfunc import nn, random
from rtfunc.core.errors import DtypeError, ShapeError, TreeError

MODEL = nn.sequential(nn.dense(4), nn.batch_norm(), nn.dense(2))


def made(seed):
    return MODEL.init(random.key(seed), (1, 3))


def test_loading_what_was_saved_gives_the_same_model():
    flat = {k: np.asarray(v) for k, v in nn.state_dict(*made(0)).items()}
    params, state = nn.load_state_dict(flat, *made(1))
    assert sorted(nn.state_dict(params, state)) == sorted(flat)
    for name, value in nn.state_dict(params, state).items():
        np.testing.assert_array_equal(value, flat[name])


def test_values_take_the_dtypes_of_the_model():
    flat = {k: np.asarray(v, "float64") for k, v in nn.state_dict(*made(0)).items()}
    params, state = nn.load_state_dict(flat, *made(1))
    assert params["0"]["weight"].dtype == np.float32
    assert state["1"]["num_batches_tracked"].dtype == np.int32


def test_missing_and_unknown_names_are_listed():
    flat = dict(nn.state_dict(*made(0)))
    flat["0.wait"] = flat.pop("0.weight")
    with pytest.raises(
        TreeError,
        match=r"1 name is missing \(0.weight\) and 1 name is not in the model \(0.wait\)",
    ):
        nn.load_state_dict(flat, *made(1))
    params, _ = nn.load_state_dict(flat, *made(1), strict=False)
    np.testing.assert_array_equal(params["0"]["weight"], made(1)[0]["0"]["weight"])
    np.testing.assert_array_equal(params["0"]["bias"], flat["0.bias"])


def test_a_wrong_shape_is_named():
    flat = dict(nn.state_dict(*made(0)))
    flat["2.weight"] = np.zeros((2, 5))
    with pytest.raises(ShapeError, match=r"2.weight has shape \(2, 5\), the model's has \(2, 4\)"):
        nn.load_state_dict(flat, *made(1))


def test_lists_and_tuples_of_parameters_are_numbered():
    tree = {"layers": [{"w": np.ones(1)}, {"w": np.zeros(1)}], "pair": (np.ones(2),)}
    flat = nn.state_dict(tree)
    assert list(flat) == ["layers.0.w", "layers.1.w", "pair.0"]
    loaded, _ = nn.load_state_dict(flat, tree)
    assert isinstance(loaded["pair"], tuple)


def test_all_that_is_wrong_is_said_at_once():
    flat = dict(nn.state_dict(*made(0)))
    flat["2.weight"] = np.zeros((2, 5))
    del flat["0.bias"], flat["0.weight"]
    text = r"2 names are missing \(0.weight, 0.bias\); 2.weight has shape \(2, 5\), the model's"
    with pytest.raises(TreeError, match=text):
        nn.load_state_dict(flat, *made(1))


def test_a_common_prefix_and_a_deeper_dict_are_noticed():
    flat = {f"module.{name}": value for name, value in nn.state_dict(*made(0)).items()}
    with pytest.raises(TreeError, match=r"All names begin with 'module.'.*removeprefix"):
        nn.load_state_dict(flat, *made(1))
    with pytest.raises(TreeError, match="did you mean its entry 'model'"):
        nn.load_state_dict({"model": flat, "epoch": 3}, *made(1))


def test_values_that_a_conversion_would_spoil_are_refused():
    params = {"n": np.zeros(2, "int32"), "x": np.zeros(2, "float32")}
    for name, bad in (("n", [0.5, 1]), ("n", [2**40, 1]), ("n", [np.nan, 1]), ("x", [1j, 0])):
        flat = {**params, name: np.array(bad)}
        with pytest.raises(DtypeError, match=f"{name} has dtype .* cannot become the model's"):
            nn.load_state_dict(flat, params)
    with pytest.raises(DtypeError, match="'n' is a float, not an array"):
        nn.load_state_dict({**params, "n": 1.5}, params)
    with pytest.raises(TreeError, match="takes a dict of arrays, not a list"):
        nn.load_state_dict([1], params)


def test_loaded_values_do_not_change_with_the_arrays_they_came_from():
    flat = {"w": np.zeros(2, "float32")}
    loaded, _ = nn.load_state_dict(flat, flat)
    flat["w"][:] = 1
    assert loaded["w"].tolist() == [0, 0]


def test_the_structure_may_be_given_by_shapes_alone():
    flat = nn.state_dict(*made(0))
    params, state = rf.eval_shape(lambda: made(0))
    loaded = nn.state_dict(*nn.load_state_dict(flat, params, state))
    assert all(np.array_equal(loaded[name], flat[name]) for name in flat)


def test_tied_parameters_have_two_names():
    params, tied = {"wte": {"weight": np.ones(2, "f4")}}, {"head.weight": "wte.weight"}
    flat = nn.state_dict(params, tied=tied)
    assert list(flat) == ["wte.weight", "head.weight"]
    for names in (["wte.weight"], ["head.weight"], ["wte.weight", "head.weight"]):
        part = {name: 2 * flat[name] for name in names}
        assert nn.load_state_dict(part, params, tied=tied)[0]["wte"]["weight"].tolist() == [2, 2]
    with pytest.raises(TreeError, match=r"head.weight and wte.weight are one parameter"):
        nn.load_state_dict({**flat, "head.weight": np.zeros(2)}, params, tied=tied)
