"""The layer that resizes: upsample. Depends on `functional.resizing`."""

from __future__ import annotations

from collections.abc import Sequence

from rtfunc.core.errors import ArgumentError, at_user_line
from rtfunc.nn import functional
from rtfunc.nn.functional.resizing import check_mode
from rtfunc.nn.layer import Layer, of_one_input


def upsample(
    size: int | Sequence[int] | None = None,
    *,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool = False,
    antialias: bool = False,
) -> Layer:
    """The spatial axes resized to `size` or by `scale_factor`: PyTorch's `Upsample`.

    Input and output (N, C, *spatial).

    Arguments: as for the function beneath, `interpolate`, which says what the modes are.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn
    >>> layer = nn.upsample(scale_factor=2, mode="bilinear")
    >>> layer.apply({}, {}, rnp.ones((1, 3, 8, 8)))[0].shape
    (1, 3, 16, 16)
    """
    if (size is None) == (scale_factor is None):
        raise ArgumentError(at_user_line("upsample takes a size or a scale_factor, and not both."))
    check_mode(mode, align_corners, antialias)
    what = f"{size}" if scale_factor is None else f"scale_factor={scale_factor}"
    return of_one_input(
        f"upsample({what}, mode={mode!r})",
        lambda x: functional.interpolate(
            x, size, scale_factor, mode, align_corners, antialias=antialias
        ),
    )
