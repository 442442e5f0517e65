"""Probability distributions, as `jax.scipy.stats` has them: one module for each, of plain functions.

Arguments broadcast, and derivatives flow to all that are not counts. Depends on
`scipy.special` and, for vectors, `scipy.linalg`.
"""

from rtfunc.scipy.stats import bernoulli as bernoulli
from rtfunc.scipy.stats import beta as beta
from rtfunc.scipy.stats import binom as binom
from rtfunc.scipy.stats import cauchy as cauchy
from rtfunc.scipy.stats import chi2 as chi2
from rtfunc.scipy.stats import dirichlet as dirichlet
from rtfunc.scipy.stats import expon as expon
from rtfunc.scipy.stats import gamma as gamma
from rtfunc.scipy.stats import geom as geom
from rtfunc.scipy.stats import gumbel_l as gumbel_l
from rtfunc.scipy.stats import gumbel_r as gumbel_r
from rtfunc.scipy.stats import laplace as laplace
from rtfunc.scipy.stats import logistic as logistic
from rtfunc.scipy.stats import multinomial as multinomial
from rtfunc.scipy.stats import multivariate_normal as multivariate_normal
from rtfunc.scipy.stats import nbinom as nbinom
from rtfunc.scipy.stats import norm as norm
from rtfunc.scipy.stats import pareto as pareto
from rtfunc.scipy.stats import poisson as poisson
from rtfunc.scipy.stats import t as t
from rtfunc.scipy.stats import uniform as uniform
