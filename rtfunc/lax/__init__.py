"""Structured control flow and the primitives as functions, under the names of `jax.lax`."""

from rtfunc.lax import linalg as linalg
from rtfunc.lax.branches import cond as cond
from rtfunc.lax.branches import switch as switch
from rtfunc.lax.loops import fori_loop as fori_loop
from rtfunc.lax.loops import map as map
from rtfunc.lax.loops import scan as scan
from rtfunc.lax.loops import while_loop as while_loop
from rtfunc.lax.operators import *  # noqa: F403
from rtfunc.lax.prefix import associative_scan as associative_scan
from rtfunc.transforms.custom import stop_gradient as stop_gradient
