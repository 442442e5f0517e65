"""Attention: PyTorch's numbers for every kind of mask, and what is particular to this library."""

import math

import numpy as np
import pytest

from rtfunc import nn, random
from rtfunc import numpy as rnp
from rtfunc.core.errors import ArgumentError, DtypeError, ShapeError
from rtfunc.testing import check_grads
from rtfunc.transforms.jit import jit
from rtfunc.transforms.stage import make_graph
from rtfunc.transforms.vjp import grad
from rtfunc.transforms.vmap import vmap

KEY = random.key(0)
INFINITE = float("inf")


@pytest.fixture
def oracle():
    pytest.importorskip("torch")
    from tests.nn import layer_oracle, oracle

    return layer_oracle, oracle


def some_mask(*shape, seed=0):
    """Booleans with at least one True in each row."""
    mask = np.random.default_rng(seed).random(shape) < 0.6
    mask[..., 0] = True
    return mask


SEEN = some_mask(5, 7)


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"is_causal": True},
        {"attn_mask": SEEN},
        {"attn_mask": some_mask(2, 1, 5, 7, seed=1)},
        {"attn_mask": np.where(SEEN, 0.5, -INFINITE)},
        {"scale": 0.3},
    ],
)
def test_scaled_dot_product_attention_is_pytorchs(oracle, options, dtype):
    layers, o = oracle
    torch = layers.torch
    function = torch.nn.functional.scaled_dot_product_attention
    theirs = dict(options)
    if "attn_mask" in theirs:
        mask = torch.tensor(theirs["attn_mask"])
        theirs["attn_mask"] = mask if mask.dtype == torch.bool else mask.to(getattr(torch, dtype))
    o.assert_same(
        lambda q, k, v: nn.scaled_dot_product_attention(q, k, v, **options),
        lambda q, k, v: function(q, k, v, **theirs),
        o.numbers(2, 3, 5, 4, seed=1),
        o.numbers(2, 3, 7, 4, seed=2),
        o.numbers(2, 3, 7, 6, seed=3),
        dtype=dtype,
    )


@pytest.mark.oracle
@pytest.mark.parametrize("groups", [1, 2, 6])
def test_shared_heads_are_pytorchs(oracle, groups):
    layers, o = oracle
    function = layers.torch.nn.functional.scaled_dot_product_attention
    o.assert_same(
        lambda q, k, v: nn.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True),
        lambda q, k, v: function(q, k, v, is_causal=True, enable_gqa=True),
        o.numbers(2, 6, 5, 4, seed=1),
        o.numbers(2, groups, 5, 4, seed=2),
        o.numbers(2, groups, 5, 3, seed=3),
    )


@pytest.mark.oracle
@pytest.mark.parametrize(
    "options",
    [{}, {"bias": False}, {"add_bias_kv": True, "add_zero_attn": True}, {"batch_first": True}],
)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_self_attention_is_pytorchs(oracle, options, dtype):
    layers, o = oracle
    layer = nn.multi_head_attention(2, **options)
    theirs = layers.torch.nn.MultiheadAttention(6, 2, **options)
    _nonzero_biases(layers, theirs)
    layers.assert_same_layer(
        layer,
        theirs,
        o.numbers(5, 3, 6),
        dtype=dtype,
        ours=lambda p, s, x: layer.apply(p, s, x, need_weights=True)[0],
        theirs=lambda x: theirs(x, x, x),
    )


def _nonzero_biases(layers, module):
    """PyTorch begins with zeros, which would not show a bias in the wrong place."""
    with layers.torch.no_grad():
        for name, p in module.named_parameters():
            if "bias" in name:
                p.uniform_(-1, 1)


@pytest.mark.oracle
@pytest.mark.parametrize(("kdim", "vdim"), [(None, None), (4, 3), (6, 3)])
@pytest.mark.parametrize("average", [True, False])
def test_attention_to_other_keys_and_values_is_pytorchs(oracle, kdim, vdim, average):
    layers, o = oracle
    layer = nn.multi_head_attention(2)
    theirs = layers.torch.nn.MultiheadAttention(6, 2, kdim=kdim, vdim=vdim)
    _nonzero_biases(layers, theirs)
    arrays = [o.numbers(5, 3, 6), o.numbers(7, 3, kdim or 6), o.numbers(7, 3, vdim or 6)]
    layers.assert_same_layer(
        layer,
        theirs,
        *arrays,
        specs=[a.shape for a in arrays],
        ours=lambda p, s, *x: layer.apply(p, s, *x, need_weights=True, average_weights=average)[0],
        theirs=lambda *x: theirs(*x, average_attn_weights=average),
    )


PADDED = np.array([[False] * 5, [False] * 3 + [True] * 2, [False] * 4 + [True]])


@pytest.mark.oracle
@pytest.mark.parametrize(
    "masks",
    [
        {"attn_mask": ~some_mask(5, 5)},
        {"attn_mask": ~some_mask(6, 5, 5)},
        {"attn_mask": np.where(some_mask(5, 5), 0.3, -INFINITE)},
        {"key_padding_mask": PADDED},
        {"key_padding_mask": PADDED, "attn_mask": np.triu(np.ones((5, 5), bool), 1)},
        {"key_padding_mask": np.where(PADDED, -INFINITE, 0.1), "attn_mask": np.eye(5)},
    ],
)
@pytest.mark.parametrize("extra", [False, True])
def test_masks_are_pytorchs(oracle, masks, extra):
    layers, o = oracle
    torch = layers.torch
    options = {"add_bias_kv": extra, "add_zero_attn": extra}
    layer = nn.multi_head_attention(2, **options)
    theirs = torch.nn.MultiheadAttention(6, 2, **options)
    _nonzero_biases(layers, theirs)
    tensors = {k: torch.tensor(v) for k, v in masks.items()}
    layers.assert_same_layer(
        layer,
        theirs,
        o.numbers(5, 3, 6),
        ours=lambda p, s, x: layer.apply(p, s, x, **masks)[0],
        theirs=lambda x: theirs(x, x, x, need_weights=False, **tensors)[0],
    )


@pytest.mark.oracle
def test_an_input_without_a_batch_is_pytorchs(oracle):
    layers, o = oracle
    layer = nn.multi_head_attention(2)
    theirs = layers.torch.nn.MultiheadAttention(6, 2)
    layers.assert_same_layer(
        layer,
        theirs,
        o.numbers(5, 6),
        ours=lambda p, s, x: layer.apply(p, s, x, need_weights=True)[0],
        theirs=lambda x: theirs(x, x, x),
    )


def test_query_keys_and_values_come_from_one_product():
    layer = nn.multi_head_attention(2, batch_first=True)
    params, state = layer.init(KEY, (3, 5, 8))

    def products(*inputs):
        graph = make_graph(lambda p, *xs: layer.apply(p, state, *xs)[0])(params, *inputs)
        return sum(e.primitive.name == "dot_general" for e in graph.equations)

    x = rnp.ones((3, 5, 8))
    assert products(x) == 4  # the projection, scores, sums of values, and the output
    assert products(x, rnp.ones((3, 7, 8))) == 5  # keys and values together


def test_the_query_given_as_keys_is_self_attention():
    layer = nn.multi_head_attention(2)
    params, state = layer.init(KEY, (5, 3, 8))
    x = random.normal(KEY, (5, 3, 8))
    alone = layer.apply(params, state, x)[0]
    np.testing.assert_array_equal(layer.apply(params, state, x, x, x)[0], alone)


def test_attention_is_its_formula():
    q, k, v = (np.asarray(random.normal(random.key(i), (2, 5, 4), "float64")) for i in range(3))
    scores = q @ k.swapaxes(1, 2) / 2
    scores = np.where(SEEN[:, :5], scores, -np.inf)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    out, ours = nn.scaled_dot_product_attention(q, k, v, SEEN[:, :5], return_weights=True)
    # The same sums in float64, in another order.
    np.testing.assert_allclose(out, weights @ v, atol=1e-13)
    np.testing.assert_allclose(ours, weights, atol=1e-13)


def test_derivatives_are_those_of_finite_differences():
    x = random.normal(KEY, (2, 3, 4), "float64")
    for layer in (
        nn.multi_head_attention(2, batch_first=True, is_causal=True),
        nn.grouped_query_attention(2, 1, rotary=True),
    ):
        params, state = layer.init(KEY, x)
        check_grads(lambda p, x: layer.apply(p, state, x)[0], (params, x), order=2)


def test_a_query_that_sees_nothing_gets_zero_and_no_nan():
    mask = np.array([[True, True], [False, False]])
    q = random.normal(KEY, (2, 4))
    out = nn.scaled_dot_product_attention(q, q, q, mask)
    assert not np.any(out[1])
    gradient = grad(lambda q: rnp.sum(nn.scaled_dot_product_attention(q, q, q, mask)))(q)
    assert np.isfinite(gradient).all()
    additive = nn.scaled_dot_product_attention(q, q, q, np.where(mask, 0.0, -np.inf))
    np.testing.assert_array_equal(additive, out)


def test_a_mask_and_causality_act_together():
    q = random.normal(KEY, (4, 2))
    mask = np.array([True, False, True, True])
    both = nn.scaled_dot_product_attention(q, q, q, mask[None], is_causal=True)
    combined = np.tril(np.ones((4, 4), bool)) & mask
    np.testing.assert_array_equal(both, nn.scaled_dot_product_attention(q, q, q, combined))


def test_a_learned_bias_gets_a_gradient():
    q = random.normal(KEY, (4, 2))
    bias = rnp.zeros((4, 4))
    gradient = grad(lambda b: rnp.sum(nn.scaled_dot_product_attention(q, q, q, b)[:, 0]))(bias)
    step = 1e-2
    moved = bias.at[1, 2].add(step)
    difference = [rnp.sum(nn.scaled_dot_product_attention(q, q, q, b)[:, 0]) for b in (bias, moved)]
    # A difference quotient in float32: rounding of 1e-7 / 1e-2, and the curvature times the step.
    assert float(gradient[1, 2]) == pytest.approx(
        float(difference[1] - difference[0]) / step, abs=2e-3
    )


def test_weights_are_dropped_in_training_only():
    layer = nn.multi_head_attention(2, dropout=0.5)
    params, state = layer.init(KEY, (5, 3, 8))
    x = random.normal(KEY, (5, 3, 8))
    plain = nn.multi_head_attention(2).apply(params, state, x)[0]
    np.testing.assert_array_equal(layer.apply(params, state, x)[0], plain)
    first = layer.apply(params, state, x, key=KEY, train=True)[0]
    assert not np.allclose(first, plain)
    with pytest.raises(ArgumentError, match=r"multi_head_attention\(2\) drops out weights"):
        layer.apply(params, state, x, train=True)
    grouped = nn.grouped_query_attention(2, dropout=0.5)
    params, state = grouped.init(KEY, (3, 5, 8))
    x = random.normal(KEY, (3, 5, 8))
    dropped = grouped.apply(params, state, x, key=KEY, train=True)[0]
    assert not np.allclose(dropped, grouped.apply(params, state, x)[0])
    with pytest.raises(ArgumentError, match=r"grouped_query_attention\(2, 2\) drops out weights"):
        grouped.apply(params, state, x, train=True)


def test_sixteen_bit_operands_have_their_scores_in_float32():
    q = random.normal(KEY, (64, 8))
    exact = nn.scaled_dot_product_attention(q, q, q)
    short = [rnp.asarray(q, dtype="bfloat16")] * 3
    out = nn.scaled_dot_product_attention(*short)
    assert str(out.dtype) == "bfloat16"
    # bfloat16 has 8 bits: operands and result are rounded to 4e-3 relative; scores reach 20, and
    # so rounded they would be wrong by 0.04 themselves, and weights by as much.
    np.testing.assert_allclose(out.astype("float32"), exact, atol=5e-2)
    graph = make_graph(lambda x: nn.scaled_dot_product_attention(x, x, x))(short[0])
    (softmax,) = [e for e in graph.equations if e.primitive.name == "exp"]
    assert str(softmax.outputs[0].aval.dtype) == "float32"


def test_attention_under_vmap_and_jit():
    q = random.normal(KEY, (3, 2, 5, 4))

    def attend(x):
        return nn.scaled_dot_product_attention(x, x, x, is_causal=True)

    # Sums in another order.
    np.testing.assert_allclose(jit(vmap(attend))(q), attend(q), rtol=1e-5, atol=1e-6)


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("groups", "rotary"), [(1, True), (2, True), (4, False)])
def test_grouped_query_attention_is_llamas(oracle, dtype, groups, rotary):
    layers, o = oracle
    torch, heads, size = layers.torch, 4, 2

    class Llama(torch.nn.Module):
        """The attention of Llama at Hugging Face: halves of the features turn."""

        def __init__(self):
            super().__init__()
            for name, out in (("q", heads), ("k", groups), ("v", groups)):
                setattr(self, f"{name}_proj", torch.nn.Linear(8, out * size, bias=False))
            self.o_proj = torch.nn.Linear(heads * size, 8, bias=False)

        def turned(self, x):
            if not rotary:
                return x
            frequencies = 10000.0 ** (-torch.arange(0, size, 2, dtype=x.dtype) / size)
            angles = torch.outer(torch.arange(x.shape[2], dtype=x.dtype), frequencies)
            angles = torch.cat([angles, angles], dim=-1)
            first, second = x.chunk(2, dim=-1)
            return x * angles.cos() + torch.cat([-second, first], dim=-1) * angles.sin()

        def forward(self, x):
            q, k, v = (
                getattr(self, f"{n}_proj")(x).view(*x.shape[:2], -1, size).transpose(1, 2)
                for n in "qkv"
            )
            q, k = self.turned(q), self.turned(k)
            k, v = (y.repeat_interleave(heads // groups, dim=1) for y in (k, v))
            out = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            return self.o_proj(out.transpose(1, 2).reshape(*x.shape[:2], -1))

    layer = nn.grouped_query_attention(heads, groups, rotary=rotary)
    layers.assert_same_layer(layer, Llama(), o.numbers(3, 5, 8), dtype=dtype)


@pytest.mark.parametrize("interleaved", [False, True])
def test_rotated_products_depend_on_distances_alone(interleaved):
    q, k = random.normal(KEY, (2, 8), "float64")

    def product(i, j):
        turned = [
            nn.rotary_embedding(x[None], np.array([p]), interleaved=interleaved)[0]
            for x, p in ((q, i), (k, j))
        ]
        return float(turned[0] @ turned[1])

    # Rounding of float64 products of 8 terms.
    assert product(3, 5) == pytest.approx(product(10, 12), rel=1e-12)
    assert product(3, 5) != pytest.approx(product(3, 6), rel=1e-3)


def test_rotation_is_multiplication_by_complex_numbers():
    x = np.asarray(random.normal(KEY, (6, 8), "float64"))
    frequencies = 10000.0 ** (-np.arange(0, 8, 2) / 8)
    turn = np.exp(1j * np.arange(6)[:, None] * frequencies)
    neighbours = (x[:, 0::2] + 1j * x[:, 1::2]) * turn
    expected = np.stack([neighbours.real, neighbours.imag], -1).reshape(6, 8)
    # float64 rounding of sines, cosines and products.
    np.testing.assert_allclose(nn.rotary_embedding(x, interleaved=True), expected, atol=1e-12)
    halves = (x[:, :4] + 1j * x[:, 4:]) * turn
    expected = np.concatenate([halves.real, halves.imag], -1)
    np.testing.assert_allclose(nn.rotary_embedding(x), expected, atol=1e-12)


@pytest.mark.parametrize("features", [4, 5])
def test_sinusoidal_encoding_is_the_papers(features):
    code = np.asarray(nn.sinusoidal_encoding(np.arange(7), features, dtype="float64"))
    for p in range(7):
        for f in range(features):
            angle = p / 10000 ** (2 * (f // 2) / features)
            expected = math.sin(angle) if f % 2 == 0 else math.cos(angle)
            assert code[p, f] == pytest.approx(expected, abs=1e-12)  # rounding of float64


def test_alibi_falls_by_the_papers_slopes():
    bias = np.asarray(nn.alibi_bias(8, 4))
    assert bias.shape == (8, 4, 4)
    np.testing.assert_allclose(bias[:, 3, 2], [-(2.0 ** -(k + 1)) for k in range(8)])
    np.testing.assert_allclose(bias[0, 3], [-1.5, -1.0, -0.5, 0.0])
    # The paper's code for 6 heads: those of 4, and the first and third of 8.
    slopes = -np.asarray(nn.alibi_bias(6, 1, 2))[:, 0, 0]
    np.testing.assert_allclose(slopes, [2**-2, 2**-4, 2**-6, 2**-8, 2**-1, 2**-3])


def test_positions_are_added_along_the_length():
    x = rnp.zeros((3, 5, 4))
    layer = nn.learned_positions(8)
    params, state = layer.init(KEY, x)
    out = layer.apply(params, state, x)[0]
    np.testing.assert_array_equal(out[1], params["weight"][:5])
    late = nn.learned_positions(8, batch_first=False)
    np.testing.assert_array_equal(
        late.apply(params, state, rnp.zeros((5, 3, 4)))[0][:, 2], params["weight"][:5]
    )
    code = nn.sinusoidal_encoding(rnp.arange(5), 4)
    np.testing.assert_array_equal(nn.sinusoidal_positions().apply({}, {}, x)[0][2], code)
    with pytest.raises(ArgumentError, match=r"learned_positions\(8\) has room for 8 positions"):
        layer.apply(params, state, rnp.zeros((3, 9, 4)))


def test_what_is_refused_is_named():
    layer = nn.multi_head_attention(2)
    params, state = layer.init(KEY, (5, 3, 8))
    x = rnp.ones((5, 3, 8))
    with pytest.raises(
        ShapeError, match=r"attn_mask has shape \(4, 5\), not \(5, 5\) or \(6, 5, 5\)"
    ):
        layer.apply(params, state, x, attn_mask=np.zeros((4, 5), bool))
    with pytest.raises(ShapeError, match=r"key_padding_mask has shape \(5, 3\), not \(3, 5\)"):
        layer.apply(params, state, x, key_padding_mask=np.zeros((5, 3), bool))
    with pytest.raises(DtypeError, match="attn_mask is of booleans or floats, not int64"):
        layer.apply(params, state, x, attn_mask=np.zeros((5, 5), int))
    with pytest.raises(ShapeError, match=r"the features a multiple of the 3 heads"):
        nn.multi_head_attention(3).init(KEY, (5, 3, 8))
    with pytest.raises(ShapeError, match="different numbers of axes"):
        layer.apply(params, state, x, rnp.ones((5, 8)))
    q = rnp.ones((5, 4))
    with pytest.raises(ShapeError, match="differ in the features of query and key"):
        nn.scaled_dot_product_attention(q, rnp.ones((5, 3)), q)
    with pytest.raises(ShapeError, match="differ in the number of keys and values"):
        nn.scaled_dot_product_attention(q, q, rnp.ones((4, 4)))
    heads = rnp.ones((3, 5, 4))
    with pytest.raises(ShapeError, match="with enable_gqa the heads of the query are a multiple"):
        nn.scaled_dot_product_attention(heads, heads[:2], heads[:2], enable_gqa=True)
    with pytest.raises(ShapeError, match=r"a mask of shape \(4,\) does not fit scores of \(5, 5\)"):
        nn.scaled_dot_product_attention(q, q, q, np.zeros(4, bool))
    with pytest.raises(ArgumentError, match="dropout draws random numbers: pass a random_key"):
        nn.scaled_dot_product_attention(q, q, q, dropout_rate=0.5)
    with pytest.raises(ShapeError, match="with an even number of features"):
        nn.rotary_embedding(rnp.ones((2, 3)))
    with pytest.raises(ArgumentError, match="num_heads 4 is no multiple of num_key_value_heads 3"):
        nn.grouped_query_attention(4, 3)
    with pytest.raises(ArgumentError, match="a cache goes without add_bias_kv"):
        nn.multi_head_attention(2, add_bias_kv=True, cache_length=4)
