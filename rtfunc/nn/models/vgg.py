"""VGG networks, torchvision's `vgg`. Depends on `rtfunc.nn`."""

from __future__ import annotations

from typing import Any

from rtfunc import nn
from rtfunc.core.errors import ArgumentError, at_user_line

#: Numbers of convolutions before each halving of the image, by depth.
_CONVOLUTIONS = {
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}


def vgg(
    depth: int = 11,
    *,
    batch_norm: bool = False,
    num_classes: int = 1000,
    dropout: float = 0.5,
    width: int = 64,
    hidden: int = 4096,
) -> nn.Layer:
    """A VGG network with torchvision's parameters.

    Input (N, channels, H, W), output logits (N, num_classes). Parameters and state: "features" and
    "classifier", with the numbers of the layers in them.

    Arguments: depth: 11, 13, 16 or 19; batch_norm: whether a norm follows each convolution; width:
    channels of the first stage, doubled up to eightfold; hidden: features of the classifier.

    Simonyan and Zisserman 2014, https://arxiv.org/abs/1409.1556.

    >>> from rtfunc import nn, random
    >>> model = nn.models.vgg(11, width=2, hidden=8)
    >>> params, state = model.init(random.key(0), (1, 3, 32, 32))
    >>> list(params["features"]), list(params["classifier"])
    (['0', '3', '6', '8', '11', '13', '16', '18'], ['0', '3', '6'])
    """
    if depth not in _CONVOLUTIONS:
        raise ArgumentError(
            at_user_line(f"vgg: the depth is one of {', '.join(map(str, _CONVOLUTIONS))}.")
        )
    convolution = nn.initializers.kaiming_normal(mode="fan_out", nonlinearity="relu")
    features: list[Any] = []
    for stage, count in enumerate(_CONVOLUTIONS[depth]):
        for _ in range(count):
            channels = width * 2 ** min(stage, 3)
            features.append(
                nn.conv(
                    channels,
                    3,
                    padding=1,
                    weight_init=convolution,
                    bias_init=nn.initializers.zeros,
                )
            )
            features += [nn.batch_norm(), nn.relu] if batch_norm else [nn.relu]
        features.append(nn.max_pool(2))

    def dense(size: int) -> nn.Layer:
        normal = nn.initializers.normal(0.01)
        return nn.dense(size, weight_init=normal, bias_init=nn.initializers.zeros)

    classifier = [
        *(dense(hidden), nn.relu, nn.dropout(dropout)),
        *(dense(hidden), nn.relu, nn.dropout(dropout)),
        dense(num_classes),
    ]
    return nn.sequential(
        {
            "features": nn.sequential(features),
            "avgpool": nn.adaptive_avg_pool(7),
            "flatten": nn.flatten,
            "classifier": nn.sequential(classifier),
        }
    )


def vgg11(num_classes: int = 1000) -> nn.Layer:
    """torchvision's `vgg11`: 133 million parameters. See `vgg`.

    >>> from rtfunc import nn
    >>> nn.summary(nn.models.vgg11(), (1, 3, 224, 224)).parameters
    132863336
    """
    return vgg(11, num_classes=num_classes)


def vgg11_bn(num_classes: int = 1000) -> nn.Layer:
    """torchvision's `vgg11_bn`: `vgg11` with batch norms. See `vgg`.

    >>> from rtfunc import nn
    >>> len(dict(nn.models.vgg11_bn().children)["features"].children)
    29
    """
    return vgg(11, batch_norm=True, num_classes=num_classes)
