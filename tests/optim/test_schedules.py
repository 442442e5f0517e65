"""Schedules: PyTorch's rates at every step, the same under jit, and refusals."""

import numpy as np
import pytest

from rtfunc import numpy as rnp
from rtfunc import optim
from rtfunc.core.errors import ArgumentError
from rtfunc.transforms.jit import jit

ORACLES = {
    "step": (optim.step_schedule(0.5, 7, 0.3), "StepLR", {"step_size": 7, "gamma": 0.3}, 50),
    "multi_step": (
        optim.multi_step_schedule(0.5, [5, 20, 21], 0.3),
        "MultiStepLR",
        {"milestones": [5, 20, 21], "gamma": 0.3},
        50,
    ),
    "exponential": (optim.exponential_schedule(0.5, 0.9), "ExponentialLR", {"gamma": 0.9}, 50),
    "polynomial": (
        optim.polynomial_schedule(0.5, 0.0, 30, 2.0),
        "PolynomialLR",
        {"total_iters": 30, "power": 2.0},
        50,
    ),
    "linear": (
        optim.linear_schedule(0.05, 0.5, 10),
        "LinearLR",
        {"start_factor": 0.1, "total_iters": 10},
        30,
    ),
    "cosine": (
        optim.cosine_schedule(0.5, 40, 0.1),
        "CosineAnnealingLR",
        {"T_max": 40, "eta_min": 0.1},
        41,
    ),
    "warm_restarts": (
        optim.warm_restarts_schedule(0.5, 5, 2, 0.1),
        "CosineAnnealingWarmRestarts",
        {"T_0": 5, "T_mult": 2, "eta_min": 0.1},
        200,
    ),
    "warm_restarts_even": (
        optim.warm_restarts_schedule(0.5, 6),
        "CosineAnnealingWarmRestarts",
        {"T_0": 6},
        40,
    ),
    "one_cycle": (
        optim.one_cycle_schedule(0.5, 60),
        "OneCycleLR",
        {"max_lr": 0.5, "total_steps": 60},
        60,
    ),
    "one_cycle_linear": (
        optim.one_cycle_schedule(
            0.5,
            60,
            warm_up_share=0.4,
            initial_divisor=10,
            final_divisor=100,
            anneal="linear",
            three_phases=True,
        ),
        "OneCycleLR",
        {
            "max_lr": 0.5,
            "total_steps": 60,
            "pct_start": 0.4,
            "div_factor": 10,
            "final_div_factor": 100,
            "anneal_strategy": "linear",
            "three_phase": True,
        },
        60,
    ),
}


@pytest.mark.oracle
@pytest.mark.parametrize("name", ORACLES)
def test_schedule_is_pytorchs(name):
    torch = pytest.importorskip("torch")
    ours, theirs, options, steps = ORACLES[name]
    parameter = torch.nn.Parameter(torch.zeros(()))
    optimizer = torch.optim.SGD([parameter], lr=0.5)
    scheduler = getattr(torch.optim.lr_scheduler, theirs)(optimizer, **options)
    expected = []
    for _ in range(steps):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if len(expected) < steps:
            scheduler.step()
    # PyTorch goes from rate to rate, so that its roundings add up.
    rates = [float(ours(step)) for step in range(steps)]
    np.testing.assert_allclose(rates, expected, rtol=1e-12, atol=1e-14)
    compiled = jit(ours)
    rates = [float(compiled(np.int32(step))) for step in range(steps)]
    np.testing.assert_allclose(rates, expected, rtol=1e-12, atol=1e-14)


SCHEDULES = {name: case[0] for name, case in ORACLES.items()} | {
    "piecewise": optim.piecewise_constant_schedule(1.0, {3: 0.5, 10: 0.1}),
    "warm_up": optim.warm_up_schedule(1.0, 5),
    "warm_up_cosine": optim.warm_up_cosine_schedule(1.0, 5, 30),
    "join": optim.join_schedules([lambda step: 1.0, lambda step: step * 1.0], [10]),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedule_compiles_and_takes_integers_and_floats(name):
    schedule = SCHEDULES[name]
    for step in (0, 4, 11, 39):
        value = float(schedule(step))
        # Vectorised functions differ by a few units in the last place.
        assert float(jit(schedule)(np.int32(step))) == pytest.approx(value, rel=1e-13, abs=1e-15)
        assert float(schedule(np.float64(step))) == pytest.approx(value, rel=1e-13, abs=1e-15)


@pytest.mark.parametrize("name", SCHEDULES)
def test_what_a_schedule_multiplies_keeps_its_dtype(name):
    for dtype in ("bfloat16", "float32", "float64"):
        x = rnp.ones(2, dtype)
        assert (x * SCHEDULES[name](3)).dtype == x.dtype
        assert jit(lambda step, x=x: x * SCHEDULES[name](step))(np.int32(3)).dtype == x.dtype


def test_constant_schedule_is_constant():
    assert [optim.constant_schedule(0.1)(n) for n in (0, 9)] == [0.1, 0.1]


def test_joined_schedules_count_their_own_steps():
    schedule = optim.join_schedules([lambda s: s * 1.0, lambda s: s * 10.0, lambda s: -1.0], [3, 5])
    assert [float(schedule(step)) for step in range(7)] == [0, 1, 2, 0, 10, -1, -1]


def test_warm_up_begins_at_0_and_reaches_the_peak():
    schedule = optim.warm_up_cosine_schedule(1.0, 4, 24, final=0.25)
    rates = [float(schedule(step)) for step in (0, 1, 4, 24, 100)]
    np.testing.assert_allclose(rates, [0.0, 0.25, 1.0, 0.25, 0.25], atol=1e-6)


def test_wrong_settings_are_refused():
    with pytest.raises(ArgumentError, match="cosine_schedule: steps is at least 1, but got 0"):
        optim.cosine_schedule(1.0, 0)
    with pytest.raises(ArgumentError, match="join_schedules of 2 schedules takes 1 boundaries"):
        optim.join_schedules([lambda s: s, lambda s: s], [])
    with pytest.raises(ArgumentError, match="anneal is 'cosine' or 'linear', not 'exp'"):
        optim.one_cycle_schedule(1.0, 10, anneal="exp")
