"""Fourier transforms: against NumPy, 40-digit sums, and under transforms."""

from __future__ import annotations

import itertools

import mpmath
import numpy as np
import pytest

import rtfunc as rf
import rtfunc.numpy as rnp
from rtfunc import lax
from rtfunc.core.errors import ArgumentError, AxisError, DtypeError, ShapeError, TracerError

rng = np.random.default_rng(0)
X = rng.normal(size=(4, 5, 6))
Z = X + 1j * rng.normal(size=X.shape)

ONE_AXIS = ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft")
SEVERAL = ("fftn", "ifftn", "rfftn", "irfftn")
TWO = ("fft2", "ifft2", "rfft2", "irfft2")
NORMS = (None, "backward", "ortho", "forward")
#: Rounding of sums of some hundred numbers around 1, a few steps each.
TOLERANCE = {"float32": 3e-6, "float64": 3e-15}


def operand(function, dtype="float64"):
    if function in ("rfft", "ihfft", "rfftn", "rfft2"):
        return X.astype(dtype)
    return Z.astype("complex64" if dtype == "float32" else "complex128")


def assert_like_numpy(function, x, *args, **kwargs):
    found = getattr(rnp.fft, function)(x, *args, **kwargs)
    expected = getattr(np.fft, function)(x, *args, **kwargs)
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    tolerance = TOLERANCE[str(np.zeros((), found.dtype).real.dtype)]
    scale = max(1.0, np.abs(expected).max(initial=0))
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("function", ONE_AXIS)
def test_one_axis(function, dtype):
    x = operand(function, dtype)
    for n, axis, norm in itertools.product((None, 1, 3, 4, 9), (-1, 0, 1), NORMS):
        assert_like_numpy(function, x, n, axis, norm)
    assert_like_numpy(function, x[:0], axis=1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("function", SEVERAL)
def test_several_axes(function, dtype):
    x = operand(function, dtype)
    for axes, norm in itertools.product((None, (0,), (2, 0), (1, -1), (-1, 0, 1), [0, 1]), NORMS):
        assert_like_numpy(function, x, None, axes, norm)
    for s, axes in (
        *(((3, 7), (0, 2)), ((8, 2), (2, 1)), ((2, 3, 4), (0, 1, 2)), ((-1, 3), (0, 1))),
        *(() if function == "irfftn" else [((5, -1), (1, 2))]),
    ):
        assert_like_numpy(function, x, s, axes)
    found = getattr(rnp.fft, function)(x, (3, 7))  # NumPy calls the missing axes deprecated
    np.testing.assert_array_equal(found, getattr(rnp.fft, function)(x, (3, 7), (-2, -1)))


@pytest.mark.parametrize("function", TWO)
def test_two_axes(function):
    x = operand(function)
    for s, axes, norm in itertools.product((None, (3, 7)), ((-2, -1), (2, 0)), NORMS):
        assert_like_numpy(function, x, s, axes, norm)


@pytest.mark.parametrize("function", ["fft", "ifft", "fftn", "ifftn", "fft2", "irfft", "hfft"])
def test_real_operands_of_complex_transforms(function):
    for dtype in ("float32", "float64"):
        assert_like_numpy(function, X.astype(dtype))


def test_own_size_of_irfftn():
    expected = np.fft.irfftn(Z, (4, 10), (0, 2))
    np.testing.assert_allclose(rnp.fft.irfftn(Z, (-1, -1), (0, 2)), expected, atol=1e-14)


def test_no_axes():
    np.testing.assert_array_equal(rnp.fft.fftn(Z, axes=()), Z)
    np.testing.assert_array_equal(rnp.fft.fftn(np.float64(3.0)), 3.0 + 0j)


def test_dtypes():
    for dtype in ("int32", "int64", "bool", "float16", "bfloat16", "float32"):
        x = rnp.asarray(np.arange(4)).astype(dtype)
        assert rnp.fft.fft(x).dtype == np.complex64
        assert rnp.fft.rfft(x).dtype == np.complex64
        assert rnp.fft.irfft(x).dtype == np.float32
    assert rnp.fft.fft(np.arange(4.0)).dtype == np.complex128
    assert rnp.fft.hfft(np.arange(4.0)).dtype == np.float64


def exact(x):
    """The DFT in 40 digits, rounded to float64."""
    n = len(x)
    with mpmath.workdps(40):
        roots = [mpmath.expjpi(-2 * mpmath.mpf(k) / n) for k in range(n)]
        values = [mpmath.mpmathify(complex(v)) for v in x]
        return np.array(
            [complex(mpmath.fdot((v, roots[j * k % n]) for j, v in enumerate(values)))
             for k in range(n)]
        )  # fmt: skip


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("n", [2, 7, 16, 60, 97])
def test_accuracy_against_40_digits(n, dtype):
    """Each of log2(n) stages rounds a few times: the module's bound."""
    x = (rng.normal(size=n) + 1j * rng.normal(size=n)).astype(dtype)
    expected = exact(x)
    bound = 1.2 * np.finfo(dtype).eps / 2 * np.log2(n) * np.sqrt(np.mean(np.abs(expected) ** 2))
    for found in (rnp.fft.fft(x), np.asarray(rnp.fft.ifft(x[-np.arange(n)])) * n):
        assert np.sqrt(np.mean(np.abs(np.asarray(found) - expected) ** 2)) < bound
    found = np.asarray(rnp.fft.rfft(x.real))
    expected = exact(x.real)[: n // 2 + 1]
    assert np.sqrt(np.mean(np.abs(found - expected) ** 2)) < bound


@pytest.mark.parametrize("n", [1024, 1009, 4096])
def test_accuracy_of_single_precision_against_double(n):
    x = (rng.normal(size=n) + 1j * rng.normal(size=n)).astype("complex64")
    expected = np.fft.fft(x.astype("complex128"))
    error = np.abs(np.asarray(rnp.fft.fft(x)) - expected)
    bound = 1.2 * 2**-24 * np.log2(n)
    assert np.sqrt(np.mean(error**2)) < bound * np.sqrt(np.mean(np.abs(expected) ** 2))


PROGRAMS = {
    "fft": lambda x: rnp.fft.fft(x * (1 + 2j), axis=0),
    "of real": lambda x: rnp.fft.fftn(x, axes=(0, 2)),
    "ifft": lambda x: rnp.fft.ifft(x + 1j * x**2, 7, norm="ortho"),
    "rfft": lambda x: rnp.fft.rfft(rnp.sin(x), 4, 1, "forward"),
    "irfft": lambda x: rnp.fft.irfft(x * 1j + rnp.flip(x), 9),
    "hfft": lambda x: rnp.fft.hfft(x + 0.5j, axis=1),
    "ihfft": lambda x: rnp.fft.ihfft(x, axis=0),
    "rfftn": lambda x: rnp.fft.rfftn(x, (3, 8), (2, 0)),
    "irfftn": lambda x: rnp.fft.irfftn(x * (1 - 1j), (3, 5, 7)),
    "shift": lambda x: rnp.fft.ifftshift(rnp.fft.fftshift(x, 0), (0, 1)),
    "lax": lambda x: lax.fft(x, "RFFT", x.shape[1:]),
    "filter": lambda x: rnp.fft.irfft(
        rnp.fft.rfft(x) * rnp.exp(-rnp.fft.rfftfreq(6, dtype=x.dtype)), 6
    ),
}


def scalar_of(function):
    def total(x):
        y = function(x)
        return rnp.sum(rnp.abs(y * rnp.cos(rnp.arange(y.shape[-1]))) ** 2)

    return total


@pytest.mark.parametrize("function", PROGRAMS.values(), ids=PROGRAMS)
def test_jit_grad_and_vmap(function):
    x = X.astype("float64")
    expected = np.asarray(function(x))
    np.testing.assert_allclose(rf.jit(function)(x), expected, rtol=1e-12, atol=1e-12)
    batch = np.stack([x, -2 * x])
    looped = np.stack([function(b) for b in batch])
    np.testing.assert_allclose(rf.vmap(function)(batch), looped, rtol=1e-12, atol=1e-12)
    last = np.moveaxis(batch, 0, -1)
    np.testing.assert_allclose(
        rf.jit(rf.vmap(function, in_axes=-1))(last), looped, rtol=1e-12, atol=1e-12
    )
    total = scalar_of(function)
    direction = rng.normal(size=x.shape)
    slope = (float(total(x + 1e-6 * direction)) - float(total(x - 1e-6 * direction))) / 2e-6
    gradient = rf.grad(total)(x)
    # central differences: 1e-16 of the value, over 1e-6, and the next term of the series
    allowed = 1e-9 * float(total(x))
    np.testing.assert_allclose(np.sum(gradient * direction), slope, rtol=1e-7, atol=allowed)
    np.testing.assert_allclose(rf.jit(rf.grad(total))(x), gradient, rtol=1e-11, atol=1e-11)


def test_parseval_under_jit_in_single_precision():
    x = X.astype("float32")
    y = rf.jit(lambda x: rnp.fft.fftn(x, norm="ortho"))(x)
    assert y.dtype == np.complex64
    np.testing.assert_allclose(np.sum(np.abs(y) ** 2), np.sum(x**2), rtol=1e-6)


@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_frequencies(n):
    for d in (1.0, 0.3, 2):
        for name in ("fftfreq", "rfftfreq"):
            expected = getattr(np.fft, name)(n, d)
            found = getattr(rnp.fft, name)(n, d)
            assert found.dtype == np.float32
            np.testing.assert_allclose(found, expected.astype("float32"), rtol=1e-7)
            # NumPy multiplies with 1 / (n d): one rounding more
            found = getattr(rnp.fft, name)(n, d=d, dtype="float64", device="cpu")
            np.testing.assert_allclose(found, expected, rtol=3e-16)
            array = getattr(rnp.fft, name)(n, np.float64(d))
            np.testing.assert_allclose(array, expected, rtol=3e-16)
    slope = rf.grad(lambda d: rnp.sum(rnp.fft.fftfreq(n, d) ** 2))(np.float64(0.5))
    np.testing.assert_allclose(slope, -4 * np.sum(np.fft.fftfreq(n, 0.5) ** 2), rtol=1e-14)


def test_shifts():
    for axes in (None, 0, -1, (0, 2), (1,), ()):
        for name in ("fftshift", "ifftshift"):
            np.testing.assert_array_equal(
                getattr(rnp.fft, name)(X, axes=axes), getattr(np.fft, name)(X, axes)
            )


def test_lax_fft():
    np.testing.assert_array_equal(lax.fft(Z, "fft", 6), np.fft.fft(Z))
    half = Z[..., :5]
    np.testing.assert_array_equal(
        lax.fft(half, "IRFFT", (5, 9)), np.fft.irfftn(half, (5, 9), (1, 2))
    )


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (
            lambda: rnp.fft.fft(X, 0),
            ArgumentError,
            r"fft: an axis is transformed at 1 or more.*\(0,\)",
        ),
        (lambda: rnp.fft.irfft(X[..., :1]), ArgumentError, r"irfft: an axis.*\(4, 5, 1\)"),
        (lambda: rnp.fft.fft(X, 2.5), DtypeError, "fft: n is an integer, not 2.5"),
        (lambda: rnp.fft.fftn(X, (2.5,), (0,)), DtypeError, "fftn: an entry of s is an integer"),
        (lambda: rnp.fft.fft(X, axis=3), AxisError, "fft: axis 3 is out of bounds.*3 axes"),
        (lambda: rnp.fft.fft(np.float32(1)), AxisError, "fft: axis -1 is out of bounds"),
        (
            lambda: rnp.fft.fft(X, norm="full"),
            ArgumentError,
            "fft: norm is 'backward', 'ortho' or 'forward', not 'full'",
        ),
        (lambda: rnp.fft.hfft(X, norm="full"), ArgumentError, "hfft: norm is"),
        (lambda: rnp.fft.rfft(Z), DtypeError, r"rfft takes real arrays, not complex128\[4,5,6\]"),
        (lambda: rnp.fft.ihfft(Z), DtypeError, "ihfft takes real arrays"),
        (lambda: rnp.fft.fftn(X, (2, 3), (0,)), ShapeError, r"fftn: s has 2 sizes, but axes has 1"),
        (
            lambda: rnp.fft.fft2(X, axes=(0, 0)),
            AxisError,
            r"fft2: an axis is given twice in \(0, 0\)",
        ),
        (lambda: rnp.fft.rfftn(X, axes=()), ArgumentError, "rfftn needs at least one axis"),
        (
            lambda: rnp.fft.fft(X.astype("float32").view("int32").tolist()),
            DtypeError,
            "fft takes arrays and numbers",
        ),
        (
            lambda: rnp.fft.fft(rnp.zeros(2, "float8_e5m2")),
            DtypeError,
            "fft does not take float8_e5m2, which is for storage",
        ),
        (lambda: rnp.fft.fftfreq(0), ArgumentError, "fftfreq: n is 0; it is 1 or more"),
        (lambda: rnp.fft.fftfreq(2.0), DtypeError, "fftfreq: n is an integer, not 2.0"),
        (
            lambda: rnp.fft.rfftfreq(2, dtype="int32"),
            DtypeError,
            "rfftfreq returns real floating-point numbers, not int32",
        ),
        (lambda: rnp.fft.fftfreq(2, np.ones(2)), ShapeError, "fftfreq: d is a scalar"),
        (lambda: rf.jit(rnp.fft.fftfreq)(2), TracerError, "int32"),
        (lambda: rnp.fft.fftshift(X, (0, 0)), AxisError, "fftshift: an axis is given twice"),
        (
            lambda: lax.fft(X, "dct", 6),
            ArgumentError,
            "fft: the kind is one of 'fft', 'ifft', 'rfft', 'irfft', not 'dct'",
        ),
        (
            lambda: lax.fft(X, "fft", 5),
            ShapeError,
            r"fft of kind 'fft' with lengths \(5,\).*not float64\[4,5,6\]",
        ),
        (lambda: lax.fft(Z, "irfft", 6), ShapeError, r"the sizes \(4,\)"),
        (
            lambda: lax.fft(Z, "rfft", 6),
            DtypeError,
            "fft of kind 'rfft' takes float32 or float64, not complex128",
        ),
        (lambda: lax.fft(X[..., :0], "fft", 0), ArgumentError, "at 1 or more points"),
        (lambda: lax.fft(X, "fft", 6.0), DtypeError, "fft takes integers as lengths, not 6.0"),
    ],
)
def test_errors(call, error, text):
    with pytest.raises(error, match=text):
        call()


@pytest.mark.oracle
def test_gradients_as_in_jax():
    jax = pytest.importorskip("jax")
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    try:
        for name in (*ONE_AXIS, *SEVERAL):
            x = operand(name)
            weights = rng.normal(size=getattr(np.fft, name)(x).shape)
            for module, grad, where in ((rnp, rf.grad, {}), (jax.numpy, jax.grad, {})):
                function = getattr(module.fft, name)
                where["g"] = grad(
                    lambda x: module.sum(module.real(function(x) * (1 + 2j) * weights))
                )(x)
                if module is rnp:
                    ours = np.asarray(where["g"])
                else:
                    np.testing.assert_allclose(ours, where["g"], rtol=1e-12, atol=1e-13)
    finally:
        jax.config.update("jax_enable_x64", before)
