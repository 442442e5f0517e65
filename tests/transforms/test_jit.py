"""`jit`: signatures, static and donated arguments, ahead-of-time use."""

from __future__ import annotations

import dataclasses
import functools
import gc
import threading
import weakref

import numpy as np
import pytest

import rtfunc as rf
import rtfunc.numpy as rnp
from rtfunc.core import errors
from rtfunc.core.trace import context
from tests.messages import raises


class Counted:
    """A function that counts how often it is traced."""

    def __init__(self, function):
        functools.update_wrapper(self, function)
        self.function = function
        self.count = 0

    def __call__(self, *args, **kwargs):
        self.count += 1
        return self.function(*args, **kwargs)


def test_pytrees_in_and_out(backend):
    f = rf.jit(lambda p, *rest, **options: {"a": p["x"] + rest[0], "b": (options["z"], None)})
    out = f({"x": np.ones(2)}, 1.0, z=np.arange(3))
    np.testing.assert_array_equal(out["a"], [2.0, 2.0])
    np.testing.assert_array_equal(out["b"][0], [0, 1, 2])
    assert out["b"][1] is None


def test_traced_once_per_signature(backend):
    f = Counted(lambda x, y=1.0: x * y)
    g = rf.jit(f)
    for x in (1.0, 2.0, 3):
        g(x)
    assert f.count == 2  # weak float32, weak int32
    for x in (np.float32(1), rnp.float32(5), np.ones((), "float32")):
        g(x)
    assert f.count == 3  # strong float32
    g(np.ones(3)), g(np.zeros(3))
    assert f.count == 4
    g(np.ones(3), 2.0), g(np.ones(3), y=2.0)
    assert f.count == 6
    g.clear_cache()
    g(1.0)
    assert f.count == 7


def test_weak_types_belong_to_the_signature(backend):
    f = rf.jit(lambda x: x + np.ones(2, "float16"))
    assert f(1.0).dtype == np.float16
    assert f(np.float32(1)).dtype == np.float32
    assert f(1.0).dtype == np.float16
    assert rf.jit(lambda x: x)(1.0).weak_type
    assert not rf.jit(lambda x: x)(np.float32(1)).weak_type


def test_static_arguments_by_number_and_by_name(backend):
    f = Counted(lambda x, n=2, *, mode="a": x * n if mode == "a" else x + n)

    @functools.wraps(f)
    def named(x, n=2, *, mode="a"):
        return f(x, n, mode=mode)

    del named.__wrapped__
    for g in (
        rf.jit(named, static_argnums=1, static_argnames="mode"),
        rf.jit(named, static_argnames=("n", "mode")),
        rf.jit(named, static_argnums=[1], static_argnames=["mode"]),
        rf.jit(named, static_argnums=-1, static_argnames="mode"),
    ):
        f.count = 0
        assert float(g(3.0)) == 6.0
        assert float(g(3.0, 5)) == 15.0
        assert float(g(3.0, n=5)) == 15.0
        assert float(g(3.0, mode="b")) == 5.0
        assert float(g(3.0, 7, mode="b")) == 10.0
        before = f.count
        assert float(g(4.0, 7, mode="b")) == 11.0
        assert float(g(4.0, n=5)) == 20.0
        assert f.count == before


def test_static_values_that_are_equal_but_not_the_same():
    f = rf.jit(lambda x, n: x * 0 + len(repr(n)), static_argnums=1)
    for value in (1, 1.0, True, (1,), (1.0,), (True,), 0.0, -0.0, "1"):
        assert float(f(0.0, value)) == len(repr(value)), value


@dataclasses.dataclass(frozen=True)
class Options:
    scale: float


def test_static_objects():
    f = Counted(lambda options, x: x * options.scale)
    g = rf.jit(f, static_argnums=0)
    assert float(g(Options(2.0), 3.0)) == 6.0
    assert float(g(Options(2.0), 3.0)) == 6.0
    assert float(g(Options(4.0), 3.0)) == 12.0
    assert f.count == 2


def test_decorators():
    @rf.jit
    def plain(x):
        """Doc."""
        return x + 1

    @rf.jit(static_argnums=1)
    def called(x, n):
        return x * n

    @functools.partial(rf.jit, static_argnames="n")
    def partial(x, n):
        return x * n

    assert (float(plain(1.0)), float(called(2.0, 3)), float(partial(2.0, n=3))) == (2.0, 6.0, 6.0)
    assert plain.__doc__ == "Doc."
    assert plain.__name__ == "plain"
    assert plain.__wrapped__(1.0) == 2.0
    assert repr(plain) == "jit(plain)"


class Model:
    def __init__(self, scale):
        self.scale = scale

    @functools.partial(rf.jit, static_argnums=0)
    def scaled(self, x):
        return x * self.scale

    @rf.jit
    def traced(self, x):
        return x


def test_methods():
    assert float(Model(2.0).scaled(3.0)) == 6.0
    assert float(Model(4.0).scaled(3.0)) == 12.0
    model = Model(5.0)
    assert float(rf.jit(model.scaled)(3.0)) == 15.0
    with raises(errors.DtypeError, "argument 0 is of type Model", "static"):
        model.traced(1.0)


def test_partials_and_callables():
    f = functools.partial(lambda x, n, y=0.0: x * n + y, n=3)
    assert float(rf.jit(f)(2.0, y=1.0)) == 7.0
    assert float(rf.jit(rnp.sin)(0.0)) == 0.0
    assert float(rf.jit(Counted(lambda x: x))(4.0)) == 4.0


# Closures


def test_captured_arrays(backend):
    table = np.arange(3.0)
    f = rf.jit(lambda i: table[i] + rnp.asarray(table)[i])
    with pytest.raises(errors.TracerError):
        f(1)  # NumPy's array cannot be indexed by a tracer
    f = rf.jit(lambda x: x + table)
    np.testing.assert_array_equal(f(1.0), [1.0, 2.0, 3.0])
    table[:] = 9.0
    np.testing.assert_array_equal(f(1.0), [1.0, 2.0, 3.0])  # a constant of the program


def test_mutable_state_is_read_while_tracing():
    state = {"scale": 2.0}
    f = rf.jit(lambda x: x * state["scale"])
    assert float(f(1.0)) == 2.0
    state["scale"] = 3.0
    assert float(f(1.0)) == 2.0
    assert float(f(1)) == 3.0  # another signature


def test_captured_tracers_of_outer_transforms(backend):
    def f(x, y):
        inner = rf.jit(lambda z: x * z + y)
        return inner(2.0) * inner(3.0)

    expected = rf.grad(lambda x, y: (2 * x + y) * (3 * x + y), (0, 1))(1.0, 5.0)
    assert [float(g) for g in rf.grad(f, (0, 1))(1.0, 5.0)] == [float(e) for e in expected]
    assert [float(g) for g in rf.jit(rf.grad(f, (0, 1)))(1.0, 5.0)] == [float(e) for e in expected]
    np.testing.assert_array_equal(rf.vmap(f)(np.ones(2), np.arange(2.0)), [6.0, 12.0])
    assert float(rf.jvp(lambda x: f(x, 0.0), (1.0,), (1.0,))[1]) == 12.0


def test_a_shared_function_over_changing_tracers():
    """The same jitted function, traced under one transform, called under the next."""
    box = []
    inner = rf.jit(lambda z: box[-1] * z)

    def f(x):
        box.append(x)
        return inner(2.0)

    for _ in range(2):
        assert float(rf.grad(f)(3.0)) == 2.0
        np.testing.assert_array_equal(rf.vmap(f)(np.arange(2.0)), [0.0, 2.0])


def test_inside_jit(backend):
    f = Counted(lambda x: x * 2)
    g = rf.jit(f)
    h = rf.jit(lambda x: g(x) + g(x + 1) + rf.jit(g)(x))
    assert float(h(1.0)) == 8.0
    assert f.count == 1


def test_python_side_effects_happen_while_tracing():
    seen = []
    f = rf.jit(lambda x: (seen.append("traced"), x)[1])
    f(1.0), f(2.0)
    assert seen == ["traced"]


# Recursion, threads, exceptions


def test_a_function_that_calls_itself_through_a_callback(backend):
    def below(n):
        return np.float32(0.0 if n <= 0 else f(np.float32(n) - 1) + n)

    f = rf.jit(lambda n: rf.pure_callback(below, rf.ShapeDtypeStruct((), "float32"), n) + 0.0)
    assert float(f(np.float32(5))) == 15.0


def test_threads_share_a_function(backend):
    f = rf.jit(lambda x, n: (rnp.sin(x) @ x.T).sum() * n, static_argnums=1)
    x = np.random.default_rng(0).normal(size=(20, 20))
    expected = [float((np.sin(x) @ x.T).sum() * n) for n in range(3)]
    wrong, errors_seen = [], []

    def work():
        try:
            for i in range(30):
                got = float(f(x, i % 3))
                # float64: another order of summation over 400 terms that cancel.
                if abs(got - expected[i % 3]) > 1e-9 * (1 + abs(expected[i % 3])):
                    wrong.append(got)
                if float(rf.grad(lambda y: f(y, 1))(x)[0, 0]) != float(
                    rf.grad(lambda y: f(y, 1))(x)[0, 0]
                ):
                    wrong.append("grad")
        except BaseException as error:
            errors_seen.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert not wrong
    assert not errors_seen


def test_tracing_in_one_thread_is_unseen_in_others():
    seen = []

    def other():
        seen.append((context.trace, float(rf.jit(lambda x: x + 1)(1.0))))

    def f(x):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        return x

    rf.jit(f)(1.0)
    assert seen == [(None, 2.0)]


def test_after_an_exception_the_function_can_be_called_again(backend):
    fail = [True]

    def f(x):
        if fail[0]:
            raise KeyboardInterrupt
        return x + 1

    g = rf.jit(f)
    with pytest.raises(KeyboardInterrupt):
        g(1.0)
    fail[0] = False
    assert float(g(1.0)) == 2.0


# Memory


def test_nothing_stays_alive():
    def used():
        big = rnp.ones(1000)
        f = rf.jit(lambda x: x + big)
        f(1.0)
        rf.grad(lambda x: f(x).sum())(1.0)
        return weakref.ref(f), weakref.ref(big), weakref.ref(next(iter(f._cache.values())).graph)

    gone = used()
    gc.collect()
    assert [g() for g in gone] == [None] * 3


def test_signatures_do_not_pile_up():
    f = rf.jit(lambda x: x * 2)
    g = rf.grad(lambda x: f(x) * f(x))
    g(1.0)
    graph = next(iter(f._cache.values())).graph
    count = len(f._cache), len(graph.derived)
    for x in range(5):
        g(float(x)), rf.vmap(g)(np.ones(2, "float32"))
    assert len(f._cache) <= count[0] + 1  # the vmapped argument is not weak
    assert len(graph.derived) <= count[1] + 1


def test_a_long_program(backend):
    def f(x):
        for _ in range(100):
            x = x * 1.001 + 0.5
        return x

    assert float(rf.jit(f)(np.float64(1))) == pytest.approx(float(f(np.float64(1))), rel=1e-12)


def test_a_long_program_is_compiled():
    def f(x):
        for _ in range(1000):
            x = x * 1.001 + 0.5
        return x

    x = np.float64(1)
    assert float(rf.jit(f, backend="native")(x)) == pytest.approx(float(f(x)), rel=1e-12)


def test_ten_thousand_equations_on_the_reference():
    def f(x):
        for _ in range(5000):
            x = x * 1.0001 + 0.5
        return x

    g = rf.jit(rf.value_and_grad(f), backend="reference")
    value, slope = g(np.float64(1.0))
    assert float(value) == pytest.approx(f(1.0), rel=1e-12)
    assert float(slope) == pytest.approx(1.0001**5000, rel=1e-9)


def test_results_are_not_the_users_memory(backend):
    x = np.ones(3)
    same, turned = rf.jit(lambda x: (x, x[::-1]))(x)
    x[:] = 5.0
    np.testing.assert_array_equal(same, [1.0] * 3)
    np.testing.assert_array_equal(turned, [1.0] * 3)


# Donation


def test_donated_arrays_are_gone(backend):
    f = rf.jit(lambda p, x: {"w": p["w"] + x}, donate_argnums=0)
    p = {"w": rnp.ones(3)}
    out = f(p, 1.0)
    np.testing.assert_array_equal(out["w"], [2.0] * 3)
    with raises(
        errors.DonatedArrayError, "float32[3]", "donated to jit(<lambda>)", builtin=RuntimeError
    ):
        p["w"] + 1
    with raises(errors.DonatedArrayError, "Use the call's result"):
        np.asarray(p["w"])
    with raises(errors.DonatedArrayError, "float32[3]"):
        f(p, 1.0)
    np.testing.assert_array_equal(f(out, 1.0)["w"], [3.0] * 3)


def test_donation_by_name_and_of_numpy_arrays(backend):
    @rf.jit(donate_argnames="state")
    def step(x, state):
        return state * x

    state = rnp.ones(2)
    step(2.0, state)
    with pytest.raises(errors.DonatedArrayError):
        repr(state)
    theirs = np.ones(2)
    np.testing.assert_array_equal(step(2.0, state=theirs), [2.0, 2.0])
    np.testing.assert_array_equal(theirs, [1.0, 1.0])


def test_a_donated_argument_that_is_returned(backend):
    x = rnp.arange(3.0)
    y = rf.jit(lambda x: x, donate_argnums=0)(x)
    np.testing.assert_array_equal(y, [0.0, 1.0, 2.0])


def test_results_are_written_over_donated_arguments():
    @rf.jit(donate_argnums=(0, 1))
    def step(params, moments, gradients):
        moments = rf.tree.map(lambda m, g: 0.9 * m + g, moments, gradients)
        return rf.tree.map(lambda p, m: p - 0.1 * m, params, moments), moments

    def addresses(tree):
        return [leaf._buffer.ctypes.data for leaf in rf.tree.leaves(tree)]

    params = {"w": rnp.ones((300, 300)), "b": rnp.zeros(300)}
    moments, gradients = (rf.tree.map(lambda x: x * 0 + n, params) for n in (0.0, 1.0))
    places = addresses((params, moments))
    for _ in range(3):
        params, moments = step(params, moments, gradients)
        assert addresses((params, moments)) == places
    # Three steps of momentum 0.9 with rate 0.1 and gradients of 1: 0.1 (1 + 1.9 + 2.71).
    np.testing.assert_allclose(params["w"], 1 - 0.561, rtol=1e-6)
    compiled = step.lower(params, moments, gradients).compile()
    assert compiled.memory_analysis().reused == compiled.memory_analysis().outputs
    new = compiled(params, moments, gradients)
    assert addresses(new) == places
    with pytest.raises(errors.DonatedArrayError):
        np.asarray(params["w"])


def test_an_array_that_is_donated_and_kept_in_the_same_call(backend):
    f = rf.jit(lambda p, q, *, x: {"r": p["w"] + q + x}, donate_argnums=0)
    a = rnp.ones(3)
    message = "argument 0['w'], of type float32[3], is donated, and the same Array is argument "
    with raises(errors.ArgumentError, message + "1, which is not", "pass a copy"):
        f({"w": a}, a, x=1.0)
    with raises(errors.ArgumentError, message + "'x', which is not"):
        f({"w": a}, 1.0, x=a)
    g = rf.jit(lambda p, q: p - q, donate_argnums=(0, 1))
    np.testing.assert_array_equal(g(a, a), [0.0] * 3)  # nobody is left to see it
    with pytest.raises(errors.DonatedArrayError):
        np.asarray(a)


def test_donated_memory_that_others_see_is_not_written_to():
    f = rf.jit(lambda x: x * 2, donate_argnums=0)
    for make in (
        np.asarray,
        lambda x: memoryview(np.asarray(x)),
        np.from_dlpack,
    ):
        x = f(rnp.ones(8))
        seen = make(x)
        y = f(x)
        np.testing.assert_array_equal(np.asarray(seen), [2.0] * 8)
        np.testing.assert_array_equal(y, [4.0] * 8)
    x = rnp.ones(8)
    turned = x.reshape(2, 4)  # an Array that may share memory
    f(x)
    np.testing.assert_array_equal(turned, np.ones((2, 4)))


def test_donated_arguments_come_back_where_there_is_no_memory():
    f = rf.jit(lambda x: (x + 1, rnp.broadcast_to(x, (2**31, 2**31, 3)) + 1), donate_argnums=0)
    x = rnp.arange(3.0)
    for _ in range(2):
        with pytest.raises(MemoryError):
            f(x)
        np.testing.assert_array_equal(x, [0.0, 1.0, 2.0])


def test_donated_arguments_that_are_views_are_laid_out():
    f = rf.jit(lambda x: x + 1, donate_argnums=0)
    weights = rnp.arange(6.0).reshape(2, 3)
    for _ in range(2):
        np.testing.assert_array_equal(f(weights.T), np.arange(6.0).reshape(2, 3).T + 1)
    np.testing.assert_array_equal(weights, np.arange(6.0).reshape(2, 3))


# Ahead of time


def test_lower_and_compile(backend):
    f = Counted(lambda x, n=2: x * n)
    g = rf.jit(lambda x, n=2: f(x, n), static_argnums=1)
    lowered = g.lower(rf.ShapeDtypeStruct((3,), "float32"), 4)
    assert lowered.graph.in_avals == (rf.ShapeDtypeStruct((3,), "float32"),)
    assert "mul" in lowered.as_text()
    compiled = lowered.compile()
    np.testing.assert_array_equal(compiled(np.ones(3, "float32"), 4), [4.0] * 3)
    np.testing.assert_array_equal(g(np.ones(3, "float32"), 4), [4.0] * 3)
    assert f.count == 1
    with raises(errors.TransformError, "compiled for arguments ['float32[3]']", "float32[2]"):
        compiled(np.ones(2, "float32"), 4)
    with raises(errors.TransformError, "static arguments {1: 4}", "{1: 5}"):
        compiled(np.ones(3, "float32"), 5)
    with raises(errors.TransformError, "no transform sees into"):
        rf.grad(lambda x: compiled(x, 4).sum())(np.ones(3, "float32"))


def test_trace_and_eval_shape():
    f = rf.jit(lambda x, y: {"s": x @ y})
    graph = f.trace(np.ones((2, 3)), rf.ShapeDtypeStruct((3,), "float64"))
    assert isinstance(graph, rf.Graph)
    graph.check()
    out = f.eval_shape(np.ones((2, 3)), np.ones(3))
    assert (out["s"].shape, out["s"].dtype) == ((2,), np.float64)
    with raises(errors.DtypeError, "argument 0 is of type str", "ShapeDtypeStruct"):
        f.lower("a", 1.0)


def test_the_traced_graph_is_optimised_and_closed():
    table = rnp.arange(3.0)
    graph = rf.jit(lambda x: (x + table) + 0 * rnp.sin(x) * 0 + (x + table)).trace(1.0)
    graph.check()
    assert len(graph.constants) == 1
    assert [str(a) for a in graph.in_avals] == ["float32[]*"]


@pytest.mark.oracle
def test_as_jax_counts():
    """The same calls lead to the same number of traces as in JAX."""
    jax = pytest.importorskip("jax")
    counts = []
    for jit in (rf.jit, jax.jit):
        f = Counted(lambda x, *, n=1: x * n)
        g = jit(f, static_argnames="n")
        for x in (1.0, 2.0, np.float32(1), np.ones(3, "f"), np.ones(3, "f"), 1, True):
            g(x), g(x, n=2), g(x, n=3)
        counts.append(f.count)
    assert counts[0] == counts[1]


def test_native_programs_show_their_stages_and_costs():
    compiled = (
        rf.jit(lambda x: rnp.sum(rnp.exp(x) * 2.0, axis=1)).lower(np.ones((8, 4), "f4")).compile()
    )
    lowered = compiled._lowered
    assert "exp" in lowered.as_text("graph")
    assert "reduce_sum" in lowered.as_text("kernels")
    assert "define" in lowered.as_text("llvm")
    assert "ret" in lowered.as_text("asm")
    memory = compiled.memory_analysis()
    assert (memory.arguments, memory.outputs) == (8 * 4 * 4, 8 * 4)
    cost = compiled.cost_analysis()
    assert cost.flops >= 8 * 4 * 2
    assert cost.bytes == memory.arguments + memory.outputs
    assert compiled.compile_stats().steps == 1


def test_stages_that_do_not_exist_are_refused():
    lowered = rf.jit(lambda x: x + 1, backend="reference").lower(1.0)
    with pytest.raises(errors.ArgumentError, match="'asm' or 'cuda', not 'c'"):
        lowered.as_text("c")
    with pytest.raises(errors.UnsupportedError, match="which this backend does not make"):
        lowered.as_text("llvm")
    with pytest.raises(errors.UnsupportedError, match="memory_analysis"):
        lowered.compile().memory_analysis()


def test_structures_that_take_turns_are_told_apart():
    f = rf.jit(lambda tree: rf.tree.map(lambda x: x + 1, tree))
    x = rnp.ones(2)
    trees = [[x, x], [x, [x, x]], [x, x], [x, (x, x)], {"a": x}, [x, None], [[x], x], [x, 2.0], []]
    for tree in (*trees, *reversed(trees)):
        expected = rf.tree.map(lambda x: x + 1, tree)
        assert rf.tree.structure(f(tree)) == rf.tree.structure(expected)
        for found, value in zip(rf.tree.leaves(f(tree)), rf.tree.leaves(expected)):
            np.testing.assert_array_equal(found, value)


def test_arrays_that_are_views_are_laid_out_once():
    """A transposed or broadcast argument is copied at its first call, not at each."""
    weights = rnp.arange(6.0).reshape(2, 3)
    arguments = [weights.T, rnp.zeros((3, 2)), weights.T[::-1], weights.astype("float64")[:, ::2].T]
    f = rf.jit(lambda xs: [x * 2 + 1 for x in xs])
    expected = [np.asarray(x) * 2 + 1 for x in arguments]
    for _ in range(3):
        for out, want in zip(f(arguments), expected):
            np.testing.assert_array_equal(out, want)
        assert all(np.asarray(x).flags.c_contiguous for x in arguments)
    np.testing.assert_array_equal(weights, np.arange(6.0).reshape(2, 3))
