"""One elementwise operation as an expression of CUDA C.

Booleans are `bool` in registers and bytes in memory; float16 and bfloat16 are computed as float and
rounded when stored or converted, as on the CPU. Depends on `prelude` (the functions that are called).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rtfunc.core import dtypes

_narrow = (dtypes.float16, dtypes.bfloat16)

_names = {
    dtypes.bool_: "bool",
    dtypes.int8: "int8",
    dtypes.int16: "short",
    dtypes.int32: "int",
    dtypes.int64: "int64",
    dtypes.uint8: "uint8",
    dtypes.uint16: "uint16",
    dtypes.uint32: "uint32",
    dtypes.uint64: "uint64",
    dtypes.float16: "float",
    dtypes.bfloat16: "float",
    dtypes.float32: "float",
    dtypes.float64: "double",
}


def register_type(dtype: np.dtype) -> str:
    """The C type of a value of `dtype` in a register."""
    return _names[dtype]


def memory_type(dtype: np.dtype) -> str:
    """The C type of a value of `dtype` in memory."""
    if dtype == dtypes.bool_:
        return "uint8"
    return "uint16" if dtype in _narrow else _names[dtype]


def register_dtype(dtype: np.dtype) -> np.dtype:
    """A dtype whose memory holds what a register of `dtype` does, for partial results."""
    if dtype == dtypes.bool_:
        return dtypes.uint8
    return dtypes.float32 if dtype in _narrow else dtype


def from_memory(text: str, dtype: np.dtype) -> str:
    """The register form of what was loaded."""
    if dtype == dtypes.bool_:
        return f"{text} != 0"
    return f"from_{dtype.name}({text})" if dtype in _narrow else text


def to_memory(text: str, dtype: np.dtype) -> str:
    """The form in which a register is stored."""
    if dtype == dtypes.bool_:
        return f"(uint8){text}"
    return f"to_{dtype.name}({text})" if dtype in _narrow else text


def rounded(text: str, dtype: np.dtype) -> str:
    """A float register with the precision of float16 or bfloat16."""
    return f"from_{dtype.name}(to_{dtype.name}({text}))"


def literal(value: Any, dtype: np.dtype) -> str:
    """A constant of `dtype`."""
    if dtype == dtypes.bool_:
        return "true" if value else "false"
    if dtypes.is_integer(dtype):
        number = int(value)
        suffix = {dtypes.int64: "LL", dtypes.uint64: "ULL", dtypes.uint32: "u"}.get(dtype, "")
        if number == np.iinfo(dtype).min and number < 0 and dtype.itemsize >= 4:
            return f"({number + 1}{suffix} - 1)"
        return f"{number}{suffix}" if number >= 0 else f"({number}{suffix})"
    wide = dtypes.float64 if dtype == dtypes.float64 else dtypes.float32
    number = wide.type(value)
    if not np.isfinite(number):
        if wide == dtypes.float64:
            return f"bits_as<double>({int(number.view(np.uint64)):#x}ULL)"
        return f"bits_as<float>({int(number.view(np.uint32)):#x}u)"
    text = str(number)
    if not any(c in text for c in ".e"):
        text += ".0"
    text += "" if wide == dtypes.float64 else "f"
    return f"({text})" if text.startswith("-") else text


class Operation:
    """What a printer gets: operands as expressions, their dtype, the result's dtype, params."""

    __slots__ = ("args", "dtype", "out", "params")

    def __init__(self, args: Sequence[str], dtype: np.dtype, out: np.dtype, params: dict[str, Any]):
        self.args, self.dtype, self.out, self.params = args, dtype, out, params

    @property
    def is_float(self) -> bool:
        """Whether the operands are floats."""
        return dtypes.is_float(self.dtype)

    @property
    def type(self) -> str:
        """C type of the operands."""
        return register_type(self.dtype)

    @property
    def unsigned(self) -> str:
        """The unsigned type in which integers wrap around without undefined behaviour."""
        return "uint64" if self.dtype.itemsize == 8 else "uint32"

    def function(self, name: str) -> str:
        """C's function `name` for the operands' type."""
        suffix = "" if self.type == "double" else "f"
        return f"{name}{suffix}({', '.join(self.args)})"


Printer = Callable[[Operation], str]


def _arithmetic(symbol: str, for_bool: str | None = None) -> Printer:
    def show(o: Operation) -> str:
        x, y = o.args
        if o.dtype == dtypes.bool_:
            return f"{x} {for_bool} {y}"
        if o.is_float:
            return f"{x} {symbol} {y}"
        return f"({o.type})(({o.unsigned}){x} {symbol} ({o.unsigned}){y})"

    return show


def _neg(o: Operation) -> str:
    return f"-{o.args[0]}" if o.is_float else f"({o.type})(0 - ({o.unsigned}){o.args[0]})"


def _div(o: Operation) -> str:
    x, y = o.args
    return f"{x} / {y}" if o.is_float else f"quotient<{o.type}>({x}, {y})"


def _rem(o: Operation) -> str:
    return o.function("fmod") if o.is_float else f"remainder_of<{o.type}>({', '.join(o.args)})"


def _call(name: str) -> Printer:
    """A template of the prelude, for the operands' type."""
    return lambda o: f"{name}<{o.type}>({', '.join(o.args)})"


def _infix(symbol: str) -> Printer:
    return lambda o: f"{o.args[0]} {symbol} {o.args[1]}"


def _bitwise(symbol: str) -> Printer:
    return lambda o: f"({o.type})({o.args[0]} {symbol} {o.args[1]})"


def _abs(o: Operation) -> str:
    (x,) = o.args
    if o.is_float:
        return o.function("fabs")
    if dtypes.kind(o.dtype) != "signed":
        return x
    return f"{x} < 0 ? ({o.type})(0 - ({o.unsigned}){x}) : {x}"


def _sign(o: Operation) -> str:
    (x,) = o.args
    if not o.is_float and dtypes.kind(o.dtype) != "signed":
        return f"({o.type})({x} != 0)"
    return f"sign<{o.type}>({x})"


def _square(o: Operation) -> str:
    return _arithmetic("*")(Operation([o.args[0]] * 2, o.dtype, o.out, {}))


def _not(o: Operation) -> str:
    return f"!{o.args[0]}" if o.dtype == dtypes.bool_ else f"({o.type})~{o.args[0]}"


def _shift_right_logical(o: Operation) -> str:
    width = o.dtype.itemsize * 8
    return f"shift_right_logical<uint{width}, {o.type}>({', '.join(o.args)})"


def _population_count(o: Operation) -> str:
    width = o.dtype.itemsize * 8
    name = "__popcll" if width == 64 else "__popc"
    return f"({o.type}){name}((uint{width}){o.args[0]})"


def _leading_zeros(o: Operation) -> str:
    width = o.dtype.itemsize * 8
    if width == 64:
        return f"({o.type})__clzll((int64){o.args[0]})"
    return f"({o.type})(__clz((int)(uint{width}){o.args[0]}) - {32 - width})"


def _maths(name: str) -> Printer:
    return lambda o: o.function(name)


def _in_double(name: str) -> Printer:
    """A function that is computed in double and rounded once, as the eager kernels do."""
    return lambda o: f"({o.type}){name}((double){o.args[0]})"


def _logistic(o: Operation) -> str:
    suffix = "" if o.type == "double" else "f"
    one = literal(1, o.dtype)
    return f"{one} / ({one} + exp{suffix}(-{o.args[0]}))"


def _rsqrt(o: Operation) -> str:
    return f"{literal(1, o.dtype)} / {o.function('sqrt')}"


def _integer_pow(o: Operation) -> str:
    exponent = o.params["exponent"]

    def product(x: str, y: str) -> str:
        return f"({_arithmetic('*')(Operation([x, y], o.dtype, o.out, {}))})"

    result, base, n = "", o.args[0], abs(exponent)
    while n:
        if n & 1:
            result = product(result, base) if result else base
        n >>= 1
        if n:
            base = product(base, base)
    result = result or literal(1, o.dtype)
    return f"{literal(1, o.dtype)} / {result}" if exponent < 0 else result


def convert(x: str, source: np.dtype, target: np.dtype) -> str:
    """A value of dtype `source` as `target`, with the semantics of `convert_element_type`."""
    if source == target:
        return x
    if target == dtypes.bool_:
        return f"{x} != 0"
    of = register_type(target)
    if dtypes.is_float(target):
        value = x if register_type(source) == of else f"({of}){x}"
        return rounded(value, target) if target in _narrow else value
    if dtypes.is_float(source):
        limits = np.iinfo(target)
        wide = dtypes.float64 if source == dtypes.float64 else dtypes.float32
        # 2**n, the first float beyond, is one more than the last integer.
        ends = (float(limits.min), float(limits.max + 1))
        low, high = (literal(end, wide) for end in ends)
        first, last = literal(limits.min, target), literal(limits.max, target)
        kinds = f"{of}, {register_type(source)}"
        return f"to_integer<{kinds}>({x}, {low}, {high}, {first}, {last})"
    return f"({of}){x}"


def _convert(o: Operation) -> str:
    return convert(o.args[0], o.dtype, o.out)


def _normal_from_uniform(o: Operation) -> str:
    suffix = "" if o.type == "double" else "f"
    inverse = f"erfinv{suffix}({o.args[0]})"
    if o.dtype in _narrow:  # the eager kernel rounds the inverse, and sqrt(2), to the narrow dtype
        inverse = rounded(inverse, o.dtype)
    return f"{literal(np.asarray(2**0.5, o.dtype), o.dtype)} * {inverse}"


def _threefry(o: Operation) -> str:
    return f"threefry({', '.join(o.args)}, {o.params['part']})"


printers: dict[str, Printer] = {
    "add": _arithmetic("+", "|"),
    "sub": _arithmetic("-", "^"),
    "mul": _arithmetic("*", "&"),
    "neg": _neg,
    "div": _div,
    "rem": _rem,
    "max": _call("maximum"),
    "min": _call("minimum"),
    "abs": _abs,
    "sign": _sign,
    "square": _square,
    "select": lambda o: f"{o.args[0]} ? {o.args[1]} : {o.args[2]}",
    "clamp": _call("clamped"),
    "copy": lambda o: o.args[0],
    "eq": _infix("=="),
    "ne": _infix("!="),
    "lt": _infix("<"),
    "le": _infix("<="),
    "gt": _infix(">"),
    "ge": _infix(">="),
    "and": _bitwise("&"),
    "or": _bitwise("|"),
    "xor": _bitwise("^"),
    "not": _not,
    "shift_left": _call("shift_left"),
    "shift_right_logical": _shift_right_logical,
    "shift_right_arithmetic": _call("shift_right_arithmetic"),
    "population_count": _population_count,
    "clz": _leading_zeros,
    "is_finite": _call("is_finite"),
    "rsqrt": _rsqrt,
    "integer_pow": _integer_pow,
    "convert_element_type": _convert,
    "logaddexp": lambda o: f"logaddexp({', '.join(o.args)})",
    "bitcast": lambda o: f"bits_as<{register_type(o.out)}>({o.args[0]})",
    "normal_from_uniform": _normal_from_uniform,
    "threefry2x32": _threefry,
    "logistic": _logistic,
    # Names that CUDA's functions share with the primitives, and those that differ.
    **{
        name: _maths(name)
        for name in (
            "exp exp2 expm1 log log2 log10 log1p tanh sin cos tan asin acos atan atan2 sinh cosh asinh "
            "acosh atanh cbrt erf erfc pow floor ceil trunc sqrt fma"
        ).split()
    },
    **{n: _in_double(n) for n in ("lgamma", "digamma", "bessel_i0e", "bessel_i1e")},
    "round": _maths("rint"),
    "erf_inv": _maths("erfinv"),
}

#: For each kind of reduction, the value that changes nothing.
identities: dict[str, Callable[[np.dtype], Any]] = {
    "sum": lambda dtype: 0,
    "prod": lambda dtype: 1,
    "max": dtypes.lowest,
    "min": dtypes.highest,
    "and": lambda dtype: True if dtype == dtypes.bool_ else -1,
    "or": lambda dtype: 0,
}

_combining = {"sum": "add", "prod": "mul", "max": "max", "min": "min", "and": "and", "or": "or"}


def identity(kind: str, dtype: np.dtype) -> str:
    """The value that changes nothing in a reduction."""
    if kind == "and" and dtypes.kind(dtype) == "unsigned":
        return literal(np.iinfo(dtype).max, dtype)
    return literal(identities[kind](dtype), dtype)


def combined(kind: str, x: str, y: str, dtype: np.dtype) -> str:
    """Two partial results of a reduction as one."""
    return printers[_combining[kind]](Operation([x, y], dtype, dtype, {}))
