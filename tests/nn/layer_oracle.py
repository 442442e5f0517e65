"""Comparing a layer with a PyTorch module that has the same weights: outputs, gradients, state.

Tolerances are those of `oracle`.
"""

import numpy as np
import pytest

from rtfunc import nn, random, tree
from rtfunc.core.aval import Aval
from rtfunc.transforms.jit import jit
from rtfunc.transforms.vjp import vjp
from tests.nn import oracle

torch = pytest.importorskip("torch")


def weights_of(module):
    return {k: v.detach().numpy().copy() for k, v in module.state_dict().items()}


def loaded(layer, module, *specs, names=None):
    """Parameters and state of `layer` with the weights of `module`, every name agreeing."""
    weights = weights_of(module)
    for name in names or ():
        del weights[name]
    return nn.load_state_dict(weights, *layer.init(random.key(0), *specs))


def as_arrays(value):
    """Tensors in tuples as NumPy arrays in one flat list."""
    if isinstance(value, torch.Tensor):
        return [value.detach().numpy()]
    return [a for part in value if part is not None for a in as_arrays(part)]


def tensors_in(value):
    if isinstance(value, torch.Tensor):
        return [value]
    return [t for part in value if part is not None for t in tensors_in(part)]


def assert_same_layer(
    layer,
    module,
    *inputs,
    dtype="float64",
    train=False,
    ours=None,
    theirs=None,
    specs=None,
    compiled=True,
    tied=None,
):
    """`layer` and `module` agree in outputs and in the gradients of inputs and parameters.

    Arguments: inputs: NumPy arrays; ours: (params, state, *inputs) -> output, if not the layer's
    apply; theirs: (*tensors) -> output, if not the module's call; tied: `nn.load_state_dict`'s.
    """
    module = module.to(getattr(torch, dtype)).train(train)
    module.zero_grad()
    inputs = [a.astype(dtype) if a.dtype.kind == "f" else a for a in inputs]
    specs = specs or [Aval(a.shape, a.dtype) for a in inputs[:1]]
    initial = layer.init(random.key(0), *specs)
    initial = tree.map(lambda p: p.astype(dtype) if p.dtype.kind == "f" else p, initial)
    extra = {} if tied is None else {"tied": tied}
    params, state = nn.load_state_dict(weights_of(module), *initial, **extra)

    def apply(params, state, *xs):
        return layer.apply(params, state, *xs, train=train)[0]

    ours, theirs = ours or apply, theirs or module
    floats = [i for i, a in enumerate(inputs) if a.dtype.kind == "f"]

    def of_floats(params, *given):
        xs = list(inputs)
        for i, x in zip(floats, given):
            xs[i] = x
        return ours(params, state, *xs)

    given = [inputs[i] for i in floats]
    out, pullback = vjp(of_floats, params, *given)
    tensors = [torch.tensor(a, requires_grad=a.dtype.kind == "f") for a in inputs]
    expected = tensors_in(theirs(*tensors))
    outs = tree.leaves(out)
    assert len(outs) == len(expected)
    cotangents = []
    for i, (o, e) in enumerate(zip(outs, expected)):
        assert o.shape == tuple(e.shape)
        assert str(o.dtype) == dtype
        oracle.assert_close(o, e.detach().numpy(), dtype, f"output {i}")
        cotangents.append(oracle.numbers(*o.shape, dtype=dtype, seed=i, low=-1.0, high=1.0))
    torch.autograd.backward(expected, [torch.tensor(c) for c in cotangents])
    structure = tree.structure(out)
    gradient, *others = pullback(tree.unflatten(structure, cotangents))
    for i, g in zip(floats, others):
        oracle.assert_close(g, _gradient(tensors[i]), dtype, f"gradient of input {i}")
    named = {k: _gradient(p) for k, p in module.named_parameters()}
    for name, g in nn.state_dict(gradient).items():
        wanted = named[name]
        scale = max(1.0, float(np.abs(wanted).max(initial=0)))
        oracle.assert_close(g / scale, wanted / scale, dtype, f"gradient of {name}")
    if compiled:
        for o, c in zip(outs, tree.leaves(jit(of_floats)(params, *given))):
            oracle.assert_close(c, np.asarray(o), dtype, "compiled")


def _gradient(tensor):
    grad = tensor.grad
    return np.zeros(tuple(tensor.shape)) if grad is None else grad.numpy()
