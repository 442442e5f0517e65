"""Losses of classes: PyTorch's values and derivatives for every option, and refusals."""

import functools

import numpy as np
import pytest

from rtfunc import nn
from rtfunc import numpy as rnp
from rtfunc.core.errors import ArgumentError, DtypeError, ShapeError
from rtfunc.transforms.jit import jit
from rtfunc.transforms.vjp import grad
from rtfunc.transforms.vmap import vmap

REDUCTIONS = ["mean", "sum", "none"]
DTYPES = ["float32", "float64"]


@pytest.fixture
def oracle():
    return pytest.importorskip("tests.nn.oracle")


def both(oracle, ours, theirs, *arrays, dtype="float64", **options):
    oracle.assert_same(
        lambda *xs: getattr(nn, ours)(*xs, **options),
        lambda *xs: getattr(oracle.torch.nn.functional, theirs)(*xs, **options),
        *arrays,
        dtype=dtype,
    )


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("shape", [(7, 4), (3, 4, 5), (3, 4, 2, 3), (4,)])
def test_cross_entropy_of_labels(oracle, shape, smoothing, weighted, reduction, dtype):
    logits = oracle.numbers(*shape, low=-9, high=9)
    label_shape = shape[:1] + shape[2:] if len(shape) > 1 else ()
    labels = np.random.default_rng(1).integers(0, 4, label_shape)
    weight = oracle.numbers(4, low=0.5, high=2.0, seed=2).astype(dtype) if weighted else None
    torch = oracle.torch
    oracle.assert_same(
        lambda x, y: nn.cross_entropy(x, y, weight, reduction=reduction, label_smoothing=smoothing),
        lambda x, y: torch.nn.functional.cross_entropy(
            x,
            y,
            None if weight is None else torch.tensor(weight),
            reduction=reduction,
            label_smoothing=smoothing,
        ),
        logits,
        labels,
        dtype=dtype,
    )


@pytest.mark.oracle
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("ignored", [-100, 2])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_cross_entropy_ignores_a_label(oracle, reduction, ignored, smoothing):
    labels = np.array([0, ignored, 3, ignored, 1])
    both(
        oracle,
        "cross_entropy",
        "cross_entropy",
        oracle.numbers(5, 4),
        labels,
        reduction=reduction,
        ignore_index=ignored,
        label_smoothing=smoothing,
    )


@pytest.mark.oracle
def test_cross_entropy_with_weights_does_not_count_ignored_labels(oracle):
    labels, weight = np.array([0, -100, 3]), np.array([0.5, 1.0, 2.0, 3.0])
    oracle.assert_same(
        lambda x, y: nn.cross_entropy(x, y, weight),
        lambda x, y: oracle.torch.nn.functional.cross_entropy(x, y, oracle.torch.tensor(weight)),
        oracle.numbers(3, 4),
        labels,
    )


@pytest.mark.oracle
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_of_probabilities(oracle, smoothing, weighted, reduction):
    logits, targets = oracle.numbers(3, 4, 2), oracle.numbers(3, 4, 2, low=0, high=1, seed=1)
    targets /= targets.sum(1, keepdims=True)
    weight = np.array([0.5, 1.0, 2.0, 3.0]) if weighted else None
    torch = oracle.torch
    oracle.assert_same(
        lambda x, y: nn.cross_entropy(x, y, weight, reduction=reduction, label_smoothing=smoothing),
        lambda x, y: torch.nn.functional.cross_entropy(
            x,
            y,
            None if weight is None else torch.tensor(weight),
            reduction=reduction,
            label_smoothing=smoothing,
        ),
        logits,
        targets,
    )


@pytest.mark.oracle
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_nll_loss(oracle, reduction):
    labels = np.array([0, -100, 3])
    both(oracle, "nll_loss", "nll_loss", oracle.numbers(3, 4), labels, reduction=reduction)


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_binary_cross_entropy(oracle, reduction, dtype):
    p, y = oracle.numbers(5, 3, low=0.05, high=0.95), oracle.numbers(5, 3, low=0, high=1, seed=1)
    name = "binary_cross_entropy"
    both(oracle, name, name, p, y, dtype=dtype, reduction=reduction)


def test_binary_cross_entropy_is_limited_to_100():
    p, y = rnp.array([0.0, 1.0, 1.0]), rnp.array([1.0, 0.0, 1.0])
    values = nn.binary_cross_entropy(p, y, reduction="none")
    np.testing.assert_array_equal(values, [100.0, 100.0, 0.0])
    assert np.isfinite(grad(lambda p: nn.binary_cross_entropy(p, y))(p)).all()


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("positive", [None, np.array([0.5, 2.0, 3.0])])
@pytest.mark.parametrize("weight", [None, np.array([[1.0, 0.5, 2.0]])])
def test_binary_cross_entropy_with_logits(oracle, weight, positive, reduction, dtype):
    x = oracle.numbers(6, 3, low=-60, high=60)
    y = oracle.numbers(6, 3, low=0, high=1, seed=1).round()
    torch = oracle.torch

    def tensor(a):
        return None if a is None else torch.tensor(a.astype(dtype))

    def array(a):
        return None if a is None else a.astype(dtype)

    oracle.assert_same(
        lambda x, y: nn.binary_cross_entropy_with_logits(
            x, y, array(weight), pos_weight=array(positive), reduction=reduction
        ),
        lambda x, y: torch.nn.functional.binary_cross_entropy_with_logits(
            x, y, tensor(weight), pos_weight=tensor(positive), reduction=reduction
        ),
        x,
        y,
        dtype=dtype,
    )


@pytest.mark.oracle
@pytest.mark.parametrize("reduction", ["batchmean", "sum", "none", "mean"])
@pytest.mark.parametrize("log_target", [False, True])
@pytest.mark.filterwarnings("ignore:reduction")
def test_kl_div(oracle, log_target, reduction):
    x, y = oracle.numbers(4, 3), oracle.numbers(4, 3, low=0.1, high=1.0, seed=1)
    y = np.log(y) if log_target else y
    both(oracle, "kl_div", "kl_div", x, y, reduction=reduction, log_target=log_target)


def test_kl_div_of_a_target_of_0_is_0():
    x, y = rnp.log(rnp.array([0.5, 0.5])), rnp.array([0.0, 1.0])
    # log 2, rounded to float32
    np.testing.assert_allclose(nn.kl_div(x, y, reduction="none"), [0.0, np.log(2)], rtol=1e-6)
    assert np.isfinite(grad(lambda y: nn.kl_div(x, y))(y)).all()


@pytest.mark.oracle
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(("alpha", "gamma"), [(0.25, 2.0), (-1, 1.5)])
def test_sigmoid_focal_loss_is_its_formula(oracle, alpha, gamma, reduction):
    torch = oracle.torch

    def theirs(x, y):  # torchvision.ops.sigmoid_focal_loss
        p = torch.sigmoid(x)
        entropy = torch.nn.functional.binary_cross_entropy_with_logits(x, y, reduction="none")
        right = p * y + (1 - p) * (1 - y)
        loss = entropy * (1 - right) ** gamma
        if alpha >= 0:
            loss = (alpha * y + (1 - alpha) * (1 - y)) * loss
        return {"mean": loss.mean, "sum": loss.sum, "none": lambda: loss}[reduction]()

    y = oracle.numbers(5, 3, low=0, high=1, seed=1).round()
    oracle.assert_same(
        functools.partial(nn.sigmoid_focal_loss, alpha=alpha, gamma=gamma, reduction=reduction),
        theirs,
        oracle.numbers(5, 3),
        y,
    )


def test_cross_entropy_takes_classes_on_the_last_axis():
    logits = rnp.array(np.random.default_rng(0).normal(size=(2, 5, 4)))
    labels = np.random.default_rng(1).integers(0, 4, (2, 5))
    moved = nn.cross_entropy(rnp.swapaxes(logits, 1, 2), labels)
    # One sum in two orders of memory.
    np.testing.assert_allclose(nn.cross_entropy(logits, labels, axis=-1), moved, rtol=1e-12)


def test_cross_entropy_under_vmap_is_that_of_each_example():
    logits = rnp.array(np.random.default_rng(0).normal(size=(6, 4)))
    labels = rnp.array([0, 1, 2, 3, 0, 1])
    each = vmap(nn.cross_entropy)(logits, labels)
    np.testing.assert_allclose(each, nn.cross_entropy(logits, labels, reduction="none"), rtol=1e-12)


def test_cross_entropy_of_extreme_logits_is_finite():
    loss = nn.cross_entropy(rnp.array([[1e30, -1e30]]), rnp.array([0]))
    assert float(loss) == 0.0


def test_labels_out_of_range_are_named():
    with pytest.raises(
        ArgumentError, match="cross_entropy: labels must be from 0 to 3, but 4 is among"
    ):
        nn.cross_entropy(rnp.ones((2, 4)), np.array([0, 4]))


def test_traced_labels_out_of_range_have_loss_0():
    loss = jit(nn.cross_entropy)(rnp.ones((1, 4)), np.array([9]))
    assert float(loss) == 0.0


def test_labels_of_another_shape_are_refused_with_the_axis():
    with pytest.raises(ShapeError, match=r"labels of shape \(2, 4\), not \(2, 3\).*pass axis=-1"):
        nn.cross_entropy(rnp.ones((2, 3, 4)), np.zeros((2, 3), int))


def test_probabilities_of_another_shape_are_refused():
    with pytest.raises(ShapeError, match=r"probabilities .* shape of the logits, \(2, 3\)"):
        nn.cross_entropy(rnp.ones((2, 3)), rnp.ones(2))


def test_nll_loss_refuses_float_labels():
    with pytest.raises(DtypeError, match="nll_loss takes integer labels"):
        nn.nll_loss(rnp.ones((2, 3)), rnp.ones(2))


@pytest.mark.oracle
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("gamma", [2.0, 1.5])
@pytest.mark.parametrize("shape", [(7, 4), (3, 4, 5)])
def test_softmax_focal_loss_is_its_formula(oracle, shape, gamma, reduction):
    torch, alpha = oracle.torch, np.array([0.5, 1.0, 2.0, 0.1])
    labels = np.random.default_rng(1).integers(0, 4, shape[:1] + shape[2:])

    def theirs(x, y):
        entropy = torch.nn.functional.cross_entropy(x, y, reduction="none")
        loss = torch.tensor(alpha)[y] * (1 - torch.exp(-entropy)) ** gamma * entropy
        return {"mean": loss.mean, "sum": loss.sum, "none": lambda: loss}[reduction]()

    ours = functools.partial(nn.softmax_focal_loss, alpha=alpha, gamma=gamma, reduction=reduction)
    oracle.assert_same(ours, theirs, oracle.numbers(*shape), labels)


def test_softmax_focal_loss_without_focus_is_cross_entropy():
    logits = np.random.default_rng(0).normal(size=(5, 4))
    labels = np.array([0, -100, 3, 1, -100])
    focal = nn.softmax_focal_loss(logits, labels, gamma=0.0, reduction="mean")
    np.testing.assert_allclose(focal, nn.cross_entropy(logits, labels), rtol=1e-12)


def test_dice_loss_is_one_minus_the_overlap():
    rng = np.random.default_rng(0)
    p, y = rng.uniform(size=(2, 3, 4, 5)), rng.integers(0, 2, (2, 3, 4, 5)).astype(float)
    both_ = (p * y).sum((2, 3))
    wanted = 1 - (2 * both_ + 0.5) / (p.sum((2, 3)) + y.sum((2, 3)) + 0.5)
    np.testing.assert_allclose(nn.dice_loss(p, y, smooth=0.5, reduction="none"), wanted)
    np.testing.assert_allclose(jit(nn.dice_loss)(p, y), nn.dice_loss(p, y), rtol=1e-12)
    assert nn.dice_loss(p, y, axis=(0, 2, 3), reduction="none").shape == (3,)
    assert float(nn.dice_loss(np.zeros((1, 1, 2)), np.zeros((1, 1, 2)))) == 0.0


def test_dice_loss_takes_something_to_sum_over():
    with pytest.raises(ShapeError, match=r"takes \(N, C, ...\), or an axis to sum over"):
        nn.dice_loss(rnp.ones((2, 3)), rnp.ones((2, 3)))
