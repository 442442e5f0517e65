"""Train a network to read handwritten digits: `python -m rtfunc.examples.digits`.

1,797 images of 8 by 8 pixels, a fifth of them held out for testing, and a small convolutional
network. It prints its progress and writes the trained parameters, a checkpoint after every epoch,
from which `--resume` goes on, and, where matplotlib is installed, a picture of the training and of
some predictions. The same seed gives the same result, with an interruption or without.
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

from rtfunc import io, nn, optim, random
from rtfunc.data import ArrayDataset, DataLoader, images
from rtfunc.data.sources import digits
from rtfunc.examples import command
from rtfunc.examples.command import folder, positive_float, positive_int
from rtfunc.transforms.jit import jit
from rtfunc.transforms.vjp import value_and_grad
from rtfunc.viz.progress import Progress


def one_channel(x):
    """Images [n, height, width] as convolutions take them, [n, 1, height, width]."""
    return x[:, None]


model = nn.sequential(
    one_channel,
    nn.conv(32, 3, padding=1),
    nn.batch_norm(),
    nn.relu,
    nn.conv(64, 3, padding=1),
    nn.batch_norm(),
    nn.relu,
    nn.max_pool(2),
    nn.dropout(0.2),
    nn.conv(64, 3, padding=1),
    nn.batch_norm(),
    nn.relu,
    nn.flatten,
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


class OtherRun(Exception):
    """The checkpoint that was to be resumed belongs to a run with other options."""


def train(
    train_data: ArrayDataset,
    test_data: ArrayDataset,
    *,
    epochs: int = 30,
    batch_size: int = 64,
    learning_rate: float = 3e-3,
    seed: int = 0,
    checkpointer: io.Checkpointer | None = None,
    resume: bool = False,
) -> Training:
    """Train `model`; Ctrl-C ends the training early and keeps what it has come to.

    Arguments: checkpointer: where the state is saved after every epoch; resume: go on from its
    latest checkpoint, if there is one, rather than begin anew and remove what is there.
    """
    options = {"epochs": epochs, "batch_size": batch_size, "rate": learning_rate, "seed": seed}
    init_key, data_key, step_key = random.split(random.key(seed), 3)
    loader = DataLoader(train_data, batch_size, shuffle=True, key=data_key)
    steps = epochs * len(loader)
    optimizer = optim.chain(
        optim.clip_by_global_norm(1.0),
        optim.adamw(optim.cosine_schedule(learning_rate, steps), weight_decay=0.01),
    )

    params, state = model.init(init_key, (1, 8, 8))
    carry = params, state, optimizer.init(params)
    result = Training(params, state)
    if checkpointer is not None and not resume:
        for old in checkpointer.steps():
            checkpointer.path(old).unlink()
    elif checkpointer is not None:
        checkpoint = checkpointer.restore(like=carry, loader=loader)
        if checkpoint is not None:
            carry, done = checkpoint.tree, checkpoint.metadata
            if done["options"] != options:
                raise OtherRun(f"{checkpoint.path} is of a run with the options {done['options']}.")
            params, state, _ = carry
            result = Training(params, state, done["losses"], done["accuracies"])

    def loss_of(params, state, key, x, y):
        shift_key, dropout_key = random.split(key)
        shifted = images.random_crop(shift_key, one_channel(x), 8, padding=1)[:, 0]
        logits, state = model.apply(params, state, shifted, key=dropout_key, train=True)
        return nn.cross_entropy(logits, y), state

    @jit
    def train_step(carry, number, x, y):
        params, state, moments = carry
        key = random.fold_in(step_key, number)
        (loss, state), gradients = value_and_grad(loss_of, has_aux=True)(params, state, key, x, y)
        updates, moments = optimizer.update(gradients, moments, params)
        return (optim.apply_updates(params, updates), state, moments), loss

    accuracy: dict[str, Any] = {}  # known from the end of the first epoch on
    try:
        with Progress(steps, "training") as progress:
            progress.advance(len(result.losses))
            for epoch in range(loader.epoch, epochs):
                for x, y in loader:
                    carry, loss = train_step(carry, len(result.losses), x, y)
                    result.params, result.state, _ = carry
                    result.losses.append(float(loss))
                    recent = sum(result.losses[-50:]) / len(result.losses[-50:])
                    progress.advance(epoch=epoch + 1, loss=recent, **accuracy)
                right = predict(result, test_data) == test_data.arrays[1]
                accuracy = {"accuracy": float(right.mean())}
                result.accuracies.append(accuracy["accuracy"])
                if checkpointer is not None:
                    done = {
                        "options": options,
                        "losses": result.losses,
                        "accuracies": result.accuracies,
                    }
                    number = len(result.losses)
                    checkpointer.save(number, carry, loader=loader, metadata=done)
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


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m rtfunc.examples.digits",
        description="Train a network to read handwritten digits.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--epochs", type=positive_int, default=30, help="passes over the training images")
    add("--batch-size", type=positive_int, default=64, help="images in a training step")
    add("--learning-rate", type=positive_float, default=3e-3, help="step size of AdamW, at first")
    add("--seed", type=int, default=0, help="the same seed gives the same result")
    add("--output", type=folder, default="digits-out", help="folder for what is written")
    add("--resume", action="store_true", help="go on from the checkpoint in the output folder")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    options = arguments(argv)
    train_data, test_data = digits("train"), digits("test")
    print(f"{len(train_data)} images to learn from, {len(test_data)} to test with.")
    print(nn.summary(model, (1, 8, 8)), flush=True)

    started = time.perf_counter()
    try:
        with io.Checkpointer(options.output / "checkpoints", keep=2) as checkpointer:
            if options.resume:
                print(f"Going on from step {max(checkpointer.steps(), default=0)}.", flush=True)
            training = train(
                train_data,
                test_data,
                epochs=options.epochs,
                batch_size=options.batch_size,
                learning_rate=options.learning_rate,
                seed=options.seed,
                checkpointer=checkpointer,
                resume=options.resume,
            )
    except OtherRun as error:
        print(f"Cannot resume: {error}\nGive the same options, or begin anew without --resume.")
        return 2
    seconds = time.perf_counter() - started
    labels = test_data.arrays[1]
    right = int(np.sum(predict(training, test_data) == labels))
    if training.interrupted:
        print(f"\nStopped after {len(training.losses)} steps; what was learned so far is kept.")
        print("The same command with --resume goes on after the last whole epoch.")
    print(f"Test accuracy: {right / len(labels):.2%} ({right} of {len(labels)}), {seconds:.1f} s.")

    weights = options.output / "digits.safetensors"
    io.save(nn.state_dict(training.params, training.state), weights)
    print(f"Wrote the parameters to {weights}")
    command.picture(lambda path: draw(training, test_data, path), options.output / "digits.png")
    print(
        "Try next: --seed 1, --learning-rate 0.01, --epochs 5; or change the model at the top of\n"
        f"{__file__}"
    )
    return 130 if training.interrupted else 0


if __name__ == "__main__":
    sys.exit(main())
