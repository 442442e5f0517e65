"""Train a network to read handwritten digits: `python -m rtfunc.examples.digits`.

1,797 images of 8 by 8 pixels, a fifth of them held out for testing, and a network of three dense
layers. It prints its progress and writes the trained parameters, and, where matplotlib is
installed, a picture of the training and of some predictions. The same seed gives the same result.
"""

from __future__ import annotations

import argparse
import dataclasses
import pathlib
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from rtfunc import nn, optim, random
from rtfunc.data import ArrayDataset, DataLoader
from rtfunc.data.sources import digits
from rtfunc.io import safetensors
from rtfunc.transforms.jit import jit
from rtfunc.transforms.vjp import value_and_grad
from rtfunc.viz.progress import Progress

model = nn.sequential(
    nn.flatten,
    nn.dropout(0.1),
    nn.dense(256),
    nn.relu,
    nn.dropout(0.3),
    nn.dense(256),
    nn.relu,
    nn.dropout(0.3),
    nn.dense(10),
)


@dataclasses.dataclass
class Training:
    """What a run has come to: parameters, losses of the steps, test accuracies of the epochs."""

    params: Any
    state: Any
    losses: list[float] = dataclasses.field(default_factory=list)
    accuracies: list[float] = dataclasses.field(default_factory=list)
    interrupted: bool = False


def train(
    train_data: ArrayDataset,
    test_data: ArrayDataset,
    *,
    epochs: int = 20,
    batch_size: int = 64,
    learning_rate: float = 3e-3,
    seed: int = 0,
) -> Training:
    """Train `model`; Ctrl-C ends the training early and keeps what it has come to."""
    init_key, data_key, dropout_key = random.split(random.key(seed), 3)
    loader = DataLoader(train_data, batch_size, shuffle=True, key=data_key)
    steps = epochs * len(loader)
    optimizer = optim.adam(optim.cosine_schedule(learning_rate, steps))

    params, state = model.init(init_key, (1, 8, 8))
    optimizer_state = optimizer.init(params)

    def loss_of(params, state, key, images, labels):
        logits, state = model.apply(params, state, images, key=key, train=True)
        return nn.cross_entropy(logits, labels), state

    @jit
    def step(params, state, optimizer_state, key, images, labels):
        (loss, state), gradients = value_and_grad(loss_of, has_aux=True)(
            params, state, key, images, labels
        )
        updates, optimizer_state = optimizer.update(gradients, optimizer_state, params)
        return optim.apply_updates(params, updates), state, optimizer_state, loss

    result = Training(params, state)
    accuracy: dict[str, Any] = {}  # known from the end of the first epoch on
    try:
        with Progress(steps, "training") as progress:
            for epoch in range(epochs):
                for images, labels in loader:
                    key = random.fold_in(dropout_key, len(result.losses))
                    params, state, optimizer_state, loss = step(
                        params, state, optimizer_state, key, images, labels
                    )
                    result.params, result.state = params, state
                    result.losses.append(float(loss))
                    recent = sum(result.losses[-50:]) / len(result.losses[-50:])
                    progress.advance(epoch=epoch + 1, loss=recent, **accuracy)
                right = predict(result, test_data) == test_data.arrays[1]
                accuracy = {"accuracy": float(right.mean())}
                result.accuracies.append(accuracy["accuracy"])
    except KeyboardInterrupt:
        result.interrupted = True
    return result


@jit
def logits_of(params, state, images):
    return model.apply(params, state, images)[0]


def predict(training: Training, data: ArrayDataset) -> np.ndarray:
    """The digit that the network sees in each image."""
    return np.asarray(logits_of(training.params, training.state, data.arrays[0]).argmax(axis=-1))


def draw(training: Training, test_data: ArrayDataset, path: pathlib.Path) -> None:
    """Write a picture: losses and accuracies, and predictions, the wrong ones first."""
    from matplotlib.figure import Figure

    images, labels = test_data.arrays
    seen = predict(training, test_data)
    chosen = np.argsort(seen == labels, kind="stable")[:24]
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    halves: Any = figure.subfigures(1, 2, width_ratios=[1, 1.2])
    left, right = halves

    axes = left.subplots()
    epoch = len(training.losses) / max(len(training.accuracies), 1)
    axes.plot(np.arange(1, len(training.losses) + 1) / epoch, training.losses, lw=0.5)
    axes.set(xlabel="epoch", ylabel="training loss", yscale="log")
    other = axes.twinx()
    numbers = range(1, len(training.accuracies) + 1)
    other.plot(numbers, training.accuracies, color="tab:orange")
    other.set_ylabel("test accuracy", color="tab:orange")

    right.suptitle("what the network sees (wrong in red)")
    for place, i in zip(right.subplots(3, 8).flat, chosen, strict=False):
        place.imshow(images[i], cmap="gray_r")
        color = "black" if seen[i] == labels[i] else "red"
        place.set_title(str(seen[i]), color=color, fontsize=10)
        place.axis("off")
    figure.savefig(path, dpi=110)


def positive_int(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not 1 or more")
    return number


def positive_float(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number


def folder(text: str) -> pathlib.Path:
    path = pathlib.Path(text)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise argparse.ArgumentTypeError(
            f"cannot make the folder {text}: {error.strerror}"
        ) from None
    return path


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m rtfunc.examples.digits",
        description="Train a network to read handwritten digits.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--epochs", type=positive_int, default=20, help="passes over the training images")
    add("--batch-size", type=positive_int, default=64, help="images in a training step")
    add("--learning-rate", type=positive_float, default=3e-3, help="step size of Adam, at first")
    add("--seed", type=int, default=0, help="the same seed gives the same result")
    add("--output", type=folder, default="digits-out", help="folder for what is written")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    options = arguments(argv)
    train_data, test_data = digits("train"), digits("test")
    print(f"{len(train_data)} images to learn from, {len(test_data)} to test with.")
    print(nn.summary(model, (1, 8, 8)), flush=True)

    started = time.perf_counter()
    training = train(
        train_data,
        test_data,
        epochs=options.epochs,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        seed=options.seed,
    )
    seconds = time.perf_counter() - started
    labels = test_data.arrays[1]
    right = int(np.sum(predict(training, test_data) == labels))
    if training.interrupted:
        print(f"\nStopped after {len(training.losses)} steps; what was learned so far is kept.")
    print(f"Test accuracy: {right / len(labels):.2%} ({right} of {len(labels)}), {seconds:.1f} s.")

    weights = options.output / "digits.safetensors"
    flat = nn.state_dict(training.params, training.state)
    safetensors.write({name: np.asarray(value) for name, value in flat.items()}, weights)
    print(f"Wrote the parameters to {weights}")
    picture = options.output / "digits.png"
    try:
        draw(training, test_data, picture)
        print(f"Wrote a picture of the training and of predictions to {picture}")
    except ImportError:
        print("No picture: it needs matplotlib (pip install 'rtfunc[plot]').")
    print(
        "Try next: --seed 1, --learning-rate 0.01, --epochs 5; or change the model at the top of\n"
        f"{__file__}"
    )
    return 130 if training.interrupted else 0


if __name__ == "__main__":
    sys.exit(main())
