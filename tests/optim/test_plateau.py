"""Reducing the rate on a plateau: PyTorch's rates, means over several values, refusals."""

import functools

import numpy as np
import pytest

from rtfunc import numpy as rnp
from rtfunc import optim
from rtfunc.core.errors import ArgumentError
from rtfunc.transforms.jit import jit

VALUES = np.concatenate(
    [np.linspace(3, 1, 10), np.full(12, 1.0), [0.99995, 0.5, np.nan, 0.5], np.full(20, 0.7)]
)

CASES = {
    "default": ({"patience": 3}, {}),
    "factor": ({"factor": 0.5, "patience": 0}, {}),
    "max": ({"mode": "max", "patience": 4, "factor": 0.3}, {}),
    "absolute": ({"threshold": 0.3, "threshold_mode": "abs", "patience": 2}, {}),
    "cooldown": ({"cooldown": 5, "patience": 1, "factor": 0.7}, {}),
    "min_scale": ({"patience": 1, "min_scale": 0.02}, {"min_lr": 0.02}),
}


@pytest.mark.oracle
@pytest.mark.parametrize("name", CASES)
def test_it_is_pytorchs(name):
    torch = pytest.importorskip("torch")
    ours, theirs = CASES[name]
    options = {k: v for k, v in ours.items() if k != "min_scale"} | theirs
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(()))], lr=1.0)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, eps=0.0, **options)
    link = optim.reduce_on_plateau(**ours)
    one = np.float64(1.0)
    state, update = link.init(one), jit(link.update)
    rates = []
    for value in VALUES:
        scheduler.step(value)
        updates, state = update(one, state, value=value)
        rates.append(optimizer.param_groups[0]["lr"])
        assert float(updates) == pytest.approx(rates[-1], rel=1e-12)
    assert min(rates) < 1


def test_a_mean_of_several_values_counts_as_one():
    link = optim.chain(optim.sgd(1.0), optim.reduce_on_plateau(0.5, patience=0, every=2))
    state = link.init(0.0)
    scales = []
    for value in (1.0, 3.0, 0.0, 2.0, 5.0, -3.0, 2.0, 0.0):  # means 2, 1, 1, 1
        updates, state = link.update(1.0, state, 0.0, value=value)
        scales.append(-float(updates))
    assert scales == [1, 1, 1, 1, 1, 0.5, 0.5, 0.25]


def test_dtypes_stay():
    link = optim.reduce_on_plateau()
    updates, _ = link.update(rnp.ones(2, "bfloat16"), link.init(rnp.ones(2, "bfloat16")), value=1)
    assert str(updates.dtype) == "bfloat16"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (functools.partial(optim.reduce_on_plateau, 1.0), "factor is above 0 and below 1, but"),
        (functools.partial(optim.reduce_on_plateau, mode="low"), "mode is 'min' or 'max', not 'l"),
        (
            functools.partial(optim.reduce_on_plateau, threshold_mode="x"),
            "threshold_mode is 'rel' or 'abs', not 'x'",
        ),
        (functools.partial(optim.reduce_on_plateau, every=0), "every is at least 1, but got 0"),
        (
            lambda: optim.reduce_on_plateau().update(1.0, optim.reduce_on_plateau().init(1.0)),
            r"lacks value=: write `optimizer\.update\(grads, state, params, value=loss\)`",
        ),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(ArgumentError, match=message):
        call()
