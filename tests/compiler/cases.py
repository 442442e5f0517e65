"""What the walk of native code tries: a primitive with params and operands, in all dtypes and shapes.

`cases_of(name)` are the registry's samples in every dtype that the shape rule takes, and cases made for the
family of the primitive: sizes around those of vectors, empty ones, one element, broadcasts, axes of all
kinds, and, at the end, arrays so large that their loops are shared among threads. Operands of elementwise
operations are ordinary numbers with zeros of both signs, infinities and NaN in between.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from rtfunc.core import dtypes
from rtfunc.core.aval import Aval
from rtfunc.core.errors import RtfuncError
from rtfunc.core.graph import graphs_in
from rtfunc.core.primitive import Primitive, primitives
from rtfunc.ops.conv import conv_dimension_numbers
from rtfunc.ops.elementwise import batch_elementwise
from rtfunc.ops.gather import GatherDimensionNumbers
from tests.ops import walk

#: More elements than a loop on one thread has, whatever it does.
LARGE = 70_003
SIZES = (0, 1, 2, 15, 16, 17, 31, 33, 63, 65)


@dataclasses.dataclass(frozen=True, eq=False)
class Case:
    """One application of a primitive.

    Attributes: dtype: of the operands that matter; large: whether threads share the work.
    """

    primitive: Primitive
    params: dict[str, Any]
    args: tuple[np.ndarray, ...]
    dtype: str
    note: str = ""
    large: bool = False

    def __str__(self) -> str:
        operands = ", ".join(f"{a.dtype}{list(a.shape)}" for a in self.args)
        return f"{self.primitive.name}({operands}, {self.params}) {self.note}"

    @property
    def is_valid(self) -> bool:
        """Whether the shape rule takes it."""
        try:
            self.primitive.infer([Aval(a.shape, a.dtype) for a in self.args], self.params)
        except (RtfuncError, TypeError):
            return False
        return True


def names() -> list[str]:
    """Primitives that have samples."""
    return sorted(samples())


@functools.cache
def samples() -> dict[str, list[Any]]:
    """The registry's samples by primitive."""
    return walk.samples()


@functools.lru_cache(maxsize=2)
def cases_of(name: str) -> list[Case]:
    """All cases of a primitive, in a fixed order."""
    found = [*_from_samples(name), *_of_family(name)]
    return [case for case in found if case.is_valid]


# The registry's samples


def _from_samples(name: str) -> Iterator[Case]:
    for sample in samples()[name]:
        args = tuple(np.asarray(a) for a in sample.args)
        for dtype in _dtypes_of(args, sample.params):
            converted = _converted(args, dtype)
            yield Case(primitives[name], sample.params, converted, dtype.name, sample.note)


def _dtypes_of(args: Sequence[np.ndarray], params: dict[str, Any]) -> Sequence[np.dtype]:
    if not args:
        return (dtypes.float32,)
    if any(True for _ in graphs_in(params)) or any(callable(p) for p in params.values()):
        return (max((a.dtype for a in args), key=lambda d: d.kind == "f"),)
    if any(a.dtype.kind == "f" for a in args):
        return dtypes.storable
    if any(a.dtype.kind == "c" for a in args):
        return dtypes.complexes
    return (*dtypes.integers, dtypes.bool_)


def _converted(args: Sequence[np.ndarray], dtype: np.dtype) -> tuple[np.ndarray, ...]:
    """Operands with those of the most general kind as `dtype`."""
    kinds = {a.dtype.kind for a in args}
    general = next((k for k in "fc" if k in kinds), None)
    return tuple(
        a if general is not None and a.dtype.kind != general else as_dtype(a, dtype) for a in args
    )


def as_dtype(x: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """`x` as `dtype`; what becomes complex gets an imaginary part."""
    with np.errstate(all="ignore"):
        if dtypes.is_complex(dtype) and x.dtype.kind != "c":
            return np.asarray(x - 0.75j * x[..., ::-1] if x.ndim else x * (1 - 0.75j)).astype(dtype)
        if dtypes.is_float(x.dtype) and not dtypes.is_inexact(dtype):
            x = np.asarray(np.nan_to_num(x, posinf=100, neginf=-100))
            if dtype in dtypes.unsigned:
                x = np.abs(x)
        return np.asarray(x).astype(dtype)


# Families


def values(
    shape: Sequence[int], dtype: np.dtype, seed: int = 0, special: bool = False
) -> np.ndarray:
    """Numbers of a dtype from a fixed sequence; `special` puts zeros, infinities and NaN in between."""
    generator = np.random.default_rng([seed, *shape])
    if dtype == dtypes.bool_:
        return generator.integers(0, 2, shape).astype(bool)
    if dtype in dtypes.integers:
        limits = np.iinfo(dtype)
        x = generator.integers(max(limits.min, -99), 100, shape).astype(dtype)
        if special and x.size:
            chosen = np.array([0, limits.max, limits.min, 1], dtype)
            np.put(x, np.arange(0, x.size, 7), chosen)
        return x
    x = generator.normal(size=shape) * 2
    if dtypes.is_complex(dtype):
        return np.asarray(x + 1j * generator.normal(size=shape)).astype(dtype)
    x = np.asarray(x).astype(dtype)
    if special and x.size > 1:
        tiny, huge = (float(getattr(dtypes.finfo(dtype), n)) for n in ("tiny", "max"))
        numbers = (0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, tiny / 4, -huge, 0.5, -1.0)
        with np.errstate(all="ignore"):
            np.put(x, np.arange(0, x.size, 3), np.array(numbers).astype(dtype))
    return x


def _of_family(name: str) -> Iterator[Case]:
    primitive = primitives[name]
    if primitive.batch is batch_elementwise:
        yield from _elementwise(primitive)
    elif name in _families:
        yield from _families[name](primitive)


def _spread(shapes: Sequence[Any], dtypes_: Sequence[np.dtype]) -> Iterator[tuple[Any, np.dtype]]:
    """All pairs, such that few in a row have all shapes and all dtypes."""
    n, m = len(shapes), len(dtypes_)
    for i in range(n * m):
        yield shapes[i % n], dtypes_[(i + i // math.lcm(n, m)) % m]


#: Host calls that are slow per element.
_slow = frozenset(
    "zeta polygamma igamma igammac igamma_grad_x igamma_grad_a random_gamma_grad betainc betainc_grad_x "
    "betainc_grad_ab betaln expn".split()
)


#: Magnitudes up to which operations are defined, or hold (`docs/maths-accuracy.md`).
_limits = {"normal_from_uniform": 0.96875, **dict.fromkeys(("sin", "cos", "tan"), 2.0**14)}


def _elementwise(primitive: Primitive) -> Iterator[Case]:
    found = samples()[primitive.name]
    count = len(found[0].args)
    params = [dict(p) for p in {tuple(s.params.items()): None for s in found}]
    sizes = [(n,) for n in SIZES] + [(), (3, 0), (0, 5), (5, 1), (1, 7), (3, 17), (2, 3, 5)]
    shapes: list[tuple[tuple[int, ...], ...]] = [(s,) * count for s in sizes]
    if count == 2:
        shapes += [((17,), ()), ((), (33,)), ((3, 1), (1, 17)), ((17,), (5, 17)), ((5, 1), (5, 17))]
        shapes += [((0,), (1,)), ((2, 1, 5), (3, 1)), ((1,), (65,))]
    if count == 3:
        shapes += [((), (17,), (17,)), ((3, 1), (17,), (3, 17)), ((33,), (), ())]
    for chosen, dtype in _spread(shapes, dtypes.everything):
        for p in params[: 1 if chosen[0] != (17,) else None]:
            args = [values(s, dtype, i, special=True) for i, s in enumerate(chosen)]
            yield Case(primitive, p, _within(primitive, args), dtype.name)
            if primitive.name == "select":
                args[0] = values(chosen[0], dtypes.bool_)
                yield Case(primitive, p, tuple(args), dtype.name)
    if primitive.name not in _slow:
        for shape, dtype in _spread([(LARGE,), (263, 311)], dtypes.everything):
            args = [values(shape, dtype, i) for i in range(count)]
            yield Case(primitive, params[0], _within(primitive, args), dtype.name, large=True)


def _within(primitive: Primitive, args: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
    limit = _limits.get(primitive.name)
    if limit is None or not dtypes.is_float(args[0].dtype):
        return tuple(args)
    with np.errstate(invalid="ignore"):
        return tuple(np.where(np.abs(a) > limit, np.asarray(limit, a.dtype), a) for a in args)


_SHAPES_AND_AXES = [
    *(((n,), (0,)) for n in SIZES if n),
    ((3, 17), (0,)),
    ((3, 17), (1,)),
    ((3, 17), (0, 1)),
    ((3, 17), ()),
    ((5, 0), (0,)),
    ((33, 1), (0,)),
    ((33, 1), (1,)),
    ((1, 33), (1,)),
    ((2, 3, 33), (0, 2)),
    ((2, 31, 5), (1,)),
    ((65, 2, 3), (0,)),
    ((2, 3, 4, 5), (1, 3)),
    ((0,), (0,)),
    ((0, 5), (0,)),
    ((5, 0), (1,)),
]
_LARGE_AND_AXES = [
    ((LARGE,), (0,)),
    ((3, 40_001), (1,)),
    ((40_001, 3), (0,)),
    ((40_001, 3), (1,)),
    ((257, 311), (0,)),
    ((257, 311), (1,)),
    ((257, 311), (0, 1)),
    ((17, 65, 66), (0, 2)),
    ((17, 65, 66), (1,)),
]


def _reduction(primitive: Primitive) -> Iterator[Case]:
    for large in (False, True):
        places = _LARGE_AND_AXES if large else _SHAPES_AND_AXES
        for (shape, axes), dtype in _spread(places, dtypes.everything):
            x = _for_sums(primitive, values(shape, dtype))
            yield Case(primitive, {"axes": axes}, (x,), dtype.name, large=large)


def _for_sums(primitive: Primitive, x: np.ndarray) -> np.ndarray:
    """Operands of which products and sums neither overflow nor differ by the order they are made in."""
    if dtypes.is_inexact(x.dtype) and "prod" in primitive.name:
        return (1 + x.astype(np.complex128 if x.dtype.kind == "c" else np.float64) / 999).astype(
            x.dtype
        )
    return x


def _arg_reduction(primitive: Primitive) -> Iterator[Case]:
    for large in (False, True):
        places = _LARGE_AND_AXES if large else _SHAPES_AND_AXES
        places = [(s, a) for s, a in places if len(a) == 1]
        for k, ((shape, axes), dtype) in enumerate(_spread(places, dtypes.everything)):
            params = {"axis": axes[0], "dtype": (dtypes.int32, dtypes.int64)[k % 2]}
            x = values(shape, dtype, special=k % 3 == 0)
            yield Case(primitive, params, (x,), dtype.name, large=large)


def _cumulative(primitive: Primitive) -> Iterator[Case]:
    count = len(samples()[primitive.name][0].args)
    for large in (False, True):
        places = _LARGE_AND_AXES if large else _SHAPES_AND_AXES
        places = [(s, a) for s, a in places if len(a) == 1]
        for k, ((shape, axes), dtype) in enumerate(_spread(places, dtypes.everything)):
            args = [_for_sums(primitive, values(shape, dtype, i)) for i in range(count)]
            if count == 2 and dtypes.is_inexact(dtype):  # a recurrence that does not grow
                args[0] = np.tanh(args[0] if dtype.itemsize > 2 else args[0].astype("f4"))
                args[0] = args[0].astype(dtype)
                if dtypes.is_complex(dtype):
                    args[0] = (0.9 * args[0] / (1 + np.abs(args[0]))).astype(dtype)
            params = {"axis": axes[0], "reverse": bool(k % 2)}
            yield Case(primitive, params, tuple(args), dtype.name, large=large)


def _sort(primitive: Primitive) -> Iterator[Case]:
    for large in (False, True):
        places = _LARGE_AND_AXES[:6] if large else _SHAPES_AND_AXES
        places = [(s, a) for s, a in places if len(a) == 1]
        for k, ((shape, axes), dtype) in enumerate(_spread(places, dtypes.everything)):
            keys = values(shape, dtype, special=k % 3 == 0)
            if dtypes.is_float(dtype) and k % 2:
                keys = np.rint(keys.astype("f8")).astype(dtype)  # ties
            if primitive.name == "top_k":
                axis = len(shape) - 1
                size = shape[axis]
                yield Case(primitive, {"k": min(size, k % 20)}, (keys,), dtype.name, large=large)
                continue
            carried = [
                keys,
                *(values(shape, d, 1) for d in (dtypes.int32, dtypes.float16)[: k % 3]),
            ]
            params = {"axis": axes[0], "num_keys": 1 + (k % 5 == 2)}
            yield Case(primitive, params, tuple(carried), dtype.name, large=large)


def _views(primitive: Primitive) -> Iterator[Case]:
    shapes = [(17, 33), (3, 65, 5), (1, 31), (2, 0, 3), (64, 64), (5, 3, 2, 4)]
    large = [(263, 311), (40_001, 3), (7, 99, 131)]
    for shape, dtype in _spread([*shapes, *large], dtypes.storable):
        x = values(shape, dtypes.float32 if dtype in dtypes.float8s else dtype).astype(dtype)
        for params in _view_params[primitive.name](shape):
            args = (x,)
            if primitive.name == "pad":
                args = (x, x.reshape(-1)[:1].reshape(()) if x.size else np.zeros((), dtype))
            yield Case(primitive, params, args, dtype.name, large=shape in large)


def _axis_orders(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    n = len(shape)
    return [tuple(range(n))[::-1], (*range(1, n), 0)]


_view_params: dict[str, Any] = {
    "transpose": lambda s: [{"permutation": p} for p in _axis_orders(s)],
    "rev": lambda s: [{"axes": (0,)}, {"axes": (len(s) - 1,)}, {"axes": tuple(range(len(s)))}],
    "reshape": lambda s: [{"shape": (math.prod(s),)}, {"shape": (*s[:1], 1, *s[1:])}],
    "broadcast_in_dim": lambda s: [
        {"shape": (*s, 2), "axes": tuple(range(len(s)))},
        {"shape": (2, *s), "axes": tuple(range(1, len(s) + 1))},
    ],
    "slice": lambda s: [
        {"start": (0,) * len(s), "limit": s, "stride": (2,) * len(s)},
        {"start": tuple(n // 3 for n in s), "limit": s, "stride": (1,) * len(s)},
        {"start": tuple(n // 3 for n in s), "limit": s, "stride": (1,) * (len(s) - 1) + (3,)},
    ],
    "pad": lambda s: [
        {"low": (1,) * len(s), "high": (2,) * len(s), "interior": (0,) * len(s)},
        {"low": (0,) * len(s), "high": (-1,) * len(s), "interior": (1,) * len(s)},
        {"low": (-1,) * len(s), "high": (3,) * len(s), "interior": (0,) * len(s)},
    ],
}


def _concatenate(primitive: Primitive) -> Iterator[Case]:
    places = [((17, 33), 0), ((17, 33), 1), ((3, 65, 5), 1), ((31,), 0), ((2, 0, 3), 1)]
    large = [((263, 311), 0), ((263, 311), 1), ((LARGE,), 0)]
    for (shape, axis), dtype in _spread([*places, *large], dtypes.everything):
        parts = [list(shape) for _ in range(3)]
        parts[1][axis] = 1
        args = tuple(values(s, dtype, i) for i, s in enumerate(parts))
        is_large = (shape, axis) in large
        yield Case(primitive, {"axis": axis}, args, dtype.name, large=is_large)


def _dot(primitive: Primitive) -> Iterator[Case]:
    def shaped(m, k, n, layout, batch=()):
        b = len(batch)
        lhs = (*batch, m, k) if layout[0] == "n" else (*batch, k, m)
        rhs = (*batch, k, n) if layout[1] == "n" else (*batch, n, k)
        contract = ((b + (layout[0] == "n"),), (b + (layout[1] != "n"),))
        return lhs, rhs, (contract, (tuple(range(b)),) * 2)

    sizes = [(1, 17, 1), (1, 33, 65), (65, 33, 1), (2, 1, 3), (15, 16, 17), (31, 2, 33)]
    sizes += [(63, 65, 64), (7, 129, 9), (0, 3, 2), (2, 0, 3), (3, 4, 0), (5, 300, 6), (1, 1, 1)]
    layouts = ("nn", "nt", "tn", "tt")
    places = [shaped(*s, w) for s, w in itertools.product(sizes, layouts)]
    places += [shaped(*s, w, (3,)) for s, w in itertools.product(sizes[:8], layouts)]
    places += [shaped(5, 6, 7, w, (2, 0)) for w in layouts]
    large = [
        shaped(*s, w) for s in ((200, 150, 130), (1, 700, 300), (301, 3, 400)) for w in layouts
    ]
    large += [shaped(9, 17, 33, w, (40,)) for w in layouts]
    wider = {"float16": "float32", "bfloat16": "float32", "float32": "float64", "int8": "int32"}
    for (lhs, rhs, numbers), dtype in _spread([*places, *large], dtypes.everything):
        args = values(lhs, dtype), values(rhs, dtype, 1)
        is_large = (lhs, rhs, numbers) in large
        for preferred in (None, wider.get(dtype.name)):
            params = {
                "dimension_numbers": numbers,
                "preferred_element_type": preferred and np.dtype(preferred),
            }
            yield Case(primitive, params, args, dtype.name, large=is_large)
            if preferred is None and dtype.name not in wider:
                break


def _convolution(primitive: Primitive) -> Iterator[Case]:
    def shaped(lhs, rhs, specs=None, **more):
        n = len(lhs) - 2
        defaults = {
            "window_strides": (1,) * n,
            "padding": ((1, 1),) * n,
            "lhs_dilation": (1,) * n,
            "rhs_dilation": (1,) * n,
            "dimension_numbers": conv_dimension_numbers(lhs, rhs, specs),
            "feature_group_count": 1,
            "batch_group_count": 1,
        }
        return lhs, rhs, {**defaults, **more}

    last = ("NHWC", "HWIO", "NHWC")
    places = [
        shaped((2, 3, 9, 17), (5, 3, 3, 3)),
        shaped((1, 1, 33), (1, 1, 5)),
        shaped((2, 9, 17, 16), (3, 3, 16, 17), last, window_strides=(2, 2)),
        shaped((1, 4, 8, 8), (4, 1, 3, 3), feature_group_count=4),
        shaped((2, 8, 8, 6), (3, 3, 1, 12), last, feature_group_count=6),
        shaped((2, 6, 7, 7), (4, 3, 3, 3), feature_group_count=2, rhs_dilation=(2, 1)),
        shaped((4, 3, 7), (4, 3, 3), batch_group_count=2, window_strides=(3,)),
        shaped((2, 3, 5, 5), (4, 3, 3, 3), lhs_dilation=(2, 2), padding=((2, 2), (2, 2))),
        shaped((1, 2, 4, 5, 6), (3, 2, 2, 3, 2), window_strides=(1, 2, 1)),
        shaped((0, 3, 5), (4, 3, 3)),
        shaped((2, 3, 5, 5), (16, 3, 1, 1), padding=((0, 0), (0, 0))),
        shaped((2, 3), (5, 3)),
    ]
    large = [
        shaped((3, 16, 28, 28), (17, 16, 3, 3)),
        shaped((3, 28, 28, 16), (3, 3, 16, 33), last),
        shaped((2, 32, 30, 30), (32, 1, 3, 3), feature_group_count=32),
    ]
    wider = {"float16": "float32", "bfloat16": "float32", "float32": "float64", "int8": "int32"}
    for (lhs, rhs, params), dtype in _spread([*places, *large], dtypes.everything):
        args = values(lhs, dtype), values(rhs, dtype, 1)
        is_large = any(params is p for _, _, p in large)
        for preferred in dict.fromkeys((None, wider.get(dtype.name))):
            more = {"preferred_element_type": preferred and np.dtype(preferred)}
            yield Case(primitive, {**params, **more}, args, dtype.name, large=is_large)


_rows = GatherDimensionNumbers((1,), (0,), (0,))
_elements = GatherDimensionNumbers((), (0, 1), (1, 0))
_blocks = GatherDimensionNumbers((1, 2), (), (0, 1))
_along = GatherDimensionNumbers((), (1,), (1,), (0,), (0,))
#: Operand, indices, window, numbers; the updates have the shape of what a gather reads.
_GATHERS = [
    ((9, 17), (33, 1), (1, 17), _rows),
    ((65, 3), (2, 1), (1, 3), _rows),
    ((5, 33), (31, 2), (1, 1), _elements),
    ((7, 19), (5, 2), (3, 4), _blocks),
    ((6, 16), (6, 15, 1), (1, 1), _along),
    ((1, 1), (4, 1), (1, 1), _rows),
    ((3, 5), (0, 1), (1, 5), _rows),
    ((3, 0), (4, 1), (1, 0), _rows),
]
_LARGE_GATHERS = [
    ((500, 64), (1500, 1), (1, 64), _rows),
    ((300, 301), (40_000, 2), (1, 1), _elements),
    ((301, 200), (301, 133, 1), (1, 1), _along),
]
_MODES = ("clip", "fill", "promise_in_bounds")


def _indices(shape: tuple[int, ...], operand: tuple[int, ...], dtype: Any, inside: bool) -> Any:
    generator = np.random.default_rng(list(shape))
    last = min(max(min(operand) - 5, 1), 100)
    if inside:
        return generator.integers(0, last, shape).astype(dtype)
    low = 0 if np.dtype(dtype).kind == "u" else -3
    return generator.integers(low, min(max(operand) + 3, 120), shape).astype(dtype)


def _gather(primitive: Primitive) -> Iterator[Case]:
    kinds = list(dtypes.integers)
    for k, (place, dtype) in enumerate(_spread([*_GATHERS, *_LARGE_GATHERS], dtypes.everything)):
        shape, index_shape, sizes, numbers = place
        large = place in _LARGE_GATHERS
        mode = _MODES[(k // 2) % 3]
        index_dtype = dtypes.int32 if large else kinds[k % len(kinds)]
        indices = _indices(index_shape, shape, index_dtype, mode == "promise_in_bounds")
        fills = (None, 1) if mode == "fill" else (None,)
        for fill in fills:
            params = {
                "dimension_numbers": numbers,
                "slice_sizes": sizes,
                "mode": mode,
                "fill_value": fill,
                "unique_indices": False,
                "indices_are_sorted": False,
            }
            args = values(shape, dtype, special=True), indices
            yield Case(primitive, params, args, dtype.name, mode, large=large)


def _scatter(primitive: Primitive) -> Iterator[Case]:
    kinds = list(dtypes.integers)
    gather = primitives["gather"]
    places = list(
        itertools.product([*_GATHERS, *_LARGE_GATHERS], ("set", "add", "min", "max", "mul"))
    )
    for k, ((place, kind), dtype) in enumerate(_spread(places, dtypes.everything)):
        shape, index_shape, sizes, numbers = place
        large = place in _LARGE_GATHERS
        mode = _MODES[(k // 2) % 3]
        index_dtype = dtypes.int32 if large else kinds[k % len(kinds)]
        indices = _indices(index_shape, shape, index_dtype, mode == "promise_in_bounds")
        params = {
            "dimension_numbers": numbers,
            "mode": mode,
            "unique_indices": False,
            "indices_are_sorted": False,
        }
        read = {**params, "slice_sizes": sizes, "fill_value": None}
        avals = Aval(shape, dtype), Aval(indices.shape, indices.dtype)
        updates = values(gather.infer(avals, read).shape, dtype, 1)
        if kind == "mul":  # defined for distinct indices only
            if index_shape != (2, 1):
                continue
            indices, params["unique_indices"] = np.arange(2).reshape(2, 1).astype(index_dtype), True
        args = values(shape, dtype), indices, updates
        yield Case(primitive, {"kind": kind, **params}, args, dtype.name, mode, large=large)


def _dynamic_slice(primitive: Primitive) -> Iterator[Case]:
    places = [((17, 33), (5, 31)), ((65,), (17,)), ((3, 4, 5), (1, 4, 2)), ((9, 0), (3, 0))]
    large = [((400, 301), (301, 299))]
    starts = [(0, 1, 2), (-3, 2, 99), (7, -1, 1)]
    for k, ((shape, sizes), dtype) in enumerate(_spread([*places, *large], dtypes.everything)):
        for at in starts:
            where = [
                np.array(at[i], (np.int32, np.int8, np.int64)[k % 3]) for i in range(len(shape))
            ]
            x, is_large = values(shape, dtype), (shape, sizes) in large
            if primitive.name == "dynamic_slice":
                yield Case(primitive, {"sizes": sizes}, (x, *where), dtype.name, large=is_large)
            else:
                part = values(sizes, dtype, 1)
                yield Case(primitive, {}, (x, part, *where), dtype.name, large=is_large)


def _convert(primitive: Primitive) -> Iterator[Case]:
    shapes = [(65,), (), (3, 17)]
    for k, (a, b) in enumerate(itertools.product(dtypes.storable, dtypes.storable)):
        x = values(shapes[k % 3], dtypes.float32 if a in dtypes.float8s else a, special=True)
        with np.errstate(all="ignore"):
            x = x.astype(a)
        yield Case(primitive, {"dtype": b, "weak_type": False}, (x,), a.name)


def _windows(primitive: Primitive) -> Iterator[Case]:
    # Shape, window, strides, padding, dilation of the operand and of the window.
    places = [
        ((65,), (16,), (1,), 0, 1, 1),
        ((33,), (2,), (3,), 1, 1, 1),
        ((63, 5), (1, 5), (1, 1), 0, 1, 1),
        ((2, 9, 17, 16), (1, 2, 2, 1), (1, 2, 2, 1), 0, 1, 1),
        ((2, 7, 9, 17), (1, 3, 3, 1), (1, 1, 1, 1), 1, 1, 1),
        ((2, 3, 17, 33), (1, 1, 3, 3), (1, 1, 2, 2), 1, 1, 1),
        ((1, 31), (1, 3), (1, 2), 2, 2, 1),
        ((3, 34), (2, 3), (1, 2), 1, 1, 2),
        ((0, 5), (1, 2), (1, 1), 0, 1, 1),
    ]
    large = [
        ((LARGE,), (3,), (1,), 1, 1, 1),
        ((2, 16, 56, 56), (1, 1, 2, 2), (1, 1, 2, 2), 0, 1, 1),
    ]
    large += [((2, 40, 40, 33), (1, 3, 3, 1), (1, 2, 2, 1), 1, 1, 1)]
    for place, dtype in _spread([*places, *large], dtypes.everything):
        shape, window, strides, pad, base, apart = place
        params = {
            "window_dimensions": window,
            "window_strides": strides,
            "padding": tuple((min(pad, w - 1), min(pad, w // 2)) for w in window),
            "base_dilation": tuple(base if w > 1 else 1 for w in window),
            "window_dilation": tuple(apart if w > 1 else 1 for w in window),
        }
        x = _distinct(shape, dtype) if "select" in primitive.name else values(shape, dtype)
        if not primitive.name.startswith("select"):
            yield Case(primitive, params, (x,), dtype.name, large=place in large)
            continue
        out = primitives["reduce_window_sum"].infer([Aval(shape, dtypes.float32)], params).shape
        source = values(out if "scatter" in primitive.name else shape, dtype, 1)
        for kind in ("max", "min"):
            params = {"select": kind, **params}
            yield Case(primitive, params, (source, x), dtype.name, large=place in large)


def _distinct(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Numbers that differ, as far as the dtype has so many: which of them is the largest is no tie."""
    order = np.random.default_rng(0).permutation(math.prod(shape)).reshape(shape)
    return as_dtype(order / 7.0 - 20.0 if dtypes.is_inexact(dtype) else order, dtype)


def _iota(primitive: Primitive) -> Iterator[Case]:
    shapes = [*((n,) for n in SIZES), (3, 17), (33, 2), (0, 4), (2, 3, 65)]
    for k, (shape, dtype) in enumerate(_spread([*shapes, (LARGE,), (300, 301)], dtypes.numeric)):
        params = {"shape": shape, "dtype": dtype, "axis": k % len(shape)}
        yield Case(primitive, params, (), dtype.name, large=math.prod(shape) > 10_000)


def _threefry(primitive: Primitive) -> Iterator[Case]:
    shapes = [*((n,) for n in SIZES), (), (3, 17), (LARGE,)]
    for shape in shapes:
        words = np.random.default_rng(0).integers(0, 2**32, (4, *shape), np.uint32)
        for args in (words, (words[0], *words[1:3], words[3].reshape(-1)[:1].sum(dtype="uint32"))):
            args = tuple(np.asarray(a) for a in args)
            yield Case(primitive, {}, args, "uint32", large=shape == (LARGE,))


_families: dict[str, Any] = {
    **dict.fromkeys(
        [f"reduce_window_{kind}" for kind in ("max", "min", "sum")]
        + ["select_and_scatter_add", "select_and_gather_add"],
        _windows,
    ),
    "iota": _iota,
    "threefry2x32": _threefry,
    **dict.fromkeys(("reduce_sum", "reduce_prod", "reduce_max", "reduce_min"), _reduction),
    **dict.fromkeys(("reduce_and", "reduce_or"), _reduction),
    **dict.fromkeys(("argmax", "argmin"), _arg_reduction),
    **dict.fromkeys(("cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp"), _cumulative),
    "linear_recurrence": _cumulative,
    **dict.fromkeys(("sort", "top_k"), _sort),
    **dict.fromkeys(_view_params, _views),
    "concatenate": _concatenate,
    "dot_general": _dot,
    "conv_general_dilated": _convolution,
    "gather": _gather,
    "scatter": _scatter,
    **dict.fromkeys(("dynamic_slice", "dynamic_update_slice"), _dynamic_slice),
    "convert_element_type": _convert,
}
