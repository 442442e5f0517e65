"""A neural ordinary differential equation: `python -m rtfunc.examples.neural_ode`.

A spiral obeys y' = A y**3, which the program does not know: it sees points of the curve, and learns a
network f such that the solution of y' = f(y) passes through them. The gradient goes through the
solver, a `scan` of Runge-Kutta steps. The data come from an adaptive Dormand-Prince solver, a
`while_loop` whose number of steps depends on values. After 5,000 steps, which take some seconds, the
solution from the spiral's start misses it by 0.02 on average; it is 4 across.

Chen et al. 2018, https://arxiv.org/abs/1806.07366.
"""

from __future__ import annotations

import pathlib
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rtfunc import lax, nn, optim, random
from rtfunc import numpy as rnp
from rtfunc.examples import command
from rtfunc.transforms.jit import jit
from rtfunc.transforms.vjp import value_and_grad
from rtfunc.transforms.vmap import vmap
from rtfunc.viz.progress import Progress

START = np.array([2.0, 0.0], np.float32)
TIMES = np.linspace(0, 10, 401, dtype=np.float32)
MATRIX = np.array([[-0.1, 2.0], [-2.0, -0.1]], np.float32)


def spiral(y: Any) -> Any:
    return MATRIX @ y**3


# Dormand and Prince 1980: stages, weights of order 5, and their difference from those of order 4.
STAGES = [
    [],
    [1 / 5],
    [3 / 40, 9 / 40],
    [44 / 45, -56 / 15, 32 / 9],
    [19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729],
    [9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656],
]
FIFTH = [35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84]
ERROR = [71 / 57600, 0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40]


def dormand_prince(f: Callable[[Any], Any], start: Any, times: Any, tolerance: float = 1e-6) -> Any:
    """The solution of y' = f(y) at `times`, by steps as long as the error estimate allows."""

    def combined(weights, slopes):
        return sum(w * k for w, k in zip(weights, slopes) if w)

    def advance(state, until):
        def unfinished(state):
            t, _, _ = state
            return t < until

        def step(state):
            t, y, h = state
            h = rnp.minimum(h, until - t)
            slopes: list[Any] = []
            for weights in STAGES:
                slopes.append(f(y + h * combined(weights, slopes)))
            new = y + h * combined(FIFTH, slopes)
            slopes.append(f(new))
            error = rnp.max(rnp.abs(h * combined(ERROR, slopes))) / tolerance
            good = error <= 1
            factor = rnp.clip(0.9 * rnp.maximum(error, 1e-8) ** -0.2, 0.2, 5.0)
            reached = rnp.where(h >= until - t, until, t + h)  # no roundings at the end
            return rnp.where(good, reached, t), rnp.where(good, new, y), h * factor

        state = lax.while_loop(unfinished, step, state)
        return (state[0], state[1], rnp.maximum(state[2], 1e-3)), state[1]

    begin = (times[0], rnp.asarray(start), 0.01 * rnp.ones_like(times[0]))
    _, later = lax.scan(advance, begin, times[1:])
    return rnp.concatenate([begin[1][None], later])


def runge_kutta(f: Callable[[Any], Any], start: Any, times: Any) -> Any:
    """The solution of y' = f(y) at `times`, by one classical Runge-Kutta step from each to the next."""

    def step(y, h):
        k1 = f(y)
        k2 = f(y + h / 2 * k1)
        k3 = f(y + h / 2 * k2)
        k4 = f(y + h * k3)
        y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        return y, y

    start = rnp.asarray(start)
    _, later = lax.scan(step, start, times[1:] - times[:-1])
    return rnp.concatenate([start[None], later])


network = nn.sequential(nn.dense(64), nn.tanh, nn.dense(2))


def slope_of(params: Any) -> Callable[[Any], Any]:
    """The learned right-hand side. It is given cubes, as a hint of the equation to be found."""
    return lambda y: network.apply(params, {}, y**3 / 4)[0]


def train(curve: Any, steps: int, seed: int, length: int = 10, batch: int = 64) -> Any:
    """Fit `batch` pieces of `length` points of the curve in each step."""
    init_key, batch_key = random.split(random.key(seed))
    params, _ = network.init(init_key, (2,))
    optimizer = optim.chain(
        optim.clip_by_global_norm(1.0), optim.adam(optim.cosine_schedule(1e-2, steps))
    )

    def loss(params, pieces):
        def one(piece):
            return runge_kutta(slope_of(params), piece[0], rnp.asarray(TIMES[:length]))

        return nn.mse_loss(vmap(one)(pieces), pieces)

    @jit
    def step(params, state, key):
        first = random.randint(key, (batch,), 0, len(TIMES) - length + 1)
        pieces = curve[first[:, None] + rnp.arange(length)]
        value, gradient = value_and_grad(loss)(params, pieces)
        updates, state = optimizer.update(gradient, state, params)
        return optim.apply_updates(params, updates), state, value

    state = optimizer.init(params)
    with Progress(steps, "training") as progress:
        for number in range(steps):
            key = random.fold_in(batch_key, number)
            params, state, value = step(params, state, key)
            progress.advance(loss=float(value))
    return params


def draw(curve: Any, learned: Any, params: Any, path: pathlib.Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained")
    axes: Any = figure.subplots(1, 2)
    axes[0].plot(*np.asarray(curve).T, ".", ms=3, label="data")
    axes[0].plot(*np.asarray(learned).T, label="learned")
    axes[0].legend()
    axes[0].set_title("the spiral")
    grid = np.stack(np.meshgrid(*[np.linspace(-2, 2, 21, dtype=np.float32)] * 2), axis=-1)
    slopes = np.asarray(slope_of(params)(rnp.asarray(grid)))
    axes[1].streamplot(grid[..., 0], grid[..., 1], slopes[..., 0], slopes[..., 1], density=0.8)
    axes[1].set_title("the learned flow")
    figure.savefig(path, dpi=110)


def main(argv: Sequence[str] | None = None) -> int:
    parser = command.parser("neural_ode", "Learn the equation behind a spiral.", steps=5000)
    options = parser.parse_args(argv)
    curve = jit(lambda times: dormand_prince(spiral, START, times))(TIMES)
    params = train(curve, options.steps, options.seed)
    learned = jit(lambda p: runge_kutta(slope_of(p), START, rnp.asarray(TIMES)))(params)
    print(f"Mean distance of the learned curve: {np.abs(learned - curve).mean():.4f}")
    command.picture(lambda path: draw(curve, learned, params, path), options.output / "spiral.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
