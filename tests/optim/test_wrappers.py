"""Optimizers around optimizers: skipping, accumulation, averages, injected settings."""

import numpy as np
import pytest

from rtfunc import numpy as rnp
from rtfunc import optim, tree
from rtfunc.core.errors import ArgumentError
from rtfunc.transforms.jit import jit

PARAMS = {"w": rnp.array([1.0, -2.0]), "b": rnp.array(0.5)}
GRADS = [{"w": rnp.array([0.1 * i, 1.0]), "b": rnp.array(float(i))} for i in range(6)]
BROKEN = {"w": rnp.array([np.inf, 1.0]), "b": rnp.array(1.0)}


def test_non_finite_gradients_change_nothing():
    optimizer = optim.apply_if_finite(optim.adam(0.1))
    update = jit(optimizer.update)
    _, before = update(GRADS[1], optimizer.init(PARAMS), PARAMS)
    updates, after = update(BROKEN, before, PARAMS)
    assert all(float(rnp.abs(u).sum()) == 0 for u in tree.leaves(updates))
    for a, b in zip(tree.leaves(before.inner), tree.leaves(after.inner)):
        np.testing.assert_array_equal(a, b)
    assert (int(after.in_a_row), int(after.total)) == (1, 1)
    updates, last = update(GRADS[2], after, PARAMS)
    assert (int(last.in_a_row), int(last.total)) == (0, 1)
    assert float(rnp.abs(updates["w"]).sum()) > 0


def test_too_many_broken_gradients_in_a_row_show():
    optimizer = optim.apply_if_finite(optim.sgd(0.1), max_in_a_row=2)
    state = optimizer.init(PARAMS)
    finite = []
    for _ in range(3):
        updates, state = optimizer.update(BROKEN, state, PARAMS)
        finite.append(bool(rnp.isfinite(updates["w"]).all()))
    assert finite == [True, True, False]


def test_accumulation_is_one_step_with_the_mean():
    plain, parts = optim.adam(0.1), optim.accumulate(optim.adam(0.1), 3)
    state, update = parts.init(PARAMS), jit(parts.update)
    for i in range(3):
        updates, state = update(GRADS[i], state, PARAMS)
        if i < 2:
            assert all(float(rnp.abs(u).sum()) == 0 for u in tree.leaves(updates))
    mean = tree.map(lambda *g: sum(g) / 3, *GRADS[:3])
    expected, inner = plain.update(mean, plain.init(PARAMS), PARAMS)
    for a, b in zip(tree.leaves(updates), tree.leaves(expected)):
        np.testing.assert_allclose(a, b, rtol=1e-6)  # float32
    assert int(state.count) == 0
    assert int(state.inner[0].count) == int(inner[0].count) == 1


@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
def test_accumulation_keeps_dtypes(dtype):
    params = {"w": rnp.ones(2, dtype)}
    optimizer = optim.accumulate(optim.adamw(optim.cosine_schedule(0.1, 9)), 2)
    state = optimizer.init(params)
    for _ in range(2):
        updates, state = optimizer.update(params, state, params)
    assert updates["w"].dtype == state.sum["w"].dtype == params["w"].dtype


def test_average_of_parameters_is_without_bias():
    average = optim.ema(0.9)
    state = average.init(PARAMS)
    for _ in range(3):
        out, state = jit(average.update)(PARAMS, state)
        for a, b in zip(tree.leaves(out), tree.leaves(PARAMS)):
            np.testing.assert_allclose(a, b, rtol=1e-6)  # float32
    plain = optim.ema(0.9, debias=False)
    out, _ = plain.update(PARAMS, plain.init(PARAMS))
    np.testing.assert_allclose(out["w"], PARAMS["w"] * 0.1, rtol=1e-5)


def test_injected_settings_change_without_compiling_again():
    traced = []

    def schedule_of_nothing(learning_rate, weight_decay):
        traced.append(learning_rate)
        return optim.adamw(learning_rate, weight_decay=weight_decay)

    make = optim.inject_hyperparameters(schedule_of_nothing, ["learning_rate", "weight_decay"])
    optimizer = make(0.1, weight_decay=0.5)
    state = optimizer.init(PARAMS)
    update = jit(optimizer.update)
    first, state = update(GRADS[1], state, PARAMS)
    count = len(traced)
    state = state._replace(hyperparameters={"learning_rate": 0.2, "weight_decay": 0.5})
    update(GRADS[1], state, PARAMS)
    assert len(traced) == count
    second, _ = update(GRADS[1], state._replace(inner=optimizer.init(PARAMS).inner), PARAMS)
    np.testing.assert_allclose(second["w"], first["w"] * 2, rtol=1e-5)  # float32


def test_an_injected_schedule_is_followed():
    optimizer = optim.inject_hyperparameters(optim.sgd)(lambda step: 1.0 / (step + 1))
    state = optimizer.init(1.0)
    _, state = optimizer.update(1.0, state, 1.0)
    updates, state = optimizer.update(1.0, state, 1.0)
    assert float(updates) == -0.5
    assert float(state.hyperparameters["learning_rate"]) == 0.5


def test_injecting_what_is_not_there_is_refused():
    with pytest.raises(ArgumentError, match="sgd has no speed, but learning_rate, momentum"):
        optim.inject_hyperparameters(optim.sgd, ["speed"])


def test_lookahead_follows_its_paper():
    """Algorithm 1 in NumPy, with momentum as the inner optimizer."""
    optimizer = optim.lookahead(optim.sgd(0.1, 0.9), 3, 0.4)
    w = rnp.asarray(np.array([1.0, -2.0]))
    state, update = optimizer.init(w), jit(optimizer.update)
    slow = fast = np.array([1.0, -2.0])
    momentum = np.zeros(2)
    for step in range(1, 101):
        grad = np.asarray(w) * [1.0, 3.0] + np.sin(step)
        updates, state = update(rnp.asarray(grad), state, w)
        w = optim.apply_updates(w, updates)
        momentum = 0.9 * momentum + fast * [1.0, 3.0] + np.sin(step)
        fast = fast - 0.1 * momentum
        if step % 3 == 0:
            slow = fast = slow + 0.4 * (fast - slow)
        np.testing.assert_allclose(w, fast, rtol=1e-9, atol=1e-12)  # roundings of 100 steps
        np.testing.assert_allclose(state.slow, slow, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("adaptive", [False, True])
def test_sam_follows_its_paper(adaptive):
    def gradient(p, xp=np):
        return {"w": 4 * p["w"] ** 3 - p["b"], "b": xp.cos(p["b"]) * 2.0 + xp.sum(p["w"])}

    optimizer = optim.sam(optim.sgd(0.01, 0.9), 0.3, adaptive)
    expected = {"w": np.array([1.0, -0.7]), "b": np.array(0.5)}
    ours = tree.map(rnp.asarray, expected)
    state = optimizer.init(ours)

    @jit
    def step(params, state):
        slope = lambda p: gradient(p, rnp)  # noqa: E731
        updates, state = optimizer.update(slope(params), state, params, grad_fn=slope)
        return optim.apply_updates(params, updates), state

    momentum = {"w": 0.0, "b": 0.0}
    for _ in range(100):
        ours, state = step(ours, state)
        g = gradient(expected)
        weight = expected if adaptive else {"w": 1.0, "b": 1.0}
        norm = np.sqrt(sum(np.sum((g[k] * weight[k]) ** 2) for k in g))
        there = {k: expected[k] + 0.3 * weight[k] ** 2 * g[k] / norm for k in g}
        momentum = {k: 0.9 * momentum[k] + v for k, v in gradient(there).items()}
        expected = {k: v - 0.01 * momentum[k] for k, v in expected.items()}
        for k in expected:
            np.testing.assert_allclose(ours[k], expected[k], rtol=1e-9)  # roundings of 100 steps


def test_sam_at_a_stationary_point_stays_finite():
    optimizer = optim.sam(optim.sgd(0.1))
    updates, _ = optimizer.update(0.0, optimizer.init(1.0), 1.0, grad_fn=lambda w: w * 0.0)
    assert float(updates) == 0


def test_sam_says_what_it_lacks():
    optimizer = optim.sam(optim.sgd(0.1))
    with pytest.raises(ArgumentError, match=r"lacks grad_fn=: write .*grad_fn=rf\.grad\(loss\)"):
        optimizer.update(1.0, optimizer.init(1.0), 1.0)
    for link in (optimizer, optim.lookahead(optim.sgd(0.1))):
        with pytest.raises(ArgumentError, match="needs the parameters: write"):
            link.update(1.0, link.init(1.0))


def test_wrong_settings_are_refused():
    with pytest.raises(ArgumentError, match="lookahead: steps is at least 1, but got 0"):
        optim.lookahead(optim.sgd(0.1), 0)
    with pytest.raises(ArgumentError, match="lookahead: alpha is from 0 to 1, but got 2"):
        optim.lookahead(optim.sgd(0.1), alpha=2)
    with pytest.raises(ArgumentError, match="sam: rho is not negative, but got -1"):
        optim.sam(optim.sgd(0.1), -1)
    with pytest.raises(ArgumentError, match="accumulate: steps is at least 1, but got 0"):
        optim.accumulate(optim.sgd(0.1), 0)
    with pytest.raises(ArgumentError, match=r"ema: decay is from 0 to below 1, but got 1\.0"):
        optim.ema(1.0)
