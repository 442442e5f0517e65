"""A small GPT that writes text: `python -m rtfunc.examples.gpt --data FILE`.

The transformer of GPT-2, with four layers of 128 features, reads a text and learns to foretell each
next character; then it writes. It needs a plain text of some 100 kB or more, such as
tinyshakespeare.txt: 1,000 steps on that take 100 s on two cores, and foretell held-out text at 2.41
bits per character. (AdamW alone comes to 2.9 in as many steps; see `docs/optim.md` for Muon.)

Radford et al. 2019, https://cdn.openai.com/better-language-models/
language_models_are_unsupervised_multitask_learners.pdf.
"""

from __future__ import annotations

import math
import pathlib
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from rtfunc import nn, optim, random, tree
from rtfunc import numpy as rnp
from rtfunc.examples import command
from rtfunc.examples.text import DATA, Text, draw_training, prompt_of, read_text
from rtfunc.transforms.jit import jit
from rtfunc.transforms.vjp import value_and_grad
from rtfunc.viz.progress import Progress

LENGTH, BATCH = 128, 16


def model_of(size: int, **options: Any) -> nn.Layer:
    """From codes (n, length) to logits (n, length, size) of what follows."""
    return nn.models.gpt(size, LENGTH, layers=4, heads=4, features=128, **options)


def matrices_of_blocks(params: Any) -> Any:
    """Which parameters Muon trains: not the tables of tokens and positions, norms and biases."""
    return tree.map_with_path(
        lambda path, p: "muon" if path[1] == "h" and p.ndim == 2 else "others", params
    )


def train(text: Text, steps: int, seed: int = 0) -> tuple[Any, list[float], dict[int, float]]:
    """Parameters, the loss of each step in bits, and that of held-out text at some steps."""
    init_key, batch_key = random.split(random.key(seed))
    model = model_of(len(text.alphabet), dropout=0.05)
    params, state = model.init(init_key, rnp.zeros((1, LENGTH), int))
    rate = optim.warm_up_cosine_schedule(1.0, min(50, steps // 4), steps + 1, 0.05)
    optimizer = optim.chain(
        optim.clip_by_global_norm(1.0),
        optim.muon(
            lambda step: 0.02 * rate(step),
            weight_decay=0.01,
            others=optim.adamw(lambda step: 4e-3 * rate(step), b2=0.99, weight_decay=0.0),
            labels=matrices_of_blocks,
        ),
    )
    moments = optimizer.init(params)

    def loss_of(params, codes, key=None):
        logits, _ = model.apply(params, state, codes[:, :-1], key=key, train=key is not None)
        return nn.cross_entropy(logits, codes[:, 1:], axis=-1) / math.log(2)

    @jit
    def step(params, moments, codes, key):
        loss, gradient = value_and_grad(loss_of)(params, codes, key)
        updates, moments = optimizer.update(gradient, moments, params)
        return optim.apply_updates(params, updates), moments, loss

    evaluate = jit(loss_of)
    losses: list[float] = []
    held_out: dict[int, float] = {}
    with Progress(steps, "training") as progress:
        for number in range(1, steps + 1):
            key, dropout_key = random.split(random.fold_in(batch_key, number))
            codes = text.batch(key, BATCH, LENGTH + 1)
            params, moments, loss = step(params, moments, codes, dropout_key)
            losses.append(float(loss))
            if number % max(steps // 10, 1) == 0:
                held_out[number] = float(evaluate(params, text.held_out_batch(32, LENGTH + 1)))
                progress.advance(loss=losses[-1], held_out=held_out[number])
            else:
                progress.advance(loss=losses[-1])
    return params, losses, held_out


def write(size: int, params: Any, begin: np.ndarray, count: int, key: Any) -> np.ndarray:
    """At least `count` codes that follow `begin`, in pieces: the model sees LENGTH at a time."""
    half = LENGTH // 2
    model = model_of(size, cache_length=LENGTH)

    @jit
    def piece(params, prompt, key):
        empty = nn.initial_state(model, prompt)
        return nn.generate(model, params, empty, prompt, half, temperature=0.8, key=key)

    written = begin[-half:]
    codes: list[np.ndarray] = []
    for number in range(math.ceil(count / half)):
        new = piece(params, written[None], random.fold_in(key, number))
        codes.append(np.asarray(new)[0])
        written = np.concatenate([written, codes[-1]])[-half:]
    return np.concatenate(codes)


def main(argv: Sequence[str] | None = None) -> int:
    parser = command.parser("gpt", "Train a small GPT on a text, and let it write.", steps=1000)
    add = parser.add_argument
    add("--data", type=pathlib.Path, default=DATA, help="a file of plain text")
    add("--prompt", default="ROMEO:\n", help="how the text that is written begins")
    add("--length", type=command.positive_int, default=512, help="characters to write")
    options = parser.parse_args(argv)
    text = read_text(parser, options.data, LENGTH + 1)
    begin = prompt_of(parser, text, options.prompt)
    started = time.perf_counter()
    params, losses, held_out = train(text, options.steps, options.seed)
    seconds = time.perf_counter() - started
    print(
        f"Held-out text: {held_out[max(held_out)]:.3f} bits per character, after {seconds:.0f} s."
    )
    size = len(text.alphabet)
    codes = write(size, params, begin, options.length, random.key(options.seed))
    print(text.decode(begin) + text.decode(codes[: options.length]))
    command.picture(
        lambda path: draw_training(losses, held_out, path), options.output / "training.png"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
