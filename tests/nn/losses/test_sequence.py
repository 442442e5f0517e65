"""Connectionist temporal classification: PyTorch's numbers, a sum over all ways, and refusals."""

import itertools

import numpy as np
import pytest

from rtfunc import nn
from rtfunc import numpy as rnp
from rtfunc.core.errors import ArgumentError, DtypeError, ShapeError
from rtfunc.testing import check_grads
from rtfunc.transforms.jit import jit
from rtfunc.transforms.vjp import grad
from rtfunc.transforms.vmap import vmap

REDUCTIONS = ["mean", "sum", "none"]
LABELS = np.array([[1, 2, 2, 4], [3, 3, 0, 0], [0, 0, 0, 0]])
TIMES, LENGTHS = np.array([9, 6, 4]), np.array([4, 2, 0])


@pytest.fixture
def oracle():
    return pytest.importorskip("tests.nn.oracle")


def of_logits(loss, softmax, **settings):
    """The loss as a function of logits: PyTorch's derivative is meant for what made log_softmax."""
    return lambda x, *rest: loss(softmax(x, -1), *rest, **settings)


def both(oracle, logits, *rest, dtype="float64", **settings):
    functional = oracle.torch.nn.functional
    oracle.assert_same(
        of_logits(nn.ctc_loss, nn.log_softmax, **settings),
        of_logits(functional.ctc_loss, functional.log_softmax, **settings),
        logits,
        *rest,
        dtype=dtype,
    )


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_loss_is_pytorchs(oracle, reduction, dtype):
    both(oracle, oracle.numbers(9, 3, 5), LABELS, TIMES, LENGTHS, reduction=reduction, dtype=dtype)


@pytest.mark.oracle
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_targets_one_after_the_other(oracle, reduction):
    targets = np.concatenate([row[:n] for row, n in zip(LABELS, LENGTHS)])
    both(oracle, oracle.numbers(9, 3, 5), targets, TIMES, LENGTHS, reduction=reduction)


@pytest.mark.oracle
def test_another_blank(oracle):
    labels = np.array([[0, 1, 1], [3, 4, 0]])
    both(oracle, oracle.numbers(8, 2, 5), labels, np.array([8, 7]), np.array([3, 2]), blank=2)


@pytest.mark.oracle
def test_one_example_without_a_batch(oracle):
    logits, labels = oracle.numbers(7, 5), np.array([1, 1, 3])
    both(oracle, logits, labels, np.array(7), np.array(3), reduction="none")


@pytest.mark.oracle
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_what_cannot_be_said_counts_as_0(oracle, reduction):
    labels = np.array([[1, 1, 1], [1, 2, 3], [1, 2, 3]])  # "1 1 1" takes five times
    both(
        oracle,
        oracle.numbers(4, 3, 5),
        labels,
        np.array([4, 4, 0]),
        np.array([3, 3, 1]),
        zero_infinity=True,
        reduction=reduction,
    )


def test_what_cannot_be_said_is_infinite():
    x = nn.log_softmax(rnp.zeros((4, 1, 5)))
    assert float(nn.ctc_loss(x, rnp.array([[1, 1, 1]]), rnp.array([4]), rnp.array([3]))) == np.inf


@pytest.mark.oracle
def test_a_long_sequence_in_float32(oracle):
    rng = np.random.default_rng(0)
    labels = rng.integers(1, 20, (2, 30))
    both(oracle, oracle.numbers(150, 2, 20), labels, np.array([150, 120]), np.array([30, 25]))
    single = nn.log_softmax(oracle.numbers(150, 2, 20, dtype="float32"))
    double = nn.log_softmax(oracle.numbers(150, 2, 20))
    values = [
        nn.ctc_loss(x, labels, np.array([150, 120]), np.array([30, 25])) for x in (single, double)
    ]
    np.testing.assert_allclose(values[0], values[1], rtol=1e-5)


def said(path, blank):
    """What a path of classes says: repetitions count once, blanks not."""
    return tuple(c for c, _ in itertools.groupby(path) if c != blank)


@pytest.mark.parametrize("target", [(), (1,), (1, 1), (1, 2), (2, 1, 2)])
def test_loss_is_the_sum_over_all_ways(target):
    x = nn.log_softmax(np.random.default_rng(0).normal(size=(5, 3)))
    log_p = np.asarray(x)
    total = sum(
        np.exp(sum(log_p[t, c] for t, c in enumerate(path)))
        for path in itertools.product(range(3), repeat=5)
        if said(path, 0) == target
    )
    labels = np.array(target, dtype="int32")
    loss = nn.ctc_loss(x, labels, np.array(5), np.array(len(target)), reduction="sum")
    np.testing.assert_allclose(loss, -np.log(total), rtol=1e-10)


def test_derivative_is_that_of_the_formula():
    x = nn.log_softmax(np.random.default_rng(0).normal(size=(5, 2, 4)))
    rest = (np.array([[1, 2], [3, 0]]), np.array([5, 4]), np.array([2, 1]))
    check_grads(lambda x: nn.ctc_loss(x, *rest), (x,), order=2)


def test_lengths_and_labels_may_be_traced():
    x = nn.log_softmax(np.random.default_rng(0).normal(size=(9, 3, 5)))
    flat = np.concatenate([row[:n] for row, n in zip(LABELS, LENGTHS)])
    wanted = np.asarray(nn.ctc_loss(x, LABELS, TIMES, LENGTHS, reduction="none"))
    for targets in (LABELS, flat):
        compiled = jit(lambda *args: nn.ctc_loss(*args, reduction="none"))
        np.testing.assert_allclose(compiled(x, targets, TIMES, LENGTHS), wanted, rtol=1e-10)
    each = vmap(lambda x, *rest: nn.ctc_loss(x, *rest, reduction="none"), in_axes=(1, 0, 0, 0))(
        x, LABELS, TIMES, LENGTHS
    )
    np.testing.assert_allclose(each, wanted, rtol=1e-10)


def test_probabilities_of_0_have_finite_derivatives_where_there_are_other_ways():
    x = np.full((3, 1, 3), np.log(0.5))
    x[..., 2] = -np.inf
    gradient = grad(lambda x: nn.ctc_loss(x, np.array([[1]]), np.array([3]), np.array([1])))(x)
    assert np.isfinite(gradient).all()


X = rnp.zeros((4, 2, 5))
TWO, LABEL = rnp.array([2, 2]), rnp.array([[1, 2], [3, 4]])


@pytest.mark.parametrize(
    ("error", "match", "function"),
    [
        (
            ShapeError,
            r"takes log-probabilities \(T, N, C\), or \(T, C\) for one example, not of shape \(4,\)",
            lambda: nn.ctc_loss(X[:, 0, 0], LABEL, TWO, TWO),
        ),
        (
            ShapeError,
            r"of shape \(4, 2, 5\) go with 2 lengths of inputs and targets, not \(2,\) and \(3,\)",
            lambda: nn.ctc_loss(X, LABEL, TWO, rnp.array([1, 1, 1])),
        ),
        (
            ShapeError,
            r"go with targets \(2, S\) or \(sum\(target_lengths\),\), not \(3, 2\)",
            lambda: nn.ctc_loss(X, rnp.ones((3, 2), "int32"), TWO, TWO),
        ),
        (
            ArgumentError,
            "blank 5 is none of the 5 classes",
            lambda: nn.ctc_loss(X, LABEL, TWO, TWO, blank=5),
        ),
        (
            ArgumentError,
            r"input_lengths are from 0 to 4, but got \[4, 5\]",
            lambda: nn.ctc_loss(X, LABEL, rnp.array([4, 5]), TWO),
        ),
        (
            ArgumentError,
            r"target_lengths \[2, 3\] do not fit targets of shape \(2, 2\)",
            lambda: nn.ctc_loss(X, LABEL, TWO, rnp.array([2, 3])),
        ),
        (
            ArgumentError,
            "targets are from 0 to 4 and not the blank 3, but 3 is among them",
            lambda: nn.ctc_loss(X, LABEL, TWO, TWO, blank=3),
        ),
        (
            DtypeError,
            "ctc_loss takes integers as targets, not float32",
            lambda: nn.ctc_loss(X, rnp.ones((2, 2)), TWO, TWO),
        ),
    ],
)
def test_what_does_not_fit_is_refused(error, match, function):
    with pytest.raises(error, match=match):
        function()
