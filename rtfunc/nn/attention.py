"""Attention layers: multi-head attention with PyTorch's parameters, and grouped-query attention.

Depends on `functional`, `modules`, `positions` (for the cache of keys and values).
"""

from __future__ import annotations

import functools
from typing import Any

from rtfunc import lax
from rtfunc import numpy as rnp
from rtfunc.core import dtypes
from rtfunc.core.array import Array
from rtfunc.core.aval import Aval
from rtfunc.core.dtypes import DtypeLike
from rtfunc.core.errors import ArgumentError, DtypeError, ShapeError, at_user_line
from rtfunc.nn import functional, initializers
from rtfunc.nn.arguments import check_positive
from rtfunc.nn.layer import (
    InputSpec,
    Layer,
    Params,
    State,
    as_spec,
    parameter,
    parameter_dtype,
    split_keys,
)
from rtfunc.nn.linear import dense
from rtfunc.nn.modules import Parts, module
from rtfunc.nn.positions import key_value_cache, rotary_positions
from rtfunc.ops.convert import as_array, convert


def multi_head_attention(
    num_heads: int,
    *,
    bias: bool = True,
    add_bias_kv: bool = False,
    add_zero_attn: bool = False,
    dropout: float = 0.0,
    is_causal: bool = False,
    batch_first: bool = False,
    cache_length: int | None = None,
    memory_cached: bool = False,
    dtype: DtypeLike | None = None,
) -> Layer:
    """Attention of several heads between learned projections: PyTorch's `MultiheadAttention`.

    Inputs: query (queries, batch, features), and keys (keys, batch, ...) and values (keys, batch,
    ...), which are the query and the keys by default; (batch, queries, features), ... with
    `batch_first`; or without the batch. Output in the query's shape. The features of the query are
    divided among the heads.

    Keyword arguments of `apply`:
      attn_mask: (queries, keys), or (batch * num_heads, queries, keys). Booleans say what must not
        be seen (True), as in PyTorch's module, and unlike `scaled_dot_product_attention`; floats
        are added to the scores.
      key_padding_mask: (batch, keys): keys that are not seen (True), or floats to add.
      is_causal: whether a query sees only the keys up to its position; as given on making the layer
        by default.
      need_weights: whether to return (out, weights), weights (batch, queries, keys) being the mean
        over the heads, before dropout; False by default, unlike PyTorch's.
      average_weights: False for the weights of each head, (batch, num_heads, queries, keys).

    A query that sees no key gets attention 0, where PyTorch's module returns NaN.

    Parameters: "in_proj_weight" (3 features, features), one product for a query that is key and
    value as well; or "q_proj_weight", "k_proj_weight" and "v_proj_weight" where the keys or values
    have other features; "in_proj_bias" (3 features,); "out_proj" with "weight" and "bias"; with
    `add_bias_kv` "bias_k" and "bias_v" (1, 1, features).

    Arguments: add_bias_kv: a learned key and value for every query; add_zero_attn: a key and value
    of zeros; dropout: rate for the weights in training; cache_length: for decoding, how many steps
    of self-attention the state remembers ("keys", "values", "position"; see `initial_state`); the
    attention is causal then; memory_cached: for decoding, whether the state keeps what becomes of the
    keys and values given first ("memory_keys", "memory_values", "known"): those given later are taken
    to be the same, until a new state is made.

    Vaswani et al. 2017, https://arxiv.org/abs/1706.03762.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn, random
    >>> layer = nn.multi_head_attention(4, batch_first=True)
    >>> params, state = layer.init(random.key(0), (2, 5, 8))
    >>> layer.apply(params, state, rnp.ones((2, 5, 8)))[0].shape
    (2, 5, 8)
    """
    check_positive("multi_head_attention", "num_heads", num_heads)
    if not 0 <= dropout <= 1:
        raise ArgumentError(
            at_user_line(f"multi_head_attention: dropout is a rate from 0 to 1, not {dropout}.")
        )
    if cache_length is not None and (add_bias_kv or add_zero_attn):
        raise ArgumentError(
            at_user_line(
                "multi_head_attention: a cache goes without add_bias_kv and add_zero_attn."
            )
        )
    if cache_length is not None and memory_cached:
        raise ArgumentError(
            at_user_line(
                "multi_head_attention: cache_length is for self-attention, memory_cached for the "
                "attention to another sequence: not both."
            )
        )
    name = f"multi_head_attention({num_heads})"
    cache = None if cache_length is None else key_value_cache(cache_length)
    default_causal = is_causal

    def init(key: Any, *specs: InputSpec) -> tuple[Params, State]:
        if not 1 <= len(specs) <= 3:
            raise ArgumentError(
                at_user_line(
                    f"{name}: init takes a key and the specs of query, keys and values, the latter "
                    f"two where they are given, but got {len(specs)} specs."
                )
            )
        query, *others = (as_spec(spec) for spec in specs)
        features = _features(name, query, num_heads)
        sources = [query, others[0] if others else query, others[-1] if others else query]
        kind = parameter_dtype(query, dtype)
        keys = split_keys(key, 6)
        xavier = initializers.xavier_uniform()
        params: dict[str, Any] = {}
        if all(x.shape[-1] == features for x in sources):
            params["in_proj_weight"] = xavier(keys[0], (3 * features, features), kind)
        else:
            for what, x, k in zip("qkv", sources, keys):
                params[f"{what}_proj_weight"] = xavier(k, (features, x.shape[-1]), kind)
        if bias:
            params["in_proj_bias"] = rnp.zeros((3 * features,), kind)
        if add_bias_kv:
            for what, k in zip("kv", keys[3:]):
                drawn = initializers.xavier_normal()(k, (1, 1, features), kind)
                params[f"bias_{what}"] = drawn
        out = Aval((1, features), kind)
        params["out_proj"] = dense(features, bias=bias, dtype=kind).init(keys[5], out)[0]
        if bias:
            params["out_proj"]["bias"] = rnp.zeros((features,), kind)
        if memory_cached:
            shape = (*_outward_shape(sources[1], batch_first), features)
            kept = {f"memory_{what}": rnp.zeros(shape, kind) for what in ("keys", "values")}
            return params, kept | {"known": rnp.zeros((), dtypes.bool_)}
        if cache is None:
            return params, {}
        batch = query.shape[0 if batch_first else 1] if query.ndim == 3 else 1
        heads = Aval((batch, num_heads, 1, features // num_heads), kind)
        return params, cache.init(None, heads, heads)[1]

    def projected(params: Params, x: Array, which: str) -> list[Array]:
        """x (..., length, features) as what `which` says: "q", "kv", ...; in one product."""
        b = parameter(name, params, "in_proj_bias") if bias else None
        if "in_proj_weight" not in params:
            weights = [parameter(name, params, f"{what}_proj_weight") for what in which]
            biases = [None] * 3 if b is None else rnp.split(b, 3)
            return [
                functional.linear(x, w, biases["qkv".index(what)])
                for what, w in zip(which, weights)
            ]
        weight = parameter(name, params, "in_proj_weight")
        features, first = weight.shape[0] // 3, "qkv".index(which[0])
        rows = slice(first * features, (first + len(which)) * features)
        out = functional.linear(x, weight[rows], None if b is None else b[rows])
        return rnp.split(out, len(which), axis=-1) if len(which) > 1 else [out]

    def of_keys(params: Params, keys: Array, values: Any) -> list[Array]:
        if values is None:
            return projected(params, keys, "kv")
        return projected(params, keys, "k") + projected(params, values, "v")

    def remembered(
        params: Params, state: State, keys: Array, values: Any
    ) -> tuple[list[Array], State]:
        """What becomes of keys and values, computed the first time and kept in the state."""
        kept = tuple(parameter(name, state, f"memory_{what}") for what in ("keys", "values"))
        if kept[0].shape[:2] != keys.shape[:2]:
            raise ShapeError(
                at_user_line(
                    f"{name}: the state was made for {kept[0].shape[1]} keys in a batch of "
                    f"{kept[0].shape[0]}, but there are {keys.shape[1]} in one of {keys.shape[0]}. "
                    "Make the state for them: nn.initial_state(model, x, memory)."
                )
            )

        def computed() -> tuple[Array, ...]:
            made = of_keys(params, keys, values)
            return tuple(convert(x, old.dtype) for x, old in zip(made, kept))

        now = lax.cond(parameter(name, state, "known"), lambda: kept, computed)
        new = dict(zip(("memory_keys", "memory_values"), now))
        return list(now), state | new | {"known": rnp.ones((), dtypes.bool_)}

    def apply(
        params: Params,
        state: State,
        query: Any,
        keys: Any = None,
        values: Any = None,
        *,
        attn_mask: Any = None,
        key_padding_mask: Any = None,
        is_causal: bool | None = None,
        need_weights: bool = False,
        average_weights: bool = True,
        key: Any = None,
        train: bool = False,
    ) -> tuple[Any, State]:
        query = as_array(name, query)
        features = _features(name, query, num_heads)
        keys, values = _sources(name, query, keys, values)
        causal = default_causal if is_causal is None else is_causal
        batched = query.ndim == 3

        def outward(x: Any) -> Any:
            """x as (batch, length, features)."""
            if x is None:
                return None
            return x[None] if not batched else x if batch_first else rnp.swapaxes(x, 0, 1)

        if memory_cached:
            if keys is None:
                raise ArgumentError(
                    at_user_line(f"{name}: memory_cached is for keys other than the query.")
                )
            (q,) = projected(params, outward(query), "q")
            (k, v), state = remembered(params, state, outward(keys), outward(values))
            k, v = convert(k, q.dtype), convert(v, q.dtype)
        elif keys is None:
            q, k, v = projected(params, outward(query), "qkv")
        else:
            (q,) = projected(params, outward(query), "q")
            k, v = of_keys(params, outward(keys), outward(values))
        batch, length = q.shape[:2]
        if add_bias_kv:
            k, v = (
                rnp.concatenate(
                    [x, rnp.broadcast_to(parameter(name, params, n), (batch, 1, features))], axis=1
                )
                for x, n in ((k, "bias_k"), (v, "bias_v"))
            )
        if add_zero_attn:
            k, v = (rnp.pad(x, ((0, 0), (0, 1), (0, 0))) for x in (k, v))
        q, k, v = (split_heads(x, num_heads) for x in (q, k, v))
        extra = add_bias_kv + add_zero_attn
        seen = k.shape[2] - extra
        allowed = functional.causal_mask(length, seen) if causal else None
        if cache is not None:
            if keys is not None:
                raise ArgumentError(at_user_line(f"{name}: a cache is for self-attention alone."))
            (k, v, allowed), state = cache.apply({}, state, k, v)
            seen = k.shape[2]
        allowed, added = _combined(
            name, attn_mask, key_padding_mask, allowed, (batch, num_heads, length, seen), extra
        )
        rate = dropout if train else 0.0
        if rate and key is None:
            raise ArgumentError(
                at_user_line(
                    f"{name} drops out weights in training: pass a key, as in "
                    "layer.apply(params, state, x, key=key, train=True)."
                )
            )
        out, weights = _attend(q, k, v, allowed, added, rate, key)
        own = parameter(name, params, "out_proj")
        out = functional.linear(
            join_heads(out),
            parameter(name, own, "weight"),
            parameter(name, own, "bias") if bias else None,
        )
        if not batched:
            out = out[0]
        elif not batch_first:
            out = rnp.swapaxes(out, 0, 1)
        if not need_weights:
            return out, state
        weights = rnp.mean(weights, axis=1) if average_weights else weights
        return (out, weights if batched else weights[0]), state

    return Layer(init, apply, name)


def grouped_query_attention(
    num_heads: int,
    num_key_value_heads: int | None = None,
    *,
    head_features: int | None = None,
    bias: bool = False,
    rotary: bool = False,
    rotary_base: float = 10000.0,
    interleaved: bool = False,
    dropout: float = 0.0,
    is_causal: bool = True,
    cache_length: int | None = None,
    dtype: DtypeLike | None = None,
) -> Layer:
    """Self-attention in which several heads of the query share one of keys and values.

    Input and output (batch, length, features). Parameters: "q_proj", "k_proj", "v_proj" and
    "o_proj" with "weight" (and "bias"), as in Llama's weights at Hugging Face. The three
    projections have weights of their own, and so three products.

    Arguments: num_key_value_heads: divides num_heads, and is equal to it by default; 1 is
    multi-query attention; head_features: features / num_heads by default; rotary: whether queries
    and keys are turned by their positions, with `rotary_base` and `interleaved` as in
    `functional.rotary_embedding`; dropout: rate for the weights in training; cache_length: for
    decoding, how many steps the state remembers (see `initial_state`).

    `apply` takes attn_mask, as `scaled_dot_product_attention` does (True takes part).

    Ainslie et al. 2023, https://arxiv.org/abs/2305.13245.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn, random
    >>> layer = nn.grouped_query_attention(4, 2, rotary=True)
    >>> params, state = layer.init(random.key(0), (2, 5, 16))
    >>> params["k_proj"]["weight"].shape, layer.apply(params, state, rnp.ones((2, 5, 16)))[0].shape
    ((8, 16), (2, 5, 16))
    """
    check_positive("grouped_query_attention", "num_heads", num_heads)
    groups = num_heads if num_key_value_heads is None else num_key_value_heads
    name = f"grouped_query_attention({num_heads}, {groups})"
    check_positive("grouped_query_attention", "num_key_value_heads", groups)
    if num_heads % groups:
        raise ArgumentError(
            at_user_line(
                f"grouped_query_attention: num_heads {num_heads} is no multiple of "
                f"num_key_value_heads {groups}."
            )
        )
    if cache_length is not None and not is_causal:
        raise ArgumentError(
            at_user_line("grouped_query_attention: a cache is for causal attention.")
        )

    @functools.cache
    def made(features: int) -> Layer:
        size = head_features or features // num_heads
        parts: dict[str, Any] = {
            "q_proj": dense(num_heads * size, bias=bias, dtype=dtype),
            "k_proj": dense(groups * size, bias=bias, dtype=dtype),
            "v_proj": dense(groups * size, bias=bias, dtype=dtype),
        }
        if rotary:
            parts["rotary"] = rotary_positions(
                base=rotary_base, interleaved=interleaved, cached=cache_length is not None
            )
        if cache_length is not None:
            parts["cache"] = key_value_cache(cache_length)
        parts["o_proj"] = dense(features, bias=bias, dtype=dtype)
        return module(parts, forward, name=name)

    def forward(part: Parts, x: Any, *, attn_mask: Any = None) -> Any:
        query = split_heads(part.q_proj(x), num_heads)
        keys, values = (split_heads(p(x), groups) for p in (part.k_proj, part.v_proj))
        if rotary:
            query, keys = part.rotary(query, keys)
        mask, causal = attn_mask, is_causal
        if cache_length is not None:
            keys, values, seen = part.cache(keys, values)
            mask = seen if mask is None else rnp.where(seen, mask, _unseen(mask))
            causal = False
        out = functional.scaled_dot_product_attention(
            query,
            keys,
            values,
            mask,
            is_causal=causal,
            enable_gqa=True,
            dropout_rate=dropout if part.train else 0.0,
            random_key=part.random_key,
        )
        return part.o_proj(join_heads(out))

    def checked(x: Any) -> int:
        if x.ndim != 3 or (head_features is None and x.shape[-1] % num_heads):
            raise ShapeError(
                at_user_line(
                    f"{name} takes an input (batch, length, features), the features a multiple of "
                    f"the {num_heads} heads, but got {tuple(x.shape)}."
                )
            )
        return x.shape[-1]

    def init(key: Any, *specs: InputSpec) -> tuple[Params, State]:
        if len(specs) != 1:
            raise ArgumentError(
                at_user_line(f"{name}: init takes a key and 1 input spec, but got {len(specs)}.")
            )
        x = as_spec(specs[0])
        return made(checked(x)).init(key, x)

    def apply(
        params: Params,
        state: State,
        x: Any,
        *,
        attn_mask: Any = None,
        key: Any = None,
        train: bool = False,
    ) -> tuple[Any, State]:
        x = as_array(name, x)
        layer = made(checked(x))
        if train and dropout and key is None:
            raise ArgumentError(
                at_user_line(f"{name} drops out weights in training: pass a key to apply.")
            )
        return layer.apply(params, state, x, attn_mask=attn_mask, key=key, train=train)

    return Layer(init, apply, name)


def split_heads(x: Any, num_heads: int) -> Array:
    """(batch, length, features) as (batch, heads, length, features / heads).

    >>> import rtfunc.numpy as rnp
    >>> split_heads(rnp.ones((2, 5, 8)), 4).shape
    (2, 4, 5, 2)
    """
    batch, length, features = x.shape
    return rnp.swapaxes(x.reshape((batch, length, num_heads, features // num_heads)), 1, 2)


def join_heads(x: Any) -> Array:
    """(batch, heads, length, features) as (batch, length, heads * features).

    >>> import rtfunc.numpy as rnp
    >>> join_heads(rnp.ones((2, 4, 5, 2))).shape
    (2, 5, 8)
    """
    batch, heads, length, features = x.shape
    return rnp.swapaxes(x, 1, 2).reshape((batch, length, heads * features))


def _features(name: str, query: Any, num_heads: int) -> int:
    if query.ndim not in (2, 3) or query.shape[-1] % num_heads:
        raise ShapeError(
            at_user_line(
                f"{name} takes a query (length, batch, features) or without the batch, the "
                f"features a multiple of the {num_heads} heads, but got {tuple(query.shape)}."
            )
        )
    return query.shape[-1]


def _outward_shape(x: Any, batch_first: bool) -> tuple[int, int]:
    """(batch, length) of x."""
    if x.ndim == 2:
        return 1, x.shape[0]
    return (x.shape[0], x.shape[1]) if batch_first else (x.shape[1], x.shape[0])


def _sources(name: str, query: Any, keys: Any, values: Any) -> tuple[Any, Any]:
    """Keys and values; None where they are the query, or the values the keys."""
    values = None if values is keys else values
    if keys is query and values is None:
        keys = None
    if keys is None and values is not None:
        keys = query
    given = [as_array(name, x) if x is not None else None for x in (keys, values)]
    for x in given:
        if x is not None and x.ndim != query.ndim:
            raise ShapeError(
                at_user_line(
                    f"{name}: query {query.shape} and keys or values {x.shape} have different "
                    "numbers of axes."
                )
            )
    return given[0], given[1]


def _combined(
    name: str,
    attn_mask: Any,
    key_padding_mask: Any,
    allowed: Array | None,
    shape: tuple[int, int, int, int],
    extra: int,
) -> tuple[Array | None, Array | None]:
    """What may be seen, and what is added to scores (batch, heads, queries, keys).

    `extra` keys at the end, which the masks do not know, are seen by all.
    """
    batch, heads, queries, keys = shape
    added = None
    for what, mask in (("attn_mask", attn_mask), ("key_padding_mask", key_padding_mask)):
        if mask is None:
            continue
        mask = as_array(name, mask)
        if what == "key_padding_mask":
            fitting: dict[tuple[int, ...], tuple[int, ...]] = {(batch, keys): (batch, 1, 1, keys)}
            if batch == 1:
                fitting[(keys,)] = (1, 1, 1, keys)
        else:
            fitting = {
                (queries, keys): (1, 1, queries, keys),
                (batch * heads, queries, keys): (batch, heads, queries, keys),
            }
        if mask.shape not in fitting:
            raise ShapeError(
                at_user_line(
                    f"{name}: {what} has shape {mask.shape}, not {' or '.join(map(str, fitting))}."
                )
            )
        mask = mask.reshape(fitting[mask.shape])
        if mask.dtype == dtypes.bool_:
            seen = rnp.logical_not(mask)
            allowed = seen if allowed is None else rnp.logical_and(allowed, seen)
        elif dtypes.is_float(mask.dtype):
            added = mask if added is None else added + mask
        else:
            raise DtypeError(
                at_user_line(f"{name}: {what} is of booleans or floats, not {mask.dtype}.")
            )
    if extra and allowed is not None:
        allowed = _padded(allowed, extra, True)
    if extra and added is not None:
        added = _padded(added, extra, 0)
    return allowed, added


def _padded(mask: Array, extra: int, value: Any) -> Array:
    rows = rnp.full((*mask.shape[:-1], extra), value, mask.dtype)
    return rnp.concatenate([mask, rows], axis=-1)


def _unseen(mask: Any) -> Any:
    """What a mask says of a key that is not seen."""
    return False if rnp.asarray(mask).dtype == dtypes.bool_ else -rnp.inf


def _attend(
    query: Array,
    keys: Array,
    values: Array,
    allowed: Array | None,
    added: Array | None,
    rate: float,
    key: Any,
) -> tuple[Array, Array]:
    """Attention and its weights, with both kinds of masks."""
    mask = allowed
    if added is not None:
        mask = added if allowed is None else rnp.where(allowed, added, -rnp.inf)
        mask = convert(mask, dtypes.compute_dtype(query.dtype))
    return functional.scaled_dot_product_attention(
        query,
        keys,
        values,
        mask,
        dropout_rate=rate,
        random_key=key,
        return_weights=True,
    )
