"""Conformance to the Python array API standard, 2024.12.

https://data-apis.org/array-api/2024.12/API_specification/
"""

from __future__ import annotations

import inspect
import math
import operator
from typing import Any

import numpy as np
import pytest

import rtfunc as rf
import rtfunc.numpy as rnp
from rtfunc.core.array import Array
from rtfunc.core.errors import ArgumentError, DeviceError, DtypeError, TracerError
from tests.numpy.special_cases import CASES, UNSIGNED

# The standard's functions and their parameters, in its notation.
SIGNATURES = """
arange(start, /, stop=None, step=1, *, dtype=None, device=None)
asarray(obj, /, *, dtype=None, device=None, copy=None)
empty(shape, *, dtype=None, device=None)
empty_like(x, /, *, dtype=None, device=None)
eye(n_rows, n_cols=None, /, *, k=0, dtype=None, device=None)
from_dlpack(x, /, *, device=None, copy=None)
full(shape, fill_value, *, dtype=None, device=None)
full_like(x, /, fill_value, *, dtype=None, device=None)
linspace(start, stop, /, num, *, dtype=None, device=None, endpoint=True)
meshgrid(*arrays, indexing='xy')
ones(shape, *, dtype=None, device=None)
ones_like(x, /, *, dtype=None, device=None)
tril(x, /, *, k=0)
triu(x, /, *, k=0)
zeros(shape, *, dtype=None, device=None)
zeros_like(x, /, *, dtype=None, device=None)
astype(x, dtype, /, *, copy=True, device=None)
can_cast(from_, to, /)
finfo(type, /)
iinfo(type, /)
isdtype(dtype, kind)
result_type(*arrays_and_dtypes)
clip(x, /, min=None, max=None)
take(x, indices, /, *, axis=None)
take_along_axis(x, indices, /, *, axis=-1)
matmul(x1, x2, /)
matrix_transpose(x, /)
tensordot(x1, x2, /, *, axes=2)
vecdot(x1, x2, /, *, axis=-1)
broadcast_arrays(*arrays)
broadcast_to(x, /, shape)
concat(arrays, /, *, axis=0)
expand_dims(x, /, *, axis=0)
flip(x, /, *, axis=None)
moveaxis(x, source, destination, /)
permute_dims(x, /, axes)
repeat(x, repeats, /, *, axis=None)
reshape(x, /, shape, *, copy=None)
roll(x, /, shift, *, axis=None)
squeeze(x, /, axis)
stack(arrays, /, *, axis=0)
tile(x, repetitions, /)
unstack(x, /, *, axis=0)
argmax(x, /, *, axis=None, keepdims=False)
argmin(x, /, *, axis=None, keepdims=False)
count_nonzero(x, /, *, axis=None, keepdims=False)
nonzero(x, /)
searchsorted(x1, x2, /, *, side='left', sorter=None)
where(condition, x1, x2, /)
unique_all(x, /)
unique_counts(x, /)
unique_inverse(x, /)
unique_values(x, /)
argsort(x, /, *, axis=-1, descending=False, stable=True)
sort(x, /, *, axis=-1, descending=False, stable=True)
cumulative_prod(x, /, *, axis=None, dtype=None, include_initial=False)
cumulative_sum(x, /, *, axis=None, dtype=None, include_initial=False)
max(x, /, *, axis=None, keepdims=False)
mean(x, /, *, axis=None, keepdims=False)
min(x, /, *, axis=None, keepdims=False)
prod(x, /, *, axis=None, dtype=None, keepdims=False)
std(x, /, *, axis=None, correction=0.0, keepdims=False)
sum(x, /, *, axis=None, dtype=None, keepdims=False)
var(x, /, *, axis=None, correction=0.0, keepdims=False)
all(x, /, *, axis=None, keepdims=False)
any(x, /, *, axis=None, keepdims=False)
diff(x, /, *, axis=-1, n=1, prepend=None, append=None)
__array_namespace_info__()
"""
UNARY = (
    "abs acos acosh asin asinh atan atanh bitwise_invert ceil conj cos cosh exp expm1 floor imag "
    "isfinite isinf isnan log log1p log2 log10 logical_not negative positive real reciprocal round "
    "sign signbit sin sinh square sqrt tan tanh trunc"
).split()
BINARY = (
    "add atan2 bitwise_and bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor copysign "
    "divide equal floor_divide greater greater_equal hypot less less_equal logaddexp logical_and "
    "logical_or logical_xor maximum minimum multiply nextafter not_equal pow remainder subtract"
).split()
SIGNATURES += "".join(f"{name}(x, /)\n" for name in UNARY)
SIGNATURES += "".join(f"{name}(x1, x2, /)\n" for name in BINARY)
METHODS = """
__abs__ __add__ __and__ __array_namespace__ __bool__ __complex__ __dlpack__ __dlpack_device__ __eq__
__float__ __floordiv__ __ge__ __getitem__ __gt__ __index__ __int__ __invert__ __le__ __lshift__
__lt__ __matmul__ __mod__ __mul__ __ne__ __neg__ __or__ __pos__ __pow__ __rshift__ __setitem__
__sub__ __truediv__ __xor__ to_device __radd__ __rand__ __rfloordiv__ __rlshift__ __rmatmul__
__rmod__ __rmul__ __ror__ __rpow__ __rrshift__ __rsub__ __rtruediv__ __rxor__
dtype device mT ndim shape size T
""".split()


def _parameters(text: str) -> inspect.Signature:
    name, _, rest = text.partition("(")
    space: dict[str, Any] = {}
    exec(f"def function({rest.rstrip(')')}): pass", space)
    return inspect.signature(space["function"])


@pytest.mark.parametrize("text", SIGNATURES.split("\n")[1:-1], ids=lambda t: t.partition("(")[0])
def test_a_function_takes_the_parameters_of_the_standard(text):
    name = text.partition("(")[0]
    standard, function = _parameters(text), getattr(rnp, name)
    ours = list(inspect.signature(function).parameters.values())
    named = {p.name: p for p in ours}
    for place, p in enumerate(standard.parameters.values()):
        if p.kind is p.VAR_POSITIONAL:
            assert ours[place].kind is p.VAR_POSITIONAL
        elif p.kind is p.POSITIONAL_ONLY:
            assert ours[place].kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        elif p.kind is p.POSITIONAL_OR_KEYWORD:
            assert ours[place].name == p.name
            assert ours[place].kind is p.POSITIONAL_OR_KEYWORD
        else:
            assert named[p.name].kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)


@pytest.mark.parametrize("name", METHODS)
def test_the_array_has_the_attributes_of_the_standard(name):
    assert hasattr(Array, name)


def test_constants():
    assert (rnp.e, rnp.pi, rnp.inf, rnp.newaxis) == (math.e, math.pi, math.inf, None)
    assert math.isnan(rnp.nan)


# Dtypes


REAL = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
FLOATS, COMPLEX = ["float32", "float64"], ["complex64", "complex128"]


@pytest.mark.parametrize("name", ["bool", *REAL, *FLOATS, *COMPLEX])
def test_dtypes(name):
    dtype = getattr(rnp, name)
    x = rnp.zeros(2, dtype=dtype)
    assert x.dtype == dtype
    assert dtype == x.dtype
    assert rnp.isdtype(dtype, dtype)
    assert rnp.isdtype(x.dtype, (rnp.bool, "numeric"))


def test_kinds_of_dtypes():
    kinds = {
        "bool": ["bool"],
        "signed integer": REAL[:4],
        "unsigned integer": REAL[4:],
        "integral": REAL,
        "real floating": FLOATS,
        "complex floating": COMPLEX,
        "numeric": REAL + FLOATS + COMPLEX,
    }
    info = rnp.__array_namespace_info__()
    for kind, members in kinds.items():
        for name in ["bool", *REAL, *FLOATS, *COMPLEX]:
            assert rnp.isdtype(getattr(rnp, name), kind) == (name in members)
        assert sorted(info.dtypes(kind=kind)) == sorted(members)
    assert sorted(info.dtypes()) == sorted(["bool", *REAL, *FLOATS, *COMPLEX])
    assert sorted(info.dtypes(kind=("bool", "real floating"))) == sorted(["bool", *FLOATS])
    with pytest.raises(DtypeError, match="'round' is not a dtype"):
        rnp.isdtype(rnp.int32, "round")


def _promotion_table() -> list[tuple[str, str, str]]:
    """Within the kinds that the standard promotes: the dtype that NumPy's table has, too."""
    groups = [REAL[:4], REAL[4:], FLOATS, COMPLEX, FLOATS + COMPLEX, ["bool"]]
    pairs = {(a, b) for group in groups for a in group for b in group}
    # Mixed signs: the next larger signed integer. uint64 with a signed integer is not in the table.
    pairs |= {(a, b) for a in REAL[:4] for b in REAL[4:7]}
    pairs |= {(b, a) for a, b in pairs}
    return [(a, b, str(np.promote_types(a, b))) for a, b in sorted(pairs)]


@pytest.mark.parametrize(("a", "b", "wanted"), _promotion_table())
def test_type_promotion(a, b, wanted):
    x, y = rnp.ones(2, dtype=a), rnp.ones(2, dtype=b)
    assert rnp.result_type(x, y) == wanted
    assert rnp.result_type(x.dtype, y.dtype) == wanted
    assert rnp.result_type(x, b) == wanted
    if a == "bool":
        assert rnp.logical_and(x, y).dtype == "bool"
        assert (x & y).dtype == (x | y).dtype == (x ^ y).dtype == wanted
    else:
        assert rnp.add(x, y).dtype == rnp.multiply(x, y).dtype == (x - y).dtype == wanted
    assert rnp.concat([x, y]).dtype == rnp.where(x == y, x, y).dtype == wanted


@pytest.mark.parametrize("dtype", [*REAL, *FLOATS, *COMPLEX])
def test_python_scalars_take_the_dtype_of_the_array(dtype):
    x = rnp.ones(3, dtype=dtype)
    scalars: list[Any] = [2]
    if dtype in FLOATS + COMPLEX:
        scalars.append(2.5)
    if dtype in COMPLEX:
        scalars.append(2j)
    for s in scalars:
        for operation in (operator.add, operator.sub, operator.mul):
            for result in (operation(x, s), operation(s, x)):
                assert result.dtype == dtype
                assert result.shape == (3,)
        assert (x == s).dtype == "bool"
        assert rnp.result_type(x, s) == dtype
    changed = x
    changed += 2
    changed *= 3
    changed -= 1
    assert changed.dtype == dtype
    np.testing.assert_array_equal(changed, np.full(3, 8, dtype))
    np.testing.assert_array_equal(x, np.ones(3, dtype))


OPERATORS = {
    "+": (operator.add, operator.iadd, [*REAL, *FLOATS, *COMPLEX]),
    "-": (operator.sub, operator.isub, [*REAL, *FLOATS, *COMPLEX]),
    "*": (operator.mul, operator.imul, [*REAL, *FLOATS, *COMPLEX]),
    "/": (operator.truediv, operator.itruediv, [*FLOATS, *COMPLEX]),
    "//": (operator.floordiv, operator.ifloordiv, [*REAL, *FLOATS]),
    "%": (operator.mod, operator.imod, [*REAL, *FLOATS]),
    "**": (operator.pow, operator.ipow, [*REAL, *FLOATS, *COMPLEX]),
    "@": (operator.matmul, operator.imatmul, [*REAL, *FLOATS, *COMPLEX]),
    "&": (operator.and_, operator.iand, ["bool", *REAL]),
    "|": (operator.or_, operator.ior, ["bool", *REAL]),
    "^": (operator.xor, operator.ixor, ["bool", *REAL]),
    "<<": (operator.lshift, operator.ilshift, REAL),
    ">>": (operator.rshift, operator.irshift, REAL),
}


@pytest.mark.parametrize("symbol", OPERATORS)
def test_operators_are_numpys_also_in_place_and_reflected(symbol):
    function, in_place, names = OPERATORS[symbol]
    for name in names:
        a = np.array([[1, 3], [2, 1]], name)
        b = np.array([[1, 2], [3, 1]], name)
        x, y = rnp.asarray(a), rnp.asarray(b)
        # Quotients and powers in float32 are rounded differently in the last place.
        options = {"rtol": 3e-7 if name in ("float32", "complex64") else 1e-15}
        wanted = function(a, b)
        np.testing.assert_allclose(function(x, y), wanted, **options)
        assert function(x, y).dtype == name
        np.testing.assert_allclose(function(a, y), wanted, **options)  # NumPy's array on the left
        assert isinstance(function(a, y), Array)
        changed = in_place(x, y)
        np.testing.assert_allclose(changed, wanted, **options)
        np.testing.assert_array_equal(x, a)  # the name is bound anew; the array stays
        if symbol != "@":
            scalar = bool(b[0, 0]) if name == "bool" else int(b[0, 1].real)
            np.testing.assert_allclose(function(x, scalar), function(a, scalar), **options)
            np.testing.assert_allclose(function(scalar, x), function(scalar, a), **options)


def test_items_are_not_assigned():
    x = rnp.zeros(3)
    with pytest.raises(TypeError, match=r"x.at\[i\].set\(v\)"):
        x[0] = 1.0


@pytest.mark.parametrize("jit", [False, True], ids=["eager", "jit"])
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", CASES)
def test_special_cases(name, dtype, jit):
    *columns, wanted = zip(*CASES[name])
    operands = [rnp.asarray(np.array(c, dtype)) for c in columns]
    function = getattr(rnp, name)
    result = np.asarray((rf.jit(function) if jit else function)(*operands))
    if result.dtype == np.bool_:
        np.testing.assert_array_equal(result, wanted)
        return
    assert result.dtype == dtype
    # Multiples of pi are correct to an ulp or two.
    tolerance = 3 * np.finfo(dtype).eps
    for case, r, w in zip(CASES[name], result, np.array(wanted, dtype)):
        if np.isnan(w):
            assert np.isnan(r), (case, r)
        else:
            assert r == w or abs(r - w) <= tolerance * abs(w), (case, r)
            if r == 0 and (name, case[0]) not in UNSIGNED:
                assert np.signbit(r) == np.signbit(w), (case, r)


GRID = np.array([-math.inf, -2.0, -0.0, 0.0, 2.0, math.inf, math.nan])


@pytest.mark.parametrize(
    "name",
    "acos acosh asin asinh atan atanh cos cosh exp expm1 log log1p sin sinh sqrt tan tanh".split(),
)
def test_special_cases_of_complex_numbers_are_those_of_c99(name):
    z = np.array([complex(a, b) for a in GRID for b in GRID])
    with np.errstate(all="ignore"):
        wanted = getattr(np, {"acos": "arccos", "asin": "arcsin"}.get(name, name))(z)
    found = np.asarray(getattr(rnp, name)(z))
    np.testing.assert_allclose(found, wanted, rtol=1e-14)


# Inspection, devices, exchange


def test_the_namespace():
    x = rnp.ones(2)
    assert x.__array_namespace__() is rnp
    assert x.__array_namespace__(api_version="2024.12") is rnp
    assert x.__array_namespace__(api_version="2022.12") is rnp
    with pytest.raises(DtypeError, match=r"not 2030\.01"):
        x.__array_namespace__(api_version="2030.01")
    assert rnp.__array_api_version__ == "2024.12"
    info = rnp.__array_namespace_info__()
    assert info.default_device() == x.device
    assert x.device in info.devices()
    assert info.capabilities() == {
        "boolean indexing": True,
        "data-dependent shapes": True,
        "max dimensions": 64,
    }
    defaults = info.default_dtypes()
    assert defaults["real floating"] == rnp.ones(1).dtype
    assert defaults["complex floating"] == rnp.asarray(1j).dtype
    assert defaults["integral"] == rnp.arange(2).dtype
    assert defaults["indexing"] == rnp.argmax(x).dtype == rnp.argsort(x).dtype
    assert info.default_dtypes(device=x.device) == defaults
    assert info.dtypes(device=x.device) == info.dtypes()


def test_the_most_axes_that_capabilities_promise():
    x = rnp.ones((1,) * 64)
    assert (x + x).ndim == 64


def test_devices():
    x = rnp.ones(2)
    assert x.to_device(x.device).device == x.device
    assert x.to_device("cpu", stream=None).device == x.device
    for made in (
        rnp.zeros(2, device=x.device),
        rnp.asarray([1], device=x.device),
        rnp.arange(3, device="cpu"),
        rnp.linspace(0, 1, 3, device=x.device),
        rnp.eye(2, device=x.device),
        rnp.full_like(x, 2.0, device=x.device),
        rnp.empty_like(x, device=x.device),
        rnp.astype(x, rnp.float64, device=x.device),
        rnp.from_dlpack(x, device=x.device),
    ):
        assert made.device == x.device
    with pytest.raises(DeviceError, match="'tpu' is not a device"):
        rnp.zeros(2, device="tpu")


@pytest.mark.parametrize("dtype", [*REAL, *FLOATS, *COMPLEX, "bool"])
def test_dlpack_goes_both_ways(dtype):
    x = rnp.asarray(np.array([[1, 0, 1]], dtype))
    assert x.__dlpack_device__() == (1, 0)
    for back in (np.from_dlpack(x), rnp.from_dlpack(x), rnp.from_dlpack(np.asarray(x).copy())):
        np.testing.assert_array_equal(np.asarray(back), np.asarray(x), strict=True)
    assert x.__dlpack__(max_version=(1, 0), dl_device=(1, 0), copy=True) is not None


def test_a_writeable_buffer_is_copied_on_the_way_in():
    buffer = np.zeros(3)
    x = rnp.from_dlpack(buffer)
    buffer[0] = 7.0
    np.testing.assert_array_equal(x, [0, 0, 0])
    exported = np.from_dlpack(x)
    assert not exported.flags.writeable
    assert np.shares_memory(exported, np.asarray(x))


def test_asarray_and_astype_copy_as_they_are_asked_to():
    x = rnp.arange(3)
    assert rnp.asarray(x, copy=False) is not None
    assert not np.shares_memory(np.asarray(rnp.asarray(x, copy=True)), np.asarray(x))
    np.testing.assert_array_equal(rnp.astype(x, rnp.float32, copy=True), x)
    np.testing.assert_array_equal(rnp.astype(x, rnp.int32, copy=False), x)
    with pytest.raises(ArgumentError, match="needs a copy"):
        rnp.asarray(x, dtype=rnp.float64, copy=False)
    for scalar, dtype in ((True, "bool"), (1, "int32"), (1.5, "float32"), (1j, "complex64")):
        assert rnp.asarray(scalar).dtype == dtype
    np.testing.assert_array_equal(rnp.asarray([[1, 2], [3, 4]]), np.array([[1, 2], [3, 4]]))
    np.testing.assert_array_equal(rnp.asarray(memoryview(b"ab")), [97, 98])


def test_python_scalars_of_arrays():
    assert (bool(rnp.asarray(1)), int(rnp.asarray(3)), float(rnp.asarray(1.5))) == (True, 3, 1.5)
    assert complex(rnp.asarray(1j)) == 1j
    assert [10, 20][rnp.asarray(1)] == 20
    with pytest.raises(TypeError):
        operator.index(rnp.asarray(1.0))


# What the standard says of particular functions


def test_limits_of_dtypes():
    for name in FLOATS:
        found = rnp.finfo(getattr(rnp, name))
        for attribute in ("bits", "eps", "max", "min", "smallest_normal"):
            assert getattr(found, attribute) == getattr(np.finfo(name), attribute)
        assert found.dtype == name
    assert rnp.finfo(rnp.complex64).bits == 32
    for name in REAL:
        found = rnp.iinfo(rnp.ones(1, dtype=name).dtype)
        assert (found.bits, found.max, found.min) == (
            np.iinfo(name).bits,
            np.iinfo(name).max,
            np.iinfo(name).min,
        )
        assert found.dtype == name


def test_can_cast():
    assert rnp.can_cast(rnp.int8, rnp.int16)
    assert not rnp.can_cast(rnp.int16, rnp.int8)
    assert not rnp.can_cast(rnp.float32, rnp.int32)
    assert rnp.can_cast(rnp.ones(2, dtype=rnp.float32), rnp.float64)


def test_unique_functions_return_named_tuples_and_tell_nans_apart():
    x = rnp.asarray([[2.0, 1.0], [math.nan, 2.0], [math.nan, 1.0]])
    found = rnp.unique_all(x)
    assert found._fields == ("values", "indices", "inverse_indices", "counts")
    np.testing.assert_array_equal(found.values, [1, 2, math.nan, math.nan])
    np.testing.assert_array_equal(found.counts, [2, 2, 1, 1])
    assert found.inverse_indices.shape == x.shape
    np.testing.assert_array_equal(rnp.take(found.values, found.inverse_indices), x)
    np.testing.assert_array_equal(rnp.take(rnp.reshape(x, (-1,)), found.indices), found.values)
    assert rnp.unique_counts(x)._fields == ("values", "counts")
    assert rnp.unique_inverse(x)._fields == ("values", "inverse_indices")
    assert rnp.unique_values(x).shape == (4,)


@pytest.mark.parametrize(
    "function",
    [
        rnp.unique_values,
        rnp.unique_all,
        rnp.unique_counts,
        rnp.unique_inverse,
        rnp.nonzero,
        lambda x: x[x > 0],
        lambda x: rnp.repeat(x, rnp.astype(x, rnp.int32)),
    ],
)
def test_shapes_that_depend_on_data_are_refused_by_jit_with_advice(function):
    with pytest.raises(TracerError, match=r"size=|total_repeat_length=|where\(") as info:
        rf.jit(function)(rnp.arange(3.0))
    assert "depend" in str(info.value)
    function(rnp.arange(3.0))  # eagerly they work


@pytest.mark.parametrize("dtype", ["int8", "int16", "uint8", "uint16", "int64", "uint64"])
def test_sums_of_integers_are_at_least_the_default_integer(dtype):
    x = rnp.ones(300, dtype=dtype)
    wide = {"u": "uint32", "i": "int32"}[np.dtype(dtype).kind]
    wanted = dtype if np.dtype(dtype).itemsize == 8 else wide
    for function in (rnp.sum, rnp.prod, rnp.cumulative_sum, rnp.cumulative_prod):
        assert function(x).dtype == wanted
        assert function(x, dtype=rnp.float32).dtype == "float32"
    assert int(rnp.sum(x)) == 300


@pytest.mark.parametrize("dtype", FLOATS + COMPLEX)
def test_reductions_keep_floating_dtypes(dtype):
    x = rnp.ones((2, 3), dtype=dtype)
    for name in ("sum", "prod", "mean", "cumulative_sum"):
        options = {"axis": 1} if name.startswith("cum") else {}
        assert getattr(rnp, name)(x, **options).dtype == dtype
    if dtype in FLOATS:
        for name in ("var", "std", "max", "min"):
            assert getattr(rnp, name)(x).dtype == dtype


def test_reductions_of_no_elements():
    x = rnp.zeros((0, 2))
    assert float(rnp.sum(x)) == 0
    assert float(rnp.prod(x)) == 1
    assert bool(rnp.all(x))
    assert not bool(rnp.any(x))
    assert bool(rnp.isnan(rnp.mean(x)))
    np.testing.assert_array_equal(rnp.sum(x, axis=0), [0, 0])
    for axis in ((), (0, 1)):
        np.testing.assert_array_equal(
            rnp.sum(rnp.ones((2, 2)), axis=axis), np.sum(np.ones((2, 2)), axis=axis)
        )


def test_comparisons_and_clip_with_scalars():
    x = rnp.asarray([1, 5, 9])
    np.testing.assert_array_equal(rnp.clip(x, 2, 6), [2, 5, 6])
    assert rnp.clip(x, 2, 6).dtype == x.dtype
    np.testing.assert_array_equal(rnp.clip(x), x)
    np.testing.assert_array_equal(rnp.maximum(x, 4), [4, 5, 9])
    np.testing.assert_array_equal(rnp.where(x > 4, x, 0), [0, 5, 9])


def test_cumulative_sums_with_the_initial_value():
    x = rnp.asarray([1, 2, 3])
    np.testing.assert_array_equal(rnp.cumulative_sum(x, include_initial=True), [0, 1, 3, 6])
    np.testing.assert_array_equal(rnp.cumulative_prod(x, include_initial=True), [1, 1, 2, 6])


def test_sort_is_stable_in_both_directions():
    x = rnp.asarray([2, 1, 2, 3])
    np.testing.assert_array_equal(rnp.argsort(x, descending=True, stable=True), [3, 0, 2, 1])
    np.testing.assert_array_equal(rnp.searchsorted(rnp.sort(x), x, side="right"), [3, 1, 3, 4])


def test_results_of_several_arrays_are_tuples_or_lists_of_arrays():
    for found in (rnp.broadcast_arrays(rnp.ones(2), rnp.ones((3, 1))), rnp.meshgrid(rnp.ones(2))):
        assert isinstance(found, (list, tuple))
    assert isinstance(rnp.unstack(rnp.ones((2, 3))), tuple)
    assert isinstance(rnp.nonzero(rnp.ones(2)), tuple)


@pytest.mark.oracle
def test_the_strict_implementation_has_no_function_that_we_lack():
    strict = pytest.importorskip("array_api_strict")
    own = {"ArrayAPIStrictFlags", "Device", "ModuleType"}
    names = {
        n for n in dir(strict) if not n.startswith("_") and not n.endswith("array_api_strict_flags")
    }
    assert {n for n in names - own if not hasattr(rnp, n)} == set()
