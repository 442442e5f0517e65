"""Bad input: each mistake raises the documented class, with the place, the shapes and what to do."""

from __future__ import annotations

import importlib.util
import inspect
import math
import re
from pathlib import Path

import numpy as np
import pytest

import rtfunc as rf
import rtfunc.numpy as rnp
from rtfunc import lax
from rtfunc.core import dtypes, errors
from rtfunc.core.trace import context
from tests.messages import raises

FAMILY = [
    cls
    for cls in vars(errors).values()
    if inspect.isclass(cls) and issubclass(cls, errors.RtfuncError)
]


@pytest.mark.parametrize("cls", FAMILY, ids=lambda cls: cls.__name__)
def test_the_family(cls):
    builtins = [b for b in cls.__mro__ if b.__module__ == "builtins"]
    assert cls is errors.RtfuncError or len(builtins) > 3  # more than Exception and its bases
    assert cls.__doc__


def test_every_class_is_documented():
    text = (Path(__file__).parents[2] / "docs" / "errors.md").read_text()
    headings = re.findall(r"^## `(\w+)`", text, re.MULTILINE)
    assert sorted(headings) == sorted(
        cls.__name__ for cls in FAMILY if cls is not errors.RtfuncError
    )


def test_the_documented_messages_are_those_raised():
    """The examples of docs/errors.md run, and raise what stands below them."""
    text = (Path(__file__).parents[2] / "docs" / "errors.md").read_text()
    examples = re.findall(r"```python\n(.*?)```\n+```text\n(.*?)```", text, re.DOTALL)
    assert len(examples) >= len(FAMILY) - 3  # all but the base class and two that need set-up
    for program, expected in examples:
        with pytest.raises(errors.RtfuncError) as info:
            exec(compile(program, "train.py", "exec"), {"rf": rf, "rnp": rnp, "np": np, "lax": lax})
        name = type(info.value).__name__
        assert f"{name}: {info.value}".split() == expected.split()


# Shapes, dtypes, axes


def test_shapes_that_do_not_broadcast():
    parts = ("add", "(2, 3)", "(2, 2)", "sizes 3 and 2 meet on axis -1", "x[:, None]")
    with raises(errors.ShapeError, *parts, builtin=ValueError):
        rnp.ones((2, 3)) + rnp.ones((2, 2))
    with raises(errors.ShapeError, *parts):
        rf.jit(lambda x, y: x + y)(np.ones((2, 3)), np.ones((2, 2)))


def test_shapes_that_do_not_multiply():
    parts = ("matmul", "(2, 3) and (2, 3)", "x.mT")
    with raises(errors.ShapeError, *parts, builtin=ValueError):
        rnp.ones((2, 3)) @ rnp.ones((2, 3))
    with raises(errors.ShapeError, *parts):
        rf.grad(lambda x: (x @ x).sum())(np.ones((2, 3)))


def test_an_axis_out_of_range():
    with raises(errors.AxisError, "sum: axis 2 is out of bounds", "1 axis", builtin=ValueError):
        rnp.sum(rnp.ones(3), axis=2)
    with pytest.raises(IndexError):
        rnp.sum(rnp.ones(3), axis=2)
    with raises(
        errors.AxisError, "vmap: argument 1 has shape (3,)", "no axis 1", "None in in_axes"
    ):
        rf.vmap(lambda x, y: x, in_axes=(0, 1))(np.ones((3, 3)), np.ones(3))


@pytest.mark.parametrize("other", [[1, 2], (1, 2)])
def test_a_list_beside_an_array(other):
    x = rnp.ones(2)
    parts = (f"of type {type(other).__name__}", "rtfunc.numpy.asarray")
    with raises(errors.DtypeError, "add takes arrays", *parts, builtin=TypeError):
        x + other
    with raises(errors.DtypeError, "true_divide", *parts):
        other / x
    with raises(errors.DtypeError, "equal", *parts):
        x == other  # noqa: B015
    with raises(errors.DtypeError, "sin takes arrays", *parts):
        rnp.sin(other)


def test_a_string_beside_an_array():
    x = rnp.ones(2)
    with raises(errors.DtypeError, "multiply", "type str", builtin=TypeError):
        x * "a"
    with raises(errors.DtypeError, "add", "NoneType"):
        x + None
    assert (x == "a") is False
    assert (x != None) is True  # noqa: E711


def test_other_types_get_their_turn():
    class Other:
        def __radd__(self, x):
            return "added"

        def __eq__(self, x):
            return "compared"

    assert rnp.ones(2) + Other() == "added"
    assert (rnp.ones(2) == Other()) == "compared"


def test_a_dtype_that_there_is_not():
    with raises(errors.DtypeError, "'flaot32' is not a dtype", builtin=TypeError):
        rnp.ones(2).astype("flaot32")
    with raises(errors.DtypeError, "jit: argument 0"):
        rf.jit(lambda x: x)({1, 2})


def test_dtypes_without_a_promotion():
    e4m3 = rnp.asarray(np.zeros(2, dtypes.float8_e4m3fn))
    e5m2 = rnp.asarray(np.zeros(2, dtypes.float8_e5m2))
    with raises(errors.DtypeError, "float8_e4m3fn and float8_e5m2", "astype", builtin=TypeError):
        e4m3 + e5m2


# Arrays do not change


def test_assignment():
    x = rnp.ones(3)
    with raises(errors.ImmutableArrayError, "x = x.at[i].set(v)", builtin=TypeError):
        x[0] = 1
    with raises(errors.ImmutableArrayError, "rtfunc.numpy.delete"):
        del x[0]
    with raises(errors.ImmutableArrayError, ".at[i]"):
        x[:2] += 1


def test_assignment_inside_a_transform():
    def f(x):
        x[0] = 0.0
        return x.sum()

    with raises(errors.ImmutableArrayError, "x.at[i].set(v)"):
        rf.jit(f)(np.ones(3))
    with raises(errors.ImmutableArrayError, "x.at[i].set(v)"):
        rf.grad(f)(np.ones(3))


def test_hashing():
    with raises(errors.UnhashableError, "float32[2]", "id(x)", builtin=TypeError):
        {rnp.ones(2): 1}


# Traced values


@pytest.mark.parametrize("transform", [rf.jit, lambda f: lambda x: rf.vmap(f)(np.ones(2))])
def test_a_condition_on_a_traced_value(transform):
    def f(x):
        if x > 0:
            return x
        return -x

    advice = ("as a condition", "rtfunc.lax.cond", "rtfunc.numpy.where")
    with raises(errors.TracerError, "bool[]", *advice, builtin=TypeError):
        transform(f)(1.0)
    with raises(errors.TracerError, *advice):
        transform(lambda x: x and 1.0)(1.0)
    with raises(errors.TracerError, "rtfunc.lax.while_loop"):
        transform(lambda x: 1.0 if not x else 2.0)(1.0)


@pytest.mark.parametrize("use", [int, float, complex, range, lambda n: [1, 2, 3][n]])
def test_a_traced_value_as_a_number(use):
    with raises(errors.TracerError, "int32[]", "static argument", builtin=TypeError):
        rf.jit(lambda n: n + len([use(n)]))(2)


def test_a_function_of_math_on_a_traced_value():
    with raises(errors.TracerError, "float(...)", "rtfunc.numpy.sin, not math.sin"):
        rf.jit(lambda x: math.sin(x))(1.0)


@pytest.mark.parametrize("use", [lambda n: n.item(), lambda n: n.tolist(), lambda n: f"{n:.2f}"])
def test_a_traced_value_as_a_python_value(use):
    with raises(errors.TracerError, "float32[]", "concrete value"):
        rf.jit(use)(2.0)


def test_a_traced_shape():
    for f in (rnp.zeros, lambda n: rnp.reshape(rnp.ones(4), (n, 2)), lambda n: rnp.arange(n)):
        with raises(errors.TracerError, "static", builtin=TypeError):
            rf.jit(f)(2)


def test_numpy_on_a_traced_value():
    parts = ("float32[]", "as a NumPy array", "function of rtfunc.numpy", "pure_callback")
    with raises(errors.TracerError, *parts, builtin=TypeError):
        rf.jit(lambda x: np.asarray(x))(1.0)
    with raises(errors.TracerError, *parts):
        rf.jit(lambda x: np.sin(x))(1.0)
    with raises(errors.TracerError, "rtfunc.numpy.asarray(a)[i]"):
        rf.jit(lambda i: np.arange(3)[i])(1)


def test_numpy_on_a_differentiated_value():
    parts = ("float32[]", "would lose its derivative", "rtfunc.numpy", "stop_gradient")
    with raises(errors.TracerError, *parts, builtin=TypeError):
        rf.grad(lambda x: np.sin(x))(1.0)
    with raises(errors.TracerError, *parts):
        rf.jvp(lambda x: np.sin(x), (1.0,), (1.0,))
    assert float(rf.grad(lambda x: x * np.sin(rf.stop_gradient(x)))(0.5)) == pytest.approx(
        np.sin(0.5)
    )
    with raises(errors.TracerError, "pure_callback"):  # no value there: the other advice
        rf.jit(rf.grad(lambda x: np.sin(x)))(1.0)


def test_a_traced_mask():
    with raises(errors.TracerError, "boolean mask", "rtfunc.numpy.where"):
        rf.jit(lambda x: x[x > 0])(np.ones(3))


TRANSFORMS = {
    "jit": lambda f: rf.jit(f)(1.0),
    "grad": lambda f: rf.grad(f)(1.0),
    "jvp": lambda f: rf.jvp(f, (1.0,), (1.0,)),
    "linearize": lambda f: rf.linearize(f, 1.0),
    "vmap": lambda f: rf.vmap(f)(np.ones(2, "float32")),
    "scan": lambda f: lax.scan(lambda c, _: (f(c), None), 1.0, length=2),
    "make_graph": lambda f: rf.make_graph(f)(1.0),
    "checkpoint": lambda f: rf.checkpoint(f)(1.0),
}


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_a_leaked_tracer(transform):
    saved = []

    def f(x):
        saved.append(x * 2)
        return x

    TRANSFORMS[transform](f)
    parts = ("float32[]", "after the transform", "side effect", "Return it")
    with raises(errors.LeakedTracerError, *parts, builtin=TypeError):
        saved[0] + 1
    with raises(errors.LeakedTracerError, *parts):
        rf.jit(lambda x: x + saved[0])(1.0)
    with raises(errors.LeakedTracerError, *parts):
        rf.vmap(lambda x: x + saved[0])(np.ones(2))
    with raises(errors.LeakedTracerError, *parts):
        np.asarray(saved[0])
    assert "Tracer" in repr(saved[0])


# Functions and pytrees that do not fit


def test_outputs_that_grad_does_not_take():
    def vector(x):
        return x * 2

    parts = ("grad takes a function with a scalar output", "vector returned shape (3,)", ".sum()")
    with raises(errors.TransformError, *parts, "jacrev", builtin=TypeError):
        rf.grad(vector)(np.ones(3))
    with raises(errors.TransformError, "value_and_grad", "returned shape (3,)"):
        rf.value_and_grad(vector)(np.ones(3))
    with raises(errors.TransformError, "of type tuple of 2", "has_aux=True"):
        rf.grad(lambda x: (x, x))(1.0)
    with raises(errors.TransformError, "None (is a `return` missing?)"):
        rf.grad(lambda x: None)(1.0)
    with raises(errors.TransformError, "returned int32", "Convert it to a float"):
        rf.grad(lambda x: rnp.int32(1))(1.0)
    with raises(errors.TransformError, "complex64", "real part"):
        rf.grad(lambda x: x * 1j)(1.0)
    with raises(
        errors.TransformError, "pair (output, auxiliary data)", "an array of type float32[]"
    ):
        rf.grad(lambda x: x, has_aux=True)(1.0)


def test_inputs_that_grad_does_not_take():
    with raises(errors.TransformError, "argument 0 has dtype int32", "1.0 rather than 1"):
        rf.grad(lambda x: x * 1.0)(3)
    with raises(errors.TransformError, "argument 1['n'][0] has dtype bool", "allow_int=True"):
        rf.grad(lambda x, p: x, argnums=(0, 1))(1.0, {"n": [True]})
    with raises(errors.TransformError, "argument 0 is complex64", "holomorphic=True", "jacrev"):
        rf.jacfwd(lambda x: x.real)(1j)
    with raises(errors.TransformError, "holomorphic=True takes complex inputs", "float32"):
        rf.grad(lambda x: x, holomorphic=True)(1.0)
    with raises(errors.DtypeError, "grad: argument 1['name'] is of type str", builtin=TypeError):
        rf.grad(lambda x, p: x, argnums=1)(1.0, {"name": "w"})
    with raises(
        errors.ArgumentError, "argument 2 was asked for", "1 positional", builtin=ValueError
    ):
        rf.grad(lambda x: x, argnums=2)(1.0)
    with raises(errors.ArgumentError, "named twice in (0, -1)"):
        rf.grad(lambda x: x, argnums=(0, -1))(1.0)
    with raises(errors.TransformError, "argnums are integers", "'x'"):
        rf.grad(lambda x: x, argnums="x")(1.0)


@pytest.mark.parametrize("name", ["grad", "vmap", "jit", "jacfwd", "jacrev", "checkpoint"])
def test_a_value_where_a_function_is_expected(name):
    advice = f"Write {name}(f)(x), not {name}(f(x))"
    with raises(errors.TransformError, f"{name} takes a function", "float", advice):
        getattr(rf, name)(1.0)
    with raises(errors.TransformError, "vjp takes a function", "Write vjp(f, x), not vjp(f(x))"):
        rf.vjp(rnp.ones(2))


def test_cotangents_and_tangents_of_another_structure():
    pullback = rf.vjp(lambda x: {"a": x}, 1.0)[1]
    parts = ("the cotangent lacks ['a']", "the output lacks ['b']")
    with raises(errors.TreeError, "vjp", *parts, builtin=ValueError):
        pullback({"b": 1.0})
    with raises(errors.TreeError, "a leaf (float)"):
        pullback(1.0)
    with raises(errors.ShapeError, "shape ()", "(2,)"):
        pullback({"a": np.ones(2)})
    with raises(errors.TreeError, "at [0]", "the tangents' pytree lacks ['a']"):
        rf.jvp(lambda x: x, ({"a": 1.0},), ({"b": 1.0},))
    with raises(errors.ShapeError, "tangent of argument 1['w'] has shape (2,)", "primal (3,)"):
        rf.jvp(lambda x, p: x, (1.0, {"w": np.ones(3)}), (1.0, {"w": np.ones(2)}))
    with raises(errors.TransformError, "argument 0 has dtype float64", "float32", "astype"):
        rf.jvp(lambda x: x, (np.float32(1),), (np.float64(1),))
    with raises(errors.TransformError, "primals as a tuple or list", "jvp(f, (x,), (t,))"):
        rf.jvp(lambda x: x, 1.0, 1.0)


def test_axes_that_do_not_fit_the_arguments():
    with raises(errors.TreeError, "in_axes has 1 entries", "2 positional", builtin=ValueError):
        rf.vmap(lambda x, y: x, in_axes=(0,))(np.ones(3), np.ones(3))
    with raises(errors.TreeError, "at [0]", "the arguments lacks ['b']", "in_axes lacks ['a']"):
        rf.vmap(lambda x: x, in_axes=({"b": 0},))({"a": np.ones(3)})
    with raises(errors.TransformError, "integers or None, not str"):
        rf.vmap(lambda x: x, in_axes="rows")(np.ones(3))
    with raises(errors.ShapeError, "argument 0['x'] has 3 along axis 0", "argument 'y' has 2"):
        rf.vmap(lambda x, y: y)({"x": np.ones(3)}, y=np.ones(2))
    with raises(errors.ShapeError, "axis_size is 4"):
        rf.vmap(lambda x: x, axis_size=4)(np.ones(3))
    with raises(errors.TransformError, "no argument is mapped", "axis_size"):
        rf.vmap(lambda x: x, in_axes=None)(np.ones(3))
    with raises(errors.TransformError, "out_axes is None for the output['y']", "mapped"):
        rf.vmap(lambda x: {"y": x}, out_axes=None)(np.ones(3))
    with raises(errors.AxisError, "out_axes is 4 for the output, which has 1 axis."):
        rf.vmap(lambda x: x, out_axes=4)(np.ones(3))
    with raises(errors.TreeError, "out_axes=(0, 0) does not fit the outputs"):
        rf.vmap(lambda x: x, out_axes=(0, 0))(np.ones(3))


def test_arguments_of_jit_that_are_not_arrays():
    advice = ("which is not an array", "static_argnums or static_argnames")
    with raises(errors.DtypeError, "jit: argument 1 is of type str", *advice, builtin=TypeError):
        rf.jit(lambda x, mode: x)(1.0, "train")
    with raises(errors.DtypeError, "jit: argument 'options'['act'][1] is of type builtin", *advice):
        rf.jit(lambda x, options: x)(1.0, options={"act": [1.0, abs]})
    with raises(errors.DtypeError, "jit: argument 2 is of type str", *advice):
        rf.jit(lambda x, n, mode: x, static_argnums=1)(1.0, 2, "train")
    with raises(errors.DtypeError, "jit: the output of <lambda> ['y'] is of type str"):
        rf.jit(lambda x: {"y": "a"})(1.0)


def test_static_arguments_that_do_not_hash():
    f = rf.jit(lambda x, sizes: x, static_argnums=1)
    parts = ("does not hash", "a tuple rather than a list")
    with raises(errors.UnhashableError, "argument 1", "type list", *parts, builtin=TypeError):
        f(1.0, [1, 2])
    with raises(errors.UnhashableError, "argument 'sizes'", "type Array"):
        f(1.0, sizes=rnp.ones(2))
    with raises(errors.ArgumentError, "has no parameter 'n'", builtin=ValueError):
        rf.jit(lambda x: x, static_argnames="n")
    with raises(errors.ArgumentError, "argument number 3", "takes 1 positional argument."):
        rf.jit(lambda x: x, static_argnums=3)


def test_jacobians_of_outputs_without_one():
    for transform in (rf.jacfwd, rf.jacrev):
        with raises(errors.TransformError, "returned int32", "has_aux=True", builtin=TypeError):
            transform(lambda x: rnp.arange(3))(1.0)
        with raises(errors.TransformError, "returned complex64", "holomorphic=True"):
            transform(lambda x: x * 1j)(1.0)
        with raises(errors.TransformError, "argument 0 has dtype int32"):
            transform(lambda x: x * 1.0)(1)


def test_a_gpu_without_cupy():
    if importlib.util.find_spec("cupy"):
        pytest.skip("CuPy is installed")
    advice = "pip install 'rtfunc[cuda13x]'"
    with raises(errors.MissingDependencyError, "CuPy", advice, builtin=ImportError):
        rf.device_put(1.0, "gpu")
    with raises(errors.DeviceError, "'tpu' is not a device", builtin=RuntimeError):
        rf.device_put(1.0, "tpu")


def test_a_derivative_that_there_is_not():
    with raises(errors.UnsupportedError, "scan", builtin=NotImplementedError):
        rf.grad(lambda x: lax.while_loop(lambda c: c < 9.0, lambda c: c * x, x))(2.0)


# What an error leaves behind


class _Stop(KeyboardInterrupt):
    pass


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("error", [ValueError, _Stop])
def test_an_exception_passes_through_unchanged(transform, error):
    def f(x):
        with rf.named_scope("inner"):
            raise error(rf.vmap(lambda y: y * x, axis_name="i")(np.ones(2)) is None)

    with pytest.raises(error, match="False"):
        TRANSFORMS[transform](f)
    assert context.trace is None
    assert context.axis_sizes == {}
    assert context.source is None
    assert context.scopes == ()
    assert float(TRANSFORMS["grad"](lambda x: x * x)) == 2.0


def test_an_exception_in_a_pullback():
    @rf.custom_vjp
    def f(x):
        return x

    def backward(_, ct):
        raise _Stop

    f.defvjp(lambda x: (x, None), backward)
    for g in (rf.grad(f), rf.grad(rf.jit(f)), rf.jit(rf.grad(f))):
        with pytest.raises(_Stop):
            g(1.0)
        assert context.trace is None
        assert context.source is None


def test_endless_recursion_is_pythons_error():
    f = rf.jit(lambda x: f(x))
    with pytest.raises(RecursionError):
        f(1.0)
    assert context.trace is None
    assert float(rf.jit(lambda x: x + 1)(1.0)) == 2.0
