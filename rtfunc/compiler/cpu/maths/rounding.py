"""Rounding to integers, and the sign. Depends on `lanes`."""

from __future__ import annotations

from .lanes import Lanes


def sign(x: Lanes) -> Lanes:
    """1, -1 or 0 (for both zeros); NaN for NaN."""
    one = x.like(1.0)
    return (x > 0.0).select(one, (x < 0.0).select(-one, x.equals(0.0).select(x.like(0.0), x)))


def floor(x: Lanes) -> Lanes:
    """The largest integer that is not above x."""
    return x.floor()


def ceil(x: Lanes) -> Lanes:
    """The smallest integer that is not below x."""
    return x.call("ceil")


def trunc(x: Lanes) -> Lanes:
    """The integer part of x."""
    return x.trunc()


def round_half_even(x: Lanes) -> Lanes:
    """The nearest integer, and the even one of two that are equally near."""
    return x.nearest()
