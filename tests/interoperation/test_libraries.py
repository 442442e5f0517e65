"""Other libraries take and give Arrays."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import rtfunc as rf
import rtfunc.numpy as rnp
from rtfunc.core.array import Array
from rtfunc.core.errors import DtypeError, ImmutableArrayError
from rtfunc.interoperation import item_assignment, register_with_einops

X = np.random.default_rng(1).normal(size=(8, 5))
ROOT = Path(__file__).parents[2]


@pytest.fixture
def x():
    return rnp.asarray(X)


def _run(program: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(Path(__file__).with_name("programs.py")), program],
        env={**os.environ, "SCIPY_ARRAY_API": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["scipy", "sklearn"])
def test_array_api_functions_of(name):
    pytest.importorskip(name)
    _run(name)


@pytest.mark.oracle
def test_estimators_of_sklearn_that_use_linear_algebra():
    pytest.importorskip("sklearn")
    if importlib.util.find_spec("rtfunc.numpy.linalg") is None:
        pytest.skip("rtfunc.numpy.linalg is not there yet")
    _run("sklearn_linalg")


@pytest.mark.oracle
def test_array_api_compat_recognises_arrays(x):
    compat = pytest.importorskip("array_api_compat")
    assert compat.array_namespace(x, rnp.ones(2)) is rnp
    assert compat.is_array_api_obj(x)
    assert compat.device(x) == x.device
    assert compat.size(x) == x.size
    np.testing.assert_array_equal(compat.to_device(x, "cpu"), X)


@pytest.mark.oracle
def test_einops(x):
    einops = pytest.importorskip("einops")
    register_with_einops()
    register_with_einops()  # once more does no harm
    for function, arguments in (
        (einops.rearrange, {"pattern": "(a b) c -> b (c a)", "b": 2}),
        (einops.reduce, {"pattern": "(a b) c -> a c", "reduction": "mean", "b": 4}),
        (einops.repeat, {"pattern": "a b -> a (b c)", "c": 2}),
    ):
        found = function(x, **arguments)
        assert isinstance(found, Array)
        np.testing.assert_allclose(found, function(X, **arguments), rtol=1e-14)
        jitted = rf.jit(lambda x, f=function, a=arguments: f(x, **a))(x)
        np.testing.assert_allclose(jitted, found, rtol=1e-14)
    gradient = rf.grad(lambda x: einops.reduce(x**2, "a b -> ", "sum"))(x)
    np.testing.assert_allclose(gradient, 2 * X)
    packed, shapes = einops.pack([x, x[0]], "* c")
    assert packed.shape == (9, 5)
    assert [p.shape for p in einops.unpack(packed, shapes, "* c")] == [(8, 5), (5,)]
    np.testing.assert_allclose(einops.einsum(x, x, "a b, c b -> a c"), X @ X.T, rtol=1e-13)


@pytest.mark.oracle
def test_einops_array_api_needs_no_registration(x):
    einops = pytest.importorskip("einops.array_api")
    found = einops.rearrange(x, "(a b) c -> a b c", b=2)
    np.testing.assert_array_equal(found, X.reshape(4, 2, 5))
    np.testing.assert_array_equal(
        rf.jit(lambda x: einops.reduce(x, "a b -> b", "max"))(x), X.max(0)
    )


@pytest.mark.parametrize("backend", ["auto", "rtfunc.numpy"])
def test_opt_einsum(x, backend):
    opt_einsum = pytest.importorskip("opt_einsum")

    def contract(x, y):
        return opt_einsum.contract("ij,jk,kl->il", x, y, x, backend=backend)

    wanted = X @ X.T @ X
    found = contract(x, x.T)
    assert isinstance(found, Array)
    np.testing.assert_allclose(found, wanted, rtol=1e-12)
    np.testing.assert_allclose(rf.jit(contract)(x, x.T), wanted, rtol=1e-12)
    rf.testing.check_grads(contract, (X[:2, :2], X[:2, :2]), order=1)
    trace = opt_einsum.contract("ii,ij->j", rnp.ones((3, 3)), rnp.ones((3, 3)), backend=backend)
    np.testing.assert_array_equal(trace, [3, 3, 3])


def test_matplotlib_draws_arrays(x):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots()
    try:
        (line,) = axes.plot(x[:, 0], x[:, 1])
        np.testing.assert_array_equal(line.get_xdata(), X[:, 0])
        counts = axes.hist(x[:, 0], bins=4)[0]
        np.testing.assert_array_equal(counts, np.histogram(X[:, 0], 4)[0])
        axes.imshow(x)
        axes.scatter(x[:, 0], x[:, 1], c=x[:, 2])
        axes.errorbar(x[:, 0], x[:, 1], yerr=rnp.abs(x[:, 2]))
        axes.bar(rnp.arange(3), rnp.arange(3))
        axes.contourf(x)
        figure.canvas.draw()
    finally:
        plt.close(figure)


@pytest.mark.oracle
def test_columns_of_pandas(x):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": x[:, 0], "b": x[:, 1]})
    np.testing.assert_array_equal(frame.to_numpy(), X[:, :2])
    assert frame["a"].dtype == np.float64
    for given, wanted in (
        (frame["a"], X[:, 0]),
        (frame, X[:, :2]),
        (frame.index, np.arange(8)),
        (pandas.array([1, 2], dtype="Int64"), np.array([1, 2])),
        (pandas.Series([True, False]), np.array([True, False])),
    ):
        found = rnp.asarray(given)
        assert isinstance(found, Array)
        np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(frame.assign(c=x[:, 2])["c"], X[:, 2])
    with pytest.raises(DtypeError, match=r"of type Series\. Convert it first"):
        rnp.sin(frame["a"])


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "uint8", "complex64", "bool"])
def test_dlpack_with_torch(dtype):
    torch = pytest.importorskip("torch")
    x = rnp.asarray(np.array([[1, 0, 1]], dtype))
    tensor = torch.from_dlpack(x)
    assert tensor.shape == (1, 3)
    np.testing.assert_array_equal(tensor.numpy(), np.asarray(x))
    for back in (rnp.from_dlpack(tensor), rnp.asarray(tensor)):
        assert isinstance(back, Array)
        np.testing.assert_array_equal(back, x, strict=True)
    before = np.asarray(rnp.from_dlpack(tensor)).copy()
    taken = rnp.from_dlpack(tensor)
    tensor.zero_()  # the tensor's owner may write to it; what was taken is a copy
    np.testing.assert_array_equal(taken, before)


@pytest.mark.oracle
def test_dtypes_that_dlpack_of_numpy_lacks_are_refused_with_advice():
    torch = pytest.importorskip("torch")
    with pytest.raises(DtypeError, match=r"bfloat16\): .*converted before: to float32"):
        rnp.from_dlpack(torch.ones(2, dtype=torch.bfloat16))
    with pytest.raises(BufferError, match="does not know bfloat16; convert"):
        torch.from_dlpack(rnp.ones(2, dtype="bfloat16"))


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", ["float32", "int32", "uint8", "complex64", "bool"])
def test_dlpack_with_jax(dtype):
    jnp = pytest.importorskip("jax.numpy")
    x = rnp.asarray(np.array([[1, 0, 1]], dtype))
    theirs = jnp.from_dlpack(x)
    np.testing.assert_array_equal(np.asarray(theirs), np.asarray(x), strict=True)
    for back in (rnp.from_dlpack(theirs), rnp.asarray(theirs)):
        np.testing.assert_array_equal(back, x, strict=True)


def test_dlpack_with_cupy():
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed")
    if not cupy.cuda.is_available():
        pytest.skip("no GPU")
    x = rnp.from_dlpack(cupy.arange(3.0))
    assert x.device.platform == "gpu"
    np.testing.assert_array_equal(cupy.asnumpy(cupy.from_dlpack(x)), np.arange(3.0))


def test_functions_of_numpy_take_arrays(x):
    for function in (np.sin, np.sum, np.mean, lambda a: np.add(a, 1), np.concatenate, np.ravel):
        np.testing.assert_array_equal(function(x), function(X))
    np.testing.assert_array_equal(X[rnp.asarray([1, 2])], X[[1, 2]])
    changed = X.copy()
    changed[0] = x[1]
    np.testing.assert_array_equal(changed[0], X[1])
    assert isinstance(changed + x, Array)  # ours wins, so that traced values work, too


# Assigning items


def test_items_are_assigned_only_where_that_is_allowed():
    x = rnp.arange(4.0)
    shared, view = rnp.asarray(x), np.asarray(x)
    y = x + 0
    with item_assignment():
        y[1:3] = 7.0
        y[rnp.asarray([0])] = rnp.asarray([5.0])
        y[y > 6] = -1
        y[()] += 1
    np.testing.assert_array_equal(y, [6, 0, 0, 4])
    np.testing.assert_array_equal(shared, [0, 1, 2, 3])
    with item_assignment():
        x[0] = 9.0
    np.testing.assert_array_equal(view, [0, 1, 2, 3])  # memory is never written to
    with pytest.raises(ImmutableArrayError, match=r"x\.at\[i\]\.set\(v\)"):
        y[0] = 1.0


def test_constants_that_results_share_are_not_assigned_to():
    count = rnp.average(rnp.ones(6), returned=True)[1]
    with item_assignment(), pytest.raises(ImmutableArrayError):
        count[()] = 5.0
    assert float(rnp.average(rnp.ones(6), returned=True)[1]) == 6


def test_traced_values_are_not_assigned_to():
    def function(x):
        x[0] = 1.0
        return x

    with item_assignment(), pytest.raises(ImmutableArrayError, match="immutable"):
        rf.jit(function)(rnp.zeros(2))
