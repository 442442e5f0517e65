"""Every spatial layer under the transforms: jit, vmap, and derivatives against finite differences."""

import numpy as np
import pytest

from rtfunc import nn, random, tree
from rtfunc import numpy as rnp
from rtfunc.testing import check_grads
from rtfunc.transforms.jit import jit
from rtfunc.transforms.vjp import grad
from rtfunc.transforms.vmap import vmap

KEY = random.key(0)
SHAPE = (2, 4, 6, 5)
LAYERS = {
    "conv": nn.conv(6, 3, stride=2, padding=1, groups=2),
    "conv same": nn.conv(3, (3, 2), padding="SAME", padding_mode="reflect", dilation=(1, 2)),
    "conv_transpose": nn.conv_transpose(4, 3, stride=2, output_padding=1, groups=2),
    "max_pool": nn.max_pool(3, stride=2, padding=1, ceil_mode=True),
    "avg_pool": nn.avg_pool((2, 3), padding=1, count_include_pad=False, ceil_mode=True),
    "lp_pool": nn.lp_pool(2, 2),
    "adaptive_avg_pool": nn.adaptive_avg_pool((4, 3)),
    "adaptive_max_pool": nn.adaptive_max_pool((4, 3)),
    "global_avg_pool": nn.from_function(nn.global_avg_pool),
    "global_max_pool": nn.from_function(nn.global_max_pool),
    "zero_pad": nn.zero_pad((1, -1, 0, 2)),
    "reflection_pad": nn.reflection_pad((1, 2, 3, 0)),
    "replication_pad": nn.replication_pad(2),
    "circular_pad": nn.circular_pad((1, 2, 3, 0)),
    "nearest": nn.upsample((9, 4)),
    "bilinear": nn.upsample((9, 4), mode="bilinear", align_corners=True),
    "bilinear by 2": nn.upsample(scale_factor=2, mode="bilinear"),
    "bicubic": nn.upsample(scale_factor=(1.5, 2), mode="bicubic"),
    "antialiased": nn.upsample((3, 2), mode="bilinear", antialias=True),
    "area": nn.upsample((4, 3), mode="area"),
    "pixel_shuffle": nn.pixel_shuffle(2),
    "channel_shuffle": nn.channel_shuffle(2),
    "unfold": nn.unfold((2, 3), stride=2, padding=1),
    "unfold and fold": nn.sequential(nn.unfold(3), nn.fold(SHAPE[2:], 3)),
    "unflatten": nn.unflatten(1, (2, 2)),
    "local_response_norm": nn.local_response_norm(3, alpha=0.5),
    "instance_norm": nn.instance_norm(affine=True, track_running_stats=True),
    "weight_norm": nn.weight_norm(nn.conv(3, 3)),
    "spectral_norm": nn.spectral_norm(nn.conv_transpose(3, 3), axis=1),
    "alpha_dropout": nn.alpha_dropout(0.5),
}


def prepared(name):
    """A function of parameters and input, those in float64, and three inputs."""
    layer = LAYERS[name]
    params, state = layer.init(KEY, rnp.zeros(SHAPE, "float64"))

    def function(params, x):
        return layer.apply(params, state, x, key=KEY, train=True)[0]

    x = np.random.default_rng(0).normal(size=(3, *SHAPE))
    return function, params, x


@pytest.mark.parametrize("name", LAYERS)
def test_jit_is_eager(name):
    function, params, x = prepared(name)

    def loss(params, x):
        out = function(params, x)
        weights = rnp.sin(rnp.arange(out.size, dtype="float64")).reshape(out.shape)
        return rnp.sum(out * weights), out

    derivative = grad(loss, (0, 1), has_aux=True)
    eager, compiled = derivative(params, x[0]), jit(derivative)(params, x[0])
    for a, b in zip(tree.leaves(compiled), tree.leaves(eager), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11)  # sums in another order


@pytest.mark.parametrize("name", LAYERS)
def test_vmap_is_a_loop(name):
    function, params, x = prepared(name)
    batched = vmap(function, in_axes=(None, 0))(params, x)
    for i in range(len(x)):
        wanted = np.asarray(function(params, x[i]))
        np.testing.assert_allclose(batched[i], wanted, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("name", LAYERS)
def test_derivatives_are_those_of_finite_differences(name):
    function, params, x = prepared(name)
    if name == "spectral_norm":  # whose power iterations carry no derivative
        function = lambda params, x: LAYERS[name].apply(  # noqa: E731
            params, LAYERS[name].init(KEY, rnp.zeros(SHAPE, "float64"))[1], x
        )[0]
    check_grads(function, (params, x[0]), order=2)
