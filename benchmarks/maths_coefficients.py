"""Minimax coefficients of the elementary functions in `rtfunc.compiler.cpu.maths`.

`python -m benchmarks.maths_coefficients` runs the Remez exchange in 60-digit arithmetic for every
entry of `FITS` and writes `rtfunc/compiler/cpu/maths/coefficients.py`. Names given as arguments are
fitted and printed instead, with their errors, and nothing is written. It needs mpmath.

A fit is a polynomial, or a ratio of two polynomials, P that minimises max |w(x) (P(x) - f(x))| over
an interval; w is chosen so that this is the relative error of the function that the emitter makes
of P. Source: E. Remez (1934); for ratios the linearised exchange of W. Cody, W. Fraser and J. Hart,
"Rational Chebyshev approximation using linear equations", Numerische Mathematik 12 (1968).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from mpmath import matrix, mp, mpf

mp.dps = 60
Real = Callable[[mpf], mpf]
TARGET = Path(__file__).parents[1] / "rtfunc/compiler/cpu/maths/coefficients.py"


def evaluate(coefficients: list[mpf], x: mpf) -> mpf:
    """P(x) for coefficients in rising order of power."""
    total = mpf(0)
    for c in reversed(coefficients):
        total = total * x + c
    return total


def alternation(points: list[mpf], errors: list[mpf], count: int) -> list[mpf]:
    """The `count` points at which the error is extremal and changes sign each time."""
    runs: list[int] = []
    for i, e in enumerate(errors):
        if runs and (e > 0) == (errors[runs[-1]] > 0):
            if abs(e) > abs(errors[runs[-1]]):
                runs[-1] = i
        else:
            runs.append(i)
    while len(runs) > count:
        if len(runs) == count + 1:
            runs.pop(0 if abs(errors[runs[0]]) < abs(errors[runs[-1]]) else -1)
            continue
        weakest = min(range(len(runs)), key=lambda k: abs(errors[runs[k]]))
        del runs[weakest]
        if 0 < weakest < len(runs):  # keep the signs alternating
            left, right = runs[weakest - 1], runs[weakest]
            runs.remove(left if abs(errors[left]) < abs(errors[right]) else right)
    return [points[i] for i in runs]


def minimax(
    function: Real, interval: tuple[float, float], degrees: tuple[int, int], weight: Real
) -> tuple[list[mpf], list[mpf], mpf]:
    """Numerator, denominator (constant term 1) and largest weighted error of the best ratio."""
    low, high = mpf(interval[0]), mpf(interval[1])
    p, q = degrees
    count = p + q + 2
    size = 24 * count + 1  # odd sizes would meet zero at the middle of a symmetric interval
    middle, half = (low + high) / 2, (high - low) / 2
    points = [middle - half * mp.cos(mp.pi * (i + mpf(1) / 3) / size) for i in range(size)]
    points = [x for x in (low, *points, high) if x and weight(x)]
    values = {x: function(x) for x in points}
    weights = {x: weight(x) for x in points}
    wanted = [middle - half * mp.cos(mp.pi * i / (count - 1)) for i in range(count)]
    reference = [min(points, key=lambda x, y=y: abs(x - y)) for y in wanted]
    numerator: list[mpf] = []
    denominator = [mpf(1)]
    worst = mpf(0)
    for _ in range(40):
        for _ in range(1 if q == 0 else 6):
            a, b = matrix(count, count), matrix(count, 1)
            for i, x in enumerate(reference):
                for k in range(p + 1):
                    a[i, k] = x**k
                for k in range(q):
                    a[i, p + 1 + k] = -values[x] * x ** (k + 1)
                a[i, count - 1] = (-1) ** i * evaluate(denominator, x) / weights[x]
                b[i] = values[x]
            solution = list(mp.lu_solve(a, b))
            numerator, denominator = solution[: p + 1], [mpf(1), *solution[p + 1 : p + 1 + q]]
        levelled = abs(solution[-1])
        errors = [
            (evaluate(numerator, x) / evaluate(denominator, x) - values[x]) * weights[x]
            for x in points
        ]
        worst = max(abs(e) for e in errors)
        if worst <= levelled * mpf("1.002"):
            break
        extremes = alternation(points, errors, count)
        if len(extremes) < count:
            raise ArithmeticError(f"{len(extremes)} alternations where {count} are needed")
        reference = extremes
    return numerator, denominator, worst


def rounded(c: mpf, bits: int) -> float:
    """The nearest float32 or float64 number."""
    return float(np.float32(float(c))) if bits == 32 else float(c)


def fit_rounded(fit: Fit, bits: int, terms: int) -> tuple[list[float], mpf]:
    """Coefficients of a polynomial, each rounded before the ones of higher power are fitted.

    A later coefficient so repairs what rounding the earlier ones did. Only in float32 is that
    rounding as large as the error of the fit; float64 coefficients are rounded all at once.
    """
    if bits == 64:
        p, _, worst = minimax(fit.function, fit.intervals[64], (terms - 1, 0), fit.weight)
        return [rounded(c, 64) for c in p], worst
    coefficients: list[float] = []
    worst = mpf(0)
    function, own_weight = cache(fit.function), cache(fit.weight)
    for done in range(terms):

        def remaining(x: mpf, done: int = done, known: tuple = tuple(coefficients)) -> mpf:
            return (function(x) - evaluate([mpf(c) for c in known], x)) / x**done

        def weight(x: mpf, done: int = done) -> mpf:
            return abs(own_weight(x) * x**done)

        p, _, worst = minimax(remaining, fit.intervals[bits], (terms - 1 - done, 0), weight)
        coefficients.append(rounded(p[0], bits))
    return coefficients, worst


@dataclass(frozen=True)
class Fit:
    """What to fit: the function, the error's weight, and per format the interval and degrees.

    `intervals` and `degrees` are keyed by 32 and 64. A degree is an integer for a polynomial or a
    pair for a ratio.
    """

    meaning: str
    function: Real
    weight: Real
    intervals: dict[int, tuple[float, float]]
    degrees: dict[int, int | tuple[int, int]]


def both(low: float, high: float) -> dict[int, tuple[float, float]]:
    return {32: (low, high), 64: (low, high)}


def near_zero(function: Real, taylor: Callable[[int], mpf], radius: float) -> Real:
    """`function`, by its series where the closed form would cancel."""
    terms = [taylor(k) for k in range(40)]
    return lambda x: evaluate(terms, x) if abs(x) < radius else function(x)


def one(x: mpf) -> mpf:
    return mpf(1)


def odd_tail(f: Real, taylor: Callable[[int], mpf]) -> Real:
    """(f(√z) - √z) / √z³ as a function of z, for an odd f with f'(0) = 1."""

    def closed(z: mpf) -> mpf:
        x = mp.sqrt(z)
        return (f(x) - x) / x**3

    return near_zero(closed, taylor, 1e-4)


def odd_weight(f: Real) -> Real:
    """Relative weight of the tail in f(√z) = √z + √z³ P(z)."""
    return lambda z: z * mp.sqrt(z) / f(mp.sqrt(z)) if z else mpf(0)


def scaled_erfc(t: mpf) -> mpf:
    """(x + 4) exp(x²) erfc(x) with x = 4 (1 + t) / (1 - t), so that t = (x - 4) / (x + 4)."""
    x = 4 * (1 + t) / (1 - t)
    return (x + 4) * mp.exp(x * x) * mp.erfc(x)


@cache
def inverse_erfc(complement: mpf) -> mpf:
    """The y with erfc(y) = complement, by Newton's method on log(erfc), which keeps the tail."""
    if complement > mpf("0.1"):
        y = mp.sqrt(mp.pi) / 2 * (1 - complement)
    else:
        y = mp.sqrt(-mp.log(complement))
    for _ in range(200):
        c = mp.erfc(y)
        step = (mp.log(c) - mp.log(complement)) * c * mp.sqrt(mp.pi) / 2 * mp.exp(y * y)
        y += step
        if abs(step) < mpf("1e-40"):
            return y
    raise ArithmeticError(f"no convergence at {complement}")


def inverse_erf_ratio(u: mpf) -> mpf:
    """erf_inv(x) / x with x² = 0.7225 - u."""
    square = mpf(0.7225) - u
    if square < mpf("1e-40"):
        return mp.sqrt(mp.pi) / 2
    return inverse_erfc(1 - mp.sqrt(square)) / mp.sqrt(square)


def inverse_erf_tail(s: mpf) -> mpf:
    """erf_inv(x) with s = √-log(1 - x)."""
    return inverse_erfc(mp.exp(-s * s))


def log_gamma_quotient(x: mpf) -> mpf:
    """lgamma(x) / ((x - 1) (x - 2)), continued over its removable singularities."""
    for root in (1, 2):
        if abs(x - root) < mpf("1e-25"):
            return mp.digamma(root) / (2 * root - 3)
    return mp.loggamma(x).real / ((x - 1) * (x - 2))


DIGAMMA_ROOT = mpf("1.4616321449683623412626595423257213284681962040064463512959884086")
HALF_LN2 = 0.34662

FITS: dict[str, Fit] = {
    "EXPM1": Fit(
        "(exp(r) - 1 - r) / r² for |r| ≤ log(2) / 2",
        near_zero(lambda r: (mp.expm1(r) - r) / r**2, lambda k: 1 / mp.factorial(k + 2), 1e-4),
        lambda r: abs(r),
        both(-HALF_LN2, HALF_LN2),
        {32: 4, 64: 9},
    ),
    "LOG": Fit(
        "(log(1 + f) - f + f²/2) / f³ for |f| ≤ 1/3",
        near_zero(
            lambda f: (mp.log1p(f) - f + f * f / 2) / f**3,
            lambda k: mpf(-1) ** k / (k + 3),
            1e-4,
        ),
        lambda f: f * f,
        {32: (-0.33334, 0.33334)},
        {32: 7},
    ),
    "LOG_ODD": Fit(
        "(log((1 + s) / (1 - s)) - 2s) / s³ as a function of s², for |s| ≤ 0.2",
        near_zero(
            lambda z: (2 * mp.atanh(mp.sqrt(z)) - 2 * mp.sqrt(z)) / mp.sqrt(z) ** 3,
            lambda k: mpf(2) / (2 * k + 3),
            1e-4,
        ),
        lambda z: z,
        {64: (0.0, 0.0401)},
        {64: 6},
    ),
    "LOG_ODD_PRECISE": Fit(
        "((log((1 + s) / (1 - s)) - 2s) / s³ - 2/3) / s² as a function of s², for |s| ≤ 0.2",
        near_zero(
            lambda z: (
                ((2 * mp.atanh(mp.sqrt(z)) - 2 * mp.sqrt(z)) / mp.sqrt(z) ** 3 - mpf(2) / 3) / z
            ),
            lambda k: mpf(2) / (2 * k + 5),
            1e-4,
        ),
        lambda z: z * z,
        {64: (0.0, 0.0401)},
        {64: 7},
    ),
    "LOG_ODD_SHORT": Fit(
        "as LOG_ODD, for float32 functions that compute in float64",
        near_zero(
            lambda z: (2 * mp.atanh(mp.sqrt(z)) - 2 * mp.sqrt(z)) / mp.sqrt(z) ** 3,
            lambda k: mpf(2) / (2 * k + 3),
            1e-4,
        ),
        lambda z: z,
        {64: (0.0, 0.0401)},
        {64: 3},
    ),
    "EXPM1_SHORT": Fit(
        "as EXPM1, for float32 functions that compute in float64",
        near_zero(lambda r: (mp.expm1(r) - r) / r**2, lambda k: 1 / mp.factorial(k + 2), 1e-4),
        lambda r: r * r,
        {64: (-HALF_LN2, HALF_LN2)},
        {64: 4},
    ),
    "SIN": Fit(
        "(sin(r) - r) / r³ as a function of r², for |r| ≤ π/4",
        odd_tail(mp.sin, lambda k: mpf(-1) ** (k + 1) / mp.factorial(2 * k + 3)),
        odd_weight(mp.sin),
        both(0.0, 0.62),
        {32: 2, 64: 5},
    ),
    "COS": Fit(
        "(cos(r) - 1 + r²/2) / r⁴ as a function of r², for |r| ≤ π/4",
        near_zero(
            lambda z: (mp.cos(mp.sqrt(z)) - 1 + z / 2) / z**2,
            lambda k: mpf(-1) ** k / mp.factorial(2 * k + 4),
            1e-4,
        ),
        lambda z: z * z / mp.cos(mp.sqrt(z)),
        both(0.0, 0.62),
        {32: 2, 64: 5},
    ),
    "TAN": Fit(
        "(tan(r) - r) / r³ as a function of r², for |r| ≤ π/4",
        lambda z: (mp.tan(mp.sqrt(z)) - mp.sqrt(z)) / mp.sqrt(z) ** 3,
        odd_weight(mp.tan),
        both(0.0, 0.62),
        {32: 5, 64: 13},
    ),
    "ASIN": Fit(
        "(asin(x) - x) / x³ as a function of x², for |x| ≤ 1/2",
        odd_tail(
            mp.asin,
            lambda k: (
                mp.factorial(2 * k + 2) / (4 ** (k + 1) * mp.factorial(k + 1) ** 2 * (2 * k + 3))
            ),
        ),
        odd_weight(mp.asin),
        both(0.0, 0.25),
        {32: 4, 64: 11},
    ),
    "ATAN": Fit(
        "(atan(x) - x) / x³ as a function of x², for |x| ≤ 1",
        odd_tail(mp.atan, lambda k: mpf(-1) ** (k + 1) / (2 * k + 3)),
        odd_weight(mp.atan),
        both(0.0, 1.0),
        {32: 8, 64: 19},
    ),
    "SINH": Fit(
        "(sinh(x) - x) / x³ as a function of x², for |x| ≤ 1",
        odd_tail(mp.sinh, lambda k: 1 / mp.factorial(2 * k + 3)),
        odd_weight(mp.sinh),
        both(0.0, 1.0),
        {32: 3, 64: 6},
    ),
    "TANH": Fit(
        "(tanh(x) - x) / x³ as a function of x², for |x| ≤ 0.625",
        lambda z: (mp.tanh(mp.sqrt(z)) - mp.sqrt(z)) / mp.sqrt(z) ** 3,
        odd_weight(mp.tanh),
        both(0.0, 0.390625),
        {32: 4, 64: 10},
    ),
    "ERF": Fit(
        "erf(x) / x - 1 as a function of x², for |x| ≤ 1",
        near_zero(
            lambda z: mp.erf(mp.sqrt(z)) / mp.sqrt(z) - 1,
            lambda k: (
                2 / mp.sqrt(mp.pi) * mpf(-1) ** k / (mp.factorial(k) * (2 * k + 1)) - (k == 0)
            ),
            1e-6,
        ),
        lambda z: mp.sqrt(z) / mp.erf(mp.sqrt(z)) if z else mpf(1),
        both(0.0, 1.0),
        {32: 6, 64: 11},
    ),
    "ERF_TAIL": Fit(
        "log(erfc(x)) + x for x from 1 to where erf(x) rounds to 1",
        lambda x: mp.log(mp.erfc(x)) + x,
        lambda x: mp.erfc(x) / mp.erf(x),
        {32: (0.99, 3.95), 64: (0.99, 5.95)},
        {32: 6, 64: 17},
    ),
    "ERFC": Fit(
        "(x + 4) exp(x²) erfc(x) as a function of (x - 4) / (x + 4)",
        scaled_erfc,
        lambda t: 1 / scaled_erfc(t),
        {32: (-1.0, 0.44), 64: (-1.0, 0.75)},
        {32: 10, 64: 22},
    ),
    "ERF_INV": Fit(
        "erf_inv(x) / x - 1 as a function of 0.7225 - x², for |x| ≤ 0.85",
        lambda u: inverse_erf_ratio(u) - 1,
        lambda u: 1 / inverse_erf_ratio(u),
        both(0.0, 0.7225),
        {32: (4, 3), 64: (8, 7)},
    ),
    "ERF_INV_TAIL": Fit(
        "erf_inv(x) - s as a function of s - 1.375, s = √-log(1 - x), for s to 4.1",
        lambda u: inverse_erf_tail(u + mpf("1.375")) - (u + mpf("1.375")),
        lambda u: 1 / inverse_erf_tail(u + mpf("1.375")),
        both(0.0, 2.72),
        {32: (4, 3), 64: (8, 7)},
    ),
    "ERF_INV_FAR": Fit(
        "erf_inv(x) - s as a function of s - 4, for s from 4.09",
        lambda u: inverse_erf_tail(u + 4) - (u + 4),
        lambda u: 1 / inverse_erf_tail(u + 4),
        {64: (0.0, 2.07)},
        {64: (5, 5)},
    ),
    "LOG_GAMMA": Fit(
        "lgamma(x) / ((x - 1) (x - 2)) as a function of x - 1, for x from 1 to 3",
        lambda u: log_gamma_quotient(u + 1),
        lambda u: 1 / log_gamma_quotient(u + 1),
        {64: (0.0, 2.0)},
        {64: (7, 7)},
    ),
    "DIGAMMA": Fit(
        "digamma(x) / (x - root) as a function of x - 1, for x from 1 to 2",
        lambda u: mp.digamma(u + 1) / (u + 1 - DIGAMMA_ROOT),
        lambda u: (u + 1 - DIGAMMA_ROOT) / mp.digamma(u + 1),
        {64: (0.0, 1.0)},
        {64: (6, 5)},
    ),
}

SPLITS: dict[str, tuple[mpf, int]] = {
    "LN2": (mp.ln(2), 2),
    "LOG2_E": (1 / mp.ln(2), 2),
    "LOG10_E": (1 / mp.ln(10), 2),
    "LOG10_2": (mp.ln(2) / mp.ln(10), 2),
    "HALF_PI": (mp.pi / 2, 3),
    "TWO_THIRDS": (mpf(2) / 3, 2),
    "DIGAMMA_ROOT": (DIGAMMA_ROOT, 2),
}
"""Constants that are written as sums of numbers of the format, and the count of summands."""

HEADER = '''"""Minimax coefficients, in rising order of power, keyed by the width of the format.

Written by `python -m benchmarks.maths_coefficients`, which holds the definition of every fit; the
comment gives what is approximated and the largest weighted error of the fit. Do not edit.
"""

# fmt: off
'''


def table(name: str, fit: Fit) -> str:
    """Source lines that define the constant `name`."""
    errors = []
    parts: dict[str, list[str]] = {}
    for bits, degree in fit.degrees.items():
        if isinstance(degree, tuple):
            p, q, worst = minimax(fit.function, fit.intervals[bits], degree, fit.weight)
            both_parts = {
                f"{name}_NUMERATOR": [rounded(c, bits) for c in p],
                f"{name}_DENOMINATOR": [rounded(c, bits) for c in q],
            }
        else:
            c, worst = fit_rounded(fit, bits, degree + 1)
            both_parts = {name: c}
        errors.append(f"2^{float(mp.log(worst, 2)):.1f} in float{bits}")
        for part, numbers in both_parts.items():
            text = [f"    {bits}: ("]
            line = "       "
            for c in numbers:
                if len(line) + len(repr(c)) > 96:
                    text.append(line)
                    line = "       "
                line += f" {c!r},"
            text += [line, "    ),"]
            parts.setdefault(part, []).extend(text)
    lines = [f"# {fit.meaning}:", f"# {', '.join(errors)}"]
    for part, text in parts.items():
        lines += [f"{part}: dict[int, tuple[float, ...]] = {{", *text, "}"]
    return "\n".join(lines)


def split(name: str) -> str:
    """Source lines that define a constant as a sum of parts."""
    number, count = SPLITS[name]
    lines = [
        f"# a sum of parts: {mp.nstr(number, 40)}",
        f"{name}: dict[int, tuple[float, ...]] = {{",
    ]
    for bits in (32, 64):
        rest = number
        parts = []
        for _ in range(count):
            parts.append(rounded(rest, bits))
            rest -= mpf(parts[-1])
        lines.append(f"    {bits}: ({', '.join(map(repr, parts))}),")
    return "\n".join([*lines, "}"])


def main(names: list[str]) -> None:
    tables = []
    for name in names or FITS:
        start = time.perf_counter()
        tables.append(table(name, FITS[name]))
        print(tables[-1], f"\n({time.perf_counter() - start:.1f} s)\n", flush=True)
    if not names:
        TARGET.write_text(HEADER + "\n".join([*map(split, SPLITS), *tables]) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
