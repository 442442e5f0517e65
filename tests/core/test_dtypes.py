"""Dtypes: names, predicates, and JAX's promotion table."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import rtfunc as rf
import rtfunc.numpy as rnp
from rtfunc.core import dtypes
from rtfunc.core.dtypes import as_dtype, promote
from rtfunc.core.errors import ArgumentError, DtypeError


def test_python_types_mean_the_defaults():
    assert as_dtype(int) == np.int32
    assert as_dtype(float) == np.float32
    assert as_dtype(complex) == np.complex64
    assert as_dtype(bool) == np.bool_
    for name, expected in (("int", "int32"), ("float", "float32"), ("bool_", "bool")):
        assert as_dtype(name) == np.dtype(expected)


@pytest.mark.parametrize("dtype", dtypes.storable, ids=str)
def test_every_dtype_by_every_name(dtype):
    for name in (dtype, str(dtype), dtype.type, np.zeros(1, dtype), rnp.zeros(1, dtype)):
        assert as_dtype(name) == dtype
    predicates = (dtypes.is_float, dtypes.is_integer, dtypes.is_complex)
    assert sum(p(dtype) for p in predicates) == (dtype != np.bool_)
    assert dtypes.is_inexact(dtype) == (dtypes.is_float(dtype) or dtypes.is_complex(dtype))


def test_byte_order_is_made_native():
    assert as_dtype(">f4") == np.dtype("float32")
    assert as_dtype(">f4").isnative
    np.testing.assert_array_equal(rnp.asarray(np.array([1.0, 2.0], ">f8")), [1.0, 2.0])


@pytest.mark.parametrize("bad", ["flaot32", object, "datetime64[s]", np.dtype("U3"), 3, "float128"])
def test_what_is_not_a_dtype(bad):
    with pytest.raises(DtypeError, match=r"is not (a dtype|supported)"):
        as_dtype(bad)


@pytest.mark.parametrize("a", dtypes.everything, ids=str)
def test_promotion_is_commutative_and_idempotent(a):
    for b in dtypes.everything:
        assert promote(a, False, b, False) == promote(b, False, a, False)
    assert promote(a, False, a, False) == (a, False)
    assert promote(a, True, a, False) == (a, False)


@pytest.mark.parametrize("a", dtypes.everything, ids=str)
def test_promotion_is_associative(a):
    for b, c in itertools.product(dtypes.everything, repeat=2):
        left = promote(*promote(a, False, b, False), c, False)
        right = promote(a, False, *promote(b, False, c, False))
        assert left[0] == right[0], (a, b, c)


def test_explicit_64_bit_stays():
    assert (rnp.ones(2, "float64") * 2.5).dtype == np.float64
    assert (np.ones(2) + rnp.ones(2)).dtype == np.float64
    assert (rnp.asarray(np.arange(3)) + 1).dtype == np.int64
    assert rnp.arange(3).dtype == np.int32
    assert rnp.asarray(2**40).dtype == np.int64


def test_limits():
    assert rnp.finfo("bfloat16").bits == 16
    assert rnp.iinfo("uint8").max == 255
    assert dtypes.lowest(np.dtype("float32")) == -np.inf
    assert dtypes.highest(np.dtype("int8")) == 127
    assert dtypes.lowest(np.dtype(bool)) == False  # noqa: E712
    with pytest.raises(ArgumentError, match="finfo takes a floating-point dtype, not int32"):
        dtypes.finfo("int32")
    with pytest.raises(ArgumentError, match="iinfo takes an integer dtype, not float32"):
        dtypes.iinfo("float32")


def test_relatives():
    assert dtypes.real_of(dtypes.complex128) == np.float64
    assert dtypes.complex_of(dtypes.float64) == np.complex128
    assert dtypes.complex_of(dtypes.bfloat16) == np.complex64
    assert dtypes.to_inexact(dtypes.int8) == np.float32
    assert dtypes.compute_dtype(dtypes.bfloat16) == np.float32
    assert dtypes.compute_dtype(dtypes.float64) == np.float64


PYTHON = {"bool": True, "int": 2, "float": 2.5, "complex": 1j}


@pytest.mark.oracle
@pytest.mark.parametrize(
    "a", [d for d in dtypes.everything if d.itemsize <= 4 or d == "complex64"], ids=str
)
def test_the_table_is_jaxs(a):
    jax = pytest.importorskip("jax")
    jnp = jax.numpy
    for b in dtypes.everything:
        if b.itemsize > 4 and b != dtypes.complex64:
            continue
        ours = promote(a, False, b, False)[0]
        # Without its x64 flag JAX has no 64-bit types: int8 and uint32 meet in int32 there.
        assert jax.dtypes.canonicalize_dtype(ours) == jnp.promote_types(a, b), (a, b)
    for value in PYTHON.values():
        ours = rnp.add(rnp.zeros(2, a), value)
        theirs = jnp.add(jnp.zeros(2, a), value)
        assert (ours.dtype, ours.weak_type) == (theirs.dtype, theirs.weak_type), value


@pytest.mark.oracle
def test_weak_types_are_jaxs():
    jax = pytest.importorskip("jax")
    jnp = jax.numpy
    programs = [
        lambda xp, x: x + 1,
        lambda xp, x: xp.sin(x) * 2.5,
        lambda xp, x: (x > 0) * 1.5,
        lambda xp, x: xp.asarray(x) + np.float32(1),
        lambda xp, x: xp.where(True, x, 2),
        lambda xp, x: x**2,
        lambda xp, x: xp.exp(x) + xp.ones(2, "bfloat16"),
    ]
    for program, x in itertools.product(programs, [1, 2.5, True, np.int8(3), np.float16(1)]):
        ours, theirs = program(rnp, rnp.asarray(x)), program(jnp, jnp.asarray(x))
        assert (ours.dtype, ours.weak_type) == (theirs.dtype, theirs.weak_type), (x, ours, theirs)


def test_float0_is_for_derivatives_only():
    assert rf.float0 == dtypes.float0
    with pytest.raises(DtypeError):
        promote(dtypes.float0, False, dtypes.float32, False)
