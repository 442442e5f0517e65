"""Convolution and pooling as native templates, beside PyTorch.

`python -m benchmarks.convolution [section ...]` prints a table for each of the sections `network` (the
layers of a small network on 32x32 images, with both gradients), `layers` (layers of well-known networks,
other layouts and ranks), `pooling` and `compile` (milliseconds to emit and compile). With one thread times
are processor time of the calling thread, which other programs disturb least; with more, time on the clock.
Calls of both sides alternate, and medians (one thread) or minima (more) are shown.
"""

from __future__ import annotations

import importlib.util
import math
import sys
import time
from collections.abc import Callable, Sequence
from ctypes import c_void_p
from typing import Any

import numpy as np
from llvmlite import ir

from rtfunc.compiler.cpu import engine, threads
from rtfunc.compiler.cpu.convolution import emit_convolution
from rtfunc.compiler.cpu.convolution_geometry import ConvolutionSpec
from rtfunc.compiler.cpu.emission import Emitted
from rtfunc.compiler.cpu.pooling import emit_reduce_window
from rtfunc.compiler.cpu.pooling_derivative import emit_select_and_scatter_add
from rtfunc.compiler.cpu.windows import WindowSpec
from rtfunc.ops.conv import conv_dimension_numbers
from rtfunc.ops.sliding import pads_of_transpose

FLOAT32 = np.dtype("float32")


def compile_template(emit: Callable[[ir.Module], Emitted], arguments: int) -> Callable[..., None]:
    """A template as a function of arrays; scratch memory is added."""
    module = ir.Module("benchmark")
    emitted = emit(module)
    emitted.function.linkage = ""
    compiled = engine.compile_module(module)
    function = compiled.function(emitted.function.name, None, *[c_void_p] * (arguments + 1))
    memory = np.empty(emitted.scratch_bytes + 64, np.uint8)
    scratch = memory.ctypes.data + -memory.ctypes.data % 64

    def run(*arrays: np.ndarray) -> None:
        function(*[a.ctypes.data for a in arrays], scratch)

    run.memory = memory  # type: ignore[attr-defined]
    return run


def measure(functions: Sequence[Callable[[], Any]], count: int) -> list[float]:
    """Seconds of each function, called in turn."""
    clock = time.thread_time if count == 1 else time.perf_counter
    threads.set_num_threads(count)
    times: list[list[float]] = [[] for _ in functions]
    for function in functions:
        function()
    started = time.perf_counter()
    while len(times[0]) < 7 or (time.perf_counter() - started < 0.7 and len(times[0]) < 200):
        for function, found in zip(functions, times):
            begin = clock()
            function()
            found.append(clock() - begin)
    return [float(np.median(t) if count == 1 else np.min(t)) for t in times]


class Layer:
    """A convolution layer with both of its gradients, as specs, and as PyTorch has them."""

    def __init__(
        self,
        batch: int,
        features: int,
        out_features: int,
        size: int | tuple[int, ...],
        window: int,
        stride: int = 1,
        pad: int | None = None,
        layout: str = "first",
        groups: int = 1,
        rank: int = 2,
        transposed: bool = False,
    ) -> None:
        sizes = (size,) * rank if isinstance(size, int) else size
        rank = len(sizes)
        letters = "HWD"[:rank]
        self.layout, self.groups, self.stride, self.rank = layout, groups, stride, rank
        self.pad = window // 2 if pad is None else pad
        self.transposed = transposed
        first = layout == "first"
        names = (
            (f"NC{letters}", f"OI{letters}", f"NC{letters}")
            if first
            else (f"N{letters}C", f"{letters}IO", f"N{letters}C")
        )
        place = {"N": batch, "C": features, "O": out_features, "I": features // groups}
        outs = [(n + 2 * self.pad - window) // stride + 1 for n in sizes]
        self.x = tuple(place.get(c) or sizes[letters.index(c)] for c in names[0])
        self.w = tuple(place.get(c) or window for c in names[1])
        place["C"] = out_features
        self.y = tuple(place.get(c) or outs[letters.index(c)] for c in names[2])
        self.numbers = conv_dimension_numbers(self.x, self.w, names)
        self.flops = 2 * math.prod(self.y) * window**rank * (features // groups)

    def spec(self, what: str) -> ConvolutionSpec:
        """The forward convolution, or its gradient by "input" or "kernel"."""
        n, one = self.numbers, (1,) * self.rank
        pads, steps = ((self.pad, self.pad),) * self.rank, (self.stride,) * self.rank
        if what == "forward":
            return ConvolutionSpec(
                self.x, self.w, steps, pads, one, one,
                n.lhs_spec, n.rhs_spec, n.out_spec, FLOAT32, self.groups,
            )  # fmt: skip

        def swapped(spec: tuple[int, ...]) -> tuple[int, ...]:
            return (spec[1], spec[0], *spec[2:])

        axes = list(zip(n.lhs_spec[2:], n.rhs_spec[2:], n.out_spec[2:]))
        if what == "input":
            pads = tuple(
                pads_of_transpose(self.x[i], self.w[k], self.stride, self.y[o], self.pad, 1, 1)
                for i, k, o in axes
            )
            # With groups the derivative rule moves them first; only depthwise kernels need not move.
            w, rhs_spec = self.w, swapped(n.rhs_spec)
            if self.groups > 1:
                assert self.groups == self.x[n.lhs_spec[1]] == self.y[n.out_spec[1]]
                rhs_spec = n.rhs_spec
            return ConvolutionSpec(
                self.y, w, one, pads, steps, one,
                n.out_spec, rhs_spec, n.lhs_spec, FLOAT32, self.groups, flip=(True,) * self.rank,
            )  # fmt: skip
        pads = tuple(
            (self.pad, (self.y[o] - 1) * self.stride + self.w[k] - self.x[i] - self.pad)
            for i, k, o in axes
        )
        return ConvolutionSpec(
            self.x, self.y, one, pads, one, steps,
            swapped(n.lhs_spec), swapped(n.out_spec), swapped(n.rhs_spec), FLOAT32, 1, self.groups,
        )  # fmt: skip

    def ours(self, what: str) -> Callable[[], None]:
        """A call of the template on random operands."""
        spec = self.spec(what)
        rng = np.random.default_rng(0)
        lhs = rng.standard_normal(spec.lhs_shape).astype("f")
        rhs = rng.standard_normal(spec.rhs_shape).astype("f")
        out = np.empty(spec.out_shape, "f")
        run = compile_template(lambda m: emit_convolution(m, "convolution", spec), 3)
        return lambda: run(out, lhs, rhs)

    def peer(self, what: str) -> Callable[[], Any]:
        """The same by PyTorch."""
        import torch

        n = self.numbers

        def tensor(shape: tuple[int, ...], spec: tuple[int, ...]) -> Any:
            return torch.randn(shape).permute(*spec)

        x, y = tensor(self.x, n.lhs_spec), tensor(self.y, n.out_spec)
        w = torch.randn([self.w[a] for a in n.rhs_spec])
        if self.layout == "last" and self.rank == 2:
            w = w.contiguous(memory_format=torch.channels_last)
        pads, steps, one = [self.pad] * self.rank, [self.stride] * self.rank, [1] * self.rank
        if what == "forward":
            return lambda: torch.ops.aten.convolution(
                x, w, None, steps, pads, one, False, [0] * self.rank, self.groups
            )
        mask = [what == "input", what == "kernel", False]
        return lambda: torch.ops.aten.convolution_backward(
            y, x, w, None, steps, pads, one, False, [0] * self.rank, self.groups, mask
        )


def has_torch() -> bool:
    """Whether the peer is there."""
    return importlib.util.find_spec("torch") is not None


def compare(
    label: str, ours: Callable[[], Any], peer: Callable[[], Any] | None, flops: float, count: int
) -> tuple[float, float]:
    """Print a line of a table; returns both times."""
    if peer is not None:
        import torch

        torch.set_num_threads(count)
    times = measure([ours] if peer is None else [ours, peer], count)
    line = f"  {label:40} {times[0] * 1e3:9.3f} ms {flops / times[0] / 1e9:7.1f} GFLOP/s"
    if peer is not None:
        line += f"   torch {times[1] * 1e3:9.3f} ms   ratio {times[1] / times[0]:5.2f}"
    print(line, flush=True)
    return times[0], times[-1]


NETWORK = [Layer(64, 3, 32, 32, 3), Layer(64, 32, 64, 16, 3), Layer(64, 64, 64, 8, 3)]

LAYERS = {
    "3>64 7x7/2 224": lambda f: Layer(8, 3, 64, 224, 7, 2, layout=f),
    "64>64 3x3 56": lambda f: Layer(8, 64, 64, 56, 3, layout=f),
    "128>128 3x3 28": lambda f: Layer(8, 128, 128, 28, 3, layout=f),
    "256>256 3x3 14": lambda f: Layer(8, 256, 256, 14, 3, layout=f),
    "512>512 3x3 7": lambda f: Layer(8, 512, 512, 7, 3, layout=f),
    "64>128 3x3/2 56": lambda f: Layer(8, 64, 128, 56, 3, 2, layout=f),
    "256>64 1x1 56": lambda f: Layer(8, 256, 64, 56, 1, layout=f),
    "128>256 1x1/2 28": lambda f: Layer(8, 128, 256, 28, 1, 2, layout=f),
    "depthwise 96 3x3 56": lambda f: Layer(8, 96, 96, 56, 3, groups=96, layout=f),
    "depthwise 96 3x3/2 56": lambda f: Layer(8, 96, 96, 56, 3, 2, groups=96, layout=f),
    "1-d 64>64 9 512": lambda f: Layer(8, 64, 64, 512, 9, rank=1, layout=f),
    "3-d 16>32 3x3x3 24": lambda f: Layer(2, 16, 32, 24, 3, rank=3, layout=f),
    "batch 1, 64>64 3x3 56": lambda f: Layer(1, 64, 64, 56, 3, layout=f),
    "batch 1, 512>512 3x3 7": lambda f: Layer(1, 512, 512, 7, 3, layout=f),
}


def bench_layer(label: str, layer: Layer, count: int) -> tuple[float, float]:
    """All three convolutions of a layer; returns the sums of their times."""
    sums = np.zeros(2)
    for what in ("forward", "input", "kernel"):
        peer = layer.peer(what) if has_torch() else None
        sums += compare(f"{label} {what}", layer.ours(what), peer, layer.flops, count)
    return float(sums[0]), float(sums[1])


def bench_network(counts: Sequence[int] = (1, 2)) -> None:
    """The network's layers; the first needs no gradient by its input, so the sum leaves it out."""
    for count in counts:
        print(f"\nnetwork, batch 64, {count} thread(s)")
        sums = np.zeros(2)
        for number, layer in enumerate(NETWORK):
            for what in ("forward", "input", "kernel"):
                peer = layer.peer(what) if has_torch() else None
                label = f"layer {number + 1} {what}"
                found = compare(label, layer.ours(what), peer, layer.flops, count)
                if number or what != "input":
                    sums += found
        print(f"  sum {sums[0] * 1e3:.2f} ms, torch {sums[1] * 1e3:.2f}, {sums[1] / sums[0]:.2f}")


def bench_layers(only: str = "", counts: Sequence[int] = (1,)) -> None:
    """Other layers, in both layouts."""
    for layout in ("first", "last"):
        for count in counts:
            print(f"\nchannels {layout}, {count} thread(s)")
            for label, make in LAYERS.items():
                if only in label:
                    bench_layer(label, make(layout), count)


def pooling_spec(
    shape: tuple[int, ...], window: int, stride: int, pad: int, kind: str, layout: str
) -> WindowSpec:
    """Pooling over two axes of an image of `shape`."""

    def four(inner: Any, outer: Any) -> tuple[Any, ...]:
        return (outer, inner, inner, outer) if layout == "last" else (outer, outer, inner, inner)

    return WindowSpec(
        shape, four(window, 1), four(stride, 1), four((pad, pad), (0, 0)),
        (1,) * 4, (1,) * 4, kind, FLOAT32,
    )  # fmt: skip


POOLINGS = [
    ((64, 32, 32, 32), 2, 2, 0, "max", "first"),
    ((64, 64, 16, 16), 2, 2, 0, "max", "first"),
    ((64, 64, 8, 8), 2, 2, 0, "max", "first"),
    ((8, 64, 112, 112), 3, 2, 1, "max", "first"),
    ((64, 32, 32, 32), 2, 2, 0, "max", "last"),
    ((8, 112, 112, 64), 3, 2, 1, "max", "last"),
    ((64, 64, 16, 16), 2, 2, 0, "sum", "first"),
    ((8, 512, 7, 7), 7, 7, 0, "sum", "first"),
]


def bench_pooling(counts: Sequence[int] = (1, 2)) -> None:
    """Pooling and, for maxima, its derivative; GFLOP/s stand for 10^9 elements of the input a second."""
    for count in counts:
        print(f"\npooling, {count} thread(s); GFLOP/s: input elements")
        for shape, window, stride, pad, kind, layout in POOLINGS:
            spec = pooling_spec(shape, window, stride, pad, kind, layout)
            rng = np.random.default_rng(0)
            x = rng.standard_normal(shape).astype("f")
            source = rng.standard_normal(spec.out_shape).astype("f")
            out, gradient = np.empty(spec.out_shape, "f"), np.empty(shape, "f")
            run = compile_template(lambda m, s=spec: emit_reduce_window(m, "pool", s), 2)
            peers: list[Any] = [None, None]
            if has_torch():
                peers = _torch_pooling(x, source, (window, stride, pad), kind, layout)
            label = f"{kind} {window}/{stride} {'x'.join(map(str, shape))} {layout}"
            compare(label, lambda r=run, o=out, x=x: r(o, x), peers[0], x.size, count)
            if kind == "max":
                back = compile_template(
                    lambda m, s=spec: emit_select_and_scatter_add(m, "back", s), 3
                )
                compare(
                    "  its derivative",
                    lambda r=back, g=gradient, s=source, x=x: r(g, s, x),
                    peers[1],
                    x.size,
                    count,
                )


def _torch_pooling(
    x: np.ndarray, source: np.ndarray, sizes: tuple[int, int, int], kind: str, layout: str
) -> list[Any]:
    import torch

    image, cotangent = torch.from_numpy(x), torch.from_numpy(source)
    if layout == "last":
        image, cotangent = image.permute(0, 3, 1, 2), cotangent.permute(0, 3, 1, 2)
    window, stride, pad = ([n, n] for n in sizes)
    if kind == "sum":
        return [lambda: torch.nn.functional.avg_pool2d(image, window, stride, pad), None]
    pool = torch.ops.aten.max_pool2d_with_indices
    _, indices = pool(image, window, stride, pad)
    backward = torch.ops.aten.max_pool2d_with_indices_backward
    return [
        lambda: pool(image, window, stride, pad),
        lambda: backward(cotangent, image, window, stride, pad, [1, 1], False, indices),
    ]


def bench_compile() -> None:
    """Milliseconds of processor time from spec to machine code."""
    print("\nms to emit, to print, to compile")
    layer = NETWORK[2]
    pooling = pooling_spec((64, 64, 16, 16), 2, 2, 0, "max", "first")
    templates: dict[str, Callable[[ir.Module], Emitted]] = {
        f"convolution {what}": lambda m, w=what: emit_convolution(m, "t", layer.spec(w))
        for what in ("forward", "input", "kernel")
    }
    templates["pooling"] = lambda m: emit_reduce_window(m, "t", pooling)
    templates["derivative"] = lambda m: emit_select_and_scatter_add(m, "t", pooling)
    for label, emit in templates.items():
        found = []
        for _ in range(7):
            times = [time.thread_time()]
            module = ir.Module("t")
            emit(module).function.linkage = ""
            times.append(time.thread_time())
            text = str(module)
            times.append(time.thread_time())
            engine.compile_module(text)
            times.append(time.thread_time())
            found.append(np.diff(times) * 1e3)
        emitted, printed, compiled = np.min(found, axis=0)
        print(f"  {label:24}{emitted:8.2f}{printed:8.2f}{compiled:8.2f}")


SECTIONS: dict[str, Callable[[], None]] = {
    "network": bench_network,
    "layers": bench_layers,
    "pooling": bench_pooling,
    "compile": bench_compile,
}


if __name__ == "__main__":
    for section in sys.argv[1:] or SECTIONS:
        SECTIONS[section]()
