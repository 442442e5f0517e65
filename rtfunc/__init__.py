"""rtfunc: functional transforms of Python functions over immutable arrays.

    import rtfunc as rf
    import rtfunc.numpy as rnp

    def loss(w, x):
        return rnp.sum(rnp.tanh(x @ w) ** 2)

    gradient = rf.jit(rf.grad(loss))

`grad`, `vmap`, `jit` and their relatives live here; arrays in `rtfunc.numpy`; control flow in
`rtfunc.lax`; networks, optimizers, data and files in `rtfunc.nn`, `.optim`, `.data` and `.io`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from rtfunc import numpy as numpy
from rtfunc import tree as tree
from rtfunc.core.array import Array as Array
from rtfunc.core.array import ArrayLike as ArrayLike
from rtfunc.core.aval import Aval as ShapeDtypeStruct
from rtfunc.core.device import Device as Device
from rtfunc.core.device import devices as devices
from rtfunc.core.device import transfer_guard as transfer_guard
from rtfunc.core.dtypes import bfloat16 as bfloat16
from rtfunc.core.dtypes import float0 as float0
from rtfunc.core.graph import Graph as Graph
from rtfunc.core.trace import named_scope as named_scope
from rtfunc.transforms.callback import debug_callback as debug_callback
from rtfunc.transforms.callback import io_callback as io_callback
from rtfunc.transforms.callback import pure_callback as pure_callback
from rtfunc.transforms.checkpoint import checkpoint as checkpoint
from rtfunc.transforms.checkpoint import policies as checkpoint_policies
from rtfunc.transforms.custom import custom_jvp as custom_jvp
from rtfunc.transforms.custom import custom_vjp as custom_vjp
from rtfunc.transforms.custom import stop_gradient as stop_gradient
from rtfunc.transforms.jacobian import hessian as hessian
from rtfunc.transforms.jacobian import jacfwd as jacfwd
from rtfunc.transforms.jacobian import jacrev as jacrev
from rtfunc.transforms.jit import jit as jit
from rtfunc.transforms.jvp import jvp as jvp
from rtfunc.transforms.jvp import linearize as linearize
from rtfunc.transforms.placement import block_until_ready as block_until_ready
from rtfunc.transforms.placement import device_get as device_get
from rtfunc.transforms.placement import device_put as device_put
from rtfunc.transforms.stage import eval_shape as eval_shape
from rtfunc.transforms.stage import make_graph as make_graph
from rtfunc.transforms.stage import make_jaxpr as make_jaxpr
from rtfunc.transforms.vjp import grad as grad
from rtfunc.transforms.vjp import linear_transpose as linear_transpose
from rtfunc.transforms.vjp import value_and_grad as value_and_grad
from rtfunc.transforms.vjp import vjp as vjp
from rtfunc.transforms.vmap import vmap as vmap

if TYPE_CHECKING:
    from rtfunc import config as config
    from rtfunc import data as data
    from rtfunc import debug as debug
    from rtfunc import interoperation as interoperation
    from rtfunc import io as io
    from rtfunc import lax as lax
    from rtfunc import nn as nn
    from rtfunc import optim as optim
    from rtfunc import random as random
    from rtfunc import scipy as scipy
    from rtfunc import testing as testing
    from rtfunc.core import errors as errors

__version__ = "0.1.0"

# Loaded when first used, to keep `import rtfunc` quick.
_lazy = {
    "config": "rtfunc.config",
    "data": "rtfunc.data",
    "debug": "rtfunc.debug",
    "errors": "rtfunc.core.errors",
    "interoperation": "rtfunc.interoperation",
    "io": "rtfunc.io",
    "lax": "rtfunc.lax",
    "nn": "rtfunc.nn",
    "optim": "rtfunc.optim",
    "random": "rtfunc.random",
    "scipy": "rtfunc.scipy",
    "testing": "rtfunc.testing",
}

# opt_einsum finds these functions in the package that an operand's class is from.
_for_opt_einsum = ("einsum", "tensordot", "transpose")

remat = checkpoint


def __getattr__(name: str) -> Any:
    if name in _lazy:
        module = importlib.import_module(_lazy[name])
        globals()[name] = module
        return module
    if name in _for_opt_einsum:
        return getattr(numpy, name)
    raise AttributeError(f"module 'rtfunc' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_lazy})
