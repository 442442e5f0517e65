"""Derivatives of real functions of complex arguments: the convention of JAX."""

import numpy as np
import pytest

import rtfunc as rf
import rtfunc.numpy as rnp


def squared_modulus(z):
    return rnp.abs(z) ** 2


@pytest.mark.parametrize("transform", [rf.grad, rf.jacrev])
def test_gradient_of_a_real_function_is_the_conjugate_of_the_steepest_ascent(transform):
    gradient = transform(squared_modulus)(np.complex128(3 + 4j))
    assert complex(gradient) == pytest.approx(6 - 8j)


def test_descent_along_the_conjugate_reaches_the_minimum():
    z = np.complex128(3 + 4j)
    for _ in range(60):
        z = z - 0.3 * np.conj(rf.grad(squared_modulus)(z))
    assert abs(z) < 1e-12  # each step shrinks z by 0.4


def test_forward_mode_has_no_gradient_of_a_real_function():
    message = r"jacfwd: argument 0 is complex128.*or use rtfunc\.jacrev"
    with pytest.raises(TypeError, match=message):
        rf.jacfwd(squared_modulus)(np.complex128(3 + 4j))


@pytest.mark.oracle
def test_agrees_with_jax():
    jax = pytest.importorskip("jax")
    z = np.array([1 + 2j, -0.5j], np.complex64)

    def function(xp):
        return lambda z: xp.sum(xp.real(z * z[0]) + xp.imag(xp.exp(z)))

    expected = jax.grad(function(jax.numpy))(z)
    np.testing.assert_allclose(rf.grad(function(rnp))(z), expected, rtol=1e-5)  # float32
