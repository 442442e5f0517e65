"""Templates: operations with a native form of their own, beside Kernels and products.

A template reads an equation's static parameters into a hashable `spec`, or refuses (the equation then runs
in Python), and prints a function

    void name(ptr table)

for it. The table holds the addresses of the outputs, then of the operands, then of scratch memory. Equal
specs share one function. The modules that hold templates depend on this one.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import Any, NamedTuple

from llvmlite import ir

from rtfunc.compiler.schedule import Call
from rtfunc.core.graph import Equation


class Template(NamedTuple):
    """The native form of an operation.

    Attributes: spec: its parameters from an equation, or None if it has no native form; emit:
    `emit(module, name, spec, vector_bytes)` prints the function; scratch_bytes: memory that it needs
    while it runs.
    """

    spec: Callable[[Equation], Any]
    emit: Callable[[ir.Module, str, Any, int], None]
    scratch_bytes: Callable[[Any], int] = lambda spec: 0


#: The module that has the template of an operation, as its `template(name)`: imported at need.
_MODULES = {
    "scatter": "scatter",
    "dynamic_update_slice": "scatter",
    **dict.fromkeys(
        ("cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp", "linear_recurrence"), "cumulative"
    ),
    **dict.fromkeys(("argmax", "argmin"), "arg_reduce"),
    **dict.fromkeys(("sort", "top_k"), "sort"),
    **dict.fromkeys(
        (
            "conv_general_dilated",
            "reduce_window_max",
            "reduce_window_min",
            "reduce_window_sum",
            "select_and_scatter_add",
        ),
        "window_calls",
    ),
}


@functools.cache
def template(name: str) -> Template | None:
    """The template of the primitive of this name, if there is one."""
    module = _MODULES.get(name)
    if module is None:
        return None
    return importlib.import_module(f"rtfunc.compiler.cpu.{module}").template(name)


def native_form(equation: Equation) -> tuple[Template, Any] | None:
    """The template of an equation and its spec, if there is one that takes it."""
    found = template(equation.primitive.name)
    if found is None:
        return None
    spec = found.spec(equation)
    return None if spec is None else (found, spec)


def scratch_bytes(call: Call) -> int:
    """Scratch memory that the native form of a call needs."""
    if call.equation.primitive.name == "dot_general":
        from rtfunc.compiler.cpu.product_calls import product_plan

        plan = product_plan(call)
        return 0 if plan is None else plan.scratch_bytes
    found = native_form(call.equation)
    return 0 if found is None else found[0].scratch_bytes(found[1])
