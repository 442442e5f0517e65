"""Flat names of parameters, and loading them back."""

import numpy as np
import pytest

from rtfunc import nn, random
from rtfunc.core.errors import ShapeError, TreeError

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
        match=r"1 names are missing \(0.weight\) and 1 names are not in the model \(0.wait\)",
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
