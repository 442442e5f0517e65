"""Vision transformers, torchvision's `vision_transformer`. Depends on `rtfunc.nn`."""

from __future__ import annotations

from typing import Any

from rtfunc import nn
from rtfunc import numpy as rnp
from rtfunc.core.errors import ArgumentError, at_user_line


def vision_transformer(
    image_size: int,
    patch_size: int,
    layers: int,
    heads: int,
    features: int,
    feed_forward: int,
    *,
    num_classes: int = 1000,
    representation_size: int | None = None,
    dropout: float = 0.0,
    attention_dropout: float = 0.0,
) -> nn.Layer:
    """A vision transformer with torchvision's parameters.

    Input (N, channels, image_size, image_size), output logits (N, num_classes). Parameters:
    "class_token", "conv_proj", "encoder" with "pos_embedding", "layers" ("encoder_layer_0", ...,
    of "ln_1", "self_attention", "ln_2" and "mlp") and "ln", and "heads" with "head" (and
    "pre_logits").

    Arguments: patch_size: the image is cut in squares of so many pixels; representation_size:
    features of a layer before the head, none by default.

    Dosovitskiy et al. 2020, https://arxiv.org/abs/2010.11929.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn, random
    >>> model = nn.models.vision_transformer(8, 4, 2, 2, 16, 32, num_classes=3)
    >>> params, state = model.init(random.key(0), (1, 3, 8, 8))
    >>> model.apply(params, state, rnp.ones((5, 3, 8, 8)))[0].shape
    (5, 3)
    """
    if image_size % patch_size:
        raise ArgumentError(
            at_user_line(
                f"vision_transformer: an image of {image_size} does not divide into patches of "
                f"{patch_size}."
            )
        )
    patches = (image_size // patch_size) ** 2
    initializers = nn.initializers

    def add_positions(part: nn.Parts, x: Any) -> Any:
        x = part.dropout(x + part.pos_embedding)
        return part.ln(part.layers(x))

    encoder = nn.module(
        {
            "dropout": nn.dropout(dropout),
            "layers": nn.sequential(
                {
                    f"encoder_layer_{i}": _block(
                        heads, features, feed_forward, dropout, attention_dropout
                    )
                    for i in range(layers)
                }
            ),
            "ln": nn.layer_norm(epsilon=1e-6),
        },
        add_positions,
        parameters={"pos_embedding": (initializers.normal(0.02), (1, patches + 1, features))},
        name="encoder",
    )
    head: dict[str, Any] = {}
    if representation_size is not None:
        head["pre_logits"] = nn.dense(
            representation_size, weight_init=_truncated, bias_init=initializers.zeros
        )
        head["act"] = nn.tanh
    head["head"] = nn.dense(
        num_classes, weight_init=initializers.zeros, bias_init=initializers.zeros
    )

    def forward(part: nn.Parts, x: Any) -> Any:
        x = part.conv_proj(x)
        x = rnp.swapaxes(x.reshape((*x.shape[:2], -1)), 1, 2)
        token = rnp.broadcast_to(part.class_token, (x.shape[0], 1, features))
        x = part.encoder(rnp.concatenate([token, x], axis=1))
        return part.heads(x[:, 0])

    return nn.module(
        {
            "conv_proj": nn.conv(
                features,
                patch_size,
                stride=patch_size,
                weight_init=_truncated,
                bias_init=initializers.zeros,
            ),
            "encoder": encoder,
            "heads": nn.sequential(head),
        },
        forward,
        parameters={"class_token": (initializers.zeros, (1, 1, features))},
        name="vision_transformer",
    )


def vit_b_16(num_classes: int = 1000, image_size: int = 224) -> nn.Layer:
    """torchvision's `vit_b_16`: 86.6 million parameters. See `vision_transformer`.

    >>> from rtfunc import nn
    >>> nn.summary(nn.models.vit_b_16(), (1, 3, 224, 224)).parameters
    86567656
    """
    return vision_transformer(image_size, 16, 12, 12, 768, 3072, num_classes=num_classes)


def _truncated(key: Any, shape: Any, dtype: Any = "float32") -> Any:
    """Normal with variance 1 / fan_in, truncated at -2 and 2."""
    fan_in, _ = nn.initializers.fans(shape)
    return nn.initializers.truncated_normal(fan_in**-0.5)(key, shape, dtype)


def _block(
    heads: int, features: int, feed_forward: int, dropout: float, attention_dropout: float
) -> nn.Layer:
    def dense(size: int) -> nn.Layer:
        return nn.dense(
            size,
            weight_init=nn.initializers.xavier_uniform(),
            bias_init=nn.initializers.normal(1e-6),
        )

    parts = {
        "ln_1": nn.layer_norm(epsilon=1e-6),
        "self_attention": nn.multi_head_attention(
            heads, dropout=attention_dropout, batch_first=True
        ),
        "dropout": nn.dropout(dropout),
        "ln_2": nn.layer_norm(epsilon=1e-6),
        "mlp": nn.sequential(
            [
                dense(feed_forward),
                nn.gelu,
                nn.dropout(dropout),
                dense(features),
                nn.dropout(dropout),
            ]
        ),
    }

    def forward(part: nn.Parts, x: Any) -> Any:
        x = x + part.dropout(part.self_attention(part.ln_1(x)))
        return x + part.mlp(part.ln_2(x))

    return nn.module(parts, forward, name="encoder_block")
