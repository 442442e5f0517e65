"""L-BFGS and its line searches: PyTorch's trajectory, the conditions they promise, refusals."""

import functools

import numpy as np
import pytest

from rtfunc import numpy as rnp
from rtfunc import optim, tree
from rtfunc.core.errors import ArgumentError
from rtfunc.transforms.jit import jit
from rtfunc.transforms.vjp import value_and_grad
from rtfunc.transforms.vmap import vmap


def rosenbrock(x, xp=rnp):
    return xp.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def soft(x, xp=rnp):
    """Strongly convex, with curvatures from 0.01 to 10."""
    c, k = np.cos(np.arange(30.0)), np.logspace(-2, 1, 30)
    if xp is not rnp:
        c, k = xp.from_numpy(c), xp.from_numpy(k)
    return xp.sum(k * x * x) + xp.sum(xp.log(1 + xp.exp(xp.sum(x) * c - x)))


def step_of(optimizer, loss):
    @jit
    def step(params, state):
        value, grad = optim.value_and_grad_from_state(loss)(params, state)
        updates, state = optimizer.update(
            grad, state, params, value=value, grad=grad, value_fn=loss
        )
        return optim.apply_updates(params, updates), state, value

    return step


# On these, roundings do not grow beyond 1e-7 in 100 steps. On others they grow to any size: the
# direction depends on them like a chaotic map, in PyTorch as here.
PROBLEMS = {
    "rosenbrock_short_memory": (rosenbrock, np.linspace(-1.2, 1.5, 4), 3),
    "rosenbrock": (rosenbrock, np.linspace(-1.2, 1.5, 20), 10),
    "soft": (soft, np.linspace(-3.0, 3.0, 30), 10),
}


@pytest.mark.oracle
@pytest.mark.parametrize("problem", PROBLEMS)
def test_it_follows_pytorch_for_100_steps(problem):
    torch = pytest.importorskip("torch")
    loss, start, memory = PROBLEMS[problem]
    theirs = torch.tensor(start, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [theirs], max_iter=1, max_eval=26, tolerance_grad=0, tolerance_change=1e-9,
        history_size=memory, line_search_fn="strong_wolfe",
    )  # fmt: skip

    def closure():
        optimizer.zero_grad()
        value = loss(theirs, torch)
        value.backward()
        return value

    search = optim.scale_by_strong_wolfe(tolerance=1e-9)
    ours = optim.lbfgs(memory=memory, line_search=search)
    params, state = rnp.asarray(start), ours.init(rnp.asarray(start))
    step = step_of(ours, loss)
    for number in range(100):
        optimizer.step(closure)
        params, state, _ = step(params, state)
        np.testing.assert_allclose(
            params, theirs.detach().numpy(), rtol=1e-6, atol=1e-6, err_msg=f"step {number}"
        )


@pytest.mark.oracle
def test_without_a_line_search_it_follows_pytorch():
    torch = pytest.importorskip("torch")
    start = np.linspace(-3.0, 3.0, 30)
    theirs = torch.tensor(start, requires_grad=True)
    optimizer = torch.optim.LBFGS([theirs], lr=0.3, max_iter=1, history_size=10, tolerance_grad=0)
    ours = optim.lbfgs(0.3, 10, None)
    params, state, update = rnp.asarray(start), ours.init(rnp.asarray(start)), jit(ours.update)

    def closure():
        optimizer.zero_grad()
        value = soft(theirs, torch)
        value.backward()
        return value

    for number in range(100):
        optimizer.step(closure)
        _, grad = value_and_grad(soft)(params)
        updates, state = update(grad, state, params)
        params = optim.apply_updates(params, updates)
        np.testing.assert_allclose(
            params, theirs.detach().numpy(), rtol=1e-6, atol=1e-6, err_msg=f"step {number}"
        )


def test_the_direction_is_that_of_the_dense_bfgs_matrix():
    """H is built up by the BFGS formula, from the oldest pair to the newest."""
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(4, 4))
    matrix = matrix @ matrix.T + np.eye(4)
    points = rng.normal(size=(6, 4))
    link = optim.scale_by_lbfgs(memory=3)
    state = link.init(points[0])
    for point in points:
        direction, state = link.update(matrix @ point, state, point)
    steps = np.diff(points, axis=0)[-3:]
    changes = steps @ matrix
    dense = np.eye(4) * (steps[-1] @ changes[-1]) / (changes[-1] @ changes[-1])
    for s, y in zip(steps, changes):
        left = np.eye(4) - np.outer(s, y) / (s @ y)
        dense = left @ dense @ left.T + np.outer(s, s) / (s @ y)
    np.testing.assert_allclose(direction, dense @ matrix @ points[-1], rtol=1e-10)


LINKS = {
    "backtracking": optim.scale_by_backtracking(),
    "strong_wolfe": optim.scale_by_strong_wolfe(),
    "strong_wolfe_strict": optim.scale_by_strong_wolfe(c2=0.1),
}


@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0])
@pytest.mark.parametrize("name", LINKS)
def test_searches_end_where_their_conditions_hold(name, scale):
    link, x = LINKS[name], np.linspace(-1.2, 1.5, 6)
    value, grad = value_and_grad(rosenbrock)(x)
    direction = -grad * scale / np.linalg.norm(grad)
    given = {"value": value, "grad": grad, "value_fn": rosenbrock}
    updates, state = link.update(direction, link.init(x), x, **given)
    step, slope = float(state.step), float(direction @ grad)
    after, there = value_and_grad(rosenbrock)(x + updates)
    assert step > 0
    assert after <= value + 1e-4 * step * slope
    if name != "backtracking":
        c2 = 0.1 if name == "strong_wolfe_strict" else 0.9
        assert abs(direction @ there) <= c2 * abs(slope)
    np.testing.assert_allclose(updates, direction * step, rtol=1e-12)
    np.testing.assert_allclose(state.value, after, rtol=1e-12)
    np.testing.assert_allclose(state.grad, there, rtol=1e-12)


@pytest.mark.parametrize("name", LINKS)
def test_searches_turn_back_where_the_loss_is_not_a_number(name):
    link = LINKS[name]

    def loss(x):  # NaN from x = 2 on, with its minimum at 1.5
        return rnp.sqrt(2.0 - x) + x * x / 6

    x = np.float64(-3.0)
    value, grad = value_and_grad(loss)(x)
    given = {"value": value, "grad": grad, "value_fn": loss}
    updates, state = link.update(-grad * 100.0, link.init(x), x, **given)
    assert np.isfinite(float(state.value))
    assert float(state.value) < float(value)
    assert float(x + updates) < 2


@pytest.mark.parametrize("name", LINKS)
def test_uphill_no_step_is_taken(name):
    link = LINKS[name]
    updates, state = link.update(
        2.0, link.init(1.0), 1.0, value=1.0, grad=2.0, value_fn=lambda x: x * x
    )
    assert float(updates) == 0
    assert int(state.evaluations) == 0
    assert (float(state.value), float(state.grad)) == (1.0, 2.0)


def test_below_the_tolerance_no_step_is_taken():
    for tolerance, evaluations in ((5.0, 0), (3.0, 1)):  # of a slope of -4
        link = optim.scale_by_strong_wolfe(0.4, tolerance=tolerance)
        _, state = link.update(
            -2.0, link.init(1.0), 1.0, value=1.0, grad=2.0, value_fn=lambda x: x * x
        )
        assert int(state.evaluations) == evaluations


def test_it_converges_to_rounding():
    optimizer = optim.lbfgs()
    x, state = rnp.asarray(np.linspace(-1.0, 1.0, 5)), optimizer.init(np.zeros(5))
    step = step_of(optimizer, rosenbrock)
    for _ in range(60):
        x, state, _ = step(x, state)
    np.testing.assert_allclose(x, np.ones(5), atol=1e-12)


def test_a_search_gives_up_after_its_steps():
    link = optim.scale_by_backtracking(max_steps=3)
    # The gradient given is wrong: the loss rises everywhere.
    updates, state = link.update(
        1.0, link.init(0.0), 0.0, value=0.0, grad=-1.0, value_fn=lambda x: x
    )
    assert (float(updates), int(state.evaluations)) == (0.0, 3)
    wolfe = optim.scale_by_strong_wolfe(max_steps=3)
    _, state = wolfe.update(1.0, wolfe.init(0.0), 0.0, value=0.0, grad=-1.0, value_fn=lambda x: -x)
    assert int(state.evaluations) == 4
    assert float(state.step) > 100  # some five times as far each time


TREE = {"layers": ({"w": rnp.ones((2, 3)), "b": None}, rnp.array(0.5)), "none": rnp.zeros((0, 2))}


def tree_loss(params):
    w, c = params["layers"][0]["w"], params["layers"][1]
    return rnp.sum((w * rnp.arange(1.0, 4.0) - 1.0) ** 2) + (c - rnp.sum(w)) ** 2


@pytest.mark.parametrize("line_search", ["strong_wolfe", "backtracking"])
@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
def test_trees_and_dtypes(dtype, line_search):
    params = tree.map(lambda x: x.astype(dtype), TREE)
    optimizer = optim.lbfgs(line_search=line_search)
    step, state = step_of(optimizer, tree_loss), optimizer.init(params)
    first = state
    before = float(tree_loss(params))
    for _ in range(8):
        params, state, _ = step(params, state)
    assert float(tree_loss(params)) < 0.05 * before
    assert [x.dtype for x in tree.leaves(state)] == [x.dtype for x in tree.leaves(first)]
    assert tree.structure(state) == tree.structure(first)
    assert all(str(x.dtype) == dtype for x in tree.leaves(params))


def test_eager_and_compiled_steps_agree():
    optimizer = optim.lbfgs()
    x = np.linspace(-1.0, 1.0, 5)
    compiled = step_of(optimizer, rosenbrock)
    states = [(rnp.asarray(x), optimizer.init(x))] * 2
    for _ in range(4):
        states = [f(*s)[:2] for f, s in zip((compiled, compiled.__wrapped__), states)]
        np.testing.assert_allclose(states[0][0], states[1][0], rtol=1e-9)  # sums in another order


def test_many_problems_at_once():
    """Under vmap each line search takes as many steps as it needs."""
    optimizer = optim.lbfgs()

    def solve(x):
        state = optimizer.init(x)
        for _ in range(3):
            value, grad = value_and_grad(rosenbrock)(x)
            given = {"value": value, "grad": grad, "value_fn": rosenbrock}
            updates, state = optimizer.update(grad, state, x, **given)
            x = optim.apply_updates(x, updates)
        return x

    starts = np.random.default_rng(0).normal(size=(4, 3))
    together = jit(vmap(solve))(starts)
    for start, end in zip(starts, together):
        np.testing.assert_allclose(end, jit(solve)(start), rtol=1e-9)  # sums in another order


def test_value_and_gradient_are_not_calculated_again():
    optimizer = optim.lbfgs()
    x = np.linspace(-1.0, 1.0, 5)
    step, state = step_of(optimizer, rosenbrock), optimizer.init(x)
    x, state, _ = step(rnp.asarray(x), state)
    value, grad = optim.value_and_grad_from_state(rosenbrock)(x, state)
    expected, there = value_and_grad(rosenbrock)(x)
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    np.testing.assert_allclose(grad, there, rtol=1e-12)
    # What the state holds is taken, whatever the parameters.
    again, _ = optim.value_and_grad_from_state(rosenbrock)(x + 1.0, state)
    assert float(again) == float(value)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            functools.partial(optim.lbfgs, line_search="newton"),
            "line_search is 'strong_wolfe', 'backtracking', a link or None, not 'newton'",
        ),
        (functools.partial(optim.scale_by_lbfgs, 0), "memory is at least 1, but got 0"),
        (functools.partial(optim.scale_by_backtracking, factor=1.0), "above 0 and below 1, but"),
        (functools.partial(optim.scale_by_strong_wolfe, c1=0.9, c2=0.1), "0 < c1 < c2 < 1 must"),
        (
            lambda: optim.lbfgs().update(1.0, optim.lbfgs().init(1.0), 1.0, value=1.0),
            r"scale_by_strong_wolfe evaluates .* and lacks grad=, value_fn=: write `optimizer\.upd",
        ),
        (
            lambda: optim.lbfgs().update(1.0, optim.lbfgs().init(1.0)),
            "L-BFGS needs the parameters: write",
        ),
        (
            lambda: optim.value_and_grad_from_state(soft)(1.0, optim.adam().init(1.0)),
            "the state has no part of a line search",
        ),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(ArgumentError, match=message):
        call()
