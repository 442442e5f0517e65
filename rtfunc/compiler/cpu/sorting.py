"""Native routines that templates call: sorting keys that are integers.

    void rtfunc_rank_BITS(ptr keys, ptr ranks, i64 n)

sets ranks[i] to the place of keys[i] in a stable ascending order of n signed integers, by comparing all
with all, a vector at a time. Both arrays have room for `rank_room(BITS)` elements.

    ptr rtfunc_radix_BITS_BYTES(ptr elements, ptr spare, i64 n)

sorts n elements stably by the lowest BYTES of their unsigned keys, one byte after the other, the least
significant first, leaving out bytes that are the same in all. An element of BITS = 32 is an i64 of
which the lower half is an index and the upper half the key; one of 64 is two i64, key and index.
The result is in one of the two arrays: the one that is returned.

The routines are compiled once for a machine and kept in the disk cache. Depends on `engine`, `emission`.
"""

from __future__ import annotations

from llvmlite import ir

from rtfunc.compiler.cpu.axis_loops import stack_array
from rtfunc.compiler.cpu.emission import Code, Index, i32, i64, pointer
from rtfunc.compiler.cpu.target import vector_bytes

RADIX_FORMS = ((32, 1), (32, 2), (32, 4), (64, 8))
_RANK_VECTORS = 2
_MOST_RANKED_VECTORS = 8
_DIGITS = 256

i8 = ir.IntType(8)


def most_ranked(bits: int) -> int:
    """How many keys are sorted by `rtfunc_rank` rather than by `rtfunc_radix`."""
    return _MOST_RANKED_VECTORS * vector_bytes() * 8 // bits


def rank_room(bits: int, n: int) -> int:
    """Elements that arrays of n keys and ranks need room for."""
    block = _RANK_VECTORS * vector_bytes() * 8 // bits
    return -(-n // block) * block


def emit_rank(code: Code, bits: int, keys: ir.Value, ranks: ir.Value, n: Index) -> None:
    """Call `rtfunc_rank`."""
    function = _declared(code, f"rtfunc_rank_{bits}", ir.VoidType(), [pointer, pointer, i64])
    code.b.call(function, [keys, ranks, code.value(n)])


def emit_radix(
    code: Code, bits: int, size: int, elements: ir.Value, spare: ir.Value, n: Index
) -> ir.Value:
    """Call `rtfunc_radix` for keys of `size` bytes; the array that holds the result."""
    size = size if bits == 32 else 8
    name = f"rtfunc_radix_{bits}_{size}"
    function = _declared(code, name, pointer, [pointer, pointer, i64])
    return code.b.call(function, [elements, spare, code.value(n)])


def _declared(code: Code, name: str, result: ir.Type, types: list[ir.Type]) -> ir.Function:
    known = code.module.globals.get(name)
    return known or ir.Function(code.module, ir.FunctionType(result, types), name)


def _define_rank(module: ir.Module, bits: int) -> None:
    kind = ir.FunctionType(ir.VoidType(), [pointer, pointer, i64])
    function = ir.Function(module, kind, f"rtfunc_rank_{bits}")
    function.attributes.add("nounwind")
    keys, ranks, n = function.args
    b = ir.IRBuilder(function.append_basic_block("entry"))
    code = Code(b)
    element, lanes = ir.IntType(bits), vector_bytes() * 8 // bits
    of = ir.VectorType(element, lanes)
    block = lanes * _RANK_VECTORS
    align = bits // 8
    numbers = ir.Constant(of, list(range(lanes)))
    counts = [code.slot(of) for _ in range(_RANK_VECTORS)]
    with code.loop(n, 0, block) as start:
        places = [code.add(start, k * lanes) for k in range(_RANK_VECTORS)]
        own = [b.load(code.at(keys, at, element), typ=of, align=align) for at in places]
        for slot in counts:
            b.store(ir.Constant(of, None), slot)

        def compare(
            begin: Index, end: Index, relation: str, among: bool = False, start: Index = start
        ) -> None:
            """Count the keys from `begin` to `end` that stand before those of the block."""
            with code.loop(end, begin) as j:
                key = code.splat(b.load(code.at(keys, j, element), typ=element), lanes)
                for k, (slot, mine) in enumerate(zip(counts, own)):
                    before = b.icmp_signed(relation, key, mine)
                    if among:
                        offset = b.sub(code.value(j), code.value(code.add(start, k * lanes)))
                        offset = offset if bits == 64 else b.trunc(offset, element)
                        earlier = b.icmp_signed("<", code.splat(offset, lanes), numbers)
                        equal = b.icmp_signed("==", key, mine)
                        before = b.or_(before, b.and_(equal, earlier))
                    count = b.load(slot, typ=of)
                    b.store(b.sub(count, b.sext(before, of)), slot)

        stop = code.minimum(code.add(start, block), n)
        compare(0, start, "<=")
        compare(start, stop, "<", among=True)
        compare(stop, n, "<")
        for slot, at in zip(counts, places):
            b.store(b.load(slot, typ=of), code.at(ranks, at, element), align=align)
    b.ret_void()


def _define_radix(module: ir.Module, bits: int, size: int) -> None:
    kind = ir.FunctionType(pointer, [pointer, pointer, i64])
    function = ir.Function(module, kind, f"rtfunc_radix_{bits}_{size}")
    function.attributes.add("nounwind")
    elements, spare, n = function.args
    b = ir.IRBuilder(function.append_basic_block("entry"))
    code = Code(b)
    of: ir.Type = i64 if bits == 32 else ir.VectorType(i64, 2)
    first_byte = 4 if bits == 32 else 0
    counts = stack_array(code, i32, _DIGITS * size)

    def counter(number: int, digit: ir.Value) -> ir.Value:
        return code.at(counts, code.add(digit, number * _DIGITS), i32)

    def digit_of(element: ir.Value, number: int) -> ir.Value:
        place = code.at(element, first_byte + number, i8)
        return b.zext(b.load(place, typ=i8), i64)

    lanes = vector_bytes() // 4
    vector = ir.VectorType(i32, lanes)
    with code.loop(_DIGITS * size, 0, lanes) as at:
        b.store(ir.Constant(vector, None), code.at(counts, at, i32))
    with code.loop(n) as i:
        element = code.at(elements, i, of)
        for number in range(size):
            place = counter(number, digit_of(element, number))
            b.store(b.add(b.load(place, typ=i32), i32(1)), place)
    source, target = code.slot(pointer), code.slot(pointer)
    b.store(elements, source)
    b.store(spare, target)
    total = code.slot(vector)
    identity = ir.Constant(vector, None)
    for number in range(size):
        old, new = b.load(source, typ=pointer), b.load(target, typ=pointer)
        same = b.load(counter(number, digit_of(old, number)), typ=i32)
        with code.when(b.icmp_unsigned("!=", b.zext(same, i64), n)):
            # Counts become the places where the elements with each digit begin.
            b.store(identity, total)
            with code.loop(_DIGITS, 0, lanes) as at:
                place = code.at(counts, code.add(at, number * _DIGITS), i32)
                sums = count = b.load(place, typ=vector)
                distance = 1
                while distance < lanes:
                    chosen = range(lanes - distance, 2 * lanes - distance)
                    sums = b.add(sums, code.shuffle(identity, sums, chosen))
                    distance *= 2
                before = b.load(total, typ=vector)
                b.store(b.sub(b.add(sums, before), count), place)
                whole = code.shuffle(sums, sums, [lanes - 1] * lanes)
                b.store(b.add(before, whole), total)
            with code.loop(n) as i:
                element = code.at(old, i, of)
                place = counter(number, digit_of(element, number))
                at = b.load(place, typ=i32)
                b.store(b.add(at, i32(1)), place)
                value = b.load(element, typ=of, align=8)
                b.store(value, code.at(new, b.zext(at, i64), of), align=8)
            b.store(new, source)
            b.store(old, target)
    b.ret(b.load(source, typ=pointer))


def routines(library: str) -> ir.Module:
    """All of them."""
    module = ir.Module(library)
    for bits in (32, 64):
        _define_rank(module, bits)
    for bits, size in RADIX_FORMS:
        _define_radix(module, bits, size)
    return module
