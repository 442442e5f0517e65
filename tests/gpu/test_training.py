"""Layers, losses, optimizers and whole training steps on the GPU against the same on the CPU."""

from __future__ import annotations

import numpy as np
import pytest

import rtfunc as rf
import rtfunc.numpy as rnp
from rtfunc import data, nn, optim
from tests.gpu.comparison import assert_close, assert_on_gpu, on_gpu

_generator = np.random.default_rng(0)
IMAGES = _generator.normal(size=(4, 3, 8, 8)).astype("float32")
SEQUENCE = _generator.normal(size=(4, 6, 8)).astype("float32")
VECTORS = _generator.normal(size=(4, 8)).astype("float32")
TOKENS = _generator.integers(0, 10, size=(4, 6)).astype("int32")

LAYERS = {
    "dense": (nn.dense(5), VECTORS),
    "conv": (nn.conv(4, 3, padding="SAME"), IMAGES),
    "strided conv": (nn.conv(6, 3, stride=2, groups=3), IMAGES),
    "conv_transpose": (nn.conv_transpose(4, 3, stride=2), IMAGES),
    "max_pool": (nn.max_pool(2), IMAGES),
    "avg_pool": (nn.avg_pool(3, stride=2), IMAGES),
    "adaptive_avg_pool": (nn.adaptive_avg_pool(3), IMAGES),
    "batch_norm": (nn.batch_norm(), IMAGES),
    "group_norm": (nn.group_norm(3), IMAGES),
    "layer_norm": (nn.layer_norm(), SEQUENCE),
    "rms_norm": (nn.rms_norm(), SEQUENCE),
    "embedding": (nn.embedding(10, 4), TOKENS),
    "lstm": (nn.lstm(5, return_state=False, batch_first=True), SEQUENCE),
    "gru": (nn.gru(5, return_state=False, batch_first=True), SEQUENCE),
    "attention": (nn.multi_head_attention(2, batch_first=True), SEQUENCE),
    "encoder": (nn.transformer_encoder_layer(2, 16, batch_first=True, dropout=0.1), SEQUENCE),
    "upsample": (nn.upsample(scale_factor=2, mode="bilinear"), IMAGES),
    "dropout": (nn.sequential(nn.dropout(0.5), nn.dense(3)), VECTORS),
    "activations": (nn.sequential(nn.gelu, nn.silu, nn.softplus, nn.elu, nn.softmax), VECTORS),
    "mixed precision": (nn.mixed_precision(nn.dense(5), nn.Policy(compute="bfloat16")), VECTORS),
}


def _layer_gradient(layer, params, state, x, key):
    def loss(params):
        out, new_state = layer.apply(params, state, x, key=key, train=True)
        return (rnp.sin(out) * out).sum().astype("float32"), (out, new_state)

    return rf.value_and_grad(loss, has_aux=True)(params)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("how", ["eager", "compiled"])
def test_layers_and_their_gradients(name, how):
    layer, x = LAYERS[name]
    x = rnp.asarray(x)
    params, state = layer.init(rf.random.key(0), x)
    key = rf.random.key(1)
    run = _layer_gradient if how == "eager" else rf.jit(_layer_gradient, static_argnums=0)
    expected = _layer_gradient(layer, params, state, x, key)
    found = run(layer, *on_gpu((params, state, x)), key)
    assert_on_gpu(found[1])
    assert_close(found, expected, name, factor=2000 if "mixed" in name else 20)


LOSSES = {
    "cross_entropy": lambda x, t: nn.cross_entropy(x, t, label_smoothing=0.1),
    "mse": lambda x, t: nn.mse_loss(x, rnp.sin(x)),
    "binary": lambda x, t: nn.binary_cross_entropy_with_logits(x, (x > 0).astype("float32")),
    "huber": lambda x, t: nn.huber_loss(x, rnp.zeros_like(x)),
    "kl_div": lambda x, t: nn.kl_div(nn.log_softmax(x), nn.softmax(x + 1)),
    "triplet": lambda x, t: nn.triplet_margin_loss(x, x + 1, x * 2),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses(name):
    x, targets = rnp.asarray(VECTORS), rnp.arange(4)
    gradient = rf.value_and_grad(LOSSES[name])
    expected = gradient(x, targets)
    for function in (gradient, rf.jit(gradient)):
        found = function(*on_gpu((x, targets)))
        assert_on_gpu(found)
        assert_close(found, expected, name, factor=10)


OPTIMIZERS = {
    "sgd": optim.sgd(0.1, momentum=0.9),
    "adam": optim.adam(0.01),
    "adamw": optim.adamw(0.01),
    "lion": optim.lion(0.01),
    "rmsprop": optim.rmsprop(0.01),
    "muon": optim.muon(0.01),
    "clipped": optim.chain(optim.clip_by_global_norm(0.1), optim.adam(0.01)),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers(name):
    optimizer = OPTIMIZERS[name]
    params = {"w": rnp.asarray(SEQUENCE[0]), "b": rnp.asarray(VECTORS[0])}

    def step(params, state):
        gradient = rf.grad(lambda p: (rnp.sin(p["w"]) @ p["b"]).sum())(params)
        updates, state = optimizer.update(gradient, state, params)
        return optim.apply_updates(params, updates), state

    def run(step, params):
        state = optimizer.init(params)
        for _ in range(3):
            params, state = step(params, state)
        return params

    expected = run(step, params)
    for one_step in (step, rf.jit(step)):
        found = run(one_step, on_gpu(params))
        assert_on_gpu(found)
        assert_close(found, expected, name, factor=100)


def _train(device, steps=30):
    images, labels = data.digits().arrays
    model = nn.sequential(
        nn.unflatten(1, (1, 8)) if images.ndim == 2 else nn.flatten, nn.dense(64), nn.relu, nn.dense(10)
    )  # fmt: skip
    params, state = model.init(rf.random.key(0), images[:1])
    optimizer = optim.adam(1e-2)
    params = rf.device_put(params, device)
    moments = optimizer.init(params)

    @rf.jit
    def step(params, moments, x, y):
        def loss(params):
            logits, _ = model.apply(params, state, x)
            return nn.cross_entropy(logits, y)

        value, gradient = rf.value_and_grad(loss)(params)
        updates, moments = optimizer.update(gradient, moments, params)
        return optim.apply_updates(params, updates), moments, value

    loader = data.DataLoader(
        data.ArrayDataset(images, labels), 64, shuffle=True, key=rf.random.key(1), device=device
    )
    losses = []
    for _, (x, y) in zip(range(steps), loader):
        assert x.device.platform == device
        params, moments, value = step(params, moments, x, y)
        losses.append(float(value))
    return params, losses


def test_a_training_run_is_that_of_the_cpu():
    params, losses = _train("gpu", 25)
    expected, expected_losses = _train("cpu", 25)
    assert_on_gpu(params)
    assert losses[-1] < 0.6 * losses[0]
    # Rounding differs by some eps in a step, and Adam divides by the size of small gradients.
    np.testing.assert_allclose(losses, expected_losses, rtol=1e-2)
    assert_close(params, expected, factor=1000)


def test_a_network_with_convolutions_learns():
    x, y = rnp.asarray(IMAGES), rnp.arange(4)
    model = nn.sequential(
        nn.conv(8, 3, padding="SAME"), nn.batch_norm(), nn.relu, nn.max_pool(2), nn.flatten, nn.dense(4)
    )  # fmt: skip
    params, state = model.init(rf.random.key(0), x)

    @rf.jit
    def step(params, state, x, y):
        def loss(params):
            logits, new = model.apply(params, state, x, train=True)
            return nn.cross_entropy(logits, y), new

        (value, new), gradient = rf.value_and_grad(loss, has_aux=True)(params)
        return rf.tree.map(lambda p, g: p - 0.1 * g, params, gradient), new, value

    def run(*args):
        *values, x, y = args
        losses = []
        for _ in range(8):
            *values, loss = step(*values, x, y)
            losses.append(float(loss))
        return values, losses

    values, losses = run(*on_gpu((params, state, x, y)))
    expected, expected_losses = run(params, state, x, y)
    assert_on_gpu(values)
    assert losses[-1] < losses[0]
    np.testing.assert_allclose(losses, expected_losses, rtol=1e-3)
    assert_close(values, expected, factor=200)
