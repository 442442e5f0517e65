"""A convolutional network reads MNIST: `python -m rtfunc.examples.mnist --data FOLDER`.

It needs the two files of MNIST's 10,000 test digits, t10k-images-idx3-ubyte.gz and
t10k-labels-idx1-ubyte.gz, 28 by 28 pixels each: the first 8,000 are for training, the last 2,000 held
out. 1,000 steps of 64 images take 10 s on two cores and read 99 % of them. The picture shows the
training and the digits that were misread.
"""

from __future__ import annotations

import pathlib
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from rtfunc import nn, optim, random
from rtfunc.data import ArrayDataset, DataLoader, read_idx
from rtfunc.examples import command
from rtfunc.transforms.jit import jit
from rtfunc.transforms.vjp import value_and_grad
from rtfunc.viz.curves import draw_curves
from rtfunc.viz.progress import Progress

FILES = ["t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"]
DATA = pathlib.Path("..", "shared", "data", "mnist")

model = nn.sequential(
    nn.conv(32, 3, padding=1),
    nn.relu,
    nn.max_pool(2),
    nn.conv(64, 3, padding=1),
    nn.relu,
    nn.max_pool(2),
    nn.flatten,
    nn.dropout(0.4),
    nn.dense(128),
    nn.relu,
    nn.dropout(0.4),
    nn.dense(10),
)


def load(files: Sequence[pathlib.Path], held_out: int = 2000) -> tuple[ArrayDataset, ArrayDataset]:
    """Digits to train with and to test with: images float32 (n, 1, 28, 28) from 0 to 1, labels."""
    images, labels = (read_idx(file) for file in files)
    images = images[:, None].astype(np.float32) / 255
    labels = labels.astype(np.int32)
    train, test = slice(None, -held_out), slice(-held_out, None)
    return ArrayDataset(images[train], labels[train]), ArrayDataset(images[test], labels[test])


@jit
def predict(params: Any, state: Any, images: Any) -> Any:
    return model.apply(params, state, images)[0].argmax(axis=-1)


def accuracy(params: Any, state: Any, data: ArrayDataset, batch: int = 500) -> float:
    images, labels = data.arrays
    right = 0
    for i in range(0, len(data), batch):
        seen = np.asarray(predict(params, state, images[i : i + batch]))
        right += int((seen == labels[i : i + batch]).sum())
    return right / len(data)


def train(
    data: ArrayDataset, test: ArrayDataset, steps: int, seed: int = 0
) -> tuple[Any, Any, list[float], dict[int, float]]:
    """Parameters, state, the loss of each step, and the accuracy on `test` after each epoch."""
    init_key, data_key, dropout_key = random.split(random.key(seed), 3)
    params, state = model.init(init_key, (1, 1, 28, 28))
    optimizer = optim.adamw(optim.one_cycle_schedule(3e-3, max(steps, 2)), weight_decay=1e-2)
    moments = optimizer.init(params)

    def loss_of(params, state, key, images, labels):
        logits, state = model.apply(params, state, images, key=key, train=True)
        return nn.cross_entropy(logits, labels), state

    @jit
    def step(params, state, moments, key, images, labels):
        (loss, state), gradient = value_and_grad(loss_of, has_aux=True)(
            params, state, key, images, labels
        )
        updates, moments = optimizer.update(gradient, moments, params)
        return optim.apply_updates(params, updates), state, moments, loss

    loader = DataLoader(data, 64, shuffle=True, drop_last=True, key=data_key)
    losses: list[float] = []
    accuracies: dict[int, float] = {}
    with Progress(steps, "training") as progress:
        while len(losses) < steps:
            for images, labels in loader:
                key = random.fold_in(dropout_key, len(losses))
                params, state, moments, loss = step(params, state, moments, key, images, labels)
                losses.append(float(loss))
                progress.advance(loss=losses[-1])
                if len(losses) == steps:
                    break
            accuracies[len(losses)] = accuracy(params, state, test)
            progress.advance(0, held_out=accuracies[len(losses)])
    return params, state, losses, accuracies


def draw(
    params: Any,
    state: Any,
    losses: list[float],
    accuracies: dict[int, float],
    test: ArrayDataset,
    path: pathlib.Path,
) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4), layout="constrained")
    halves: Any = figure.subfigures(1, 2)
    left, right = halves
    axes = left.subplots()
    draw_curves(axes, {"training loss": losses}, logarithmic=True)
    other = axes.twinx()
    other.plot(list(accuracies), list(accuracies.values()), ".-", color="tab:orange")
    other.set_ylabel("held-out accuracy", color="tab:orange")
    images, labels = test.arrays
    seen = np.concatenate([predict(params, state, part) for part in np.split(images, 4)])
    wrong = np.flatnonzero(seen != labels)[:24]
    right.suptitle("misread digits: seen, in truth")
    for place, i in zip(right.subplots(3, 8).flat, wrong):
        place.imshow(images[i, 0], cmap="gray_r")
        place.set_title(f"{seen[i]}, {labels[i]}", fontsize=9)
    for place in right.axes:
        place.axis("off")
    figure.savefig(path, dpi=110)


def main(argv: Sequence[str] | None = None) -> int:
    parser = command.parser("mnist", "Train a convolutional network on MNIST.", steps=1000)
    parser.add_argument("--data", type=pathlib.Path, default=DATA, help="folder of the two files")
    options = parser.parse_args(argv)
    files = command.existing(parser, options.data, FILES, "MNIST's test digits")
    data, test = load(files)
    print(f"{len(data)} images to learn from, {len(test)} held out.")
    print(nn.summary(model, (1, 1, 28, 28)), flush=True)
    params, state, losses, accuracies = train(data, test, options.steps, options.seed)
    print(f"Accuracy on held-out digits: {accuracy(params, state, test):.2%}")
    command.picture(
        lambda path: draw(params, state, losses, accuracies, test, path),
        options.output / "mnist.png",
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
