"""Training curves: running means, and what is drawn."""

import numpy as np
import pytest

from rtfunc.core.errors import ArgumentError
from rtfunc.viz.curves import draw_curves, running_mean


def test_running_means_are_those_of_the_last_values():
    values = np.random.default_rng(0).normal(size=50)
    expected = [values[max(0, i - 6) : i + 1].mean() for i in range(50)]
    np.testing.assert_allclose(running_mean(values, 7), expected)
    np.testing.assert_array_equal(running_mean(values, 1), values)
    assert running_mean([], 3).size == 0


@pytest.fixture
def axes():
    figure = pytest.importorskip("matplotlib.figure")
    return figure.Figure().subplots()


def test_long_curves_have_a_pale_line_below_their_mean(axes):
    draw_curves(axes, {"training": list(range(200)), "held out": ([100, 200], [3.0, 2.0])})
    mean, pale, other = axes.get_lines()
    np.testing.assert_array_equal(pale.get_ydata(), np.arange(200.0))
    np.testing.assert_array_equal(mean.get_ydata(), running_mean(range(200), 10))
    np.testing.assert_array_equal(mean.get_xdata(), np.arange(1, 201))
    np.testing.assert_array_equal(other.get_xdata(), [100, 200])
    assert pale.get_color() == mean.get_color()
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["training", "held out"]


def test_labels_and_scale(axes):
    draw_curves(axes, {"a": [1.0, 2.0]}, ylabel="nats", logarithmic=True, window=2)
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_yscale()) == ("step", "nats", "log")
    assert axes.get_legend() is None


def test_mistakes_are_named(axes):
    with pytest.raises(ArgumentError, match="draw_curves: 'a' has 2 steps, but 1 values"):
        draw_curves(axes, {"a": ([1, 2], [3.0])})
    with pytest.raises(ArgumentError, match="running_mean: window is at least 1, but got 0"):
        running_mean([1.0], 0)
    with pytest.raises(ArgumentError, match=r"takes a list of numbers, not an array of \(1, 1\)"):
        running_mean([[1.0]], 1)
