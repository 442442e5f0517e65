"""The workloads that autograd, which is NumPy with gradients, can do. Depends on `inputs`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import autograd
import autograd.numpy as anp
import numpy as np

from benchmarks.workloads import inputs

Call = Callable[[], Any]


def wait(result: Any) -> None:
    """Nothing to do: NumPy returns when it is done."""


def gated(x: np.ndarray) -> np.ndarray:
    return anp.tanh(x) / (1 + anp.exp(-x)) + anp.exp(-x * x)


def elementwise() -> Call:
    x = inputs.elements()
    return lambda: gated(x)


def elementwise_gradient() -> Call:
    f, x = autograd.grad(lambda x: anp.sum(gated(x))), inputs.elements()
    return lambda: f(x)


def mlp_loss(params: Any, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    for weight, bias in params[:-1]:
        x = anp.maximum(x @ weight + bias, 0)
    weight, bias = params[-1]
    logits = x @ weight + bias
    logits = logits - anp.max(logits, 1, keepdims=True)
    log_softmax = logits - anp.log(anp.sum(anp.exp(logits), 1, keepdims=True))
    return -anp.mean(log_softmax[anp.arange(len(y)), y])


def adam(p: np.ndarray, g: np.ndarray, m: np.ndarray, v: np.ndarray, step: int) -> Any:
    """Kingma and Ba 2014, algorithm 1."""
    m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
    size = inputs.LEARNING_RATE * (1 - 0.999**step) ** 0.5 / (1 - 0.9**step)
    return p - size * m / (np.sqrt(v) + 1e-8), m, v


def mlp_step(sizes: tuple[int, ...], batch: int) -> Call:
    params, x, y = inputs.mlp(sizes, batch)
    zeros = [(np.zeros_like(weight), np.zeros_like(bias)) for weight, bias in params]
    gradient = autograd.value_and_grad(mlp_loss)

    def step() -> Any:
        loss, gradients = gradient(params, x, y)
        updated = [
            [adam(p, g, m, v, 1) for p, g, m, v in zip(*layer)]
            for layer in zip(params, gradients, zeros, zeros)
        ]
        return updated, loss

    return step


def matmul() -> Call:
    x = inputs.square(1024)
    return lambda: x @ x


def scalar_gradient() -> Call:
    f = autograd.grad(lambda x: anp.tanh(x) * anp.sin(x) + x**3)
    return lambda: f(1.3)


def matrix_gradient() -> Call:
    f, x = autograd.grad(lambda x: anp.sum(anp.tanh(x @ x))), inputs.square(8)
    return lambda: f(x)


WORKLOADS: dict[str, Callable[[], Call]] = {
    "elementwise": elementwise,
    "elementwise-gradient": elementwise_gradient,
    "mlp": lambda: mlp_step(*inputs.MLP),
    "mlp-tiny": lambda: mlp_step(*inputs.TINY_MLP),
    "matmul": matmul,
    "scalar-gradient": scalar_gradient,
    "matrix-gradient": matrix_gradient,
}
