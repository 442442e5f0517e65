"""Sample kernels as LLVM IR, in the form that a code printer emits: vector bodies inside counted
loops.

They serve to weigh pass lists against each other: what each costs to compile and how fast the
result runs. Depends on nothing.
"""

from __future__ import annotations


def elementwise(width: int) -> str:
    """`y = exp(-x²) + 2x + x / (1 + exp(-x²))`, `width` elements an iteration."""
    vector = f"<{width} x float>"

    def splat(value: float) -> str:
        return f"splat (float {float_literal(value)})"

    lines = []
    lines.append(f"%x = load {vector}, ptr %px, align 4")
    lines.append(f"%x2 = fmul {vector} %x, %x")
    lines.append(f"%n0 = fneg {vector} %x2")
    lines.append(
        f"%n1 = call {vector} @llvm.maxnum.v{width}f32({vector} %n0, {vector} {splat(-87)})"
    )
    lines.extend(_exponential(width, "%n1", "%e"))
    lines.append(f"%d = fadd {vector} %e, {splat(1.0)}")
    lines.append(f"%q = fdiv {vector} %x, %d")
    lines.append(
        f"%t = call {vector} @llvm.fma.v{width}f32({vector} %x, {vector} {splat(2)}, {vector} %e)"
    )
    lines.append(f"%y = fadd {vector} %t, %q")
    lines.append(f"store {vector} %y, ptr %py, align 4")
    body = "\n  ".join(lines)
    return f"""
declare {vector} @llvm.maxnum.v{width}f32({vector}, {vector})
declare {vector} @llvm.fma.v{width}f32({vector}, {vector}, {vector})
declare {vector} @llvm.roundeven.v{width}f32({vector})
define void @elementwise(ptr noalias %src, ptr noalias %dst, i64 %n) nounwind {{
entry:
  %slot = alloca i64
  store i64 0, ptr %slot
  br label %head
head:
  %i = load i64, ptr %slot
  %more = icmp slt i64 %i, %n
  br i1 %more, label %body, label %done
body:
  %px = getelementptr float, ptr %src, i64 %i
  %py = getelementptr float, ptr %dst, i64 %i
  {body}
  %next = add i64 %i, {width}
  store i64 %next, ptr %slot
  br label %head
done:
  ret void
}}
"""


def softmax(width: int) -> str:
    """Softmax of the rows of a matrix: a loop for the maximum, for the sum, for scaling."""
    vector = f"<{width} x float>"
    tail = f"v{width}f32"
    zero = "zeroinitializer"
    exponential = "\n  ".join(_exponential(width, "%d", "%e"))
    return f"""
declare {vector} @llvm.maxnum.{tail}({vector}, {vector})
declare {vector} @llvm.fma.{tail}({vector}, {vector}, {vector})
declare {vector} @llvm.roundeven.{tail}({vector})
declare float @llvm.vector.reduce.fmax.{tail}({vector})
declare float @llvm.vector.reduce.fadd.{tail}(float, {vector})
define void @softmax(ptr noalias %src, ptr noalias %dst, i64 %rows, i64 %cols) nounwind {{
entry:
  br label %row
row:
  %r = phi i64 [0, %entry], [%r1, %row_end]
  %base = mul i64 %r, %cols
  br label %max
max:
  %i = phi i64 [0, %row], [%i1, %max]
  %m = phi {vector} [splat (float 0xFFF0000000000000), %row], [%m1, %max]
  %a0 = add i64 %base, %i
  %p0 = getelementptr float, ptr %src, i64 %a0
  %x0 = load {vector}, ptr %p0, align 4
  %m1 = call {vector} @llvm.maxnum.{tail}({vector} %m, {vector} %x0)
  %i1 = add i64 %i, {width}
  %c0 = icmp slt i64 %i1, %cols
  br i1 %c0, label %max, label %max_end
max_end:
  %top = call float @llvm.vector.reduce.fmax.{tail}({vector} %m1)
  %t0 = insertelement {vector} poison, float %top, i64 0
  %t = shufflevector {vector} %t0, {vector} poison, <{width} x i32> zeroinitializer
  br label %sum
sum:
  %j = phi i64 [0, %max_end], [%j1, %sum]
  %s = phi {vector} [{zero}, %max_end], [%s1, %sum]
  %a1 = add i64 %base, %j
  %p1 = getelementptr float, ptr %src, i64 %a1
  %q1 = getelementptr float, ptr %dst, i64 %a1
  %x1 = load {vector}, ptr %p1, align 4
  %d = fsub {vector} %x1, %t
  {exponential}
  store {vector} %e, ptr %q1, align 4
  %s1 = fadd {vector} %s, %e
  %j1 = add i64 %j, {width}
  %c1 = icmp slt i64 %j1, %cols
  br i1 %c1, label %sum, label %sum_end
sum_end:
  %total = call reassoc float @llvm.vector.reduce.fadd.{tail}(float 0.0, {vector} %s1)
  %inverse = fdiv float 1.0, %total
  %v0 = insertelement {vector} poison, float %inverse, i64 0
  %v = shufflevector {vector} %v0, {vector} poison, <{width} x i32> zeroinitializer
  br label %scale
scale:
  %k = phi i64 [0, %sum_end], [%k1, %scale]
  %a2 = add i64 %base, %k
  %q2 = getelementptr float, ptr %dst, i64 %a2
  %x2 = load {vector}, ptr %q2, align 4
  %y2 = fmul {vector} %x2, %v
  store {vector} %y2, ptr %q2, align 4
  %k1 = add i64 %k, {width}
  %c2 = icmp slt i64 %k1, %cols
  br i1 %c2, label %scale, label %row_end
row_end:
  %r1 = add i64 %r, 1
  %c3 = icmp slt i64 %r1, %rows
  br i1 %c3, label %row, label %done
done:
  ret void
}}
"""


def gemm_micro_kernel(width: int, rows: int, columns: int) -> str:
    """`C[rows, columns * width] += A @ B` over packed panels, sums in allocas for `sroa`."""
    vector = f"<{width} x float>"
    cells = [(i, j) for i in range(rows) for j in range(columns)]
    lines = [f"%acc{i}_{j} = alloca {vector}" for i, j in cells]
    lines += [f"store {vector} zeroinitializer, ptr %acc{i}_{j}" for i, j in cells]
    body = []
    for j in range(columns):
        body.append(f"%bi{j} = add i64 %bk, {j * width}")
        body.append(f"%bp{j} = getelementptr float, ptr %b, i64 %bi{j}")
        body.append(f"%b{j} = load {vector}, ptr %bp{j}, align 4")
    for i in range(rows):
        body.append(f"%ai{i} = add i64 %ak, {i}")
        body.append(f"%ap{i} = getelementptr float, ptr %a, i64 %ai{i}")
        body.append(f"%as{i} = load float, ptr %ap{i}")
        body.append(f"%av{i} = insertelement {vector} poison, float %as{i}, i64 0")
        body.append(
            f"%a{i} = shufflevector {vector} %av{i}, {vector} poison, "
            f"<{width} x i32> zeroinitializer"
        )
        for j in range(columns):
            body.append(f"%o{i}_{j} = load {vector}, ptr %acc{i}_{j}")
            body.append(
                f"%s{i}_{j} = call {vector} @llvm.fma.v{width}f32({vector} %a{i}, {vector} %b{j}, "
                f"{vector} %o{i}_{j})"
            )
            body.append(f"store {vector} %s{i}_{j}, ptr %acc{i}_{j}")
    tail = []
    for i, j in cells:
        tail.append(f"%cr{i}_{j} = mul i64 %ldc, {i}")
        tail.append(f"%ci{i}_{j} = add i64 %cr{i}_{j}, {j * width}")
        tail.append(f"%cp{i}_{j} = getelementptr float, ptr %c, i64 %ci{i}_{j}")
        tail.append(f"%co{i}_{j} = load {vector}, ptr %cp{i}_{j}, align 4")
        tail.append(f"%cf{i}_{j} = load {vector}, ptr %acc{i}_{j}")
        tail.append(f"%cs{i}_{j} = fadd {vector} %co{i}_{j}, %cf{i}_{j}")
        tail.append(f"store {vector} %cs{i}_{j}, ptr %cp{i}_{j}, align 4")
    newline = "\n  "
    return f"""
declare {vector} @llvm.fma.v{width}f32({vector}, {vector}, {vector})
define void @gemm(ptr noalias %a, ptr noalias %b, ptr noalias %c, i64 %ldc, i64 %depth) nounwind {{
entry:
  {newline.join(lines)}
  br label %head
head:
  %k = phi i64 [0, %entry], [%k1, %head]
  %ak = mul i64 %k, {rows}
  %bk = mul i64 %k, {columns * width}
  {newline.join(body)}
  %k1 = add i64 %k, 1
  %more = icmp slt i64 %k1, %depth
  br i1 %more, label %head, label %done
done:
  {newline.join(tail)}
  ret void
}}
"""


def float_literal(value: float) -> str:
    """The exact hexadecimal spelling of a float32 constant that LLVM reads."""
    import struct

    as_float32 = struct.unpack("f", struct.pack("f", value))[0]
    return "0x" + struct.pack(">d", as_float32).hex().upper()


def _exponential(width: int, argument: str, result: str) -> list[str]:
    """IR lines of a degree-5 `exp` for arguments above -87 and below 88."""
    vector, integers = f"<{width} x float>", f"<{width} x i32>"
    prefix = result

    def splat(value: float) -> str:
        return f"splat (float {float_literal(value)})"

    def fma(name: str, x: str, y: str, z: str) -> str:
        return (
            f"{prefix}{name} = call {vector} @llvm.fma.v{width}f32({vector} {x}, {vector} {y}, "
            f"{vector} {z})"
        )

    p = prefix
    lines = [
        f"{p}s = fmul {vector} {argument}, {splat(1.4426950408889634)}",
        f"{p}r = call {vector} @llvm.roundeven.v{width}f32({vector} {p}s)",
        fma("f1", f"{p}r", splat(-0.693359375), argument),
        fma("f2", f"{p}r", splat(2.12194440e-4), f"{p}f1"),
    ]
    coefficients = [1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2]
    coefficients += [1.6666665459e-1, 5.0000001201e-1, 1.0, 1.0]
    previous = splat(coefficients[0])
    for index, coefficient in enumerate(coefficients[1:]):
        lines.append(fma(f"p{index}", previous, f"{p}f2", splat(coefficient)))
        previous = f"{p}p{index}"
    return [
        *lines,
        f"{p}i = fptosi {vector} {p}r to {integers}",
        f"{p}b = add {integers} {p}i, splat (i32 127)",
        f"{p}h = shl {integers} {p}b, splat (i32 23)",
        f"{p}w = bitcast {integers} {p}h to {vector}",
        f"{result} = fmul {vector} {previous}, {p}w",
    ]
