"""Dense, bilinear, embedding, prelu and flatten: PyTorch's numbers, layouts and initial values."""

import math

import numpy as np
import pytest

from rtfunc import nn, random
from rtfunc import numpy as rnp
from rtfunc.core.aval import Aval
from rtfunc.core.errors import ArgumentError, DtypeError, ShapeError, TreeError
from rtfunc.transforms.vjp import grad

KEY = random.key(0)


@pytest.fixture
def oracle():
    return pytest.importorskip("tests.nn.oracle")


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(3,), (5, 3), (2, 5, 3), (0, 3)])
def test_linear_is_pytorchs(oracle, shape, dtype):
    arrays = [oracle.numbers(*shape), oracle.numbers(4, 3, seed=1), oracle.numbers(4, seed=2)]
    oracle.assert_same(nn.linear, oracle.torch.nn.functional.linear, *arrays, dtype=dtype)


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bilinear_is_pytorchs(oracle, dtype):
    shapes = [(2, 5, 3), (2, 5, 4), (6, 3, 4), (6,)]
    arrays = [oracle.numbers(*s, seed=i) for i, s in enumerate(shapes)]
    bilinear = oracle.torch.nn.functional.bilinear
    oracle.assert_same(nn.functional.bilinear, bilinear, *arrays, dtype=dtype)


@pytest.mark.oracle
@pytest.mark.parametrize("padding", [None, 2, -1])
def test_embedding_is_pytorchs(oracle, padding):
    indices = np.array([[0, 2, 2], [4, 1, 2]])
    oracle.assert_same(
        lambda i, w: nn.functional.embedding(i, w, padding),
        lambda i, w: oracle.torch.nn.functional.embedding(i, w, padding),
        indices,
        oracle.numbers(5, 3),
    )


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("layer", "specs", "theirs"),
    [
        (nn.dense(4), [(1, 3)], lambda t: t.nn.Linear(3, 4)),
        (nn.dense(4, bias=False), [(1, 3)], lambda t: t.nn.Linear(3, 4, bias=False)),
        (nn.bilinear(4), [(1, 3), (1, 2)], lambda t: t.nn.Bilinear(3, 2, 4)),
        (nn.embedding(7, 4), [Aval((1,), "int32")], lambda t: t.nn.Embedding(7, 4)),
        (nn.prelu(3), [(1, 3)], lambda t: t.nn.PReLU(3)),
    ],
)
def test_parameters_have_pytorchs_names_and_shapes(oracle, layer, specs, theirs):
    params, state = layer.init(KEY, *specs)
    expected = {k: tuple(v.shape) for k, v in theirs(oracle.torch).state_dict().items()}
    assert {k: v.shape for k, v in params.items()} == expected
    assert state == {}


@pytest.mark.oracle
def test_weights_of_a_pytorch_model_give_its_numbers(oracle):
    torch = oracle.torch
    theirs = torch.nn.Sequential(
        torch.nn.Linear(6, 8), torch.nn.ReLU(), torch.nn.PReLU(), torch.nn.Linear(8, 3)
    )
    ours = nn.sequential(nn.dense(8), nn.relu, nn.prelu(), nn.dense(3))
    weights = {k: v.numpy() for k, v in theirs.state_dict().items()}
    params, state = nn.load_state_dict(weights, *ours.init(KEY, (1, 6)))
    x = oracle.numbers(5, 6, dtype="float32")
    expected = theirs(torch.tensor(x)).detach().numpy()
    oracle.assert_close(ours.apply(params, state, x)[0], expected, "float32")


def test_dense_begins_with_pytorchs_distribution():
    params, _ = nn.dense(400).init(KEY, (1, 300))
    bound = 1 / math.sqrt(300)
    for values in params.values():
        values = np.asarray(values)
        assert abs(values).max() <= bound
        # A uniform distribution within the bound has this standard deviation; 400 values of the
        # bias estimate it to a few per cent.
        assert values.std() == pytest.approx(bound / math.sqrt(3), rel=0.08)
        assert abs(values.mean()) < bound * 0.1


def test_weight_and_bias_are_drawn_from_different_keys():
    params, _ = nn.dense(5).init(KEY, (1, 1))
    assert not np.array_equal(params["weight"][:, 0], params["bias"])


def test_the_dtype_of_the_spec_becomes_that_of_the_parameters():
    for dtype in ("float64", "bfloat16"):
        params, _ = nn.dense(2).init(KEY, Aval((1, 3), dtype))
        assert all(p.dtype == Aval((), dtype).dtype for p in params.values())
    params, _ = nn.dense(2, dtype="float16").init(KEY, (1, 3))
    assert params["weight"].dtype == np.float16


def test_a_padding_row_begins_as_zeros_and_gets_no_gradient():
    layer = nn.embedding(4, 2, padding_index=1)
    params, _ = layer.init(KEY, (1,))
    np.testing.assert_array_equal(params["weight"][1], [0, 0])
    indices = np.array([1, 1, 2])
    gradient = grad(lambda p: layer.apply(p, {}, indices)[0].sum())(params)["weight"]
    np.testing.assert_array_equal(gradient, [[0, 0], [0, 0], [1, 1], [0, 0]])


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [(1, -1, (2, 60)), (0, -1, (120,)), (0, 1, (6, 4, 5)), (2, 2, (2, 3, 4, 5))],
)
def test_flatten_joins_axes(start, end, expected):
    assert nn.flatten(rnp.zeros((2, 3, 4, 5)), start, end).shape == expected


def test_flatten_of_an_empty_batch_keeps_the_features():
    assert nn.flatten(rnp.zeros((0, 3, 4))).shape == (0, 12)


def test_flatten_refuses_axes_in_reverse():
    with pytest.raises(ArgumentError, match="start_axis 2 comes after end_axis 1"):
        nn.flatten(rnp.zeros((2, 3, 4)), 2, 1)


def test_wrong_features_are_named_with_both_shapes():
    layer = nn.dense(4)
    params, state = layer.init(KEY, (1, 3))
    with pytest.raises(
        ShapeError, match=r"input has shape \(2, 5\).*weight of shape \(4, 3\) expects 3 features"
    ):
        layer.apply(params, state, rnp.ones((2, 5)))


def test_missing_parameters_are_named():
    with pytest.raises(TreeError, match=r"dense\(4\) found no 'weight' .* which hold \['w'\]"):
        nn.dense(4).apply({"w": 1.0}, {}, rnp.ones((2, 3)))


def test_indices_out_of_range_are_named():
    with pytest.raises(ArgumentError, match="embedding: indices must be from 0 to 3, but -1"):
        nn.functional.embedding(np.array([0, -1]), rnp.ones((4, 2)))


def test_embedding_refuses_float_indices():
    with pytest.raises(DtypeError, match="embedding takes integers as indices, not float32"):
        nn.functional.embedding(rnp.ones(2), rnp.ones((4, 2)))


def test_a_layer_size_is_a_positive_integer():
    with pytest.raises(ArgumentError, match="dense: features is a positive integer, but got 0"):
        nn.dense(0)
    with pytest.raises(ArgumentError, match=r"features is a positive integer, but got 2\.5"):
        nn.dense(2.5)


def test_init_without_a_spec_says_what_a_spec_is():
    with pytest.raises(ArgumentError, match="init takes a key and 1 input spec, but got 0"):
        nn.dense(2).init(KEY)


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_rrelu_is_pytorchs_in_evaluation(dtype):
    oracle = pytest.importorskip("tests.nn.layer_oracle")
    x = oracle.oracle.numbers(3, 4)
    x[0, 0] = 0.0
    oracle.assert_same_layer(nn.rrelu(0.1, 0.5), oracle.torch.nn.RReLU(0.1, 0.5), x, dtype=dtype)


def test_rrelu_draws_its_slopes_in_training():
    layer, x = nn.rrelu(0.25, 0.5), np.full(2000, -1.0)
    first, again, other = (
        layer.apply({}, {}, x, key=random.key(i), train=True)[0] for i in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert float(first.min()) >= -0.5
    assert float(first.max()) <= -0.25
    # The mean of 2,000 uniform numbers: 0.25 / sqrt(12 * 2000), six times.
    assert abs(float(first.mean()) + 0.375) < 0.01
    with pytest.raises(ArgumentError, match=r"rrelu\(0.25, 0.5\) draws random numbers in training"):
        layer.apply({}, {}, x, train=True)
