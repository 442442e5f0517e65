"""Templates: operations with a native form of their own, beside Kernels and products.

A template reads an equation's static parameters into a hashable `spec`, or refuses (the equation then runs
in Python), and prints a function

    void name(ptr table)

for it. The table holds the addresses of the outputs, then of the operands, then of scratch memory. Equal
specs share one function. Depends on `scatter` and the other modules that hold templates.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from llvmlite import ir

from rtfunc.compiler.cpu.arg_reduce import arg_reduce_spec, emit_arg_reduce
from rtfunc.compiler.cpu.cumulative import cumulative_spec, emit_cumulative
from rtfunc.compiler.cpu.pooling_derivative import emit_select_and_scatter_add
from rtfunc.compiler.cpu.product_calls import product_plan
from rtfunc.compiler.cpu.scatter import emit_scatter, scatter_spec
from rtfunc.compiler.cpu.sort import emit_sort, sort_scratch_bytes, sort_spec
from rtfunc.compiler.cpu.window_calls import (
    convolution_spec,
    emit_conv,
    emit_window,
    from_table,
    reduce_window_spec,
    scratch_of,
    select_and_scatter_spec,
)
from rtfunc.compiler.schedule import Call
from rtfunc.core.graph import Equation


@dataclasses.dataclass(frozen=True)
class Template:
    """The native form of an operation.

    Attributes: spec: its parameters from an equation, or None if it has no native form; emit:
    `emit(module, name, spec, vector_bytes)` prints the function; scratch_bytes: memory that it needs
    while it runs.
    """

    spec: Callable[[Equation], Any]
    emit: Callable[[ir.Module, str, Any, int], None]
    scratch_bytes: Callable[[Any], int] = lambda spec: 0


templates: dict[str, Template] = {
    "scatter": Template(scatter_spec, emit_scatter),
    "dynamic_update_slice": Template(scatter_spec, emit_scatter),
    **dict.fromkeys(
        ("cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp", "linear_recurrence"),
        Template(cumulative_spec, emit_cumulative),
    ),
    **dict.fromkeys(("argmax", "argmin"), Template(arg_reduce_spec, emit_arg_reduce)),
    **dict.fromkeys(("sort", "top_k"), Template(sort_spec, emit_sort, sort_scratch_bytes)),
    "conv_general_dilated": Template(
        convolution_spec, from_table(emit_conv, 2), scratch_of(emit_conv)
    ),
    **dict.fromkeys(
        ("reduce_window_max", "reduce_window_min", "reduce_window_sum"),
        Template(reduce_window_spec, from_table(emit_window, 1), scratch_of(emit_window)),
    ),
    "select_and_scatter_add": Template(
        select_and_scatter_spec,
        from_table(emit_select_and_scatter_add, 2),
        scratch_of(emit_select_and_scatter_add),
    ),
}


def native_form(equation: Equation) -> tuple[Template, Any] | None:
    """The template of an equation and its spec, if there is one that takes it."""
    template = templates.get(equation.primitive.name)
    if template is None:
        return None
    spec = template.spec(equation)
    return None if spec is None else (template, spec)


def scratch_bytes(call: Call) -> int:
    """Scratch memory that the native form of a call needs."""
    plan = product_plan(call)
    if plan is not None:
        return plan.scratch_bytes
    found = native_form(call.equation)
    return 0 if found is None else found[0].scratch_bytes(found[1])
