"""What every CUDA program begins with: types and the functions that printed code calls.

The functions have the semantics of the primitives' `impl` rules where C's operators have others: NaN in
comparisons, division by zero and shifts by more than the width of integers, rounding to 16 bits.
Elementary functions are CUDA's own, without fast-math. Plain CUDA C++ without includes, so that NVRTC
compiles it anywhere; `RTFUNC_HOST` leaves out what a host compiler does not have, for the tests.
"""

from __future__ import annotations

from collections.abc import Sequence

from rtfunc.ops.special.bessel import I0_FAR, I0_NEAR, I1_FAR, I1_NEAR

_CODE = r"""
typedef signed char int8;
typedef unsigned char uint8;
typedef unsigned short uint16;
typedef unsigned int uint32;
typedef long long int64;
typedef unsigned long long uint64;

template <class To, class From> __device__ inline To bits_as(From x) {
  union { From from; To to; } both;
  both.from = x;
  return both.to;
}

// 16-bit floats are words in memory and floats in registers.
__device__ inline float from_bfloat16(uint16 x) { return bits_as<float>((uint32)x << 16); }
__device__ inline uint16 to_bfloat16(float x) {
  uint32 bits = bits_as<uint32>(x);
  if (x != x) return (uint16)((bits | 0x400000u) >> 16);
  return (uint16)((bits + ((bits >> 16) & 1u) + 0x7FFFu) >> 16);  // to nearest, ties to even
}
#ifndef RTFUNC_HOST
__device__ inline float from_float16(uint16 x) {
  float y;
  asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(x));
  return y;
}
__device__ inline uint16 to_float16(float x) {
  uint16 y;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(y) : "f"(x));
  return y;
}
template <class T> __device__ inline T from_lane(T x, int other, int width) {
  return __shfl_xor_sync(0xFFFFFFFFu, x, other, width);
}
template <> __device__ inline bool from_lane(bool x, int other, int width) {
  return __shfl_xor_sync(0xFFFFFFFFu, (int)x, other, width);
}
template <> __device__ inline int8 from_lane(int8 x, int other, int width) {
  return (int8)__shfl_xor_sync(0xFFFFFFFFu, (int)x, other, width);
}
template <> __device__ inline uint8 from_lane(uint8 x, int other, int width) {
  return (uint8)__shfl_xor_sync(0xFFFFFFFFu, (int)x, other, width);
}
template <> __device__ inline short from_lane(short x, int other, int width) {
  return (short)__shfl_xor_sync(0xFFFFFFFFu, (int)x, other, width);
}
template <> __device__ inline uint16 from_lane(uint16 x, int other, int width) {
  return (uint16)__shfl_xor_sync(0xFFFFFFFFu, (int)x, other, width);
}
#endif

// NaN in either operand is the result.
template <class T> __device__ inline T maximum(T x, T y) { return x > y || x != x ? x : y; }
template <class T> __device__ inline T minimum(T x, T y) { return x < y || x != x ? x : y; }
template <class T> __device__ inline T clamped(T low, T x, T high) {
  return minimum(maximum(x, low), high);
}
template <class T> __device__ inline T sign(T x) {
  return x > (T)0 ? (T)1 : x < (T)0 ? (T)-1 : x;  // 0 keeps its sign, NaN is NaN
}
template <class T> __device__ inline bool is_finite(T x) { return x - x == (T)0; }

// Quotients toward zero; x / 0 is -1, x % 0 is x, as in XLA.
template <class T> __device__ inline T quotient(T x, T y) {
  if (y == (T)0) return (T)-1;
  if ((T)-1 < (T)0 && y == (T)-1) return (T)(0 - (uint64)x);
  return (T)(x / y);
}
template <class T> __device__ inline T remainder_of(T x, T y) {
  if (y == (T)0) return x;
  if ((T)-1 < (T)0 && y == (T)-1) return (T)0;
  return (T)(x % y);
}

// Counts outside [0, width) shift everything out.
template <class T> __device__ inline T shift_left(T x, T n) {
  return (uint64)n < 8 * sizeof(T) ? (T)((uint64)x << n) : (T)0;
}
template <class U, class T> __device__ inline T shift_right_logical(T x, T n) {
  return (uint64)n < 8 * sizeof(T) ? (T)((U)x >> n) : (T)0;
}
template <class T> __device__ inline T shift_right_arithmetic(T x, T n) {
  if ((uint64)n < 8 * sizeof(T)) return (T)(x >> n);
  return x < (T)0 ? (T)-1 : (T)0;
}

// Floats beyond the integers of a type become the last one, NaN becomes 0.
template <class T, class F> __device__ inline T to_integer(F x, F low, F high, T first, T last) {
  return x != x ? (T)0 : x <= low ? first : x >= high ? last : (T)x;
}

__device__ inline float logaddexp(float x, float y) {
  float gap = x == y ? 0.0f : x - y;
  return maximum(x, y) + log1pf(expf(-fabsf(gap)));
}
__device__ inline double logaddexp(double x, double y) {
  double gap = x == y ? 0.0 : x - y;
  return maximum(x, y) + log1p(exp(-fabs(gap)));
}

// Salmon et al., "Parallel random numbers: as easy as 1, 2, 3": threefry-2x32 with 20 rounds.
__device__ inline uint32 threefry(uint32 k0, uint32 k1, uint32 x0, uint32 x1, int part) {
  const uint32 keys[3] = {k0, k1, k0 ^ k1 ^ 0x1BD11BDAu};
  const int turns[2][4] = {{13, 15, 26, 6}, {17, 29, 16, 24}};
  x0 += keys[0];
  x1 += keys[1];
#pragma unroll
  for (int group = 0; group < 5; ++group) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int turn = turns[group % 2][i];
      x0 += x1;
      x1 = ((x1 << turn) | (x1 >> (32 - turn))) ^ x0;
    }
    x0 += keys[(group + 1) % 3];
    x1 += keys[(group + 2) % 3] + (uint32)(group + 1);
  }
  return part ? x1 : x0;
}

// log(x) - 1 / (2 x) - B2 / (2 x^2) - B4 / (4 x^4) - ..., from 10 on; below by the recurrence
// digamma(x) = digamma(x + 1) - 1 / x, and for negative numbers by reflection.
__device__ inline double digamma(double x) {
  const double a = fabs(x), infinity = bits_as<double>(0x7FF0000000000000ULL);
  if (a == 0.0) return -copysign(infinity, x);
  double w = a, total = 0.0;
  for (; w < 10.0; w += 1.0) total -= 1.0 / w;
  const double z = 1.0 / (w * w);
  double series = 1.0 / 12.0;
  series = series * z - 691.0 / 32760.0;
  series = series * z + 1.0 / 132.0;
  series = series * z - 1.0 / 240.0;
  series = series * z + 1.0 / 252.0;
  series = series * z - 1.0 / 120.0;
  series = series * z + 1.0 / 12.0;
  const double value = w == infinity ? infinity : total + log(w) - 0.5 / w - series * z;
  if (!(x < 0.0)) return value;
  const double pi = 3.141592653589793;
  if (a < 1e-8) return 1.0 / a - 0.5772156649015329 - a * (pi * pi / 6.0);
  const double sine = sinpi(a);
  if (sine == 0.0 || a == infinity) return infinity - infinity;
  return value + 1.0 / a + pi * (cospi(a) / sine);
}

// Clenshaw's recurrence.
__device__ inline double chebyshev(double x, const double* coefficients, int count) {
  double above = 0.0, below = 0.0;
  for (int i = 0; i + 1 < count; ++i) {
    const double next = x * above - below + coefficients[i];
    below = above;
    above = next;
  }
  return 0.5 * x * above - below + coefficients[count - 1];
}
"""

_BESSEL = """
__device__ inline double bessel_i{order}e(double x) {{
  const double near[] = {{{near}}};
  const double far[] = {{{far}}};
  const double size = fabs(x);
  const double value = size > 8.0 ? chebyshev(32.0 / size - 2.0, far, {far_count}) / sqrt(size)
                                  : {factor}chebyshev(0.5 * size - 2.0, near, {near_count});
  return {result};
}}
"""


def _bessel(order: int, near: Sequence[float], far: Sequence[float]) -> str:
    """I0 or I1, scaled, by the expansions of the eager kernels."""
    return _BESSEL.format(
        order=order,
        near=", ".join(map(repr, near)),
        far=", ".join(map(repr, far)),
        near_count=len(near),
        far_count=len(far),
        factor="size * " if order else "",
        result="copysign(value, x)" if order else "value",
    )


PRELUDE = _CODE.lstrip() + _bessel(0, I0_NEAR, I0_FAR) + _bessel(1, I1_NEAR, I1_FAR)
