"""Convolution: `conv_general_dilated`, any number of spatial axes in any layout.

As in `jax.lax` (and in neural networks) it is a cross-correlation: the kernel is not reversed.
Strides, padding (negative padding cuts), dilation of either operand, and groups of features or of
the batch are params; with them convolutions are closed under differentiation and batching: the
cotangents of both operands are convolutions in which strides and dilations change places. The NumPy
kernels are in `conv_kernels`. Depends on `contract` (dtypes), `shape`, `sliding`.
"""

from __future__ import annotations

import dataclasses
import functools
import operator
from collections.abc import Sequence
from typing import Any

from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.aval import Aval
from rtfunc.core.batching import move_axis
from rtfunc.core.dtypes import DtypeLike
from rtfunc.core.errors import ArgumentError, DtypeError, ShapeError, at_user_line
from rtfunc.core.primitive import Primitive, linear_jvp, zeros_like
from rtfunc.ops.contract import (
    accumulation_dtype,
    as_preferred_type,
    contraction_dtype,
)
from rtfunc.ops.conv_kernels import convolve
from rtfunc.ops.convert import check_same_dtype, convert, promote
from rtfunc.ops.shape import reshape_p, rev_p
from rtfunc.ops.sliding import Pads, as_pads, dilated, pads_of_transpose, positive, window_count


@dataclasses.dataclass(frozen=True, slots=True)
class ConvDimensionNumbers:
    """Which axes of the operands and of the result of a convolution are which.

    Attributes:
      lhs_spec: axes of the input: (batch, feature, spatial ...).
      rhs_spec: axes of the kernel: (output feature, input feature, spatial ...).
      out_spec: axes of the result: (batch, feature, spatial ...).
    """

    lhs_spec: tuple[int, ...]
    rhs_spec: tuple[int, ...]
    out_spec: tuple[int, ...]


def conv_dimension_numbers(
    lhs_shape: Sequence[int], rhs_shape: Sequence[int], dimension_numbers: Any
) -> ConvDimensionNumbers:
    """`dimension_numbers` as `ConvDimensionNumbers`.

    Takes None (batch and feature first, as ("NCHW", "OIHW", "NCHW")), a triple of strings in which
    N and C are batch and feature of input and result, O and I the kernel's features, and the other
    letters spatial axes, or a `ConvDimensionNumbers`. Raises `ArgumentError` for anything else.

    >>> conv_dimension_numbers((1, 8, 8, 3), (3, 3, 3, 16), ("NHWC", "HWIO", "NHWC")).rhs_spec
    (3, 2, 0, 1)
    """
    if isinstance(dimension_numbers, ConvDimensionNumbers):
        return dimension_numbers
    ndim = len(lhs_shape)
    if ndim != len(rhs_shape) or ndim < 2:
        raise ShapeError(
            at_user_line(
                "A convolution takes an input and a kernel of equal rank, at least 2 (batch and "
                f"feature axes included), but got shapes {tuple(lhs_shape)} and {tuple(rhs_shape)}."
            )
        )
    if dimension_numbers is None:
        order = tuple(range(ndim))
        return ConvDimensionNumbers(order, order, order)
    if isinstance(dimension_numbers, list):
        dimension_numbers = tuple(dimension_numbers)
    return _from_strings(dimension_numbers, ndim)


@functools.lru_cache(256)
def _from_strings(specs: Any, ndim: int) -> ConvDimensionNumbers:
    form = (
        "dimension_numbers of a convolution are three strings such as ('NHWC', 'HWIO', 'NHWC'), "
        f"one letter per axis of the input, the kernel and the result; got {specs!r}"
    )
    if not (
        isinstance(specs, tuple) and len(specs) == 3 and all(isinstance(s, str) for s in specs)
    ):
        raise ArgumentError(at_user_line(f"{form}."))
    for spec, letters in zip(specs, ("NC", "OI", "NC")):
        if len(spec) != ndim:
            raise ArgumentError(at_user_line(f"{form}, for operands with {ndim} axes."))
        if len(set(spec)) != ndim or not set(letters) <= set(spec):
            raise ArgumentError(
                at_user_line(f"{form}: {spec!r} must have {letters[0]} and {letters[1]} once each.")
            )
    lhs, rhs, out = specs
    spatial = [c for c in rhs if c not in "OI"]
    if any(sorted(c for c in s if c not in "NC") != sorted(spatial) for s in (lhs, out)):
        raise ArgumentError(at_user_line(f"{form}: they must share their spatial letters."))

    def axes(spec: str, letters: str) -> tuple[int, ...]:
        return tuple(spec.index(c) for c in (*letters, *spatial))

    return ConvDimensionNumbers(axes(lhs, "NC"), axes(rhs, "OI"), axes(out, "NC"))


def conv_general_dilated(
    lhs: ArrayLike,
    rhs: ArrayLike,
    window_strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    feature_group_count: int = 1,
    batch_group_count: int = 1,
    *,
    preferred_element_type: DtypeLike | None = None,
) -> Array:
    """Convolve `lhs` with the kernel `rhs` over n spatial axes, as `jax.lax.conv_general_dilated`.

    Arguments:
      lhs: input of rank n + 2.
      rhs: kernel of rank n + 2; its input features are the input's divided by feature_group_count.
      window_strides: n positive integers.
      padding: "SAME", "VALID", "SAME_LOWER", or n pairs (low, high); negative ones cut.
      lhs_dilation: n positive integers: zeros are put between the input's elements.
      rhs_dilation: n positive integers: the kernel's elements are spread apart (atrous
        convolution).
      dimension_numbers: layouts, see `conv_dimension_numbers`; batch and feature first by default.
      feature_group_count: number of groups of features that are convolved separately.
      batch_group_count: number of groups of the batch; group i makes the i-th part of the output
        features (it occurs in derivatives of grouped convolutions).
      preferred_element_type: as for `dot_general`.

    Raises `ShapeError` for sizes that do not fit and `ArgumentError` for malformed arguments.

    >>> import numpy as np
    >>> x, w = np.ones((1, 1, 4, 4), "float32"), np.ones((1, 1, 3, 3), "float32")
    >>> conv_general_dilated(x, w, (1, 1), "VALID")
    Array([[[[9., 9.],
             [9., 9.]]]], dtype=float32)
    """
    lhs, rhs = promote("conv_general_dilated", lhs, rhs)
    numbers = conv_dimension_numbers(lhs.shape, rhs.shape, dimension_numbers)
    if len(numbers.lhs_spec) != lhs.ndim or len(numbers.rhs_spec) != rhs.ndim:
        raise ShapeError(
            at_user_line(
                f"conv_general_dilated got shapes {lhs.shape} and {rhs.shape} with {numbers}, "
                f"which is for {len(numbers.lhs_spec)} axes."
            )
        )
    n = lhs.ndim - 2
    strides = positive("conv_general_dilated", "window_strides", window_strides, n)
    base = positive("conv_general_dilated", "lhs_dilation", lhs_dilation, n)
    apart = positive("conv_general_dilated", "rhs_dilation", rhs_dilation, n)
    if isinstance(padding, str) and any(b != 1 for b in base):
        raise ArgumentError(
            at_user_line(
                f"conv_general_dilated: padding {padding!r} has no meaning together with "
                f"lhs_dilation {base}. Give pairs (low, high), or use conv_transpose."
            )
        )
    sizes = [lhs.shape[a] for a in numbers.lhs_spec[2:]]
    windows = [dilated(rhs.shape[a], d) for a, d in zip(numbers.rhs_spec[2:], apart)]
    return conv_general_dilated_p.bind(
        lhs,
        rhs,
        window_strides=strides,
        padding=as_pads("conv_general_dilated", padding, sizes, windows, strides),
        lhs_dilation=base,
        rhs_dilation=apart,
        dimension_numbers=numbers,
        feature_group_count=operator.index(feature_group_count),
        batch_group_count=operator.index(batch_group_count),
        preferred_element_type=as_preferred_type(preferred_element_type),
    )


def conv(
    lhs: ArrayLike,
    rhs: ArrayLike,
    window_strides: Sequence[int],
    padding: str,
    *,
    preferred_element_type: DtypeLike | None = None,
) -> Array:
    """`conv_general_dilated` with batch and feature axes first and no dilation.

    >>> import numpy as np
    >>> conv(np.ones((2, 3, 8), "float32"), np.ones((5, 3, 3), "float32"), (2,), "SAME").shape
    (2, 5, 4)
    """
    return conv_general_dilated(
        lhs, rhs, window_strides, padding, preferred_element_type=preferred_element_type
    )


def conv_with_general_padding(
    lhs: ArrayLike,
    rhs: ArrayLike,
    window_strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    *,
    preferred_element_type: DtypeLike | None = None,
) -> Array:
    """`conv_general_dilated` with batch and feature axes first and one group.

    >>> import numpy as np
    >>> x, w = np.ones((1, 1, 5), "float32"), np.ones((1, 1, 3), "float32")
    >>> conv_with_general_padding(x, w, (1,), ((1, 1),)).shape
    (1, 1, 5)
    """
    return conv_general_dilated(
        lhs,
        rhs,
        window_strides,
        padding,
        lhs_dilation,
        rhs_dilation,
        preferred_element_type=preferred_element_type,
    )


def conv_transpose(
    lhs: ArrayLike,
    rhs: ArrayLike,
    strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    transpose_kernel: bool = False,
    *,
    preferred_element_type: DtypeLike | None = None,
    use_consistent_padding: bool = False,
) -> Array:
    """Transposed convolution, as `jax.lax.conv_transpose`: `strides` are dilations of the input.

    Arguments:
      lhs: input of rank n + 2; channels last by default ("NHWC").
      rhs: kernel of rank n + 2; "HWIO" by default.
      strides: n positive integers.
      padding: "SAME" or "VALID" of the corresponding forward convolution, or n pairs: those of the
        dilated input, or of the forward convolution (as in PyTorch) with `use_consistent_padding`.
      transpose_kernel: whether to flip the kernel and swap its feature axes, which makes the result
        the gradient of the forward convolution with the same kernel (as in Keras and PyTorch).

    >>> import numpy as np
    >>> x, w = np.ones((1, 4, 4, 3), "float32"), np.ones((3, 3, 3, 8), "float32")
    >>> conv_transpose(x, w, (2, 2), "SAME").shape
    (1, 8, 8, 8)
    """
    lhs, rhs = promote("conv_transpose", lhs, rhs)
    if dimension_numbers is None and 2 <= lhs.ndim <= 5:
        spatial = ("", "H", "HW", "HWD")[lhs.ndim - 2]
        dimension_numbers = (f"N{spatial}C", f"{spatial}IO", f"N{spatial}C")
    numbers = conv_dimension_numbers(lhs.shape, rhs.shape, dimension_numbers)
    n = lhs.ndim - 2
    strides = positive("conv_transpose", "strides", strides, n)
    apart = positive("conv_transpose", "rhs_dilation", rhs_dilation, n)
    extents = [dilated(rhs.shape[a], d) for a, d in zip(numbers.rhs_spec[2:], apart)]
    if isinstance(padding, str):
        if padding.upper() not in ("SAME", "VALID"):
            raise ArgumentError(
                at_user_line(
                    f"conv_transpose takes padding 'SAME', 'VALID' or pairs, not {padding!r}."
                )
            )
        pads = tuple(_transpose_pads(k, s, padding.upper()) for k, s in zip(extents, strides))
    else:
        pads = as_pads("conv_transpose", padding, extents, extents, strides)
        if use_consistent_padding:
            pads = tuple((k - 1 - low, k - 1 - high) for k, (low, high) in zip(extents, pads))
    if transpose_kernel:
        out_feature, in_feature, *spatial_axes = numbers.rhs_spec
        rhs = rev_p.bind(rhs, axes=tuple(spatial_axes))
        numbers = dataclasses.replace(numbers, rhs_spec=(in_feature, out_feature, *spatial_axes))
    return conv_general_dilated(
        lhs,
        rhs,
        (1,) * n,
        pads,
        strides,
        apart,
        numbers,
        preferred_element_type=preferred_element_type,
    )


def _transpose_pads(extent: int, stride: int, padding: str) -> tuple[int, int]:
    """Padding of a transposed convolution whose forward convolution has `padding`."""
    if padding == "SAME":
        total = extent + stride - 2
        before = extent - 1 if stride > extent - 1 else -(-total // 2)
    else:
        total = extent + stride - 2 + max(extent - stride, 0)
        before = extent - 1
    return before, total - before


# The primitive.


@functools.lru_cache(2048)
def _out_shape(
    lhs_shape: tuple[int, ...],
    rhs_shape: tuple[int, ...],
    strides: tuple[int, ...],
    padding: Pads,
    lhs_dilation: tuple[int, ...],
    rhs_dilation: tuple[int, ...],
    numbers: ConvDimensionNumbers,
    feature_groups: int,
    batch_groups: int,
) -> tuple[int, ...]:
    shapes = f"an input of shape {lhs_shape} and a kernel of shape {rhs_shape}"
    if len(lhs_shape) != len(rhs_shape) or len(numbers.lhs_spec) != len(lhs_shape):
        raise ShapeError(
            at_user_line(
                f"conv_general_dilated takes an input and a kernel of equal rank, not {shapes}."
            )
        )
    n_spatial = len(lhs_shape) - 2
    if any(len(p) != n_spatial for p in (strides, padding, lhs_dilation, rhs_dilation)):
        raise ArgumentError(
            at_user_line(
                f"conv_general_dilated of {shapes} takes {n_spatial} strides, paddings and "
                "dilations."
            )
        )
    if feature_groups < 1 or batch_groups < 1 or (feature_groups > 1 and batch_groups > 1):
        raise ArgumentError(
            at_user_line(
                "conv_general_dilated takes positive group counts of which one is 1, got "
                f"feature_group_count={feature_groups} and batch_group_count={batch_groups}."
            )
        )
    batch, features, *sizes = (lhs_shape[a] for a in numbers.lhs_spec)
    out_features, in_features, *windows = (rhs_shape[a] for a in numbers.rhs_spec)
    if features != in_features * feature_groups:
        raise ShapeError(
            at_user_line(
                f"conv_general_dilated of {shapes}: the input has {features} features "
                f"(axis {numbers.lhs_spec[1]}), the kernel takes {in_features} (axis "
                f"{numbers.rhs_spec[1]}) in each of {feature_groups} "
                f"group{'s' * (feature_groups > 1)}. Check the layouts in dimension_numbers and "
                "feature_group_count."
            )
        )
    groups = max(feature_groups, batch_groups)
    if out_features % groups or batch % batch_groups:
        raise ShapeError(
            at_user_line(
                f"conv_general_dilated of {shapes}: {groups} groups must divide the kernel's "
                f"{out_features} output features"
                + (f" and the batch of {batch}." if batch_groups > 1 else ".")
            )
        )
    out: list[int] = [0] * len(lhs_shape)
    out[numbers.out_spec[0]] = batch // batch_groups
    out[numbers.out_spec[1]] = out_features
    for axis, size, window, stride, (low, high), base, apart in zip(
        numbers.out_spec[2:], sizes, windows, strides, padding, lhs_dilation, rhs_dilation
    ):
        padded = dilated(size, base) + low + high
        if padded < 0:
            raise ShapeError(
                at_user_line(
                    f"conv_general_dilated of {shapes}: the padding {(low, high)} cuts more than "
                    f"the {dilated(size, base)} elements of its axis."
                )
            )
        out[axis] = window_count(padded, dilated(window, apart), stride)
    return tuple(out)


def _geometry(params: dict[str, Any]) -> tuple[Any, ...]:
    return (
        params["window_strides"],
        params["padding"],
        params["lhs_dilation"],
        params["rhs_dilation"],
        params["dimension_numbers"],
        params["feature_group_count"],
        params["batch_group_count"],
    )


def _infer(lhs: Aval, rhs: Aval, **params: Any) -> Aval:
    dtype = check_same_dtype("conv_general_dilated", (lhs, rhs))
    if dtype == dtypes.bool_:
        raise DtypeError(
            at_user_line(
                "conv_general_dilated takes numbers, not bool. Convert, for example with "
                "x.astype('float32')."
            )
        )
    out_dtype = contraction_dtype("conv_general_dilated", dtype, params["preferred_element_type"])
    return Aval(_out_shape(lhs.shape, rhs.shape, *_geometry(params)), out_dtype)


def _impl(xp: Any, lhs: Any, rhs: Any, **params: Any) -> Any:
    dtype, preferred = lhs.dtype, params["preferred_element_type"]
    if dtype != rhs.dtype or dtype == dtypes.bool_:
        raise TypeError("dtypes differ")  # `infer` explains
    geometry = _geometry(params)
    shape = _out_shape(lhs.shape, rhs.shape, *geometry)
    out_dtype = contraction_dtype("conv_general_dilated", dtype, preferred)
    wide = accumulation_dtype(dtype, preferred)
    if wide != dtype:
        lhs, rhs = lhs.astype(wide), rhs.astype(wide)
    out = convolve(xp, lhs, rhs, shape, *geometry)
    return out if out.dtype == out_dtype else out.astype(out_dtype)


# Axes that hold two: groups and the batch are folded into features or the batch, and unfolded.


def _fold(x: Any, source: int, destination: int) -> Any:
    """Merge axis `source`, as the outer part, into axis `destination` of what is left."""
    shape = [n for i, n in enumerate(x.shape) if i != source]
    shape[destination] *= x.shape[source]
    return reshape_p.bind(move_axis(x, source, destination), shape=tuple(shape))


def _unfold(x: Any, axis: int, outer: int) -> Any:
    """Split `axis` into two, of sizes `outer` and the rest."""
    inner = x.shape[axis] // outer
    return reshape_p.bind(x, shape=(*x.shape[:axis], outer, inner, *x.shape[axis + 1 :]))


def _swapped(spec: tuple[int, ...]) -> tuple[int, ...]:
    return (spec[1], spec[0], *spec[2:])


# With m the batch, j input and k output features, and groups g, the contractions are
#   forward [m, gj] [j, gk] -> [m, gk]; for lhs [m, gk] [k, gj] -> [m, gj], features grouped;
#   for rhs [gj, m] [m, gk] -> [j, gk], batch grouped;
#   and with a grouped batch forward [gm, j] [j, gk] -> [m, gk]; for lhs [m, gk] [gk, j] -> [gm, j],
#   features grouped and moved to the batch; for rhs [j, gm] [m, gk] -> [j, gk], features grouped.


def _lhs_cotangent(ct: Any, lhs: Any, rhs: Any, params: dict[str, Any]) -> Any:
    if 0 in ct.shape or 0 in rhs.shape:
        return zeros_like(Aval(lhs.shape, lhs.dtype))
    numbers = params["dimension_numbers"]
    lhs_spec, rhs_spec, out_spec = numbers.lhs_spec, numbers.rhs_spec, numbers.out_spec
    batch_groups = params["batch_group_count"]
    groups = max(params["feature_group_count"], batch_groups)
    padding = tuple(
        pads_of_transpose(lhs.shape[i], rhs.shape[k], s, ct.shape[o], low, b, d)
        for i, k, o, s, (low, _), b, d in zip(
            lhs_spec[2:],
            rhs_spec[2:],
            out_spec[2:],
            params["window_strides"],
            params["padding"],
            params["lhs_dilation"],
            params["rhs_dilation"],
        )
    )
    kernel = rhs
    if groups > 1:  # move the groups from the kernel's output features to its input features
        kernel = _fold(_unfold(kernel, rhs_spec[0], groups), rhs_spec[0], rhs_spec[1])
    if len(rhs_spec) > 2:
        kernel = rev_p.bind(kernel, axes=rhs_spec[2:])
    out = conv_general_dilated_p.bind(
        ct,
        kernel if kernel.dtype == ct.dtype else convert(kernel, ct.dtype),
        window_strides=params["lhs_dilation"],
        padding=padding,
        lhs_dilation=params["window_strides"],
        rhs_dilation=params["rhs_dilation"],
        dimension_numbers=ConvDimensionNumbers(out_spec, _swapped(rhs_spec), lhs_spec),
        feature_group_count=groups,
        batch_group_count=1,
        preferred_element_type=None,
    )
    if batch_groups > 1:
        out = _fold(_unfold(out, lhs_spec[1], batch_groups), lhs_spec[1], lhs_spec[0])
    return convert(out, lhs.dtype)


def _rhs_cotangent(ct: Any, lhs: Any, rhs: Any, params: dict[str, Any]) -> Any:
    if 0 in ct.shape:
        return zeros_like(Aval(rhs.shape, rhs.dtype))
    numbers = params["dimension_numbers"]
    lhs_spec, rhs_spec, out_spec = numbers.lhs_spec, numbers.rhs_spec, numbers.out_spec
    padding = []
    for i, k, o, s, (low, _), b, d in zip(
        lhs_spec[2:],
        rhs_spec[2:],
        out_spec[2:],
        params["window_strides"],
        params["padding"],
        params["lhs_dilation"],
        params["rhs_dilation"],
    ):
        extent = dilated(rhs.shape[k], d)
        high = dilated(ct.shape[o], s) - dilated(lhs.shape[i], b) + extent - low - 1
        padding.append((low, high))
    out = conv_general_dilated_p.bind(
        lhs if lhs.dtype == ct.dtype else convert(lhs, ct.dtype),
        ct,
        window_strides=params["rhs_dilation"],
        padding=tuple(padding),
        lhs_dilation=params["lhs_dilation"],
        rhs_dilation=params["window_strides"],
        dimension_numbers=ConvDimensionNumbers(
            _swapped(lhs_spec), _swapped(out_spec), _swapped(rhs_spec)
        ),
        feature_group_count=params["batch_group_count"],
        batch_group_count=params["feature_group_count"],
        preferred_element_type=None,
    )
    return convert(out, rhs.dtype)


def _vjp(primitive: Primitive, needed: Any, operands: Any, **params: Any) -> Any:
    lhs, rhs = operands
    out = primitive.bind(lhs, rhs, **params)

    def pullback(ct: Any) -> list[Any]:
        return [
            rule(ct, lhs, rhs, params) if n else None
            for n, rule in zip(needed, (_lhs_cotangent, _rhs_cotangent))
        ]

    return out, pullback


def _batch(primitive: Primitive, batch: Any, operands: Any, batch_axes: Any, **params: Any) -> Any:
    lhs, rhs = operands
    lhs_axis, rhs_axis = batch_axes
    numbers, size = params["dimension_numbers"], batch.size
    (n, c), (o, _) = numbers.lhs_spec[:2], numbers.rhs_spec[:2]
    out_n, out_c = numbers.out_spec[:2]
    feature_groups, batch_groups = params["feature_group_count"], params["batch_group_count"]
    groups = max(feature_groups, batch_groups)
    if size == 0:
        one_lhs = lhs.aval if lhs_axis is None else _without_axis(lhs.aval, lhs_axis)
        one_rhs = rhs.aval if rhs_axis is None else _without_axis(rhs.aval, rhs_axis)
        out = primitive.infer((one_lhs, one_rhs), params)
        return zeros_like(Aval((0, *out.shape), out.dtype, out.weak_type)), 0
    if lhs_axis is not None and rhs_axis is not None:
        # Members of the batch become groups.
        which = "batch_group_count" if batch_groups > 1 else "feature_group_count"
        lhs = _fold(lhs, lhs_axis, n if batch_groups > 1 else c)
        rhs = _fold(rhs, rhs_axis, o)
        out = primitive.bind(lhs, rhs, **{**params, which: groups * size})
        return _unfold(out, out_c, size), out_c
    if lhs_axis is not None:
        if batch_groups == 1:
            out = primitive.bind(_fold(lhs, lhs_axis, n), rhs, **params)
        else:
            # The groups stay outermost in the batch.
            split = _unfold(lhs, n + (lhs_axis <= n), batch_groups)
            split = _fold(split, lhs_axis + (n < lhs_axis), n + 1)
            out = primitive.bind(_fold(split, n, n), rhs, **params)
        return _unfold(out, out_n, size), out_n
    assert rhs_axis is not None
    if groups == 1:
        out = primitive.bind(lhs, _fold(rhs, rhs_axis, o), **params)
        return _unfold(out, out_c, size), out_c
    # The groups stay outermost in the output features: unfold them, fold the batch in, fold back.
    split = _unfold(rhs, o + (rhs_axis <= o), groups)
    split = _fold(split, rhs_axis + (o < rhs_axis), o + 1)
    out = primitive.bind(lhs, _fold(split, o, o), **params)
    out = _unfold(_unfold(out, out_c, groups), out_c + 1, size)
    return _fold(out, out_c, out_c + 1), out_c


def _without_axis(aval: Aval, axis: int) -> Aval:
    return aval.with_shape(aval.shape[:axis] + aval.shape[axis + 1 :])


conv_general_dilated_p = Primitive(
    "conv_general_dilated",
    infer=_infer,
    impl=_impl,
    jvp=linear_jvp(0, 1),
    vjp=_vjp,
    batch=_batch,
)
