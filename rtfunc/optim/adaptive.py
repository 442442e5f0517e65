"""Links that scale each element by its history: the family of Adam, RMSprop, Adagrad, Adadelta.

Each `scale_by_*` is the heart of the optimizer of that name, without its learning rate;
`optimizers` chains them. In formulas g is the incoming update, t the step, 1 at first. Running
averages are kept in the parameters' dtypes. Depends on `scaling`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from rtfunc import numpy as rnp
from rtfunc import tree
from rtfunc.core import dtypes
from rtfunc.core.array import Array
from rtfunc.core.errors import ArgumentError, at_user_line
from rtfunc.ops.convert import as_array, convert
from rtfunc.optim.base import (
    GradientTransformation,
    Updates,
    as_leaf,
    cast_like,
    split_map,
    step_count,
    widest_dtype,
    zeros_like,
)


def _interval(link: str, **rates: float) -> None:
    """Raise `ArgumentError` unless every rate is at least 0 and below 1."""
    for name, rate in rates.items():
        if not 0 <= rate < 1:
            raise ArgumentError(
                at_user_line(f"{link}: {name} is from 0 to below 1, but got {rate}.")
            )


def unbias(decay: float, count: Array) -> Callable[[Array], Array]:
    """`1 - decay**count` in the dtype of the array that it is called with.

    As -expm1(count * log(decay)), which is accurate in float32 too, where decay is not.
    """
    known: dict[np.dtype, Array] = {}

    def correction(like: Array) -> Array:
        dtype = like.dtype
        if dtype not in known:
            wide = dtypes.compute_dtype(dtype)
            if decay == 0:
                value = rnp.ones((), wide)
            else:
                value = -rnp.expm1(convert(count, wide) * math.log(decay))
            known[dtype] = convert(value, dtype)
        return known[dtype]

    return correction


# The family of Adam


class AdamState(NamedTuple):
    """Number of updates so far and running averages of g and g**2 (or what stands for it)."""

    count: Array
    mu: Any
    nu: Any


class AmsgradState(NamedTuple):
    """As `AdamState`, with the largest `nu` so far."""

    count: Array
    mu: Any
    nu: Any
    nu_max: Any


def _average(old: Any, new: Any, decay: float) -> Any:
    return old * decay + new * (1 - decay)


def scale_by_adam(
    b1: float = 0.9, b2: float = 0.999, epsilon: float = 1e-8, amsgrad: bool = False
) -> GradientTransformation:
    """m / (1 - b1**t) / (sqrt(v / (1 - b2**t)) + epsilon).

    m = b1 m + (1 - b1) g, v = b2 v + (1 - b2) g**2. With `amsgrad` the largest v so far is used.

    Kingma and Ba 2014, https://arxiv.org/abs/1412.6980; Reddi et al. 2018,
    https://openreview.net/forum?id=ryQu7f-RZ.

    >>> link = scale_by_adam()
    >>> round(float(link.update(10.0, link.init(0.0))[0]), 6)
    1.0
    """
    _interval("scale_by_adam", b1=b1, b2=b2)

    def init(params: Any) -> AdamState | AmsgradState:
        zeros = zeros_like(params)
        return (
            AmsgradState(step_count(), zeros, zeros, zeros)
            if amsgrad
            else AdamState(step_count(), zeros, zeros)
        )

    def update(
        updates: Updates, state: Any, params: Any = None, **extra: Any
    ) -> tuple[Updates, Any]:
        count = state.count + 1
        first, second = unbias(b1, count), unbias(b2, count)

        def moved(g: Any, m: Any, v: Any, *largest: Any) -> tuple[Any, ...]:
            g = as_array("scale_by_adam", g)
            m, v = _average(m, g, b1), _average(v, g * g, b2)
            used = rnp.maximum(largest[0], v) if amsgrad else v
            out = m / first(m) / (rnp.sqrt(used / second(v)) + epsilon)
            return (out, m, v, used) if amsgrad else (out, m, v)

        if amsgrad:
            out, mu, nu, nu_max = split_map(moved, 4, updates, state.mu, state.nu, state.nu_max)
            return out, AmsgradState(count, mu, nu, nu_max)
        out, mu, nu = split_map(moved, 3, updates, state.mu, state.nu)
        return out, AdamState(count, mu, nu)

    return GradientTransformation(init, update)


class NadamState(NamedTuple):
    """As `AdamState`, with the product of the momentum factors so far."""

    count: Array
    product: Array
    mu: Any
    nu: Any


def scale_by_nadam(
    b1: float = 0.9, b2: float = 0.999, epsilon: float = 1e-8, momentum_decay: float = 4e-3
) -> GradientTransformation:
    """Adam with Nesterov momentum, as `torch.optim.NAdam`.

    mu_t = b1 (1 - 0.96**(t momentum_decay) / 2), P_t the product of mu_1 to mu_t, and
    ((1 - mu_t) g / (1 - P_t) + mu_{t+1} m / (1 - P_t mu_{t+1})) / (sqrt(v / (1 - b2**t)) +
    epsilon).

    Dozat 2016, https://openreview.net/forum?id=OM0jvwB8jIp57ZJjtNEZ.

    >>> link = scale_by_nadam()
    >>> float(link.update(10.0, link.init(0.0))[0]) > 0
    True
    """
    _interval("scale_by_nadam", b1=b1, b2=b2)

    def init(params: Any) -> NadamState:
        zeros = zeros_like(params)
        return NadamState(step_count(), rnp.ones((), widest_dtype(params)), zeros, zeros)

    def update(
        updates: Updates, state: NadamState, params: Any = None, **extra: Any
    ) -> tuple[Updates, NadamState]:
        count = state.count + 1
        second = unbias(b2, count)
        t = convert(count, state.product.dtype)
        now, ahead = (
            b1 * (1.0 - 0.5 * rnp.exp((t + later) * (momentum_decay * math.log(0.96))))
            for later in (0.0, 1.0)
        )
        product = state.product * now
        of_gradient = (1.0 - now) / (1.0 - product)
        of_average = ahead / (1.0 - product * ahead)

        def moved(g: Any, m: Any, v: Any) -> tuple[Any, Any, Any]:
            g = as_array("scale_by_nadam", g)
            m, v = _average(m, g, b1), _average(v, g * g, b2)
            direction = g * cast_like(of_gradient, g) + m * cast_like(of_average, m)
            return direction / (rnp.sqrt(v / second(v)) + epsilon), m, v

        out, mu, nu = split_map(moved, 3, updates, state.mu, state.nu)
        return out, NadamState(count, product, mu, nu)

    return GradientTransformation(init, update)


def scale_by_radam(
    b1: float = 0.9, b2: float = 0.999, epsilon: float = 1e-8
) -> GradientTransformation:
    """Adam that uses its second moment only once that is known well enough, as `torch.optim.RAdam`.

    With r = 2 / (1 - b2) - 1 and r_t = r - 2 t b2**t / (1 - b2**t): where r_t > 5, Adam's direction
    times sqrt((r_t - 4)(r_t - 2) r / ((r - 4)(r - 2) r_t)), else m / (1 - b1**t).

    Liu et al. 2019, https://arxiv.org/abs/1908.03265.

    >>> link = scale_by_radam()
    >>> round(float(link.update(10.0, link.init(0.0))[0]), 4)
    10.0
    """
    _interval("scale_by_radam", b1=b1, b2=b2)
    longest = 2 / (1 - b2) - 1

    def init(params: Any) -> AdamState:
        zeros = zeros_like(params)
        return AdamState(step_count(), zeros, zeros)

    def update(
        updates: Updates, state: AdamState, params: Any = None, **extra: Any
    ) -> tuple[Updates, AdamState]:
        count = state.count + 1
        first, second = unbias(b1, count), unbias(b2, count)

        def moved(g: Any, m: Any, v: Any) -> tuple[Any, Any, Any]:
            g = as_array("scale_by_radam", g)
            m, v = _average(m, g, b1), _average(v, g * g, b2)
            wide = rnp.zeros((), dtypes.compute_dtype(v.dtype))
            t, correction = convert(count, wide.dtype), second(wide)
            length = longest - 2.0 * t * (1.0 - correction) / correction
            known = length > 5.0
            # Below 5 the square root is not used and must not become NaN.
            safe = rnp.where(known, length, 6.0)
            factor = rnp.sqrt(
                (safe - 4.0) * (safe - 2.0) * longest / ((longest - 4) * (longest - 2) * safe)
            )
            scaled = cast_like(factor * rnp.sqrt(correction), v) / (rnp.sqrt(v) + epsilon)
            average = m / first(m)
            return rnp.where(known, average * scaled, average), m, v

        out, mu, nu = split_map(moved, 3, updates, state.mu, state.nu)
        return out, AdamState(count, mu, nu)

    return GradientTransformation(init, update)


def scale_by_adamax(
    b1: float = 0.9, b2: float = 0.999, epsilon: float = 1e-8
) -> GradientTransformation:
    """m / (1 - b1**t) / u, where u = max(b2 u, abs(g) + epsilon).

    Kingma and Ba 2014, section 7.1, https://arxiv.org/abs/1412.6980.

    >>> link = scale_by_adamax()
    >>> round(float(link.update(10.0, link.init(0.0))[0]), 6)
    1.0
    """
    _interval("scale_by_adamax", b1=b1, b2=b2)

    def init(params: Any) -> AdamState:
        zeros = zeros_like(params)
        return AdamState(step_count(), zeros, zeros)

    def update(
        updates: Updates, state: AdamState, params: Any = None, **extra: Any
    ) -> tuple[Updates, AdamState]:
        count = state.count + 1
        first = unbias(b1, count)

        def moved(g: Any, m: Any, u: Any) -> tuple[Any, Any, Any]:
            g = as_array("scale_by_adamax", g)
            m, u = _average(m, g, b1), rnp.maximum(u * b2, rnp.abs(g) + epsilon)
            return m / first(m) / u, m, u

        out, mu, nu = split_map(moved, 3, updates, state.mu, state.nu)
        return out, AdamState(count, mu, nu)

    return GradientTransformation(init, update)


class LionState(NamedTuple):
    """The running average of g."""

    mu: Any


def scale_by_lion(b1: float = 0.9, b2: float = 0.99) -> GradientTransformation:
    """sign(b1 m + (1 - b1) g), where afterwards m = b2 m + (1 - b2) g.

    Chen et al. 2023, https://arxiv.org/abs/2302.06675.

    >>> link = scale_by_lion()
    >>> float(link.update(10.0, link.init(0.0))[0])
    1.0
    """
    _interval("scale_by_lion", b1=b1, b2=b2)

    def init(params: Any) -> LionState:
        return LionState(zeros_like(params))

    def update(
        updates: Updates, state: LionState, params: Any = None, **extra: Any
    ) -> tuple[Updates, LionState]:
        def moved(g: Any, m: Any) -> tuple[Any, Any]:
            return rnp.sign(_average(m, g, b1)), _average(m, g, b2)

        out, mu = split_map(moved, 2, updates, state.mu)
        return out, LionState(mu)

    return GradientTransformation(init, update)


# Scaling by the size of past gradients


class SquaresState(NamedTuple):
    """The sum or running average of g**2."""

    nu: Any


def scale_by_rss(
    initial_accumulator: float = 0.0, epsilon: float = 1e-10
) -> GradientTransformation:
    """g / (sqrt(s) + epsilon), where s is the sum of all g**2 so far.

    Duchi et al. 2011, https://jmlr.org/papers/v12/duchi11a.html.

    >>> link = scale_by_rss()
    >>> round(float(link.update(10.0, link.init(0.0))[0]), 6)
    1.0
    """

    def init(params: Any) -> SquaresState:
        return SquaresState(
            tree.map(lambda p: rnp.full_like(as_leaf(p), initial_accumulator), params)
        )

    def update(
        updates: Updates, state: SquaresState, params: Any = None, **extra: Any
    ) -> tuple[Updates, SquaresState]:
        def moved(g: Any, s: Any) -> tuple[Any, Any]:
            s = s + g * g
            return g / (rnp.sqrt(s) + epsilon), s

        out, nu = split_map(moved, 2, updates, state.nu)
        return out, SquaresState(nu)

    return GradientTransformation(init, update)


class CenteredState(NamedTuple):
    """Running averages of g and g**2."""

    mu: Any
    nu: Any


def scale_by_rms(
    decay: float = 0.99, epsilon: float = 1e-8, centered: bool = False
) -> GradientTransformation:
    """g / (sqrt(v) + epsilon), where v = decay v + (1 - decay) g**2.

    Arguments: centered: take the square of the average of g from v, an estimate of the variance.

    Hinton 2012, https://www.cs.toronto.edu/~tijmen/csc321/slides/lecture_slides_lec6.pdf; Graves
    2013, https://arxiv.org/abs/1308.0850.

    >>> link = scale_by_rms(0.75)
    >>> round(float(link.update(10.0, link.init(0.0))[0]), 6)
    2.0
    """
    _interval("scale_by_rms", decay=decay)

    def init(params: Any) -> SquaresState | CenteredState:
        zeros = zeros_like(params)
        return CenteredState(zeros, zeros) if centered else SquaresState(zeros)

    def update(
        updates: Updates, state: Any, params: Any = None, **extra: Any
    ) -> tuple[Updates, Any]:
        def moved(g: Any, v: Any, *average: Any) -> tuple[Any, ...]:
            v = _average(v, g * g, decay)
            if not centered:
                return g / (rnp.sqrt(v) + epsilon), v
            m = _average(average[0], g, decay)
            return g / (rnp.sqrt(v - m * m) + epsilon), v, m

        if centered:
            out, nu, mu = split_map(moved, 3, updates, state.nu, state.mu)
            return out, CenteredState(mu, nu)
        out, nu = split_map(moved, 2, updates, state.nu)
        return out, SquaresState(nu)

    return GradientTransformation(init, update)


class AdadeltaState(NamedTuple):
    """Running averages of g**2 and of the squares of the updates."""

    nu: Any
    delta: Any


def scale_by_adadelta(decay: float = 0.9, epsilon: float = 1e-6) -> GradientTransformation:
    """s = sqrt(d + epsilon) / sqrt(v + epsilon) * g, with averages v of g**2 and d of s**2.

    Zeiler 2012, https://arxiv.org/abs/1212.5701.

    >>> link = scale_by_adadelta()
    >>> round(float(link.update(10.0, link.init(0.0))[0]), 6)
    0.003162
    """
    _interval("scale_by_adadelta", decay=decay)

    def init(params: Any) -> AdadeltaState:
        zeros = zeros_like(params)
        return AdadeltaState(zeros, zeros)

    def update(
        updates: Updates, state: AdadeltaState, params: Any = None, **extra: Any
    ) -> tuple[Updates, AdadeltaState]:
        def moved(g: Any, v: Any, d: Any) -> tuple[Any, Any, Any]:
            v = _average(v, g * g, decay)
            step = rnp.sqrt(d + epsilon) / rnp.sqrt(v + epsilon) * g
            return step, v, _average(d, step * step, decay)

        out, nu, delta = split_map(moved, 3, updates, state.nu, state.delta)
        return out, AdadeltaState(nu, delta)

    return GradientTransformation(init, update)
