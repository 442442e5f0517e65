"""A variational autoencoder that draws digits: `python -m rtfunc.examples.vae`.

It squeezes images of 8 by 8 pixels through two numbers. An encoder gives a normal distribution of
these for each image, a decoder an image for each pair, and the training holds the pairs of all images
together near the origin. The picture shows what the decoder draws over the plane of pairs, and where
the digits lie in it. 3,000 steps take some seconds; the loss comes to 24 nats per image.

Kingma and Welling 2013, https://arxiv.org/abs/1312.6114.
"""

from __future__ import annotations

import pathlib
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from rtfunc import nn, optim, random
from rtfunc import numpy as rnp
from rtfunc.data import ArrayDataset, DataLoader
from rtfunc.data.sources import digits
from rtfunc.examples import command
from rtfunc.transforms.jit import jit
from rtfunc.transforms.vjp import value_and_grad
from rtfunc.viz.progress import Progress

SIZE = 2  # numbers for an image

#: To the mean and the logarithm of the variance of each number.
encoder = nn.sequential(nn.flatten, nn.dense(256), nn.relu, nn.dense(2 * SIZE))
#: To the logits of the pixels.
decoder = nn.sequential(nn.dense(256), nn.relu, nn.dense(256), nn.relu, nn.dense(64))


def encode(params: Any, images: Any) -> tuple[Any, Any]:
    """Means and logarithms of variances, (n, SIZE) each, of images (n, 8, 8)."""
    codes = encoder.apply(params["encoder"], {}, images)[0]
    return codes[:, :SIZE], codes[:, SIZE:]


def decode(params: Any, codes: Any) -> Any:
    """Logits (n, 8, 8) of the pixels for codes (n, SIZE)."""
    return decoder.apply(params["decoder"], {}, codes)[0].reshape(-1, 8, 8)


def loss_of(params: Any, key: Any, images: Any) -> Any:
    """Minus the evidence lower bound of an image, in nats, averaged over the images.

    The code is drawn as mean + deviation * noise, so that the gradient passes through the drawing.
    """
    mean, log_variance = encode(params, images)
    codes = mean + rnp.exp(0.5 * log_variance) * random.normal(key, mean.shape)
    pixels = nn.binary_cross_entropy_with_logits(decode(params, codes), images, reduction="sum")
    divergence = 0.5 * rnp.sum(rnp.exp(log_variance) + mean**2 - 1 - log_variance)
    return (pixels + divergence) / len(images)


def train(data: ArrayDataset, steps: int, seed: int = 0) -> tuple[Any, list[float]]:
    """Parameters, and the loss of each step."""
    encoder_key, decoder_key, data_key, noise_key = random.split(random.key(seed), 4)
    params = {
        "encoder": encoder.init(encoder_key, (1, 8, 8))[0],
        "decoder": decoder.init(decoder_key, (1, SIZE))[0],
    }
    optimizer = optim.adam(optim.cosine_schedule(2e-3, steps))
    state = optimizer.init(params)

    @jit
    def step(params, state, key, images):
        loss, gradient = value_and_grad(loss_of)(params, key, images)
        updates, state = optimizer.update(gradient, state, params)
        return optim.apply_updates(params, updates), state, loss

    loader = DataLoader(data, 128, shuffle=True, drop_last=True, key=data_key)
    losses: list[float] = []
    with Progress(steps, "training") as progress:
        while len(losses) < steps:
            for images, _ in loader:
                key = random.fold_in(noise_key, len(losses))
                params, state, loss = step(params, state, key, images)
                losses.append(float(loss))
                progress.advance(loss=losses[-1])
                if len(losses) == steps:
                    break
    return params, losses


def draw(params: Any, data: ArrayDataset, path: pathlib.Path, side: int = 16) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 5), layout="constrained")
    axes: Any = figure.subplots(1, 2)
    line = np.linspace(-2.5, 2.5, side, dtype=np.float32)
    codes = np.stack(np.meshgrid(line, -line), axis=-1).reshape(-1, SIZE)
    images = np.asarray(nn.sigmoid(decode(params, codes))).reshape(side, side, 8, 8)
    axes[0].imshow(images.swapaxes(1, 2).reshape(side * 8, side * 8), cmap="gray_r")
    axes[0].axis("off")
    axes[0].set_title("what the decoder draws over the plane")
    means = np.asarray(encode(params, data.arrays[0])[0])
    dots = axes[1].scatter(*means.T, c=data.arrays[1], cmap="tab10", s=5)
    axes[1].set(xlim=(-2.6, 2.6), ylim=(-2.6, 2.6), aspect="equal")
    axes[1].set_title("where the digits lie")
    figure.colorbar(dots, ax=axes[1], ticks=range(10))
    figure.savefig(path, dpi=110)


def main(argv: Sequence[str] | None = None) -> int:
    parser = command.parser("vae", "Train a variational autoencoder of digits.", steps=3000)
    options = parser.parse_args(argv)
    data, test = digits("train"), digits("test")
    params, losses = train(data, options.steps, options.seed)
    recent = float(np.mean(losses[-len(losses) // 10 - 1 :]))
    held_out = float(loss_of(params, random.key(1), rnp.asarray(test.arrays[0])))
    print(f"Loss per image: {recent:.2f} nats in training, {held_out:.2f} held out.")
    command.picture(lambda path: draw(params, test, path), options.output / "samples.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
