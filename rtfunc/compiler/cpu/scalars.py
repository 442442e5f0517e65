"""One elementwise operation as LLVM instructions, for a scalar or a vector of lanes.

Booleans are i1 in registers and bytes in memory; float16 and bfloat16 are computed as float and
rounded when stored or converted. Semantics are those of the primitives' `impl` rules. Depends on
`maths`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir

from rtfunc.compiler.cpu.maths import FUNCTIONS, integer_pow
from rtfunc.compiler.cpu.maths.lanes import intrinsic_suffix
from rtfunc.compiler.cpu.maths.normal import inverse_of_uniform, normal_from_uniform
from rtfunc.compiler.cpu.maths.table import emitter
from rtfunc.core import dtypes

i1, i8, i16, i32, i64 = (ir.IntType(n) for n in (1, 8, 16, 32, 64))
f16, f32, f64 = ir.HalfType(), ir.FloatType(), ir.DoubleType()
pointer = ir.PointerType()

_narrow = (dtypes.float16, dtypes.bfloat16)


def register_type(dtype: np.dtype) -> ir.Type:
    """The type of one value of `dtype` in a register."""
    if dtype == dtypes.bool_:
        return i1
    if dtype in _narrow or dtype == dtypes.float32:
        return f32
    if dtype == dtypes.float64:
        return f64
    return ir.IntType(8 * dtype.itemsize)


def memory_type(dtype: np.dtype) -> ir.Type:
    """The type of one value of `dtype` in memory."""
    if dtype == dtypes.bool_:
        return i8
    if dtype == dtypes.float16:
        return f16
    if dtype == dtypes.bfloat16:
        return i16
    return register_type(dtype)


def widen(of: ir.Type, lanes: int) -> ir.Type:
    """A vector of `lanes` values, or the scalar for one lane."""
    return ir.VectorType(of, lanes) if lanes > 1 else of


def literal(of: ir.Type, value: Any) -> ir.Constant:
    """A constant in all lanes."""
    if isinstance(of, ir.VectorType):
        return ir.Constant(of, [literal(of.element, value)] * of.count)
    if isinstance(of, ir.IntType):
        value = int(value)
        if of.width > 1 and value >= 1 << (of.width - 1):
            value -= 1 << of.width
        return ir.Constant(of, value)
    return ir.Constant(of, float(value))


def from_memory(b: ir.IRBuilder, value: ir.Value, dtype: np.dtype) -> ir.Value:
    """The register form of what was loaded."""
    lanes = _lanes(value.type)
    if dtype == dtypes.bool_:
        return b.icmp_unsigned("!=", value, literal(value.type, 0))
    if dtype == dtypes.float16:
        return b.fpext(value, widen(f32, lanes))
    if dtype == dtypes.bfloat16:
        bits = b.shl(b.zext(value, widen(i32, lanes)), literal(widen(i32, lanes), 16))
        return b.bitcast(bits, widen(f32, lanes))
    return value


def to_memory(b: ir.IRBuilder, value: ir.Value, dtype: np.dtype) -> ir.Value:
    """The form in which a register is stored."""
    lanes = _lanes(value.type)
    if dtype == dtypes.bool_:
        return b.zext(value, widen(i8, lanes))
    if dtype == dtypes.float16:
        return b.fptrunc(value, widen(f16, lanes))
    if dtype == dtypes.bfloat16:
        return _bfloat16_bits(b, value, lanes)
    return value


def _bfloat16_bits(b: ir.IRBuilder, value: ir.Value, lanes: int) -> ir.Value:
    """Round to nearest even; NaN stays NaN."""
    word = widen(i32, lanes)
    bits = b.bitcast(value, word)
    odd = b.and_(b.lshr(bits, literal(word, 16)), literal(word, 1))
    rounded = b.add(b.add(bits, odd), literal(word, 0x7FFF))
    quiet = b.or_(bits, literal(word, 0x400000))
    is_nan = b.fcmp_unordered("uno", value, value)
    return b.trunc(b.lshr(b.select(is_nan, quiet, rounded), literal(word, 16)), widen(i16, lanes))


def _lanes(of: ir.Type) -> int:
    return of.count if isinstance(of, ir.VectorType) else 1


def call_intrinsic(
    b: ir.IRBuilder, name: str, result: ir.Type, args: Sequence[ir.Value]
) -> ir.Value:
    """Call an LLVM intrinsic, declaring it on first use."""
    module = b.module
    function = module.globals.get(name)
    if function is None:
        function = ir.Function(module, ir.FunctionType(result, [a.type for a in args]), name)
    return b.call(function, args)


class Operation:
    """What an emitter gets: builder, operands, their dtype, the result's dtype, params."""

    __slots__ = ("args", "b", "dtype", "out", "params")

    def __init__(
        self,
        b: ir.IRBuilder,
        args: Sequence[ir.Value],
        dtype: np.dtype,
        out: np.dtype,
        params: dict[str, Any],
    ):
        self.b, self.args, self.dtype, self.out, self.params = b, args, dtype, out, params

    @property
    def is_float(self) -> bool:
        """Whether the operands are floats."""
        return dtypes.is_float(self.dtype)

    @property
    def is_signed(self) -> bool:
        """Whether the operands are signed integers."""
        return dtypes.kind(self.dtype) == "signed"

    @property
    def type(self) -> ir.Type:
        """Type of the operands."""
        return self.args[0].type

    def number(self, value: Any) -> ir.Constant:
        """A constant of the operands' type."""
        return literal(self.type, value)

    def intrinsic(self, name: str, *args: ir.Value) -> ir.Value:
        """LLVM's intrinsic `name` for the operands' type."""
        args = args or tuple(self.args)
        return call_intrinsic(
            self.b, f"llvm.{name}.{intrinsic_suffix(args[0].type)}", args[0].type, args
        )


Emitter = Callable[[Operation], ir.Value]


def _arithmetic(for_float: str, for_integer: str, for_bool: str | None = None) -> Emitter:
    def emit(o: Operation) -> ir.Value:
        if o.dtype == dtypes.bool_ and for_bool:
            return getattr(o.b, for_bool)(*o.args)
        return getattr(o.b, for_float if o.is_float else for_integer)(*o.args)

    return emit


def _neg(o: Operation) -> ir.Value:
    return o.b.fneg(o.args[0]) if o.is_float else o.b.sub(o.number(0), o.args[0])


def _safe_divisor(o: Operation) -> tuple[ir.Value, ir.Value, ir.Value]:
    """The divisor with 1 in place of what traps; where it was 0; where -1 meets the minimum."""
    x, y = o.args
    zero = o.b.icmp_unsigned("==", y, o.number(0))
    y = o.b.select(zero, o.number(1), y)
    if not o.is_signed:
        return y, zero, literal(zero.type, 0)
    minus = o.b.icmp_unsigned("==", y, o.number(-1))
    lowest = o.b.icmp_unsigned("==", x, o.number(1 << (o.dtype.itemsize * 8 - 1)))
    overflow = o.b.and_(minus, lowest)
    return o.b.select(overflow, o.number(1), y), zero, overflow


def _div(o: Operation) -> ir.Value:
    if o.is_float:
        return o.b.fdiv(*o.args)
    divisor, zero, _ = _safe_divisor(o)
    quotient = (o.b.sdiv if o.is_signed else o.b.udiv)(o.args[0], divisor)
    return o.b.select(zero, o.number(-1), quotient)


def _rem(o: Operation) -> ir.Value:
    if o.is_float:
        return o.b.frem(*o.args)
    divisor, zero, overflow = _safe_divisor(o)
    remainder = (o.b.srem if o.is_signed else o.b.urem)(o.args[0], divisor)
    return o.b.select(zero, o.args[0], o.b.select(overflow, o.number(0), remainder))


def _extremum(relation: str) -> Emitter:
    def emit(o: Operation) -> ir.Value:
        x, y = o.args
        if o.is_float:
            # NumPy's order: x wins if it is beyond y or NaN; NaN in y wins by the unordered
            # compare.
            beyond = o.b.fcmp_ordered(relation, x, y)
            x_nan = o.b.fcmp_unordered("uno", x, x)
            return o.b.select(o.b.or_(beyond, x_nan), x, y)
        if o.dtype == dtypes.bool_:
            return (o.b.or_ if relation == ">" else o.b.and_)(x, y)
        compare = o.b.icmp_signed if o.is_signed else o.b.icmp_unsigned
        return o.b.select(compare(relation, x, y), x, y)

    return emit


def _compare(relation: str) -> Emitter:
    def emit(o: Operation) -> ir.Value:
        if o.is_float:
            if relation == "!=":
                return o.b.fcmp_unordered("!=", *o.args)
            return o.b.fcmp_ordered(relation, *o.args)
        compare = o.b.icmp_signed if o.is_signed else o.b.icmp_unsigned
        return compare(relation, *o.args)

    return emit


def _abs(o: Operation) -> ir.Value:
    if o.is_float:
        return o.intrinsic("fabs")
    if not o.is_signed:
        return o.args[0]
    negative = o.b.icmp_signed("<", o.args[0], o.number(0))
    return o.b.select(negative, o.b.sub(o.number(0), o.args[0]), o.args[0])


def _sign(o: Operation) -> ir.Value:
    (x,) = o.args
    zero, one, minus = o.number(0), o.number(1), o.number(-1)
    if o.is_float:
        positive, negative = o.b.fcmp_ordered(">", x, zero), o.b.fcmp_ordered("<", x, zero)
        # Of a zero of either sign NumPy's sign is positive zero.
        other = o.b.select(o.b.fcmp_unordered("uno", x, x), x, zero)
        return o.b.select(positive, one, o.b.select(negative, minus, other))
    if not o.is_signed:
        return o.b.select(o.b.icmp_unsigned("!=", x, zero), one, zero)
    return o.b.select(
        o.b.icmp_signed(">", x, zero),
        one,
        o.b.select(o.b.icmp_signed("<", x, zero), minus, zero),
    )


def _square(o: Operation) -> ir.Value:
    (x,) = o.args
    return o.b.fmul(x, x) if o.is_float else o.b.mul(x, x)


def _select(o: Operation) -> ir.Value:
    return o.b.select(*o.args)


def _clamp(o: Operation) -> ir.Value:
    low, x, high = o.args
    inner = emitters["max"](Operation(o.b, (x, low), o.dtype, o.out, {}))
    return emitters["min"](Operation(o.b, (inner, high), o.dtype, o.out, {}))


def _not(o: Operation) -> ir.Value:
    return o.b.not_(o.args[0])


def _shift(kind: str) -> Emitter:
    def emit(o: Operation) -> ir.Value:
        x, y = o.args
        width = o.dtype.itemsize * 8
        inside = o.b.icmp_unsigned("<", y, o.number(width))  # a negative count is a large one
        if kind == "ashr" and o.is_signed:
            return o.b.ashr(x, o.b.select(inside, y, o.number(width - 1)))
        count = o.b.select(inside, y, o.number(0))
        shift = o.b.shl if kind == "shl" else o.b.lshr
        return o.b.select(inside, shift(x, count), o.number(0))

    return emit


def _intrinsic(name: str) -> Emitter:
    return lambda o: o.intrinsic(name)


def _leading_zeros(o: Operation) -> ir.Value:
    name = f"llvm.ctlz.{intrinsic_suffix(o.type)}"
    return call_intrinsic(o.b, name, o.type, [o.args[0], ir.Constant(i1, 0)])


def _is_finite(o: Operation) -> ir.Value:
    size = o.intrinsic("fabs")
    return o.b.fcmp_ordered("<", size, o.number(float("inf")))


def _reciprocal_root(o: Operation) -> ir.Value:
    return FUNCTIONS["rsqrt"](o.b, o.args[0])


def _integer_pow(o: Operation) -> ir.Value:
    exponent = o.params["exponent"]
    if o.is_float:
        return integer_pow(o.b, o.args[0], exponent)
    result, base, n = None, o.args[0], exponent
    while n:
        if n & 1:
            result = base if result is None else o.b.mul(result, base)
        n >>= 1
        if n:
            base = o.b.mul(base, base)
    return o.number(1) if result is None else result


def _maths(name: str) -> Emitter:
    return lambda o: FUNCTIONS[name](o.b, *o.args)


def convert(b: ir.IRBuilder, x: ir.Value, source: np.dtype, target: np.dtype) -> ir.Value:
    """A value of dtype `source` as `target`, with the semantics of `convert_element_type`."""
    if source == target:
        return x
    lanes = _lanes(x.type)
    out = widen(register_type(target), lanes)
    if target == dtypes.bool_:
        if dtypes.is_float(source):
            return b.fcmp_unordered("!=", x, literal(x.type, 0))
        return b.icmp_unsigned("!=", x, literal(x.type, 0))
    if dtypes.is_float(target):
        if dtypes.is_float(source):
            wide = x
            if source == dtypes.float64 and target == dtypes.float16:
                x = _sticky(b, x)
            if x.type != out:
                wide = b.fptrunc(x, out) if source == dtypes.float64 else b.fpext(x, out)
            return rounded(b, wide, target) if target in _narrow else wide
        signed = dtypes.kind(source) == "signed"
        value = (b.sitofp if signed else b.uitofp)(x, out)
        return rounded(b, value, target) if target in _narrow else value
    if dtypes.is_float(source):
        kind = "fptosi" if dtypes.kind(target) == "signed" else "fptoui"
        name = f"llvm.{kind}.sat.{intrinsic_suffix(out)}.{intrinsic_suffix(x.type)}"
        return call_intrinsic(b, name, out, [x])
    old = 1 if source == dtypes.bool_ else source.itemsize * 8
    new = target.itemsize * 8
    if old == new:
        return x
    if old > new:
        return b.trunc(x, out)
    return (b.sext if dtypes.kind(source) == "signed" else b.zext)(x, out)


def _sticky(b: ir.IRBuilder, x: ir.Value) -> ir.Value:
    """A float64 cut to the digits of float32, the last of which is set where something was cut off.

    Rounding that to float16 is rounding `x` to it; rounding to float32 first would round twice. LLVM also
    sees no rounding of a `copysign` in it, which it would make a call of a library function.
    """
    integer = widen(i64, _lanes(x.type))
    bits = b.bitcast(x, integer)
    low = literal(integer, (1 << 29) - 1)
    cut = b.icmp_unsigned("!=", b.and_(bits, low), literal(integer, 0))
    last = b.select(cut, literal(integer, 1 << 29), literal(integer, 0))
    kept = b.and_(bits, literal(integer, -(1 << 29)))
    return b.bitcast(b.or_(kept, last), x.type)


def rounded(b: ir.IRBuilder, x: ir.Value, dtype: np.dtype) -> ir.Value:
    """A float register with the precision of float16 or bfloat16."""
    return from_memory(b, to_memory(b, x, dtype), dtype)


def _convert(o: Operation) -> ir.Value:
    return convert(o.b, o.args[0], o.dtype, o.out)


def _bitcast(o: Operation) -> ir.Value:
    return o.b.bitcast(o.args[0], widen(register_type(o.out), _lanes(o.type)))


def _log_add_exp(o: Operation) -> ir.Value:
    """max + log1p(exp(-|x - y|)), where the difference of equal infinities is 0."""
    b, (x, y) = o.b, o.args
    largest = _extremum(">")(o)
    equal = b.fcmp_ordered("==", x, y)
    gap = b.select(equal, o.number(0), b.fsub(x, y))
    below = b.fneg(call_intrinsic(b, f"llvm.fabs.{intrinsic_suffix(o.type)}", o.type, [gap]))
    return b.fadd(largest, FUNCTIONS["log1p"](b, FUNCTIONS["exp"](b, below)))


def _normal_from_uniform(o: Operation) -> ir.Value:
    if o.dtype not in _narrow:
        return emitter(normal_from_uniform)(o.b, o.args[0])
    # The eager kernel rounds the inverse, and sqrt(2), to the narrow dtype.
    inverse = emitter(inverse_of_uniform)(o.b, o.args[0])
    root = float(np.asarray(2**0.5, o.dtype))
    return o.b.fmul(rounded(o.b, inverse, o.dtype), o.number(root))


def threefry(b: ir.IRBuilder, key: Sequence[ir.Value], x: Sequence[ir.Value]) -> list[ir.Value]:
    """Threefry-2x32 with 20 rounds (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3")."""
    of = x[0].type
    keys = [*key, b.xor(b.xor(key[0], key[1]), literal(of, 0x1BD11BDA))]
    x0, x1 = b.add(x[0], keys[0]), b.add(x[1], keys[1])
    rotations = ((13, 15, 26, 6), (17, 29, 16, 24))
    name = f"llvm.fshl.{intrinsic_suffix(of)}"
    for group in range(5):
        for rotation in rotations[group % 2]:
            x0 = b.add(x0, x1)
            x1 = b.xor(call_intrinsic(b, name, of, [x1, x1, literal(of, rotation)]), x0)
        x0 = b.add(x0, keys[(group + 1) % 3])
        x1 = b.add(b.add(x1, keys[(group + 2) % 3]), literal(of, group + 1))
    return [x0, x1]


emitters: dict[str, Emitter] = {
    "add": _arithmetic("fadd", "add", "or_"),
    "sub": _arithmetic("fsub", "sub"),
    "mul": _arithmetic("fmul", "mul", "and_"),
    "neg": _neg,
    "div": _div,
    "rem": _rem,
    "max": _extremum(">"),
    "min": _extremum("<"),
    "abs": _abs,
    "sign": _sign,
    "square": _square,
    "select": _select,
    "clamp": _clamp,
    "copy": lambda o: o.args[0],
    "eq": _compare("=="),
    "ne": _compare("!="),
    "lt": _compare("<"),
    "le": _compare("<="),
    "gt": _compare(">"),
    "ge": _compare(">="),
    "and": _arithmetic("and_", "and_"),
    "or": _arithmetic("or_", "or_"),
    "xor": _arithmetic("xor", "xor"),
    "not": _not,
    "shift_left": _shift("shl"),
    "shift_right_logical": _shift("lshr"),
    "shift_right_arithmetic": _shift("ashr"),
    "population_count": _intrinsic("ctpop"),
    "clz": _leading_zeros,
    "floor": _intrinsic("floor"),
    "ceil": _intrinsic("ceil"),
    "trunc": _intrinsic("trunc"),
    "round": _intrinsic("roundeven"),
    "is_finite": _is_finite,
    "sqrt": _intrinsic("sqrt"),
    "rsqrt": _reciprocal_root,
    "integer_pow": _integer_pow,
    "convert_element_type": _convert,
    "logaddexp": _log_add_exp,
    "bitcast": _bitcast,
    "fma": _intrinsic("fma"),
    "normal_from_uniform": _normal_from_uniform,
    **{
        name: _maths(name)
        for name in [
            "exp",
            "exp2",
            "expm1",
            "log",
            "log2",
            "log10",
            "log1p",
            "logistic",
            "tanh",
            "sin",
            "cos",
            "tan",
            "asin",
            "acos",
            "atan",
            "atan2",
            "sinh",
            "cosh",
            "asinh",
            "acosh",
            "atanh",
            "cbrt",
            "erf",
            "erfc",
            "erf_inv",
            "lgamma",
            "digamma",
            "bessel_i0e",
            "bessel_i1e",
            "pow",
        ]
    },
}
