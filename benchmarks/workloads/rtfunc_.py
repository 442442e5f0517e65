"""The workloads in rtfunc. Depends on `inputs` and `loading`."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from typing import Any

import rtfunc as rf
import rtfunc.numpy as rnp
from benchmarks.workloads import inputs, loading
from rtfunc import data, lax, nn, optim

Call = Callable[[], Any]
wait = rf.block_until_ready


def arrays(tree: Any) -> Any:
    return rf.device_put(rf.tree.map(rnp.asarray, tree), inputs.DEVICE)


def gated(x: rf.Array) -> rf.Array:
    return rnp.tanh(x) * nn.sigmoid(x) + rnp.exp(-x * x)


def elementwise() -> Call:
    f, x = rf.jit(gated), arrays(inputs.elements())
    return lambda: f(x)


def elementwise_gradient() -> Call:
    f, x = rf.jit(rf.grad(lambda x: rnp.sum(gated(x)))), arrays(inputs.elements())
    return lambda: f(x)


def softmax() -> Call:
    f, x = rf.jit(lambda x: nn.softmax(x, -1)), arrays(inputs.rows())
    return lambda: f(x)


def mlp(params: Any, x: rf.Array) -> rf.Array:
    for weight, bias in params[:-1]:
        x = nn.relu(x @ weight + bias)
    weight, bias = params[-1]
    return x @ weight + bias


def mlp_loss(params: Any, x: rf.Array, y: rf.Array) -> rf.Array:
    return nn.cross_entropy(mlp(params, x), y)


def mlp_step(sizes: tuple[int, ...], batch: int) -> Call:
    params, x, y = arrays(inputs.mlp(sizes, batch))
    optimizer = optim.adam(inputs.LEARNING_RATE)
    state = optimizer.init(params)

    @rf.jit
    def step(params: Any, state: Any, x: rf.Array, y: rf.Array) -> Any:
        loss, gradients = rf.value_and_grad(mlp_loss)(params, x, y)
        updates, state = optimizer.update(gradients, state, params)
        return optim.apply_updates(params, updates), state, loss

    return lambda: step(params, state, x, y)


def cnn_gradient() -> Call:
    def cnn(params: Any, x: rf.Array) -> rf.Array:
        for kernel in params[:-1]:
            x = nn.relu(lax.conv_general_dilated(x, kernel, (1, 1), "SAME"))
            x = lax.reduce_window(x, -rnp.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")
        return x.reshape(x.shape[0], -1) @ params[-1]

    def loss(params: Any, x: rf.Array, y: rf.Array) -> rf.Array:
        return nn.cross_entropy(cnn(params, x), y)

    params, x, y = arrays(inputs.cnn())
    f = rf.jit(rf.value_and_grad(loss))
    return lambda: f(params, x, y)


def lstm_gradient() -> Call:
    def loss(params: Any, x: rf.Array) -> rf.Array:
        def cell(carry: Any, x: rf.Array) -> Any:
            h, c = carry
            gates = x @ params["input"] + h @ params["hidden"] + params["bias"]
            i, f, g, o = rnp.split(gates, 4, -1)
            c = nn.sigmoid(f) * c + nn.sigmoid(i) * rnp.tanh(g)
            h = nn.sigmoid(o) * rnp.tanh(c)
            return (h, c), h

        zeros = rnp.zeros((x.shape[0], inputs.LSTM_HIDDEN))
        _, hs = lax.scan(cell, (zeros, zeros), rnp.swapaxes(x, 0, 1))
        return (hs**2).mean()

    params, x = arrays(inputs.lstm())
    f = rf.jit(rf.value_and_grad(loss))
    return lambda: f(params, x)


def transformer_gradient() -> Call:
    heads = inputs.TRANSFORMER_HEADS

    def loss(params: Any, x: rf.Array) -> rf.Array:
        batch, time, d = x.shape

        def split_heads(x: rf.Array) -> rf.Array:
            return x.reshape(batch, time, heads, d // heads).transpose(0, 2, 1, 3)

        for _ in range(inputs.TRANSFORMER_LAYERS):
            qkv = nn.functional.layer_norm(x, d) @ params["qkv"]
            q, k, v = (split_heads(a) for a in rnp.split(qkv, 3, -1))
            scores = q @ k.swapaxes(-1, -2) / (d // heads) ** 0.5
            attended = (nn.softmax(scores, -1) @ v).transpose(0, 2, 1, 3).reshape(x.shape)
            x = x + attended @ params["out"]
            hidden = nn.gelu(nn.functional.layer_norm(x, d) @ params["up"], "tanh")
            x = x + hidden @ params["down"]
        return (x**2).mean()

    params, x = arrays(inputs.transformer())
    f = rf.jit(rf.value_and_grad(loss))
    return lambda: f(params, x)


def per_example_gradients() -> Call:
    def loss(params: Any, x: rf.Array, y: rf.Array) -> rf.Array:
        return mlp_loss(params, x[None], y[None])

    params, x, y = arrays(inputs.mlp(*inputs.PER_EXAMPLE_MLP))
    f = rf.jit(rf.vmap(rf.grad(loss), (None, 0, 0)))
    return lambda: f(params, x, y)


def matmul() -> Call:
    f, x = rf.jit(lambda x: x @ x), arrays(inputs.square(1024))
    return lambda: f(x)


def dispatch() -> Call:
    f, x = rf.jit(lambda x: x + 1), arrays(inputs.leaves()[0])
    return lambda: f(x)


def dispatch_50() -> Call:
    f, xs = rf.jit(lambda xs: [x + 1 for x in xs]), arrays(inputs.leaves())
    return lambda: f(xs)


def scalar_gradient() -> Call:
    f = rf.grad(lambda x: rnp.tanh(x) * rnp.sin(x) + x**3)
    return lambda: f(1.3)


def matrix_gradient() -> Call:
    f, x = rf.grad(lambda x: rnp.sum(rnp.tanh(x @ x))), arrays(inputs.square(8))
    return lambda: f(x)


def on_square(f: Callable[[rf.Array], rf.Array]) -> Callable[[], Call]:
    """A function of an 8×8 array, eagerly."""

    def prepare() -> Call:
        x = arrays(inputs.square(8))
        return lambda: f(x)

    return prepare


def trace() -> Call:
    def f(x: rf.Array) -> rf.Array:
        for _ in range(100):
            x = x + rnp.sin(x)
        return x

    x = rnp.ones(3)
    # A new function each time: nothing to look up from the last.
    return lambda: rf.make_graph(lambda x: f(x))(x)


def loader(dataset: Any, batch: int, mode: str) -> data.DataLoader:
    return data.DataLoader(
        dataset,
        batch,
        shuffle=True,
        key=rf.random.key(0),
        num_workers=loading.WORKERS,
        worker_mode=mode,
        persistent_workers=True,
    )


def array_loader() -> Call:
    return loading.endless(loader(data.ArrayDataset(*loading.rows()), loading.BATCH, "thread"))


def image_loader() -> Call:
    folder = tempfile.TemporaryDirectory()
    files = loading.ImageFiles(loading.write_images(folder.name, 1500, 32))
    batch = loading.endless(loader(files, loading.IMAGE_BATCH, "process"))
    return lambda: (batch(), folder)[0]  # the folder lives as long


def fed_step() -> Call:
    params, *_ = arrays(inputs.mlp(*inputs.PER_EXAMPLE_MLP))
    batch = array_loader()

    @rf.jit
    def step(params: Any, x: rf.Array, y: rf.Array) -> Any:
        gradients = rf.grad(mlp_loss)(params, x, y)
        return rf.tree.map(lambda p, g: p - inputs.LEARNING_RATE * g, params, gradients)

    return lambda: step(params, *batch())


WORKLOADS: dict[str, Callable[[], Call]] = {
    "elementwise": elementwise,
    "elementwise-gradient": elementwise_gradient,
    "softmax": softmax,
    "mlp": lambda: mlp_step(*inputs.MLP),
    "mlp-tiny": lambda: mlp_step(*inputs.TINY_MLP),
    "cnn": cnn_gradient,
    "lstm": lstm_gradient,
    "transformer": transformer_gradient,
    "per-example": per_example_gradients,
    "matmul": matmul,
    "dispatch": dispatch,
    "dispatch-50": dispatch_50,
    "scalar-gradient": scalar_gradient,
    "matrix-gradient": matrix_gradient,
    "add": on_square(lambda x: x + x),
    "tanh": on_square(rnp.tanh),
    "index": on_square(lambda x: x[2:5, 1]),
    "matmul-small": on_square(lambda x: x @ x),
    "sum": on_square(rnp.sum),
    "trace": trace,
    "loader-arrays": array_loader,
    "loader-images": image_loader,
    "loader-step": fed_step,
}
