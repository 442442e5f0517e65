"""Transformer layers: PyTorch's numbers and names; decoding step by step equals all at once."""

import numpy as np
import pytest

from rtfunc import lax, nn, random
from rtfunc import numpy as rnp
from rtfunc.core.errors import ArgumentError, ShapeError
from rtfunc.transforms.jit import jit

KEY = random.key(0)
CAUSAL = np.triu(np.ones((5, 5), bool), 1)
PADDED = np.array([[False] * 5, [False] * 3 + [True] * 2])


@pytest.fixture
def oracle():
    pytest.importorskip("torch")
    from tests.nn import layer_oracle, oracle

    return layer_oracle, oracle


OPTIONS = [
    {"norm_first": False, "activation": "relu", "batch_first": True},
    {"norm_first": True, "activation": "gelu", "batch_first": False},
    {"norm_first": True, "activation": "relu", "batch_first": True, "bias": False},
]


@pytest.mark.oracle
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_encoder_layer_is_pytorchs(oracle, options, dtype):
    layers, o = oracle
    layer = nn.transformer_encoder_layer(2, 7, dropout=0.0, **options)
    theirs = layers.torch.nn.TransformerEncoderLayer(6, 2, 7, dropout=0.0, **options)
    shape = (2, 5, 6) if options["batch_first"] else (5, 2, 6)
    layers.assert_same_layer(layer, theirs, o.numbers(*shape), dtype=dtype, train=True)


@pytest.mark.oracle
@pytest.mark.parametrize("options", OPTIONS)
def test_decoder_layer_is_pytorchs(oracle, options):
    layers, o = oracle
    layer = nn.transformer_decoder_layer(2, 7, dropout=0.0, **options)
    theirs = layers.torch.nn.TransformerDecoderLayer(6, 2, 7, dropout=0.0, **options)
    shapes = [(2, 5, 6), (2, 7, 6)] if options["batch_first"] else [(5, 2, 6), (7, 2, 6)]
    arrays = [o.numbers(*s, seed=i) for i, s in enumerate(shapes)]
    masks = {"key_padding_mask": PADDED, "memory_mask": ~(np.arange(7) < 4 + np.zeros((5, 1)))}
    tensor = layers.torch.tensor
    layers.assert_same_layer(
        layer,
        theirs,
        *arrays,
        specs=shapes,
        ours=lambda p, s, *x: layer.apply(p, s, *x, attn_mask=CAUSAL, **masks)[0],
        theirs=lambda *x: theirs(
            *x,
            tgt_mask=tensor(CAUSAL),
            memory_mask=tensor(masks["memory_mask"]),
            tgt_key_padding_mask=tensor(PADDED),
        ),
        train=True,
    )


@pytest.mark.oracle
def test_encoder_stack_is_pytorchs(oracle):
    layers, o = oracle
    torch = layers.torch
    layer = nn.transformer_encoder_layer(2, 7, dropout=0.0, batch_first=True, norm_first=True)
    encoder = nn.transformer_encoder(layer, 2, nn.layer_norm())
    their_layer = torch.nn.TransformerEncoderLayer(
        6, 2, 7, dropout=0.0, batch_first=True, norm_first=True
    )
    theirs = torch.nn.TransformerEncoder(
        their_layer, 2, torch.nn.LayerNorm(6), enable_nested_tensor=False
    )
    layers.assert_same_layer(
        encoder,
        theirs,
        o.numbers(2, 5, 6),
        ours=lambda p, s, x: encoder.apply(p, s, x, key_padding_mask=PADDED, attn_mask=CAUSAL)[0],
        theirs=lambda x: theirs(
            x, mask=torch.tensor(CAUSAL), src_key_padding_mask=torch.tensor(PADDED)
        ),
        train=True,
    )


@pytest.mark.oracle
@pytest.mark.filterwarnings("ignore:enable_nested_tensor is True")
def test_transformer_is_pytorchs(oracle):
    layers, o = oracle
    torch = layers.torch
    ours = nn.transformer(2, 2, 1, 7, dropout=0.0)
    theirs = torch.nn.Transformer(6, 2, 2, 1, 7, dropout=0.0)
    arrays = [o.numbers(4, 2, 6), o.numbers(5, 2, 6, seed=1)]
    layers.assert_same_layer(
        ours,
        theirs,
        *arrays,
        specs=[a.shape for a in arrays],
        ours=lambda p, s, *x: ours.apply(p, s, *x, target_is_causal=True)[0],
        theirs=lambda *x: theirs(*x, tgt_mask=torch.tensor(CAUSAL)),
        train=True,
    )


def decoders():
    """Causal models, with and without a cache of 8 steps."""

    def encoder(length):
        layer = nn.transformer_encoder_layer(
            2, 7, batch_first=True, is_causal=True, cache_length=length
        )
        positions = nn.sinusoidal_positions(cached=length is not None)
        return nn.sequential(positions, nn.transformer_encoder(layer, 2))

    def grouped(length):
        return nn.grouped_query_attention(2, 1, rotary=True, cache_length=length)

    def learned(length):
        attention = nn.multi_head_attention(
            2, is_causal=True, batch_first=False, cache_length=length
        )
        positions = nn.learned_positions(9, batch_first=False, cached=length is not None)
        return nn.sequential(positions, attention)

    return {
        "encoder": (encoder, 1),
        "grouped": (grouped, 1),
        "learned, time first": (learned, 0),
    }


@pytest.mark.parametrize("which", decoders())
def test_decoding_with_a_cache_equals_the_whole_at_once(which):
    make, axis = decoders()[which]
    whole, stepwise = make(None), make(8)
    shape = (3, 7, 8) if axis == 1 else (7, 3, 8)
    x = random.normal(KEY, shape, "float64")
    params, state = whole.init(KEY, x)
    cache = nn.initial_state(stepwise, x)
    expected = whole.apply(params, state, x)[0]
    # Three steps at once, then one at a time in a loop.
    first, rest = rnp.split(x, [3], axis=axis)
    begin, cache = stepwise.apply(params, cache, first)

    def step(cache, x):
        out, cache = stepwise.apply(params, cache, rnp.expand_dims(x, axis))
        return cache, rnp.squeeze(out, axis)

    cache, ends = jit(lambda c, xs: lax.scan(step, c, xs))(cache, rnp.moveaxis(rest, axis, 0))
    out = rnp.concatenate([begin, rnp.moveaxis(ends, 0, axis)], axis=axis)
    # Sums over the keys in another order, in float64.
    np.testing.assert_allclose(out, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("batch_first", [True, False])
def test_a_decoder_computes_the_keys_of_its_memory_once(batch_first):
    def make(length):
        layer = nn.transformer_decoder_layer(
            2, 7, batch_first=batch_first, is_causal=True, cache_length=length
        )
        return nn.transformer_decoder(layer, 2)

    whole, stepwise = make(None), make(8)
    axis = 1 if batch_first else 0
    x, memory = (
        random.normal(KEY, (3, n, 8) if batch_first else (n, 3, 8), "float64") for n in (5, 7)
    )
    params, state = whole.init(KEY, x, memory)
    expected, _ = whole.apply(params, state, x, memory)
    cache = nn.initial_state(stepwise, x, memory)
    apply = jit(stepwise.apply)
    out = []
    for i in range(5):
        # After the first step the memory is not looked at.
        given = memory if i == 0 else memory * np.nan
        step, cache = apply(params, cache, rnp.take(x, rnp.array([i]), axis=axis), given)
        out.append(step)
    # Sums over the keys in another order, in float64.
    np.testing.assert_allclose(rnp.concatenate(out, axis=axis), expected, rtol=1e-10, atol=1e-10)
    with pytest.raises(ShapeError, match="was made for 7 keys in a batch of 3, but there are 5"):
        stepwise.apply(params, cache, x[:, :1] if batch_first else x[:1], x)


def test_settings_of_attention_that_do_not_go_together_are_named():
    with pytest.raises(ArgumentError, match="cache_length is for self-attention, memory_cached"):
        nn.multi_head_attention(2, cache_length=4, memory_cached=True)
    layer = nn.multi_head_attention(2, memory_cached=True)
    params, state = layer.init(KEY, (5, 1, 8), (3, 1, 8))
    with pytest.raises(ArgumentError, match="memory_cached is for keys other than the query"):
        layer.apply(params, state, rnp.ones((5, 1, 8)))


def test_a_cache_that_is_full_is_named_or_gives_nan():
    layer = nn.grouped_query_attention(2, cache_length=4)
    x = random.normal(KEY, (1, 3, 8))
    params, state = layer.init(KEY, x)
    _, state = layer.apply(params, state, x)
    with pytest.raises(ArgumentError, match="has room for 4 positions, but 3 more are given at"):
        layer.apply(params, state, x)
    out, _ = jit(lambda s: layer.apply(params, s, x))(state)
    assert np.isnan(out).all()


def test_a_cache_of_another_batch_is_named():
    layer = nn.multi_head_attention(2, batch_first=True, cache_length=4)
    params, state = layer.init(KEY, (1, 3, 8))
    with pytest.raises(ShapeError, match=r"nn\.initial_state\(model, x\)"):
        layer.apply(params, state, rnp.ones((2, 3, 8)))


def test_dropout_has_a_key_for_each_place():
    layer = nn.transformer_encoder_layer(2, 16, dropout=0.5)
    params, state = layer.init(KEY, (5, 1, 8))
    x = random.normal(KEY, (5, 1, 8))
    first, again, other = (
        layer.apply(params, state, x, key=random.key(i), train=True)[0] for i in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)
    assert not np.allclose(first, layer.apply(params, state, x)[0])


def test_the_summary_counts_parts_once():
    encoder = nn.transformer_encoder(nn.transformer_encoder_layer(2, 16), 2)
    table = nn.summary(encoder, (5, 1, 8))
    paths = [row.path for row in table.rows]
    assert len(paths) == len(set(paths))
    assert "layers.1.linear2" in paths
    assert sum(row.parameters for row in table.rows) == table.parameters


def test_an_unknown_activation_is_named():
    with pytest.raises(ArgumentError, match="the name of one in nn, such as 'gelu', not 'swish2'"):
        nn.transformer_encoder_layer(2, activation="swish2")
