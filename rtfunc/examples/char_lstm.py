"""A network that writes text, character by character: `python -m rtfunc.examples.char_lstm --data FILE`.

An LSTM reads a text and learns to foretell the next character; then it writes by drawing from what it
foretells. It needs a plain text of some 100 kB or more, such as tinyshakespeare.txt, 1.1 MB of
Shakespeare: 1,000 steps on that take a minute on two cores, and foretell held-out text at 2.27 bits
per character, where its letters' frequencies alone give 4.8.

Graves 2013, https://arxiv.org/abs/1308.0850.
"""

from __future__ import annotations

import math
import pathlib
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from rtfunc import lax, nn, optim, random
from rtfunc import numpy as rnp
from rtfunc.examples import command
from rtfunc.examples.text import DATA, Text, draw_training, prompt_of, read_text
from rtfunc.transforms.jit import jit
from rtfunc.transforms.vjp import value_and_grad
from rtfunc.viz.progress import Progress

HIDDEN, LENGTH, BATCH = 256, 64, 32


def model_of(size: int) -> nn.Layer:
    """From codes (n, length) and memory to logits (n, length, size) of what follows, and memory."""

    def forward(part, codes, memory=None):
        x, memory = part.lstm(part.embedding(codes), memory)
        return part.head(x), memory

    parts = {
        "embedding": nn.embedding(size, 64),
        "lstm": nn.lstm(HIDDEN, batch_first=True),
        "head": nn.dense(size),
    }
    return nn.module(parts, forward, name="char_lstm")


def write(model: nn.Layer, params: Any, begin: np.ndarray, count: int, key: Any) -> np.ndarray:
    """`count` codes that follow the codes `begin`, drawn one after the other in one loop."""

    def draw(carry, key):
        logits, memory = carry
        code = random.categorical(key, logits / 0.8)  # a bit bolder than what it learned
        (logits, memory), _ = model.apply(params, {}, code[:, None], memory)
        return (logits[:, -1], memory), code[0]

    @jit
    def all_of_it(begin, key):
        (logits, memory), _ = model.apply(params, {}, begin[None])
        return lax.scan(draw, (logits[:, -1], memory), random.split(key, count))[1]

    return np.asarray(all_of_it(rnp.asarray(begin), key))


def train(
    text: Text, steps: int, seed: int = 0
) -> tuple[nn.Layer, Any, list[float], dict[int, float]]:
    """Model, parameters, the loss of each step in bits, and that of held-out text at some steps."""
    init_key, batch_key = random.split(random.key(seed))
    model = model_of(len(text.alphabet))
    params, _ = model.init(init_key, rnp.zeros((1, 1), int))
    optimizer = optim.chain(
        optim.clip_by_global_norm(1.0), optim.adam(optim.one_cycle_schedule(5e-3, max(steps, 2)))
    )
    moments = optimizer.init(params)

    def loss_of(params, codes):
        (logits, _), _ = model.apply(params, {}, codes[:, :-1])
        return nn.cross_entropy(logits, codes[:, 1:], axis=-1) / math.log(2)

    @jit
    def step(params, moments, codes):
        loss, gradient = value_and_grad(loss_of)(params, codes)
        updates, moments = optimizer.update(gradient, moments, params)
        return optim.apply_updates(params, updates), moments, loss

    evaluate = jit(loss_of)
    losses: list[float] = []
    held_out: dict[int, float] = {}
    with Progress(steps, "training") as progress:
        for number in range(1, steps + 1):
            codes = text.batch(random.fold_in(batch_key, number), BATCH, LENGTH + 1)
            params, moments, loss = step(params, moments, codes)
            losses.append(float(loss))
            if number % max(steps // 10, 1) == 0:
                held_out[number] = float(evaluate(params, text.held_out_batch(8, 4 * LENGTH + 1)))
                progress.advance(loss=losses[-1], held_out=held_out[number])
            else:
                progress.advance(loss=losses[-1])
    return model, params, losses, held_out


def main(argv: Sequence[str] | None = None) -> int:
    parser = command.parser("char_lstm", "Learn from a text to write like it.", steps=1000)
    add = parser.add_argument
    add("--data", type=pathlib.Path, default=DATA, help="a file of plain text")
    add("--prompt", default="ROMEO:\n", help="how the text that is written begins")
    add("--length", type=command.positive_int, default=500, help="characters to write")
    options = parser.parse_args(argv)
    text = read_text(parser, options.data, 4 * LENGTH + 1)
    begin = prompt_of(parser, text, options.prompt)
    started = time.perf_counter()
    model, params, losses, held_out = train(text, options.steps, options.seed)
    seconds = time.perf_counter() - started
    print(
        f"Held-out text: {held_out[max(held_out)]:.3f} bits per character, after {seconds:.0f} s."
    )
    codes = write(model, params, begin, options.length, random.key(options.seed))
    print(text.decode(begin) + text.decode(codes))
    command.picture(
        lambda path: draw_training(losses, held_out, path), options.output / "training.png"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
