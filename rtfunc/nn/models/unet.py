"""U-Net, in the form and with the names of milesial's Pytorch-UNet. Depends on `rtfunc.nn`."""

from __future__ import annotations

from typing import Any

from rtfunc import nn
from rtfunc import numpy as rnp


def unet(
    num_classes: int, *, bilinear: bool = False, width: int = 64, bias: bool = False
) -> nn.Layer:
    """A network from images to a map of logits, which joins what it sees at five sizes.

    Input (N, channels, H, W), output logits (N, num_classes, H, W). Parameters and state, as of
    github.com/milesial/Pytorch-UNet: "inc", "down1" to "down4", "up1" to "up4", "outc".

    Arguments: bilinear: whether images are enlarged by interpolation rather than by a transposed
    convolution; width: channels at full size, doubled with each halving; bias: of the convolutions
    before a norm (True for files of that project before 2022).

    Ronneberger et al. 2015, https://arxiv.org/abs/1505.04597.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn, random
    >>> model = nn.models.unet(2, width=2)
    >>> params, state = model.init(random.key(0), (1, 3, 32, 32))
    >>> model.apply(params, state, rnp.ones((5, 3, 32, 32)))[0].shape
    (5, 2, 32, 32)
    """
    factor = 2 if bilinear else 1

    def convolutions(out: int, middle: int | None = None) -> nn.Layer:
        layers = []
        for size in (out if middle is None else middle, out):
            layers += [nn.conv(size, 3, padding=1, bias=bias), nn.batch_norm(), nn.relu]
        return nn.sequential({"double_conv": nn.sequential(layers)})

    def down(out: int) -> nn.Layer:
        inner = nn.sequential(nn.max_pool(2), convolutions(out))
        return nn.sequential({"maxpool_conv": inner})

    def up(into: int, out: int) -> nn.Layer:
        if bilinear:
            enlarge: Any = nn.upsample(scale_factor=2, mode="bilinear", align_corners=True)
            body = convolutions(out, into // 2)
        else:
            enlarge = nn.conv_transpose(into // 2, 2, stride=2)
            body = convolutions(out)
        return nn.module({"up": enlarge, "conv": body}, _joined, name="up")

    parts: dict[str, Any] = {"inc": convolutions(width)}
    for i in (1, 2, 3, 4):
        parts[f"down{i}"] = down(width * 2**i // (factor if i == 4 else 1))
    for i in (1, 2, 3, 4):
        size = width * 2 ** (4 - i)
        parts[f"up{i}"] = up(2 * size, size // (factor if i < 4 else 1))
    parts["outc"] = nn.sequential({"conv": nn.conv(num_classes, 1)})

    def forward(part: nn.Parts, x: Any) -> Any:
        seen = [part.inc(x)]
        for i in (1, 2, 3, 4):
            seen.append(part[f"down{i}"](seen[-1]))
        x = seen[4]
        for i in (1, 2, 3, 4):
            x = part[f"up{i}"](x, seen[4 - i])
        return part.outc(x)

    return nn.module(parts, forward, name="unet")


def _joined(part: nn.Parts, x: Any, seen: Any) -> Any:
    """x enlarged, in the middle of zeros where it is still smaller, beside what was seen before."""
    x = part.up(x)
    missing = [seen.shape[axis] - x.shape[axis] for axis in (2, 3)]
    if any(missing):
        x = rnp.pad(x, [(0, 0), (0, 0), *((m // 2, m - m // 2) for m in missing)])
    return part.conv(rnp.concatenate([seen, x], axis=1))
