"""Formulas written with operators, emitted as LLVM instructions.

`Lanes` pairs an LLVM value with the builder that emits, so that the functions of this package read
as the mathematics that they implement. A value is a scalar or an explicit vector: every operation
is lane by lane, and none branches. Numbers beside lanes become constants of the lanes' own type.
Depends on `target`.
"""

from __future__ import annotations

from collections.abc import Sequence

from llvmlite import ir

from rtfunc.compiler.cpu.target import host

MANTISSA_BITS = {32: 23, 64: 52}
"""Stored bits of the significand, by width of the format."""

EXPONENT_BIAS = {32: 127, 64: 1023}
"""What is added to the exponent of a number to store it."""

SMALLEST_NORMAL = {32: 2.0**-126, 64: 2.0**-1022}
"""Numbers below this in magnitude are denormal."""

ROUND_BY_ADDING = {32: 1.5 * 2.0**23, 64: 1.5 * 2.0**52}
"""Added to x, |x| < 2^22 or 2^51, it leaves the nearest integer to x in the low bits of the sum."""


def element_type(of: ir.Type) -> ir.Type:
    """The type of one lane."""
    return of.element if isinstance(of, ir.VectorType) else of


def with_element(of: ir.Type, element: ir.Type) -> ir.Type:
    """`element`, or a vector of it with as many lanes as `of` has."""
    return ir.VectorType(element, of.count) if isinstance(of, ir.VectorType) else element


def constant(of: ir.Type, number: float) -> ir.Constant:
    """`number` in every lane."""
    if isinstance(of, ir.VectorType):
        return ir.Constant(of, [ir.Constant(of.element, number)] * of.count)
    return ir.Constant(of, number)


def intrinsic_suffix(of: ir.Type) -> str:
    """How LLVM spells a type in the name of an overloaded intrinsic: f32, v8f32, ..."""
    if isinstance(of, ir.VectorType):
        return f"v{of.count}{of.element.intrinsic_name}"
    return of.intrinsic_name


class Lanes:
    """One LLVM value, scalar or vector, of floats, integers or conditions (i1).

    Comparisons are ordered: they are false where an operand is NaN.
    """

    __slots__ = ("builder", "value")

    def __init__(self, builder: ir.IRBuilder, value: ir.Value) -> None:
        self.builder, self.value = builder, value

    @property
    def type(self) -> ir.Type:
        """The LLVM type of the value."""
        return self.value.type

    @property
    def bits(self) -> int:
        """Width of one lane: 32 or 64 for numbers."""
        kind = element_type(self.type)
        if isinstance(kind, ir.IntType):
            return kind.width
        return 64 if isinstance(kind, ir.DoubleType) else 32

    def like(self, number: Lanes | float) -> Lanes:
        """`number` as lanes of this type."""
        if isinstance(number, Lanes):
            return number
        return Lanes(self.builder, constant(self.type, number))

    def call(self, name: str, *others: Lanes | float) -> Lanes:
        """The LLVM intrinsic `name` of these and `others`, all of one type."""
        operands = [self.value, *(self.like(o).value for o in others)]
        full_name = f"llvm.{name}.{intrinsic_suffix(self.type)}"
        function = self.builder.module.globals.get(full_name)
        if function is None:
            signature = ir.FunctionType(self.type, [self.type] * len(operands))
            function = ir.Function(self.builder.module, signature, full_name)
        return Lanes(self.builder, self.builder.call(function, operands))

    @property
    def has_scaling(self) -> bool:
        """Whether the processor scales vectors of this type by powers of two (AVX-512 does)."""
        kind = self.type
        if not isinstance(kind, ir.VectorType):
            return False
        size = kind.count * self.bits
        need = {512: "+avx512f", 256: "+avx512vl", 128: "+avx512vl"}.get(size)
        return need is not None and need in host().features.split(",")

    def times_power_of_two(self, n: Lanes) -> Lanes:
        """These times 2^n, for whole numbers n as floats; where `has_scaling`."""
        kind, size = self.type, self.type.count * self.bits
        name = f"llvm.x86.avx512.mask.scalef.{'ps' if self.bits == 32 else 'pd'}.{size}"
        mask = ir.IntType(max(kind.count, 8))
        operands = [self.value, n.value, self.value, ir.Constant(mask, -1)]
        if size == 512:
            operands.append(ir.Constant(ir.IntType(32), 4))  # the current rounding mode
        function = self.builder.module.globals.get(name)
        if function is None:
            signature = ir.FunctionType(kind, [operand.type for operand in operands])
            function = ir.Function(self.builder.module, signature, name)
        return Lanes(self.builder, self.builder.call(function, operands))

    def _binary(self, other: Lanes | float, float_name: str, integer_name: str) -> Lanes:
        is_integer = isinstance(element_type(self.type), ir.IntType)
        emit = getattr(self.builder, integer_name if is_integer else float_name)
        return Lanes(self.builder, emit(self.value, self.like(other).value))

    def __add__(self, other: Lanes | float) -> Lanes:
        return self._binary(other, "fadd", "add")

    def __sub__(self, other: Lanes | float) -> Lanes:
        return self._binary(other, "fsub", "sub")

    def __mul__(self, other: Lanes | float) -> Lanes:
        return self._binary(other, "fmul", "mul")

    def __truediv__(self, other: Lanes | float) -> Lanes:
        return Lanes(self.builder, self.builder.fdiv(self.value, self.like(other).value))

    def __radd__(self, other: float) -> Lanes:
        return self.like(other) + self

    def __rsub__(self, other: float) -> Lanes:
        return self.like(other) - self

    def __rmul__(self, other: float) -> Lanes:
        return self.like(other) * self

    def __rtruediv__(self, other: float) -> Lanes:
        return self.like(other) / self

    def __neg__(self) -> Lanes:
        return Lanes(self.builder, self.builder.fneg(self.value))

    def __and__(self, other: Lanes | int) -> Lanes:
        return Lanes(self.builder, self.builder.and_(self.value, self.like(other).value))

    def __or__(self, other: Lanes | int) -> Lanes:
        return Lanes(self.builder, self.builder.or_(self.value, self.like(other).value))

    def __xor__(self, other: Lanes | int) -> Lanes:
        return Lanes(self.builder, self.builder.xor(self.value, self.like(other).value))

    def __invert__(self) -> Lanes:
        return Lanes(self.builder, self.builder.not_(self.value))

    def __lshift__(self, count: Lanes | int) -> Lanes:
        return Lanes(self.builder, self.builder.shl(self.value, self.like(count).value))

    def __rshift__(self, count: Lanes | int) -> Lanes:
        """Arithmetic shift: copies of the sign come in."""
        return Lanes(self.builder, self.builder.ashr(self.value, self.like(count).value))

    def shift_right_unsigned(self, count: Lanes | int) -> Lanes:
        """Logical shift: zeros come in."""
        return Lanes(self.builder, self.builder.lshr(self.value, self.like(count).value))

    def _compare(self, relation: str, other: Lanes | float) -> Lanes:
        right = self.like(other).value
        if isinstance(element_type(self.type), ir.IntType):
            return Lanes(self.builder, self.builder.icmp_signed(relation, self.value, right))
        return Lanes(self.builder, self.builder.fcmp_ordered(relation, self.value, right))

    def __lt__(self, other: Lanes | float) -> Lanes:
        return self._compare("<", other)

    def __le__(self, other: Lanes | float) -> Lanes:
        return self._compare("<=", other)

    def __gt__(self, other: Lanes | float) -> Lanes:
        return self._compare(">", other)

    def __ge__(self, other: Lanes | float) -> Lanes:
        return self._compare(">=", other)

    def equals(self, other: Lanes | float) -> Lanes:
        """Where this equals `other`; a method, as == is for Python."""
        return self._compare("==", other)

    def is_nan(self) -> Lanes:
        """Where this is NaN."""
        return Lanes(self.builder, self.builder.fcmp_unordered("uno", self.value, self.value))

    def select(self, yes: Lanes | float, no: Lanes | float) -> Lanes:
        """`yes` where this condition holds, else `no`; one of them must be lanes."""
        typed = yes if isinstance(yes, Lanes) else no
        assert isinstance(typed, Lanes)
        chosen = self.builder.select(self.value, typed.like(yes).value, typed.like(no).value)
        return Lanes(self.builder, chosen)

    def at_most(self, limit: Lanes | float) -> Lanes:
        """min(self, limit), NaN where self is NaN: in this order it is one `minps` on x86."""
        limit = self.like(limit)
        return (limit < self).select(limit, self)

    def at_least(self, limit: Lanes | float) -> Lanes:
        """max(self, limit), NaN where self is NaN."""
        limit = self.like(limit)
        return (limit > self).select(limit, self)

    def abs(self) -> Lanes:
        """The magnitude: the sign bit cleared."""
        return self.call("fabs")

    def with_sign_of(self, other: Lanes) -> Lanes:
        """The magnitude of this with the sign bit of `other`."""
        return self.call("copysign", other)

    def sqrt(self) -> Lanes:
        """The square root, correctly rounded; NaN below zero."""
        return self.call("sqrt")

    def floor(self) -> Lanes:
        """The largest integer that is not above this."""
        return self.call("floor")

    def trunc(self) -> Lanes:
        """The integer part."""
        return self.call("trunc")

    def nearest(self) -> Lanes:
        """The nearest integer, halves to even."""
        return self.call("roundeven")

    def as_integer(self) -> Lanes:
        """The stored bits."""
        target = with_element(self.type, ir.IntType(self.bits))
        return Lanes(self.builder, self.builder.bitcast(self.value, target))

    def as_float(self) -> Lanes:
        """Stored bits taken as a number."""
        element = ir.FloatType() if self.bits == 32 else ir.DoubleType()
        target = with_element(self.type, element)
        return Lanes(self.builder, self.builder.bitcast(self.value, target))

    def to_double(self) -> Lanes:
        """The same number as float64."""
        if self.bits == 64:
            return self
        target = with_element(self.type, ir.DoubleType())
        return Lanes(self.builder, self.builder.fpext(self.value, target))

    def to_int32(self) -> Lanes:
        """The low 32 bits of 64-bit integers."""
        target = with_element(self.type, ir.IntType(32))
        return Lanes(self.builder, self.builder.trunc(self.value, target))

    def to_float(self) -> Lanes:
        """Rounded to float32."""
        target = with_element(self.type, ir.FloatType())
        return Lanes(self.builder, self.builder.fptrunc(self.value, target))


def fma(a: Lanes, b: Lanes | float, c: Lanes | float) -> Lanes:
    """a·b + c with one rounding."""
    return a.call("fma", b, c)


def polynomial(x: Lanes, coefficients: Sequence[float]) -> Lanes:
    """Σ coefficients[k] x^k by Horner's rule.

    Horner has the fewest operations, and loops over arrays, where neighbouring vectors overlap, are
    bound by the number of operations; the latency of a chain matters to single calls alone.
    """
    *lower, last = coefficients
    total = x.like(last)
    for c in reversed(lower):
        total = fma(total, x, c)
    return total


def round_product(x: Lanes, factor: float, offset: int = 0) -> tuple[Lanes, Lanes]:
    """n, the integer nearest to x·factor, and an integer whose low bits hold n + offset.

    Holds for |n + offset| < 2^22 or 2^51. The rounding addition takes the place of a conversion,
    which AVX2 lacks between float64 and 64-bit integers. The integer's upper bits are those of
    `ROUND_BY_ADDING`.
    """
    shift = ROUND_BY_ADDING[x.bits] + offset
    shifted = fma(x, factor, shift)
    return shifted - shift, shifted.as_integer()
