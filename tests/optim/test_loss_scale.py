"""Loss scaling: PyTorch's scales, steps left out, and that the inner optimizer sees true sizes."""

import numpy as np
import pytest

from rtfunc import numpy as rnp
from rtfunc import optim
from rtfunc.core.errors import ArgumentError, TreeError
from rtfunc.transforms.jit import jit
from rtfunc.transforms.vjp import grad

FINITE = [True, True, False, True, True, True, False, False, True, True, True, True]


def test_scales_and_steps_follow_the_rule():
    optimizer = optim.dynamic_loss_scale(optim.sgd(1.0), 8.0, growth_interval=2)
    state = optimizer.init({"w": rnp.ones(2)})
    update = jit(optimizer.update)
    scales, updates = [], []
    for finite in FINITE:
        gradient = rnp.array([state.scale, state.scale if finite else float("nan")])
        new, state = update({"w": gradient}, state, {"w": rnp.ones(2)})
        scales.append(float(state.scale))
        updates.append(new["w"].tolist())
    assert scales == [8, 16, 8, 8, 16, 16, 8, 4, 4, 8, 8, 16]
    assert updates == [[-1.0, -1.0] if finite else [0.0, 0.0] for finite in FINITE]
    assert int(state.skipped) == FINITE.count(False)


@pytest.mark.oracle
def test_scales_are_pytorchs():
    torch = pytest.importorskip("torch")
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0, growth_interval=2)
    w = torch.ones(2, requires_grad=True)
    theirs = torch.optim.SGD([w], lr=0.5)
    optimizer = optim.dynamic_loss_scale(optim.sgd(0.5), 8.0, growth_interval=2)
    params = rnp.ones(2)
    state = optimizer.init(params)
    for finite in FINITE:
        theirs.zero_grad()
        factor = 1.0 if finite else float("inf")
        scaler.scale((w**2).sum() * factor).backward()
        scaler.step(theirs)
        scaler.update()
        gradient = grad(lambda p, s: optim.scale_loss(s, rnp.sum(p**2) * factor))(params, state)
        updates, state = optimizer.update(gradient, state, params)
        params = optim.apply_updates(params, updates)
        assert float(state.scale) == scaler.get_scale()
        np.testing.assert_array_equal(params, w.detach().numpy())


def test_the_state_of_the_inner_optimizer_is_left_alone():
    optimizer = optim.dynamic_loss_scale(optim.adam(0.1), 4.0)
    params = {"w": rnp.ones(3)}
    state = optimizer.init(params)
    _, state = optimizer.update({"w": rnp.full(3, 2.0)}, state, params)
    _, after = optimizer.update({"w": rnp.full(3, float("inf"))}, state, params)
    expected, _ = optim.adam(0.1).update({"w": rnp.full(3, 0.5)}, optim.adam(0.1).init(params))
    for a, b in zip(after.inner, state.inner):
        for x, y in zip(a, b):
            assert str(x) == str(y)
    first, _ = optimizer.update({"w": rnp.full(3, 2.0)}, optimizer.init(params), params)
    np.testing.assert_array_equal(first["w"], expected["w"])


def test_sixteen_bit_gradients_are_divided_in_float32():
    # The scale 2**17 is beyond float16.
    optimizer = optim.dynamic_loss_scale(optim.identity(), 2.0**17)
    state = optimizer.init(rnp.ones(1, "float16"))
    updates, _ = optimizer.update(rnp.full(1, 4096.0, "float16"), state)
    assert updates.dtype == np.float16
    assert float(updates[0]) == 2.0**-5


def test_the_scale_stays_within_its_bounds():
    optimizer = optim.dynamic_loss_scale(
        optim.identity(), 2.0, growth_interval=1, min_scale=1.0, max_scale=4.0
    )
    state = optimizer.init(0.0)
    for gradient, expected in [(1.0, 4.0), (1.0, 4.0), *[(float("nan"), e) for e in (2, 1, 1)]]:
        _, state = optimizer.update(gradient, state)
        assert float(state.scale) == expected


def test_what_is_refused_is_named():
    with pytest.raises(ArgumentError, match=r"backoff_factor is 1\.5, which is not in its range"):
        optim.dynamic_loss_scale(optim.sgd(1.0), backoff_factor=1.5)
    with pytest.raises(TreeError, match=r"scale_loss takes the state of optim\.dynamic_loss_scale"):
        optim.scale_loss(optim.sgd(1.0).init(0.0), 1.0)
