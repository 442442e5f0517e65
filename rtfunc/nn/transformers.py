"""Transformer layers with PyTorch's parameters and numbers: encoder, decoder, and both together.

Depends on `attention`, `modules`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from rtfunc.core.dtypes import DtypeLike
from rtfunc.core.errors import ArgumentError, at_user_line
from rtfunc.nn import activations
from rtfunc.nn.arguments import check_positive
from rtfunc.nn.attention import multi_head_attention
from rtfunc.nn.dropout import dropout as dropout_layer
from rtfunc.nn.layer import InputSpec, Layer, Params, State, as_spec
from rtfunc.nn.linear import dense
from rtfunc.nn.modules import Parts, module
from rtfunc.nn.normalization import layer_norm

#: A function of arrays, or the name of one in `nn`: "relu", "gelu", ...
Activation: TypeAlias = str | Callable[[Any], Any]


def transformer_encoder_layer(
    num_heads: int,
    feed_forward: int = 2048,
    *,
    dropout: float = 0.1,
    activation: Activation = "relu",
    epsilon: float = 1e-5,
    norm_first: bool = False,
    batch_first: bool = False,
    bias: bool = True,
    is_causal: bool = False,
    cache_length: int | None = None,
    dtype: DtypeLike | None = None,
) -> Layer:
    """Self-attention and a network of two layers, each in a residual: PyTorch's
    `TransformerEncoderLayer`.

    Input and output (length, batch, features), or (batch, length, features) with `batch_first`.
    `apply` takes `attn_mask`, `key_padding_mask` and `is_causal`, as `multi_head_attention` does.

    Parameters: "self_attn" as of `multi_head_attention`; "linear1" and "linear2" with "weight" and
    "bias"; "norm1" and "norm2" with "weight" and "bias".

    Arguments: feed_forward: features between the two layers; dropout: rate in training; activation:
    a function or its name in `nn`; epsilon: of the norms; norm_first: whether norms come before
    attention and network instead of after the sums; is_causal: whether steps see only those before;
    cache_length: for decoding, as in `multi_head_attention`.

    Vaswani et al. 2017, https://arxiv.org/abs/1706.03762; norms first: Xiong et al. 2020,
    https://arxiv.org/abs/2002.04745.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn, random
    >>> layer = nn.transformer_encoder_layer(2, 16, batch_first=True)
    >>> params, state = layer.init(random.key(0), (2, 5, 8))
    >>> layer.apply(params, state, rnp.ones((2, 5, 8)))[0].shape
    (2, 5, 8)
    """
    function = _activation("transformer_encoder_layer", activation)

    def parts(features: int) -> dict[str, Any]:
        return {
            "self_attn": multi_head_attention(
                num_heads,
                bias=bias,
                dropout=dropout,
                batch_first=batch_first,
                is_causal=is_causal,
                cache_length=cache_length,
                dtype=dtype,
            ),
            "linear1": dense(feed_forward, bias=bias, dtype=dtype),
            "dropout": dropout_layer(dropout),
            "linear2": dense(features, bias=bias, dtype=dtype),
            "norm1": layer_norm(epsilon=epsilon, bias=bias, dtype=dtype),
            "norm2": layer_norm(epsilon=epsilon, bias=bias, dtype=dtype),
            "dropout1": dropout_layer(dropout),
            "dropout2": dropout_layer(dropout),
        }

    def forward(part: Parts, x: Any, **masks: Any) -> Any:
        def attended(x: Any) -> Any:
            return part.dropout1(part.self_attn(x, **masks))

        def fed(x: Any) -> Any:
            hidden = part.dropout(function(part.linear1(x)))
            return part.dropout2(part.linear2(hidden))

        if norm_first:
            x = x + attended(part.norm1(x))
            return x + fed(part.norm2(x))
        x = part.norm1(x + attended(x))
        return part.norm2(x + fed(x))

    check_positive("transformer_encoder_layer", "feed_forward", feed_forward)
    return _sized("transformer_encoder_layer", parts, forward)


def transformer_decoder_layer(
    num_heads: int,
    feed_forward: int = 2048,
    *,
    dropout: float = 0.1,
    activation: Activation = "relu",
    epsilon: float = 1e-5,
    norm_first: bool = False,
    batch_first: bool = False,
    bias: bool = True,
    is_causal: bool = False,
    cache_length: int | None = None,
    dtype: DtypeLike | None = None,
) -> Layer:
    """Self-attention, attention to a memory, and a network: PyTorch's `TransformerDecoderLayer`.

    Inputs x (length, batch, features) and the memory (keys, batch, features), or batch first;
    output in the shape of x. `apply` takes `attn_mask`, `key_padding_mask` and `is_causal` for x,
    `memory_mask` and `memory_key_padding_mask` for the memory, as `multi_head_attention` does.

    Parameters: as of `transformer_encoder_layer`, and "multihead_attn" for the attention to the
    memory and "norm3". Arguments as there; with `cache_length` the keys and values of the memory too
    are computed once and kept in the state, which is made anew for another memory.

    Vaswani et al. 2017, https://arxiv.org/abs/1706.03762.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn, random
    >>> layer = nn.transformer_decoder_layer(2, 16, batch_first=True, is_causal=True)
    >>> params, state = layer.init(random.key(0), (2, 5, 8), (2, 7, 8))
    >>> layer.apply(params, state, rnp.ones((2, 5, 8)), rnp.ones((2, 7, 8)))[0].shape
    (2, 5, 8)
    """
    function = _activation("transformer_decoder_layer", activation)

    def attention(**options: Any) -> Layer:
        return multi_head_attention(
            num_heads, bias=bias, dropout=dropout, batch_first=batch_first, dtype=dtype, **options
        )

    def parts(features: int) -> dict[str, Any]:
        norms = {f"norm{i}": layer_norm(epsilon=epsilon, bias=bias, dtype=dtype) for i in (1, 2, 3)}
        return {
            "self_attn": attention(is_causal=is_causal, cache_length=cache_length),
            "multihead_attn": attention(memory_cached=cache_length is not None),
            "linear1": dense(feed_forward, bias=bias, dtype=dtype),
            "dropout": dropout_layer(dropout),
            "linear2": dense(features, bias=bias, dtype=dtype),
            **norms,
            **{f"dropout{i}": dropout_layer(dropout) for i in (1, 2, 3)},
        }

    def forward(
        part: Parts,
        x: Any,
        memory: Any,
        *,
        memory_mask: Any = None,
        memory_key_padding_mask: Any = None,
        **masks: Any,
    ) -> Any:
        def attended(x: Any) -> Any:
            return part.dropout1(part.self_attn(x, **masks))

        def remembered(x: Any) -> Any:
            out = part.multihead_attn(
                x, memory, attn_mask=memory_mask, key_padding_mask=memory_key_padding_mask
            )
            return part.dropout2(out)

        def fed(x: Any) -> Any:
            hidden = part.dropout(function(part.linear1(x)))
            return part.dropout3(part.linear2(hidden))

        if norm_first:
            x = x + attended(part.norm1(x))
            x = x + remembered(part.norm2(x))
            return x + fed(part.norm3(x))
        x = part.norm1(x + attended(x))
        x = part.norm2(x + remembered(x))
        return part.norm3(x + fed(x))

    check_positive("transformer_decoder_layer", "feed_forward", feed_forward)
    return _sized("transformer_decoder_layer", parts, forward)


def transformer_encoder(layer: Layer, num_layers: int, norm: Any = None) -> Layer:
    """Layers like `layer` one after the other: PyTorch's `TransformerEncoder`.

    Input, output and keyword arguments of `apply` as those of `transformer_encoder_layer`.
    Parameters: "layers" with "0", "1", ...; "norm" where `norm` is given, such as
    `nn.layer_norm()`.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn, random
    >>> layer = nn.transformer_encoder_layer(2, 16, norm_first=True)
    >>> encoder = nn.transformer_encoder(layer, 2, nn.layer_norm())
    >>> params, state = encoder.init(random.key(0), (5, 1, 8))
    >>> sorted(params), sorted(params["layers"])
    (['layers', 'norm'], ['0', '1'])
    """
    return _stack("transformer_encoder", layer, num_layers, norm)


def transformer_decoder(layer: Layer, num_layers: int, norm: Any = None) -> Layer:
    """Layers like `layer` one after the other, all given the memory: PyTorch's
    `TransformerDecoder`.

    Inputs, output and keyword arguments of `apply` as those of `transformer_decoder_layer`.
    Parameters: "layers" with "0", "1", ...; "norm" where `norm` is given.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn, random
    >>> decoder = nn.transformer_decoder(nn.transformer_decoder_layer(2, 16), 2)
    >>> params, state = decoder.init(random.key(0), (5, 1, 8), (3, 1, 8))
    >>> decoder.apply(params, state, rnp.ones((5, 1, 8)), rnp.ones((3, 1, 8)))[0].shape
    (5, 1, 8)
    """
    return _stack("transformer_decoder", layer, num_layers, norm)


def transformer(
    num_heads: int = 8,
    num_encoder_layers: int = 6,
    num_decoder_layers: int = 6,
    feed_forward: int = 2048,
    *,
    dropout: float = 0.1,
    activation: Activation = "relu",
    epsilon: float = 1e-5,
    norm_first: bool = False,
    batch_first: bool = False,
    bias: bool = True,
    dtype: DtypeLike | None = None,
) -> Layer:
    """An encoder of one sequence and a decoder of another: PyTorch's `Transformer`.

    Inputs source (keys, batch, features) and target (length, batch, features), or batch first;
    output in the target's shape. `apply` takes `source_mask`, `target_mask`, `memory_mask`,
    `source_key_padding_mask`, `target_key_padding_mask`, `memory_key_padding_mask` as
    `multi_head_attention` does, and `target_is_causal`.

    Parameters: "encoder" and "decoder", each with "layers" and "norm". Arguments as those of
    `transformer_encoder_layer`.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn, random
    >>> model = nn.transformer(2, 1, 1, 16, batch_first=True)
    >>> params, state = model.init(random.key(0), (2, 7, 8), (2, 5, 8))
    >>> source, target = rnp.ones((2, 7, 8)), rnp.ones((2, 5, 8))
    >>> model.apply(params, state, source, target, target_is_causal=True)[0].shape
    (2, 5, 8)
    """
    options: dict[str, Any] = {
        "dropout": dropout,
        "activation": activation,
        "epsilon": epsilon,
        "norm_first": norm_first,
        "batch_first": batch_first,
        "bias": bias,
        "dtype": dtype,
    }

    def norm() -> Layer:
        return layer_norm(epsilon=epsilon, bias=bias, dtype=dtype)

    parts = {
        "encoder": transformer_encoder(
            transformer_encoder_layer(num_heads, feed_forward, **options),
            num_encoder_layers,
            norm(),
        ),
        "decoder": transformer_decoder(
            transformer_decoder_layer(num_heads, feed_forward, **options),
            num_decoder_layers,
            norm(),
        ),
    }

    def forward(
        part: Parts,
        source: Any,
        target: Any,
        *,
        source_mask: Any = None,
        target_mask: Any = None,
        memory_mask: Any = None,
        source_key_padding_mask: Any = None,
        target_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
        target_is_causal: bool = False,
    ) -> Any:
        memory = part.encoder(
            source, attn_mask=source_mask, key_padding_mask=source_key_padding_mask
        )
        return part.decoder(
            target,
            memory,
            attn_mask=target_mask,
            key_padding_mask=target_key_padding_mask,
            is_causal=target_is_causal,
            memory_mask=memory_mask,
            memory_key_padding_mask=memory_key_padding_mask,
        )

    return module(parts, forward, name="transformer")


def _stack(name: str, layer: Layer, num_layers: int, norm: Any) -> Layer:
    check_positive(name, "num_layers", num_layers)
    parts: dict[str, Any] = {"layers": [layer] * num_layers}
    if norm is not None:
        parts["norm"] = norm

    def forward(part: Parts, x: Any, *memory: Any, **arguments: Any) -> Any:
        for one in part.layers:
            x = one(x, *memory, **arguments)
        return x if norm is None else part.norm(x)

    return module(parts, forward, name=name)


def _activation(name: str, activation: Activation) -> Callable[[Any], Any]:
    if callable(activation):
        return activation
    function = getattr(activations, activation, None)
    if activation.startswith("_") or not callable(function):
        raise ArgumentError(
            at_user_line(
                f"{name}: the activation is a function or the name of one in nn, such as 'gelu', "
                f"not {activation!r}."
            )
        )
    return function


def _sized(name: str, parts: Callable[[int], dict[str, Any]], forward: Callable[..., Any]) -> Layer:
    """A module whose parts depend on the number of features of its first input."""
    known: dict[int, Layer] = {}

    def made(x: Any) -> Layer:
        features = x.shape[-1]
        if features not in known:
            known[features] = module(parts(features), forward, name=name)
        return known[features]

    def init(key: Any, *specs: InputSpec) -> tuple[Params, State]:
        if not specs:
            raise ArgumentError(
                at_user_line(f"{name}: init takes a key and the specs of its inputs, but got none.")
            )
        return made(as_spec(specs[0])).init(key, *specs)

    def apply(
        params: Params,
        state: State,
        *inputs: Any,
        key: Any = None,
        train: bool = False,
        **arguments: Any,
    ) -> tuple[Any, State]:
        layer = made(as_spec(inputs[0]))
        return layer.apply(params, state, *inputs, key=key, train=train, **arguments)

    return Layer(init, apply, name)
