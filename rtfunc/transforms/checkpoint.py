"""`checkpoint`: trade computation for memory in reverse mode.

What a checkpointed function computes on the way is not kept for the backward pass but computed again,
except for what a policy wants saved. Depends on `stage` and `ops.call`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rtfunc.core import pytree
from rtfunc.core.graph import Equation
from rtfunc.ops.call import checkpoint_call
from rtfunc.transforms.arguments import argument_arrays, check_callable, without_static, wraps
from rtfunc.transforms.stage import stage_function

Policy = Callable[[Equation], bool]


class policies:
    """Which results of a checkpointed function are kept for the backward pass."""

    @staticmethod
    def everything_saveable(equation: Equation) -> bool:
        """Keep all: as without checkpoint."""
        return True

    @staticmethod
    def nothing_saveable(equation: Equation) -> bool:
        """Keep nothing but the arguments: the default."""
        return False

    @staticmethod
    def dots_saveable(equation: Equation) -> bool:
        """Keep the results of matrix products and convolutions, compute the rest again."""
        return equation.primitive.name in ("dot_general", "conv_general_dilated")

    @staticmethod
    def dots_with_no_batch_dims_saveable(equation: Equation) -> bool:
        """Keep the results of matrix products without batch axes: those with the parameters."""
        if equation.primitive.name != "dot_general":
            return False
        (_, (lhs_batch, rhs_batch)) = equation.params["dimension_numbers"]
        return not lhs_batch and not rhs_batch


def checkpoint(
    function: Callable[..., Any] | None = None,
    *,
    policy: Policy | None = None,
    prevent_cse: bool = True,
    static_argnums: int | Sequence[int] = (),
) -> Any:
    """A function whose intermediate results are computed again in the backward pass.

    Arguments:
      policy: says of an equation whether its results are kept; see `checkpoint_policies`. By default
        nothing is.
      prevent_cse: keep the compiler from merging the second computation with the first.
      static_argnums: positional arguments that are Python values.

    Usable as a decorator with and without arguments.

    >>> import rtfunc as rf, rtfunc.numpy as rnp
    >>> rf.grad(rf.checkpoint(lambda x: rnp.sin(rnp.sin(x))))(0.0)
    Array(1., dtype=float32)
    """
    if function is None:
        return lambda f: checkpoint(
            f, policy=policy, prevent_cse=prevent_cse, static_argnums=static_argnums
        )
    check_callable("checkpoint", function)
    split = without_static("checkpoint", function, static_argnums)

    @wraps(function, "checkpoint", "Checkpointed form")
    def checkpointed(*args: Any, **kwargs: Any) -> Any:
        positions, partial = split(*args)
        leaves, treedef = pytree.flatten((tuple(args[i] for i in positions), kwargs))
        arrays = argument_arrays("checkpoint", leaves, args, kwargs, positions)
        staged = stage_function("checkpoint", partial, treedef, [x.aval for x in arrays])
        operands = [*staged.captured, *arrays]
        outs = checkpoint_call(staged.graph, operands, policy=policy, prevent_cse=prevent_cse)
        return staged.result(outs)

    return checkpointed
