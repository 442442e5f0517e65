"""GPT-2, in the form and with the names of nanoGPT. Depends on `rtfunc.nn`."""

from __future__ import annotations

import math
from typing import Any

from rtfunc import nn
from rtfunc import numpy as rnp
from rtfunc.core.errors import ArgumentError, at_user_line

#: The name under which nanoGPT's files repeat the table of tokens: for `nn.load_state_dict` and
#: `nn.state_dict`.
GPT_TIED = {"lm_head.weight": "transformer.wte.weight"}


def gpt(
    vocabulary: int = 50257,
    max_length: int = 1024,
    *,
    layers: int = 12,
    heads: int = 12,
    features: int = 768,
    dropout: float = 0.0,
    bias: bool = True,
    tie_weights: bool = True,
    cache_length: int | None = None,
) -> nn.Layer:
    """GPT-2 with nanoGPT's parameters; 124 million of them by default.

    Input tokens, integers (batch, length), output logits (batch, length, vocabulary). Parameters:
    "transformer" with "wte", "wpe", "h" ("0", "1", ..., of "ln_1", "attn" with "c_attn" and
    "c_proj", "ln_2", "mlp" with "c_fc" and "c_proj") and "ln_f"; "lm_head" unless weights are tied,
    in which case a file is loaded by

        weights = rtfunc.io.load_torch(path)
        nn.load_state_dict(weights, *model.init(key, tokens), tied=nn.models.GPT_TIED)

    Arguments: max_length: of the table of positions; dropout: rate in training; bias: of dense
    layers and norms; tie_weights: whether the table of tokens is the head's weight as well;
    cache_length: for decoding with `nn.generate`, how many tokens the state remembers.

    Radford et al. 2019, https://cdn.openai.com/better-language-models/
    language_models_are_unsupervised_multitask_learners.pdf.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn, random
    >>> model = nn.models.gpt(11, 16, layers=2, heads=2, features=8)
    >>> tokens = rnp.array([[1, 2, 3]])
    >>> params, state = model.init(random.key(0), tokens)
    >>> model.apply(params, state, tokens)[0].shape
    (1, 3, 11)
    """
    if cache_length is not None and cache_length > max_length:
        raise ArgumentError(
            at_user_line(
                f"gpt: cache_length {cache_length} is beyond max_length {max_length}, to which "
                "there are positions."
            )
        )
    cached = cache_length is not None
    small = nn.initializers.normal(0.02)
    parts: dict[str, Any] = {
        "transformer": {
            "wte": nn.embedding(vocabulary, features, weight_init=small),
            "wpe": nn.learned_positions(max_length, weight_init=small, cached=cached),
            "drop": nn.dropout(dropout),
            "h": [
                _block(heads, features, layers, dropout, bias, cache_length) for _ in range(layers)
            ],
            "ln_f": nn.layer_norm(bias=bias),
        }
    }
    if not tie_weights:
        parts["lm_head"] = nn.dense(vocabulary, bias=False, weight_init=small)

    def forward(part: nn.Parts, tokens: Any) -> Any:
        inner = part.transformer
        x = inner.drop(inner.wpe(inner.wte(tokens)))
        for block in inner.h:
            x = block(x)
        x = inner.ln_f(x)
        if not tie_weights:
            return part.lm_head(x)
        return nn.linear(x, part.parameters("transformer.wte")["weight"])

    return nn.module(parts, forward, name="gpt")


def _block(
    heads: int, features: int, layers: int, dropout: float, bias: bool, cache_length: int | None
) -> nn.Layer:
    def dense(size: int, stddev: float = 0.02) -> nn.Layer:
        normal = nn.initializers.normal(stddev)
        return nn.dense(size, bias=bias, weight_init=normal, bias_init=nn.initializers.zeros)

    def projection() -> nn.Layer:
        """Into the sum of all blocks: smaller, the more there are."""
        return dense(features, 0.02 / math.sqrt(2 * layers))

    attention: dict[str, Any] = {
        "c_attn": dense(3 * features),
        "c_proj": projection(),
        "resid_dropout": nn.dropout(dropout),
    }
    if cache_length is not None:
        attention["cache"] = nn.key_value_cache(cache_length)

    def attend(part: nn.Parts, x: Any) -> Any:
        query, keys, values = (
            nn.split_heads(y, heads) for y in rnp.split(part.c_attn(x), 3, axis=-1)
        )
        mask = None
        if cache_length is not None:
            keys, values, mask = part.cache(keys, values)
        out = nn.scaled_dot_product_attention(
            query,
            keys,
            values,
            mask,
            is_causal=mask is None,
            dropout_rate=dropout if part.train else 0.0,
            random_key=part.random_key,
        )
        return part.resid_dropout(part.c_proj(nn.join_heads(out)))

    def forward(part: nn.Parts, x: Any) -> Any:
        x = x + part.attn(part.ln_1(x))
        return x + part.mlp(part.ln_2(x))

    return nn.module(
        {
            "ln_1": nn.layer_norm(bias=bias),
            "attn": nn.module(attention, attend, name="attention"),
            "ln_2": nn.layer_norm(bias=bias),
            "mlp": nn.sequential(
                {
                    "c_fc": dense(4 * features),
                    "gelu": nn.gelu,
                    "c_proj": projection(),
                    "dropout": nn.dropout(dropout),
                }
            ),
        },
        forward,
        name="block",
    )
