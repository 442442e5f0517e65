"""Recurrent layers: PyTorch's numbers, names and treatment of lengths; what they refuse."""

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


@pytest.fixture
def oracle():
    pytest.importorskip("torch")
    from tests.nn import layer_oracle, oracle

    return layer_oracle, oracle


CASES = [
    ("rnn", {}),
    ("rnn", {"nonlinearity": "relu", "bias": False}),
    ("lstm", {"num_layers": 2, "bidirectional": True}),
    ("lstm", {"proj_size": 2, "num_layers": 2, "batch_first": True}),
    ("lstm", {"bias": False}),
    ("gru", {"num_layers": 2, "bidirectional": True, "batch_first": True}),
    ("gru", {"bias": False}),
]
THEIRS = {"rnn": "RNN", "lstm": "LSTM", "gru": "GRU"}


@pytest.mark.oracle
@pytest.mark.parametrize(("kind", "options"), CASES)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
def test_layers_are_pytorchs(oracle, kind, options, dtype):
    layers, o = oracle
    layer = getattr(nn, kind)(4, **options)
    theirs = getattr(layers.torch.nn, THEIRS[kind])(3, 4, **options)
    layers.assert_same_layer(layer, theirs, o.numbers(5, 6, 3), dtype=dtype)


@pytest.mark.oracle
@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("batched", [True, False])
def test_initial_states_are_taken(oracle, kind, batched):
    layers, o = oracle
    layer = getattr(nn, kind)(4, num_layers=2)
    theirs = getattr(layers.torch.nn, THEIRS[kind])(3, 4, num_layers=2)
    batch = (6,) if batched else ()
    initial = [o.numbers(2, *batch, 4, seed=i) for i in range(2 if kind == "lstm" else 1)]

    def pair(hs):
        return tuple(hs) if kind == "lstm" else hs[0]

    layers.assert_same_layer(
        layer,
        theirs,
        o.numbers(5, *batch, 3),
        *initial,
        ours=lambda p, s, x, *hs: layer.apply(p, s, x, pair(hs))[0],
        theirs=lambda x, *hs: theirs(x, pair(hs)),
    )


@pytest.mark.oracle
@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("batch_first", [True, False])
def test_lengths_do_what_packed_sequences_do(oracle, kind, batch_first):
    layers, o = oracle
    torch, lengths = layers.torch, [2, 5, 1, 4]
    options = {"num_layers": 2, "bidirectional": True, "batch_first": batch_first}
    layer = getattr(nn, kind)(4, **options)
    theirs = getattr(torch.nn, THEIRS[kind])(3, 4, **options)

    def packed(x):
        pack = torch.nn.utils.rnn.pack_padded_sequence(
            x, torch.tensor(lengths), batch_first=batch_first, enforce_sorted=False
        )
        out, final = theirs(pack)
        return torch.nn.utils.rnn.pad_packed_sequence(out, batch_first=batch_first)[0], final

    layers.assert_same_layer(
        layer,
        theirs,
        o.numbers(*((4, 5) if batch_first else (5, 4)), 3),
        ours=lambda p, s, x: layer.apply(p, s, x, lengths=np.array(lengths))[0],
        theirs=packed,
    )


@pytest.mark.oracle
@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("bias", [True, False])
def test_cells_are_pytorchs(oracle, kind, bias):
    layers, o = oracle
    layer = getattr(nn, f"{kind}_cell")(4, bias=bias)
    theirs = getattr(layers.torch.nn, THEIRS[kind] + "Cell")(3, 4, bias=bias)
    states = [o.numbers(6, 4, seed=i) for i in range(2 if kind == "lstm" else 1)]

    def pair(hs):
        return tuple(hs) if kind == "lstm" else hs[0]

    layers.assert_same_layer(
        layer,
        theirs,
        o.numbers(6, 3),
        *states,
        ours=lambda p, s, x, *hs: layer.apply(p, s, x, pair(hs))[0],
        theirs=lambda x, *hs: theirs(x, pair(hs)),
    )
    layers.assert_same_layer(layer, theirs, o.numbers(6, 3, seed=5))


@pytest.mark.oracle
@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True, "proj_size": 2}])
def test_names_and_their_order_are_pytorchs(oracle, options):
    layers, _ = oracle
    theirs = layers.torch.nn.LSTM(3, 4, **options).state_dict()
    params, state = nn.lstm(4, **options).init(KEY, (5, 6, 3))
    assert {k: v.shape for k, v in params.items()} == {k: tuple(v.shape) for k, v in theirs.items()}
    assert list(params) == list(theirs)
    assert state == {}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm_step(x, h, c, w):
    gates = x @ w["weight_ih_l0"].T + w["bias_ih_l0"] + h @ w["weight_hh_l0"].T + w["bias_hh_l0"]
    i, f, g, o = np.split(gates, 4, axis=-1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def gru_step(x, h, c, w):
    r, z, n = np.split(x @ w["weight_ih_l0"].T + w["bias_ih_l0"], 3, axis=-1)
    r2, z2, n2 = np.split(h @ w["weight_hh_l0"].T + w["bias_hh_l0"], 3, axis=-1)
    n = np.tanh(n + sigmoid(r + r2) * n2)
    z = sigmoid(z + z2)
    return (1 - z) * n + z * h, c


def rnn_step(x, h, c, w):
    h = x @ w["weight_ih_l0"].T + w["bias_ih_l0"] + h @ w["weight_hh_l0"].T + w["bias_hh_l0"]
    return np.tanh(h), c


@pytest.mark.parametrize(
    ("kind", "step"), [("rnn", rnn_step), ("lstm", lstm_step), ("gru", gru_step)]
)
def test_layers_are_their_formulas_in_a_loop(kind, step):
    layer = getattr(nn, kind)(4)
    x = np.asarray(random.normal(KEY, (5, 3, 2), "float64"))
    params, state = layer.init(KEY, x)
    lengths = np.array([5, 0, 3])
    weights = {k: np.asarray(v) for k, v in params.items()}
    h = c = np.zeros((3, 4))
    outs = []
    for t in range(5):
        new_h, new_c = step(x[t], h, c, weights)
        on = (t < lengths)[:, None]
        h, c = np.where(on, new_h, h), np.where(on, new_c, c)
        outs.append(np.where(on, h, 0))
    (out, final), _ = layer.apply(params, state, x, lengths=lengths)
    # The same sums in float64, some in another order.
    np.testing.assert_allclose(out, outs, atol=1e-13)
    np.testing.assert_allclose(final[0] if kind == "lstm" else final, h[None], atol=1e-13)
    compiled = jit(lambda p, x: layer.apply(p, state, x, lengths=lengths)[0][0])(params, x)
    np.testing.assert_allclose(compiled, out, atol=1e-13)


@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
def test_derivatives_are_those_of_finite_differences(kind):
    layer = getattr(nn, kind)(2, bidirectional=True, return_state=False)
    x = random.normal(KEY, (3, 2, 2), "float64")
    params, state = layer.init(KEY, x)
    lengths = np.array([3, 2])
    check_grads(lambda p, x: layer.apply(p, state, x, lengths=lengths)[0], (params, x), order=1)


def test_weights_begin_within_pytorchs_bound():
    params, _ = nn.lstm(16).init(KEY, (1, 1, 100))
    values = np.asarray(params["weight_ih_l0"])
    assert abs(values).max() <= 0.25
    # The standard deviation of a uniform distribution, which 6,400 values estimate to a per cent.
    assert values.std() == pytest.approx(0.25 / 3**0.5, rel=0.05)


def test_the_input_projection_of_all_steps_is_one_product():
    layer = nn.lstm(4, return_state=False)
    params, state = layer.init(KEY, (9, 5, 3))
    graph = make_graph(lambda p, x: layer.apply(p, state, x)[0])(params, rnp.ones((9, 5, 3)))
    outside = [e for e in graph.equations if e.primitive.name == "dot_general"]
    (scan,) = [e for e in graph.equations if e.primitive.name == "scan"]
    inside = [e for e in scan.params["body"].equations if e.primitive.name == "dot_general"]
    assert [e.outputs[0].aval.shape for e in outside] == [(9, 5, 16)]
    assert [e.outputs[0].aval.shape for e in inside] == [(5, 16)]


def test_what_lies_past_the_end_has_no_effect():
    layer = nn.gru(4, bidirectional=True)
    params, state = layer.init(KEY, (5, 2, 3))
    x = np.random.default_rng(0).normal(size=(5, 2, 3)).astype("float32")
    spoiled = x.copy()
    spoiled[3:, 1] = np.nan

    def loss(params, x):
        out, final = layer.apply(params, state, x, lengths=np.array([5, 3]))[0]
        return rnp.sum(out**2) + rnp.sum(final**2)

    clean, dirty = (grad(loss)(params, given) for given in (x, spoiled))
    for name in clean:
        np.testing.assert_array_equal(clean[name], dirty[name])


def test_dropout_acts_between_layers_in_training_only():
    layer = nn.lstm(4, num_layers=2, dropout=1.0, return_state=False)
    params, state = layer.init(KEY, (5, 2, 3))
    x = rnp.ones((5, 2, 3))
    trained = layer.apply(params, state, x, key=KEY, train=True)[0]
    second = {k.replace("_l1", "_l0"): v for k, v in params.items() if k.endswith("_l1")}
    alone = nn.lstm(4, return_state=False).apply(second, {}, rnp.zeros((5, 2, 4)))[0]
    np.testing.assert_allclose(trained, alone, rtol=1e-6)  # of the order of float32's rounding
    assert not np.allclose(layer.apply(params, state, x)[0], trained)
    with pytest.raises(ArgumentError, match=r"lstm\(4, 2 layers\) drops out values in training"):
        layer.apply(params, state, x, train=True)


def test_per_example_results_under_vmap_are_those_of_the_batch():
    layer = nn.lstm(4, return_state=False)
    params, state = layer.init(KEY, (5, 2, 3))
    x = random.normal(KEY, (5, 6, 3))
    whole = layer.apply(params, state, x)[0]
    single = jit(vmap(lambda one: layer.apply(params, state, one)[0], in_axes=1, out_axes=1))(x)
    # Products of other shapes may be summed in another order.
    np.testing.assert_allclose(single, whole, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("time_axis", [0, 1])
def test_bidirectional_is_the_bidirectional_layer(time_axis):
    both = nn.lstm(4, bidirectional=True, batch_first=time_axis == 1)
    one = nn.bidirectional(nn.lstm(4, batch_first=time_axis == 1), time_axis=time_axis)
    shape = (5, 3, 2) if time_axis == 0 else (3, 5, 2)
    params, state = both.init(KEY, shape)
    split = {
        "forward": {k: v for k, v in params.items() if not k.endswith("_reverse")},
        "backward": {
            k.removesuffix("_reverse"): v for k, v in params.items() if k.endswith("_reverse")
        },
    }
    assert {k: set(v) for k, v in one.init(KEY, shape)[0].items()} == {
        k: set(v) for k, v in split.items()
    }
    x, lengths = random.normal(KEY, shape), np.array([5, 2, 4])
    for given in (None, lengths):
        (expected, _), _ = both.apply(params, state, x, lengths=given)
        # The same operations, fused differently.
        np.testing.assert_allclose(one.apply(split, {}, x, given)[0], expected, atol=1e-6)


def test_bidirectional_merges():
    layer = nn.bidirectional(nn.identity, lambda x: 2 * x, merge="sum")
    np.testing.assert_array_equal(layer.apply({}, {}, rnp.ones((3, 1)))[0], 3 * np.ones((3, 1)))
    with pytest.raises(ArgumentError, match="merge is one of concatenate, sum, mean, multiply"):
        nn.bidirectional(nn.identity, merge="concat")


def test_what_is_refused_is_named():
    layer = nn.lstm(4)
    params, state = layer.init(KEY, (5, 2, 3))
    x = rnp.ones((5, 2, 3))
    with pytest.raises(ShapeError, match=r"an input \(time, batch, in\) or .*not of shape \(5,\)"):
        layer.apply(params, state, rnp.ones(5))
    with pytest.raises(ShapeError, match=r"the initial state is a pair .*, not one ndarray"):
        layer.apply(params, state, x, np.zeros((1, 2, 4)))
    with pytest.raises(ShapeError, match=r"has shape \(2, 4\), \(2, 4\), not .*\(1, 2, 4\)"):
        layer.apply(params, state, x, (rnp.zeros((2, 4)), rnp.zeros((2, 4))))
    with pytest.raises(ShapeError, match=r"weight_ih of shape \(16, 3\) expects 3 features"):
        layer.apply(params, state, rnp.ones((5, 2, 7)))
    with pytest.raises(ArgumentError, match="lengths must be from 0 to 5, but 6"):
        layer.apply(params, state, x, lengths=np.array([6, 1]))
    with pytest.raises(ShapeError, match=r"lengths has shape \(3,\), but the batch is of 2"):
        layer.apply(params, state, x, lengths=np.array([1, 1, 1]))
    with pytest.raises(DtypeError, match="lengths are integers, not float32"):
        layer.apply(params, state, x, lengths=rnp.ones(2))
    with pytest.raises(ArgumentError, match="nonlinearity is 'tanh' or 'relu', not 'elu'"):
        nn.rnn(4, nonlinearity="elu")
    with pytest.raises(ArgumentError, match="proj_size is from 0 to below hidden_size 4"):
        nn.lstm(4, proj_size=4)
    with pytest.raises(ArgumentError, match="dropout is a rate from 0 to 1"):
        nn.gru(4, dropout=2.0)
    with pytest.raises(ArgumentError, match=r"gru\(4\): init takes .* but got 0 specs"):
        nn.gru(4).init(KEY)
