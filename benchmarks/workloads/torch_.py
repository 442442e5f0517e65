"""The workloads in PyTorch, eager or compiled. Depends on `inputs` and `loading`.

Training steps change the parameters in place, as PyTorch's users do; the LSTM and the attention are
PyTorch's own.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch.utils import data

from benchmarks.workloads import inputs, loading

Call = Callable[[], Any]
Compile = Callable[[Callable[..., Any]], Callable[..., Any]]
device = "cuda" if inputs.DEVICE == "gpu" else "cpu"
torch.backends.cudnn.allow_tf32 = False  # float32, as the others compute


def tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array).to(device)


def wait(result: Any) -> None:
    """On the processor results are there when a call returns."""
    if device == "cuda":
        torch.cuda.synchronize()


def parameter(array: np.ndarray) -> torch.Tensor:
    return tensor(array).requires_grad_()


def gated(x: torch.Tensor) -> torch.Tensor:
    return torch.tanh(x) * torch.sigmoid(x) + torch.exp(-x * x)


def elementwise(compiled: Compile) -> Call:
    f, x = compiled(gated), tensor(inputs.elements())
    return lambda: f(x)


def elementwise_gradient(compiled: Compile) -> Call:
    f, x = compiled(lambda x: gated(x).sum()), parameter(inputs.elements())
    return lambda: torch.autograd.grad(f(x), x)


def softmax(compiled: Compile) -> Call:
    f, x = compiled(lambda x: F.softmax(x, -1)), tensor(inputs.rows())
    return lambda: f(x)


def mlp_loss(params: Any, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    for weight, bias in params[:-1]:
        x = F.relu(x @ weight + bias)
    weight, bias = params[-1]
    return F.cross_entropy(x @ weight + bias, y)


def mlp_step(compiled: Compile, sizes: tuple[int, ...], batch: int) -> Call:
    arrays, x, y = inputs.mlp(sizes, batch)
    params = [(parameter(weight), parameter(bias)) for weight, bias in arrays]
    leaves = list(itertools.chain.from_iterable(params))
    optimizer = torch.optim.Adam(leaves, inputs.LEARNING_RATE, foreach=True)
    x, y = tensor(x), tensor(y)
    loss_function = compiled(lambda x, y: mlp_loss(params, x, y))

    def step() -> torch.Tensor:
        optimizer.zero_grad()
        loss = loss_function(x, y)
        loss.backward()
        optimizer.step()
        return loss

    return step


def cnn_gradient(compiled: Compile) -> Call:
    arrays, x, y = inputs.cnn()
    params, x, y = [parameter(a) for a in arrays], tensor(x), tensor(y)

    def loss(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        for kernel in params[:-1]:
            x = F.max_pool2d(F.relu(F.conv2d(x, kernel, padding=1)), 2)
        return F.cross_entropy(x.reshape(x.shape[0], -1) @ params[-1], y)

    f = compiled(loss)
    return lambda: torch.autograd.grad(f(x, y), params)


def lstm_gradient(compiled: Compile) -> Call:
    # PyTorch's LSTM has two biases, which the other contestants' does not need.
    arrays, x = inputs.lstm()
    lstm = torch.nn.LSTM(x.shape[-1], inputs.LSTM_HIDDEN, batch_first=True, device=device)
    with torch.no_grad():
        lstm.weight_ih_l0.copy_(tensor(arrays["input"]).T)
        lstm.weight_hh_l0.copy_(tensor(arrays["hidden"]).T)
        lstm.bias_ih_l0.zero_()
        lstm.bias_hh_l0.zero_()
    x, params = tensor(x), list(lstm.parameters())
    f = compiled(lambda x: (lstm(x)[0] ** 2).mean())
    return lambda: torch.autograd.grad(f(x), params)


def transformer_gradient(compiled: Compile) -> Call:
    arrays, x = inputs.transformer()
    params, x = {name: parameter(a) for name, a in arrays.items()}, tensor(x)
    heads = inputs.TRANSFORMER_HEADS

    def loss(x: torch.Tensor) -> torch.Tensor:
        batch, time, d = x.shape

        def split_heads(x: torch.Tensor) -> torch.Tensor:
            return x.reshape(batch, time, heads, d // heads).transpose(1, 2)

        for _ in range(inputs.TRANSFORMER_LAYERS):
            q, k, v = (F.layer_norm(x, (d,)) @ params["qkv"]).chunk(3, -1)
            attended = F.scaled_dot_product_attention(*map(split_heads, (q, k, v)))
            x = x + attended.transpose(1, 2).reshape(batch, time, d) @ params["out"]
            hidden = F.gelu(F.layer_norm(x, (d,)) @ params["up"], approximate="tanh")
            x = x + hidden @ params["down"]
        return (x**2).mean()

    f, leaves = compiled(loss), list(params.values())
    return lambda: torch.autograd.grad(f(x), leaves)


def per_example_gradients(compiled: Compile) -> Call:
    arrays, x, y = inputs.mlp(*inputs.PER_EXAMPLE_MLP)
    params = [(tensor(weight), tensor(bias)) for weight, bias in arrays]
    x, y = tensor(x), tensor(y)

    def loss(params: Any, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return mlp_loss(params, x[None], y[None])

    f = compiled(torch.func.vmap(torch.func.grad(loss), (None, 0, 0)))
    return lambda: f(params, x, y)


def matmul(compiled: Compile) -> Call:
    f, x = compiled(lambda x: x @ x), tensor(inputs.square(1024))
    return lambda: f(x)


def dispatch(compiled: Compile) -> Call:
    f, x = compiled(lambda x: x + 1), torch.ones(3, device=device)
    return lambda: f(x)


def dispatch_50(compiled: Compile) -> Call:
    f, xs = compiled(lambda xs: [x + 1 for x in xs]), [tensor(a) for a in inputs.leaves()]
    return lambda: f(xs)


def scalar_gradient() -> Call:
    def f() -> Any:
        x = torch.tensor(1.3, requires_grad=True)
        return torch.autograd.grad(torch.tanh(x) * torch.sin(x) + x**3, x)

    return f


def matrix_gradient() -> Call:
    x = parameter(inputs.square(8))
    return lambda: torch.autograd.grad(torch.tanh(x @ x).sum(), x)


def on_square(f: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[], Call]:
    """A function of an 8×8 tensor, eagerly."""

    def prepare() -> Call:
        x = tensor(inputs.square(8))
        return lambda: f(x)

    return prepare


class TensorFiles(loading.ImageFiles):
    """Images as tensors, which the workers hand over in shared memory."""

    def __getitem__(self, index: int) -> tuple[Any, int]:
        array, label = super().__getitem__(index)
        return tensor(array.copy()), label


def loader(dataset: Any, batch: int) -> data.DataLoader:
    return data.DataLoader(
        dataset, batch, shuffle=True, num_workers=loading.WORKERS, persistent_workers=True
    )


def array_loader() -> Call:
    dataset = data.TensorDataset(*map(tensor, loading.rows()))
    return loading.endless(loader(dataset, loading.BATCH))


def image_loader() -> Call:
    folder = tempfile.TemporaryDirectory()
    files = TensorFiles(loading.write_images(folder.name, 1500, 32))
    batch = loading.endless(loader(files, loading.IMAGE_BATCH))
    return lambda: (batch(), folder)[0]  # the folder lives as long


def fed_step() -> Call:
    arrays, *_ = inputs.mlp(*inputs.PER_EXAMPLE_MLP)
    params = [(parameter(weight), parameter(bias)) for weight, bias in arrays]
    leaves = list(itertools.chain.from_iterable(params))
    optimizer = torch.optim.SGD(leaves, inputs.LEARNING_RATE, foreach=True)
    batch = array_loader()

    def step() -> None:
        optimizer.zero_grad()
        mlp_loss(params, *batch()).backward()
        optimizer.step()

    return step


def programs(compiled: Compile) -> dict[str, Callable[[], Call]]:
    """The workloads for which the contestants with a `jit` use it, made by `compiled`."""
    return {
        "elementwise": lambda: elementwise(compiled),
        "elementwise-gradient": lambda: elementwise_gradient(compiled),
        "softmax": lambda: softmax(compiled),
        "mlp": lambda: mlp_step(compiled, *inputs.MLP),
        "mlp-tiny": lambda: mlp_step(compiled, *inputs.TINY_MLP),
        "cnn": lambda: cnn_gradient(compiled),
        "lstm": lambda: lstm_gradient(compiled),
        "transformer": lambda: transformer_gradient(compiled),
        "per-example": lambda: per_example_gradients(compiled),
        "matmul": lambda: matmul(compiled),
    }


WORKLOADS: dict[str, Callable[[], Call]] = {
    **programs(lambda f: f),
    "scalar-gradient": scalar_gradient,
    "matrix-gradient": matrix_gradient,
    "add": on_square(lambda x: x + x),
    "tanh": on_square(torch.tanh),
    "index": on_square(lambda x: x[2:5, 1]),
    "matmul-small": on_square(lambda x: x @ x),
    "sum": on_square(torch.sum),
    "loader-arrays": array_loader,
    "loader-images": image_loader,
    "loader-step": fed_step,
}
