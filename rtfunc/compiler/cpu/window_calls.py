"""Convolutions and windowed reductions as templates: their specs from equations, their scratch memory.

Depends on `convolution`, `pooling`, `pooling_derivative`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from llvmlite import ir

from rtfunc.compiler.cpu.convolution import emit_convolution
from rtfunc.compiler.cpu.convolution_geometry import ConvolutionSpec
from rtfunc.compiler.cpu.emission import Emitted
from rtfunc.compiler.cpu.pooling import emit_reduce_window
from rtfunc.compiler.cpu.pooling_derivative import emit_select_and_scatter_add
from rtfunc.compiler.cpu.scalars import i64, pointer
from rtfunc.compiler.cpu.templates import Template
from rtfunc.compiler.cpu.windows import WindowSpec
from rtfunc.core import dtypes
from rtfunc.core.graph import Equation

Emit = Callable[[ir.Module, str, Any], Emitted]

_convolved = (*dtypes.floats,)
_windowed = (*dtypes.integers, *dtypes.floats)


def _nonempty(equation: Equation) -> bool:
    return all(a.aval.size for a in (*equation.inputs, *equation.outputs))


def convolution_spec(equation: Equation) -> ConvolutionSpec | None:
    """The spec of a `conv_general_dilated`, if its dtypes have native code."""
    params = equation.params
    lhs, rhs = (a.aval for a in equation.inputs)
    out = equation.outputs[0].aval
    if lhs.dtype not in _convolved or not _nonempty(equation):
        return None
    if out.dtype not in (lhs.dtype, dtypes.compute_dtype(lhs.dtype)):
        return None
    numbers = params["dimension_numbers"]
    return ConvolutionSpec(
        lhs.shape,
        rhs.shape,
        params["window_strides"],
        params["padding"],
        params["lhs_dilation"],
        params["rhs_dilation"],
        numbers.lhs_spec,
        numbers.rhs_spec,
        numbers.out_spec,
        lhs.dtype,
        params["feature_group_count"],
        params["batch_group_count"],
        out.dtype,
    )


def _window_spec(equation: Equation, shape: tuple[int, ...], kind: str) -> WindowSpec:
    params = equation.params
    return WindowSpec(
        shape,
        params["window_dimensions"],
        params["window_strides"],
        params["padding"],
        params["base_dilation"],
        params["window_dilation"],
        kind,
        equation.outputs[0].aval.dtype,
    )


def reduce_window_spec(equation: Equation) -> WindowSpec | None:
    """The spec of a `reduce_window_sum`, `_max` or `_min`."""
    if equation.inputs[0].aval.dtype not in _windowed or not _nonempty(equation):
        return None
    kind = equation.primitive.name.removeprefix("reduce_window_")
    return _window_spec(equation, equation.inputs[0].aval.shape, kind)


def select_and_scatter_spec(equation: Equation) -> WindowSpec | None:
    """The spec of a `select_and_scatter_add`; halves have native code where windows do not overlap."""
    dtype = equation.outputs[0].aval.dtype
    if dtype not in _windowed or dtype.itemsize < 4 or not _nonempty(equation):
        return None
    return _window_spec(equation, equation.inputs[1].aval.shape, equation.params["select"])


def from_table(emit: Emit, operands: int) -> Callable[[ir.Module, str, Any, int], None]:
    """The emitter of a function of addresses as the emitter of a function of a table of them."""

    def emit_wrapper(module: ir.Module, name: str, spec: Any, vector_bytes: int) -> None:
        _emit_table(module, name, emit(module, f"{name}_body", spec), operands)

    return emit_wrapper


def emit_convolution_then(module: ir.Module, name: str, spec: ConvolutionSpec, then: str) -> None:
    """A convolution as a function of a table of addresses, which is the frame of `then` too."""
    _emit_table(module, name, emit_convolution(module, f"{name}_body", spec, then=then), 2, True)


def _emit_table(
    module: ir.Module, name: str, emitted: Emitted, operands: int, framed: bool = False
) -> None:
    """A function that is given a table and passes on its addresses, and if `framed` the table itself."""
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [pointer]), name)
    b = ir.IRBuilder(function.append_basic_block("entry"))
    (table,) = function.args
    addresses = [
        b.load(b.gep(table, [i64(k)], source_etype=pointer), typ=pointer)
        for k in range(operands + 2)
    ]
    b.call(emitted.function, [*addresses, table] if framed else addresses)
    b.ret_void()


def scratch_of(emit: Emit) -> Callable[[Any], int]:
    """How much scratch memory a spec takes: what its code says, printed once for the purpose."""

    @functools.lru_cache(maxsize=256)
    def scratch(spec: Any) -> int:
        return emit(ir.Module(), "measured", spec).scratch_bytes

    return scratch


def emit_conv(module: ir.Module, name: str, spec: ConvolutionSpec) -> Emitted:
    """`emit_convolution` without an epilogue."""
    return emit_convolution(module, name, spec)


def emit_window(module: ir.Module, name: str, spec: WindowSpec) -> Emitted:
    """`emit_reduce_window` for any number of threads."""
    return emit_reduce_window(module, name, spec)


def template(name: str) -> Template:
    """The native form of convolution, pooling and the derivative of pooling."""
    if name == "conv_general_dilated":
        return Template(convolution_spec, from_table(emit_conv, 2), scratch_of(emit_conv))
    if name == "select_and_scatter_add":
        emit = emit_select_and_scatter_add
        return Template(select_and_scatter_spec, from_table(emit, 2), scratch_of(emit))
    return Template(reduce_window_spec, from_table(emit_window, 1), scratch_of(emit_window))
