"""Muon: PyTorch's trajectory, the orthogonal factor, and which leaves it takes."""

import numpy as np
import pytest

from rtfunc import numpy as rnp
from rtfunc import optim
from rtfunc.core.errors import ArgumentError, ShapeError
from rtfunc.optim.muon import JORDAN
from rtfunc.transforms.jit import jit

rng = np.random.default_rng(1)


def test_singular_vectors_stay_and_singular_values_come_near_1():
    for shape in ((5, 3), (3, 5)):
        matrix = rng.normal(size=shape)
        u, _, vt = np.linalg.svd(matrix, full_matrices=False)
        inner = u.T @ np.asarray(optim.orthogonalize(matrix)) @ vt.T
        values = np.diag(inner).copy()
        np.testing.assert_allclose(inner, np.diag(values), atol=1e-12)
        assert (np.abs(values - 1) < 0.35).all()  # the polynomial's range


def test_enough_steps_of_a_converging_polynomial_give_the_polar_factor():
    matrix = rng.normal(size=(4, 4))
    u, _, vt = np.linalg.svd(matrix)
    # Newton-Schulz proper, of order 3: (3 x - x**3) / 2. It converges quadratically.
    ours = optim.orthogonalize(matrix, 40, (1.5, -0.5, 0.0))
    np.testing.assert_allclose(ours, u @ vt, atol=1e-12)


def test_zero_and_empty_matrices_stay_finite():
    np.testing.assert_array_equal(optim.orthogonalize(rnp.zeros((2, 3))), np.zeros((2, 3)))
    assert optim.orthogonalize(rnp.zeros((0, 3))).shape == (0, 3)


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


START, TARGET = rng.normal(size=(2, 6, 4))


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("ours", "options"),
    [
        ({}, {}),
        ({"nesterov": False, "weight_decay": 0.0}, {"nesterov": False, "weight_decay": 0.0}),
        (
            {"momentum": 0.8, "adjust": "match_rms_adamw", "steps": 3, "epsilon": 1e-3},
            {"momentum": 0.8, "adjust_lr_fn": "match_rms_adamw", "ns_steps": 3, "eps": 1e-3},
        ),
    ],
)
def test_it_follows_pytorch_for_100_steps(torch, monkeypatch, ours, options):
    # PyTorch orthogonalises in bfloat16; here in the parameters' dtype, so that digits agree.
    monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.clone)
    theirs = torch.nn.Parameter(torch.tensor(START))
    optimizer = torch.optim.Muon([theirs], lr=0.05, **options)
    link, params = optim.muon(0.05, **ours), rnp.asarray(START)
    state, update = link.init(params), jit(link.update)
    for step in range(100):
        target = TARGET + np.cos(step + np.arange(24.0)).reshape(6, 4)
        theirs.grad = theirs.detach() - torch.tensor(target)
        optimizer.step()
        updates, state = update(params - target, state, params)
        params = optim.apply_updates(params, updates)
        np.testing.assert_allclose(
            params, theirs.detach().numpy(), atol=1e-10, err_msg=f"step {step}"
        )


@pytest.mark.oracle
def test_in_bfloat16_it_is_as_close_to_the_exact_factor_as_pytorch(torch):
    matrix = rng.normal(size=(40, 30)).astype("float32")
    exact = np.asarray(optim.orthogonalize(matrix.astype("float64")))
    theirs = torch.optim._muon._zeropower_via_newtonschulz(torch.tensor(matrix), JORDAN, 5, 1e-7)
    ours = np.asarray(optim.orthogonalize(matrix, dtype="bfloat16"))
    errors = [np.linalg.norm(x - exact) for x in (ours, theirs.float().numpy())]
    # The same products rounded to 8 bits, summed in another order: errors of about one size.
    assert errors[0] < 1.5 * errors[1] < 0.1 * np.linalg.norm(exact)


PARAMS = {
    "embedding": rnp.ones((3, 2)),
    "layers": ({"weight": rnp.eye(2), "bias": rnp.ones(2)}, None),
    "kernel": rnp.ones((2, 2, 3, 3)),
}


def test_matrices_get_muon_and_other_leaves_adamw():
    optimizer = optim.muon(0.1, weight_decay=0.0)
    state = optimizer.init(PARAMS)
    updates, state = jit(optimizer.update)(PARAMS, state, PARAMS)
    for leaf in (updates["layers"][0]["bias"], updates["kernel"]):
        np.testing.assert_allclose(leaf, np.full(leaf.shape, -0.1), rtol=1e-6)  # Adam's first step
    expected = optim.orthogonalize(PARAMS["layers"][0]["weight"]) * -0.1
    np.testing.assert_allclose(updates["layers"][0]["weight"], expected, atol=1e-7)


def test_labels_choose_the_leaves():
    labels = optim.labels_by_path({"embedding*": "others", "*.weight": "muon"}, "others")
    optimizer = optim.muon(0.1, others=optim.sgd(1.0), labels=labels)
    updates, _ = optimizer.update(PARAMS, optimizer.init(PARAMS), PARAMS)
    np.testing.assert_array_equal(updates["embedding"], -np.ones((3, 2)))


def test_wrong_settings_are_refused():
    with pytest.raises(ArgumentError, match="adjust is 'original' or 'match_rms_adamw', not 'x'"):
        optim.muon(adjust="x")
    with pytest.raises(ArgumentError, match=r"momentum is from 0 to below 1, but got 1\.0"):
        optim.muon(momentum=1.0)
    with pytest.raises(ShapeError, match=r"takes a matrix, but got an array of shape \(2,\)"):
        optim.orthogonalize(rnp.ones(2))
