"""Images blended with one another, and their labels: mixup and CutMix.

Each image is mixed with its neighbour in the batch, the batch rolled by one, as torchvision's MixUp
and CutMix do; the share is drawn once a batch from a beta distribution. Depends on `layout`,
`rtfunc.random`.
"""

from __future__ import annotations

from rtfunc import numpy as rnp
from rtfunc import random
from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.errors import ArgumentError, DtypeError, ShapeError, at_user_line
from rtfunc.data.images.layout import as_images
from rtfunc.ops.convert import as_array


def mixup(
    key: ArrayLike, images: ArrayLike, labels: ArrayLike, alpha: float = 0.2
) -> tuple[Array, Array]:
    """λ x + (1 - λ) x', with x' the next image before it in the batch and λ from Beta(alpha, alpha).

    Arguments:
      images: [n, channels, height, width], floating-point.
      labels: [n, classes], floating-point: one-hot or probabilities, which `nn.cross_entropy` takes.
      alpha: above 0; the smaller, the nearer λ is to 0 or 1.

    Returns mixed images and labels.

    H. Zhang, M. Cisse, Y. Dauphin, D. Lopez-Paz, mixup: Beyond empirical risk minimization, 2018.
    """
    images, labels = _checked("images.mixup", images, labels, alpha)
    share = _share(key, alpha)

    def mixed(x: Array) -> Array:
        lam = share.astype(x.dtype)
        return rnp.roll(x, 1, axis=0) * (1 - lam) + x * lam

    return mixed(images), mixed(labels)


def cutmix(
    key: ArrayLike, images: ArrayLike, labels: ArrayLike, alpha: float = 1.0
) -> tuple[Array, Array]:
    """Images with a rectangle from the image before it in the batch; labels by the shares of area.

    The rectangle has the share 1 - λ of the area, with λ from Beta(alpha, alpha), and its middle
    anywhere; what reaches over the edge is cut. Arguments as of `mixup`.

    S. Yun et al., CutMix: Regularization strategy to train strong classifiers, ICCV 2019.
    """
    images, labels = _checked("images.cutmix", images, labels, alpha)
    height, width = images.shape[-2:]
    share_key, row_key, column_key = random.split(key, 3)
    half = 0.5 * rnp.sqrt(1 - _share(share_key, alpha))

    def bounds(key: Array, size: int) -> tuple[Array, Array]:
        middle, reach = random.randint(key, (), 0, size), (half * size).astype("int32")
        return rnp.maximum(middle - reach, 0), rnp.minimum(middle + reach, size)

    top, bottom = bounds(row_key, height)
    left, right = bounds(column_key, width)
    y, x = rnp.arange(height)[:, None], rnp.arange(width)[None, :]
    inside = (y >= top) & (y < bottom) & (x >= left) & (x < right)
    lam = (1 - (bottom - top) * (right - left) / (height * width)).astype(labels.dtype)
    mixed_labels = rnp.roll(labels, 1, axis=0) * (1 - lam) + labels * lam
    return rnp.where(inside, rnp.roll(images, 1, axis=0), images), mixed_labels


def _share(key: ArrayLike, alpha: float) -> Array:
    return random.beta(key, alpha, alpha, dtype="float32")


def _checked(
    operation: str, images: ArrayLike, labels: ArrayLike, alpha: float
) -> tuple[Array, Array]:
    images = as_images(operation, images, floating=True)
    labels = as_array(operation, labels)
    if images.ndim != 4 or labels.ndim != 2 or labels.shape[0] != images.shape[0]:
        raise ShapeError(
            at_user_line(
                f"{operation} takes images [n, channels, height, width] and labels [n, classes], "
                f"not {images.shape} and {labels.shape}. Make labels with nn.one_hot."
            )
        )
    if not dtypes.is_inexact(labels.dtype):
        raise DtypeError(
            at_user_line(f"{operation} takes labels of floating-point numbers, not {labels.dtype}.")
        )
    if not alpha > 0:
        raise ArgumentError(at_user_line(f"{operation}: alpha must be above 0, not {alpha!r}."))
    return images, labels
