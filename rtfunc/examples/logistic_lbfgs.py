"""Logistic regression by L-BFGS: `python -m rtfunc.examples.logistic_lbfgs`.

The loss of all 1,442 training digits at once is smooth and convex, so that L-BFGS reaches its
minimum, to a gradient of 1e-5, in 158 iterations of one evaluation each, where gradient descent takes
many thousands. It prints the way there, reads 96.6 % of the held-out digits, and draws what the
weights of each digit look for. It takes a second.
"""

from __future__ import annotations

import pathlib
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from rtfunc import nn, optim
from rtfunc import numpy as rnp
from rtfunc.data import ArrayDataset
from rtfunc.data.sources import digits
from rtfunc.examples import command
from rtfunc.transforms.jit import jit


def logits_of(params: Any, images: Any) -> Any:
    """(n, 8, 8) to (n, 10)."""
    return images.reshape(-1, 64) @ params["weight"].T + params["bias"]


def fit(data: ArrayDataset, penalty: float, steps: int, tolerance: float = 1e-5) -> Any:
    """The parameters at the minimum: cross-entropy plus penalty / 2 times the squared weights."""
    images, labels = (rnp.asarray(a) for a in data.arrays)
    images = images.astype("float64")  # single precision would end at a gradient of 1e-4

    def loss(params):
        squares = rnp.sum(params["weight"] ** 2)
        return nn.cross_entropy(logits_of(params, images), labels) + penalty / 2 * squares

    optimizer = optim.lbfgs()
    value_and_grad = optim.value_and_grad_from_state(loss)

    @jit
    def step(params, state):
        value, gradient = value_and_grad(params, state)
        updates, state = optimizer.update(
            gradient, state, params, value=value, grad=gradient, value_fn=loss
        )
        return optim.apply_updates(params, updates), state, value, optim.global_norm(gradient)

    params = {"weight": rnp.zeros((10, 64), "float64"), "bias": rnp.zeros(10, "float64")}
    state = optimizer.init(params)
    print("iteration   loss       gradient   evaluations")
    for number in range(steps):
        moved, state, value, size = step(params, state)
        evaluations = int(state[-1].evaluations)
        done = size < tolerance
        if number % 10 == 0 or done:
            print(f"{number:9d}   {value:.6f}   {size:8.1e}   {evaluations:11d}", flush=True)
        if done:
            break
        params = moved
    return params


def accuracy(params: Any, data: ArrayDataset) -> float:
    images, labels = data.arrays
    return float((logits_of(params, images).argmax(axis=-1) == labels).mean())


def draw(params: Any, path: pathlib.Path) -> None:
    from matplotlib.figure import Figure

    weights = np.asarray(params["weight"]).reshape(10, 8, 8)
    figure = Figure(figsize=(9, 2), layout="constrained")
    figure.suptitle("weights: ink that speaks for a digit in blue, against it in red")
    limit = np.abs(weights).max()
    axes: Any = figure.subplots(1, 10)
    for label, (place, image) in enumerate(zip(axes, weights)):
        place.imshow(image, cmap="RdBu", vmin=-limit, vmax=limit)
        place.set_title(str(label), fontsize=10)
        place.axis("off")
    figure.savefig(path, dpi=110)


def main(argv: Sequence[str] | None = None) -> int:
    parser = command.parser("logistic_lbfgs", "Logistic regression by L-BFGS.", steps=500)
    parser.add_argument(
        "--penalty", type=command.positive_float, default=1e-3, help="strength of the L2 penalty"
    )
    options = parser.parse_args(argv)
    train, test = digits("train"), digits("test")
    params = fit(train, options.penalty, options.steps)
    print(
        f"Accuracy: {accuracy(params, train):.1%} in training, {accuracy(params, test):.1%} held out."
    )
    command.picture(lambda path: draw(params, path), options.output / "weights.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
