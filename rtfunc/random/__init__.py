"""Random numbers from explicit keys.

A key is a uint32 Array of shape (2,), and a function of this module given the same key always
returns the same numbers. `split` makes new keys from one; each key is used once. The generator is
Threefry-2x32 in the counter layout of JAX (its "partitionable" form, the default), and the
algorithms are JAX's, so for the same key data `bits`, `split`, `fold_in`, `uniform`, `randint`,
`bernoulli`, `rademacher`, `permutation` and `normal` return what `jax.random` returns on CPUs bit for
bit (in float64 `normal` agrees within 3 ulp), and the other distributions up to rounding.

    key = rtfunc.random.key(0)
    key, subkey = rtfunc.random.split(key)
    x = rtfunc.random.normal(subkey, (3, 4))

Everything can be traced, batched over keys by `vmap`, and differentiated with respect to parameters
such as `minval` where a small change of them moves the samples. Parameters of distributions broadcast
to `shape`, by default their common shape, and the dtype is theirs by default. `keys` has what concerns
keys, `uniform_bits` what is drawn with integers and uniform floats, `distributions` the continuous
distributions without shape parameters, `transformed` and `gamma_family` those with, `counts` the
discrete ones, `vectors` vectors and matrices, `selection` choices among elements.
"""

from rtfunc.random.counts import binomial as binomial
from rtfunc.random.counts import geometric as geometric
from rtfunc.random.counts import multinomial as multinomial
from rtfunc.random.counts import poisson as poisson
from rtfunc.random.distributions import cauchy as cauchy
from rtfunc.random.distributions import exponential as exponential
from rtfunc.random.distributions import gumbel as gumbel
from rtfunc.random.distributions import laplace as laplace
from rtfunc.random.distributions import logistic as logistic
from rtfunc.random.distributions import maxwell as maxwell
from rtfunc.random.distributions import normal as normal
from rtfunc.random.distributions import truncated_normal as truncated_normal
from rtfunc.random.gamma_family import beta as beta
from rtfunc.random.gamma_family import chisquare as chisquare
from rtfunc.random.gamma_family import dirichlet as dirichlet
from rtfunc.random.gamma_family import f as f
from rtfunc.random.gamma_family import gamma as gamma
from rtfunc.random.gamma_family import generalized_normal as generalized_normal
from rtfunc.random.gamma_family import loggamma as loggamma
from rtfunc.random.gamma_family import t as t
from rtfunc.random.keys import PRNGKey as PRNGKey
from rtfunc.random.keys import clone as clone
from rtfunc.random.keys import fold_in as fold_in
from rtfunc.random.keys import key as key
from rtfunc.random.keys import key_data as key_data
from rtfunc.random.keys import key_impl as key_impl
from rtfunc.random.keys import split as split
from rtfunc.random.keys import wrap_key_data as wrap_key_data
from rtfunc.random.selection import categorical as categorical
from rtfunc.random.selection import choice as choice
from rtfunc.random.selection import permutation as permutation
from rtfunc.random.transformed import double_sided_maxwell as double_sided_maxwell
from rtfunc.random.transformed import lognormal as lognormal
from rtfunc.random.transformed import pareto as pareto
from rtfunc.random.transformed import rayleigh as rayleigh
from rtfunc.random.transformed import triangular as triangular
from rtfunc.random.transformed import wald as wald
from rtfunc.random.transformed import weibull_min as weibull_min
from rtfunc.random.uniform_bits import bernoulli as bernoulli
from rtfunc.random.uniform_bits import bits as bits
from rtfunc.random.uniform_bits import rademacher as rademacher
from rtfunc.random.uniform_bits import randint as randint
from rtfunc.random.uniform_bits import uniform as uniform
from rtfunc.random.vectors import ball as ball
from rtfunc.random.vectors import multivariate_normal as multivariate_normal
from rtfunc.random.vectors import orthogonal as orthogonal
