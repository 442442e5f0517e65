"""The optimizers: each a chain of links, with the formula, the paper and PyTorch's defaults.

In formulas p is the parameter, g its gradient, t the step, 1 at first, lr the learning rate: a
number or a schedule. Where PyTorch has the optimizer, this one takes the same steps. The module to
imitate for a new optimizer. Depends on `scaling`, `adaptive` and `schedules`.
"""

from __future__ import annotations

from typing import Any

from rtfunc.core.array import Array
from rtfunc.optim.adaptive import (
    scale_by_adadelta,
    scale_by_adam,
    scale_by_adamax,
    scale_by_lion,
    scale_by_nadam,
    scale_by_radam,
    scale_by_rms,
    scale_by_rss,
)
from rtfunc.optim.base import GradientTransformation, ScalarOrSchedule, as_schedule, chain, masked
from rtfunc.optim.scaling import (
    add_decayed_weights,
    scale_by_layerwise_rate,
    scale_by_learning_rate,
    scale_by_trust_ratio,
    trace,
)
from rtfunc.optim.schedules import as_number


def _only(*links: GradientTransformation | None) -> GradientTransformation:
    """The chain of the links that are there."""
    return chain(*(link for link in links if link is not None))


def _decay(weight_decay: float, mask: Any) -> GradientTransformation | None:
    if not isinstance(weight_decay, Array) and not weight_decay:
        return None
    return add_decayed_weights(weight_decay, mask)


def sgd(
    learning_rate: ScalarOrSchedule = 1e-3,
    momentum: float = 0.0,
    *,
    nesterov: bool = False,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
    mask: Any = None,
) -> GradientTransformation:
    """Stochastic gradient descent, as `torch.optim.SGD`.

    g += weight_decay p; m = momentum m + (1 - dampening) g (at first g); p -= lr m, or
    p -= lr (g + momentum m) with `nesterov`.

    Arguments: mask: which leaves decay, as for `masked`; all by default.

    Sutskever et al. 2013, https://proceedings.mlr.press/v28/sutskever13.html.

    >>> from rtfunc import optim
    >>> optimizer = optim.sgd(0.5)
    >>> updates, state = optimizer.update(2.0, optimizer.init(1.0), 1.0)
    >>> float(optim.apply_updates(1.0, updates))
    0.0
    """
    return _only(
        _decay(weight_decay, mask),
        trace(momentum, nesterov, dampening) if momentum else None,
        scale_by_learning_rate(learning_rate),
    )


def adam(
    learning_rate: ScalarOrSchedule = 1e-3,
    b1: float = 0.9,
    b2: float = 0.999,
    epsilon: float = 1e-8,
    *,
    weight_decay: float = 0.0,
    amsgrad: bool = False,
    mask: Any = None,
) -> GradientTransformation:
    """Adam, as `torch.optim.Adam`.

    g += weight_decay p; m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g**2;
    p -= lr m / (1 - b1**t) / (sqrt(v / (1 - b2**t)) + epsilon).

    Kingma and Ba 2014, https://arxiv.org/abs/1412.6980.

    >>> from rtfunc import optim
    >>> optimizer = optim.adam(0.1)
    >>> updates, state = optimizer.update(2.0, optimizer.init(1.0), 1.0)
    >>> round(float(updates), 6)
    -0.1
    """
    return _only(
        _decay(weight_decay, mask),
        scale_by_adam(b1, b2, epsilon, amsgrad),
        scale_by_learning_rate(learning_rate),
    )


def adamw(
    learning_rate: ScalarOrSchedule = 1e-3,
    b1: float = 0.9,
    b2: float = 0.999,
    epsilon: float = 1e-8,
    *,
    weight_decay: float = 1e-2,
    amsgrad: bool = False,
    mask: Any = None,
) -> GradientTransformation:
    """Adam with decoupled weight decay, as `torch.optim.AdamW`.

    Adam's step, and p -= lr weight_decay p.

    Arguments: mask: which leaves decay, as for `masked`; for example
    `paths_matching("*weight")`. All by default.

    Loshchilov and Hutter 2017, https://arxiv.org/abs/1711.05101.

    >>> from rtfunc import optim
    >>> optimizer = optim.adamw(0.1, weight_decay=0.5)
    >>> updates, state = optimizer.update(2.0, optimizer.init(1.0), 1.0)
    >>> round(float(updates), 6)
    -0.15
    """
    return _only(
        scale_by_adam(b1, b2, epsilon, amsgrad),
        _decay(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


def nadam(
    learning_rate: ScalarOrSchedule = 2e-3,
    b1: float = 0.9,
    b2: float = 0.999,
    epsilon: float = 1e-8,
    *,
    momentum_decay: float = 4e-3,
    weight_decay: float = 0.0,
    decoupled_weight_decay: bool = False,
    mask: Any = None,
) -> GradientTransformation:
    """Adam with Nesterov momentum, as `torch.optim.NAdam`; the formula is at `scale_by_nadam`.

    Dozat 2016, https://openreview.net/forum?id=OM0jvwB8jIp57ZJjtNEZ.

    >>> from rtfunc import optim
    >>> optimizer = optim.nadam()
    >>> updates, state = optimizer.update(2.0, optimizer.init(1.0), 1.0)
    >>> bool(updates < 0)
    True
    """
    decay = _decay(weight_decay, mask)
    return _only(
        None if decoupled_weight_decay else decay,
        scale_by_nadam(b1, b2, epsilon, momentum_decay),
        decay if decoupled_weight_decay else None,
        scale_by_learning_rate(learning_rate),
    )


def radam(
    learning_rate: ScalarOrSchedule = 1e-3,
    b1: float = 0.9,
    b2: float = 0.999,
    epsilon: float = 1e-8,
    *,
    weight_decay: float = 0.0,
    decoupled_weight_decay: bool = False,
    mask: Any = None,
) -> GradientTransformation:
    """Rectified Adam, as `torch.optim.RAdam`; the formula is at `scale_by_radam`.

    Liu et al. 2019, https://arxiv.org/abs/1908.03265.

    >>> from rtfunc import optim
    >>> optimizer = optim.radam(0.1)
    >>> updates, state = optimizer.update(2.0, optimizer.init(1.0), 1.0)
    >>> round(float(updates), 4)
    -0.2
    """
    decay = _decay(weight_decay, mask)
    return _only(
        None if decoupled_weight_decay else decay,
        scale_by_radam(b1, b2, epsilon),
        decay if decoupled_weight_decay else None,
        scale_by_learning_rate(learning_rate),
    )


def adamax(
    learning_rate: ScalarOrSchedule = 2e-3,
    b1: float = 0.9,
    b2: float = 0.999,
    epsilon: float = 1e-8,
    *,
    weight_decay: float = 0.0,
    mask: Any = None,
) -> GradientTransformation:
    """Adam with the infinity norm, as `torch.optim.Adamax`.

    g += weight_decay p; m = b1 m + (1 - b1) g; u = max(b2 u, abs(g) + epsilon);
    p -= lr m / (1 - b1**t) / u.

    Kingma and Ba 2014, section 7.1, https://arxiv.org/abs/1412.6980.

    >>> from rtfunc import optim
    >>> optimizer = optim.adamax(0.1)
    >>> updates, state = optimizer.update(2.0, optimizer.init(1.0), 1.0)
    >>> round(float(updates), 6)
    -0.1
    """
    return _only(
        _decay(weight_decay, mask),
        scale_by_adamax(b1, b2, epsilon),
        scale_by_learning_rate(learning_rate),
    )


def adagrad(
    learning_rate: ScalarOrSchedule = 1e-2,
    *,
    learning_rate_decay: float = 0.0,
    initial_accumulator: float = 0.0,
    epsilon: float = 1e-10,
    weight_decay: float = 0.0,
    mask: Any = None,
) -> GradientTransformation:
    """Adagrad, as `torch.optim.Adagrad`.

    g += weight_decay p; s += g**2; p -= lr / (1 + (t - 1) learning_rate_decay) g / (sqrt(s) +
    epsilon).

    Duchi et al. 2011, https://jmlr.org/papers/v12/duchi11a.html.

    >>> from rtfunc import optim
    >>> optimizer = optim.adagrad(0.1)
    >>> updates, state = optimizer.update(2.0, optimizer.init(1.0), 1.0)
    >>> round(float(updates), 6)
    -0.1
    """
    rate = learning_rate
    if learning_rate_decay:
        schedule = as_schedule(learning_rate)

        def rate(step: Any) -> Any:
            return schedule(step) / (1.0 + as_number(step) * learning_rate_decay)

    return _only(
        _decay(weight_decay, mask),
        scale_by_rss(initial_accumulator, epsilon),
        scale_by_learning_rate(rate),
    )


def adadelta(
    learning_rate: ScalarOrSchedule = 1.0,
    decay: float = 0.9,
    epsilon: float = 1e-6,
    *,
    weight_decay: float = 0.0,
    mask: Any = None,
) -> GradientTransformation:
    """Adadelta, as `torch.optim.Adadelta` (whose rho is `decay`).

    g += weight_decay p; v = decay v + (1 - decay) g**2; s = sqrt(d + epsilon) / sqrt(v + epsilon)
    g; d = decay d + (1 - decay) s**2; p -= lr s.

    Zeiler 2012, https://arxiv.org/abs/1212.5701.

    >>> from rtfunc import optim
    >>> optimizer = optim.adadelta()
    >>> updates, state = optimizer.update(2.0, optimizer.init(1.0), 1.0)
    >>> bool(updates < 0)
    True
    """
    return _only(
        _decay(weight_decay, mask),
        scale_by_adadelta(decay, epsilon),
        scale_by_learning_rate(learning_rate),
    )


def rmsprop(
    learning_rate: ScalarOrSchedule = 1e-2,
    decay: float = 0.99,
    epsilon: float = 1e-8,
    *,
    momentum: float = 0.0,
    centered: bool = False,
    weight_decay: float = 0.0,
    mask: Any = None,
) -> GradientTransformation:
    """RMSprop, as `torch.optim.RMSprop` (whose alpha is `decay`).

    g += weight_decay p; v = decay v + (1 - decay) g**2; s = g / (sqrt(v) + epsilon), with the
    square of the average of g taken from v if `centered`; m = momentum m + s; p -= lr m.

    Hinton 2012, https://www.cs.toronto.edu/~tijmen/csc321/slides/lecture_slides_lec6.pdf.

    >>> from rtfunc import optim
    >>> optimizer = optim.rmsprop(0.1, decay=0.75)
    >>> updates, state = optimizer.update(2.0, optimizer.init(1.0), 1.0)
    >>> round(float(updates), 6)
    -0.2
    """
    return _only(
        _decay(weight_decay, mask),
        scale_by_rms(decay, epsilon, centered),
        trace(momentum) if momentum else None,
        scale_by_learning_rate(learning_rate),
    )


def lion(
    learning_rate: ScalarOrSchedule = 1e-4,
    b1: float = 0.9,
    b2: float = 0.99,
    *,
    weight_decay: float = 0.0,
    mask: Any = None,
) -> GradientTransformation:
    """Lion (evolved sign momentum), with the paper's defaults.

    p -= lr (sign(b1 m + (1 - b1) g) + weight_decay p); m = b2 m + (1 - b2) g.

    Chen et al. 2023, https://arxiv.org/abs/2302.06675.

    >>> from rtfunc import optim
    >>> optimizer = optim.lion(0.5)
    >>> updates, state = optimizer.update(2.0, optimizer.init(1.0), 1.0)
    >>> float(updates)
    -0.5
    """
    return _only(
        scale_by_lion(b1, b2), _decay(weight_decay, mask), scale_by_learning_rate(learning_rate)
    )


def lamb(
    learning_rate: ScalarOrSchedule = 1e-3,
    b1: float = 0.9,
    b2: float = 0.999,
    epsilon: float = 1e-6,
    *,
    weight_decay: float = 0.0,
    mask: Any = None,
) -> GradientTransformation:
    """LAMB: Adam with a rate for each leaf, for large batches.

    r = Adam's direction + weight_decay p; p -= lr norm(p) / norm(r) r (without the ratio where a
    norm is 0).

    You et al. 2019, https://arxiv.org/abs/1904.00962, algorithm 2.

    >>> from rtfunc import optim
    >>> optimizer = optim.lamb(0.1)
    >>> updates, state = optimizer.update(5.0, optimizer.init(2.0), 2.0)
    >>> round(float(updates), 6)
    -0.2
    """
    return _only(
        scale_by_adam(b1, b2, epsilon),
        _decay(weight_decay, mask),
        scale_by_trust_ratio(),
        scale_by_learning_rate(learning_rate),
    )


def lars(
    learning_rate: ScalarOrSchedule = 1e-1,
    momentum: float = 0.9,
    *,
    weight_decay: float = 0.0,
    trust_coefficient: float = 0.001,
    epsilon: float = 0.0,
    mask: Any = None,
) -> GradientTransformation:
    """LARS: momentum with a rate for each leaf, for large batches.

    r = trust_coefficient norm(p) / (norm(g) + weight_decay norm(p)), 1 where a norm is 0;
    m = momentum m + lr r (g + weight_decay p); p -= m.

    Arguments: mask: which leaves get the rate and the decay, as for `masked`: usually the weights
    alone, `paths_matching("*weight")`; all by default.

    You et al. 2017, https://arxiv.org/abs/1708.03888, algorithm 1.

    >>> from rtfunc import optim
    >>> optimizer = optim.lars(1.0, trust_coefficient=0.5)
    >>> updates, state = optimizer.update(4.0, optimizer.init(2.0), 2.0)
    >>> float(updates)
    -1.0
    """
    rate = scale_by_layerwise_rate(trust_coefficient, weight_decay, epsilon)
    return _only(
        rate if mask is None else masked(rate, mask),
        scale_by_learning_rate(learning_rate),
        trace(momentum) if momentum else None,
    )
