"""CUDA programs compute what the eager kernels compute: here on the CPU, without a GPU.

The printed code is compiled by g++ with a header that runs the threads of blocks in turn. That nvcc takes it
as well is tested where there is one; on a GPU tests/gpu compares again.
"""

from __future__ import annotations

import shutil
import subprocess
import warnings

import numpy as np
import pytest

import rtfunc as rf
import rtfunc.numpy as rnp
from rtfunc import lax, nn
from rtfunc.compiler.classify import elementwise_cost
from rtfunc.compiler.cuda.executable import CudaExecutable
from rtfunc.compiler.cuda.prelude import PRELUDE
from rtfunc.compiler.cuda.replay import copying_source
from rtfunc.compiler.cuda.scalars import printers
from rtfunc.core.array import Array
from rtfunc.core.device import cpu
from rtfunc.core.primitive import primitives
from rtfunc.core.staging import trace_to_graph
from rtfunc.scipy import special
from tests.compiler.cuda.host_runtime import host_executables
from tests.gpu.comparison import assert_close
from tests.ops import walk

SAMPLES = walk.samples()

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="g++ is not installed")

_generator = np.random.default_rng(0)


def _uniform(*shape):
    return _generator.uniform(-2, 2, size=shape).astype("float32")


def _softmax(x):
    e = rnp.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def _layer_norm(x):
    centred = x - x.mean(-1, keepdims=True)
    return centred / rnp.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)


#: Programs that take the printer through all its forms: rows of all lengths, columns, chunks, passes.
PROGRAMS = {
    "elementwise": (
        lambda x: rnp.tanh(x) * rf.lax.logistic(x) + rnp.exp(-x * x),
        [_uniform(70, 9)],
    ),
    "transposed": (lambda x, y: x.T + y, [_uniform(7, 9), _uniform(9, 7)]),
    "broadcast": (lambda x, y: x[:, None, :] * y[None], [_uniform(3, 5), _uniform(4, 5)]),
    "many points": (lambda x: x * 2 + 1, [_uniform(1200, 1000)]),
    "softmax of short rows": (_softmax, [_uniform(50, 3)]),
    "softmax of rows": (_softmax, [_uniform(70, 77)]),
    "softmax of long rows": (_softmax, [_uniform(5, 1500)]),
    "layer norm": (_layer_norm, [_uniform(33, 64)]),
    "sum of all": (lambda x: x.sum(), [_uniform(300, 171)]),
    "sum of few": (lambda x: x.sum(), [_uniform(3)]),
    "sums of columns": (lambda x: (x.sum(0), x.max(0)), [_uniform(40, 50)]),
    "sums of long columns": (lambda x: (x.sum(0), (x * x).mean(0)), [_uniform(3000, 37)]),
    "sums of channels": (lambda x: (x.mean((0, 2, 3)), x.var((0, 2, 3))), [_uniform(8, 5, 16, 16)]),
    "softmax of columns": (lambda x: _softmax(x.T).T, [_uniform(21, 40)]),
    "sum beside its terms": (lambda x: (rnp.exp(x), rnp.exp(x).sum()), [_uniform(100, 99)]),
    "reductions of flags": (
        lambda x: ((x > 1).any(1), (x > -1).all(0), (x > 0).any()),
        [_uniform(40, 300)],
    ),
    "extrema": (lambda x: (x.max(), x.min(1), x.prod(1)), [_uniform(9, 2000)]),
    "not a number": (
        lambda x: (x.max(), x.max(0), x.max(1)),
        [np.where(_uniform(40, 300) > 1.9, np.nan, 1).astype("float32")],
    ),
    "halves": (
        lambda x: (_softmax(x), x.sum(), x.astype("bfloat16") * 3),
        [_uniform(50, 30).astype("float16")],
    ),
    "bytes": (
        lambda x: (x.sum(1), x.max(), x.min(0)),
        [_generator.integers(-9, 9, (40, 50)).astype("int8")],
    ),
    "wide integers": (
        lambda x: (x.sum(), x.max(1)),
        [_generator.integers(-(2**40), 2**40, (40, 5000))],
    ),
    "gathered": (lambda x, i: x[i] * 2, [_uniform(30, 5), _generator.integers(-30, 30, (7,))]),
    "joined": (lambda x, y: rnp.concatenate([x * 2, y.T, x[:2]]), [_uniform(5, 4), _uniform(4, 6)]),
    "shapes": (lambda x: (x.reshape(4, 10).sum(1) + 1).reshape(2, 2), [_uniform(8, 5)]),
    "products": (lambda x, y: rnp.tanh(x @ y.T + 1) @ y, [_uniform(8, 5), _uniform(9, 5)]),
    "products of all layouts": (
        lambda x, y: (
            x @ x.T,
            x.T @ x,
            x.T @ y.T,
            y @ x,
            x @ y,
            x[0] @ y,
            y @ x[:, 0],
            x[0] @ y[:, 0],
            x[:, :1] @ y[:1],
            x[:, 1:3] @ y[1:3],
        ),
        [_uniform(5, 4), _uniform(4, 5)],
    ),
    "products of batches": (
        lambda x, y: (
            x @ y,
            x.swapaxes(0, 1) @ y[:1],
            rnp.einsum("bij,bkj->bik", x, x),
            rnp.einsum("bij,jk->bik", x, y[0]),
        ),
        [_uniform(3, 3, 4), _uniform(3, 4, 6)],
    ),
    "strided products": (
        lambda x: rnp.einsum(
            "bhik,bhjk->bhij",
            x.reshape(2, 3, 4, 2).swapaxes(1, 2),
            x.reshape(2, 3, 4, 2).swapaxes(1, 2),
        ),
        [_uniform(2, 3, 8)],
    ),
    "convolution": (
        rf.grad(lambda w, x: (nn.max_pool2d(nn.relu(nn.conv2d(x, w, padding=1)), 2) ** 2).sum()),
        [_uniform(4, 3, 3, 3), _uniform(2, 3, 6, 6)],
    ),
    "special functions": (
        lambda x: (
            special.gammaln(x),
            special.digamma(x),
            special.i0e(x * 9),
            special.i1e(x * 9),
            special.digamma(x * 10),
        ),
        [np.float64(_uniform(40))],
    ),
    "complex": (lambda x: rnp.abs(rnp.exp(1j * x) + x) + rnp.fft.fft(x).real, [_uniform(6, 8)]),
    "random": (lambda x: rf.random.uniform(rf.random.key(x.astype(int)), (7, 5)), [np.float32(3)]),
    "sorted": (lambda x: rnp.sort(x + 1) * 2, [_uniform(6, 8)]),
    "updated": (lambda x: (x * 2).at[1].add(3.0).at[0].set(x[2]), [_uniform(6, 8)]),
    "scan": (
        lambda x: lax.scan(lambda c, r: (c * 0.5 + r, (rnp.sin(c), c.sum())), x[0], x),
        [_uniform(6, 8)],
    ),
    "reversed scan": (
        lambda x: lax.scan(lambda c, r: (c + r, c), x[0], x, reverse=True),
        [_uniform(6, 8)],
    ),
    "while": (
        lambda x: lax.while_loop(lambda c: c[0].sum() < 99, lambda c: (c[0] + 1, c[1] * 2), (x, x)),
        [_uniform(3, 4)],
    ),
    "cond": (lambda x: lax.cond(x.sum() > 0, rnp.sin, lambda a: a @ a.T @ a, x), [_uniform(3, 4)]),
    "gradient of an attention": (
        rf.grad(lambda x: (_softmax(x @ x.T / 3) @ _layer_norm(x)).sum()),
        [_uniform(17, 40)],
    ),
    "gradient of a scan": (
        rf.grad(lambda x: lax.scan(lambda c, r: (rnp.tanh(c + r), c.sum()), x[0], x)[1].sum()),
        [_uniform(6, 8)],
    ),
    "outputs that are inputs": (
        lambda x: (x, x, x.T, x.reshape(-1), rnp.zeros(3)),
        [_uniform(3, 4)],
    ),
    "nothing": (lambda x: (x[:0] + 1, x[:0].sum(0)), [_uniform(3, 4)]),
}


def _graph(function, args):
    def flat(*xs):
        return rf.tree.leaves(function(*xs))

    graph, captured = trace_to_graph(flat, [a.aval for a in args])
    return graph, captured, [np.asarray(o) for o in flat(*args)]


def test_every_elementwise_operation_has_a_printer():
    assert set(elementwise_cost) <= set(printers)


@needs_compiler
def test_programs(tmp_path):
    cases = []
    for name, (function, values) in PROGRAMS.items():
        args = [rnp.asarray(v) for v in values]
        cases.append((name, args, *_graph(function, args)))
    executables = host_executables([graph for _, _, graph, *_ in cases], tmp_path)
    for (name, args, _, captured, expected), executable in zip(cases, executables):
        found = executable([*captured, *args])
        assert len(found) == len(expected)
        for i, (a, b) in enumerate(zip(found, expected)):
            assert_close(a, b, f"output {i} of {name!r}")


@needs_compiler
def test_replays(tmp_path):
    def step(w, x):
        gradient = rf.grad(lambda w: (rnp.tanh(rnp.tanh(x @ w) @ w) ** 2).sum())(w)
        return w - gradient, gradient.sum()

    w, x = rnp.asarray(_uniform(5, 5)), rnp.asarray(_uniform(9, 5))
    graph, captured, _ = _graph(step, [w, x])
    (executable,) = host_executables([graph], tmp_path)
    for call in range(6):
        expected = step(w, x)
        found = executable([*captured, w, x])
        assert_close(found, list(expected), f"call {call}")
        assert (executable._replay is not None) == (call >= 2)
        w = found[0]
    first, second = executable([*captured, w, x]), executable([*captured, w * 2, x])
    assert_close(first, list(step(w, x)), "results outlive the next call")
    assert_close(second, list(step(w * 2, x)))


@needs_compiler
def test_every_primitive_on_its_samples(tmp_path):
    cases = []
    for name, items in sorted(SAMPLES.items()):
        for i, sample in enumerate(items):
            for dtype in sample.dtypes:
                with warnings.catch_warnings(), np.errstate(all="ignore"):
                    warnings.simplefilter("ignore")
                    args = walk.operands(sample, dtype)
                function = walk.function_of(primitives[name], sample.params)
                try:
                    cases.append((f"{name}-{i} {dtype}", args, *_graph(function, args)))
                except TypeError:
                    continue  # a dtype that this primitive does not take
    executables = host_executables([graph for _, _, graph, *_ in cases], tmp_path)
    for (name, args, _, captured, expected), executable in zip(cases, executables):
        for a, b in zip(executable([*captured, *args]), expected, strict=True):
            assert_close(a, b, name)


@pytest.mark.skipif(shutil.which("nvcc") is None, reason="nvcc is not installed")
def test_nvcc_compiles_the_code(tmp_path):
    names = [
        "elementwise",
        "softmax of rows",
        "softmax of long rows",
        "sums of long columns",
        "halves",
        "special functions",
        "bytes",
    ]
    sources = []
    for number, name in enumerate(names):
        function, values = PROGRAMS[name]
        graph, *_ = _graph(function, [rnp.asarray(v) for v in values])
        text = "\n".join(CudaExecutable(graph, cpu)._context.functions.sources)
        sources.append(text.replace(" kernel_", f" program_{number}_"))
    code = tmp_path / "kernels.cu"
    copies = copying_source([16, 7, 1 << 20], "copy_all")
    copies = "namespace copies {" + copies.replace('extern "C" ', "") + "}\n"
    code.write_text("\n".join([PRELUDE, *sources, copies]))
    command = ["nvcc", "-std=c++17", "-arch=sm_80", "--fmad=false", "-ptx", str(code)]
    done = subprocess.run(
        [*command, "-o", str(tmp_path / "kernels.ptx")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_the_code_is_readable():
    def softmax(x: Array) -> Array:
        e = rnp.exp(x - rnp.max(x, axis=-1, keepdims=True))
        return e / rnp.sum(e, axis=-1, keepdims=True)

    graph, *_ = _graph(softmax, [rnp.ones((128, 10))])
    (source,) = CudaExecutable(graph, cpu)._context.functions.sources
    assert "(i0<128, i1<10*): reduce_max, sub, exp, reduce_sum, div" in source
    assert " kernel_0(\n    const float* __restrict__ v0,\n    float* __restrict__ v1)" in source
    assert "= expf(n" in source
