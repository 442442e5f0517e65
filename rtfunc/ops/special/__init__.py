"""Special functions: one module per family, each primitive with its kernel and its derivatives.

NumPy has none of them. Kernels are vectorised and evaluated in float64 (`blocks`); the errors that
docstrings state are measured against mpmath. `error_function` is the one to read first.
"""

from rtfunc.ops.special.bessel import bessel_i0e as bessel_i0e
from rtfunc.ops.special.bessel import bessel_i1e as bessel_i1e
from rtfunc.ops.special.bessel_j import bessel_j as bessel_j
from rtfunc.ops.special.beta import betaln as betaln
from rtfunc.ops.special.dawson import dawsn as dawsn
from rtfunc.ops.special.dilogarithm import spence as spence
from rtfunc.ops.special.error_function import erf as erf
from rtfunc.ops.special.error_function import erf_inv as erf_inv
from rtfunc.ops.special.error_function import erfc as erfc
from rtfunc.ops.special.error_function import erfcx as erfcx
from rtfunc.ops.special.error_function import log_ndtr as log_ndtr
from rtfunc.ops.special.error_function import ndtri as ndtri
from rtfunc.ops.special.exponential_integral import expi as expi
from rtfunc.ops.special.exponential_integral import expn as expn
from rtfunc.ops.special.faddeeva import wofz_p as wofz_p
from rtfunc.ops.special.fresnel import fresnel_c as fresnel_c
from rtfunc.ops.special.fresnel import fresnel_s as fresnel_s
from rtfunc.ops.special.gamma import digamma as digamma
from rtfunc.ops.special.gamma import gamma as gamma
from rtfunc.ops.special.gamma import lgamma as lgamma
from rtfunc.ops.special.incomplete_beta import betainc as betainc
from rtfunc.ops.special.incomplete_beta import betainc_grad_x as betainc_grad_x
from rtfunc.ops.special.incomplete_gamma import igamma as igamma
from rtfunc.ops.special.incomplete_gamma import igamma_grad_a as igamma_grad_a
from rtfunc.ops.special.incomplete_gamma import igamma_grad_x as igamma_grad_x
from rtfunc.ops.special.incomplete_gamma import igammac as igammac
from rtfunc.ops.special.incomplete_gamma import random_gamma_grad as random_gamma_grad
from rtfunc.ops.special.normal_deviates import normal_from_uniform as normal_from_uniform
from rtfunc.ops.special.normal_deviates import normal_from_uniform_p as normal_from_uniform_p
from rtfunc.ops.special.owens_t import owens_t_p as owens_t_p
from rtfunc.ops.special.trigonometric_integrals import cosine_integral as cosine_integral
from rtfunc.ops.special.trigonometric_integrals import sine_integral as sine_integral
from rtfunc.ops.special.zeta import polygamma as polygamma
from rtfunc.ops.special.zeta import zeta as zeta
