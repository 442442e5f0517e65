"""Curves of a training: losses and accuracies over steps, with their running means.

Depends on matplotlib (the `plot` extra) when something is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rtfunc.core.errors import ArgumentError, at_user_line


def running_mean(values: Sequence[float] | np.ndarray, window: int) -> np.ndarray:
    """For each value, the mean of it and the `window - 1` before it, or of as many as there are.

    >>> running_mean([1.0, 3.0, 5.0, 7.0], 2).tolist()
    [1.0, 2.0, 4.0, 6.0]
    """
    if window < 1:
        raise ArgumentError(at_user_line(f"running_mean: window is at least 1, but got {window}."))
    given = np.asarray(values, dtype=float)
    if given.ndim != 1:
        raise ArgumentError(
            at_user_line(f"running_mean takes a list of numbers, not an array of {given.shape}.")
        )
    if not given.size:
        return given
    return np.array([given[max(0, i + 1 - window) : i + 1].mean() for i in range(len(given))])


def draw_curves(
    axes: Any,
    curves: Mapping[str, Sequence[float] | tuple[Sequence[float], Sequence[float]]],
    *,
    window: int | None = None,
    xlabel: str = "step",
    ylabel: str = "loss",
    logarithmic: bool = False,
) -> None:
    """Draw the curves of a training into matplotlib axes.

    A curve with many values is drawn pale, and its running mean over it.

    Arguments: curves: by label, the value of each step (1, 2, ...), or a pair of steps and values
    for what is not measured in every one; window: of the running mean; by default a twentieth of
    the curve, and none for less than 100 values; logarithmic: the vertical axis.

    >>> from matplotlib.figure import Figure
    >>> axes = Figure().subplots()
    >>> draw_curves(axes, {"training": [2.3, 1.2, 0.9], "held out": ([3], [1.1])})
    >>> [text.get_text() for text in axes.get_legend().get_texts()]
    ['training', 'held out']
    """
    for label, curve in curves.items():
        steps, values = curve if isinstance(curve, tuple) else (range(1, len(curve) + 1), curve)
        steps, values = np.asarray(steps), np.asarray(values, dtype=float)
        if steps.shape != values.shape:
            raise ArgumentError(
                at_user_line(
                    f"draw_curves: {label!r} has {steps.size} steps, but {values.size} values."
                )
            )
        span = window or (len(values) // 20 if len(values) >= 100 else 1)
        (line,) = axes.plot(steps, running_mean(values, span), label=label)
        if span > 1:
            axes.plot(steps, values, color=line.get_color(), alpha=0.25, lw=0.5)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    if logarithmic:
        axes.set_yscale("log")
    if len(curves) > 1:
        axes.legend(fontsize=8)
