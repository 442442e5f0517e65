"""The workloads in JAX, with optax. Depends on `inputs`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from benchmarks.workloads import inputs

Call = Callable[[], Any]
wait = jax.block_until_ready
if inputs.DEVICE == "gpu":
    jax.config.update("jax_default_matmul_precision", "highest")  # float32, as the others compute
cross_entropy = optax.softmax_cross_entropy_with_integer_labels


def arrays(tree: Any) -> Any:
    return jax.block_until_ready(jax.tree.map(jnp.asarray, tree))


def gated(x: jax.Array) -> jax.Array:
    return jnp.tanh(x) * jax.nn.sigmoid(x) + jnp.exp(-x * x)


def elementwise() -> Call:
    f, x = jax.jit(gated), arrays(inputs.elements())
    return lambda: f(x)


def elementwise_gradient() -> Call:
    f, x = jax.jit(jax.grad(lambda x: jnp.sum(gated(x)))), arrays(inputs.elements())
    return lambda: f(x)


def softmax() -> Call:
    f, x = jax.jit(lambda x: jax.nn.softmax(x, -1)), arrays(inputs.rows())
    return lambda: f(x)


def mlp(params: Any, x: jax.Array) -> jax.Array:
    for weight, bias in params[:-1]:
        x = jax.nn.relu(x @ weight + bias)
    weight, bias = params[-1]
    return x @ weight + bias


def mlp_loss(params: Any, x: jax.Array, y: jax.Array) -> jax.Array:
    return cross_entropy(mlp(params, x), y).mean()


def mlp_step(sizes: tuple[int, ...], batch: int) -> Call:
    params, x, y = arrays(inputs.mlp(sizes, batch))
    optimizer = optax.adam(inputs.LEARNING_RATE)
    state = jax.block_until_ready(optimizer.init(params))

    @jax.jit
    def step(params: Any, state: Any, x: jax.Array, y: jax.Array) -> Any:
        loss, gradients = jax.value_and_grad(mlp_loss)(params, x, y)
        updates, state = optimizer.update(gradients, state)
        return optax.apply_updates(params, updates), state, loss

    return lambda: step(params, state, x, y)


def cnn_gradient() -> Call:
    def cnn(params: Any, x: jax.Array) -> jax.Array:
        for kernel in params[:-1]:
            x = jax.nn.relu(jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME"))
            window = (1, 1, 2, 2)
            x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, window, window, "VALID")
        return x.reshape(x.shape[0], -1) @ params[-1]

    def loss(params: Any, x: jax.Array, y: jax.Array) -> jax.Array:
        return cross_entropy(cnn(params, x), y).mean()

    params, x, y = arrays(inputs.cnn())
    f = jax.jit(jax.value_and_grad(loss))
    return lambda: f(params, x, y)


def lstm_gradient() -> Call:
    def loss(params: Any, x: jax.Array) -> jax.Array:
        def cell(carry: Any, x: jax.Array) -> Any:
            h, c = carry
            gates = x @ params["input"] + h @ params["hidden"] + params["bias"]
            i, f, g, o = jnp.split(gates, 4, -1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
            return (h, c), h

        zeros = jnp.zeros((x.shape[0], inputs.LSTM_HIDDEN))
        _, hs = jax.lax.scan(cell, (zeros, zeros), jnp.swapaxes(x, 0, 1))
        return (hs**2).mean()

    params, x = arrays(inputs.lstm())
    f = jax.jit(jax.value_and_grad(loss))
    return lambda: f(params, x)


def layer_norm(x: jax.Array) -> jax.Array:
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) * jax.lax.rsqrt(variance + 1e-5)


def transformer_gradient() -> Call:
    heads = inputs.TRANSFORMER_HEADS

    def loss(params: Any, x: jax.Array) -> jax.Array:
        batch, time, d = x.shape

        def split_heads(x: jax.Array) -> jax.Array:
            return x.reshape(batch, time, heads, d // heads).transpose(0, 2, 1, 3)

        for _ in range(inputs.TRANSFORMER_LAYERS):
            qkv = layer_norm(x) @ params["qkv"]
            q, k, v = (split_heads(a) for a in jnp.split(qkv, 3, -1))
            scores = q @ k.swapaxes(-1, -2) / (d // heads) ** 0.5
            attended = (jax.nn.softmax(scores, -1) @ v).transpose(0, 2, 1, 3).reshape(x.shape)
            x = x + attended @ params["out"]
            x = x + jax.nn.gelu(layer_norm(x) @ params["up"]) @ params["down"]
        return (x**2).mean()

    params, x = arrays(inputs.transformer())
    f = jax.jit(jax.value_and_grad(loss))
    return lambda: f(params, x)


def per_example_gradients() -> Call:
    def loss(params: Any, x: jax.Array, y: jax.Array) -> jax.Array:
        return mlp_loss(params, x[None], y[None])

    params, x, y = arrays(inputs.mlp(*inputs.PER_EXAMPLE_MLP))
    f = jax.jit(jax.vmap(jax.grad(loss), (None, 0, 0)))
    return lambda: f(params, x, y)


def matmul() -> Call:
    f, x = jax.jit(lambda x: x @ x), arrays(inputs.square(1024))
    return lambda: f(x)


def dispatch() -> Call:
    f, x = jax.jit(lambda x: x + 1), jnp.ones(3)
    return lambda: f(x)


def dispatch_50() -> Call:
    f, xs = jax.jit(lambda xs: [x + 1 for x in xs]), arrays(inputs.leaves())
    return lambda: f(xs)


def scalar_gradient() -> Call:
    f = jax.grad(lambda x: jnp.tanh(x) * jnp.sin(x) + x**3)
    return lambda: f(1.3)


def matrix_gradient() -> Call:
    f, x = jax.grad(lambda x: jnp.sum(jnp.tanh(x @ x))), arrays(inputs.square(8))
    return lambda: f(x)


def on_square(f: Callable[[jax.Array], jax.Array]) -> Callable[[], Call]:
    """A function of an 8×8 array, eagerly."""

    def prepare() -> Call:
        x = arrays(inputs.square(8))
        return lambda: f(x)

    return prepare


def trace() -> Call:
    def f(x: jax.Array) -> jax.Array:
        for _ in range(100):
            x = x + jnp.sin(x)
        return x

    x = jnp.ones(3)
    # A new function each time: nothing to look up from the last.
    return lambda: jax.make_jaxpr(lambda x: f(x))(x)


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
    "tanh": on_square(jnp.tanh),
    "index": on_square(lambda x: x[2:5, 1]),
    "matmul-small": on_square(lambda x: x @ x),
    "sum": on_square(jnp.sum),
    "trace": trace,
}
