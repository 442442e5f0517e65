"""Optimizers: PyTorch's trajectories, the papers' formulas, jit, dtypes and schedules."""

import functools

import numpy as np
import pytest

from rtfunc import numpy as rnp
from rtfunc import optim, tree
from rtfunc.core.errors import ArgumentError
from rtfunc.transforms.jit import jit

rng = np.random.default_rng(0)
START = {"w": rng.normal(size=(4, 3)), "b": rng.normal(size=3)}
TARGET = {"w": rng.normal(size=(4, 3)), "b": rng.normal(size=3)}
NOISE = [{k: rng.normal(size=v.shape) * 0.3 for k, v in START.items()} for _ in range(100)]


def gradients(params, step):
    """Of a quadratic bowl with uneven curvature, plus noise: momentum and averages all matter."""
    return {
        k: (params[k] - TARGET[k]) * (1 + np.arange(params[k].size).reshape(params[k].shape))
        + NOISE[step][k]
        for k in params
    }


def trajectory(optimizer, steps=100, dtype="float64", start=START):
    params = {k: rnp.array(v, dtype=dtype) for k, v in start.items()}
    state = optimizer.init(params)
    update = jit(optimizer.update)
    path = []
    for step in range(steps):
        grads = {
            k: rnp.array(g, dtype=dtype)
            for k, g in gradients(
                {k: np.asarray(v, float) for k, v in params.items()}, step
            ).items()
        }
        updates, state = update(grads, state, params)
        params = optim.apply_updates(params, updates)
        path.append({k: np.asarray(v, float) for k, v in params.items()})
    return path


ORACLES = {
    "sgd": (optim.sgd(0.02), "SGD", {"lr": 0.02}),
    "sgd_momentum": (optim.sgd(0.01, 0.9), "SGD", {"lr": 0.01, "momentum": 0.9}),
    "sgd_nesterov": (
        optim.sgd(0.01, 0.9, nesterov=True, weight_decay=0.1),
        "SGD",
        {"lr": 0.01, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
    ),
    "sgd_dampening": (
        optim.sgd(0.01, 0.9, dampening=0.3),
        "SGD",
        {"lr": 0.01, "momentum": 0.9, "dampening": 0.3},
    ),
    "adam": (optim.adam(0.05), "Adam", {"lr": 0.05}),
    "adam_decay": (
        optim.adam(0.05, 0.8, 0.95, 1e-6, weight_decay=0.1),
        "Adam",
        {"lr": 0.05, "betas": (0.8, 0.95), "eps": 1e-6, "weight_decay": 0.1},
    ),
    "amsgrad": (optim.adam(0.05, amsgrad=True), "Adam", {"lr": 0.05, "amsgrad": True}),
    "adamw": (optim.adamw(0.05, weight_decay=0.1), "AdamW", {"lr": 0.05, "weight_decay": 0.1}),
    "nadam": (optim.nadam(0.05), "NAdam", {"lr": 0.05}),
    "nadam_decay": (
        optim.nadam(0.05, weight_decay=0.1, momentum_decay=0.1),
        "NAdam",
        {"lr": 0.05, "weight_decay": 0.1, "momentum_decay": 0.1},
    ),
    "nadam_decoupled": (
        optim.nadam(0.05, weight_decay=0.1, decoupled_weight_decay=True),
        "NAdam",
        {"lr": 0.05, "weight_decay": 0.1, "decoupled_weight_decay": True},
    ),
    "radam": (optim.radam(0.05), "RAdam", {"lr": 0.05}),
    "radam_decay": (
        optim.radam(0.05, 0.8, 0.95, weight_decay=0.1),
        "RAdam",
        {"lr": 0.05, "betas": (0.8, 0.95), "weight_decay": 0.1},
    ),
    "radam_decoupled": (
        optim.radam(0.05, weight_decay=0.1, decoupled_weight_decay=True),
        "RAdam",
        {"lr": 0.05, "weight_decay": 0.1, "decoupled_weight_decay": True},
    ),
    "adamax": (optim.adamax(0.05), "Adamax", {"lr": 0.05}),
    "adamax_decay": (
        optim.adamax(0.05, weight_decay=0.1),
        "Adamax",
        {"lr": 0.05, "weight_decay": 0.1},
    ),
    "adagrad": (optim.adagrad(0.1), "Adagrad", {"lr": 0.1}),
    "adagrad_decay": (
        optim.adagrad(
            0.1, learning_rate_decay=0.01, weight_decay=0.1, initial_accumulator=0.5, epsilon=1e-3
        ),
        "Adagrad",
        {
            "lr": 0.1,
            "lr_decay": 0.01,
            "weight_decay": 0.1,
            "initial_accumulator_value": 0.5,
            "eps": 1e-3,
        },
    ),
    "adadelta": (optim.adadelta(), "Adadelta", {}),
    "adadelta_decay": (
        optim.adadelta(0.5, 0.8, 1e-4, weight_decay=0.1),
        "Adadelta",
        {"lr": 0.5, "rho": 0.8, "eps": 1e-4, "weight_decay": 0.1},
    ),
    "rmsprop": (optim.rmsprop(0.01), "RMSprop", {"lr": 0.01}),
    "rmsprop_centered": (
        optim.rmsprop(0.01, 0.9, momentum=0.5, centered=True, weight_decay=0.1),
        "RMSprop",
        {"lr": 0.01, "alpha": 0.9, "momentum": 0.5, "centered": True, "weight_decay": 0.1},
    ),
}


@pytest.fixture
def torch():
    """PyTorch with its scalars in float64: NAdam keeps a product of them."""
    module = pytest.importorskip("torch")
    before = module.get_default_dtype()
    module.set_default_dtype(module.float64)
    yield module
    module.set_default_dtype(before)


@pytest.mark.oracle
@pytest.mark.parametrize("name", ORACLES)
def test_optimizer_follows_pytorch_for_100_steps(name, torch):
    ours, theirs, options = ORACLES[name]
    tensors = {k: torch.tensor(v, requires_grad=True) for k, v in START.items()}
    optimizer = getattr(torch.optim, theirs)(tensors.values(), **options)
    tolerance = 1e-10  # roundings, which the momenta carry on
    for step, params in enumerate(trajectory(ours)):
        now = {k: t.detach().numpy().copy() for k, t in tensors.items()}
        for k, gradient in gradients(now, step).items():
            tensors[k].grad = torch.tensor(gradient)
        optimizer.step()
        for k, t in tensors.items():
            np.testing.assert_allclose(
                params[k],
                t.detach().numpy(),
                rtol=tolerance,
                atol=tolerance,
                err_msg=f"step {step}",
            )


SCHEDULED = {
    "sgd": ("SGD", {"momentum": 0.9, "nesterov": True}),
    "adam": ("Adam", {"amsgrad": True}),
    "adamw": ("AdamW", {}),
    "nadam": ("NAdam", {"decoupled_weight_decay": True}),
    "radam": ("RAdam", {}),
    "adamax": ("Adamax", {}),
    "adagrad": ("Adagrad", {}),
    "adadelta": ("Adadelta", {}),
    "rmsprop": ("RMSprop", {"centered": True, "momentum": 0.5}),
}


@pytest.mark.oracle
@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize("name", SCHEDULED)
def test_with_a_schedule_it_follows_pytorch_downhill_and_uphill(name, maximize, torch):
    theirs, options = SCHEDULED[name]
    options = options | {"weight_decay": 0.1}
    ours = getattr(optim, name)(optim.one_cycle_schedule(0.05, 101), **options)
    if maximize:  # PyTorch's maximize=True
        ours = optim.chain(optim.scale(-1.0), ours)
    tensors = {k: torch.tensor(v, requires_grad=True) for k, v in START.items()}
    optimizer = getattr(torch.optim, theirs)(tensors.values(), maximize=maximize, **options)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.05, 101, cycle_momentum=False)
    update = jit(ours.update)
    params = {k: rnp.asarray(v) for k, v in START.items()}
    state = ours.init(params)
    for step in range(100):
        now = {k: t.detach().numpy().copy() for k, t in tensors.items()}
        sign = -1 if maximize else 1
        for k, gradient in gradients(now, step).items():
            tensors[k].grad = torch.tensor(sign * gradient)
        optimizer.step()
        scheduler.step()
        grads = gradients({k: np.asarray(v) for k, v in params.items()}, step)
        updates, state = update({k: rnp.asarray(sign * g) for k, g in grads.items()}, state, params)
        params = optim.apply_updates(params, updates)
        for k, t in tensors.items():
            np.testing.assert_allclose(
                params[k], t.detach().numpy(), rtol=1e-10, atol=1e-10, err_msg=f"step {step}"
            )


@pytest.mark.oracle
def test_defaults_are_pytorchs(torch):
    for name, theirs in [
        ("sgd", "SGD"),
        ("adam", "Adam"),
        ("adamw", "AdamW"),
        ("nadam", "NAdam"),
        ("radam", "RAdam"),
        ("adamax", "Adamax"),
        ("adagrad", "Adagrad"),
        ("adadelta", "Adadelta"),
        ("rmsprop", "RMSprop"),
    ]:
        tensors = {k: torch.tensor(v, requires_grad=True) for k, v in START.items()}
        optimizer = getattr(torch.optim, theirs)(tensors.values())
        for step, params in enumerate(trajectory(getattr(optim, name)(), 3)):
            now = {k: t.detach().numpy().copy() for k, t in tensors.items()}
            for k, gradient in gradients(now, step).items():
                tensors[k].grad = torch.tensor(gradient)
            optimizer.step()
            for k, t in tensors.items():
                np.testing.assert_allclose(params[k], t.detach().numpy(), rtol=1e-12, err_msg=name)


# The papers' updates, written down in NumPy, where PyTorch has none.


def by_hand(update, steps=100):
    """The trajectory of `update(p, g, memory, t) -> p` with a dict of memory for each leaf."""
    params = {k: v.copy() for k, v in START.items()}
    memory = {k: {} for k in params}
    path = []
    for step in range(steps):
        grads = gradients(params, step)
        params = {k: update(params[k], grads[k], memory[k], step + 1) for k in params}
        path.append(params)
    return path


def lion(p, g, memory, t, lr=0.01, b1=0.9, b2=0.99, decay=0.1):
    m = memory.get("m", np.zeros_like(p))
    memory["m"] = b2 * m + (1 - b2) * g
    return p - lr * (np.sign(b1 * m + (1 - b1) * g) + decay * p)


def lamb(p, g, memory, t, lr=0.01, b1=0.9, b2=0.999, decay=0.1):
    memory["m"] = m = b1 * memory.get("m", 0) + (1 - b1) * g
    memory["v"] = v = b2 * memory.get("v", 0) + (1 - b2) * g * g
    r = m / (1 - b1**t) / (np.sqrt(v / (1 - b2**t)) + 1e-6) + decay * p
    return p - lr * np.linalg.norm(p) / np.linalg.norm(r) * r


def lars(p, g, memory, t, lr=1.0, momentum=0.9, eta=0.01, decay=0.1):
    rate = eta * np.linalg.norm(p) / (np.linalg.norm(g) + decay * np.linalg.norm(p))
    memory["m"] = momentum * memory.get("m", 0) + lr * rate * (g + decay * p)
    return p - memory["m"]


@pytest.mark.parametrize(
    ("optimizer", "formula"),
    [
        (optim.lion(0.01, weight_decay=0.1), lion),
        (optim.lamb(0.01, weight_decay=0.1), lamb),
        (optim.lars(1.0, weight_decay=0.1, trust_coefficient=0.01), lars),
    ],
)
def test_optimizer_follows_its_paper_for_100_steps(optimizer, formula):
    for step, (ours, expected) in enumerate(zip(trajectory(optimizer), by_hand(formula))):
        for k in ours:
            # The same operations in float64, up to the order of sums in the norms.
            np.testing.assert_allclose(ours[k], expected[k], rtol=1e-10, err_msg=f"step {step}")


ALL = {
    "sgd": optim.sgd(0.1, 0.9),
    "adam": optim.adam(0.1),
    "adamw": optim.adamw(0.1),
    "nadam": optim.nadam(0.1),
    "radam": optim.radam(0.1),
    "adamax": optim.adamax(0.1),
    "adagrad": optim.adagrad(0.5),
    "adadelta": optim.adadelta(10.0),
    "rmsprop": optim.rmsprop(0.05, momentum=0.5),
    "lion": optim.lion(0.05),
    "lamb": optim.lamb(0.05),
    "lars": optim.lars(1.0, 0.5, trust_coefficient=0.05),
    "muon": optim.muon(0.1),
    "lbfgs_without_search": optim.lbfgs(0.02, line_search=None),
    "lookahead": optim.lookahead(optim.adam(0.1)),
    "averaged": optim.chain(optim.ema(0.9), optim.sgd(0.1)),
    "scheduled": optim.adam(optim.cosine_schedule(0.1, 100)),
}


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
@pytest.mark.parametrize("name", ALL)
def test_dtypes_of_parameters_and_state_stay(name, dtype):
    optimizer = ALL[name]
    params = {"w": rnp.ones((2, 2), dtype), "b": rnp.ones(2, dtype)}
    state = first = optimizer.init(params)
    for _ in range(2):
        grads = tree.map(lambda p: p * 0.5, params)
        updates, state = optimizer.update(grads, state, params)
        params = optim.apply_updates(params, updates)
    assert all(leaf.dtype == params["w"].dtype for leaf in tree.leaves(params))
    assert str(params["w"].dtype) == dtype
    kinds = [[leaf.dtype for leaf in tree.leaves(s)] for s in (first, state)]
    assert kinds[0] == kinds[1]
    assert tree.structure(first) == tree.structure(state)


NESTED = {
    "layers": ({"weight": np.ones((2, 3)), "bias": None}, [np.ones(3), ()]),
    "scale": np.array(0.5),
    "empty": (np.ones((0, 3)), np.ones(0)),
    "none": None,
}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", ALL)
def test_a_compiled_step_takes_nested_scalar_and_empty_leaves(name, dtype):
    optimizer = optim.chain(
        optim.clip_by_global_norm(1.0), optim.adaptive_grad_clip(), optim.centralize(), ALL[name]
    )
    params = tree.map(lambda x: rnp.asarray(x, dtype=dtype), NESTED)

    @jit
    def step(params, state):
        grads = tree.map(lambda p: p * 2.0, params)
        updates, state = optimizer.update(grads, state, params)
        return optim.apply_updates(params, updates), state

    moved, _ = step(*step(params, optimizer.init(params)))
    assert tree.structure(moved) == tree.structure(params)
    for before, after in zip(tree.leaves(params), tree.leaves(moved)):
        assert (before.shape, before.dtype) == (after.shape, after.dtype)
        assert np.isfinite(np.asarray(after, "float32")).all()


@pytest.mark.parametrize("name", ALL)
def test_optimizer_goes_downhill(name):
    params = {k: v * 3 for k, v in START.items()}
    path = trajectory(ALL[name], 60, "float32", params)

    def distance(params):
        return sum(np.square(params[k] - TARGET[k]).sum() for k in params)

    assert distance(path[-1]) < 0.8 * distance(params)


@pytest.mark.parametrize("name", ALL)
def test_eager_and_compiled_steps_agree(name):
    optimizer = ALL[name]
    params = {k: rnp.array(v) for k, v in START.items()}
    grads = {k: rnp.array(v) for k, v in NOISE[0].items()}
    state = optimizer.init(params)
    eager, _ = optimizer.update(grads, state, params)
    compiled, _ = jit(optimizer.update)(grads, state, params)
    for k in params:
        # Fused multiply-adds and other vector functions: roundings in float64.
        np.testing.assert_allclose(compiled[k], eager[k], rtol=1e-12)


def test_first_adam_step_in_float32_is_accurate():
    # 1 - b2**t computed from a float32 b2 would be wrong by 3e-5 in the first step.
    optimizer = optim.adam(1.0, epsilon=0.0)
    for dtype, tolerance in (("float32", 2e-7), ("float64", 1e-12)):
        g = rnp.array(0.37, dtype=dtype)
        updates, _ = optimizer.update(g, optimizer.init(g), g)
        assert float(updates) == pytest.approx(-1.0, rel=tolerance)


def test_bias_correction_is_pythons_in_float64():
    for decay in (0.0, 0.5, 0.9, 0.999, 0.9999):
        for count in (1, 2, 10, 1000):
            correction = optim.adaptive.unbias(decay, rnp.array(count))(rnp.zeros((), "float64"))
            assert float(correction) == pytest.approx(1 - decay**count, rel=1e-12)


def test_a_learning_rate_can_be_a_schedule_of_the_step():
    optimizer = optim.sgd(lambda step: 1.0 / (step + 1))
    state = optimizer.init(1.0)
    rates = []
    for _ in range(3):
        updates, state = optimizer.update(1.0, state, 1.0)
        rates.append(float(updates))
    np.testing.assert_allclose(rates, [-1.0, -1 / 2, -1 / 3], rtol=1e-6)  # float32


def test_mask_limits_the_decay():
    optimizer = optim.adamw(0.1, weight_decay=1.0, mask=optim.paths_matching("*w"))
    plain = optim.adam(0.1)
    params, grads = START, NOISE[0]
    with_decay, _ = optimizer.update(grads, optimizer.init(params), params)
    without, _ = plain.update(grads, plain.init(params), params)
    np.testing.assert_array_equal(with_decay["b"], without["b"])
    np.testing.assert_allclose(with_decay["w"] - without["w"], -0.1 * params["w"], rtol=1e-9)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (functools.partial(optim.sgd, -1.0), "A learning rate is not negative, but got -1.0"),
        (functools.partial(optim.adam, "1e-3"), "A learning rate is a number or a schedule"),
        (
            functools.partial(optim.adam, b1=1.0),
            "scale_by_adam: b1 is from 0 to below 1, but got 1",
        ),
        (functools.partial(optim.adam, weight_decay=-1.0), "weight_decay is not negative"),
        (
            functools.partial(optim.sgd, momentum=0.9, nesterov=True, dampening=0.1),
            "Nesterov momentum goes with dampening 0 only",
        ),
    ],
)
def test_wrong_settings_are_refused(make, message):
    with pytest.raises(ArgumentError, match=message):
        make()
