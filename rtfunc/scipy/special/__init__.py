"""SciPy's special functions, as `jax.scipy.special` has them.

They promote and broadcast as NumPy's functions do; integers become the default float. All can be
differentiated, batched and compiled. Real numbers only, but for `loggamma` and `wofz`: complex ones
are refused. The primitives and how accurate they are are in `rtfunc.ops.special`. Depends on `ops`,
`transforms`, `numpy` and `lax`.
"""

from rtfunc.numpy.windows import i0 as i0
from rtfunc.scipy.special.gamma_functions import bernoulli as bernoulli
from rtfunc.scipy.special.gamma_functions import beta as beta
from rtfunc.scipy.special.gamma_functions import betainc as betainc
from rtfunc.scipy.special.gamma_functions import betaln as betaln
from rtfunc.scipy.special.gamma_functions import comb as comb
from rtfunc.scipy.special.gamma_functions import digamma as digamma
from rtfunc.scipy.special.gamma_functions import factorial as factorial
from rtfunc.scipy.special.gamma_functions import gamma as gamma
from rtfunc.scipy.special.gamma_functions import gammainc as gammainc
from rtfunc.scipy.special.gamma_functions import gammaincc as gammaincc
from rtfunc.scipy.special.gamma_functions import gammaln as gammaln
from rtfunc.scipy.special.gamma_functions import gammasgn as gammasgn
from rtfunc.scipy.special.gamma_functions import loggamma as loggamma
from rtfunc.scipy.special.gamma_functions import multigammaln as multigammaln
from rtfunc.scipy.special.gamma_functions import poch as poch
from rtfunc.scipy.special.gamma_functions import polygamma as polygamma
from rtfunc.scipy.special.gamma_functions import psi as psi
from rtfunc.scipy.special.gamma_functions import zeta as zeta
from rtfunc.scipy.special.hypergeometric import hyp1f1 as hyp1f1
from rtfunc.scipy.special.hypergeometric import hyp2f1 as hyp2f1
from rtfunc.scipy.special.information import boxcox as boxcox
from rtfunc.scipy.special.information import boxcox1p as boxcox1p
from rtfunc.scipy.special.information import entr as entr
from rtfunc.scipy.special.information import expit as expit
from rtfunc.scipy.special.information import kl_div as kl_div
from rtfunc.scipy.special.information import logit as logit
from rtfunc.scipy.special.information import rel_entr as rel_entr
from rtfunc.scipy.special.information import xlog1py as xlog1py
from rtfunc.scipy.special.information import xlogy as xlogy
from rtfunc.scipy.special.integrals import exp1 as exp1
from rtfunc.scipy.special.integrals import expi as expi
from rtfunc.scipy.special.integrals import expn as expn
from rtfunc.scipy.special.integrals import i0e as i0e
from rtfunc.scipy.special.integrals import i1 as i1
from rtfunc.scipy.special.integrals import i1e as i1e
from rtfunc.scipy.special.integrals import spence as spence
from rtfunc.scipy.special.normal import erf as erf
from rtfunc.scipy.special.normal import erfc as erfc
from rtfunc.scipy.special.normal import erfcx as erfcx
from rtfunc.scipy.special.normal import erfinv as erfinv
from rtfunc.scipy.special.normal import log_ndtr as log_ndtr
from rtfunc.scipy.special.normal import ndtr as ndtr
from rtfunc.scipy.special.normal import ndtri as ndtri
from rtfunc.scipy.special.reductions import log_softmax as log_softmax
from rtfunc.scipy.special.reductions import logsumexp as logsumexp
from rtfunc.scipy.special.reductions import softmax as softmax
from rtfunc.scipy.special.trigonometric import bessel_jn as bessel_jn
from rtfunc.scipy.special.trigonometric import dawsn as dawsn
from rtfunc.scipy.special.trigonometric import fresnel as fresnel
from rtfunc.scipy.special.trigonometric import owens_t as owens_t
from rtfunc.scipy.special.trigonometric import sici as sici
from rtfunc.scipy.special.trigonometric import sph_harm_y as sph_harm_y
from rtfunc.scipy.special.trigonometric import wofz as wofz
