"""Generation: what a cache decodes is what the whole model says; drawing follows the logits."""

import numpy as np
import pytest

from rtfunc import nn, random
from rtfunc import numpy as rnp
from rtfunc.core.errors import ArgumentError, DtypeError, ShapeError
from rtfunc.transforms.jit import jit
from rtfunc.transforms.stage import make_graph

KEY = random.key(0)
PROMPT = np.array([[1, 2, 3], [4, 0, 9]])


def gpt(cache_length=None):
    return nn.models.gpt(11, 16, layers=2, heads=2, features=8, cache_length=cache_length)


def parameters():
    """Larger than at first, so that the likeliest tokens vary."""
    params, _ = gpt().init(KEY, PROMPT)
    factors = {"wte": 30, "wpe": 30, "c_": 8}

    def factor(name):
        if not name.endswith("weight"):
            return 1
        return next((value for part, value in factors.items() if part in name), 1)

    scaled = {k: np.asarray(v) * factor(k) for k, v in nn.state_dict(params).items()}
    return nn.load_state_dict(scaled, params)[0]


def by_hand(params, prompt, steps):
    """The likeliest tokens by applying the whole model to all tokens again and again."""
    tokens = np.asarray(prompt)
    for _ in range(steps):
        logits = np.asarray(gpt().apply(params, {}, tokens)[0][:, -1])
        tokens = np.concatenate([tokens, logits.argmax(-1)[:, None]], axis=1)
    return tokens[:, prompt.shape[1] :]


@pytest.mark.parametrize("steps", [1, 2, 10])
def test_greedy_tokens_are_those_of_the_whole_model(steps):
    params = parameters()
    state = nn.initial_state(gpt(16), PROMPT)
    expected = by_hand(params, PROMPT, steps)
    out = nn.generate(gpt(16), params, state, PROMPT, steps)
    np.testing.assert_array_equal(out, expected)
    compiled = jit(lambda p, s, x: nn.generate(gpt(16), p, s, x, steps))(params, state, PROMPT)
    np.testing.assert_array_equal(compiled, expected)
    if steps == 10:
        assert len(np.unique(expected)) > 3  # a model that always says the same shows nothing


def test_the_loop_is_traced_once_whatever_the_steps():
    params, state = parameters(), nn.initial_state(gpt(16), PROMPT)

    def equations(steps):
        graph = make_graph(lambda p, s: nn.generate(gpt(16), p, s, PROMPT, steps))(params, state)
        return [e.primitive.name for e in graph.equations]

    assert len(equations(4)) == len(equations(12))
    assert equations(4).count("scan") == 1


def test_drawing_follows_the_key_and_the_temperature():
    params, state = parameters(), nn.initial_state(gpt(16), PROMPT)

    def drawn(seed, **options):
        key = random.key(seed)
        return np.asarray(nn.generate(gpt(16), params, state, PROMPT, 8, key=key, **options))

    hot = drawn(1, temperature=3.0)
    np.testing.assert_array_equal(hot, drawn(1, temperature=3.0))
    assert not np.array_equal(hot, drawn(2, temperature=3.0))
    greedy = by_hand(params, PROMPT, 8)
    np.testing.assert_array_equal(drawn(1, temperature=1e-4), greedy)
    np.testing.assert_array_equal(drawn(1, temperature=3.0, top_k=1), greedy)


def test_only_the_likeliest_are_drawn_with_top_k():
    # A model that says the same whatever it is given: token 3 is the likeliest, then 5, then 0.
    def init(key, x):
        return {}, {}

    def apply(params, state, x, *, key=None, train=False):
        logits = rnp.array([1.0, -9.0, -9.0, 3.0, -9.0, 2.0])
        return rnp.broadcast_to(logits, (*x.shape, 6)), state

    model = nn.Layer(init, apply)
    options = {"key": KEY, "temperature": 2.0}
    prompt = np.zeros((4, 1), int)
    two = nn.generate(model, {}, {}, prompt, 500, top_k=2, **options)
    assert set(np.unique(two)) == {3, 5}
    # 2,000 draws of probability 1 / (1 + exp(-1/2)) have a standard deviation of 0.011.
    assert float(np.mean(np.asarray(two) == 3)) == pytest.approx(1 / (1 + np.exp(-0.5)), abs=0.05)


def test_a_sequence_stays_at_its_end():
    params, state = parameters(), nn.initial_state(gpt(16), PROMPT)
    free = by_hand(params, PROMPT, 8)
    end = int(free[0, 2])
    out = np.asarray(nn.generate(gpt(16), params, state, PROMPT, 8, end_token=end))
    for row, expected in zip(out, free):
        places = np.flatnonzero(expected == end)
        stop = places[0] if len(places) else len(expected)
        np.testing.assert_array_equal(row[:stop], expected[:stop])
        assert (row[stop:] == end).all()


def test_what_is_refused_is_named():
    params, state = parameters(), nn.initial_state(gpt(16), PROMPT)
    with pytest.raises(ArgumentError, match="draws tokens unless temperature is 0: pass a key"):
        nn.generate(gpt(16), params, state, PROMPT, 2, temperature=1.0)
    with pytest.raises(DtypeError, match="the prompt is of integers"):
        nn.generate(gpt(16), params, state, rnp.ones((1, 2)), 2)
    with pytest.raises(ShapeError, match=r"a prompt \(batch, length\) of one token or more"):
        nn.generate(gpt(16), params, state, PROMPT[:, :0], 2)
    with pytest.raises(ArgumentError, match="top_k is a positive integer"):
        nn.generate(gpt(16), params, state, PROMPT, 2, top_k=0)
    short = gpt(4)
    with pytest.raises(ArgumentError, match="the cache has room for 4"):
        nn.generate(short, params, nn.initial_state(short, PROMPT), PROMPT, 6)
