"""Special functions that CUDA's mathematics has not: digamma and the scaled Bessel functions I0 and I1.

C text made of the formulas and coefficients of `rtfunc.ops.special`, so that GPU, compiled CPU and eager
results are the same functions. All compute in double; printed code rounds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rtfunc.ops.special.bessel import I0_FAR, I0_NEAR, I1_FAR, I1_NEAR
from rtfunc.ops.special.gamma import DIGAMMA, DIGAMMA_ROOT, DIGAMMA_SERIES, STIRLING_FROM


def _horner(x: str, coefficients: Sequence[float]) -> str:
    text = repr(float(coefficients[0]))
    for c in coefficients[1:]:
        text = f"({text} * {x} + {float(c)!r})"
    return text


def _table(coefficients: Sequence[float]) -> str:
    return ", ".join(repr(float(c)) for c in coefficients)


def _bessel(name: str, near: Sequence[float], far: Sequence[float], odd: bool) -> str:
    value = "size * " if odd else ""
    result = "x < 0 ? -y : y" if odd else "y"
    return f"""
__device__ inline double {name}(double x) {{
  const double near[] = {{{_table(near)}}};
  const double far[] = {{{_table(far)}}};
  double size = fabs(x), y;
  if (size > 8.0) y = chebyshev(32.0 / size - 2.0, far, {len(far)}) / sqrt(size);
  else y = {value}chebyshev(0.5 * size - 2.0, near, {len(near)});
  return {result};
}}
"""


SPECIAL_FUNCTIONS = (
    f"""
__device__ inline double digamma(double x) {{
  double a = fabs(x), value;
  if (a == 0.0) return -1.0 / x;
  double inverse = 1.0 / a;
  if (a >= {STIRLING_FROM}) {{
    double z = inverse * inverse;
    value = log(a) - (0.5 * inverse + z * {_horner("z", DIGAMMA_SERIES)});
  }} else {{
    double w = a, total = 0.0;
    while (w > 2.0) {{ w -= 1.0; total += 1.0 / w; }}
    double u = a < 1.0 ? a : w - 1.0, shifted = u - 0.5;
    if (a < 1.0) total = -inverse;
    double distance = (u - {DIGAMMA_ROOT[0] - 1!r}) - {DIGAMMA_ROOT[1]!r};
    value = total + distance * {_horner("shifted", DIGAMMA)};
  }}
  if (!(x < 0.0)) return x != x ? x : value;
  if (a < 1e-8) return inverse - {np.euler_gamma!r} - a * {np.pi**2 / 6!r};
  double offset = a - rint(a);
  if (!(offset != 0.0)) return 0.0 / 0.0 * a;
  return (value + inverse) + {np.pi!r} / tan({np.pi!r} * offset);
}}

__device__ inline double chebyshev(double x, const double* coefficients, int count) {{
  double above = 0.0, below = 0.0;
  for (int k = 0; k < count - 1; ++k) {{
    double next = x * above - below + coefficients[k];
    below = above;
    above = next;
  }}
  return 0.5 * x * above - below + coefficients[count - 1];
}}
"""
    + _bessel("bessel_i0e", I0_NEAR, I0_FAR, odd=False)
    + _bessel("bessel_i1e", I1_NEAR, I1_FAR, odd=True)
)
