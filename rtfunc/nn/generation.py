"""Text from a model: one token after the other, in a loop that compiles once.

The model keeps what it needs of the tokens before in its state (`positions`). Depends on
`lax.scan`, `random`.
"""

from __future__ import annotations

from typing import Any

from rtfunc import lax, random
from rtfunc import numpy as rnp
from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.errors import ArgumentError, DtypeError, ShapeError, at_user_line
from rtfunc.core.trace import Tracer
from rtfunc.nn.arguments import check_positive
from rtfunc.nn.layer import Layer, Params, State
from rtfunc.nn.positions import check_caches
from rtfunc.ops.convert import as_array, convert


def generate(
    model: Layer,
    params: Params,
    state: State,
    prompt: ArrayLike,
    steps: int,
    *,
    temperature: ArrayLike = 0.0,
    top_k: int | None = None,
    key: Any = None,
    end_token: int | None = None,
) -> Array:
    """`steps` tokens that continue `prompt`.

    Arguments:
      model: from tokens (batch, length) to logits (batch, length, vocabulary), with a cache in its
        state: `models.gpt(..., cache_length=n)` with n >= length of the prompt + steps - 1.
      state: as `initial_state(model, prompt)` makes it.
      prompt: integers (batch, length), one token or more.
      temperature: by which logits are divided before a token is drawn; 0 for the likeliest one.
      top_k: how many of the likeliest tokens are drawn from; all by default.
      key: for drawing; needed unless temperature is 0.
      end_token: after it a sequence goes on with it alone.

    Returns the new tokens (batch, steps), in the prompt's dtype. The prompt is taken in one pass
    and the rest is a loop of one, so that `jit` of this compiles each once.

    Raises `ArgumentError` for a cache that is too short, and for drawing without a key.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn, random
    >>> model = nn.models.gpt(11, 16, layers=1, heads=2, features=8, cache_length=16)
    >>> prompt = rnp.array([[1, 2, 3]])
    >>> params, state = model.init(random.key(0), prompt)
    >>> nn.generate(model, params, state, prompt, 5, temperature=1.0, key=random.key(1)).shape
    (1, 5)
    """
    check_positive("generate", "steps", steps)
    prompt = as_array("generate", prompt)
    if not dtypes.is_integer(prompt.dtype):
        raise DtypeError(
            at_user_line(f"generate: the prompt is of integers, tokens, not of {prompt.dtype}.")
        )
    if prompt.ndim != 2 or not prompt.shape[1]:
        raise ShapeError(
            at_user_line(
                f"generate takes a prompt (batch, length) of one token or more, not of shape "
                f"{prompt.shape}."
            )
        )
    temperature = as_array("generate", temperature)
    greedy = not isinstance(temperature, Tracer) and float(temperature) == 0
    if key is None and not greedy:
        raise ArgumentError(
            at_user_line("generate draws tokens unless temperature is 0: pass a key.")
        )

    def chosen(logits: Array, key: Any) -> Array:
        if greedy:
            return convert(rnp.argmax(logits, axis=-1), prompt.dtype)
        if top_k is not None:
            lowest = lax.top_k(logits, min(top_k, logits.shape[-1]))[0][..., -1:]
            logits = rnp.where(logits < lowest, -rnp.inf, logits)
        drawn = random.categorical(key, logits / temperature)
        return convert(drawn, prompt.dtype)

    def step(carry: Any, key: Any) -> tuple[Any, Array]:
        state, token, ended = carry
        logits, state = model.apply(params, state, token[:, None])
        new = chosen(logits[:, -1], key)
        if end_token is not None:
            ended = rnp.logical_or(ended, token == end_token)
            new = rnp.where(ended, rnp.asarray(end_token, prompt.dtype), new)
        return (state, new, ended), new

    if top_k is not None:
        check_positive("generate", "top_k", top_k)
    check_caches("generate", state, prompt.shape[1] + steps - 1)
    keys = random.split(random.key(0) if key is None else key, steps)
    logits, state = model.apply(params, state, prompt)
    first = chosen(logits[:, -1], keys[0])
    ended = rnp.zeros(first.shape, bool)
    _, rest = lax.scan(step, (state, first, ended), keys[1:])
    return rnp.concatenate([first[:, None], rest.T], axis=1)
