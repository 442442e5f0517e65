"""Normalization layers: PyTorch's numbers, parameter names and running statistics."""

import numpy as np
import pytest

from rtfunc import nn, random
from rtfunc import numpy as rnp
from rtfunc.core.errors import ArgumentError, ShapeError
from rtfunc.transforms.jit import jit
from rtfunc.transforms.vjp import grad

KEY = random.key(0)


@pytest.fixture
def oracle():
    return pytest.importorskip("tests.nn.oracle")


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", [(4,), (3, 4), (2, 3, 4)])
def test_layer_norm_is_pytorchs(oracle, sizes, dtype):
    arrays = [oracle.numbers(2, 3, 4)] + [oracle.numbers(*sizes, seed=i) for i in (1, 2)]
    oracle.assert_same(
        lambda x, w, b: nn.functional.layer_norm(x, sizes, w, b, 1e-3),
        lambda x, w, b: oracle.torch.nn.functional.layer_norm(x, sizes, w, b, 1e-3),
        *arrays,
        dtype=dtype,
    )


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("epsilon", [None, 1e-3])
def test_rms_norm_is_pytorchs(oracle, epsilon, dtype):
    oracle.assert_same(
        lambda x, w: nn.functional.rms_norm(x, 4, w, epsilon),
        lambda x, w: oracle.torch.nn.functional.rms_norm(x, (4,), w, epsilon),
        oracle.numbers(2, 3, 4),
        oracle.numbers(4, seed=1),
        dtype=dtype,
    )


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(2, 6), (2, 6, 5), (2, 6, 3, 4)])
@pytest.mark.parametrize("groups", [1, 2])
def test_group_norm_is_pytorchs(oracle, groups, shape, dtype):
    arrays = [oracle.numbers(*shape), oracle.numbers(6, seed=1), oracle.numbers(6, seed=2)]
    oracle.assert_same(
        lambda x, w, b: nn.functional.group_norm(x, groups, w, b),
        lambda x, w, b: oracle.torch.nn.functional.group_norm(x, groups, w, b),
        *arrays,
        dtype=dtype,
    )


@pytest.mark.oracle
@pytest.mark.parametrize("shape", [(2, 3, 5), (2, 3, 4, 4)])
def test_instance_norm_is_pytorchs(oracle, shape):
    arrays = [oracle.numbers(*shape), oracle.numbers(3, seed=1), oracle.numbers(3, seed=2)]
    instance_norm = oracle.torch.nn.functional.instance_norm
    oracle.assert_same(
        nn.functional.instance_norm,
        lambda x, w, b: instance_norm(x, weight=w, bias=b),
        *arrays,
    )


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [1, 2, 3, 7])
@pytest.mark.parametrize("shape", [(2, 5, 4), (2, 5, 3, 2)])
def test_local_response_norm_is_pytorchs(oracle, shape, size, dtype):
    settings = {"alpha": 0.3, "beta": 0.6, "k": 2.0}
    oracle.assert_same(
        lambda x: nn.local_response_norm(size, **settings).apply({}, {}, x)[0],
        oracle.torch.nn.LocalResponseNorm(size, **settings),
        oracle.numbers(*shape),
        dtype=dtype,
    )


def test_local_response_norm_takes_channels():
    with pytest.raises(ShapeError, match=r"local_response_norm takes an input \(N, C, ...\)"):
        nn.local_response_norm(3).apply({}, {}, rnp.ones((2, 3)))


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(8, 3), (8, 3, 5), (8, 3, 4, 2), (2, 3, 2, 3, 2)])
@pytest.mark.parametrize("momentum", [0.1, None])
def test_batch_norm_trains_and_evaluates_as_pytorch(oracle, momentum, shape, dtype):
    torch = oracle.torch
    kind = {2: "1d", 3: "1d", 4: "2d", 5: "3d"}[len(shape)]
    theirs = getattr(torch.nn, f"BatchNorm{kind}")(3, momentum=momentum).to(getattr(torch, dtype))
    with torch.no_grad():
        theirs.weight.copy_(torch.tensor([0.5, 1.0, -2.0]))
        theirs.bias.copy_(torch.tensor([1.0, 0.0, 3.0]))
    ours = nn.batch_norm(momentum=momentum)
    params, state = ours.init(KEY, rnp.zeros(shape, dtype))
    weights = {k: v.numpy() for k, v in theirs.state_dict().items()}
    assert list(weights) == list(nn.state_dict(params, state))
    params, state = nn.load_state_dict(weights, params, state)

    def loss(params, x, cotangent, state):
        out, state = ours.apply(params, state, x, train=True)
        return (out * cotangent).sum(), (out, state)

    for seed in range(3):
        x = oracle.numbers(*shape, dtype=dtype, seed=seed)
        cotangent = oracle.numbers(*shape, dtype=dtype, seed=seed + 10)
        tensor = torch.tensor(x, requires_grad=True)
        expected = theirs(tensor)
        theirs.zero_grad()
        expected.backward(torch.tensor(cotangent))
        (of_params, of_x), (out, new_state) = grad(loss, (0, 1), has_aux=True)(
            params, x, cotangent, state
        )
        state = new_state
        oracle.assert_close(out, expected.detach().numpy(), dtype)
        # Sums over some hundred values of size 3: ten roundings more than the rest.
        scale = 10 if dtype == "float32" else 1
        oracle.assert_close(np.asarray(of_x) / scale, tensor.grad.numpy() / scale, dtype)
        for name in ("weight", "bias"):
            wanted = getattr(theirs, name).grad.numpy()
            oracle.assert_close(np.asarray(of_params[name]) / scale, wanted / scale, dtype)
        for name, value in theirs.state_dict().items():
            if name in state:
                oracle.assert_close(state[name], value.numpy(), dtype, name)
    theirs.eval()
    out, after = ours.apply(params, state, x)
    oracle.assert_close(out, theirs(torch.tensor(x)).detach().numpy(), dtype)
    assert after is state


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("layer", "theirs"),
    [
        (nn.layer_norm(), lambda t: t.nn.LayerNorm(4)),
        (nn.layer_norm((6, 4)), lambda t: t.nn.LayerNorm((6, 4))),
        (nn.layer_norm(bias=False), lambda t: t.nn.LayerNorm(4, bias=False)),
        (nn.layer_norm(affine=False), lambda t: t.nn.LayerNorm(4, elementwise_affine=False)),
        (nn.rms_norm(), lambda t: t.nn.RMSNorm(4)),
        (nn.group_norm(2), lambda t: t.nn.GroupNorm(2, 6)),
        (nn.instance_norm(), lambda t: t.nn.InstanceNorm1d(6)),
        (nn.instance_norm(affine=True), lambda t: t.nn.InstanceNorm1d(6, affine=True)),
        (nn.batch_norm(), lambda t: t.nn.BatchNorm1d(6)),
        (
            nn.batch_norm(affine=False, track_running_stats=False),
            lambda t: t.nn.BatchNorm1d(6, affine=False, track_running_stats=False),
        ),
    ],
)
def test_layer_has_pytorchs_parameters_and_output(oracle, layer, theirs):
    module = theirs(oracle.torch)
    x = oracle.numbers(3, 6, 4, dtype="float32")
    params, state = layer.init(KEY, x)
    expected = {k: tuple(v.shape) for k, v in module.state_dict().items()}
    assert {k: v.shape for k, v in nn.state_dict(params, state).items()} == expected
    out, _ = layer.apply(params, state, x, train=True)
    oracle.assert_close(out, module(oracle.torch.tensor(x)).detach().numpy(), "float32")


@pytest.mark.oracle
@pytest.mark.parametrize("affine", [False, True])
def test_instance_norm_tracks_statistics_as_pytorch(oracle, affine):
    torch, settings = oracle.torch, {"momentum": 0.3, "affine": affine, "track_running_stats": True}
    theirs = torch.nn.InstanceNorm2d(3, **settings).double()
    layer = nn.instance_norm(**settings)
    params, state = layer.init(KEY, rnp.zeros((2, 3, 4, 5), "float64"))
    assert list(nn.state_dict(params, state)) == list(theirs.state_dict())
    run = jit(lambda p, s, x: layer.apply(p, s, x, train=True))
    for seed in range(3):
        x = oracle.numbers(2, 3, 4, 5, seed=seed)
        out, state = run(params, state, x)
        oracle.assert_close(out, theirs(torch.tensor(x)).detach().numpy(), "float64")
        for name in state:
            oracle.assert_close(state[name], theirs.state_dict()[name].numpy(), "float64", name)
    theirs.eval()
    out, _ = layer.apply(params, state, x)
    oracle.assert_close(out, theirs(torch.tensor(x)).detach().numpy(), "float64")


def test_instance_norm_in_training_needs_more_than_one_value_to_track():
    layer = nn.instance_norm(track_running_stats=True)
    with pytest.raises(
        ShapeError, match=r"of an example, but the input of shape \(2, 3, 1\) has 1"
    ):
        layer.apply(*layer.init(KEY, (2, 3, 1)), rnp.ones((2, 3, 1)), train=True)


@pytest.mark.parametrize("layer", [nn.layer_norm(), nn.rms_norm(), nn.group_norm(2)])
def test_sixteen_bit_floats_are_normalized_in_float32(layer):
    x = rnp.array(np.random.default_rng(0).normal(300.0, 1.0, (4, 6)), dtype="bfloat16")
    params, state = layer.init(KEY, x)
    out, _ = layer.apply(params, state, x)
    wide = layer.apply(*layer.init(KEY, (4, 6)), x.astype("float32"))[0]
    assert out.dtype == x.dtype
    # One rounding of the result to bfloat16's 8 bits, of values up to 2.
    np.testing.assert_allclose(np.asarray(out, float), wide, atol=0.01)


def test_channels_can_be_last():
    x = np.random.default_rng(0).normal(size=(4, 5, 3)).astype("float32")
    first, last = nn.batch_norm(), nn.batch_norm(axis=-1)
    moved = np.moveaxis(x, -1, 1)
    expected, _ = first.apply(*first.init(KEY, moved), moved, train=True)
    out, _ = last.apply(*last.init(KEY, x), x, train=True)
    np.testing.assert_allclose(np.moveaxis(np.asarray(out), -1, 1), expected, atol=1e-6)


def test_running_statistics_carry_no_gradient_and_compile():
    layer = nn.batch_norm()
    x = rnp.array(np.arange(8.0).reshape(4, 2))
    params, state = layer.init(KEY, x)

    def of_statistics(x):
        return layer.apply(params, state, x, train=True)[1]["running_mean"].sum()

    np.testing.assert_array_equal(grad(of_statistics)(x), np.zeros((4, 2)))
    train = jit(lambda p, s, x: layer.apply(p, s, x, train=True))
    _, new = train(params, state, x)
    assert int(new["num_batches_tracked"]) == 1


def test_batch_norm_in_training_needs_more_than_one_value():
    layer = nn.batch_norm()
    with pytest.raises(ShapeError, match=r"more than one value per channel, .* \(1, 3\) has 1"):
        layer.apply(*layer.init(KEY, (1, 3)), rnp.ones((1, 3)), train=True)


def test_batch_norm_names_a_wrong_number_of_channels():
    layer = nn.batch_norm()
    params, state = layer.init(KEY, (1, 3))
    with pytest.raises(
        ShapeError, match=r"\(2, 4\) has 4 channels on axis 1, but weight has shape \(3,\)"
    ):
        layer.apply(params, state, rnp.ones((2, 4)))


def test_group_norm_needs_groups_that_divide_the_channels():
    with pytest.raises(ShapeError, match="4 channels do not divide into 3 groups"):
        nn.group_norm(3).init(KEY, (1, 4))


def test_layer_norm_names_a_shape_that_does_not_fit():
    with pytest.raises(ShapeError, match=r"shape \(2, 4\), which does not end in .* \(5,\)"):
        nn.layer_norm(5).init(KEY, (2, 4))


def test_momentum_out_of_range_is_refused():
    with pytest.raises(ArgumentError, match="momentum is from 0 to 1 or None, but got 2"):
        nn.batch_norm(momentum=2)
    with pytest.raises(ArgumentError, match="instance_norm: momentum is from 0 to 1, but got -1"):
        nn.instance_norm(momentum=-1)


@pytest.mark.parametrize("norm", [nn.layer_norm, nn.rms_norm])
def test_an_input_of_another_size_is_named(norm):
    layer = nn.sequential({"norm": norm()})
    params, state = layer.init(random.key(0), (1, 6))
    for size in (5, 1):
        message = rf"In layer 'norm': .* is normalized over \({size},\), but the weight has shape"
        with pytest.raises(ShapeError, match=message):
            layer.apply(params, state, rnp.ones((2, size)))
