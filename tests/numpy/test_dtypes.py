"""Dtype names, promotion, kinds, limits, conversion and views."""

from __future__ import annotations

import copy
import itertools
import pickle

import ml_dtypes
import numpy as np
import pytest

import rtfunc.numpy as rnp
from rtfunc.core.errors import ArgumentError, DtypeError, ShapeError
from rtfunc.testing import check_grads

NAMES = [
    "bool",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "bfloat16",
    "float16",
    "float32",
    "float64",
    "complex64",
    "complex128",
]


def as_numpy(name):
    return np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name)


@pytest.mark.parametrize("name", NAMES)
def test_names_are_dtypes_and_make_arrays(name):
    kind = getattr(rnp, name)
    assert kind == as_numpy(name)
    assert as_numpy(name) == kind
    assert hash(kind) == hash(as_numpy(name))
    assert {kind: 1}[rnp.zeros(1, kind).dtype] == 1
    assert kind(1).dtype == as_numpy(name)
    assert not kind(1).weak_type
    assert np.zeros(2, kind.dtype).dtype == kind
    assert pickle.loads(pickle.dumps(kind)) == kind
    assert copy.deepcopy(kind) == kind
    assert repr(kind) == f"rtfunc.numpy.{name}"


def test_names_differ():
    assert rnp.float32 != rnp.float64
    assert rnp.float32 != "text"
    assert rnp.float_ == rnp.float32
    assert rnp.double == np.float64


def test_promotion_is_commutative_and_idempotent():
    for a, b in itertools.product(NAMES, NAMES):
        assert rnp.promote_types(a, b) == rnp.promote_types(b, a)
        assert rnp.promote_types(a, a) == as_numpy(a)


@pytest.mark.oracle
def test_promotion_is_jaxs():
    jax = pytest.importorskip("jax")
    with jax.enable_x64(True):
        for a, b in itertools.product(NAMES, NAMES):
            expected = jax.numpy.promote_types(as_numpy(a), as_numpy(b))
            if {"uint64"} < {a, b} and {a, b} & {"int8", "int16", "int32", "int64"}:
                # The one meeting of two strong dtypes in a weak type: the default float, which is
                # float64 with JAX's x64 flag and float32 here.
                expected = np.dtype("float32")
            assert rnp.promote_types(a, b) == expected, (a, b)
        for a, scalar in itertools.product(NAMES, (True, 2, 2.5, 1j)):
            expected = jax.numpy.result_type(as_numpy(a), scalar)
            found = rnp.result_type(as_numpy(a), scalar)
            if as_numpy(a).kind in "biu" and not isinstance(scalar, (bool, int)):
                expected = {"float64": "float32", "complex128": "complex64"}.get(
                    str(expected), expected
                )
            if a == "bool" and type(scalar) is int:
                expected = np.dtype("int32")  # the default integer, as above
            assert found == expected, (a, scalar)


def test_result_type_takes_arrays_numbers_and_dtypes():
    assert rnp.result_type(rnp.ones(2, "int8"), 1) == np.int8
    assert rnp.result_type(1, 2.0) == np.float32
    assert rnp.result_type("float16", rnp.bfloat16) == np.float32
    assert rnp.result_type([1.5, 2]) == np.float32
    with pytest.raises(ArgumentError, match="needs at least one argument"):
        rnp.result_type()


def test_can_cast():
    assert rnp.can_cast("int8", rnp.int16)
    assert not rnp.can_cast(rnp.float32, "int32")
    assert rnp.can_cast("bfloat16", "float32")
    assert rnp.can_cast("float64", "float32", casting="same_kind")


def test_kinds():
    assert rnp.isdtype(rnp.int8, "signed integer")
    assert rnp.isdtype("uint8", ("signed integer", "unsigned integer"))
    assert rnp.isdtype("float32", np.float32)
    assert not rnp.isdtype(rnp.bool, "numeric")
    assert rnp.isdtype("bfloat16", "numeric")
    with pytest.raises(ArgumentError, match="'real integer' is not a kind of dtype"):
        rnp.isdtype("int8", "real integer")
    for name in NAMES:
        if name == "bfloat16":
            continue
        for category in (
            np.floating,
            np.integer,
            np.inexact,
            np.number,
            np.generic,
            np.signedinteger,
            np.complexfloating,
            np.float32,
            "int8",
        ):
            assert rnp.issubdtype(name, category) == np.issubdtype(as_numpy(name), category)
    for category, expected in (
        (np.floating, True),
        (np.inexact, True),
        (np.number, True),
        (np.generic, True),
        (np.integer, False),
        (np.complexfloating, False),
        (np.float32, False),
    ):
        assert rnp.issubdtype(rnp.bfloat16, category) == expected
    assert rnp.issubdtype(rnp.bfloat16, "bfloat16")
    assert rnp.iscomplexobj(rnp.ones(1, complex))
    assert rnp.isrealobj([1.0])
    assert rnp.isscalar(rnp.asarray(1))
    assert not rnp.isscalar(rnp.ones(1))


def test_limits():
    assert rnp.finfo(rnp.bfloat16).bits == 16
    assert rnp.finfo("complex64").eps == np.finfo("float32").eps
    assert rnp.iinfo(rnp.uint8).max == 255
    with pytest.raises(ArgumentError, match="finfo takes a floating-point dtype, not int32"):
        rnp.finfo(rnp.int32)
    with pytest.raises(ArgumentError, match="iinfo takes an integer dtype"):
        rnp.iinfo("float32")


def test_unknown_dtypes_are_refused():
    with pytest.raises(DtypeError, match="'float31' is not a dtype"):
        rnp.zeros(1, "float31")
    with pytest.raises(DtypeError, match="dtype <U3 is not supported"):
        rnp.zeros(1, "U3")
    with pytest.raises(DtypeError, match="is not supported"):
        rnp.zeros(1, np.clongdouble)


@pytest.mark.parametrize("source", NAMES)
@pytest.mark.parametrize("target", NAMES)
def test_astype(source, target):
    x = np.array([0, 1, 3]).astype(as_numpy(source))
    found = rnp.astype(x, target)
    expected = (
        x.real if source.startswith("complex") and not target.startswith("complex") else x
    ).astype(as_numpy(target))
    np.testing.assert_array_equal(found, expected, strict=True)


def test_astype_saturates_and_copies():
    x = np.array([np.nan, np.inf, -np.inf, 300, -1.7])
    np.testing.assert_array_equal(rnp.astype(x, "int8"), np.array([0, 127, -128, 127, -1], "int8"))
    np.testing.assert_array_equal(rnp.astype(x, "uint8"), np.array([0, 255, 0, 255, 0], "uint8"))
    y = rnp.ones(2)
    assert rnp.astype(y, "float32") is y
    assert not np.shares_memory(np.asarray(rnp.astype(y, "float32", copy=True)), np.asarray(y))
    assert not rnp.asarray(1.0).astype("float32").weak_type


@pytest.mark.parametrize("source", NAMES)
@pytest.mark.parametrize("target", NAMES)
def test_view_is_numpys(source, target):
    x = np.arange(32).reshape(2, 16).astype(as_numpy(source))
    expected = x.view(as_numpy(target))
    if target == "bool":
        expected = x.view("uint8") != 0
    found = np.asarray(rnp.view(x, target))
    assert found.dtype == expected.dtype
    assert found.tobytes() == expected.tobytes()


def test_view_refuses_what_does_not_divide():
    with pytest.raises(ShapeError, match=r"view of int8\[3\] as int32"):
        rnp.view(np.zeros(3, "int8"), "int32")
    with pytest.raises(ShapeError, match="do not fill whole elements"):
        rnp.view(np.float32(1), "int8")


def test_conversion_is_differentiable():
    check_grads(lambda x: x.astype("complex128") * 1j, (np.ones(2),))
    check_grads(lambda x: x.astype("float64") ** 2, (np.ones(2) * (1 + 1j),))


def test_inspection():
    info = rnp.__array_namespace_info__()
    assert info.default_dtypes()["real floating"] == rnp.float32
    assert "float16" not in info.dtypes()
    assert set(info.dtypes(kind="integral")) == {n for n in NAMES if "int" in n}
    assert rnp.__array_api_version__ == "2024.12"
    assert info.default_device() in info.devices()
    assert info.capabilities()["boolean indexing"]
