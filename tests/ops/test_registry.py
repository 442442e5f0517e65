"""The registry walk: every primitive has all rules and samples, and its rules agree at them."""

from __future__ import annotations

import re

import numpy as np
import pytest

from rtfunc.core.aval import Aval
from rtfunc.core.errors import DtypeError, TracerError
from rtfunc.core.primitive import Primitive, primitives
from rtfunc.ops.arithmetic import mul
from rtfunc.ops.convert import bitcast
from rtfunc.ops.elementwise import batch_elementwise
from tests.ops import walk
from tests.ops.sample import Sample

SAMPLES = walk.samples()

#: Primitives without samples of their own, and where they are tested instead.
EXEMPT = {
    "custom_call": "stands for a user's function and has no rules; tests/transforms/test_custom.py",
    **dict.fromkeys(
        (
            *("psum", "pmax", "pmin", "axis_index"),
            *("all_gather", "all_to_all", "ppermute", "psum_scatter"),
        ),
        "has a meaning only inside a vmap that names the axis; tests/ops/test_collective.py",
    ),
}

#: Primitives that refuse reverse mode, with advice; tested in tests/ops/test_loop.py.
NO_REVERSE = {"while": "the number of steps is not known beforehand; scan and fori_loop have it"}

#: Primitives that refuse to be differentiated at all.
NO_DERIVATIVE = {"schur": "has no derivative, in JAX neither; tests/ops/test_linalg.py"}


def _cases() -> list:
    cases = []
    for name, items in sorted(SAMPLES.items()):
        for i, sample in enumerate(items):
            note = re.sub(r"[^a-zA-Z0-9]+", "_", sample.note).strip("_")
            cases.append(
                pytest.param(name, sample, id=f"{name}-{i}-{note}" if note else f"{name}-{i}")
            )
    return cases


every_sample = pytest.mark.parametrize(("name", "sample"), _cases())
every_primitive = pytest.mark.parametrize("name", sorted(primitives))


def _skip_without_derivative(name):
    if name in NO_DERIVATIVE:
        pytest.skip(NO_DERIVATIVE[name])


def _skip_without_reverse(name):
    _skip_without_derivative(name)
    if name in NO_REVERSE:
        pytest.skip(NO_REVERSE[name])


@every_primitive
def test_every_primitive_has_all_rules(name):
    walk.has_all_rules(primitives[name])


@every_primitive
def test_every_primitive_has_samples(name):
    has_samples = name in SAMPLES and len(SAMPLES[name]) > 0
    assert has_samples or name in EXEMPT, "add samples to a module in tests/ops/samples"
    assert not (has_samples and name in EXEMPT), "it has samples, so it is not exempt"


def test_every_sample_belongs_to_a_primitive():
    assert set(SAMPLES) <= set(primitives)


@every_sample
def test_inferred_type_is_what_is_computed(name, sample):
    walk.inferred_is_computed(primitives[name], sample)


@every_sample
def test_staged_is_eager(name, sample):
    walk.staged_is_eager(primitives[name], sample)


@every_sample
def test_batched_is_looped(name, sample):
    walk.batched_is_looped(primitives[name], sample)


@every_sample
def test_jvp_is_finite_difference(name, sample):
    _skip_without_derivative(name)
    walk.pushed_is_difference(primitives[name], sample)


@every_sample
def test_vjp_is_transposed_jvp(name, sample):
    _skip_without_reverse(name)
    walk.pulled_is_pushed_transposed(primitives[name], sample)


@every_sample
def test_second_derivatives(name, sample):
    _skip_without_reverse(name)
    walk.second_derivatives(primitives[name], sample)


@every_sample
def test_gradient_nests_in_staging_and_batching(name, sample):
    _skip_without_reverse(name)
    walk.gradient_nests(primitives[name], sample)


# The walk itself: it must catch a primitive with a wrong rule.

CUBE = Sample((np.array([[0.5, -1.5, 2.0], [0.7, 1.2, -0.3]]),), dtypes=("float64",))


def _push(t, x, factor=3.0):
    return mul(t, mul(factor, mul(x, x)))


def _constant(x):
    return bitcast(bitcast(x, "int64"), "float64")


def _infer(x):
    if x.dtype != np.float64:
        raise DtypeError("cube_for_test takes float64")
    return x


def _cube(**wrong):
    """A primitive for x**3 with some rules replaced by wrong ones, not in the registry."""
    rules = {
        "infer": _infer,
        "impl": lambda xp, x: x**3,
        "jvp": lambda p, xs, ts: (p.bind(*xs), _push(ts[0], xs[0])),
        "vjp": lambda p, needed, xs: (p.bind(*xs), lambda ct: [_push(ct, xs[0])]),
        "batch": batch_elementwise,
    }
    primitive = Primitive("cube_for_test", **{**rules, **wrong})
    del primitives["cube_for_test"]
    return primitive


CHECKS = {
    "inferred": walk.inferred_is_computed,
    "staged": walk.staged_is_eager,
    "batched": walk.batched_is_looped,
    "jvp": walk.pushed_is_difference,
    "vjp": walk.pulled_is_pushed_transposed,
    "second": walk.second_derivatives,
    "nested": walk.gradient_nests,
}
WRONG = {
    "inferred": {"infer": lambda x: Aval(x.shape, "float32")},
    "staged": {"infer": lambda x: Aval(x.shape[::-1], x.dtype)},
    "batched": {"batch": lambda p, batch, xs, axes: (p.bind(*xs), 0)},
    "jvp": {"jvp": lambda p, xs, ts: (p.bind(*xs), _push(ts[0], xs[0], 3.001))},
    "vjp": {"vjp": lambda p, n, xs: (p.bind(*xs), lambda ct: [_push(ct, xs[0], -3.0)])},
    # Right, but no derivative flows through the slope.
    "second": {"vjp": lambda p, n, xs: (p.bind(*xs), lambda ct: [_push(ct, _constant(xs[0]))])},
    # Needs the values of its operand, which tracers do not have.
    "nested": {"vjp": lambda p, n, xs: (p.bind(*xs), lambda ct: [mul(ct, np.asarray(xs[0]))])},
}


@pytest.mark.parametrize("check", CHECKS)
def test_the_walk_passes_right_rules(check):
    CHECKS[check](_cube(), CUBE)


@pytest.mark.parametrize("check", WRONG)
def test_the_walk_catches_a_wrong_rule(check):
    with pytest.raises((AssertionError, TracerError)):
        CHECKS[check](_cube(**WRONG[check]), CUBE)


def test_the_walk_catches_a_missing_rule():
    with pytest.raises(AssertionError, match="cube_for_test has no rule jvp, vjp"):
        walk.has_all_rules(_cube(jvp=None, vjp=None))
