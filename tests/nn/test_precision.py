"""Mixed precision: which arrays have which dtypes, and that training gets as far as float32."""

import numpy as np
import pytest

from rtfunc import data, nn, optim, random, tree
from rtfunc import numpy as rnp
from rtfunc.core.errors import DtypeError
from rtfunc.transforms.jit import jit
from rtfunc.transforms.vjp import grad

KEY = random.key(0)


def spy(seen):
    """A layer that notes the dtypes of its parameters and input."""

    def init(key, x):
        return {"weight": rnp.ones(nn.as_spec(x).shape[-1])}, {}

    def apply(params, state, x, *, key=None, train=False, shift=0.0):
        seen.append((str(params["weight"].dtype), str(x.dtype)))
        return x * params["weight"] + shift, state

    return nn.Layer(init, apply, "spy")


@pytest.mark.parametrize("compute", ["bfloat16", "float16"])
def test_the_computation_is_in_its_dtype_and_the_rest_is_not(compute):
    seen = []
    model = nn.mixed_precision(
        nn.sequential(spy(seen), nn.batch_norm()), nn.Policy(compute=compute)
    )
    params, state = model.init(KEY, (4, 3))
    assert {str(p.dtype) for p in tree.leaves(params)} == {"float32"}
    seen.clear()
    x = random.normal(KEY, (4, 3))
    out, new = jit(lambda p, s, x: model.apply(p, s, x, train=True))(params, state, x)
    assert seen == [(compute, compute)]
    assert str(out.dtype) == "float32"
    assert tree.map(lambda a: str(a.dtype), new) == tree.map(lambda a: str(a.dtype), state)
    gradient = grad(lambda p: rnp.sum(model.apply(p, state, x, train=True)[0] ** 3))(params)
    assert {str(g.dtype) for g in tree.leaves(gradient)} == {"float32"}


def test_statistics_of_norms_are_taken_in_float32():
    # In bfloat16, whose 8 bits end at 256, the mean of these would not be near 1000.5.
    model = nn.mixed_precision(nn.batch_norm(momentum=1.0))
    params, state = model.init(KEY, (1, 1))
    x = rnp.asarray(np.where(np.arange(4096) % 2, 1000.0, 1001.0)[:, None], dtype="float32")
    rounded = np.asarray(rnp.asarray(x, dtype="bfloat16").astype("float32"))
    _, state = model.apply(params, state, x, train=True)
    assert float(state["running_mean"][0]) == pytest.approx(rounded.mean(), rel=1e-6)


def test_integers_and_arguments_pass():
    seen = []
    model = nn.mixed_precision(nn.embedding(5, 3))
    params, state = model.init(KEY, (2,))
    out, _ = model.apply(params, state, rnp.array([1, 4]))
    expected = rnp.asarray(params["weight"], dtype="bfloat16").astype("float32")
    np.testing.assert_array_equal(out, expected[rnp.array([1, 4])])
    model = nn.mixed_precision(spy(seen))
    params, state = model.init(KEY, (2, 3))
    out, _ = model.apply(params, state, rnp.ones((2, 3)), shift=2.0)
    np.testing.assert_array_equal(out, 3 * np.ones((2, 3)))


def test_names_and_parts_are_those_of_the_layer():
    inner = nn.sequential(nn.dense(2), nn.relu)
    model = nn.mixed_precision(inner)
    assert nn.state_dict(model.init(KEY, (1, 3))[0]).keys() == {"0.weight", "0.bias"}
    assert model.children == inner.children


def test_sequences_and_attention_compute_in_bfloat16():
    model = nn.mixed_precision(
        nn.sequential(
            nn.lstm(8, batch_first=True, return_state=False),
            nn.transformer_encoder_layer(2, 16, batch_first=True),
        )
    )
    x = random.normal(KEY, (2, 5, 8))
    params, state = model.init(KEY, x)
    exact = nn.sequential(
        nn.lstm(8, batch_first=True, return_state=False),
        nn.transformer_encoder_layer(2, 16, batch_first=True),
    ).apply(params, state, x)[0]
    out = jit(model.apply)(params, state, x)[0]
    # Some operations in a row on values near 1 of 8 bits, that is 4e-3 relative each.
    np.testing.assert_allclose(out, exact, atol=6e-2)
    assert not np.array_equal(out, exact)


def test_decoding_computes_in_the_same_dtype_as_the_whole():
    seen = []

    def model(length):
        attention = nn.multi_head_attention(
            2, batch_first=True, is_causal=True, cache_length=length
        )
        return nn.mixed_precision(nn.sequential(attention, spy(seen)))

    x = random.normal(KEY, (2, 5, 8))
    params, state = model(None).init(KEY, x)
    whole = model(None).apply(params, state, x)[0]
    cache = nn.initial_state(model(8), x)
    seen.clear()
    outs = []
    for i in range(5):
        out, cache = model(8).apply(params, cache, x[:, i : i + 1])
        outs.append(out)
    assert set(seen) == {("bfloat16", "bfloat16")}
    # Sums of 8-bit numbers near 1, in another order.
    np.testing.assert_allclose(rnp.concatenate(outs, axis=1), whole, atol=2e-2)


def accuracy_of(policy, scaled):
    """Of a small network on digits, after a fixed training."""
    images, labels = data.digits().arrays
    images, labels = np.asarray(images, "float32").reshape(-1, 64), np.asarray(labels)
    train, test = slice(0, 1400), slice(1400, None)
    layer = nn.sequential(nn.dense(64), nn.layer_norm(), nn.relu, nn.dense(10))
    model = layer if policy is None else nn.mixed_precision(layer, policy)
    params, state = model.init(KEY, (1, 64))
    optimizer = optim.adam(5e-3)
    if scaled:
        optimizer = optim.dynamic_loss_scale(optimizer, growth_interval=50)
    moments = optimizer.init(params)

    def loss(params, moments, x, y):
        value = nn.cross_entropy(model.apply(params, state, x)[0], y)
        assert str(value.dtype) == "float32"
        return optim.scale_loss(moments, value) if scaled else value

    @jit
    def step(params, moments, x, y):
        gradient = grad(loss)(params, moments, x, y)
        updates, moments = optimizer.update(gradient, moments, params)
        return optim.apply_updates(params, updates), moments

    order = np.random.default_rng(0).permutation(1400)
    for _ in range(6):
        for i in range(0, 1400, 100):
            batch = order[i : i + 100]
            params, moments = step(params, moments, images[train][batch], labels[train][batch])
    logits = model.apply(params, state, images[test])[0]
    return float((logits.argmax(-1) == labels[test]).mean()), moments


def test_training_gets_as_far_as_in_float32():
    reference, _ = accuracy_of(None, False)
    assert reference > 0.9
    # 397 test images: half a per cent is two of them.
    for compute, scaled in (("bfloat16", False), ("float16", True)):
        accuracy, moments = accuracy_of(nn.Policy(compute=compute), scaled)
        assert accuracy == pytest.approx(reference, abs=0.015)
        if scaled:
            assert float(moments.scale) > 1


def test_small_gradients_survive_in_float16_by_scaling_alone():
    model = nn.mixed_precision(nn.dense(1, bias=False), nn.Policy(compute="float16"))
    params = {"weight": rnp.zeros((1, 1))}
    optimizer = optim.dynamic_loss_scale(optim.identity())
    scale = optimizer.init(params)
    x = rnp.full((1, 1), 1e-3)

    def loss(params):
        return rnp.sum(model.apply(params, {}, x)[0]) * 1e-6

    assert float(grad(loss)(params)["weight"][0, 0]) == 0  # 1e-9 is below float16's range
    gradient = grad(lambda p: optim.scale_loss(scale, loss(p)))(params)
    updates, _ = optimizer.update(gradient, scale)
    # Rounding of float16, 11 bits.
    assert float(updates["weight"][0, 0]) == pytest.approx(1e-9, rel=2e-3)


def test_a_policy_is_of_floats():
    with pytest.raises(DtypeError, match="Policy: compute is a floating-point dtype, not int32"):
        nn.Policy(compute="int32")
