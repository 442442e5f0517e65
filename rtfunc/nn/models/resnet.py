"""Residual networks, torchvision's `resnet`. Depends on `rtfunc.nn`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rtfunc import nn


def resnet(
    layers: Sequence[int],
    *,
    bottleneck: bool = False,
    num_classes: int = 1000,
    width: int = 64,
    zero_init_residual: bool = False,
) -> nn.Layer:
    """A residual network with torchvision's parameters.

    Input (N, channels, H, W), output logits (N, num_classes). Parameters and state: "conv1", "bn1",
    "layer1" to "layer4" with the blocks "0", "1", ... ("conv1", "bn1", "conv2", "bn2", for
    bottlenecks "conv3", "bn3", and "downsample"), "fc".

    Arguments: layers: numbers of blocks in the stages; bottleneck: whether blocks are of three
    convolutions (the stride in the second) instead of two; width: channels of the first stage,
    which each later one doubles; zero_init_residual: whether the last norm of a block begins with
    the factor 0.

    He et al. 2015, https://arxiv.org/abs/1512.03385.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn, random
    >>> model = nn.models.resnet([1, 1], num_classes=3, width=4)
    >>> params, state = model.init(random.key(0), (1, 3, 16, 16))
    >>> model.apply(params, state, rnp.ones((2, 3, 16, 16)))[0].shape
    (2, 3)
    """
    parts: dict[str, Any] = {
        "conv1": _conv(width, 7, 2),
        "bn1": nn.batch_norm(),
        "relu": nn.relu,
        "maxpool": nn.max_pool(3, stride=2, padding=1),
    }
    channels = width
    for stage, count in enumerate(layers):
        size = width * 2**stage
        blocks = []
        for i in range(count):
            stride = 2 if stage and not i else 1
            out = size * (4 if bottleneck else 1)
            shortcut = stride != 1 or channels != out
            blocks.append(_block(size, stride, bottleneck, shortcut, zero_init_residual))
            channels = out
        parts[f"layer{stage + 1}"] = nn.sequential(blocks)
    parts |= {
        "avgpool": nn.adaptive_avg_pool(1),
        "flatten": nn.flatten,
        "fc": nn.dense(num_classes),
    }
    return nn.sequential(parts)


def resnet18(num_classes: int = 1000) -> nn.Layer:
    """torchvision's `resnet18`: 11.7 million parameters. See `resnet`.

    >>> from rtfunc import nn
    >>> nn.summary(nn.models.resnet18(), (1, 3, 224, 224)).parameters
    11689512
    """
    return resnet([2, 2, 2, 2], num_classes=num_classes)


def resnet34(num_classes: int = 1000) -> nn.Layer:
    """torchvision's `resnet34`: 21.8 million parameters. See `resnet`.

    >>> from rtfunc import nn
    >>> [key for key, _ in nn.models.resnet34().children][:3]
    ['conv1', 'bn1', 'relu']
    """
    return resnet([3, 4, 6, 3], num_classes=num_classes)


def resnet50(num_classes: int = 1000) -> nn.Layer:
    """torchvision's `resnet50`: 25.6 million parameters. See `resnet`.

    >>> from rtfunc import nn
    >>> [key for key, _ in nn.models.resnet50().children][-1]
    'fc'
    """
    return resnet([3, 4, 6, 3], bottleneck=True, num_classes=num_classes)


def _conv(features: int, size: int, stride: int = 1) -> nn.Layer:
    initial = nn.initializers.kaiming_normal(mode="fan_out", nonlinearity="relu")
    return nn.conv(
        features, size, stride=stride, padding=size // 2, bias=False, weight_init=initial
    )


def _block(
    size: int, stride: int, bottleneck: bool, shortcut: bool, zero_init_residual: bool
) -> nn.Layer:
    out = size * (4 if bottleneck else 1)
    if bottleneck:
        convolutions = [_conv(size, 1), _conv(size, 3, stride), _conv(out, 1)]
    else:
        convolutions = [_conv(size, 3, stride), _conv(out, 3)]
    count = len(convolutions)
    parts: dict[str, Any] = {}
    for i, convolution in enumerate(convolutions, 1):
        parts[f"conv{i}"] = convolution
        parts[f"bn{i}"] = nn.batch_norm()
    if zero_init_residual:
        parts[f"bn{count}"] = _with_zero_weight(nn.batch_norm())
    if shortcut:
        parts["downsample"] = nn.sequential(_conv(out, 1, stride), nn.batch_norm())

    def forward(part: nn.Parts, x: Any) -> Any:
        y = x
        for i in range(1, count + 1):
            y = part[f"bn{i}"](part[f"conv{i}"](y))
            y = nn.relu(y) if i < count else y
        return nn.relu(y + (part.downsample(x) if shortcut else x))

    return nn.module(parts, forward, name="bottleneck" if bottleneck else "basic_block")


def _with_zero_weight(norm: nn.Layer) -> nn.Layer:
    def init(key: Any, *specs: Any) -> tuple[Any, Any]:
        params, state = norm.init(key, *specs)
        return params | {"weight": params["weight"] * 0}, state

    return nn.Layer(init, norm.apply, norm.name)
