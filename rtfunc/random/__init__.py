"""Random numbers from explicit keys.

A key is a uint32 Array of shape (2,), and a function of this module given the same key always
returns the same numbers. `split` makes new keys from one; each key is used once. The generator is
Threefry-2x32 in the counter layout of JAX (its "partitionable" form, the default), and the
algorithms are JAX's, so for the same key data `bits`, `split`, `fold_in`, `uniform`, `randint`,
`bernoulli`, `permutation` and `normal` return what `jax.random` returns on CPUs bit for bit (in
float64 `normal` agrees within 3 ulp).

    key = rtfunc.random.key(0)
    key, subkey = rtfunc.random.split(key)
    x = rtfunc.random.normal(subkey, (3, 4))

Everything can be traced, batched over keys by `vmap`, and differentiated with respect to parameters
such as `minval`. `keys` has what concerns keys, `uniform_bits` what is drawn with integers and
uniform floats, `distributions` the continuous distributions, `selection` choices among elements.
"""

from rtfunc.random.distributions import exponential as exponential
from rtfunc.random.distributions import gumbel as gumbel
from rtfunc.random.distributions import laplace as laplace
from rtfunc.random.distributions import logistic as logistic
from rtfunc.random.distributions import normal as normal
from rtfunc.random.distributions import truncated_normal as truncated_normal
from rtfunc.random.keys import PRNGKey as PRNGKey
from rtfunc.random.keys import fold_in as fold_in
from rtfunc.random.keys import key as key
from rtfunc.random.keys import key_data as key_data
from rtfunc.random.keys import split as split
from rtfunc.random.keys import wrap_key_data as wrap_key_data
from rtfunc.random.selection import categorical as categorical
from rtfunc.random.selection import choice as choice
from rtfunc.random.selection import permutation as permutation
from rtfunc.random.uniform_bits import bernoulli as bernoulli
from rtfunc.random.uniform_bits import bits as bits
from rtfunc.random.uniform_bits import randint as randint
from rtfunc.random.uniform_bits import uniform as uniform
