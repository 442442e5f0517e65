"""Formulas of the Gumbel distributions, in z = (x - loc) / scale for the largest of many values and
z = (loc - x) / scale for the smallest."""

from __future__ import annotations

from rtfunc import numpy as rnp
from rtfunc.core.array import Array


def log_density(z: Array, scale: Array) -> Array:
    """The logarithm of the density."""
    return -z - rnp.exp(-z) - rnp.log(scale)


def log_lower(z: Array) -> Array:
    """The logarithm of the probability of less than z."""
    return -rnp.exp(-z)


def lower(z: Array) -> Array:
    """The probability of less than z."""
    return rnp.exp(log_lower(z))


def upper(z: Array) -> Array:
    """The probability of more than z."""
    return -rnp.expm1(log_lower(z))


def log_upper(z: Array) -> Array:
    """The logarithm of the probability of more than z."""
    return rnp.log(upper(z))
