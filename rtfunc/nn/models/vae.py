"""A variational autoencoder, that of PyTorch's example `vae`. Depends on `rtfunc.nn`."""

from __future__ import annotations

from typing import Any

from rtfunc import nn, random
from rtfunc import numpy as rnp


def vae(features: int = 784, hidden: int = 400, latent: int = 20) -> nn.Layer:
    """An autoencoder of images with values from 0 to 1, that draws its code from a distribution.

    Input (N, ...) of `features` values each. Output: the reconstruction (N, features), the mean and
    the logarithm of the variance of the code (N, latent). `apply` draws the code with its key, and
    takes the mean without one. Parameters: "fc1", "fc21", "fc22", "fc3", "fc4".

    Kingma and Welling 2013, https://arxiv.org/abs/1312.6114.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn, random
    >>> model = nn.models.vae(64, 16, 2)
    >>> images = rnp.full((5, 8, 8), 0.5)
    >>> params, state = model.init(random.key(0), images)
    >>> (image, mean, log_variance), _ = model.apply(params, state, images, key=random.key(1))
    >>> image.shape, mean.shape
    ((5, 64), (5, 2))
    """
    parts = {
        "fc1": nn.dense(hidden),
        "fc21": nn.dense(latent),
        "fc22": nn.dense(latent),
        "fc3": nn.dense(hidden),
        "fc4": nn.dense(features),
    }

    def forward(part: nn.Parts, x: Any) -> Any:
        seen = nn.relu(part.fc1(x.reshape((x.shape[0], features))))
        mean, log_variance = part.fc21(seen), part.fc22(seen)
        code = mean
        if part.random_key is not None:
            noise = random.normal(part.random_key, mean.shape, mean.dtype)
            code = mean + noise * rnp.exp(0.5 * log_variance)
        image = nn.sigmoid(part.fc4(nn.relu(part.fc3(code))))
        return image, mean, log_variance

    return nn.module(parts, forward, name="vae")


def vae_decode(params: Any, code: Any) -> Any:
    """Images (N, features) for codes (N, latent), with the parameters of `vae`.

    >>> from rtfunc import nn, random
    >>> params, state = nn.models.vae(64, 16, 2).init(random.key(0), (1, 64))
    >>> nn.models.vae_decode(params, random.normal(random.key(1), (3, 2))).shape
    (3, 64)
    """
    return nn.sigmoid(nn.linear(nn.relu(nn.linear(code, **params["fc3"])), **params["fc4"]))


def vae_loss(image: Any, x: Any, mean: Any, log_variance: Any) -> Any:
    """Cross entropy of the reconstruction, and divergence of the code from the standard normal.

    Summed over the batch: binary_cross_entropy - sum(1 + log_variance - mean**2 -
    exp(log_variance)) / 2.

    >>> import rtfunc.numpy as rnp
    >>> zeros = rnp.zeros((1, 2))
    >>> round(float(vae_loss(rnp.full((1, 3), 0.5), rnp.ones((1, 3)), zeros, zeros)), 4)
    2.0794
    """
    x = rnp.reshape(x, image.shape)
    divergence = -0.5 * rnp.sum(1 + log_variance - mean**2 - rnp.exp(log_variance))
    return nn.binary_cross_entropy(image, x, reduction="sum") + divergence
