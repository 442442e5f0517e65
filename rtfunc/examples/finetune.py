"""Fine-tune a network from a PyTorch file: `python -m rtfunc.examples.finetune`.

A network that can read the digits 0 to 4 learns 5 to 9 from a few examples of each. Its weights come
from a `.pth` file, as `torch.save(model.state_dict(), path)` writes it; PyTorch is not needed to
read it, nor to write it: where none is given, the example trains the first network itself and
writes such a file. It shows what is gained over a network that begins with random weights.
"""

from __future__ import annotations

import argparse
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from rtfunc import io, nn, optim, random
from rtfunc.data import ArrayDataset, DataLoader
from rtfunc.data.sources import digits
from rtfunc.examples.command import folder, positive_int
from rtfunc.examples.digits import one_channel
from rtfunc.transforms.jit import jit
from rtfunc.transforms.vjp import value_and_grad

#: What is kept when a network learns something new. In PyTorch it is
#: Sequential(Unflatten(1, (1, 8)), Conv2d(1, 32, 3, padding=1), BatchNorm2d(32), ReLU(), ...).
features = nn.sequential(
    one_channel,
    nn.conv(32, 3, padding=1),
    nn.batch_norm(),
    nn.relu,
    nn.max_pool(2),
    nn.conv(64, 3, padding=1),
    nn.batch_norm(),
    nn.relu,
    nn.flatten,
)
#: Its parameters are named as in PyTorch's Sequential(features, Linear(1024, 5)): those of the
#: features begin with "0.", those of the head are "1.weight" and "1.bias".
model = nn.sequential(features, nn.dense(5))


def of_classes(data: ArrayDataset, first: int, per_class: int | None = None) -> ArrayDataset:
    """The images of the five digits from `first` on, labelled 0 to 4; the first few of each."""
    images, labels = data.arrays
    chosen = [np.flatnonzero(labels == digit)[:per_class] for digit in range(first, first + 5)]
    rows = np.sort(np.concatenate(chosen))
    return ArrayDataset(images[rows], labels[rows] - first)


def fit(
    params: Any,
    state: Any,
    data: ArrayDataset,
    optimizer: optim.GradientTransformation,
    epochs: int,
    seed: int,
) -> tuple[Any, Any]:
    """Train the model for some epochs; the new parameters and state."""
    loader = DataLoader(data, 32, shuffle=True, key=random.key(seed))
    moments = optimizer.init(params)

    def loss_of(params, state, images, labels):
        logits, state = model.apply(params, state, images, train=True)
        return nn.cross_entropy(logits, labels, label_smoothing=0.1), state

    @jit
    def step(params, state, moments, images, labels):
        (_, state), gradients = value_and_grad(loss_of, has_aux=True)(params, state, images, labels)
        updates, moments = optimizer.update(gradients, moments, params)
        return optim.apply_updates(params, updates), state, moments

    for _ in range(epochs):
        for images, labels in loader:
            params, state, moments = step(params, state, moments, images, labels)
    return params, state


def accuracy(params: Any, state: Any, data: ArrayDataset) -> float:
    """The share of images that are read rightly."""
    images, labels = data.arrays
    logits, _ = model.apply(params, state, images)
    return float((np.asarray(logits).argmax(axis=1) == labels).mean())


def pretrain(path: pathlib.Path, seed: int) -> None:
    """Train on the digits 0 to 4 and write the weights as PyTorch would."""
    params, state = model.init(random.key(seed), (1, 8, 8))
    data = of_classes(digits("train"), 0)
    params, state = fit(params, state, data, optim.adam(2e-3), epochs=10, seed=seed)
    io.save_torch(nn.state_dict(params, state), path)


def finetune(path: pathlib.Path, data: ArrayDataset, epochs: int, seed: int) -> tuple[Any, Any]:
    """Parameters and state that begin with the features of a file and a new head.

    The features learn ten times more slowly than the head.
    """
    params, state = model.init(random.key(seed + 1), (1, 8, 8))
    weights = io.load_torch(path)
    kept = {name: value for name, value in weights.items() if name.startswith("0.")}
    params, state = io.load_state_dict(kept, params, state, strict=False)
    optimizer = optim.multi_transform(
        {"features": optim.adamw(3e-4), "head": optim.adamw(3e-3)},
        optim.labels_by_path({"0.*": "features"}, default="head"),
    )
    return fit(params, state, data, optimizer, epochs, seed)


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m rtfunc.examples.finetune",
        description="Fine-tune a network from a PyTorch file.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--weights", type=pathlib.Path, help="a .pth file; without one it is made")
    add("--per-class", type=positive_int, default=2, help="examples of each new digit")
    add("--epochs", type=positive_int, default=40, help="passes over the examples")
    add("--seed", type=int, default=0, help="the same seed gives the same result")
    add("--output", type=folder, default="finetune-out", help="folder for what is written")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    options = arguments(argv)
    path = options.weights
    if path is None:
        path = options.output / "digits-0-to-4.pth"
        print(f"Training on the digits 0 to 4, for {path} ...", flush=True)
        pretrain(path, options.seed)
    examples = of_classes(digits("train"), 5, options.per_class)
    test_data = of_classes(digits("test"), 5)
    print(f"Learning 5 to 9 from {len(examples)} images ...", flush=True)
    params, state = model.init(random.key(options.seed + 1), (1, 8, 8))
    scratch = fit(params, state, examples, optim.adamw(3e-3), options.epochs, options.seed)
    print(f"from random weights:     {accuracy(*scratch, test_data):.1%} of the test images")
    try:
        tuned = finetune(path, examples, options.epochs, options.seed)
    except (OSError, io.FileFormatError) as error:
        print(f"Cannot read the weights: {error}")
        return 1
    print(f"from those of the file:  {accuracy(*tuned, test_data):.1%}")
    result = options.output / "digits-5-to-9.pth"
    io.save_torch(nn.state_dict(*tuned), result)
    print(f"Wrote the fine-tuned weights to {result}, which torch.load reads too.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
