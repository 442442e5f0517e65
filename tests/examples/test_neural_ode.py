"""The neural ODE: both solvers against solutions in closed form, and a short training."""

import numpy as np
import pytest

from rtfunc.examples import neural_ode as example
from rtfunc.transforms.jit import jit

ROTATION = np.array([[0.0, 1.0], [-1.0, 0.0]])


def exact(times):
    return np.stack([np.cos(times), -np.sin(times)], axis=1)


def test_dormand_prince_keeps_its_tolerance():
    times = np.array([0.0, 0.1, 3.0, 3.01, 10.0])
    start = np.array([1.0, 0.0])
    errors = []
    for tolerance in (1e-5, 1e-9):
        solve = jit(lambda t: example.dormand_prince(lambda y: ROTATION @ y, start, t, tolerance))
        errors.append(np.abs(solve(times) - exact(times)).max())
        assert errors[-1] < 20 * tolerance  # of every step; there are some tens
    assert errors[1] < errors[0]


def test_runge_kutta_is_of_fourth_order():
    errors = []
    for count in (21, 41):
        times = np.linspace(0.0, 2.0, count)
        solution = example.runge_kutta(lambda y: ROTATION @ y, np.array([1.0, 0.0]), times)
        errors.append(np.abs(np.asarray(solution) - exact(times)).max())
    assert 14 < errors[0] / errors[1] < 18  # 16, and terms of higher order


def test_it_learns_and_draws(tmp_path, capsys):
    assert example.main(["--output", str(tmp_path), "--steps", "150"]) == 0
    distance = float(capsys.readouterr().out.split("curve: ")[1].split()[0])
    assert distance < 1.5  # the curve is 4 across; a flow of zero would stay 2 away
    pytest.importorskip("matplotlib")
    assert (tmp_path / "spiral.png").read_bytes().startswith(b"\x89PNG")
