"""Every primitive computes on the GPU what it does on the CPU: its kernel, its derivatives, its batches."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest

from rtfunc.core import dtypes
from rtfunc.core.array import Array
from rtfunc.core.batching import batch_flat
from rtfunc.core.device import Device
from rtfunc.core.execution import executor_of
from rtfunc.core.forward import jvp_flat
from rtfunc.core.primitive import BatchAxis, primitives
from rtfunc.core.reverse import vjp_flat
from rtfunc.core.staging import trace_to_graph
from tests.gpu.comparison import DEVICE, assert_close, assert_on_gpu, on_gpu
from tests.ops import walk

SAMPLES = walk.samples()

#: Columns of these results have a sign or phase of their own, which cuSOLVER and LAPACK choose
#: differently; what they satisfy is tested in test_linalg.py.
FREE_SIGNS = {"eigh", "eig", "svd", "qr", "schur"}
#: Their derivatives on the way do not stand alone, or there are none.
NO_DERIVATIVE = {"schur", "while", *FREE_SIGNS}


#: Samples that say nothing here, by name and note.
EXEMPT = {
    ("convert_element_type", "float8"): "CuPy has no float8; test_placement.py has the error",
}


def _cases() -> list:
    cases = []
    for name, items in sorted(SAMPLES.items()):
        for i, sample in enumerate(items):
            if (name, sample.note) in EXEMPT:
                continue
            note = re.sub(r"[^a-zA-Z0-9]+", "_", sample.note).strip("_")
            cases.append(pytest.param(name, sample, id=f"{name}-{i}-{note}".rstrip("-")))
    return cases


every_sample = pytest.mark.parametrize(("name", "sample"), _cases())


def _operands(sample, dtype):
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return walk.operands(sample, dtype)


def _dtypes(sample):
    if sample.note == "rank 1":
        # In float32 the singular values that are 0 but for rounding fall on either side of the limit.
        return ("float64",)
    has_floats = any(dtypes.is_float(np.asarray(a).dtype) for a in sample.args)
    return sample.dtypes if has_floats else sample.dtypes[:1]


def _function(name, sample):
    return walk.function_of(primitives[name], sample.params)


@every_sample
def test_eager(name, sample):
    function = _function(name, sample)
    for dtype in _dtypes(sample):
        args = _operands(sample, dtype)
        expected = function(*args)
        found = function(*on_gpu(args))
        if args:  # what takes no operands has no reason to lie on a GPU
            assert_on_gpu(found)
        if name not in FREE_SIGNS:
            assert_close(found, expected, dtype)


@every_sample
def test_compiled(name, sample):
    function = _function(name, sample)
    for dtype in _dtypes(sample):
        args = _operands(sample, dtype)
        expected = function(*args)
        graph, captured = trace_to_graph(function, [a.aval for a in args])
        run = executor_of(graph, "native", Device(DEVICE))
        found = run([*captured, *on_gpu(args)])
        assert_on_gpu(found)
        if name not in FREE_SIGNS:
            # The inverse error function of CUDA at the ends, where its slope is 1e7 and more.
            assert_close(found, expected, dtype, factor=10 if "normal" in name else 1)


def _differentiable(name, sample):
    if name in NO_DERIVATIVE:
        pytest.skip("its derivative has a free sign too, or there is none")
    args = _operands(sample, "float64")
    function, outs = walk._inexact_outputs(_function(name, sample), args)
    if not outs or not walk._differentiable(args):
        pytest.skip("nothing to differentiate")
    return function, args, outs


@every_sample
def test_vjp(name, sample):
    function, args, outs = _differentiable(name, sample)
    generator = walk._generator(primitives[name])
    cotangents = [walk._direction(generator, o) for o in outs]
    needed = [True] * len(args)
    _, pullback = vjp_flat(function, args, needed)
    _, pullback_on_gpu = vjp_flat(function, on_gpu(args), needed)
    expected, found = pullback(cotangents), pullback_on_gpu(on_gpu(cotangents))
    for i, (a, b) in enumerate(zip(found, expected, strict=True)):
        assert (a is None) == (b is None)
        if b is not None:
            assert_close(a, b, f"cotangent of operand {i}", factor=10)


@every_sample
def test_jvp(name, sample):
    function, args, _ = _differentiable(name, sample)
    generator = walk._generator(primitives[name])
    tangents = [walk._direction(generator, a) if dtypes.is_inexact(a.dtype) else None for a in args]
    placed = [None if t is None else on_gpu(t) for t in tangents]
    _, expected = jvp_flat(function, args, tangents)
    _, found = jvp_flat(function, on_gpu(args), placed)
    for i, (a, b) in enumerate(zip(found, expected, strict=True)):
        assert (a is None) == (b is None)
        if b is not None:
            assert_close(a, b, f"tangent of output {i}", factor=10)


@every_sample
def test_vmap(name, sample):
    args = _operands(sample, "float64")
    if not args:
        pytest.skip("no operands")
    stacked = [Array(np.stack(walk._members(np.asarray(a)))) for a in args]
    axes = [0] * len(args)
    size = BatchAxis(walk.BATCH_SIZE)
    function = _function(name, sample)
    expected, expected_axes = batch_flat(function, size, stacked, axes)
    found, found_axes = batch_flat(function, size, on_gpu(stacked), axes)
    assert found_axes == expected_axes
    if name not in FREE_SIGNS:
        assert_close(found, expected)
