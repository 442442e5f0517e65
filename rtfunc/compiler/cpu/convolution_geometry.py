"""A convolution as a contraction over integer axes, with all shapes known.

Batch, features and spatial axes become `Dimension`s of one kind: position `q` of the output and tap
`j` of the kernel meet element `base + q * output_step + j * tap_step` of the input. A batch axis
has no taps (one), an input feature axis has one position, a spatial axis has both. A dilated input
falls apart into phases, in each of which that holds with whole steps, so no zero is ever
multiplied. Axes that step
together are merged: a 1x1 convolution is a matrix product over one long axis. Depends on `core`.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ConvolutionSpec:
    """The static parameters of one `conv_general_dilated`.

    Attributes:
        lhs_shape, rhs_shape: of the operands, C-contiguous.
        window_strides, padding, lhs_dilation, rhs_dilation: by spatial axis, as in the primitive.
        lhs_spec, rhs_spec, out_spec: axes in the order (batch, feature, spatial ...), (out feature,
            in feature, spatial ...), (batch, feature, spatial ...).
        feature_group_count, batch_group_count: as in the primitive.
        dtype: of the operands: float32, float64, float16, bfloat16.
        out_dtype: of the result; None for `dtype`.
        flip: for each spatial axis, whether the kernel is reversed along it; () for none.
    """

    lhs_shape: tuple[int, ...]
    rhs_shape: tuple[int, ...]
    window_strides: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    lhs_dilation: tuple[int, ...]
    rhs_dilation: tuple[int, ...]
    lhs_spec: tuple[int, ...]
    rhs_spec: tuple[int, ...]
    out_spec: tuple[int, ...]
    dtype: np.dtype
    feature_group_count: int = 1
    batch_group_count: int = 1
    out_dtype: np.dtype | None = None
    flip: tuple[bool, ...] = ()

    @property
    def out_shape(self) -> tuple[int, ...]:
        """Shape of the result."""
        shape = [0] * len(self.lhs_shape)
        shape[self.out_spec[0]] = self.lhs_shape[self.lhs_spec[0]] // self.batch_group_count
        shape[self.out_spec[1]] = self.rhs_shape[self.rhs_spec[0]]
        for axis, i, k, stride, pads, base, apart in zip(
            self.out_spec[2:],
            self.lhs_spec[2:],
            self.rhs_spec[2:],
            self.window_strides,
            self.padding,
            self.lhs_dilation,
            self.rhs_dilation,
        ):
            extent = _dilated(self.lhs_shape[i], base) + sum(pads)
            window = _dilated(self.rhs_shape[k], apart)
            shape[axis] = 0 if extent < window else (extent - window) // stride + 1
        return tuple(shape)

    @property
    def multiply_adds(self) -> int:
        """How many products a convolution without dilated input and padding sums up."""
        per_output = math.prod(self.rhs_shape) // max(self.rhs_shape[self.rhs_spec[0]], 1)
        return math.prod(self.out_shape) * per_output


def _dilated(size: int, dilation: int) -> int:
    return 0 if size == 0 else (size - 1) * dilation + 1


@dataclass(frozen=True)
class Phase:
    """Positions out_start, out_start + out_step, ... and taps likewise, that meet the input.

    Position q and tap j, counted within the phase, meet element base + q * output_step + j *
    tap_step.
    """

    out_start: int
    out_count: int
    tap_start: int
    tap_count: int
    base: int


@dataclass(frozen=True)
class Dimension:
    """One axis of the contraction; see the module's docstring.

    Attributes:
        size: of the input's axis.
        out, taps: positions and taps in all.
        lhs_stride, rhs_stride, out_stride: in elements; 0 where the operand has no such axis.
        output_step, tap_step: in elements of the input's axis, within a phase.
        out_step, phase_tap_step: positions and taps of a phase lie so far apart.
        phases: at least one where `out` is not 0.
        dilation: positions of the input's axis lie so far apart, with zeros between: 1, save where
            there would be too many phases.
    """

    size: int
    out: int
    taps: int
    lhs_stride: int
    rhs_stride: int
    out_stride: int
    output_step: int
    tap_step: int
    out_step: int
    phase_tap_step: int
    phases: tuple[Phase, ...]
    dilation: int = 1

    @property
    def lowest(self) -> int:
        """The smallest base of a phase."""
        return min((p.base for p in self.phases if p.tap_count), default=0)

    @property
    def spread(self) -> int:
        """Largest less smallest base."""
        return max((p.base for p in self.phases if p.tap_count), default=0) - self.lowest

    @property
    def most_out(self) -> int:
        """Most positions of a phase."""
        return max((p.out_count for p in self.phases), default=0)

    @property
    def most_taps(self) -> int:
        """Most taps of a phase."""
        return max((p.tap_count for p in self.phases), default=0)

    @property
    def extent(self) -> int:
        """How long the input's axis is with its zeros."""
        return _dilated(self.size, self.dilation)

    @property
    def is_trivial(self) -> bool:
        """Whether its one position always meets its one tap."""
        single = self.size == self.out == self.taps == 1
        return single and self.inside and all(p.tap_count for p in self.phases)

    @property
    def inside(self) -> bool:
        """Whether no position meets padding or zeros."""
        last = max(
            (
                p.base + (p.out_count - 1) * self.output_step + (p.tap_count - 1) * self.tap_step
                for p in self.phases
                if p.tap_count and p.out_count
            ),
            default=0,
        )
        return self.dilation == 1 and self.lowest >= 0 and last < max(self.size, 1)


@dataclass(frozen=True)
class Contraction:
    """out[q, o] = sum over j of lhs[q, j] * rhs[o, j], for each group.

    Attributes:
        dimensions: with more than one position or tap, or with padding.
        groups: how many, and the distance between them in each array.
        features: output features in a group, `rhs_feature` and `out_feature` apart.
        rhs_offset: of the first tap (the last in memory where the kernel is flipped).
        lhs_lane: distance in the input between the output features, where these are the channels of a
            depthwise convolution; else 0.
    """

    dimensions: tuple[Dimension, ...]
    groups: int
    lhs_group: int
    rhs_group: int
    out_group: int
    features: int
    rhs_feature: int
    out_feature: int
    rhs_offset: int = 0
    lhs_lane: int = 0

    @property
    def pixels(self) -> int:
        """Positions of a group."""
        return math.prod(d.out for d in self.dimensions)

    @property
    def taps(self) -> int:
        """Products in a sum, at most."""
        return math.prod(d.taps for d in self.dimensions)

    def phases(self) -> list[tuple[Phase, ...]]:
        """Combinations of a phase of each dimension."""
        return list(itertools.product(*(d.phases for d in self.dimensions)))


def strides_of(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Strides of a C-contiguous array, in elements."""
    return tuple(math.prod(shape[i + 1 :]) for i in range(len(shape)))


_MOST_PHASES = 16


def contraction(spec: ConvolutionSpec) -> Contraction:
    """The contraction that a convolution is."""
    lhs, rhs = strides_of(spec.lhs_shape), strides_of(spec.rhs_shape)
    out_shape = spec.out_shape
    out = strides_of(out_shape)
    (n, c, *spatial), (o, i, *windows) = spec.lhs_spec, spec.rhs_spec
    m, k, *places = spec.out_spec
    feature_groups, batch_groups = spec.feature_group_count, spec.batch_group_count
    groups = feature_groups * batch_groups
    batch = spec.lhs_shape[n] // batch_groups
    features, in_features = spec.rhs_shape[o] // groups, spec.rhs_shape[i]
    dimensions = [
        _dimension(batch, 1, batch, 1, 0, 1, 1, (lhs[n], 0, out[m])),
        _dimension(in_features, in_features, 1, 1, 0, 1, 1, (lhs[c], rhs[i], 0)),
    ]
    offset = 0
    many = math.prod(spec.lhs_dilation) > _MOST_PHASES
    for a, (x, w, y) in enumerate(zip(spatial, windows, places)):
        taps, step = spec.rhs_shape[w], rhs[w]
        if spec.flip and spec.flip[a]:
            offset += max(taps - 1, 0) * step
            step = -step
        dimensions.append(
            _dimension(
                spec.lhs_shape[x],
                taps,
                out_shape[y],
                spec.window_strides[a],
                spec.padding[a][0],
                spec.lhs_dilation[a],
                spec.rhs_dilation[a],
                (lhs[x], step, out[y]),
                split=not many,
            )
        )
    kept = [d for d in dimensions if not d.is_trivial]
    return Contraction(
        _merged(kept),
        groups,
        lhs[c] * in_features if batch_groups == 1 else lhs[n] * batch,
        rhs[o] * features,
        out[k] * features,
        features,
        rhs[o],
        out[k],
        offset,
    )


def _dimension(
    size: int,
    taps: int,
    out: int,
    stride: int,
    low: int,
    base: int,
    apart: int,
    strides: tuple[int, int, int],
    split: bool = True,
) -> Dimension:
    if base == 1 or not split:
        phases = [Phase(0, out, 0, taps, -low)]
        return Dimension(size, out, taps, *strides, stride, apart, 1, 1, tuple(phases), base)
    out_step, tap_step = base // math.gcd(stride, base), base // math.gcd(apart, base)
    phases = []
    for first in range(min(out_step, out)):
        found = [k for k in range(tap_step) if (first * stride + k * apart - low) % base == 0]
        start = found[0] if found else taps
        phases.append(
            Phase(
                first,
                -(-(out - first) // out_step),
                start,
                max(0, -(-(taps - start) // tap_step)),
                (first * stride + start * apart - low) // base,
            )
        )
    return Dimension(
        size,
        out,
        taps,
        *strides,
        stride * out_step // base,
        apart * tap_step // base,
        out_step,
        tap_step,
        tuple(phases),
    )


def _merged(dimensions: list[Dimension]) -> tuple[Dimension, ...]:
    """Dimensions in the order of the input, outermost first, those that step together as one."""
    found: list[Dimension] = []
    for inner in sorted(dimensions, key=lambda d: -d.lhs_stride):
        merged = _merge(found[-1], inner) if found else None
        if merged is None:
            found.append(inner)
        else:
            found[-1] = merged
    return tuple(found)


def _merge(outer: Dimension, inner: Dimension) -> Dimension | None:
    if outer.lhs_stride != inner.size * inner.lhs_stride or 0 in (outer.size, inner.size):
        return None
    both = (outer, inner)
    if any(len(d.phases) != 1 or d.phases[0].base or d.dilation != 1 for d in both):
        return None
    if any(d.phases[0].tap_count != d.taps for d in both):
        return None
    pixels = all(d.taps == 1 and d.out == d.size and d.output_step == 1 for d in both)
    taps = all(d.out == 1 and d.taps == d.size and d.tap_step == 1 for d in both)
    size = outer.size * inner.size
    if pixels and outer.out_stride == inner.size * inner.out_stride:
        phases = (Phase(0, size, 0, 1, 0),)
        return dataclasses.replace(inner, size=size, out=size, phases=phases)
    if taps and outer.rhs_stride == inner.size * inner.rhs_stride:
        phases = (Phase(0, 1, 0, size, 0),)
        return dataclasses.replace(inner, size=size, taps=size, phases=phases)
    return None


def lanes_from_groups(x: Contraction) -> Contraction | None:
    """A convolution with its groups as features, None where there is one group.

    The several output features of each group, if there are, become the groups.
    """
    if x.groups == 1:
        return None
    return dataclasses.replace(
        x,
        groups=x.features,
        lhs_group=0,
        rhs_group=x.rhs_feature,
        out_group=x.out_feature,
        features=x.groups,
        rhs_feature=x.rhs_group,
        out_feature=x.out_group,
        lhs_lane=x.lhs_group,
    )
