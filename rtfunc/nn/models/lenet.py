"""LeNet in the form of PyTorch's tutorial on neural networks. Depends on `rtfunc.nn`."""

from __future__ import annotations

from rtfunc import nn


def lenet(num_classes: int = 10) -> nn.Layer:
    """Two convolutions and three dense layers, for small images.

    Input (N, channels, 32, 32), or of another size; output logits (N, num_classes). Parameters:
    "conv1", "conv2", "fc1", "fc2", "fc3".

    LeCun et al. 1998, https://doi.org/10.1109/5.726791, with ReLU and maxima.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn, random
    >>> model = nn.models.lenet()
    >>> params, state = model.init(random.key(0), (1, 1, 32, 32))
    >>> model.apply(params, state, rnp.ones((2, 1, 32, 32)))[0].shape
    (2, 10)
    """
    return nn.sequential(
        {
            "conv1": nn.conv(6, 5),
            "relu1": nn.relu,
            "pool1": nn.max_pool(2),
            "conv2": nn.conv(16, 5),
            "relu2": nn.relu,
            "pool2": nn.max_pool(2),
            "flatten": nn.flatten,
            "fc1": nn.dense(120),
            "relu3": nn.relu,
            "fc2": nn.dense(84),
            "relu4": nn.relu,
            "fc3": nn.dense(num_classes),
        }
    )
