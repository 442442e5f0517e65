"""Weight norm, spectral norm, orthogonal weights: PyTorch's numbers, names and state; and one's own."""

import numpy as np
import pytest

from rtfunc import nn, random, tree
from rtfunc import numpy as rnp
from rtfunc.core.errors import ArgumentError, ShapeError
from rtfunc.transforms.jit import jit
from rtfunc.transforms.vjp import grad

KEY = random.key(0)


@pytest.fixture
def oracle():
    return pytest.importorskip("tests.nn.oracle")


def check(oracle, ours, theirs, shape, steps=3):
    """Outputs, gradients, names and states agree, in training and then in evaluation."""
    torch = oracle.torch
    theirs = theirs.double()
    weights = {k: v.detach().numpy() for k, v in theirs.state_dict().items()}
    params, state = ours.init(KEY, rnp.zeros(shape, "float64"))
    made = nn.state_dict(params, state)
    assert {k: v.shape for k, v in made.items()} == {k: v.shape for k, v in weights.items()}
    params, state = nn.load_state_dict(weights, params, state)

    def loss(params, state, x, cotangent):
        out, state = ours.apply(params, state, x, train=True)
        return (out * cotangent).sum(), (out, state)

    compiled = jit(grad(loss, has_aux=True))
    for step in range(steps):
        x = oracle.numbers(*shape, seed=step)
        expected = theirs(torch.tensor(x))
        cotangent = oracle.numbers(*expected.shape, seed=10 + step)
        theirs.zero_grad()
        expected.backward(torch.tensor(cotangent))
        wanted = {k: p.grad.numpy() for k, p in theirs.named_parameters()}
        for function in (compiled, grad(loss, has_aux=True)):
            gradient, (out, new_state) = function(params, state, x, cotangent)
            oracle.assert_close(out, expected.detach().numpy(), "float64")
            found = nn.state_dict(gradient)
            assert sorted(found) == sorted(wanted)
            for name, value in found.items():
                oracle.assert_close(value, wanted[name], "float64", name)
        state = new_state
        for name, value in nn.state_dict({}, state).items():
            oracle.assert_close(value, theirs.state_dict()[name].numpy(), "float64", name)
    theirs.eval()
    out, after = ours.apply(params, state, x)
    oracle.assert_close(out, theirs(torch.tensor(x)).detach().numpy(), "float64")
    assert nn.state_dict({}, after).keys() == nn.state_dict({}, state).keys()
    for name, value in nn.state_dict({}, after).items():
        assert np.array_equal(value, nn.state_dict({}, state)[name])


@pytest.mark.oracle
@pytest.mark.parametrize("axis", [0, 1, -1, None])
def test_weight_norm_is_pytorchs(oracle, axis):
    made, norm = oracle.torch.nn, oracle.torch.nn.utils.parametrizations.weight_norm
    layer = nn.weight_norm(nn.conv(4, 3), axis=axis)
    if axis != -1:  # which PyTorch takes for None
        check(oracle, layer, norm(made.Conv1d(2, 4, 3), dim=axis), (2, 2, 5), steps=1)
    params, _ = layer.init(KEY, (2, 2, 5))
    lengths = params["parametrizations"]["weight"]["original0"]
    assert lengths.shape == {0: (4, 1, 1), 1: (1, 2, 1), -1: (1, 1, 3), None: ()}[axis]


@pytest.mark.oracle
@pytest.mark.parametrize("iterations", [1, 3])
def test_spectral_norm_is_pytorchs(oracle, iterations):
    made, norm = oracle.torch.nn, oracle.torch.nn.utils.parametrizations.spectral_norm
    check(
        oracle,
        nn.spectral_norm(nn.conv(4, 3), power_iterations=iterations),
        norm(made.Conv2d(2, 4, 3), n_power_iterations=iterations),
        (2, 2, 5, 4),
    )
    check(
        oracle,
        nn.spectral_norm(nn.conv_transpose(4, 3), axis=1, power_iterations=iterations),
        norm(made.ConvTranspose1d(2, 4, 3), n_power_iterations=iterations),
        (2, 2, 5),
    )


@pytest.mark.oracle
def test_a_vector_is_divided_by_its_length(oracle):
    made, norm = oracle.torch.nn, oracle.torch.nn.utils.parametrizations.spectral_norm
    check(oracle, nn.spectral_norm(nn.prelu(3)), norm(made.PReLU(3)), (2, 3, 4), steps=1)


@pytest.mark.oracle
def test_a_part_of_a_model_has_pytorchs_names(oracle):
    made = oracle.torch.nn
    norms = made.utils.parametrizations
    theirs = made.Sequential(
        norms.spectral_norm(made.Linear(3, 4)), made.ReLU(), norms.weight_norm(made.Linear(4, 2))
    )
    ours = nn.sequential(nn.spectral_norm(nn.dense(4)), nn.relu, nn.weight_norm(nn.dense(2)))
    check(oracle, ours, theirs, (5, 3))


def test_the_weight_is_at_first_that_of_the_layer():
    plain, normed = nn.dense(4), nn.weight_norm(nn.dense(4))
    params, state = normed.init(KEY, (1, 3))
    weight = params["parametrizations"]["weight"]["original1"]
    x = rnp.ones((2, 3))
    out, _ = normed.apply(params, state, x)
    wanted, _ = plain.apply({"weight": weight, "bias": params["bias"]}, {}, x)
    np.testing.assert_allclose(out, wanted, rtol=1e-5, atol=1e-6)  # a division and a product more


def test_the_largest_singular_value_becomes_one():
    layer = nn.spectral_norm(nn.dense(6, bias=False), power_iterations=50)
    params, state = layer.init(KEY, (1, 4))
    out, state = layer.apply(params, state, rnp.eye(4), train=True)
    # The iterations end when float32 does.
    assert abs(np.linalg.svd(np.asarray(out), compute_uv=False)[0] - 1) < 1e-4


def test_two_parameters_of_a_layer_are_parametrized():
    layer = nn.weight_norm(nn.spectral_norm(nn.dense(3)), "bias", axis=None)
    params, state = layer.init(KEY, (1, 2))
    assert sorted(nn.state_dict(params, state)) == [
        "parametrizations.bias.original0",
        "parametrizations.bias.original1",
        "parametrizations.weight.0._u",
        "parametrizations.weight.0._v",
        "parametrizations.weight.original",
    ]
    out, state = layer.apply(params, state, rnp.ones((5, 2)), train=True)
    assert out.shape == (5, 3)
    assert sorted(state["parametrizations"]) == ["weight"]


def test_names_and_summary_are_those_of_the_layer():
    layer = nn.weight_norm(nn.dense(2))
    assert repr(layer) == "dense(2)"
    assert nn.summary(layer, (1, 3)).parameters == 10


@pytest.mark.parametrize(
    ("match", "function"),
    [
        (
            r"dense\(2\) has no parameter 'kernel' to compute from others; its parameters are "
            r"\['bias', 'weight'\]",
            lambda: nn.weight_norm(nn.dense(2), "kernel").init(KEY, (1, 3)),
        ),
        (
            "In layer '1': relu has no parameter 'weight' .* are none",
            lambda: nn.sequential(nn.dense(2), nn.spectral_norm(nn.relu)).init(KEY, (1, 3)),
        ),
        (
            "power_iterations is a positive integer, but got 0",
            lambda: nn.spectral_norm(nn.dense(2), power_iterations=0),
        ),
    ],
)
def test_what_cannot_be_is_refused(match, function):
    with pytest.raises(ArgumentError, match=match):
        function()


@pytest.mark.oracle
@pytest.mark.parametrize("which", [None, "matrix_exp", "cayley", "householder"])
@pytest.mark.parametrize("features", [(3, 5), (5, 3), (4, 4)])
def test_orthogonal_is_pytorchs(oracle, which, features):
    made, orthogonal = oracle.torch.nn, oracle.torch.nn.utils.parametrizations.orthogonal
    theirs = orthogonal(made.Linear(*features), orthogonal_map=which).double()
    original = theirs.parametrizations.weight.original
    with oracle.torch.no_grad():  # its diagonal is -1 and stays so
        noise = oracle.numbers(*original.shape, seed=7)
        np.fill_diagonal(noise, 0)
        original += oracle.torch.tensor(noise)
    check(
        oracle,
        nn.orthogonal(nn.dense(features[1]), orthogonal_map=which),
        theirs,
        (2, features[0]),
        1,
    )


@pytest.mark.parametrize("which", [None, "matrix_exp", "cayley", "householder"])
@pytest.mark.parametrize("features", [(3, 5), (5, 3), (4, 4)])
def test_an_orthogonal_weight_stays_so_in_training(which, features):
    layer = nn.orthogonal(nn.dense(features[1], bias=False), orthogonal_map=which)
    x = random.normal(KEY, (7, features[0]), "float64")
    params, state = layer.init(KEY, x)
    first = layer.apply(params, state, np.eye(features[0]))[0]
    step = jit(grad(lambda p: (layer.apply(p, state, x, train=True)[0] ** 3).sum()))
    for _ in range(3):
        params = tree.map(lambda p, g: p - 0.1 * g, params, step(params))
    weight = layer.apply(params, state, np.eye(features[0]))[0]
    assert not np.allclose(weight, first, atol=0.01)
    small = weight if weight.shape[0] <= weight.shape[1] else weight.T
    np.testing.assert_allclose(small @ small.T, np.eye(small.shape[0]), atol=1e-13)


def test_wrong_uses_of_orthogonal_are_named():
    with pytest.raises(ArgumentError, match="orthogonal_map is 'matrix_exp', 'cayley', 'househo"):
        nn.orthogonal(nn.dense(2), orthogonal_map="qr")
    with pytest.raises(ShapeError, match=r"'bias' has the shape \(2,\)"):
        nn.orthogonal(nn.dense(2), "bias").init(KEY, (1, 3))
