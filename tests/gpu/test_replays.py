"""Programs of many launches are recorded as a CUDA graph after some calls; nothing else changes."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import rtfunc as rf
import rtfunc.numpy as rnp
from rtfunc import lax
from rtfunc.core.device import Device
from rtfunc.core.execution import executor_of
from tests.gpu.comparison import assert_close, on_gpu

W = np.random.default_rng(0).normal(size=(64, 64)).astype("float32") / 8
X = np.random.default_rng(1).normal(size=(32, 64)).astype("float32")


def step(w, x):
    loss, gradient = rf.value_and_grad(lambda w: (rnp.tanh(rnp.tanh(x @ w) @ w) ** 2).mean())(w)
    return w - 0.1 * gradient, loss


def recurrent(w, x):
    return lax.scan(lambda h, r: (rnp.tanh(h @ w + r), h.sum()), x[0], x)


@pytest.mark.parametrize("function", [step, recurrent])
def test_replays_compute_what_calls_do(function):
    w, x = rnp.asarray(W), rnp.asarray(X)
    compiled = rf.jit(function)
    placed = on_gpu((w, x))
    for call in range(6):
        factor = np.float32(1 + call / 8)  # other inputs than those that were recorded
        found = compiled(placed[0] * factor, placed[1])
        assert_close(found, function(w * factor, x), f"call {call}", factor=20)
    graph = compiled.lower(*placed)._entry.graph
    assert executor_of(graph, "native", Device("gpu"))._replay is not None


def test_results_outlive_the_next_call():
    compiled, (w, x) = rf.jit(step), on_gpu((rnp.asarray(W), rnp.asarray(X)))
    results = [compiled(w * i, x) for i in range(1, 8)]
    for i, result in enumerate(results, 1):
        assert_close(result, step(w * i, x), factor=20)


def test_other_streams_and_threads():
    cupy = pytest.importorskip("cupy")
    compiled, (w, x) = rf.jit(step), on_gpu((rnp.asarray(W), rnp.asarray(X)))
    expected = [step(w * i, x) for i in range(8)]
    for i in range(4):
        compiled(w * i, x)
    cupy.cuda.get_current_stream().synchronize()
    found: dict[int, object] = {}

    def work(i):
        with cupy.cuda.Stream(non_blocking=True) as stream:
            found[i] = [compiled(w * i, x) for _ in range(5)][-1]
            stream.synchronize()

    scaled = [w * i for i in range(8)]
    rf.block_until_ready(scaled)
    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i in range(8):
        assert_close(found[i], expected[i], f"thread {i}", factor=20)


def test_inputs_that_are_views():
    compiled, x = rf.jit(step), on_gpu(rnp.asarray(X))
    w = on_gpu(rnp.asarray(np.arange(65 * 64, dtype="float32").reshape(65, 64) / 9999))
    for _ in range(5):
        for part in (w[1:], w[:64].T):
            assert_close(compiled(part, x), step(part, x), factor=20)
