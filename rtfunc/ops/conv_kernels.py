"""Convolution on NumPy and CuPy buffers: `convolve`.

Operands and result are brought into one form, as views: input (g, n, c, spatial ...), kernel
(g, o, c, spatial ...), result (g, n, o, spatial ...), with groups g, batch n, input features c and
output features o. Then one of three ways is taken:
- patches: the windows over the input are a strided view, which is copied, a cache-sized piece at a
  time, into a matrix that BLAS multiplies with the kernel (im2col);
- scatter: a dilated input with step 1 (a transposed convolution) is multiplied with the whole
  kernel first, and the products are added where they belong: no zeros are multiplied;
- few outputs per group (depthwise): the elements of the kernel, or the positions of the result, are
  gone through one by one, elementwise.
Depends on `sliding`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from rtfunc.ops.sliding import Pads, dilated, meeting_slices

#: Bytes of patches that are copied before they are multiplied: they should stay in the cache.
_patch_bytes = 1 << 22
#: On a GPU what counts is that there are few launches.
_patch_bytes_on_gpu = 1 << 28
#: Bytes of the result that the depthwise way works on at a time.
_slab_bytes = 1 << 19


def convolve(
    xp: Any,
    lhs: Any,
    rhs: Any,
    out_shape: tuple[int, ...],
    strides: tuple[int, ...],
    padding: Pads,
    lhs_dilation: tuple[int, ...],
    rhs_dilation: tuple[int, ...],
    numbers: Any,
    feature_groups: int,
    batch_groups: int,
) -> Any:
    """The convolution of buffers of one dtype in which BLAS or NumPy can sum.

    `out_shape` and the other arguments are those of `conv_general_dilated`, checked.
    """
    out = xp.empty(out_shape, lhs.dtype)
    if 0 in out.shape or 0 in lhs.shape or 0 in rhs.shape:
        out[...] = 0
        return out
    groups = max(feature_groups, batch_groups)
    kernel = rhs.transpose(numbers.rhs_spec)
    kernel = kernel.reshape(groups, kernel.shape[0] // groups, *kernel.shape[1:])
    result = _grouped(out.transpose(numbers.out_spec), groups, 1)
    n_spatial = len(strides)
    few = groups > 1 and kernel.shape[1] <= 2

    def canonical(x: Any) -> Any:
        return _grouped(x.transpose(numbers.lhs_spec), groups, 0 if batch_groups > 1 else 1)

    x = canonical(lhs)
    if any(d > 1 for d in lhs_dilation):
        if all(s == 1 for s in strides):
            _scatter(xp, x, kernel, result, padding, lhs_dilation, rhs_dilation)
            return out
        few = few or x.size < 1 << 12
    if few:
        geometry = (strides, padding, lhs_dilation, rhs_dilation)
        if kernel.shape[2] == 1 and math.prod(kernel.shape[3:]) <= 4 * math.prod(result.shape[3:]):
            _by_kernel_element(xp, x, kernel, result, *geometry)
            return out
        if math.prod(result.shape[3:]) <= 64:
            _by_position(xp, x, kernel, result, *geometry)
            return out
    x = canonical(_padded(xp, lhs, numbers.lhs_spec, padding, lhs_dilation))
    view = xp.lib.stride_tricks.as_strided(
        x,
        (*x.shape[:3], *result.shape[3:], *kernel.shape[3:]),
        (
            *x.strides[:3],
            *(n * s for n, s in zip(x.strides[3:], strides)),
            *(n * d for n, d in zip(x.strides[3:], rhs_dilation)),
        ),
    )
    _patches(xp, view, kernel, result, n_spatial, False)
    return out


def _grouped(x: Any, groups: int, axis: int) -> Any:
    """A view (n, c, ...) as (g, n, c, ...), with the groups taken out of `axis`."""
    shape = (*x.shape[:axis], groups, x.shape[axis] // groups, *x.shape[axis + 1 :])
    split = x.reshape(shape)  # splitting an axis makes a view
    return split if axis == 0 else split.swapaxes(0, 1)


def _padded(xp: Any, x: Any, spec: Sequence[int], padding: Pads, dilation: Sequence[int]) -> Any:
    """`x` with zeros around and between its elements, in its own layout."""
    if all(p == (0, 0) for p in padding) and all(d == 1 for d in dilation):
        return x
    shape = list(x.shape)
    source, target = [slice(None)] * x.ndim, [slice(None)] * x.ndim
    for axis, (low, high), d in zip(spec[2:], padding, dilation):
        size = x.shape[axis]
        shape[axis] = padded = dilated(size, d) + low + high
        first = max(0, -(low // d))  # the first and the last element that padding does not cut
        last = max(first - 1, min(size - 1, (padded - 1 - low) // d))
        source[axis] = slice(first, last + 1)
        start = max(low + first * d, 0)
        target[axis] = slice(start, start + (last - first) * d + 1 if last >= first else start, d)
    out = xp.zeros(shape, x.dtype)
    out[tuple(target)] = x[tuple(source)]
    return out


def _patches(xp: Any, view: Any, kernel: Any, result: Any, n_spatial: int, add: bool) -> None:
    """Put the windows `view` (g, n, c, positions ..., elements ...) times the kernel into `result`.

    With `add`, the product is added to what stands there.
    """
    first_element = 3 + n_spatial
    nbytes = view.size * view.itemsize
    limit = _patch_bytes if xp is np else _patch_bytes_on_gpu
    if nbytes > limit and math.prod(view.shape[first_element:]) > 1:
        axes = [a for a in (0, 1, 2, 3) if a < first_element and view.shape[a] > 1]
        if result.size * 16 > view.size and axes != [2]:
            # Pieces along the contracted axis would go over a large result again and again.
            axes = [a for a in axes if a != 2]
        axis = max(axes, key=lambda a: abs(view.strides[a]), default=None)
        if axis is not None:
            size = view.shape[axis]
            step = max(1, size * limit // nbytes)
            for start in range(0, size, step):
                cut = (slice(None),) * axis + (slice(start, start + step),)
                _patches(
                    xp,
                    view[cut],
                    kernel[cut] if axis in (0, 2) else kernel,
                    result if axis == 2 else result[cut],
                    n_spatial,
                    add or (axis == 2 and start > 0),
                )
            return

    def outer_first(axes: Sequence[int]) -> list[int]:
        return sorted(axes, key=lambda a: (view.shape[a] > 1, -abs(view.strides[a])))

    def copies_well(axis: int) -> tuple[bool, int, int]:
        return view.shape[axis] >= 8, -abs(view.strides[axis]), view.shape[axis]

    spatial = outer_first(range(3, first_element))
    rows = outer_first([1, *spatial])
    columns = outer_first([2, *range(first_element, view.ndim)])
    groups, n_out = kernel.shape[:2]
    weights = kernel.transpose(0, 1, *(2 if a == 2 else a - n_spatial for a in columns))
    weights = weights.reshape(groups, n_out, -1)
    n_columns, n_positions = weights.shape[2], math.prod(view.shape[3:first_element])
    # `order` says which axes of `result` the product has (2 being the output features).
    if copies_well(rows[-1]) > copies_well(columns[-1]):
        batch_outermost = abs(view.strides[1]) >= max(abs(view.strides[a]) for a in columns)
        if view.shape[1] > 1 and batch_outermost and n_positions >= 64:
            matrix = view.transpose(0, 1, *columns, *spatial)
            matrix = matrix.reshape(groups, view.shape[1], n_columns, n_positions)
            product, order = xp.matmul(weights[:, None], matrix), (0, 1, 2, *spatial)
        else:
            matrix = view.transpose(0, *columns, *rows).reshape(groups, n_columns, -1)
            product, order = xp.matmul(weights, matrix), (0, 2, *rows)
    else:
        matrix = view.transpose(0, *rows, *columns).reshape(groups, -1, n_columns)
        product, order = xp.matmul(matrix, weights.swapaxes(1, 2)), (0, *rows, 2)
    product = product.reshape([result.shape[a] for a in order])
    product = product.transpose([order.index(a) for a in range(result.ndim)])
    if add:
        xp.add(result, product, out=result)
    else:
        result[...] = product


def _elements(
    x: Any, kernel: Any, result: Any, padding: Pads, strides: Any, dilation: Any, apart: Any
) -> Any:
    """(kernel index, slices of the result, of the input) where kernel elements meet the input."""
    meetings = [
        meeting_slices(size, window, s, low, d, a, n_out)
        for size, window, s, (low, _), d, a, n_out in zip(
            x.shape[3:], kernel.shape[3:], strides, padding, dilation, apart, result.shape[3:]
        )
    ]
    numbered = [[None if m is None else (k, *m) for k, m in enumerate(ms)] for ms in meetings]
    for combination in itertools.product(*numbered):
        if None not in combination:
            yield tuple(zip(*combination)) if combination else ((), (), ())


def _scatter(
    xp: Any,
    x: Any,
    kernel: Any,
    result: Any,
    padding: Pads,
    dilation: tuple[int, ...],
    apart: tuple[int, ...],
) -> None:
    """Convolution with step 1 of a dilated input: products first, then the sum of them shifted."""
    groups, n_out, n_in = kernel.shape[:3]
    spatial = range(3, x.ndim)
    result[...] = 0
    meetings = list(_elements(x, kernel, result, padding, (1,) * len(padding), dilation, apart))
    one = groups * n_out * math.prod(kernel.shape[3:]) * math.prod(x.shape[3:]) * x.itemsize
    step = max(1, _patch_bytes // one)
    features_last = n_in > 1 and abs(x.strides[2]) == min(map(abs, x.strides[2:]))
    if features_last:
        weights = kernel.transpose(0, 2, *spatial, 1).reshape(groups, n_in, -1)
    else:
        weights = kernel.transpose(0, *spatial, 1, 2).reshape(groups, 1, -1, n_in)
    n_axes = len(padding)
    for start in range(0, x.shape[1], step):
        part, target = x[:, start : start + step], result[:, start : start + step]
        if features_last:
            matrix = part.transpose(0, 1, *spatial, 2)
            product = xp.matmul(matrix.reshape(groups, -1, n_in), weights)
            product = product.reshape(*matrix.shape[:-1], *kernel.shape[3:], n_out)
            # (g, n, spatial, elements, o) -> (elements, g, n, o, spatial)
            order = (*range(2 + n_axes, 2 + 2 * n_axes), 0, 1, product.ndim - 1)
            product = product.transpose(*order, *range(2, 2 + n_axes))
        else:
            matrix = part.reshape(groups, part.shape[1], n_in, -1)
            product = xp.matmul(weights, matrix)
            product = product.reshape(*part.shape[:2], *kernel.shape[3:], n_out, *x.shape[3:])
            # (g, n, elements, o, spatial) -> (elements, g, n, o, spatial)
            order = (*range(2, 2 + n_axes), 0, 1)
            product = product.transpose(*order, *range(2 + n_axes, product.ndim))
        every = (slice(None),) * 3
        for element, windows, inputs in meetings:
            where = target[(*every, *windows)]
            xp.add(where, product[(*element, *every, *inputs)], out=where)


def _by_kernel_element(
    xp: Any,
    x: Any,
    kernel: Any,
    result: Any,
    strides: tuple[int, ...],
    padding: Pads,
    dilation: tuple[int, ...],
    apart: tuple[int, ...],
) -> None:
    """Convolution with one input feature per group: a sum of shifted inputs times elements."""
    meetings = list(_elements(x, kernel, result, padding, strides, dilation, apart))
    groups, n_out = kernel.shape[:2]
    scale = (groups, 1, n_out, *(1,) * len(padding))
    every = (slice(None),) * 3
    result[...] = 0
    one = result.nbytes // result.shape[1]
    step = max(1, _slab_bytes // one)
    # Within one member of the batch, a group at a time where groups are apart in memory.
    group_step = groups
    if step == 1 and abs(result.strides[0]) > max(map(abs, result.strides[3:]), default=0):
        group_step = max(1, groups * _slab_bytes // one)
    for start in range(0, result.shape[1], step):
        for group in range(0, groups, group_step):
            cut = (slice(group, group + group_step), slice(start, start + step))
            part, target = x[cut], result[cut]
            for element, windows, inputs in meetings:
                factor = kernel[(*every, *element)].reshape(scale)[cut[0]]
                where = target[(*every, *windows)]
                xp.add(where, part[(*every, *inputs)] * factor, out=where)


def _by_position(
    xp: Any,
    x: Any,
    kernel: Any,
    result: Any,
    strides: tuple[int, ...],
    padding: Pads,
    dilation: tuple[int, ...],
    apart: tuple[int, ...],
) -> None:
    """Convolution with few positions in the result: a dot product for each."""
    # Position and kernel element play the same part in the geometry.
    meetings = [
        meeting_slices(size, n_out, a, low, d, s, window)
        for size, n_out, a, (low, _), d, s, window in zip(
            x.shape[3:], result.shape[3:], apart, padding, dilation, strides, kernel.shape[3:]
        )
    ]
    every = (slice(None),) * 3
    spatial = list(range(4, 4 + len(padding)))
    for position in itertools.product(*(range(len(ms)) for ms in meetings)):
        found = [ms[p] for ms, p in zip(meetings, position)]
        if None in found:
            result[(*every, *position)] = 0
            continue
        elements, inputs = (tuple(m[i] for m in found if m is not None) for i in (0, 1))
        result[(*every, *position)] = xp.einsum(
            x[(*every, *inputs)],
            [0, 1, 2, *spatial],
            kernel[(*every, *elements)],
            [0, 3, 2, *spatial],
            [0, 1, 3],
        )
