"""The registry walk: every primitive has all its rules, has samples, and its rules agree at them."""

from __future__ import annotations

import re

import pytest

from rtfunc.core.primitive import primitives
from tests.ops import walk

SAMPLES = walk.samples()

#: Primitives without samples of their own, and where they are tested instead.
EXEMPT = {
    "custom_call": "stands for a user's function and has no rules; tests/transforms/test_custom.py",
}


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


@every_primitive
def test_every_primitive_has_all_rules(name):
    walk.has_all_rules(primitives[name])


@every_primitive
def test_every_primitive_has_samples(name):
    assert (name in EXEMPT) != bool(SAMPLES.get(name)), (
        f"The primitive {name} needs samples: add them to a module in tests/ops/samples."
    )


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
    walk.pushed_is_difference(primitives[name], sample)


@every_sample
def test_vjp_is_transposed_jvp(name, sample):
    walk.pulled_is_pushed_transposed(primitives[name], sample)


@every_sample
def test_second_derivatives(name, sample):
    walk.second_derivatives(primitives[name], sample)


@every_sample
def test_gradient_nests_in_staging_and_batching(name, sample):
    walk.gradient_nests(primitives[name], sample)
