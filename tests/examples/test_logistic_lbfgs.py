"""Logistic regression: it comes to the minimum, which is stationary, and reads the digits."""

import numpy as np
import pytest

from rtfunc.data.sources import digits
from rtfunc.examples import logistic_lbfgs as example


def test_it_finds_the_minimum_and_draws_the_weights(tmp_path, capsys):
    assert example.main(["--output", str(tmp_path), "--penalty", "0.01"]) == 0
    text = capsys.readouterr().out
    assert float(text.split("%")[1].split()[-1]) > 94
    pytest.importorskip("matplotlib")
    assert (tmp_path / "weights.png").read_bytes().startswith(b"\x89PNG")


def test_the_gradient_there_is_zero():
    """By the formula of the gradient, in NumPy."""
    data, penalty = digits("train"), 0.01
    params = example.fit(data, penalty, 500, 1e-6)
    weight, bias = (np.asarray(params[k]) for k in ("weight", "bias"))
    x, labels = data.arrays[0].reshape(-1, 64).astype(float), data.arrays[1]
    logits = x @ weight.T + bias
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    residual = (shares - np.eye(10)[labels]) / len(x)
    assert np.linalg.norm(residual.T @ x + penalty * weight) < 1e-6
    assert np.linalg.norm(residual.sum(axis=0)) < 1e-6


def test_it_stops_after_its_steps(tmp_path, capsys):
    assert example.main(["--output", str(tmp_path), "--steps", "11"]) == 0
    assert "       10   " in capsys.readouterr().out
